//! The one task of a carrier: the only place that touches its socket and its TLS traffic.

use std::future::poll_fn;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rozaneh_net::pool::{Buf, Slice};
use rozaneh_wire::h2::{Code, Event, Field, StreamId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use super::carrier::{Broken, Carrier, Closing, Ending, Entry};
use super::rate::Rate;
use crate::tls::drive::Ready;
use crate::tls::{HEAD, Opened, TAIL, TlsError, Traffic};

mod manners;

pub(super) use manners::FLIGHTS;
pub(crate) use manners::Manners;
use manners::{FRAME_HEAD, HUNG, RECORD};

/// How often flood counters fade (`rozaneh_wire::h2::limits`).
const CALM: Duration = Duration::from_secs(1);
/// nginx's `lingering_timeout` and `lingering_time`.
const LINGER_SILENCE: Duration = Duration::from_secs(5);
const LINGER: Duration = Duration::from_secs(30);
/// Rounds of writing and reading before other tasks get their turn.
const ROUNDS: usize = 16;
/// Payload gathered under one lock: what the largest out buffer holds.
const GATHER: usize = 240 * 1024;
/// Chunks up to this size are copied out, so that a small message does not pin the large buffer it was read in.
const COPY_BELOW: usize = 2_048;
/// A partial record above this needs a larger buffer for its rest (a small one holds one TLS 1.3 record).
const SMALL_REST: usize = 8_192;

/// Something the peer asked for, to be handled outside the lock (server).
pub(crate) enum Incoming {
    Request {
        id: StreamId,
        fields: Vec<Field>,
        end: bool,
    },
    /// A request the protocol does not allow: the cover answers it as its model would.
    Malformed {
        id: StreamId,
        fields: Vec<Field>,
        end: bool,
    },
    HeadersTooLarge,
}

/// Who handles requests; the client has none.
pub(crate) trait Requests: Send + 'static {
    /// Whether streams may begin on the other side at all.
    const SERVER: bool = true;
    fn incoming(&mut self, incoming: Incoming);
}

/// For the client: a server does not ask for anything.
pub(crate) struct NoRequests;

impl Requests for NoRequests {
    const SERVER: bool = false;
    fn incoming(&mut self, _incoming: Incoming) {}
}

/// When a silent carrier is given up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    /// Client: after this much silence while something is expected, a PING; one goes behind a request, too, when nothing
    /// was heard for [`RISK`]. A PING that brings nothing back in [`HUNG`] is the end.
    Ping(Duration),
    /// Server, before anybody authenticated: the cover's idle time, then GOAWAY.
    Cover { preface: Duration, idle: Duration },
}

/// One piece of plaintext to seal.
enum Piece {
    Control(Vec<u8>),
    Head([u8; 9]),
    Payload(Slice),
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Control(bytes) => bytes,
            Self::Head(bytes) => bytes,
            Self::Payload(slice) => slice,
        }
    }
}

/// Sealed bytes on their way to the socket.
struct Out {
    buf: Buf,
    start: usize,
    end: usize,
}

/// Owns the socket. Run it as a task; it ends when the carrier does.
pub(crate) struct Driver<R> {
    tcp: TcpStream,
    traffic: Box<dyn Traffic>,
    carrier: Arc<Carrier>,
    requests: R,
    /// Sealed bytes that do not make a record yet.
    partial: Vec<u8>,
    /// Plaintext from the handshake.
    early: Vec<u8>,
    appetite: u8,
    out: Option<Out>,
    plan: Vec<Piece>,
    planned: usize,
    piece_at: usize,
    rate: Rate,
    read_closed: bool,
    goodbye: bool,
    patience: Patience,
    timer: Pin<Box<Sleep>>,
    heard: Instant,
    /// A request came: nginx waits less for the first than between two.
    asked: bool,
    /// When flood counters were last allowed to fade.
    calmed: Instant,
    expecting: bool,
    /// When a PING went that was not answered yet, and how many went.
    pinged: Option<Instant>,
    pings: u64,
    /// When something was last sent.
    said: Instant,
    /// A client's: what goes in one record, and how it ends.
    manners: Option<Manners>,
    /// Set by the server once a request of this carrier was authenticated: then our rules hold, not the cover's.
    authenticated: Arc<std::sync::atomic::AtomicBool>,
}

impl<R: Requests> Driver<R> {
    pub fn new(
        tcp: TcpStream,
        ready: Ready,
        carrier: Arc<Carrier>,
        requests: R,
        patience: Patience,
        authenticated: Arc<std::sync::atomic::AtomicBool>,
    ) -> Self {
        let manners = carrier.lock().manners;
        let first = match patience {
            Patience::Ping(silence) => silence,
            Patience::Cover { preface, .. } => preface,
        };
        Self {
            tcp,
            traffic: ready.established.traffic,
            carrier,
            requests,
            partial: ready.rest,
            early: ready.established.early,
            appetite: 0,
            out: None,
            plan: Vec::new(),
            planned: 0,
            piece_at: 0,
            rate: Rate::new(),
            read_closed: false,
            goodbye: false,
            patience,
            timer: Box::pin(tokio::time::sleep(first)),
            heard: Instant::now(),
            asked: false,
            calmed: Instant::now(),
            expecting: false,
            pinged: None,
            pings: 0,
            said: Instant::now(),
            manners,
            authenticated,
        }
    }

    /// Drives the carrier to its end and tells every stream.
    pub async fn run(mut self) {
        let early = std::mem::take(&mut self.early);
        let mut failed = false;
        if !early.is_empty() {
            failed = self.deliver(&Slice::from_vec(early), &[]).is_err();
        }
        if !failed && !self.partial.is_empty() {
            failed = self.open_rest().is_err();
        }
        if !failed {
            failed = poll_fn(|cx| self.poll(cx)).await.is_err();
        }
        let wakers = self.carrier.lock().break_all();
        wakers.into_iter().for_each(Waker::wake);
        if failed && !self.read_closed {
            self.farewell().await;
        }
    }

    /// A last word (GOAWAY, an alert), and time for the peer to read it: a socket that closes with unread bytes sends
    /// a reset, which overtakes everything before it. As nginx lingers, and for as long.
    async fn farewell(&mut self) {
        let talk = async {
            self.say_everything().await?;
            if self.manners.is_some() {
                // A browser that gives a connection up says why, and hangs up.
                return self.tcp.shutdown().await;
            }
            // Behind the last record: nothing is sealed after it.
            self.traffic.close();
            self.say_everything().await?;
            self.tcp.shutdown().await?;
            let mut waste = Buf::small();
            while tokio::time::timeout(LINGER_SILENCE, self.tcp.read(&mut waste)).await?? > 0 {}
            io::Result::Ok(())
        };
        // Whoever does not read its last word does without.
        let _ = tokio::time::timeout(LINGER, talk).await;
    }

    /// Writes what is planned, queued or pending.
    async fn say_everything(&mut self) -> io::Result<()> {
        while self.out.is_some() || self.fill()? {
            let Some(out) = self.out.take() else { break };
            self.tcp.write_all(out.buf.get(out.start..out.end).unwrap_or_default()).await?;
        }
        Ok(())
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        for _ in 0..ROUNDS {
            // Before looking for work, so that work that comes while we look is not missed.
            self.register(cx);
            let wrote = self.poll_write(cx)?;
            if self.goodbye && self.out.is_none() {
                // Everything including close_notify is with the kernel: FIN.
                let _ = socket2::SockRef::from(&self.tcp).shutdown(std::net::Shutdown::Write);
                return Poll::Ready(Ok(()));
            }
            let read = self.poll_read(cx)?;
            if self.read_closed && self.carrier.lock().streams.is_empty() {
                return Poll::Ready(Ok(()));
            }
            if !wrote && !read {
                return self.poll_timer(cx);
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn register(&mut self, cx: &Context<'_>) {
        let mut shared = self.carrier.lock();
        match &mut shared.driver {
            Some(waker) => waker.clone_from(cx.waker()),
            place => *place = Some(cx.waker().clone()),
        }
    }

    // ---- out ----

    /// Seals and writes until there is nothing left or the socket is full. `true` if anything moved.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut moved = false;
        loop {
            if self.out.is_none() && !self.fill()? {
                self.rate.idle();
                return Ok(moved);
            }
            let Some(out) = &mut self.out else { return Ok(moved) };
            let bytes = out.buf.get(out.start..out.end).unwrap_or_default();
            match self.tcp.try_write(bytes) {
                Ok(n) => {
                    out.start += n;
                    let done = out.start >= out.end;
                    self.said = Instant::now();
                    self.rate.sent(n, self.said.into_std());
                    self.expecting = true;
                    moved = true;
                    if done {
                        self.out = None;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => match self.tcp.poll_write_ready(cx) {
                    Poll::Ready(ready) => ready?,
                    Poll::Pending => return Ok(moved),
                },
                Err(error) => return Err(error),
            }
        }
    }

    /// Fills the out buffer with sealed records. `false` if there is nothing to say.
    fn fill(&mut self) -> io::Result<bool> {
        if self.plan.len() == self.piece_at {
            self.gather();
        }
        if self.plan.is_empty() && self.traffic.pending().is_empty() {
            return Ok(false);
        }
        let mut buf = match self.planned {
            0..=16_000 => Buf::small(),
            16_001..=60_000 => Buf::large(),
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
                pending.clear();
                if pending.capacity() > 1_024 {
                    *pending = Vec::new();
                }
            }
            let Some(room) = buf.len().checked_sub(at + HEAD + TAIL).filter(|room| *room > 0) else { break };
            let Some(record) = buf.get_mut(at..) else { break };
            let len = self.pour(record.get_mut(HEAD..).unwrap_or_default(), room.min(self.traffic.max_plain()));
            if len == 0 {
                break;
            }
            at += self.traffic.seal(record, len)?;
        }
        if self.plan.len() == self.piece_at {
            self.plan.clear();
            self.piece_at = 0;
            self.planned = 0;
            if self.plan.capacity() > 64 {
                self.plan = Vec::new();
            }
        }
        if at == 0 {
            return Ok(false);
        }
        self.out = Some(Out { buf, start: 0, end: at });
        Ok(true)
    }

    /// Copies planned plaintext into a record. The only copy payload sees on its way out.
    fn pour(&mut self, record: &mut [u8], room: usize) -> usize {
        let mut len = 0;
        while len < room {
            let Some(piece) = self.plan.get_mut(self.piece_at) else { break };
            // A browser's frames have records of their own.
            if len > 0 && self.manners.is_some() && !matches!(piece, Piece::Payload(_)) {
                break;
            }
            let bytes = piece.bytes();
            let n = bytes.len().min(room - len);
            if let (Some(to), Some(from)) = (record.get_mut(len..len + n), bytes.get(..n)) {
                to.copy_from_slice(from);
            }
            len += n;
            if n == bytes.len() {
                *piece = Piece::Head([0; 9]);
                self.piece_at += 1;
            } else {
                match piece {
                    Piece::Control(rest) => {
                        rest.drain(..n);
                    }
                    Piece::Head(rest) => *piece = Piece::Control(rest.get(n..).unwrap_or_default().to_vec()),
                    Piece::Payload(rest) => rest.advance(n),
                }
            }
        }
        len
    }

    /// Takes what the streams want to send: control frames first, then DATA, one frame a stream, round robin.
    fn gather(&mut self) {
        self.plan.clear();
        self.piece_at = 0;
        self.planned = 0;
        let mut wakers: Vec<Waker> = Vec::new();
        let longest = self.rate.frame();
        let carrier = Arc::clone(&self.carrier);
        let mut guard = carrier.lock();
        let shared = &mut *guard;
        self.ask_whether_it_lives(shared);
        if !shared.conn.out().is_empty() {
            let control = std::mem::take(shared.conn.out());
            self.planned += control.len();
            self.plan_control(control);
        }
        let mut turns = shared.queue.len().saturating_mul(16).saturating_add(16);
        while self.planned < GATHER && turns > 0 {
            turns -= 1;
            let Some(id) = shared.queue.pop_front() else { break };
            let window = shared.conn.sendable(id);
            let largest = shared.conn.max_frame();
            let Some(entry) = shared.streams.get_mut(&id) else { continue };
            entry.queued = false;
            if entry.broken.is_some() || entry.end_sent {
                continue;
            }
            let own = if entry.frame == 0 { longest } else { entry.frame };
            let mut n = entry.to_send_bytes.min(window).min(largest).min(own).min(GATHER);
            if self.manners.is_some() && n > RECORD {
                // Whole records, so that none is left with the last bytes of a frame.
                n -= (n + FRAME_HEAD) % RECORD;
            }
            let end = entry.finish && n == entry.to_send_bytes;
            if n == 0 && !end {
                // No window: WINDOW_UPDATE brings it back.
                continue;
            }
            let Ok(head) = shared.conn.data(id, n, end) else { continue };
            self.plan.push(Piece::Head(head));
            let mut left = n;
            while left > 0 {
                let Some(front) = entry.to_send.front_mut() else { break };
                let part = front.split_to(left);
                if front.is_empty() {
                    entry.to_send.pop_front();
                }
                left -= part.len();
                self.plan.push(Piece::Payload(part));
            }
            entry.to_send_bytes -= n;
            self.planned += n + 9;
            if entry.to_send.is_empty() && entry.to_send.capacity() > 16 {
                entry.to_send.shrink_to(0);
            }
            wakers.extend(entry.send_waker.take());
            if end {
                entry.end_sent = true;
                if entry.stop {
                    shared.conn.stop(id, Code::NO_ERROR);
                } else if entry.orphan && !entry.recv_end {
                    shared.conn.reset(id, Code::NO_ERROR);
                }
                if entry.orphan {
                    shared.streams.remove(&id);
                }
            } else {
                shared.enqueue(id);
            }
        }
        self.fill_up(shared);
        if self.plan.is_empty() && shared.may_close() && !self.goodbye {
            self.goodbye = true;
            if self.manners.is_none() {
                self.traffic.close();
            }
        }
        wakers.extend(shared.room());
        drop(guard);
        wakers.into_iter().for_each(Waker::wake);
    }

    // ---- in ----

    /// One read and what it brings. `true` if anything came.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        if self.read_closed {
            return Ok(false);
        }
        match self.tcp.poll_read_ready(cx) {
            Poll::Ready(ready) => ready?,
            Poll::Pending => return Ok(false),
        }
        let mut buf = match self.appetite {
            0 if self.partial.len() <= SMALL_REST => Buf::small(),
            0 | 1 => Buf::large(),
            _ => Buf::huge(),
        };
        let kept = self.partial.len();
        if let Some(place) = buf.get_mut(..kept) {
            place.copy_from_slice(&self.partial);
        }
        let room = buf.get_mut(kept..).unwrap_or_default();
        let size = room.len();
        let n = match self.tcp.try_read(room) {
            Ok(n) => n,
            // Readiness was stale; asking again registers for the next.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return match self.tcp.poll_read_ready(cx) {
                    Poll::Ready(ready) => ready.map(|()| true),
                    Poll::Pending => Ok(false),
                };
            }
            Err(error) => return Err(error),
        };
        self.appetite = match (self.appetite, n == size) {
            (0 | 1, true) => self.appetite + 1,
            (1 | 2, false) if n < size / 4 => self.appetite - 1,
            (same, _) => same,
        };
        if n == 0 {
            self.end_of_input();
            return Ok(true);
        }
        self.heard = Instant::now();
        self.expecting = false;
        self.pinged = None;
        self.partial.clear();
        self.open(buf, kept + n)?;
        Ok(true)
    }

    /// The peer sends nothing more: streams that wait for it are broken, those that only send go on.
    fn end_of_input(&mut self) {
        self.read_closed = true;
        let wakers = self.carrier.lock().break_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// What came with the handshake.
    fn open_rest(&mut self) -> io::Result<()> {
        let rest = std::mem::take(&mut self.partial);
        for part in rest.chunks(16 * 1024) {
            let mut buf = Buf::large();
            let kept = self.partial.len();
            if let Some(place) = buf.get_mut(..kept) {
                place.copy_from_slice(&self.partial);
            }
            if let Some(place) = buf.get_mut(kept..kept + part.len()) {
                place.copy_from_slice(part);
            }
            self.partial.clear();
            self.open(buf, kept + part.len())?;
        }
        Ok(())
    }

    /// Opens all whole records of `buf[..len]` in place and hands them on; the rest is kept.
    fn open(&mut self, mut buf: Buf, len: usize) -> io::Result<()> {
        let mut at = 0;
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let mut failed: Option<TlsError> = None;
        let mut closed = false;
        while at < len && !closed {
            match self.traffic.open(buf.get_mut(at..len).unwrap_or_default()) {
                Ok(Opened::Data { wire, plain }) => {
                    ranges.push(at + plain.start..at + plain.end);
                    at += wire;
                }
                Ok(Opened::Quiet { wire }) => at += wire,
                Ok(Opened::Closed { wire }) => {
                    at += wire;
                    closed = true;
                }
                Ok(Opened::Partial) => break,
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        if failed.is_none() && !closed {
            self.partial.extend_from_slice(buf.get(at..len).unwrap_or_default());
        }
        if self.partial.is_empty() && self.partial.capacity() > 0 {
            self.partial = Vec::new();
        }
        if !ranges.is_empty() {
            let whole = buf.freeze(0..len);
            self.deliver(&whole, &ranges)?;
        }
        if closed {
            self.end_of_input();
        }
        match failed {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    /// Feeds plaintext to the protocol and gives the streams their share. An empty `ranges` means all of `slice`.
    fn deliver(&mut self, slice: &Slice, ranges: &[Range<usize>]) -> io::Result<()> {
        let whole = 0..slice.len();
        let ranges = if ranges.is_empty() { std::slice::from_ref(&whole) } else { ranges };
        let mut wakers: Vec<Waker> = Vec::new();
        let mut incoming: Vec<Incoming> = Vec::new();
        let mut windows: Vec<StreamId> = Vec::new();
        let mut lost: Vec<(StreamId, usize)> = Vec::new();
        let mut broken: Vec<StreamId> = Vec::new();
        let carrier = Arc::clone(&self.carrier);
        let mut guard = carrier.lock();
        let shared = &mut *guard;
        if self.heard.saturating_duration_since(self.calmed) >= CALM {
            self.calmed = self.heard;
            shared.conn.calm();
        }
        let mut outcome = Ok(());
        for range in ranges {
            let base = range.start;
            let streams = &mut shared.streams;
            let (ending, closing) = (&mut shared.ending, &mut shared.closing);
            let settings = &mut shared.settings_wakers;
            let fed = shared.conn.feed(slice.get(range.clone()).unwrap_or_default(), &mut |event| match event {
                Event::Data { id, bytes, offset, end } => match streams.get_mut(&id) {
                    Some(entry) if !entry.orphan && entry.broken.is_none() => {
                        if !bytes.is_empty() {
                            let chunk = if bytes.len() < COPY_BELOW {
                                Slice::copy_from(bytes)
                            } else {
                                slice.sub(base + offset..base + offset + bytes.len())
                            };
                            entry.received.push_back(chunk);
                        }
                        entry.recv_end |= end;
                        wakers.extend(entry.recv_waker.take());
                    }
                    other => {
                        if let Some(entry) = other {
                            entry.recv_end |= end;
                        }
                        if !bytes.is_empty() {
                            lost.push((id, bytes.len()));
                        }
                    }
                },
                Event::Headers { id, fields, end } => match streams.get_mut(&id) {
                    // The response to a stream of ours.
                    Some(entry) => {
                        entry.head = Some(fields.into_boxed_slice());
                        entry.recv_end |= end;
                        wakers.extend(entry.recv_waker.take());
                    }
                    None if R::SERVER => {
                        // The entry must be there before the DATA right behind it (Fast CONNECT).
                        streams.insert(id, request_entry(end));
                        incoming.push(Incoming::Request { id, fields, end });
                    }
                    None => {}
                },
                Event::Trailers { id, .. } => {
                    if let Some(entry) = streams.get_mut(&id) {
                        entry.recv_end = true;
                        wakers.extend(entry.recv_waker.take());
                    }
                }
                Event::Reset { id, .. } => broken.push(id),
                Event::HeadersTooLarge { id, end } => {
                    streams.insert(id, request_entry(end));
                    incoming.push(Incoming::HeadersTooLarge);
                }
                Event::Malformed { id, fields, end, .. } => {
                    streams.insert(id, request_entry(end));
                    incoming.push(Incoming::Malformed { id, fields, end });
                }
                Event::WindowOpen { id } => windows.push(id),
                Event::Settings => {
                    windows.push(0);
                    wakers.append(settings);
                }
                Event::GoAway { .. } => {
                    if *ending == Ending::No {
                        *ending = Ending::Draining;
                    }
                    if !R::SERVER && *closing == Closing::No {
                        // A browser does not wait for the server to hang up.
                        *closing = Closing::WhenIdle;
                    }
                    wakers.append(settings);
                }
                Event::Informational { .. } | Event::SettingsAck | Event::Pong(_) => {}
            });
            for id in broken.drain(..) {
                shared.break_stream(id, Broken::Reset, &mut wakers);
                if shared.streams.get(&id).is_some_and(|entry| entry.orphan) {
                    shared.streams.remove(&id);
                }
            }
            if let Err(error) = fed {
                outcome = Err(io::Error::new(io::ErrorKind::InvalidData, error.reason));
                break;
            }
        }
        for (id, bytes) in lost {
            shared.conn.consumed(id, bytes);
        }
        for id in windows {
            if id == 0 {
                let blocked: Vec<_> = shared.streams.keys().copied().collect();
                blocked.into_iter().for_each(|id| shared.enqueue(id));
            } else {
                shared.enqueue(id);
            }
        }
        wakers.extend(shared.room());
        drop(guard);
        wakers.into_iter().for_each(Waker::wake);
        self.asked |= !incoming.is_empty();
        for request in incoming {
            self.requests.incoming(request);
        }
        outcome
    }

    // ---- time ----

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        use std::sync::atomic::Ordering::Relaxed;
        loop {
            let wait = match self.patience {
                Patience::Ping(_) if self.pinged.is_some() => HUNG,
                Patience::Ping(silence) => match self.idle_left() {
                    // Nothing runs: only the end of the browser's patience counts.
                    Some(left) if left.is_zero() => {
                        let mut shared = self.carrier.lock();
                        shared.ending = Ending::Draining;
                        shared.closing = Closing::WhenIdle;
                        drop(shared);
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    Some(left) => left.min(silence),
                    None => silence,
                },
                Patience::Cover { .. } if self.authenticated.load(Relaxed) => AUTHENTICATED_CHECK,
                Patience::Cover { preface, .. } if !self.asked => preface,
                Patience::Cover { idle, .. } => idle,
            };
            if self.timer.as_mut().poll_elapsed(cx).is_pending() {
                return Poll::Pending;
            }
            let silent = self.pinged.unwrap_or(self.heard).elapsed();
            if silent < wait {
                // Something came meanwhile: sleep for the rest only.
                self.timer.as_mut().reset(Instant::now() + (wait - silent));
                continue;
            }
            let carrier = Arc::clone(&self.carrier);
            let mut shared = carrier.lock();
            match self.patience {
                Patience::Ping(_) if self.pinged.is_some() => {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
                // Where no stream waits for anything, the next request asks.
                Patience::Ping(silence)
                    if self.expecting && !shared.streams.is_empty() && self.heard.elapsed() >= silence =>
                {
                    self.ping(&mut shared);
                }
                Patience::Cover { .. } if !self.authenticated.load(Relaxed) && shared.streams.is_empty() => {
                    shared.conn.goaway(Code::NO_ERROR);
                    shared.closing = Closing::WhenIdle;
                }
                _ => {}
            }
            drop(shared);
            let wait = if self.pinged.is_some() { HUNG } else { wait.max(Duration::from_millis(1)) };
            self.timer.as_mut().reset(Instant::now() + wait);
            // There may be a frame to write now.
            cx.waker().wake_by_ref();
        }
    }
}

/// Window of a request's stream at first: what the nginx look announces.
const FIRST_WINDOW: u32 = 65_536;

fn request_entry(end: bool) -> Box<Entry> {
    Box::new(Entry { recv_end: end, window: FIRST_WINDOW, ..Entry::default() })
}

/// How often an authenticated carrier is looked at; nothing ends it but its TCP keepalive.
const AUTHENTICATED_CHECK: Duration = Duration::from_secs(60);

trait PollElapsed {
    fn poll_elapsed(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()>;
}

impl PollElapsed for Sleep {
    fn poll_elapsed(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        std::future::Future::poll(self, cx)
    }
}
