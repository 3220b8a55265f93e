//! What a layer says comes next. Layers describe the step and never relay.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rozaneh_net::pool::Slice;
use rozaneh_net::stream::Io;

use crate::target::Target;

/// Why a stream could not be opened, in the words that every listener protocol can express.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The policy forbids this destination (private range, mail port, deny-list).
    Policy,
    /// The name does not resolve.
    Name,
    /// The network or host cannot be reached.
    Unreachable,
    /// The destination answered with a refusal.
    Refused,
    /// Nothing answered in time.
    Timeout,
    /// A limit of ours is reached.
    Busy,
    /// The upstream (the way) is not there.
    Upstream,
    /// Anything else.
    Failed,
}

impl Refusal {
    /// Stable name for counters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Name => "name",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::Timeout => "timeout",
            Self::Busy => "busy",
            Self::Upstream => "upstream",
            Self::Failed => "failed",
        }
    }

    /// The refusal that an I/O error of a dial stands for.
    #[must_use]
    pub fn from_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::TimedOut => Self::Timeout,
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable => {
                Self::Unreachable
            }
            _ => Self::Failed,
        }
    }
}

/// How the layer wants to hear the result of the dial: it writes its protocol's answer and hands the stream over.
pub trait Reply: Send + 'static {
    /// The destination is connected: answer, and give the stream to be relayed. `bound` is the local address of
    /// the dialled socket where that may be told.
    fn accept(self: Box<Self>, bound: Option<SocketAddr>) -> Pin<Box<dyn Future<Output = io::Result<Io>> + Send>>;
    /// It is not: answer in the protocol's own words, and close as the protocol closes.
    fn refuse(self: Box<Self>, why: Refusal) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// Datagrams, a batch at a time, each with the address it goes to or comes from.
pub trait PacketIo: Send + Unpin + 'static {
    /// Said once, before anything moves: may this association be? Protocols with an answer give it here.
    fn decide(&mut self, decision: Result<(), Refusal>) {
        let _ = decision;
    }
    /// Next datagrams; `Ok(0)` = the association is over. Appends at most `into.capacity() - into.len()`.
    fn poll_recv(&mut self, cx: &mut Context<'_>, into: &mut Vec<(Target, Slice)>) -> Poll<io::Result<usize>>;
    /// Sends what it can; datagrams that find no room are dropped, as networks do. Drains `batch`.
    fn poll_send(&mut self, cx: &mut Context<'_>, batch: &mut Vec<(Target, Slice)>) -> Poll<io::Result<()>>;
}

/// The step after a layer.
pub enum Next {
    /// A byte stream to `target`. The layer answers through `reply` once the dial is decided.
    Tcp { target: Target, user: Option<Arc<str>>, reply: Box<dyn Reply> },
    /// Datagrams: to one target (`Some`, CONNECT-UDP) or to many (`None`, SOCKS5 UDP ASSOCIATE).
    Udp { target: Option<Target>, user: Option<Arc<str>>, packets: Box<dyn PacketIo> },
    /// Not ours: the cover answers, and has already been handed the connection.
    Fallback,
    /// The layer did everything itself.
    Done,
}
