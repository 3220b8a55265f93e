//! Request bodies: thrown away, or handed to a proxied site.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use rozaneh_net::pool::Slice;
use tokio::io::AsyncRead;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::super::body::Chunks;
use super::super::message::BodyIn;
use super::chunked::{Chunked, Malformed};
use super::input::Input;

/// Where reading past a body got to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drained {
    /// All of it was read.
    Done,
    /// The rest has not come yet.
    Waiting,
    /// It broke the rules of its coding.
    Malformed,
    /// The visitor left.
    Gone,
}

enum Kind {
    Sized(u64),
    Chunked(Chunked),
    Endless,
}

/// The body of one request, as far as it was not read yet.
pub(super) struct Upload {
    kind: Kind,
    malformed: bool,
}

impl Upload {
    pub(super) fn new(length: Option<u64>, chunked: bool) -> Self {
        let kind = if chunked { Kind::Chunked(Chunked::new()) } else { Kind::Sized(length.unwrap_or(0)) };
        Self { kind, malformed: false }
    }

    /// Everything until the visitor leaves.
    pub(super) fn endless() -> Self {
        Self { kind: Kind::Endless, malformed: false }
    }

    /// Whether more belongs to the body.
    pub(super) fn is_pending(&self) -> bool {
        match &self.kind {
            Kind::Sized(left) => *left > 0,
            Kind::Chunked(chunked) => !chunked.is_over(),
            Kind::Endless => true,
        }
    }

    /// What the request says about its body.
    pub(super) fn announce(&self) -> BodyIn {
        match &self.kind {
            Kind::Sized(left) => BodyIn { length: Some(*left), open: false, stream: None },
            Kind::Chunked(_) | Kind::Endless => BodyIn { length: None, open: true, stream: None },
        }
    }

    /// Takes bytes; returns how many were the body's.
    fn take(&mut self, bytes: &[u8], data: &mut dyn FnMut(&[u8])) -> usize {
        match &mut self.kind {
            Kind::Sized(left) => {
                let count = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *left -= count as u64;
                data(bytes.get(..count).unwrap_or_default());
                count
            }
            Kind::Chunked(chunked) => match chunked.feed(bytes, data) {
                Ok(count) => count,
                Err(Malformed) => {
                    self.malformed = true;
                    0
                }
            },
            Kind::Endless => bytes.len(),
        }
    }

    fn poll_drain<S: AsyncRead + Unpin>(
        &mut self,
        input: &mut Input,
        io: &mut S,
        cx: &mut Context<'_>,
        data: &mut dyn FnMut(&[u8]),
    ) -> Poll<Drained> {
        if !self.is_pending() {
            return Poll::Ready(Drained::Done);
        }
        let read = input.poll_body(io, cx, &mut |bytes| self.take(bytes, data));
        if self.malformed {
            return Poll::Ready(Drained::Malformed);
        }
        match read {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(_) | Ok(0)) => Poll::Ready(Drained::Gone),
            Poll::Ready(Ok(_)) if self.is_pending() => Poll::Ready(Drained::Waiting),
            Poll::Ready(Ok(_)) => Poll::Ready(Drained::Done),
        }
    }

    /// Throws away what is there without waiting. A visitor that left is noticed when more is awaited.
    pub(super) async fn drain_now<S: AsyncRead + Unpin>(&mut self, input: &mut Input, io: &mut S) -> Drained {
        poll_fn(|cx| {
            loop {
                match self.poll_drain(input, io, cx, &mut |_| {}) {
                    Poll::Pending => return Poll::Ready(Drained::Waiting),
                    Poll::Ready(Drained::Waiting) => {}
                    Poll::Ready(Drained::Gone) => return Poll::Ready(Drained::Waiting),
                    Poll::Ready(other) => return Poll::Ready(other),
                }
            }
        })
        .await
    }

    /// Throws away the rest, waiting `pause` between reads and `total` in all.
    pub(super) async fn drain<S: AsyncRead + Unpin>(
        &mut self,
        input: &mut Input,
        io: &mut S,
        pause: Duration,
        total: Duration,
    ) -> Drained {
        let end = Instant::now() + total;
        loop {
            let step = poll_fn(|cx| self.poll_drain(input, io, cx, &mut |_| {}));
            match timeout_at(end.min(Instant::now() + pause), step).await {
                Err(_) => return Drained::Waiting,
                Ok(Drained::Waiting) if Instant::now() >= end => return Drained::Waiting,
                Ok(Drained::Waiting) => {}
                Ok(other) => return other,
            }
        }
    }

    /// Hands the body to `feeder` as it comes, `pause` at most between two reads.
    pub(super) async fn feed<S: AsyncRead + Unpin>(
        &mut self,
        input: &mut Input,
        io: &mut S,
        feeder: Feeder,
        pause: Duration,
    ) -> Drained {
        while self.is_pending() {
            // A place in the queue first: what nobody takes is not read.
            let Ok(place) = feeder.0.reserve().await else { return Drained::Waiting };
            let mut data = Vec::new();
            let step = poll_fn(|cx| self.poll_drain(input, io, cx, &mut |part| data.extend_from_slice(part)));
            let read = timeout_at(Instant::now() + pause, step).await.unwrap_or(Drained::Gone);
            if matches!(read, Drained::Malformed | Drained::Gone) {
                place.send(Err(io::ErrorKind::UnexpectedEof.into()));
                return read;
            }
            if !data.is_empty() {
                place.send(Ok(Slice::from_vec(data)));
            }
        }
        Drained::Done
    }
}

/// The end of a channel that a body goes into.
pub(super) struct Feeder(mpsc::Sender<io::Result<Slice>>);

/// The end it comes out of.
pub(super) struct Fed(mpsc::Receiver<io::Result<Slice>>);

/// A channel for a body: four reads long, so that a slow site slows the visitor down.
pub(super) fn channel() -> (Feeder, Fed) {
    let (sender, receiver) = mpsc::channel(4);
    (Feeder(sender), Fed(receiver))
}

impl Chunks for Fed {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Slice>>> {
        self.0.poll_recv(cx).map(Option::transpose)
    }
}

/// Runs an answer and the upload it needs side by side. The upload stops when the answer is there: a site that
/// answers without reading everything does not want the rest.
pub(super) async fn both<A>(
    answer: impl Future<Output = A>,
    feed: impl Future<Output = Drained>,
) -> (A, Option<Drained>) {
    let mut answer = pin!(answer);
    let mut feed = pin!(feed);
    let mut fed = None;
    poll_fn(|cx| {
        if fed.is_none() {
            if let Poll::Ready(done) = Pin::as_mut(&mut feed).poll(cx) {
                fed = Some(done);
            }
        }
        Pin::as_mut(&mut answer).poll(cx).map(|answer| (answer, fed))
    })
    .await
}
