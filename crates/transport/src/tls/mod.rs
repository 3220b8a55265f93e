//! TLS behind a seam: whoever shakes hands, the carriers see the same two things.
//!
//! A connection has two stages, and each is sans-IO (bytes in, bytes out, no sockets, no clock):
//!
//! ```text
//!   Handshake ──step()──▶ NeedMore │ Done ──finish()──▶ Established { traffic, facts }
//!   Traffic   ──open()/seal()──▶ records, in place, in the caller's own buffers
//! ```
//!
//! * [`Handshake`] is what differs between implementations: our own engine, whose first message is a browser's, for
//!   clients ([`engine_client`]), rustls for own-certificate servers ([`rustls_server`]). Nothing outside this folder
//!   names rustls.
//! * [`Traffic`] protects records, straight on aws-lc-rs, because a carrier wants to open records where they were read
//!   and to seal them where they are written: no copy that the cipher does not make, and large reads. There are two for
//!   TLS 1.3, of equal speed: the engine's, which answers mistakes as Chrome does, and [`record::Records`] behind
//!   rustls' handshakes, which answers strangers' as the OpenSSL of the cover does. TLS 1.2, which only strangers
//!   speak, goes the slow way.
//!
//! Both are driven by [`drive::handshake`] over a socket; [`stream::TlsStream`] is the ordinary byte stream on top,
//! for the HTTP/1.1 side of the cover.

pub mod drive;
pub mod engine_client;
pub mod io;
pub mod legacy;
pub mod opening;
pub mod record;
pub mod rustls_server;
pub mod stream;
mod unbuffered;

use std::fmt;

pub use rozaneh_tls::traffic::Opened;

/// Bytes in front of the plaintext that [`Traffic::seal`] needs for the record header (RFC 8446 section 5.1).
pub const HEAD: usize = 5;
/// Room behind the plaintext: content type and AEAD tag in TLS 1.3 (17); nonce, tag and slack for TLS 1.2.
pub const TAIL: usize = 64;
/// Largest plaintext of one record (RFC 8446 section 5.1).
pub const MAX_PLAIN: usize = 16_384;
/// Largest record on the wire: header, plaintext and 256 bytes of expansion (RFC 8446 section 5.2); TLS 1.2 allows
/// 2,048 (RFC 5246 section 6.2.3), and the buffers must hold whatever a stranger may lawfully send.
pub const MAX_RECORD: usize = HEAD + MAX_PLAIN + 2_048;

/// What failed, coarsely: the alert, if one is due, is already among the bytes to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsError {
    /// The peer broke the protocol, or speaks another one.
    Protocol,
    /// The peer ended the connection with an alert, or in the middle of a record.
    PeerAlert,
    /// The certificate does not match the pin, or is not trusted.
    Certificate,
    /// A record does not authenticate.
    Decrypt,
    /// An internal limit or failure; never caused by the peer alone.
    Internal,
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Protocol => "the peer does not follow TLS",
            Self::PeerAlert => "the peer ended the connection",
            Self::Certificate => "the certificate is not the expected one",
            Self::Decrypt => "a record does not authenticate",
            Self::Internal => "internal TLS failure",
        })
    }
}

impl std::error::Error for TlsError {}

impl From<TlsError> for std::io::Error {
    fn from(error: TlsError) -> Self {
        Self::new(std::io::ErrorKind::InvalidData, error)
    }
}

/// Protocol version that was agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    Tls12,
    Tls13,
}

/// What the handshake decided.
#[derive(Clone, Debug)]
pub struct Facts {
    pub version: Version,
    /// The agreed application protocol, as on the wire.
    pub alpn: Option<Vec<u8>>,
    /// Under REALITY: it was the cover that answered, and nothing of ours may be said to it.
    pub cover: bool,
}

impl Facts {
    /// Whether HTTP/2 was agreed on (RFC 9113 section 3.2).
    #[must_use]
    pub fn is_h2(&self) -> bool {
        self.alpn.as_deref() == Some(b"h2")
    }
}

/// Whether the handshake needs more bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    NeedMore,
    Done,
}

/// A handshake in progress.
pub trait Handshake: Send {
    /// Takes whole records off the front of `input` and appends what has to be sent to `out` (also when it fails:
    /// the alert). Bytes behind the handshake's end stay in `input`.
    ///
    /// # Errors
    /// Any [`TlsError`]; the handshake is over then.
    fn step(&mut self, input: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<Step, TlsError>;

    /// The second stage; only after [`Step::Done`].
    ///
    /// # Errors
    /// [`TlsError::Internal`] when called too early.
    fn finish(self: Box<Self>) -> Result<Established, TlsError>;
}

/// A finished handshake.
pub struct Established {
    pub traffic: Box<dyn Traffic>,
    pub facts: Facts,
    /// Application data that the handshake already opened; it comes before anything [`Traffic::open`] gives.
    pub early: Vec<u8>,
}

/// Record protection in both directions.
pub trait Traffic: Send {
    /// Opens the first record of `buffer` in place.
    ///
    /// # Errors
    /// Any [`TlsError`]; [`Traffic::pending`] then holds the alert.
    fn open(&mut self, buffer: &mut [u8]) -> Result<Opened, TlsError>;

    /// Protects `room[HEAD..HEAD + len]` in place and returns the length of the record, which starts at `room[0]`.
    /// `room` has at least `HEAD + len + TAIL` bytes and `len` is at most [`Traffic::max_plain`].
    ///
    /// # Errors
    /// [`TlsError::Internal`] where these are not given, or the connection is closed.
    fn seal(&mut self, room: &mut [u8], len: usize) -> Result<usize, TlsError>;

    /// Largest plaintext of one record: less than [`MAX_PLAIN`] where the peer asked for it (RFC 8449).
    fn max_plain(&self) -> usize {
        MAX_PLAIN
    }

    /// Bytes that must go out before anything sealed later (alerts, answers to a key update); the caller drains it.
    fn pending(&mut self) -> &mut Vec<u8>;

    /// Queues `close_notify` into [`Traffic::pending`]. Idempotent.
    fn close(&mut self);
}
