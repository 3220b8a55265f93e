//! The two ways a conversation can break: the peer broke the rules, or the caller did.
//!
//! Neither carries bytes of the conversation: an error text may reach a log, a destination may not.

use std::fmt;

/// The peer sent what the protocol forbids. What should still be said to it is already in the machine's `out()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteProtocolError {
    /// What was wrong, as a constant sentence.
    pub why: &'static str,
}

/// The caller asked for what the protocol cannot express, or at the wrong time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalProtocolError {
    /// What was wrong, as a constant sentence.
    pub why: &'static str,
}

impl RemoteProtocolError {
    /// An error that says `why`.
    #[must_use]
    pub const fn new(why: &'static str) -> Self {
        Self { why }
    }
}

impl LocalProtocolError {
    /// An error that says `why`.
    #[must_use]
    pub const fn new(why: &'static str) -> Self {
        Self { why }
    }
}

impl fmt::Display for RemoteProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.why)
    }
}

impl fmt::Display for LocalProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.why)
    }
}

impl std::error::Error for RemoteProtocolError {}
impl std::error::Error for LocalProtocolError {}

impl From<RemoteProtocolError> for std::io::Error {
    fn from(error: RemoteProtocolError) -> Self {
        Self::new(std::io::ErrorKind::InvalidData, error)
    }
}

impl From<LocalProtocolError> for std::io::Error {
    fn from(error: LocalProtocolError) -> Self {
        Self::new(std::io::ErrorKind::InvalidInput, error)
    }
}
