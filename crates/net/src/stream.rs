//! The one shape every byte stream has for the relay, and the two kinds of socket in that shape.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use crate::pool::{Buf, LARGE, SMALL, Slice};

/// One duplex flow of chunks with half-close: the only thing the relay knows.
pub trait Stream: Send + Unpin + 'static {
    /// The next chunk, of at most `max` bytes (at least 1); `Ok(None)` means that the peer finished sending, and
    /// stays the answer. Holds no buffer while pending.
    fn poll_recv(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<io::Result<Option<Slice>>>;

    /// Waits for room for one more chunk: the previous ones have left this object, or sit in a bounded queue until
    /// it is full or `poll_flush` is called.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Takes a chunk; only after `poll_ready` returned `Ready(Ok)`.
    fn send(&mut self, chunk: Slice);

    /// Waits until everything taken has been handed to the kernel or to the carrier.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Half-closes our sending side, after a flush: FIN or END_STREAM.
    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Ends both directions at once; the peer sees a reset (SO_LINGER 0, RST_STREAM CANCEL). Idempotent.
    fn abort(&mut self);

    /// The plain TCP socket underneath, where bytes may bypass this object in both directions (splice).
    fn raw(&self) -> Option<&TcpStream> {
        None
    }
}

/// A message no longer than this is copied out of the read buffer, so that a queue of small messages does not pin
/// a read buffer for each.
const COPY_OUT: usize = 1024;

/// Bytes, and chunks, that may wait for one vectored write. A carrier's chunks are a record each, and a system call
/// for each would cost more than its cipher.
const BATCH_BYTES: usize = 256 * 1024;
const BATCH_CHUNKS: usize = 32;

/// How large the next read's buffer is: grows while reads fill it, falls back when they do not.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Appetite {
    Small,
    Large,
    Huge,
}

impl Appetite {
    fn borrow(self, max: usize) -> Buf {
        match self {
            Self::Huge if max > LARGE => Buf::huge(),
            Self::Large | Self::Huge if max > SMALL => Buf::large(),
            _ => Buf::small(),
        }
    }

    fn after(self, read: usize, room: usize) -> Self {
        match self {
            Self::Small if read == room && room >= SMALL => Self::Large,
            Self::Large if read == room && room >= LARGE => Self::Huge,
            Self::Huge if read <= LARGE / 2 => Self::Large,
            Self::Large if read <= SMALL / 2 => Self::Small,
            same => same,
        }
    }
}

/// A socket, the bytes that were read from it too early, and the chunks that are not written to it yet.
struct Socket<S> {
    /// `None` once aborted.
    io: Option<S>,
    first: Option<Box<Slice>>,
    unsent: VecDeque<Slice>,
    unsent_bytes: usize,
    appetite: Appetite,
    finished: bool,
}

/// The readiness call that the tokio sockets share but no trait of theirs names.
trait Ready: AsyncRead + AsyncWrite + Unpin {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

impl Ready for TcpStream {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_read_ready(cx)
    }
}

#[cfg(unix)]
impl Ready for UnixStream {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_read_ready(cx)
    }
}

fn aborted() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}

impl<S: Ready> Socket<S> {
    fn new(io: S) -> Self {
        Self {
            io: Some(io),
            first: None,
            unsent: VecDeque::new(),
            unsent_bytes: 0,
            appetite: Appetite::Small,
            finished: false,
        }
    }

    fn prepend(&mut self, mut first: Slice) {
        if first.is_empty() {
            return;
        }
        if let Some(later) = self.first.take() {
            first = Slice::from_vec([&*first, &**later].concat());
        }
        self.first = Some(Box::new(first));
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<io::Result<Option<Slice>>> {
        let max = max.max(1);
        if let Some(first) = &mut self.first {
            let chunk = first.split_to(max);
            if first.is_empty() {
                self.first = None;
            }
            return Poll::Ready(Ok(Some(chunk)));
        }
        let io = self.io.as_mut().ok_or_else(aborted)?;
        loop {
            // Readiness first: a stream that waits holds no buffer.
            ready!(io.poll_readable(cx))?;
            let mut buf = self.appetite.borrow(max);
            let room = buf.len().min(max);
            let mut target = ReadBuf::new(&mut buf[..room]);
            match Pin::new(&mut *io).poll_read(cx, &mut target) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                // The readiness was stale; asking again registers us, or shows that it is fresh.
                Poll::Pending => {
                    drop(buf);
                    ready!(io.poll_readable(cx))?;
                    continue;
                }
            }
            let read = target.filled().len();
            self.appetite = self.appetite.after(read, room);
            return Poll::Ready(Ok(match read {
                0 => None,
                small if small <= COPY_OUT => Some(Slice::copy_from(&buf[..small])),
                _ => Some(buf.freeze(0..read)),
            }));
        }
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.unsent.len() < BATCH_CHUNKS && self.unsent_bytes < BATCH_BYTES {
            return Poll::Ready(self.io.as_ref().map(|_| ()).ok_or_else(aborted));
        }
        self.poll_flush(cx)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let io = self.io.as_mut().ok_or_else(aborted)?;
        while let Some(front) = self.unsent.front() {
            let mut written = if self.unsent.len() == 1 {
                ready!(Pin::new(&mut *io).poll_write(cx, front))?
            } else {
                let mut views = [IoSlice::new(&[]); BATCH_CHUNKS];
                for (view, chunk) in views.iter_mut().zip(&self.unsent) {
                    *view = IoSlice::new(chunk);
                }
                let count = self.unsent.len().min(BATCH_CHUNKS);
                ready!(Pin::new(&mut *io).poll_write_vectored(cx, &views[..count]))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unsent_bytes -= written;
            while let Some(front) = self.unsent.front_mut() {
                let part = front.len().min(written);
                front.advance(part);
                written -= part;
                if !front.is_empty() {
                    break;
                }
                self.unsent.pop_front();
            }
        }
        if self.unsent.capacity() > 4 {
            // A long queue was the exception; an idle stream should not keep its memory.
            self.unsent = VecDeque::new();
        }
        Poll::Ready(Ok(()))
    }

    fn send(&mut self, chunk: Slice) {
        debug_assert!(self.unsent.len() < BATCH_CHUNKS && self.unsent_bytes < BATCH_BYTES, "send without poll_ready");
        if !chunk.is_empty() {
            self.unsent_bytes += chunk.len();
            self.unsent.push_back(chunk);
        }
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.finished {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_flush(cx))?;
        let io = self.io.as_mut().ok_or_else(aborted)?;
        match ready!(Pin::new(io).poll_shutdown(cx)) {
            // The peer is gone already, and with it the direction that was to be ended.
            Err(error) if error.kind() != io::ErrorKind::NotConnected => return Poll::Ready(Err(error)),
            _ => self.finished = true,
        }
        Poll::Ready(Ok(()))
    }

    fn abandon(&mut self) -> Option<S> {
        self.first = None;
        self.unsent = VecDeque::new();
        self.unsent_bytes = 0;
        self.io.take()
    }

    fn bare(&self) -> Option<&S> {
        if self.first.is_none() && self.unsent.is_empty() { self.io.as_ref() } else { None }
    }
}

macro_rules! socket_stream {
    ($(#[$meta:meta])* $name:ident, $socket:ty) => {
        $(#[$meta])*
        pub struct $name(Socket<$socket>);

        impl $name {
            /// Wraps a connected socket.
            #[must_use]
            pub fn new(socket: $socket) -> Self {
                Self(Socket::new(socket))
            }

            /// The socket; `None` once aborted.
            #[must_use]
            pub fn socket(&self) -> Option<&$socket> {
                self.0.io.as_ref()
            }

            /// Puts bytes that were read too early in front of what comes next.
            pub fn prepend(&mut self, first: Slice) {
                self.0.prepend(first);
            }
        }

        impl From<$socket> for $name {
            fn from(socket: $socket) -> Self {
                Self::new(socket)
            }
        }
    };
}

socket_stream! {
    /// A TCP socket as a stream.
    TcpIo, TcpStream
}

#[cfg(unix)]
socket_stream! {
    /// A Unix stream socket as a stream. It knows no reset: an abort is a close.
    UnixIo, UnixStream
}

macro_rules! forward {
    () => {
        fn poll_recv(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<io::Result<Option<Slice>>> {
            self.0.poll_recv(cx, max)
        }

        fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.0.poll_ready(cx)
        }

        fn send(&mut self, chunk: Slice) {
            self.0.send(chunk);
        }

        fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.0.poll_flush(cx)
        }

        fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.0.poll_finish(cx)
        }
    };
}

impl Stream for TcpIo {
    forward!();

    fn abort(&mut self) {
        if let Some(socket) = self.0.abandon() {
            reset(socket);
        }
    }

    fn raw(&self) -> Option<&TcpStream> {
        self.0.bare()
    }
}

#[cfg(unix)]
impl Stream for UnixIo {
    forward!();

    fn abort(&mut self) {
        drop(self.0.abandon());
    }
}

/// Closes a TCP socket so that the peer sees a reset: with a linger of zero, close sends RST (POSIX leaves it open;
/// Linux, the BSDs and Windows all do so).
pub fn reset(socket: TcpStream) {
    // Where the option cannot be set the socket is broken already, and closing is all that is left.
    let _ = socket2::SockRef::from(&socket).set_linger(Some(std::time::Duration::ZERO));
    drop(socket);
}

/// Bytes read too early, in front of any stream.
struct Prefixed {
    first: Slice,
    inner: Box<dyn Stream>,
}

impl Stream for Prefixed {
    fn poll_recv(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<io::Result<Option<Slice>>> {
        if self.first.is_empty() {
            return self.inner.poll_recv(cx, max);
        }
        Poll::Ready(Ok(Some(self.first.split_to(max.max(1)))))
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_ready(cx)
    }

    fn send(&mut self, chunk: Slice) {
        self.inner.send(chunk);
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_flush(cx)
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_finish(cx)
    }

    fn abort(&mut self) {
        self.first = Slice::new();
        self.inner.abort();
    }

    fn raw(&self) -> Option<&TcpStream> {
        if self.first.is_empty() { self.inner.raw() } else { None }
    }
}

/// Any stream: the two socket kinds without a pointer between, everything else behind one.
pub enum Io {
    Tcp(TcpIo),
    #[cfg(unix)]
    Unix(UnixIo),
    Dyn(Box<dyn Stream>),
}

impl Io {
    /// Puts bytes that were read too early in front of what comes next.
    #[must_use]
    pub fn prefixed(self, first: Slice) -> Self {
        if first.is_empty() {
            return self;
        }
        match self {
            Self::Tcp(mut io) => {
                io.prepend(first);
                Self::Tcp(io)
            }
            #[cfg(unix)]
            Self::Unix(mut io) => {
                io.prepend(first);
                Self::Unix(io)
            }
            Self::Dyn(inner) => Self::Dyn(Box::new(Prefixed { first, inner })),
        }
    }
}

macro_rules! each {
    ($self:ident, $io:ident => $call:expr) => {
        match $self {
            Self::Tcp($io) => $call,
            #[cfg(unix)]
            Self::Unix($io) => $call,
            Self::Dyn($io) => $call,
        }
    };
}

impl Stream for Io {
    fn poll_recv(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<io::Result<Option<Slice>>> {
        each!(self, io => io.poll_recv(cx, max))
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, io => io.poll_ready(cx))
    }

    fn send(&mut self, chunk: Slice) {
        each!(self, io => io.send(chunk));
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, io => io.poll_flush(cx))
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, io => io.poll_finish(cx))
    }

    fn abort(&mut self) {
        each!(self, io => io.abort());
    }

    fn raw(&self) -> Option<&TcpStream> {
        each!(self, io => io.raw())
    }
}

impl From<TcpStream> for Io {
    fn from(socket: TcpStream) -> Self {
        Self::Tcp(socket.into())
    }
}

#[cfg(unix)]
impl From<UnixStream> for Io {
    fn from(socket: UnixStream) -> Self {
        Self::Unix(socket.into())
    }
}

impl From<Box<dyn Stream>> for Io {
    fn from(stream: Box<dyn Stream>) -> Self {
        Self::Dyn(stream)
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
