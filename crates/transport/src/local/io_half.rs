//! The program's connection while the request is read: plain reads and writes, a clean end, and then an `Io`.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rozaneh_net::pool::{Buf, Slice};
use rozaneh_net::stream::Io;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

/// A program's connection.
#[derive(Debug)]
pub enum LocalIo {
    /// Over loopback.
    Tcp(TcpStream),
    /// Over a Unix socket.
    #[cfg(unix)]
    Unix(UnixStream),
}

impl From<TcpStream> for LocalIo {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(stream)
    }
}

#[cfg(unix)]
impl From<UnixStream> for LocalIo {
    fn from(stream: UnixStream) -> Self {
        Self::Unix(stream)
    }
}

macro_rules! each {
    ($self:ident, $io:ident => $call:expr) => {
        match $self {
            Self::Tcp($io) => $call,
            #[cfg(unix)]
            Self::Unix($io) => $call,
        }
    };
}

/// Reads up to this size are copied out, so that a request does not hold on to a read buffer while it is dialled.
const COPY_OUT: usize = 4 * 1024;

/// After a refusal the program gets this long to read it, and so many bytes of what it still sends are read. Closing
/// a socket with unread bytes would send a reset, which may overtake the refusal.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 256 * 1024;

impl LocalIo {
    /// What arrived; empty at the end. Waits without a buffer.
    pub(super) async fn read(&self) -> io::Result<Slice> {
        loop {
            each!(self, io => io.readable().await)?;
            let mut buf = Buf::small();
            match each!(self, io => io.try_read(&mut buf)) {
                Ok(read) if read <= COPY_OUT => return Ok(Slice::copy_from(buf.get(..read).unwrap_or_default())),
                Ok(read) => return Ok(buf.freeze(0..read)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        each!(self, io => io.write_all(bytes).await)
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        each!(self, io => io.shutdown().await)
    }

    /// Says a last word and closes so that it is heard.
    pub(super) async fn close(mut self, last: &[u8]) {
        let farewell = async {
            self.write(last).await?;
            self.shutdown().await?;
            let mut left = LINGER_BYTES;
            loop {
                let read = self.read().await?.len();
                if read == 0 || read > left {
                    return io::Result::Ok(());
                }
                left -= read;
            }
        };
        // The program is gone or slow; either way the socket closes now.
        let _ = tokio::time::timeout(LINGER, farewell).await;
    }

    /// Our own end and the program's, where it is TCP.
    pub(super) fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        match self {
            Self::Tcp(io) => Some((io.local_addr().ok()?, io.peer_addr().ok()?)),
            #[cfg(unix)]
            Self::Unix(_) => None,
        }
    }

    /// Waits for the connection's end and throws away what comes before it.
    pub(super) fn poll_end(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0; 256];
        loop {
            if ready!(each!(self, io => io.poll_read_ready(cx))).is_err() {
                return Poll::Ready(());
            }
            match each!(self, io => io.try_read(&mut scratch)) {
                Ok(0) => return Poll::Ready(()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Poll::Ready(()),
            }
        }
    }

    /// The stream, starting with the bytes that were read too early.
    pub(super) fn into_io(self, early: Slice) -> Io {
        each!(self, io => Io::from(io)).prefixed(early)
    }
}
