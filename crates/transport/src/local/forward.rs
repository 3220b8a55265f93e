//! One plain HTTP request through the proxy, as a stream: the rewritten head and the body go out, nothing behind the
//! body does; the response comes back with `Connection: close`.
//!
//! Where the server does not answer in HTTP, or not at all, the program gets an error page instead of silence.

use std::io;
use std::task::{Context, Poll, ready};

use rozaneh_net::pool::Slice;
use rozaneh_net::stream::{Io, Stream};
use rozaneh_wire::http1::Problem;
use rozaneh_wire::http1::body::{Framing, Tracker};
use rozaneh_wire::http1::response::Rewriter;

/// So many bytes behind the request are thrown away; then they are left in the socket, which slows the program down.
const MAX_DISCARDED: usize = 256 * 1024;

/// The one request.
pub(super) struct Single {
    pub head: Vec<u8>,
    pub body: Framing,
    pub head_only: bool,
}

/// The program's side of the relay.
pub(super) struct Forward {
    io: Io,
    head: Slice,
    body: Tracker,
    response: Rewriter,
    discarded: usize,
    head_only: bool,
    /// The program got an error page; what the server says is of no more interest.
    failed: bool,
    /// The response broke after it had begun: nothing can be said any more.
    broken: bool,
}

impl Forward {
    pub(super) fn new(io: Io, request: Single) -> Self {
        Self {
            io,
            head: Slice::from_vec(request.head),
            body: Tracker::new(request.body),
            response: Rewriter::new(),
            discarded: 0,
            head_only: request.head_only,
            failed: false,
            broken: false,
        }
    }

    fn error_page(&mut self) {
        self.failed = true;
        self.io.send(Slice::from_vec(Problem::BAD_GATEWAY.response(self.head_only)));
    }

    fn check(&self) -> io::Result<()> {
        if self.broken { Err(io::ErrorKind::InvalidData.into()) } else { Ok(()) }
    }
}

impl Stream for Forward {
    fn poll_recv(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<io::Result<Option<Slice>>> {
        if !self.head.is_empty() {
            return Poll::Ready(Ok(Some(self.head.split_to(max.max(1)))));
        }
        loop {
            if self.discarded > MAX_DISCARDED {
                return Poll::Pending;
            }
            let Some(mut chunk) = ready!(self.io.poll_recv(cx, max))? else {
                return Poll::Ready(if self.failed {
                    // It has read its error page; the server is of no more use.
                    Err(io::ErrorKind::ConnectionAborted.into())
                } else if self.body.is_done() {
                    Ok(None)
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                });
            };
            let taken = self.body.feed(&chunk)?;
            self.discarded += chunk.len().saturating_sub(taken);
            if taken > 0 {
                return Poll::Ready(Ok(Some(chunk.split_to(taken))));
            }
        }
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        self.io.poll_ready(cx)
    }

    fn send(&mut self, chunk: Slice) {
        if self.failed || self.broken {
            return;
        }
        if self.response.is_done() {
            self.io.send(chunk);
            return;
        }
        let mut out = Vec::new();
        match self.response.feed(&chunk, &mut out) {
            Ok(taken) => {
                // One copy of at most one chunk, where head and body came together.
                out.extend_from_slice(chunk.get(taken..).unwrap_or_default());
                if !out.is_empty() {
                    self.io.send(Slice::from_vec(out));
                }
            }
            Err(_) if self.response.is_untouched() && out.is_empty() => self.error_page(),
            Err(_) => self.broken = true,
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        self.io.poll_flush(cx)
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        if !self.response.is_done() && !self.failed {
            if !self.response.is_untouched() {
                self.broken = true;
                return Poll::Ready(self.check());
            }
            ready!(self.io.poll_ready(cx))?;
            self.error_page();
        }
        self.io.poll_finish(cx)
    }

    fn abort(&mut self) {
        self.io.abort();
    }
}
