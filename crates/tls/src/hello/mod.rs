//! The first message: who writes it, and what the engine reads out of it.
//!
//! An [`Author`] writes the bytes; what was offered is then read back from those same bytes ([`Offered::read`]), so
//! the engine's idea of what a server may choose can never differ from what the server saw. Binders of a PSK are
//! left zero by the author and filled in by the engine, which owns the transcript.

pub mod parse;
pub mod plain;
pub mod second;

use aws_lc_rs::rand;

use crate::codec::Writer;
use crate::error::{LocalError, RemoteError};
use crate::groups::Offer;
use crate::messages::HelloRetryRequest;
use crate::names::extension;
use crate::ticket::Ticket;

pub use parse::{ClientHello, Offered};

/// Randomness, so that a test can fix an author's choices. Keys never come from here.
pub trait Random: Send + Sync {
    /// # Errors
    /// [`LocalError::Random`].
    fn fill(&self, out: &mut [u8]) -> Result<(), LocalError>;
}

/// The system's.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, out: &mut [u8]) -> Result<(), LocalError> {
        rand::fill(out).map_err(|_| LocalError::Random)
    }
}

/// What a hello is asked for.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// The server's name, or its address as text; addresses are not sent (RFC 6066 section 3).
    pub name: &'a str,
    /// Milliseconds since 1970.
    pub now: u64,
    /// The session to resume, if there is one.
    pub ticket: Option<&'a Ticket>,
    pub random: &'a dyn Random,
}

impl std::fmt::Debug for Ask<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ask(..)")
    }
}

impl<'a> Ask<'a> {
    /// The name as it may be sent: none for addresses, no final dot (RFC 6066 section 3).
    #[must_use]
    pub fn sni(&self) -> Option<&'a str> {
        let bare = self.name.trim_start_matches('[').trim_end_matches(']');
        if self.name.is_empty() || bare.parse::<std::net::IpAddr>().is_ok() {
            return None;
        }
        Some(self.name.trim_end_matches('.'))
    }
}

/// A first message that is ready to be sent, and the private keys that belong to it.
#[derive(Debug)]
pub struct Hello {
    /// The handshake message, header included.
    pub message: Vec<u8>,
    /// One for each share in the message that is no GREASE, in any order.
    pub shares: Vec<Offer>,
    /// What the peer may choose from: [`Offered::read`] of the message.
    pub offered: Offered,
    /// How the message is cut into records; what is left goes in full ones.
    pub records: Vec<usize>,
}

impl Hello {
    /// # Errors
    /// [`LocalError::Config`] where the message is no hello.
    pub fn new(message: Vec<u8>, shares: Vec<Offer>) -> Result<Self, LocalError> {
        let offered = Offered::read(&message).map_err(|_| LocalError::Config("the author wrote no hello"))?;
        Ok(Self { message, shares, offered, records: Vec::new() })
    }
}

/// Who writes hellos.
pub trait Author: Send + Sync {
    /// # Errors
    /// Whatever hinders it.
    fn hello(&self, ask: &Ask<'_>) -> Result<Hello, LocalError>;

    /// The hello after a HelloRetryRequest; [`second::second`] does what RFC 8446 section 4.1.2 allows.
    ///
    /// # Errors
    /// `illegal_parameter` where the request cannot be met, `internal_error` where we fail.
    fn second(&self, first: &Hello, retry: &HelloRetryRequest, ask: &Ask<'_>) -> Result<Hello, RemoteError>;
}

/// Writes `pre_shared_key` for one ticket, its binder zero (RFC 8446 section 4.2.11). It must be the last extension.
pub fn write_psk(w: &mut Writer, ticket: &Ticket, now: u64) {
    w.extension(extension::PRE_SHARED_KEY, |w| {
        w.vec16(|w| {
            w.vec16(|w| w.put(ticket.identity()));
            w.u32(ticket.obfuscated_age(now));
        });
        w.vec16(|w| w.vec8(|w| w.put(&vec![0; ticket.binder_len()])));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_dots_are_not_sent() {
        let sni = |name| Ask { name, now: 0, ticket: None, random: &SystemRandom }.sni().map(str::to_owned);
        assert_eq!(sni("example.org."), Some("example.org".into()));
        for none in ["", "192.0.2.1", "2001:db8::1", "[2001:db8::1]"] {
            assert_eq!(sni(none), None, "{none}");
        }
    }
}
