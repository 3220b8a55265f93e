//! TLS 1.3, both sides, sans-IO: bytes in, bytes out, no sockets, no clock.
//!
//! ```text
//!   hello::Author ──Hello──▶ client::Client ──step()──▶ Connected { facts, traffic }
//!                                  ▲  │ out
//!                           records│  ▼
//!                            server::Server ──step()──▶ Connected { facts, traffic }
//!   traffic::Traffic ──open()/seal()──▶ application data, in place, in the caller's buffers
//! ```
//!
//! The first message of a client is *data*: whoever owns the look writes its bytes ([`hello::Author`]), and the engine
//! reads back what was offered and completes the handshake with whatever the server chose of that. There is no TLS
//! 1.2 and no renegotiation; early data is never sent and never accepted; a client has no certificates.
//!
//! | file | idea |
//! |---|---|
//! | [`codec`], [`names`], [`alert`], [`error`] | bytes, numbers, and the two kinds of failure |
//! | [`suite`], [`schedule`], [`transcript`], [`groups`] | the cryptography of RFC 8446 section 7, and key agreement |
//! | [`record`], `channel`, [`traffic`] | records: in place, during the handshake, and after it |
//! | [`hello`], [`messages`] | handshake messages, read and written |
//! | [`certificate`], [`ticket`] | who the peer is, and how to meet it again |
//! | [`reality`] | both sides of a handshake that only a friend can tell from the cover's |
//! | [`client`], [`server`], `shake` | the two state machines, each state a type; the loop that drives them |
//!
//! Primitives come from aws-lc-rs alone. Secrets are wiped when dropped, and compared in constant time. Nothing that a
//! peer sends can panic: no indexing, no unwrapping, no arithmetic that can overflow on its numbers.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::unreachable,
        clippy::todo,
        clippy::string_slice
    )
)]

pub mod alert;
pub mod certificate;
mod channel;
pub mod client;
pub mod codec;
pub mod error;
pub mod fuzzing;
pub mod groups;
pub mod hello;
pub mod messages;
pub mod names;
pub mod profile;
pub mod reality;
pub mod record;
pub mod schedule;
pub mod server;
mod shake;
pub mod suite;
pub mod ticket;
pub mod traffic;
pub mod transcript;

pub use alert::Alert;
pub use error::{Error, LocalError, RemoteError};

/// Whether a handshake needs more bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    NeedMore,
    Done,
}

/// What a handshake decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    pub suite: suite::Suite,
    /// The group of the key agreement.
    pub group: u16,
    /// The scheme that the server signed with; none where the session was resumed.
    pub scheme: Option<u16>,
    pub alpn: Option<Vec<u8>>,
    /// The peer's application settings, where both sides gave them (draft-vvv-tls-alps).
    pub alps: Option<Vec<u8>>,
    /// The server's chain, leaf first; empty when resumed, and for servers.
    pub chain: Vec<Vec<u8>>,
    pub resumed: bool,
    /// Whether a HelloRetryRequest was needed.
    pub retried: bool,
    /// The name that the client asked for; for servers as it came.
    pub name: Option<Vec<u8>>,
}

/// A finished handshake.
#[derive(Debug)]
pub struct Connected {
    pub facts: Facts,
    pub traffic: traffic::Traffic,
}
