//! What a peer's bytes mean, in the order in which they mean it.

use super::StreamId;
use super::error::Code;
use super::field::Field;

/// One thing that happened. `DATA` borrows the input: nothing is copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Server: a request. Client: the final response. Validated (RFC 9113 section 8.3), pseudo-header fields in front.
    Headers {
        /// The stream.
        id: StreamId,
        /// All fields in the order received.
        fields: Vec<Field>,
        /// Nothing follows in this direction.
        end: bool,
    },
    /// Client only: a 1xx response. The final one is still to come.
    Informational {
        /// The stream.
        id: StreamId,
        /// `:status` and whatever came with it.
        fields: Vec<Field>,
    },
    /// Fields behind the body. Ends the direction always.
    Trailers {
        /// The stream.
        id: StreamId,
        /// No pseudo-header fields among them.
        fields: Vec<Field>,
    },
    /// Payload, as much of it as has arrived; a frame may come in many pieces. Give every byte back by `consumed`.
    Data {
        /// The stream.
        id: StreamId,
        /// A part of the input given to `feed`; empty only together with `end`.
        bytes: &'a [u8],
        /// Where `bytes` begins within that input.
        offset: usize,
        /// Nothing follows in this direction.
        end: bool,
    },
    /// The stream is dead in both directions: the peer reset it, or broke a rule on it and has been sent RST_STREAM
    /// with this code, or said by GOAWAY that it will never look at it. Only for streams the caller knows.
    Reset {
        /// The stream.
        id: StreamId,
        /// What the peer said, or what we said to it.
        code: Code,
    },
    /// Server only: a request whose header list exceeds the limit. The stream waits for an answer (431 or whatever the
    /// cover says); HPACK state is intact and the connection goes on.
    HeadersTooLarge {
        /// The stream.
        id: StreamId,
        /// Nothing follows in this direction.
        end: bool,
    },
    /// Server only, and only with `Malformed::Report`: a request that breaks RFC 9113 section 8. The stream waits for
    /// an answer.
    Malformed {
        /// The stream.
        id: StreamId,
        /// The fields as received, for a cover that must tell one fault from another.
        fields: Vec<Field>,
        /// The rule, in words.
        reason: &'static str,
        /// Nothing follows in this direction.
        end: bool,
    },
    /// The peer's settings changed: ask `peer_setting`, `max_frame` and, for all streams, `sendable` again.
    Settings,
    /// The peer acknowledged one SETTINGS frame of ours.
    SettingsAck,
    /// There is more room to send.
    WindowOpen {
        /// The stream, or 0 for the connection.
        id: StreamId,
    },
    /// The peer ends the connection: no new streams. For each of ours above `last` a `Reset` follows.
    GoAway {
        /// The last stream of ours that it may have acted upon.
        last: StreamId,
        /// Why.
        code: Code,
    },
    /// The answer to a `ping`.
    Pong([u8; 8]),
}
