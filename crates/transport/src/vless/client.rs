//! The client's end: a connection for every stream, whose first bytes carry the header.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rozaneh_net::pool::Slice;
use rozaneh_net::stream::{Io, Stream};
use rozaneh_wire::vless::client::request;
use rozaneh_wire::vless::{Client, Command, Id};
use tokio::time::{Instant, Sleep, sleep, timeout_at};

use super::address;
use super::packets::StreamPackets;
use crate::h2::client::RESERVED;
use crate::next::{PacketIo, Refusal};
use crate::outer::{Failed, Outer, Stage};
use crate::target::Target;
use crate::tls::io::TlsIo;

/// How long the header waits for the first payload. A header alone is a record of a telling length; but who opens a
/// stream and waits for the other side to speak (SMTP, SSH) must get it. What other VLESS clients wait.
pub const PAYLOAD: Duration = Duration::from_millis(500);

/// A future that yields a stream over a verified connection to the edge, or how far it came and why not further.
pub type Connecting = Pin<Box<dyn Future<Output = Result<Io, Failed>> + Send>>;

/// What makes connections; asked with the time until which it may wait for its turn.
pub type Connect = Box<dyn Fn(Instant) -> Connecting + Send + Sync>;

/// Connections through the outer layer of a way.
#[must_use]
pub fn through(outer: Outer) -> Connect {
    let outer = Arc::new(outer);
    Box::new(move |until| {
        let outer = Arc::clone(&outer);
        Box::pin(async move {
            let (tcp, ready) = outer.connect(until).await?;
            Ok(Io::Dyn(Box::new(TlsIo::new(tcp, ready))))
        })
    })
}

/// Everything a way needs to be used.
pub struct Config {
    pub id: Id,
    /// Time for TCP and the handshake together.
    pub deadline: Duration,
    /// How long the header waits for the first payload; [`PAYLOAD`] outside tests.
    pub payload: Duration,
    pub connect: Connect,
    /// Told how far a connection came that did not come about.
    pub watch: Box<dyn Fn(Stage) + Send + Sync>,
}

/// The client's end of one way.
pub struct Way {
    config: Config,
}

impl Way {
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config }
    }

    /// A byte stream to `target`. The edge says nothing before the destination does: a refusal shows as an end without
    /// a word, which is an error of the first read.
    ///
    /// # Errors
    /// [`Refusal::Upstream`] where the edge cannot be reached, or is not the right one.
    pub async fn open(&self, target: &Target) -> Result<Io, Refusal> {
        let tunnel = self.tunnel(target, Command::Stream).await.map_err(|failed| refusal(&failed))?;
        Ok(Io::Dyn(Box::new(tunnel)))
    }

    /// Datagrams to `target`.
    ///
    /// # Errors
    /// As [`Way::open`].
    pub async fn open_udp(&self, target: &Target) -> Result<Box<dyn PacketIo>, Refusal> {
        let tunnel = self.tunnel(target, Command::Datagrams).await.map_err(|failed| refusal(&failed))?;
        Ok(Box::new(StreamPackets::new(Io::Dyn(Box::new(tunnel)), target.clone())))
    }

    /// Asks an edge of ours for the document it keeps under a reserved name, at most `limit` bytes of it: the proof
    /// that it knows the id. Servers of others have no such document and show as [`Stage::Auth`], as they would if they
    /// did not know the id: VLESS has no other answer.
    ///
    /// # Errors
    /// How far it came, and why not further.
    pub async fn ask(&self, limit: usize) -> Result<Vec<u8>, Failed> {
        let auth = |reason: &str| {
            (self.config.watch)(Stage::Auth);
            Failed::new(Stage::Auth, reason)
        };
        let broken = |_| auth("the edge closed without an answer: it does not know the id, or is not one of ours");
        let target = Target::parse(RESERVED).ok_or_else(|| auth("no name to ask for"))?;
        let mut tunnel = self.tunnel(&target, Command::Stream).await?;
        tunnel.begin();
        poll_fn(|cx| tunnel.poll_flush(cx)).await.map_err(broken)?;
        let mut body = Vec::new();
        while let Some(chunk) = poll_fn(|cx| tunnel.poll_recv(cx, usize::MAX)).await.map_err(broken)? {
            body.extend_from_slice(&chunk);
            if body.len() > limit {
                return Err(auth("the edge's document is longer than expected"));
            }
        }
        Ok(body)
    }

    async fn tunnel(&self, target: &Target, command: Command) -> Result<Tunnel, Failed> {
        let mut head = Vec::new();
        request(&self.config.id, command, &address(target), &mut head)
            .map_err(|error| Failed::new(Stage::Connect, error))?;
        let until = Instant::now() + self.config.deadline;
        let connecting = timeout_at(until, (self.config.connect)(until)).await;
        let connected = connecting.unwrap_or_else(|_| Err(Failed::new(Stage::Connect, "no answer in time")));
        let stream = connected.inspect_err(|failed| {
            if failed.stage != Stage::Busy {
                (self.config.watch)(failed.stage);
            }
        })?;
        Ok(Tunnel {
            stream,
            head: Some(Head { bytes: Slice::from_vec(head), timer: Box::pin(sleep(self.config.payload)) }),
            flushing: false,
            answer: Client::new(),
        })
    }
}

fn refusal(failed: &Failed) -> Refusal {
    if failed.stage == Stage::Busy { Refusal::Busy } else { Refusal::Upstream }
}

/// The header while it waits for company.
struct Head {
    bytes: Slice,
    timer: Pin<Box<Sleep>>,
}

/// A tunnel as the relay sees it.
struct Tunnel {
    stream: Io,
    head: Option<Head>,
    /// The header went alone, and nobody else comes back to what the socket did not take of it.
    flushing: bool,
    answer: Client,
}

impl Tunnel {
    fn begin(&mut self) -> bool {
        let head = self.head.take();
        head.map(|head| self.stream.send(head.bytes)).is_some()
    }

    /// Sends the header alone when its time has come.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.head.as_mut().is_some_and(|head| head.timer.as_mut().poll(cx).is_ready()) {
            self.flushing = self.begin();
        }
        if self.flushing {
            if let Poll::Ready(flushed) = self.stream.poll_flush(cx) {
                flushed?;
                self.flushing = false;
            }
        }
        Ok(())
    }
}

impl Stream for Tunnel {
    fn poll_recv(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<io::Result<Option<Slice>>> {
        self.poll_head(cx)?;
        loop {
            let Some(mut chunk) = ready!(self.stream.poll_recv(cx, max))? else {
                // An end before the response's header: the edge does not know the id, or refused the destination.
                let answered = self.answer.done();
                return Poll::Ready(if answered { Ok(None) } else { Err(io::ErrorKind::ConnectionReset.into()) });
            };
            if !self.answer.done() {
                chunk.advance(self.answer.feed(&chunk)?);
            }
            if !chunk.is_empty() {
                return Poll::Ready(Ok(Some(chunk)));
            }
        }
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_ready(cx)
    }

    fn send(&mut self, chunk: Slice) {
        self.begin();
        self.stream.send(chunk);
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_flush(cx)
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.head.is_some() {
            // A program that says nothing and only listens.
            ready!(self.stream.poll_ready(cx))?;
            self.begin();
        }
        self.stream.poll_finish(cx)
    }

    fn abort(&mut self) {
        self.head = None;
        self.stream.abort();
    }
}
