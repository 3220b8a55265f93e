//! A visitor and the cover, while it is open who the visitor is: bytes are passed on as they come, and looked at.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use rozaneh_net::pool::{Buf, Slice};
use rozaneh_net::relay::{Control, relay};
use rozaneh_net::stream::{Io, Stream, TcpIo, reset};
use tokio::net::TcpStream;

/// How long a visitor may be silent whose cover has ended: as long as a kernel keeps a half-closed connection that no
/// program holds (tcp(7), tcp_fin_timeout).
const LONELY: Duration = Duration::from_secs(60);

/// Both connections, and what each is still to be sent.
pub(super) struct Pair {
    pub client: TcpStream,
    pub cover: TcpStream,
    pub to_client: Vec<u8>,
    pub to_cover: Vec<u8>,
}

/// What happened next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// So many bytes came, and stand at the end of the buffer.
    Client(usize),
    Cover(usize),
    /// A side has finished sending.
    ClientEnd,
    CoverEnd,
    /// A side was reset.
    Broken,
}

fn read(tcp: &TcpStream, cx: &mut Context<'_>, into: &mut Vec<u8>) -> Poll<io::Result<usize>> {
    loop {
        // Readiness first: whoever waits holds no buffer.
        std::task::ready!(tcp.poll_read_ready(cx))?;
        let mut buf = Buf::small();
        match tcp.try_read(&mut buf) {
            Ok(n) => {
                into.extend_from_slice(buf.get(..n).unwrap_or_default());
                return Poll::Ready(Ok(n));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Poll::Ready(Err(error)),
        }
    }
}

/// Writes what it can. Ready when all is written.
fn write(tcp: &TcpStream, cx: &mut Context<'_>, from: &mut Vec<u8>) -> Poll<io::Result<()>> {
    while !from.is_empty() {
        match tcp.try_write(from) {
            Ok(n) => {
                from.drain(..n.min(from.len()));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::task::ready!(tcp.poll_write_ready(cx))?,
            Err(error) => return Poll::Ready(Err(error)),
        }
    }
    *from = Vec::new();
    Poll::Ready(Ok(()))
}

impl Pair {
    pub(super) fn new(client: TcpStream, cover: TcpStream) -> Self {
        Self { client, cover, to_client: Vec::new(), to_cover: Vec::new() }
    }

    /// Writes what is due and waits for the next thing to happen. A side that does not take what it is sent is not
    /// listened to on the other side's behalf.
    pub(super) async fn heard(&mut self, from_client: &mut Vec<u8>, from_cover: &mut Vec<u8>) -> Heard {
        poll_fn(|cx| {
            let to_cover = write(&self.cover, cx, &mut self.to_cover);
            let to_client = write(&self.client, cx, &mut self.to_client);
            if matches!(to_client, Poll::Ready(Err(_))) {
                return Poll::Ready(Heard::Broken);
            }
            // The cover first: what it said before a hello was whole, it said to a stranger.
            if to_client.is_ready() {
                match read(&self.cover, cx, from_cover) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Heard::CoverEnd),
                    Poll::Ready(Ok(n)) => return Poll::Ready(Heard::Cover(n)),
                    Poll::Ready(Err(_)) => return Poll::Ready(Heard::Broken),
                    Poll::Pending => {}
                }
            }
            if matches!(to_cover, Poll::Ready(Err(_))) {
                // Only when everything it said before it hung up has been read.
                return Poll::Ready(Heard::Broken);
            }
            if to_cover.is_ready() {
                match read(&self.client, cx, from_client) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Heard::ClientEnd),
                    Poll::Ready(Ok(n)) => return Poll::Ready(Heard::Client(n)),
                    Poll::Ready(Err(_)) => return Poll::Ready(Heard::Broken),
                    Poll::Pending => {}
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Hands what is due to the kernel, as far as it takes it now: nothing of ours comes before the cover's turn.
    pub(super) fn nudge(&mut self) {
        if let Ok(n) = self.cover.try_write(&self.to_cover) {
            self.to_cover.drain(..n.min(self.to_cover.len()));
        }
    }

    /// Both sides see a reset.
    pub(super) fn abort(self) {
        reset(self.client);
        reset(self.cover);
    }

    /// Nothing is looked at any more: bytes go both ways until both sides have ended, as through any TCP proxy.
    pub(super) async fn relay(self, control: Control) {
        let side = |tcp, due: Vec<u8>| {
            let mut io = TcpIo::new(tcp);
            if !due.is_empty() {
                io.send(Slice::from_vec(due));
            }
            Io::Tcp(io)
        };
        let (client, cover) = (side(self.client, self.to_client), side(self.cover, self.to_cover));
        relay(client, cover, Control { lonely: Some(LONELY), ..control }).await;
    }
}
