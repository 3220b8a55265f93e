//! The client's handshake by our own engine: its first message is a browser's, written by a look. Two kinds: TLS with
//! the edge's own certificate, and REALITY, which is the same to whoever looks on.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rozaneh_tls::certificate::{Pin, Verifier, WebPki};
use rozaneh_tls::client::{Client as Engine, Config};
use rozaneh_tls::reality::client::{self as reality, Outcome};
pub use rozaneh_tls::reality::client::{Keys, VERSION};
use rozaneh_tls::ticket::Cache;
use rozaneh_tls::{Alert, Connected, Error, LocalError, Progress, traffic};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};

use super::{Established, Facts, Handshake, Opened, Step, TlsError, Traffic, Version};
use crate::look::Look;

/// How the edge's certificate is checked.
#[derive(Clone)]
pub struct Trust(Arc<dyn Verifier>);

impl Trust {
    /// SHA-256 of the certificate's SubjectPublicKeyInfo (RFC 7469 section 2.4). Dates and names do not count: the pin
    /// came with the invite, and a wrong clock must not lock a reader out.
    #[must_use]
    pub fn pin(pin: [u8; 32]) -> Self {
        Self(Arc::new(Pin(vec![pin])))
    }

    /// Nobody.
    #[must_use]
    pub fn nobody() -> Self {
        Self(Arc::new(WebPki::new(Vec::new())))
    }

    /// The system's roots, name and dates included.
    ///
    /// # Errors
    /// Where the system has none.
    pub fn system() -> Result<Self, String> {
        let found = rustls_native_certs::load_native_certs().certs;
        let (roots, bad) = WebPki::from_certificates(found.iter().map(AsRef::as_ref));
        if bad == found.len() {
            return Err("this system has no root certificates; use a pin".into());
        }
        Ok(Self(Arc::new(roots)))
    }

    /// Roots from PEM text.
    ///
    /// # Errors
    /// A sentence on what is wrong with it.
    pub fn from_pem(pem: &[u8]) -> Result<Self, String> {
        let found: Vec<_> =
            CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|e| format!("not PEM: {e}"))?;
        if found.is_empty() {
            return Err("there is no certificate in it".into());
        }
        let (roots, bad) = WebPki::from_certificates(found.iter().map(AsRef::as_ref));
        if bad > 0 { Err("not a usable root certificate".into()) } else { Ok(Self(Arc::new(roots))) }
    }
}

/// What a reader knows of an edge behind REALITY.
#[derive(Clone)]
pub struct Reality {
    pub keys: Keys,
    /// Judges the cover's certificate, where it is the cover that answers.
    pub cover: Trust,
    /// Seconds to add to this machine's clock in the hello's stamp, and nowhere else.
    pub clock_offset_s: i64,
}

/// Everything that is the same for each connection of one upstream.
#[derive(Clone)]
pub struct Client {
    name: Arc<str>,
    kind: ClientKind,
}

#[derive(Clone)]
enum ClientKind {
    Tls { config: Arc<Config>, tickets: Arc<Cache> },
    Reality { config: Arc<reality::Config>, clock_offset_s: i64 },
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client(…)")
    }
}

impl Client {
    /// A client that says `server_name` and looks like `look`. What it is given to resume goes to `tickets`.
    ///
    /// # Errors
    /// A sentence on what is wrong with the parameters.
    pub fn new(server_name: &str, trust: &Trust, look: &Look, tickets: Arc<Cache>) -> Result<Self, String> {
        ServerName::try_from(server_name).map_err(|_| "not a host name".to_owned())?;
        let mut config = Config::new(look.author(), Arc::clone(&trust.0));
        config.tickets = Some(Arc::clone(&tickets) as _);
        Ok(Self { name: server_name.into(), kind: ClientKind::Tls { config: Arc::new(config), tickets } })
    }

    /// A client that says `server_name`, looks like `look`, and proves to know the edge's key in its session id. It
    /// resumes nothing: the edge gives no tickets, and those of the cover would be offered to the edge in vain, which
    /// shows.
    ///
    /// # Errors
    /// A sentence on what is wrong with the parameters.
    pub fn reality(server_name: &str, knows: Reality, look: &Look) -> Result<Self, String> {
        ServerName::try_from(server_name).map_err(|_| "not a host name".to_owned())?;
        let config = reality::Config::new(look.author(), knows.cover.0, knows.keys);
        let kind = ClientKind::Reality { config: Arc::new(config), clock_offset_s: knows.clock_offset_s };
        Ok(Self { name: server_name.into(), kind })
    }

    /// Whether the protocol inside is agreed by ALPN; under REALITY the edge never answers it.
    #[must_use]
    pub fn negotiates(&self) -> bool {
        matches!(self.kind, ClientKind::Tls { .. })
    }

    /// Starts one handshake.
    ///
    /// # Errors
    /// [`TlsError::Internal`] where the profile wants what the engine cannot do, or there is no randomness.
    pub fn start(&self) -> Result<Box<dyn Handshake>, TlsError> {
        match &self.kind {
            ClientKind::Tls { config, tickets } => {
                let (engine, first) = Engine::start(Arc::clone(config), &self.name, now())?;
                Ok(Box::new(Shake { engine, first, tickets: Some(Arc::clone(tickets)) }))
            }
            ClientKind::Reality { config, clock_offset_s } => {
                let (engine, first) = reality::Client::start(config, &self.name, now(), *clock_offset_s)?;
                Ok(Box::new(Shake { engine, first, tickets: None }))
            }
        }
    }
}

/// Milliseconds since 1970.
fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

impl From<Error> for TlsError {
    fn from(error: Error) -> Self {
        match error {
            Error::Peer(_) => Self::PeerAlert,
            Error::Local(_) => Self::Internal,
            Error::Remote(error) => match error.alert {
                Alert::BAD_RECORD_MAC => Self::Decrypt,
                Alert::BAD_CERTIFICATE
                | Alert::UNSUPPORTED_CERTIFICATE
                | Alert::CERTIFICATE_REVOKED
                | Alert::CERTIFICATE_EXPIRED
                | Alert::CERTIFICATE_UNKNOWN
                | Alert::UNKNOWN_CA => Self::Certificate,
                _ => Self::Protocol,
            },
        }
    }
}

impl From<LocalError> for TlsError {
    fn from(_: LocalError) -> Self {
        Self::Internal
    }
}

/// The engine's handshakes, which differ in how they end.
trait Hands: Send {
    fn step(&mut self, input: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<Progress, Error>;
    /// The connection, and whether it is the cover's.
    fn finish(self) -> Result<(Connected, bool), LocalError>;
}

impl Hands for Engine {
    fn step(&mut self, input: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<Progress, Error> {
        Self::step(self, input, out)
    }
    fn finish(self) -> Result<(Connected, bool), LocalError> {
        Ok((Self::finish(self)?, false))
    }
}

impl Hands for reality::Client {
    fn step(&mut self, input: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<Progress, Error> {
        Self::step(self, input, out)
    }
    fn finish(self) -> Result<(Connected, bool), LocalError> {
        let (connected, outcome) = Self::finish(self)?;
        Ok((connected, outcome == Outcome::Real))
    }
}

struct Shake<H> {
    engine: H,
    /// The first message, until it is taken.
    first: Vec<u8>,
    tickets: Option<Arc<Cache>>,
}

impl<H: Hands> Handshake for Shake<H> {
    fn step(&mut self, input: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<Step, TlsError> {
        out.append(&mut self.first);
        match self.engine.step(input, out)? {
            Progress::NeedMore => Ok(Step::NeedMore),
            Progress::Done => Ok(Step::Done),
        }
    }

    fn finish(self: Box<Self>) -> Result<Established, TlsError> {
        let (connected, cover) = self.engine.finish()?;
        Ok(Established {
            facts: Facts { version: Version::Tls13, alpn: connected.facts.alpn, cover },
            traffic: Box::new(Records { inner: connected.traffic, tickets: self.tickets }),
            early: Vec::new(),
        })
    }
}

/// The engine's records behind the seam. Both sides use it; only a client keeps tickets.
pub(crate) struct Records {
    pub(crate) inner: traffic::Traffic,
    pub(crate) tickets: Option<Arc<Cache>>,
}

impl Traffic for Records {
    fn open(&mut self, buffer: &mut [u8]) -> Result<Opened, TlsError> {
        let opened = self.inner.open(buffer)?;
        if let (Opened::Quiet { .. }, Some(cache)) = (&opened, &self.tickets) {
            self.inner.tickets(now()).into_iter().for_each(|ticket| cache.put(ticket));
        }
        Ok(opened)
    }

    fn seal(&mut self, room: &mut [u8], len: usize) -> Result<usize, TlsError> {
        Ok(self.inner.seal(room, len)?)
    }

    fn max_plain(&self) -> usize {
        self.inner.max_plain()
    }

    fn pending(&mut self) -> &mut Vec<u8> {
        self.inner.pending()
    }

    fn close(&mut self) {
        self.inner.close();
    }
}
