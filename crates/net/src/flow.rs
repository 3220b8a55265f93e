//! One direction of a relay: chunks are moved, or, where both ends are plain TCP sockets and the flow proves to be
//! bulk, bytes are moved inside the kernel (splice).

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use crate::bucket::{Bucket, Claim};
use crate::pool::HUGE;
use crate::stream::{Io, Stream};

/// A direction yields to other tasks after this many bytes.
const TURN: usize = 8 * 1024 * 1024;
/// A chunk at least this long makes its flow bulk: it filled the smallest read.
const BULK: usize = 16 * 1024;
/// Copying so little is cheaper than splicing it. A bulk flow is bulk no more after several wake-ups in a row that
/// brought less; single small ones come in every bulk flow, whose segments arrive unevenly.
#[cfg(target_os = "linux")]
const TRICKLE: usize = 4 * 1024;
#[cfg(target_os = "linux")]
const TRICKLES: u8 = 16;
/// A running tunnel's meters lag behind by at most this many bytes, and by nothing when it pauses.
const METER_STEP: u64 = 1024 * 1024;
static SPLICED: AtomicU64 = AtomicU64::new(0);

/// Bytes that all relays of this process moved inside the kernel; only ever grows.
#[must_use]
pub fn spliced() -> u64 {
    SPLICED.load(Ordering::Relaxed)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Bytes may come.
    Open,
    /// The source finished; the sink is still to be told.
    Ending,
    Done,
}

/// One direction.
pub(crate) struct Flow {
    stage: Stage,
    bulk: bool,
    /// The sink has no room, so that nobody listens to the source.
    blocked: bool,
    pub(crate) moved: u64,
    unbilled: u64,
    claim: Option<Box<Claim>>,
    #[cfg(target_os = "linux")]
    pipe: Option<crate::pipes::Pipe>,
    #[cfg(target_os = "linux")]
    trickles: u8,
    #[cfg(target_os = "linux")]
    spliced: u64,
}

impl Flow {
    pub(crate) fn new(bucket: Option<Arc<Bucket>>) -> Self {
        Self {
            stage: Stage::Open,
            bulk: false,
            blocked: false,
            moved: 0,
            unbilled: 0,
            claim: bucket.map(|bucket| Box::new(Claim::new(bucket))),
            #[cfg(target_os = "linux")]
            pipe: None,
            #[cfg(target_os = "linux")]
            trickles: 0,
            #[cfg(target_os = "linux")]
            spliced: 0,
        }
    }

    /// Whether a reset of the source would go unnoticed: nobody waits for it to become readable.
    pub(crate) fn unheard(&self) -> bool {
        self.blocked || self.stage == Stage::Done
    }

    /// Whether the source has ended, and the sink knows.
    pub(crate) fn done(&self) -> bool {
        self.stage == Stage::Done
    }

    fn count(&mut self, bytes: usize, bill: &impl Fn(u64)) {
        self.moved += bytes as u64;
        self.unbilled += bytes as u64;
        if self.unbilled >= METER_STEP {
            self.settle(bill);
        }
    }

    pub(crate) fn settle(&mut self, bill: &impl Fn(u64)) {
        let bytes = std::mem::take(&mut self.unbilled);
        if bytes > 0 {
            bill(bytes);
        }
    }

    fn allowance(&mut self, cx: &mut Context<'_>, want: usize) -> Poll<usize> {
        match &mut self.claim {
            Some(claim) => claim.poll_take(cx, want),
            None => Poll::Ready(want),
        }
    }

    fn spend(&mut self, bytes: usize) {
        if let Some(claim) = &mut self.claim {
            claim.spend(bytes);
        }
    }

    /// Nothing is there to be moved: what is held for moving goes back.
    fn rest(&mut self) {
        if let Some(claim) = &mut self.claim {
            claim.give_back();
        }
        #[cfg(target_os = "linux")]
        if let Some(pipe) = self.pipe.take() {
            crate::pipes::give_back(pipe);
        }
    }

    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut Io,
        sink: &mut Io,
        bill: &impl Fn(u64),
    ) -> Poll<io::Result<()>> {
        let polled = self.poll_stages(cx, source, sink, bill);
        #[cfg(target_os = "linux")]
        SPLICED.fetch_add(std::mem::take(&mut self.spliced), Ordering::Relaxed);
        self.settle(bill);
        polled
    }

    fn poll_stages(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut Io,
        sink: &mut Io,
        bill: &impl Fn(u64),
    ) -> Poll<io::Result<()>> {
        let mut left = TURN;
        while self.stage == Stage::Open {
            if left == 0 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.blocked = true;
            let moved = match self.poll_splice(cx, source, sink, left, bill)? {
                Spliced::Moved(bytes) => bytes,
                Spliced::Pending => return Poll::Pending,
                Spliced::Ended => {
                    self.stage = Stage::Ending;
                    break;
                }
                Spliced::NotNow => match ready!(self.poll_copy(cx, source, sink))? {
                    Some(bytes) => {
                        self.count(bytes, bill);
                        bytes
                    }
                    None => {
                        self.stage = Stage::Ending;
                        break;
                    }
                },
            };
            left = left.saturating_sub(moved);
        }
        if self.stage == Stage::Ending {
            self.blocked = true;
            self.rest();
            ready!(sink.poll_finish(cx))?;
            self.blocked = false;
            self.stage = Stage::Done;
        }
        Poll::Ready(Ok(()))
    }

    /// Moves one chunk; `None` is the end of the source.
    fn poll_copy(&mut self, cx: &mut Context<'_>, source: &mut Io, sink: &mut Io) -> Poll<io::Result<Option<usize>>> {
        if source.raw().is_some() {
            // A socket's chunks are large already, and an empty sink lets the flow be spliced.
            ready!(sink.poll_flush(cx))?;
        }
        ready!(sink.poll_ready(cx))?;
        let Poll::Ready(most) = self.allowance(cx, HUGE) else {
            return sink.poll_flush(cx).map_ok(|()| None).and_pending();
        };
        self.blocked = false;
        let received = source.poll_recv(cx, most);
        match received {
            Poll::Ready(Ok(Some(chunk))) => {
                let bytes = chunk.len();
                self.bulk = bytes >= BULK;
                self.spend(bytes);
                sink.send(chunk);
                Poll::Ready(Ok(Some(bytes)))
            }
            Poll::Ready(Ok(None)) => Poll::Ready(Ok(None)),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                self.rest();
                sink.poll_flush(cx).map_ok(|()| None).and_pending()
            }
        }
    }
}

/// A poll whose success is no news, while its failure is.
trait AndPending {
    fn and_pending(self) -> Self;
}

impl<T> AndPending for Poll<io::Result<T>> {
    fn and_pending(self) -> Self {
        match self {
            Poll::Ready(Ok(_)) => Poll::Pending,
            other => other,
        }
    }
}

/// What became of an attempt to splice.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
enum Spliced {
    Moved(usize),
    /// A waker is registered.
    Pending,
    /// The source finished, and the pipe is empty.
    Ended,
    /// This flow is to be copied, at least for now.
    NotNow,
}

impl Flow {
    #[cfg(not(target_os = "linux"))]
    #[allow(clippy::unused_self, clippy::unnecessary_wraps)]
    fn poll_splice(
        &mut self,
        _cx: &mut Context<'_>,
        _source: &Io,
        _sink: &Io,
        _most: usize,
        _bill: &impl Fn(u64),
    ) -> io::Result<Spliced> {
        Ok(Spliced::NotNow)
    }

    /// Takes note of what one wake-up brought. One that brought nothing (its bytes were taken before) says nothing.
    #[cfg(target_os = "linux")]
    fn judge(&mut self, done: usize) {
        if done >= TRICKLE {
            self.trickles = 0;
        } else if done > 0 {
            self.trickles += 1;
            if self.trickles >= TRICKLES {
                self.trickles = 0;
                self.bulk = false;
            }
        }
    }

    /// Moves up to `most` bytes inside the kernel. Fills an empty pipe only, so that "would block" always has one
    /// meaning.
    #[cfg(target_os = "linux")]
    fn poll_splice(
        &mut self,
        cx: &mut Context<'_>,
        source: &Io,
        sink: &Io,
        most: usize,
        bill: &impl Fn(u64),
    ) -> io::Result<Spliced> {
        use crate::pipes;
        use tokio::io::Interest;

        let inside = self.pipe.as_ref().map_or(0, pipes::Pipe::inside);
        if inside == 0 && !self.bulk {
            return Ok(Spliced::NotNow);
        }
        let (source, sink) = match (source.raw(), sink.raw()) {
            (Some(source), Some(sink)) => (source, sink),
            _ if inside == 0 => return Ok(Spliced::NotNow),
            // Only a stream that breaks its promise takes its socket away while bytes bypass it.
            _ => return Err(io::ErrorKind::Other.into()),
        };
        let mut done = 0;
        loop {
            let Some(pipe) = self.pipe.as_mut() else {
                self.pipe = pipes::lend();
                if self.pipe.is_none() {
                    return Ok(Spliced::NotNow);
                }
                continue;
            };
            while pipe.inside() > 0 {
                self.blocked = true;
                match sink.try_io(Interest::WRITABLE, || pipe.drain(sink)) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(bytes) => {
                        done += bytes;
                        self.moved += bytes as u64;
                        self.unbilled += bytes as u64;
                        self.spliced += bytes as u64;
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => match sink.poll_write_ready(cx)? {
                        Poll::Ready(()) => {}
                        Poll::Pending => return Ok(Spliced::Pending),
                    },
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            if self.unbilled >= METER_STEP {
                self.settle(bill);
            }
            if done >= most {
                return Ok(Spliced::Moved(done));
            }
            let Poll::Ready(allowed) = self.allowance(cx, pipes::WANTED) else {
                // The pipe is empty; others can use it while this flow waits for its turn.
                if let Some(pipe) = self.pipe.take() {
                    pipes::give_back(pipe);
                }
                return Ok(Spliced::Pending);
            };
            self.blocked = false;
            let Some(pipe) = self.pipe.as_mut() else { continue };
            match source.try_io(Interest::READABLE, || pipe.fill(source, allowed)) {
                Ok(0) => return Ok(Spliced::Ended),
                Ok(bytes) => self.spend(bytes),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => match source.poll_read_ready(cx)? {
                    Poll::Ready(()) => {}
                    Poll::Pending => {
                        self.judge(done);
                        self.rest();
                        return Ok(Spliced::Pending);
                    }
                },
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
