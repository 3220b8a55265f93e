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

/// A list of extensions.
///
/// RFC 8446 section 4.2 has each type at most once. Which lists BoringSSL checks for that, and with which alert, is
/// told where they are read; so is its answer to an extension that was offered and has no place in a message:
/// `unsupported_extension`, as for one that was not offered, where section 4.2 has `illegal_parameter`.
#[derive(Debug)]
pub(crate) struct Extensions<'a>(Vec<(u16, Reader<'a>)>);

impl<'a> Extensions<'a> {
    pub(crate) fn parse(mut list: Reader<'a>) -> Result<Self, RemoteError> {
        let mut all: Vec<(u16, Reader<'a>)> = Vec::new();
        while !list.is_empty() {
            let kind = list.u16()?;
            let data = list.vec16()?;
            all.push((kind, data));
        }
        Ok(Self(all))
    }

    pub(crate) fn get(&self, kind: u16) -> Option<Reader<'a>> {
        self.0.iter().find(|(k, _)| *k == kind).map(|(_, data)| *data)
    }

    /// Where it stands twice, `illegal_parameter`; what else stands twice does not matter.
    pub(crate) fn once(&self, kind: u16) -> Result<Option<Reader<'a>>, RemoteError> {
        let mut found = self.0.iter().filter(|(k, _)| *k == kind).map(|(_, data)| *data);
        let first = found.next();
        if found.next().is_some() { Err(RemoteError::illegal("an extension twice")) } else { Ok(first) }
    }

    pub(crate) fn all(&self) -> &[(u16, Reader<'a>)] {
        &self.0
    }

    /// Every type once; else `decode_error`, as BoringSSL has it for hellos of clients and for EncryptedExtensions.
    pub(crate) fn unique(self) -> Result<Self, RemoteError> {
        let mut kinds: Vec<u16> = self.0.iter().map(|(kind, _)| *kind).collect();
        kinds.sort_unstable();
        if kinds.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
            return Err(RemoteError::decode("an extension twice"));
        }
        Ok(self)
    }

    /// Only what was offered and is `allowed` here, and each once. `free` may come unasked.
    pub(crate) fn only(&self, offered: &Offered, allowed: &[u16], free: &[u16]) -> Result<(), RemoteError> {
        for (at, (kind, _)) in self.0.iter().enumerate() {
            let asked = offered.extensions.contains(kind) && allowed.contains(kind);
            if !(asked || free.contains(kind)) {
                return Err(RemoteError::new(Alert::UNSUPPORTED_EXTENSION, "an extension that has no place here"));
            }
            if self.0.iter().take(at).any(|(k, _)| k == kind) {
                return Err(RemoteError::illegal("an extension twice"));
            }
        }
        Ok(())
    }
}
