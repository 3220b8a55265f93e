//! The edge's end: a header, somebody known, and then their stream.
//!
//! Nobody gets here who did not pass REALITY, so there is no cover to keep up: whoever is not known, or asks for what
//! is not served, is closed upon without an answer, as every VLESS server closes.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rozaneh_net::pool::Slice;
use rozaneh_net::stream::{Io, Stream};
use rozaneh_wire::vless::server::{RESPONSE, Request};
use rozaneh_wire::vless::{Command, Server};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::packets::StreamPackets;
use super::target;
use crate::h2::server::Gate;
use crate::next::{Next, PacketIo, Refusal, Reply};
use crate::target::Target;

/// Whoever shook hands has a request. Clients hold the header back for some hundred milliseconds at most, so this is a
/// matter of bad radio links: as long as the HTTP/2 cover's own patience with a header (nginx's
/// `client_header_timeout`).
const HEADER: Duration = Duration::from_secs(60);
/// An orderly end needs a peer that reads.
const FAREWELL: Duration = Duration::from_secs(5);

/// Reads one request off an authenticated connection, hands its stream on, and returns when that has ended.
pub async fn serve(mut stream: Io, gate: Arc<dyn Gate>) {
    let read = timeout(HEADER, request(&mut stream)).await;
    let Ok(Ok((request, first))) = read else { return close(stream).await };
    let Some(user) = gate.recognise(&request.id.masked()) else { return close(stream).await };
    let Some(target) = target(request.address) else { return close(stream).await };
    let (open, over) = oneshot::channel();
    let answering = Answering { stream: stream.prefixed(first), head: true, _open: open };
    gate.next(match request.command {
        Command::Stream => Next::Tcp { target, user: Some(user), reply: Box::new(Answer(answering)) },
        Command::Datagrams => {
            let stream = Io::Dyn(Box::new(answering));
            let packets = Association { packets: Some(StreamPackets::new(stream, target.clone())) };
            Next::Udp { target: Some(target), user: Some(user), packets: Box::new(packets) }
        }
    });
    // Nothing is ever sent: the other end is dropped with the stream. Until then the connection counts as one.
    let _ = over.await;
}

/// The header, and what came behind it.
async fn request(stream: &mut Io) -> io::Result<(Request, Slice)> {
    let mut server = Server::new();
    loop {
        let chunk = poll_fn(|cx| stream.poll_recv(cx, usize::MAX)).await?;
        let mut chunk = chunk.ok_or(io::ErrorKind::UnexpectedEof)?;
        let (taken, request) = server.feed(&chunk)?;
        chunk.advance(taken);
        if let Some(request) = request {
            return Ok((request, chunk));
        }
    }
}

/// Ends both directions in order.
async fn close(mut stream: Io) {
    // Whoever does not read its end does without.
    let _ = timeout(FAREWELL, poll_fn(|cx| stream.poll_finish(cx))).await;
}

/// A stream whose first bytes to the client go behind the response's header, in one record with it.
struct Answering {
    stream: Io,
    head: bool,
    /// Whoever waits for the stream's end waits for this to be dropped.
    _open: oneshot::Sender<()>,
}

impl Answering {
    fn head(&mut self) {
        if std::mem::take(&mut self.head) {
            self.stream.send(Slice::copy_from(&RESPONSE));
        }
    }
}

impl Stream for Answering {
    fn poll_recv(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<io::Result<Option<Slice>>> {
        self.stream.poll_recv(cx, max)
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_ready(cx)
    }

    fn send(&mut self, chunk: Slice) {
        self.head();
        self.stream.send(chunk);
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_flush(cx)
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A destination that ended without a word was reached all the same; a refusal looks different.
        if self.head {
            ready!(self.stream.poll_ready(cx))?;
            self.head();
        }
        self.stream.poll_finish(cx)
    }

    fn abort(&mut self) {
        self.stream.abort();
    }
}

/// Nothing is said before there is something to say; a refusal is an end.
struct Answer(Answering);

impl Reply for Answer {
    fn accept(self: Box<Self>, _bound: Option<SocketAddr>) -> Pin<Box<dyn Future<Output = io::Result<Io>> + Send>> {
        Box::pin(std::future::ready(Ok(Io::Dyn(Box::new(self.0)))))
    }

    fn refuse(self: Box<Self>, _why: Refusal) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(close(self.0.stream))
    }
}

/// Datagrams to one target.
struct Association {
    packets: Option<StreamPackets>,
}

impl PacketIo for Association {
    fn decide(&mut self, decision: Result<(), Refusal>) {
        if decision.is_err() {
            self.packets = None;
        }
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>, into: &mut Vec<(Target, Slice)>) -> Poll<io::Result<usize>> {
        match &mut self.packets {
            Some(packets) => packets.poll_recv(cx, into),
            None => Poll::Ready(Ok(0)),
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, batch: &mut Vec<(Target, Slice)>) -> Poll<io::Result<()>> {
        match &mut self.packets {
            Some(packets) => packets.poll_send(cx, batch),
            None => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
        }
    }
}
