//! Errors that say whose fault it is: ours (`LocalProtocolError`) or the peer's (`RemoteProtocolError`).

use std::fmt;

use super::StreamId;

/// An error code as it travels in RST_STREAM and GOAWAY (RFC 9113 section 7).
///
/// Unknown codes are legal on the wire and mean INTERNAL_ERROR at worst, hence a number and not an enumeration.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(pub u32);

impl Code {
    /// Not an error: a graceful end.
    pub const NO_ERROR: Self = Self(0x0);
    /// The peer broke a rule for which there is no better code.
    pub const PROTOCOL_ERROR: Self = Self(0x1);
    /// We failed.
    pub const INTERNAL_ERROR: Self = Self(0x2);
    /// More DATA than the window allowed.
    pub const FLOW_CONTROL_ERROR: Self = Self(0x3);
    /// SETTINGS were not acknowledged in time (the driver's clock decides).
    pub const SETTINGS_TIMEOUT: Self = Self(0x4);
    /// A frame for a stream whose half is closed.
    pub const STREAM_CLOSED: Self = Self(0x5);
    /// A frame of a length it cannot have.
    pub const FRAME_SIZE_ERROR: Self = Self(0x6);
    /// Not processed at all: safe to try again.
    pub const REFUSED_STREAM: Self = Self(0x7);
    /// No longer wanted.
    pub const CANCEL: Self = Self(0x8);
    /// The shared HPACK state is lost.
    pub const COMPRESSION_ERROR: Self = Self(0x9);
    /// The connection behind a CONNECT broke.
    pub const CONNECT_ERROR: Self = Self(0xa);
    /// The peer costs more than it is worth.
    pub const ENHANCE_YOUR_CALM: Self = Self(0xb);
    /// The TLS underneath is too weak.
    pub const INADEQUATE_SECURITY: Self = Self(0xc);
    /// Ask again over HTTP/1.1.
    pub const HTTP_1_1_REQUIRED: Self = Self(0xd);

    /// The registered name, or `None` for a number nobody registered.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0x0 => "NO_ERROR",
            0x1 => "PROTOCOL_ERROR",
            0x2 => "INTERNAL_ERROR",
            0x3 => "FLOW_CONTROL_ERROR",
            0x4 => "SETTINGS_TIMEOUT",
            0x5 => "STREAM_CLOSED",
            0x6 => "FRAME_SIZE_ERROR",
            0x7 => "REFUSED_STREAM",
            0x8 => "CANCEL",
            0x9 => "COMPRESSION_ERROR",
            0xa => "CONNECT_ERROR",
            0xb => "ENHANCE_YOUR_CALM",
            0xc => "INADEQUATE_SECURITY",
            0xd => "HTTP_1_1_REQUIRED",
            _ => return None,
        })
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "0x{:x}", self.0),
        }
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<u32> for Code {
    fn from(code: u32) -> Self {
        Self(code)
    }
}

/// The peer broke the protocol so badly that the connection is over. GOAWAY already waits in `out()`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteProtocolError {
    /// What GOAWAY says.
    pub code: Code,
    /// The stream it happened on, where there was one.
    pub stream: Option<StreamId>,
    /// The rule, in words, never with a byte the peer sent.
    pub reason: &'static str,
}

impl RemoteProtocolError {
    pub(super) fn new(code: Code, reason: &'static str) -> Self {
        Self { code, stream: None, reason }
    }

    pub(super) fn on(code: Code, stream: StreamId, reason: &'static str) -> Self {
        Self { code, stream: Some(stream), reason }
    }
}

impl fmt::Display for RemoteProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.stream {
            Some(id) => write!(f, "HTTP/2 peer: {} on stream {id}: {}", self.code, self.reason),
            None => write!(f, "HTTP/2 peer: {}: {}", self.code, self.reason),
        }
    }
}

impl std::error::Error for RemoteProtocolError {}

/// We asked for something the protocol or the moment does not allow. Nothing was written and no state changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LocalProtocolError {
    /// The connection ended with an error; nothing can be sent on it.
    Dead,
    /// A GOAWAY was sent or received: no new streams (RFC 9113 section 6.8).
    GoingAway,
    /// The peer's MAX_CONCURRENT_STREAMS is reached: wait for a stream to end.
    Busy,
    /// All 2^30 stream identifiers of our side are used (RFC 9113 section 5.1.1).
    Exhausted,
    /// Only a client opens streams.
    NotAClient,
    /// No such stream, or it is closed already: the peer may have reset it a moment ago.
    NoStream,
    /// The stream exists but its sending half cannot take this now (rule in words).
    State(&'static str),
    /// More than `sendable()` says.
    Window,
    /// More than `max_frame()` says.
    FrameSize,
    /// These fields cannot travel over HTTP/2 (rule in words).
    Fields(&'static str),
    /// A setting that cannot be announced (rule in words).
    Setting(&'static str),
}

impl fmt::Display for LocalProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Dead => "the connection is over",
            Self::GoingAway => "the connection takes no new streams",
            Self::Busy => "the peer's limit of concurrent streams is reached",
            Self::Exhausted => "stream identifiers are exhausted",
            Self::NotAClient => "only a client opens streams",
            Self::NoStream => "no such stream",
            Self::Window => "more bytes than the flow-control window allows",
            Self::FrameSize => "more bytes than the peer's largest frame",
            Self::State(rule) | Self::Fields(rule) | Self::Setting(rule) => rule,
        };
        write!(f, "HTTP/2: {text}")
    }
}

impl std::error::Error for LocalProtocolError {}
