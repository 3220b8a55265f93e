//! The outer layer of a way: a TCP connection, and TLS that looks like a browser's. What runs inside (HTTP/2, VLESS)
//! does not know which of the two kinds of TLS it is.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::habits::Habits;
use crate::look::Look;
use crate::tls::TlsError;
use crate::tls::drive::{Ready, handshake};
use crate::tls::engine_client::Client;
use crate::visit;

/// A future that yields a connected socket.
pub type Dialling = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

/// How far a connection came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nothing was tried: a browser would not open yet another connection now.
    Busy,
    /// No TCP connection.
    Connect,
    /// TCP stands, TLS does not: what name filtering looks like.
    Tls,
    /// TLS stands, but with somebody else's key.
    Pin,
    /// TLS stands, and it was the cover that answered.
    Cover,
    /// The right edge, and it does not know our credentials.
    Auth,
    /// All is well.
    Ok,
}

impl Stage {
    /// Stable name for reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Pin => "pin",
            Self::Cover => "cover",
            Self::Auth => "auth",
            Self::Ok => "ok",
        }
    }
}

/// Why there is no connection.
#[derive(Clone, Debug)]
pub struct Failed {
    pub stage: Stage,
    /// In words, without addresses.
    pub reason: String,
    /// The cover's `date`, where it was the cover that answered.
    pub date: Option<String>,
}

impl Failed {
    pub(crate) fn new(stage: Stage, reason: impl fmt::Display) -> Self {
        Self { stage, reason: reason.to_string(), date: None }
    }
}

/// Everything that is needed to open one more connection of a way.
pub struct Outer {
    pub dial: Box<dyn Fn() -> Dialling + Send + Sync>,
    pub tls: Client,
    pub habits: Arc<Habits>,
    /// The browser it looks like, inside too.
    pub look: Look,
    /// `name:port` of the edge as its certificate and its cover know it.
    pub authority: String,
}

impl Outer {
    /// Waits until manners allow one more connection (not beyond `until`), dials and shakes hands. The caller sets the
    /// deadline for the whole.
    ///
    /// # Errors
    /// How far it came.
    pub async fn connect(&self, until: Instant) -> Result<(TcpStream, Ready), Failed> {
        let busy = |_| Failed::new(Stage::Busy, "another connection so soon is what no browser makes");
        let place = self.habits.place(until).await.map_err(busy)?;
        let mut tcp = (self.dial)().await.map_err(|e| Failed::new(Stage::Connect, plain(&e)))?;
        // The address answers: what comes next is seen.
        place.take();
        let shake = self.tls.start().map_err(|e| Failed::new(Stage::Tls, e))?;
        let ready = handshake(&mut tcp, shake, Vec::new()).await.map_err(|e| {
            let inner = e.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
            let stage = if inner == Some(&TlsError::Certificate) { Stage::Pin } else { Stage::Tls };
            Failed::new(stage, inner.map_or_else(|| plain(&e), ToString::to_string))
        })?;
        if ready.established.facts.cover {
            let date = visit::visit(tcp, ready, &self.look, &self.authority).await;
            let reason = "the cover answered: the edge does not know this key, short id or name, or a clock is wrong";
            return Err(Failed { date, ..Failed::new(Stage::Cover, reason) });
        }
        Ok((tcp, ready))
    }
}

/// An I/O error in words that hold no address.
fn plain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "the port is closed",
        io::ErrorKind::ConnectionReset => "the connection was reset",
        io::ErrorKind::TimedOut => "no answer in time",
        io::ErrorKind::UnexpectedEof => "the connection ended early",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "the network has no route",
        _ => "the connection failed",
    }
    .to_owned()
}
