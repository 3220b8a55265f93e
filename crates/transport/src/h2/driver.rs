//! The one task of a carrier: the only place that touches its socket and its TLS traffic.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rozaneh_net::pool::{Buf, Slice};
use rozaneh_wire::h2::{Code, Field, StreamId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use super::carrier::{Carrier, Closing, Ending};
use super::rate::Rate;
use crate::tls::Traffic;
use crate::tls::drive::Ready;

mod manners;
mod reading;
mod writing;

pub(super) use manners::FLIGHTS;
use manners::HUNG;
pub(crate) use manners::Manners;

/// nginx's `lingering_timeout` and `lingering_time`.
const LINGER_SILENCE: Duration = Duration::from_secs(5);
const LINGER: Duration = Duration::from_secs(30);
/// Rounds of writing and reading before other tasks get their turn.
const ROUNDS: usize = 16;

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
