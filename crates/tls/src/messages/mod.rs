//! Handshake messages (RFC 8446 section 4): parsed from the peer, written for it.
//!
//! A parser checks form (`decode_error`) and what needs nothing but the message and what was offered; what depends on
//! the state of the handshake is checked where that state is.

pub mod certificate;
pub mod encrypted;
pub mod server_hello;
pub mod ticket;

pub use server_hello::{HelloRetryRequest, ServerHello};

use crate::alert::Alert;
use crate::codec::Reader;
use crate::error::RemoteError;
use crate::hello::Offered;

/// A list of extensions: each type at most once (RFC 8446 section 4.2).
#[derive(Debug)]
pub(crate) struct Extensions<'a>(Vec<(u16, Reader<'a>)>);

impl<'a> Extensions<'a> {
    pub(crate) fn parse(mut list: Reader<'a>) -> Result<Self, RemoteError> {
        let mut all: Vec<(u16, Reader<'a>)> = Vec::new();
        while !list.is_empty() {
            let kind = list.u16()?;
            let data = list.vec16()?;
            if all.iter().any(|(k, _)| *k == kind) {
                return Err(RemoteError::illegal("an extension twice"));
            }
            all.push((kind, data));
        }
        Ok(Self(all))
    }

    pub(crate) fn get(&self, kind: u16) -> Option<Reader<'a>> {
        self.0.iter().find(|(k, _)| *k == kind).map(|(_, data)| *data)
    }

    pub(crate) fn all(&self) -> &[(u16, Reader<'a>)] {
        &self.0
    }

    /// RFC 8446 section 4.2: an answer to nothing is `unsupported_extension`; one we offered, and that has no place
    /// in this message, `illegal_parameter`. `free` may come unasked.
    pub(crate) fn only(&self, offered: &Offered, allowed: &[u16], free: &[u16]) -> Result<(), RemoteError> {
        for (kind, _) in &self.0 {
            if free.contains(kind) {
                continue;
            }
            if !offered.extensions.contains(kind) {
                return Err(RemoteError::new(Alert::UNSUPPORTED_EXTENSION, "an extension that was not offered"));
            }
            if !allowed.contains(kind) {
                return Err(RemoteError::illegal("an extension in the wrong message"));
            }
        }
        Ok(())
    }
}
