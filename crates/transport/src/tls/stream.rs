//! TLS as an ordinary byte stream, for the HTTP/1.1 side of the cover. Carriers do not use it: they open and seal
//! records in their own buffers.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::drive::Ready;
use super::{HEAD, MAX_RECORD, Opened, TAIL, Traffic};

/// A byte stream over records. Shutting it down sends `close_notify`, unless the peer has ended, then FIN.
pub struct TlsStream {
    tcp: TcpStream,
    traffic: Box<dyn Traffic>,
    /// Plaintext that waits for its reader.
    plain: Vec<u8>,
    taken: usize,
    /// Sealed bytes read so far.
    wire: Vec<u8>,
    /// Sealed bytes that wait for the socket.
    out: Vec<u8>,
    sent: usize,
    ended: bool,
}

impl TlsStream {
    #[must_use]
    pub fn new(tcp: TcpStream, ready: Ready) -> Self {
        let established = ready.established;
        Self {
            tcp,
            traffic: established.traffic,
            plain: established.early,
            taken: 0,
            wire: ready.rest,
            out: Vec::new(),
            sent: 0,
            ended: false,
        }
    }

    /// The socket underneath.
    #[must_use]
    pub fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.out.len() {
            let rest = self.out.get(self.sent..).unwrap_or_default();
            let n = ready!(Pin::new(&mut self.tcp).poll_write(cx, rest))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += n;
        }
        self.out.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }

    /// Opens what is whole. `Ok(true)` if that gave plaintext or the end.
    fn open(&mut self) -> io::Result<bool> {
        while self.plain.len() == self.taken && !self.ended {
            self.plain.clear();
            self.taken = 0;
            let opened = self.traffic.open(&mut self.wire);
            self.out.append(self.traffic.pending());
            let used = match opened? {
                Opened::Partial => return Ok(false),
                Opened::Quiet { wire } => wire,
                Opened::Closed { wire } => {
                    self.ended = true;
                    wire
                }
                Opened::Data { wire, plain } => {
                    self.plain.extend_from_slice(self.wire.get(plain).unwrap_or_default());
                    wire
                }
            };
            self.wire.drain(..used);
        }
        Ok(true)
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            match this.open() {
                Ok(true) => break,
                Ok(false) => {}
                Err(error) => {
                    // The alert should reach the peer, but a peer that does not read must not hold us.
                    let _ = this.poll_out(cx);
                    return Poll::Ready(Err(error));
                }
            }
            if !this.out.is_empty() {
                let _ = this.poll_out(cx)?;
            }
            let start = this.wire.len();
            this.wire.resize(start + MAX_RECORD, 0);
            let mut room = ReadBuf::new(this.wire.get_mut(start..).unwrap_or_default());
            let read = Pin::new(&mut this.tcp).poll_read(cx, &mut room);
            let n = room.filled().len();
            this.wire.truncate(start + n);
            ready!(read)?;
            if n == 0 {
                // FIN without close_notify: what browsers and nginx both accept as an end of the connection.
                this.ended = true;
            }
        }
        let rest = this.plain.get(this.taken..).unwrap_or_default();
        let n = rest.len().min(into.remaining());
        into.put_slice(rest.get(..n).unwrap_or_default());
        this.taken += n;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_out(cx))?;
        let n = data.len().min(this.traffic.max_plain());
        if n == 0 {
            return Poll::Ready(Ok(0));
        }
        let start = this.out.len();
        this.out.resize(start + HEAD + n + TAIL, 0);
        let room = this.out.get_mut(start..).unwrap_or_default();
        if let (Some(place), Some(part)) = (room.get_mut(HEAD..HEAD + n), data.get(..n)) {
            place.copy_from_slice(part);
        }
        let total = this.traffic.seal(room, n)?;
        this.out.truncate(start + total);
        this.out.append(this.traffic.pending());
        // Written as far as the socket takes it; the rest goes with the next call or flush.
        let _ = this.poll_out(cx)?;
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_out(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // nginx says no goodbye to a visitor whose end it has read.
        if !this.ended {
            this.traffic.close();
            this.out.append(this.traffic.pending());
        }
        ready!(this.poll_out(cx))?;
        Pin::new(&mut this.tcp).poll_shutdown(cx)
    }
}
