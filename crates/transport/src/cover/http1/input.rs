//! The receiving side: nginx's header buffers, whose sizes decide which request is too large, and the discarding of
//! bodies.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use rozaneh_net::pool::Slice;
use tokio::io::{AsyncRead, ReadBuf};

/// `client_header_buffer_size 1k`.
const FIRST: usize = 1024;
/// `large_client_header_buffers 4 8k`.
const LARGE: usize = 8192;
const LARGE_COUNT: usize = 4;

/// Header bytes in the buffer nginx would hold them in. Empty and without memory between requests.
pub(super) struct Input {
    /// Bytes that somebody read from the connection before.
    early: Slice,
    buffer: Vec<u8>,
    room: usize,
    /// The first byte not yet understood.
    at: usize,
    large: usize,
}

impl Input {
    pub(super) fn new(early: Slice) -> Self {
        Self { early, buffer: Vec::new(), room: FIRST, at: 0, large: 0 }
    }

    /// What is buffered and not yet understood.
    pub(super) fn rest(&self) -> &[u8] {
        self.buffer.get(self.at..).unwrap_or_default()
    }

    /// Marks bytes as understood.
    pub(super) fn advance(&mut self, count: usize) {
        self.at = (self.at + count).min(self.buffer.len());
    }

    /// Whether the buffer has no room behind what it holds.
    pub(super) fn is_full(&self) -> bool {
        self.buffer.len() >= self.room
    }

    /// Whether nothing was received that was not understood.
    pub(super) fn is_drained(&self) -> bool {
        self.at >= self.buffer.len() && self.early.is_empty()
    }

    /// Another buffer for the rest of a line that began at `start` bytes into [`Input::rest`]; `false` = too large.
    /// `fresh` says that no byte of a line is there yet.
    pub(super) fn enlarge(&mut self, start: usize, fresh: bool) -> bool {
        let from = self.at + start;
        let line = self.buffer.get(from..).unwrap_or_default();
        if self.large >= LARGE_COUNT || (!fresh && line.len() >= LARGE) {
            return false;
        }
        let mut buffer = Vec::with_capacity(LARGE);
        if !fresh {
            buffer.extend_from_slice(line);
        }
        self.buffer = buffer;
        self.room = LARGE;
        self.at = 0;
        self.large += 1;
        true
    }

    /// The buffer holds only empty lines: it is used again.
    pub(super) fn rewind(&mut self) {
        self.buffer.clear();
        self.at = 0;
    }

    /// A request is over: what follows it stays where it is, everything else is given back.
    pub(super) fn next_request(&mut self) {
        if self.at < self.buffer.len() {
            self.large = usize::from(self.room == LARGE);
        } else {
            self.buffer = Vec::new();
            self.room = FIRST;
            self.at = 0;
            self.large = 0;
        }
    }

    /// Receives into the room that is left; `Ok(0)` is the end. Holds no memory while nothing comes.
    pub(super) async fn fill<S: AsyncRead + Unpin>(&mut self, io: &mut S) -> io::Result<usize> {
        poll_fn(|cx| self.poll_fill(io, cx)).await
    }

    fn poll_fill<S: AsyncRead + Unpin>(&mut self, io: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let held = self.buffer.len();
        let room = self.room.saturating_sub(held);
        if !self.early.is_empty() {
            let count = room.min(self.early.len());
            let part = self.early.split_to(count);
            self.buffer.reserve_exact(room);
            self.buffer.extend_from_slice(&part);
            return Poll::Ready(Ok(count));
        }
        let mut space = [0_u8; LARGE];
        let mut read = ReadBuf::new(space.get_mut(..room).unwrap_or_default());
        match Pin::new(io).poll_read(cx, &mut read) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) => {
                let count = read.filled().len();
                if self.buffer.capacity() < self.room && count > 0 {
                    self.buffer.reserve_exact(room);
                }
                self.buffer.extend_from_slice(read.filled());
                Poll::Ready(Ok(count))
            }
        }
    }

    /// Bytes of a body: what is buffered first, then what the connection has. `None` = nothing there yet.
    pub(super) fn poll_body<S: AsyncRead + Unpin>(
        &mut self,
        io: &mut S,
        cx: &mut Context<'_>,
        take: &mut dyn FnMut(&[u8]) -> usize,
    ) -> Poll<io::Result<usize>> {
        if self.at < self.buffer.len() {
            let taken = take(self.rest());
            self.advance(taken);
            return Poll::Ready(Ok(taken));
        }
        if !self.early.is_empty() {
            let taken = take(&self.early).min(self.early.len());
            self.early.advance(taken);
            return Poll::Ready(Ok(taken));
        }
        // What a read brings beyond the body belongs to the next request and goes into the buffer.
        let mut space = [0_u8; 4096];
        let mut read = ReadBuf::new(&mut space);
        match Pin::new(io).poll_read(cx, &mut read) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) => {
                let got = read.filled();
                let taken = take(got).min(got.len());
                let rest = got.get(taken..).unwrap_or_default();
                if !rest.is_empty() {
                    self.early = Slice::copy_from(rest);
                }
                Poll::Ready(Ok(if got.is_empty() { 0 } else { taken.max(1) }))
            }
        }
    }
}
