//! Who the peer is: chains ([`Verifier`]), signatures ([`signature`]), keys that a leaf signs for ([`delegated`]), and
//! chains that come compressed ([`decompress`]).
//!
//! A verifier says whether a chain is to be believed for a name. That the peer holds the leaf's key is another
//! question, which the engine itself always asks (CertificateVerify, RFC 8446 section 4.4.3).

pub mod decompress;
pub mod delegated;
mod der;
pub mod signature;
pub mod verifiers;

use crate::alert::Alert;

pub use der::{PublicKey, public_key, signs};
pub use verifiers::{Pin, SignatureOnly, WebPki};

/// Why a chain is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateError {
    /// It cannot be parsed, or does not fit its purpose.
    Malformed,
    Expired,
    Revoked,
    UnknownIssuer,
    /// It is for somebody else.
    Name,
    /// Not the pinned key.
    Pin,
    /// A kind of key or signature that is not supported.
    Unsupported,
    /// Any other reason of the verifier's own.
    Refused,
}

impl CertificateError {
    /// The alert that is due: for a chain that cannot be read `bad_certificate`; for one that is not believed always
    /// the same, as Chromium 156 says it to a server whose certificate is expired, unknown or somebody else's (tried
    /// with OpenSSL's `s_server`). RFC 8446 section 6.2 has an alert for each reason; whoever ends our TLS in the middle
    /// would know us by them.
    #[must_use]
    pub const fn alert(self) -> Alert {
        match self {
            Self::Malformed => Alert::BAD_CERTIFICATE,
            _ => Alert::CERTIFICATE_UNKNOWN,
        }
    }
}

/// The messages that opened a handshake, as they went over the wire: the last ClientHello and the ServerHello.
#[derive(Clone, Copy)]
pub struct Hellos<'a> {
    pub client: &'a [u8],
    pub server: &'a [u8],
}

/// Judges a chain.
pub trait Verifier: Send + Sync {
    /// `chain` is leaf first and never empty; `ocsp` is empty without a stapled response; `now` is seconds since 1970.
    ///
    /// # Errors
    /// Why it is refused.
    fn verify(&self, chain: &[&[u8]], name: &str, ocsp: &[u8], now: u64) -> Result<(), CertificateError>;

    /// The same for a chain that may be bound to the handshake it came in, as REALITY's is; what the engine asks.
    ///
    /// # Errors
    /// Why it is refused.
    fn verify_bound(
        &self,
        chain: &[&[u8]],
        name: &str,
        ocsp: &[u8],
        now: u64,
        _hellos: &Hellos<'_>,
    ) -> Result<(), CertificateError> {
        self.verify(chain, name, ocsp, now)
    }

    /// Whether a signature scheme is taken that the hello did not offer. REALITY answers every hello with an Ed25519
    /// leaf, which no browser offers; everybody else says no.
    fn also(&self, _scheme: u16) -> bool {
        false
    }
}
