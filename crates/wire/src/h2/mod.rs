//! HTTP/2 (RFC 9113), both roles, sans-IO: bytes go in by `feed`, events come out, bytes to send wait in `out()`.
//!
//! # Rules
//!
//! 1. `feed` takes all it is given, in pieces of any size, and reports DATA as parts of the input: payload is never
//!    copied, never gathered, and a frame need not be whole to be reported. Nothing is ever fed back.
//! 2. Everything we say but payload appears in `out()`. Drain it before the header that `data` returns; send exactly the
//!    announced number of bytes behind that.
//! 3. Every byte reported must be given back by `consumed` sooner or later, also when its stream is gone; that, and only
//!    that, opens the windows. Padding and the DATA of dead streams are given back here.
//! 4. A fault of the peer ends a stream (`Event::Reset`) or the connection (`RemoteProtocolError`, with GOAWAY in
//!    `out()`); a fault of ours is a `LocalProtocolError` and changes nothing. Neither ever panics.
//! 5. What a stranger can observe is data: `Look`.
//! 6. Whatever a peer can make us hold or do is bounded by `Limits`.
//!
//! # States
//!
//! The connection: a server first reads the preface; then both read frames, the first of which must be SETTINGS; while a
//! header block is incomplete only its CONTINUATION may come. See `receive` for the parser's states, `stream` for those
//! of a stream, `settings` for the moment at which each announcement counts.
//!
//! What a frame means for a stream that is not open (RFC 9113 section 5.1):
//!
//! | frame | idle | finished by both | reset by the peer | reset by us, or forgotten |
//! |---|---|---|---|---|
//! | HEADERS to a server | opens it | connection STREAM_CLOSED | stream STREAM_CLOSED | decoded, ignored¹ |
//! | HEADERS to a client | connection PROTOCOL_ERROR | connection STREAM_CLOSED | stream STREAM_CLOSED | decoded, ignored |
//! | DATA | connection PROTOCOL_ERROR | connection STREAM_CLOSED | stream STREAM_CLOSED | counted, ignored |
//! | RST_STREAM, WINDOW_UPDATE | connection PROTOCOL_ERROR | ignored | ignored | ignored |
//! | PRIORITY | ignored | ignored | ignored | ignored |
//!
//! ¹ Forgotten to a server: connection PROTOCOL_ERROR, since identifiers must rise.
//!
//! Stream errors on streams the owner never heard of (malformed or refused requests) are answered without an event.
//!
//! # Cost
//!
//! An idle stream is one table entry of about 40 bytes; an idle connection holds its two HPACK tables and nothing that
//! grows. A DATA frame costs one table look-up.

mod blocks;
mod connection;
mod dispatch;
mod error;
mod event;
mod field;
mod flow;
mod frame;
pub mod hpack;
mod limits;
mod look;
mod message;
mod receive;
mod send;
mod settings;
mod stream;

pub use connection::Connection;
pub use error::{Code, LocalProtocolError, RemoteProtocolError};
pub use event::Event;
pub use field::{Field, IntoValue, Name, find, status};
pub use frame::PREFACE;
pub use hpack::HpackStyle;
pub use limits::{Limits, Malformed};
pub use look::{Look, Priority};
pub use settings::id as setting;
pub use stream::StreamState;

/// A stream's identifier: odd for those a client opened, 0 for the connection itself.
pub type StreamId = u32;
