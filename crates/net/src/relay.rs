//! The one relay loop: moves bytes both ways between two streams until both have ended, or one breaks.
//!
//! One task drives both directions. An idle direction holds neither buffer nor pipe.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use smallvec::SmallVec;
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::CancellationToken;

use crate::bucket::Bucket;
use crate::flow::Flow;
pub use crate::flow::spliced;
use crate::stream::{Io, Stream};

/// A side that nobody reads (its bytes wait for the other side, or it has finished) is looked at this often, to see
/// whether it was reset meanwhile.
const WATCH: Duration = Duration::from_secs(1);

/// Bytes moved; only ever grows.
#[derive(Debug, Default)]
pub struct Meter {
    pub up: AtomicU64,
    pub down: AtomicU64,
}

impl Meter {
    /// Both counts: up, down.
    #[must_use]
    pub fn read(&self) -> (u64, u64) {
        (self.up.load(Ordering::Relaxed), self.down.load(Ordering::Relaxed))
    }
}

/// What one relay is told: whom to bill, how fast it may go, and what ends it.
#[derive(Clone, Default)]
pub struct Control {
    /// Each is told of every byte.
    pub meters: SmallVec<[Arc<Meter>; 2]>,
    /// Limits the first stream's bytes on their way to the second.
    pub up: Option<Arc<Bucket>>,
    /// Limits the second stream's bytes on their way to the first.
    pub down: Option<Arc<Bucket>>,
    /// Cancelled: both ends see a reset.
    pub cut: CancellationToken,
    /// Ends the relay when nothing moved either way for this long.
    pub idle: Option<Duration>,
    /// When the second stream has ended, its reset is passed on at once; and both are closed, without a reset, when the
    /// first was silent for this long since.
    pub lonely: Option<Duration>,
}

/// How a relay ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// Both sides finished sending and everything was delivered.
    Finished,
    /// One side was reset, and so was the other by us.
    Reset,
    /// The control's token was cancelled.
    Cut,
    /// Nothing moved for too long.
    Idle,
    /// One side broke otherwise; the other was reset.
    Error(io::ErrorKind),
}

impl End {
    fn from_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
                Self::Reset
            }
            kind => Self::Error(kind),
        }
    }
}

/// The whole of a relay, for its close event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Bytes delivered from the first stream to the second.
    pub up: u64,
    /// Bytes delivered from the second stream to the first.
    pub down: u64,
    pub end: End,
}

/// Moves bytes between `a` and `b` until both directions have ended. `up` is from `a` to `b`.
pub fn relay(a: Io, b: Io, control: Control) -> impl Future<Output = Outcome> + Send {
    let Control { meters, up, down, cut, idle, lonely } = control;
    // Built outside the async block and used in place: an async fn would keep its arguments twice.
    let (up, down) = (Flow::new(up), Flow::new(down));
    let mut core = Core { a, b, up, down, meters, watch: None, idle: None, lonely: Lonely::new(lonely) };
    async move {
        core.idle = idle.map(|limit| Box::new(IdleTimer::new(limit)));
        let mut cancelled = pin!(cut.cancelled());
        poll_fn(|cx| core.poll(cx, cancelled.as_mut())).await
    }
}

struct Core {
    a: Io,
    b: Io,
    up: Flow,
    down: Flow,
    meters: SmallVec<[Arc<Meter>; 2]>,
    watch: Option<Pin<Box<Sleep>>>,
    idle: Option<Box<IdleTimer>>,
    lonely: Lonely,
}

/// What waits for a first stream whose second has ended.
enum Lonely {
    Never,
    After(Duration),
    Waiting(Box<IdleTimer>, Alarm),
}

/// Ready when a socket has failed; a second descriptor of it, so that nothing of it is borrowed.
type Alarm = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Lonely {
    fn new(limit: Option<Duration>) -> Self {
        limit.map_or(Self::Never, Self::After)
    }

    fn poll(&mut self, cx: &mut Context<'_>, moved: u64, ended: &Io) -> Option<End> {
        if let Self::After(limit) = *self {
            *self = Self::Waiting(Box::new(IdleTimer::new(limit)), alarm(ended));
        }
        let Self::Waiting(timer, alarm) = self else { return None };
        if alarm.as_mut().poll(cx).is_ready() {
            // Its kernel resets what comes for a connection that is closed; the first stream hears it at once.
            return Some(End::Reset);
        }
        timer.poll(cx, moved).is_ready().then_some(End::Finished)
    }
}

#[cfg(target_os = "linux")]
fn alarm(io: &Io) -> Alarm {
    use std::os::fd::AsFd;
    use tokio::io::Interest;
    use tokio::net::TcpStream;

    let copy = |io: &Io| -> io::Result<TcpStream> {
        let Io::Tcp(io) = io else { return Err(io::ErrorKind::Unsupported.into()) };
        let socket = io.socket().ok_or(io::ErrorKind::NotConnected)?;
        TcpStream::from_std(socket.as_fd().try_clone_to_owned()?.into())
    };
    match copy(io) {
        Ok(socket) => Box::pin(async move {
            // Where even waiting fails, the timers still end the relay.
            if socket.ready(Interest::ERROR).await.is_err() {
                std::future::pending::<()>().await;
            }
        }),
        Err(_) => Box::pin(std::future::pending()),
    }
}

#[cfg(not(target_os = "linux"))]
fn alarm(_io: &Io) -> Alarm {
    Box::pin(std::future::pending())
}

impl Core {
    fn poll(&mut self, cx: &mut Context<'_>, cancelled: Pin<&mut impl Future<Output = ()>>) -> Poll<Outcome> {
        if cancelled.poll(cx).is_ready() {
            return Poll::Ready(self.end(End::Cut));
        }
        let up = self.up.poll(cx, &mut self.a, &mut self.b, &|bytes| bill(&self.meters, bytes, 0));
        // Also where the other direction has just failed: a server that hangs up on what it is sent has often answered
        // before, and that answer is the first stream's to read.
        let down = self.down.poll(cx, &mut self.b, &mut self.a, &|bytes| bill(&self.meters, 0, bytes));
        match (up, down) {
            (Poll::Ready(Err(error)), _) | (_, Poll::Ready(Err(error))) => Poll::Ready(self.end(End::from_io(&error))),
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(self.end(End::Finished)),
            _ => {
                let end = ready!(self.poll_timers(cx));
                Poll::Ready(self.end(end))
            }
        }
    }

    fn end(&mut self, end: End) -> Outcome {
        if end != End::Finished {
            self.a.abort();
            self.b.abort();
        }
        self.up.settle(&|bytes| bill(&self.meters, bytes, 0));
        self.down.settle(&|bytes| bill(&self.meters, 0, bytes));
        Outcome { up: self.up.moved, down: self.down.moved, end }
    }

    fn poll_timers(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let needed = self.up.unheard() || self.down.unheard();
        if needed && self.watch.is_none() {
            self.watch = Some(Box::pin(sleep(WATCH)));
        }
        while let Some(watch) = &mut self.watch {
            if watch.as_mut().poll(cx).is_pending() {
                break;
            }
            if !needed {
                self.watch = None;
            } else if broken(&self.a) || broken(&self.b) {
                return Poll::Ready(End::Reset);
            } else {
                watch.as_mut().reset(Instant::now() + WATCH);
            }
        }
        if self.down.done() {
            if let Some(end) = self.lonely.poll(cx, self.up.moved, &self.b) {
                return Poll::Ready(end);
            }
        }
        match &mut self.idle {
            Some(idle) => idle.poll(cx, self.up.moved.wrapping_add(self.down.moved)).map(|()| End::Idle),
            None => Poll::Pending,
        }
    }
}

fn bill(meters: &[Arc<Meter>], up: u64, down: u64) {
    for meter in meters {
        if up > 0 {
            meter.up.fetch_add(up, Ordering::Relaxed);
        }
        if down > 0 {
            meter.down.fetch_add(down, Ordering::Relaxed);
        }
    }
}

/// Whether a socket that nobody reads has an error waiting, which a reset is.
#[cfg(unix)]
fn broken(io: &Io) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use std::os::fd::AsFd;
    let fd = match io {
        Io::Tcp(io) => io.socket().map(AsFd::as_fd),
        Io::Unix(io) => io.socket().map(AsFd::as_fd),
        Io::Dyn(_) => None,
    };
    let Some(fd) = fd else { return false };
    // Errors are reported whether asked for or not (poll(2)).
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&now)).is_ok() && fds[0].revents().contains(PollFlags::ERR)
}

#[cfg(not(unix))]
fn broken(_io: &Io) -> bool {
    false
}

/// Fires when the sum of both counts has not changed for the limit.
struct IdleTimer {
    limit: Duration,
    seen: u64,
    since: Instant,
    timer: Pin<Box<Sleep>>,
}

impl IdleTimer {
    fn new(limit: Duration) -> Self {
        Self { limit, seen: 0, since: Instant::now(), timer: Box::pin(sleep(limit)) }
    }

    fn poll(&mut self, cx: &mut Context<'_>, moved: u64) -> Poll<()> {
        if moved != self.seen {
            self.seen = moved;
            self.since = Instant::now();
        }
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let until = self.since + self.limit;
            if until <= Instant::now() {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(until);
        }
    }
}

#[cfg(test)]
#[path = "relay_tests.rs"]
mod tests;
