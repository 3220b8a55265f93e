//! Two kinds of failure that must never be mixed up.
//!
//! * [`RemoteError`]: the peer broke the protocol, or we refuse what it gave. It carries the alert that is due.
//! * [`LocalError`]: we were used wrongly, or the machine failed us. The peer is told `internal_error` and no more.
//!
//! [`Error`] is their sum, and the third case: the peer itself ended the connection.

use std::fmt;

use crate::alert::Alert;

/// The peer's fault, with the alert due and a word for the log; the word never holds data of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteError {
    pub alert: Alert,
    pub what: &'static str,
}

impl RemoteError {
    #[must_use]
    pub const fn new(alert: Alert, what: &'static str) -> Self {
        Self { alert, what }
    }

    /// A value that is well-formed and not allowed (RFC 8446 section 6.2).
    #[must_use]
    pub const fn illegal(what: &'static str) -> Self {
        Self::new(Alert::ILLEGAL_PARAMETER, what)
    }

    /// Bytes that cannot be parsed (RFC 8446 section 6.2).
    #[must_use]
    pub const fn decode(what: &'static str) -> Self {
        Self::new(Alert::DECODE_ERROR, what)
    }

    /// A message that does not belong here (RFC 8446 section 6.2).
    #[must_use]
    pub const fn unexpected(what: &'static str) -> Self {
        Self::new(Alert::UNEXPECTED_MESSAGE, what)
    }
}

impl fmt::Display for RemoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.alert, self.what)
    }
}

impl std::error::Error for RemoteError {}

/// Our own misuse, or a failure of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalError {
    /// A call that does not fit the state (a second `finish`, sealing after close).
    State(&'static str),
    /// A configuration or a first message that cannot be used.
    Config(&'static str),
    /// The caller's buffer is too small, or the plaintext too long for one record.
    Room,
    /// A cryptographic operation failed that cannot fail on a sound machine.
    Crypto(&'static str),
    /// The random source failed.
    Random,
    /// A sequence number is used up (RFC 8446 section 5.3).
    Exhausted,
}

impl fmt::Display for LocalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State(what) => write!(f, "wrong state: {what}"),
            Self::Config(what) => write!(f, "unusable configuration: {what}"),
            Self::Room => f.write_str("the buffer does not fit"),
            Self::Crypto(what) => write!(f, "cryptographic failure: {what}"),
            Self::Random => f.write_str("the random source failed"),
            Self::Exhausted => f.write_str("the sequence numbers are used up"),
        }
    }
}

impl std::error::Error for LocalError {}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    Remote(RemoteError),
    Local(LocalError),
    /// The peer sent this alert; nothing is due in return (RFC 8446 section 6.2).
    Peer(Alert),
}

impl Error {
    /// The alert that the peer must be sent, if one is due.
    #[must_use]
    pub const fn due(&self) -> Option<Alert> {
        match self {
            Self::Remote(error) => Some(error.alert),
            Self::Local(_) => Some(Alert::INTERNAL_ERROR),
            Self::Peer(_) => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remote(error) => error.fmt(f),
            Self::Local(error) => error.fmt(f),
            Self::Peer(alert) => write!(f, "the peer sent {alert}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<RemoteError> for Error {
    fn from(error: RemoteError) -> Self {
        Self::Remote(error)
    }
}

impl From<LocalError> for Error {
    fn from(error: LocalError) -> Self {
        Self::Local(error)
    }
}
