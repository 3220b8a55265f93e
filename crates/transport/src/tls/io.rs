//! TLS as the relay's kind of stream: records opened where they were read, sealed where they are written.
//!
//! For protocols that carry one stream a connection. HTTP/2 carriers have a driver of their own
//! ([`crate::h2`]), the HTTP/1.1 side of the cover reads and writes through [`super::stream::TlsStream`].

use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll, ready};

use rozaneh_net::pool::{Buf, LARGE, SMALL, Slice};
use rozaneh_net::stream::{Stream, reset};
use tokio::net::TcpStream;

use super::drive::Ready;
use super::{HEAD, Opened, TAIL, TlsError, Traffic};

/// Plaintext that may wait for one round of sealing: what the largest buffer holds once it is sealed.
const BATCH_BYTES: usize = 240 * 1024;
const BATCH_CHUNKS: usize = 64;
/// Smaller pieces are copied out, so that a message does not pin the read buffer it came in.
const COPY_BELOW: usize = 2_048;
/// Sealed bytes that a small buffer takes with certainty, records' heads and tails included.
const FITS_SMALL: usize = SMALL - 2 * (HEAD + TAIL);
const FITS_LARGE: usize = LARGE - 8 * (HEAD + TAIL);

/// Sealed bytes on their way to the socket.
struct Out {
    buf: Buf,
    start: usize,
    end: usize,
}

/// A byte stream over records. Its end is `close_notify`, and a connection that ends without one was cut.
pub struct TlsIo {
    /// `None` once aborted.
    tcp: Option<TcpStream>,
    traffic: Box<dyn Traffic>,
    /// Opened, and not asked for yet.
    opened: VecDeque<Slice>,
    /// Sealed bytes that do not make a record yet.
    partial: Vec<u8>,
    /// Sealed bytes that were read with the handshake's last flight.
    rest: Vec<u8>,
    appetite: u8,
    read_end: bool,
    unsealed: VecDeque<Slice>,
    unsealed_bytes: usize,
    out: Option<Out>,
    goodbye: bool,
    finished: bool,
}

fn gone() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}

impl TlsIo {
    /// A stream on a finished handshake.
    #[must_use]
    pub fn new(tcp: TcpStream, ready: Ready) -> Self {
        let early = Slice::from_vec(ready.established.early);
        Self {
            tcp: Some(tcp),
            traffic: ready.established.traffic,
            opened: if early.is_empty() { VecDeque::new() } else { VecDeque::from([early]) },
            partial: Vec::new(),
            rest: ready.rest,
            appetite: 0,
            read_end: false,
            unsealed: VecDeque::new(),
            unsealed_bytes: 0,
            out: None,
            goodbye: false,
            finished: false,
        }
    }

    // ---- in ----

    /// Opens all whole records of `buf[..len]` in place; the rest is kept.
    fn open(&mut self, mut buf: Buf, len: usize) -> Result<(), TlsError> {
        let mut at = 0;
        let mut ranges = Vec::new();
        let mut outcome = Ok(());
        while at < len && !self.read_end {
            match self.traffic.open(buf.get_mut(at..len).unwrap_or_default()) {
                Ok(Opened::Data { wire, plain }) => {
                    ranges.push(at + plain.start..at + plain.end);
                    at += wire;
                }
                Ok(Opened::Quiet { wire }) => at += wire,
                Ok(Opened::Closed { wire }) => {
                    at += wire;
                    self.read_end = true;
                }
                Ok(Opened::Partial) => break,
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        if outcome.is_ok() && !self.read_end {
            self.partial.extend_from_slice(buf.get(at..len).unwrap_or_default());
        }
        if self.partial.is_empty() && self.partial.capacity() > 0 {
            self.partial = Vec::new();
        }
        let whole = buf.freeze(0..len);
        for range in ranges {
            let piece = whole.sub(range);
            if !piece.is_empty() {
                let piece = if piece.len() < COPY_BELOW { Slice::copy_from(&piece) } else { piece };
                self.opened.push_back(piece);
            }
        }
        outcome
    }

    /// What came with the handshake, a buffer at a time.
    fn open_rest(&mut self) -> Result<(), TlsError> {
        for part in std::mem::take(&mut self.rest).chunks(LARGE / 2) {
            self.open_behind(Buf::large(), part)?;
        }
        Ok(())
    }

    /// Opens `bytes` behind what is kept of an unfinished record.
    fn open_behind(&mut self, mut buf: Buf, bytes: &[u8]) -> Result<(), TlsError> {
        let kept = self.partial.len();
        let len = kept + bytes.len();
        if let (Some(head), Some(tail)) = (self.partial.get(..), buf.get_mut(..len)) {
            let (front, behind) = tail.split_at_mut(kept);
            front.copy_from_slice(head);
            behind.copy_from_slice(bytes);
        }
        self.partial.clear();
        self.open(buf, len)
    }

    /// One read and what it brings.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let tcp = self.tcp.as_ref().ok_or_else(gone)?;
        loop {
            // Readiness first: a stream that waits holds no buffer.
            ready!(tcp.poll_read_ready(cx))?;
            let kept = self.partial.len();
            let mut buf = match self.appetite {
                0 if kept <= SMALL / 2 => Buf::small(),
                0 | 1 => Buf::large(),
                _ => Buf::huge(),
            };
            if let Some(place) = buf.get_mut(..kept) {
                place.copy_from_slice(&self.partial);
            }
            let room = buf.get_mut(kept..).unwrap_or_default();
            let size = room.len();
            let n = match tcp.try_read(room) {
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Poll::Ready(Err(error)),
            };
            self.appetite = match (self.appetite, n == size) {
                (0 | 1, true) => self.appetite + 1,
                (1 | 2, false) if n < size / 4 => self.appetite - 1,
                (same, _) => same,
            };
            if n == 0 {
                // A FIN without close_notify: whoever may cut connections may forge this end (RFC 8446 section 6.1).
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            self.partial.clear();
            let opened = self.open(buf, kept + n);
            if opened.is_err() {
                // The alert should reach the peer, but one that does not read must not hold us.
                let _ = self.poll_flush(cx);
            }
            return Poll::Ready(opened.map_err(io::Error::from));
        }
    }

    // ---- out ----

    /// Sends what the socket takes now; the rest goes with a later call.
    fn try_flush(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.poll_flush(cx) {
            Poll::Ready(flushed) => flushed,
            Poll::Pending => Ok(()),
        }
    }

    /// Fills the out buffer with sealed records. `false` if there is nothing to say.
    fn fill(&mut self) -> io::Result<bool> {
        if self.unsealed.is_empty() && self.traffic.pending().is_empty() {
            return Ok(false);
        }
        let mut buf = match self.unsealed_bytes.saturating_add(self.traffic.pending().len()) {
            n if n <= FITS_SMALL => Buf::small(),
            n if n <= FITS_LARGE => Buf::large(),
            _ => Buf::huge(),
        };
        let mut at = 0;
        loop {
            // Alerts and key updates go between records, sealed with the key of their time.
            let pending = self.traffic.pending();
            if !pending.is_empty() {
                let Some(place) = buf.get_mut(at..at + pending.len()) else { break };
                place.copy_from_slice(pending);
                at += pending.len();
                *pending = Vec::new();
            }
            let Some(room) = buf.len().checked_sub(at + HEAD + TAIL).filter(|room| *room > 0) else { break };
            let record = buf.get_mut(at..).unwrap_or_default();
            let mut len = 0;
            let limit = room.min(self.traffic.max_plain());
            while let Some(front) = self.unsealed.front_mut().filter(|_| len < limit) {
                let piece = front.split_to(limit - len);
                if front.is_empty() {
                    self.unsealed.pop_front();
                }
                if let Some(place) = record.get_mut(HEAD + len..HEAD + len + piece.len()) {
                    place.copy_from_slice(&piece);
                }
                len += piece.len();
            }
            if len == 0 {
                break;
            }
            self.unsealed_bytes -= len;
            at += self.traffic.seal(record, len)?;
        }
        if self.unsealed.is_empty() && self.unsealed.capacity() > 8 {
            self.unsealed = VecDeque::new();
        }
        self.out = (at > 0).then_some(Out { buf, start: 0, end: at });
        Ok(at > 0)
    }
}

impl Stream for TlsIo {
    fn poll_recv(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<io::Result<Option<Slice>>> {
        loop {
            if !self.rest.is_empty() {
                self.open_rest()?;
            }
            if let Some(front) = self.opened.front_mut() {
                let chunk = front.split_to(max.max(1));
                if front.is_empty() {
                    self.opened.pop_front();
                    if self.opened.is_empty() && self.opened.capacity() > 8 {
                        self.opened = VecDeque::new();
                    }
                }
                return Poll::Ready(Ok(Some(chunk)));
            }
            if self.read_end {
                return Poll::Ready(Ok(None));
            }
            // What an answer to a key update left in the socket's way, which nobody else may come back to.
            if self.out.is_some() {
                self.try_flush(cx)?;
            }
            ready!(self.poll_read(cx))?;
            if !self.traffic.pending().is_empty() {
                self.try_flush(cx)?;
            }
        }
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.unsealed.len() < BATCH_CHUNKS && self.unsealed_bytes < BATCH_BYTES {
            return Poll::Ready(self.tcp.as_ref().map(|_| ()).ok_or_else(gone));
        }
        self.poll_flush(cx)
    }

    fn send(&mut self, chunk: Slice) {
        if !chunk.is_empty() {
            self.unsealed_bytes += chunk.len();
            self.unsealed.push_back(chunk);
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.out.is_none() && !self.fill()? {
                return Poll::Ready(Ok(()));
            }
            let tcp = self.tcp.as_ref().ok_or_else(gone)?;
            let Some(out) = &mut self.out else { return Poll::Ready(Ok(())) };
            match tcp.try_write(out.buf.get(out.start..out.end).unwrap_or_default()) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(n) => {
                    out.start += n;
                    if out.start >= out.end {
                        self.out = None;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(tcp.poll_write_ready(cx))?,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.finished {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_flush(cx))?;
        if !self.goodbye {
            self.goodbye = true;
            self.traffic.close();
            ready!(self.poll_flush(cx))?;
        }
        self.finished = true;
        let tcp = self.tcp.as_ref().ok_or_else(gone)?;
        match socket2::SockRef::from(tcp).shutdown(std::net::Shutdown::Write) {
            // The peer is gone already, and with it the direction that was to be ended.
            Err(error) if error.kind() != io::ErrorKind::NotConnected => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn abort(&mut self) {
        self.opened = VecDeque::new();
        self.unsealed = VecDeque::new();
        self.unsealed_bytes = 0;
        self.out = None;
        if let Some(tcp) = self.tcp.take() {
            reset(tcp);
        }
    }
}
