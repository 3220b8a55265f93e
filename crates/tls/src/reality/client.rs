//! The client: any author's hello with its session id sealed, and the question who answered.
//!
//! A handshake ends well in two ways. [`Outcome::Verified`]: the server proved that it opened the session id.
//! [`Outcome::Real`]: the cover answered, with a certificate that the fallback verifier believed; nothing of ours may
//! be said there, and the caller goes on as the browser it looks like.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::auth::{self, AuthKey, Stamp};
use super::certificate;
use crate::certificate::{CertificateError, Hellos, Verifier};
use crate::error::{Error, LocalError, RemoteError};
use crate::hello::{self, Ask, Hello, Random, SystemRandom};
use crate::messages::HelloRetryRequest;
use crate::names::scheme;
use crate::{Connected, Progress, client};

/// The version that a client says it is, where nothing else is set: Xray's of mid 2026, since servers may ask for a
/// least one (`minClientVer`).
pub const VERSION: [u8; 3] = [26, 7, 28];

/// What a client knows of a server.
#[derive(Clone)]
pub struct Keys {
    /// The server's static X25519 key.
    pub server_public: [u8; 32],
    pub short_id: [u8; 8],
    /// The server's ML-DSA-65 key (1,952 bytes), where its signature is demanded.
    pub mldsa65: Option<Vec<u8>>,
    pub version: [u8; 3],
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(..)")
    }
}

/// What all connections to a server share.
pub struct Config {
    /// Writes the hellos; it has to give them a session id of 32 bytes and an X25519 share, as browsers do.
    pub author: Arc<dyn hello::Author>,
    /// Judges the cover's certificate, where it was the cover that answered.
    pub fallback: Arc<dyn Verifier>,
    pub keys: Keys,
    /// As [`client::Config::settings`].
    pub settings: Vec<(Vec<u8>, Vec<u8>)>,
    pub random: Arc<dyn Random>,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("reality::client::Config(..)")
    }
}

impl Config {
    #[must_use]
    pub fn new(author: Arc<dyn hello::Author>, fallback: Arc<dyn Verifier>, keys: Keys) -> Self {
        Self { author, fallback, keys, settings: Vec::new(), random: Arc::new(SystemRandom) }
    }
}

/// Who answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The REALITY server.
    Verified,
    /// The cover.
    Real,
}

/// One connection's secrets: writes its hello, and judges the leaf that comes back.
pub struct Author {
    config: Arc<Config>,
    /// Seconds to add to the clock for the stamp, and for nothing else.
    offset_s: i64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    key: Option<AuthKey>,
    verified: bool,
}

impl std::fmt::Debug for Author {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("reality::client::Author(..)")
    }
}

impl Author {
    /// For exactly one connection.
    #[must_use]
    pub fn new(config: Arc<Config>, offset_s: i64) -> Self {
        Self { config, offset_s, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who answered; before the certificate came, nobody of ours.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        if self.state().verified { Outcome::Verified } else { Outcome::Real }
    }
}

impl hello::Author for Author {
    fn hello(&self, ask: &Ask<'_>) -> Result<Hello, LocalError> {
        const UNFIT: LocalError = LocalError::Config("a hello without an X25519 share cannot carry REALITY");
        let mut hello = self.config.author.hello(ask)?;
        let keys = &self.config.keys;
        let share = auth::own_share(&hello.shares).ok_or(UNFIT)?;
        let shared = share
            .agree_x25519(&keys.server_public)
            .map_err(|_| LocalError::Config("the server's REALITY key is no X25519 key"))?;
        let key = AuthKey::derive(&shared, &hello.offered.random)?;
        let seconds = i64::try_from(ask.now / 1_000).ok().and_then(|now| now.checked_add(self.offset_s));
        let time = seconds.and_then(|seconds| u32::try_from(seconds).ok());
        let time = time.ok_or(LocalError::Config("a clock before 1970 or after 2106"))?;
        let stamp = Stamp { version: keys.version, time, short_id: keys.short_id };
        hello.offered.session_id = key.seal(&mut hello.message, &stamp)?.to_vec();
        self.state().key = Some(key);
        Ok(hello)
    }

    /// Only a cover asks for one; the session id stays as it is.
    fn second(&self, first: &Hello, retry: &HelloRetryRequest, ask: &Ask<'_>) -> Result<Hello, RemoteError> {
        self.config.author.second(first, retry, ask)
    }
}

impl Verifier for Author {
    fn verify(&self, chain: &[&[u8]], name: &str, ocsp: &[u8], now: u64) -> Result<(), CertificateError> {
        self.config.fallback.verify(chain, name, ocsp, now)
    }

    fn verify_bound(
        &self,
        chain: &[&[u8]],
        name: &str,
        ocsp: &[u8],
        now: u64,
        hellos: &Hellos<'_>,
    ) -> Result<(), CertificateError> {
        let leaf = chain.first().ok_or(CertificateError::Malformed)?;
        let mut state = self.state();
        let bound = |key: &AuthKey| match &self.config.keys.mldsa65 {
            None => true,
            Some(public) => certificate::is_bound(leaf, key, public, hellos.client, hellos.server),
        };
        state.verified = state.key.as_ref().is_some_and(|key| certificate::is_ours(leaf, key) && bound(key));
        if state.verified {
            return Ok(());
        }
        drop(state);
        self.verify(chain, name, ocsp, now)
    }

    /// A REALITY server signs with Ed25519, which no browser offers.
    fn also(&self, id: u16) -> bool {
        id == scheme::ED25519 && self.outcome() == Outcome::Verified
    }
}

/// A client's handshake in progress.
#[derive(Debug)]
pub struct Client {
    inner: client::Client,
    author: Arc<Author>,
}

impl Client {
    /// Starts: a handshake, and the bytes to send. `now` is milliseconds since 1970; `offset_s` corrects the stamp's
    /// clock and nothing else.
    ///
    /// # Errors
    /// [`LocalError`] where the author's hello cannot carry REALITY, or the author fails.
    pub fn start(config: &Arc<Config>, name: &str, now: u64, offset_s: i64) -> Result<(Self, Vec<u8>), LocalError> {
        let author = Arc::new(Author::new(Arc::clone(config), offset_s));
        let mut inner = client::Config::new(Arc::clone(&author) as _, Arc::clone(&author) as _);
        inner.settings.clone_from(&config.settings);
        inner.random = Arc::clone(&config.random);
        let (inner, out) = client::Client::start(Arc::new(inner), name, now)?;
        Ok((Self { inner, author }, out))
    }

    /// As [`client::Client::step`].
    ///
    /// # Errors
    /// Any [`Error`]; the handshake is over then.
    pub fn step(&mut self, input: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<Progress, Error> {
        self.inner.step(input, out)
    }

    /// The second stage, and who answered; only after [`Progress::Done`].
    ///
    /// # Errors
    /// [`LocalError::State`] when called too early.
    pub fn finish(self) -> Result<(Connected, Outcome), LocalError> {
        let connected = self.inner.finish()?;
        // A cover that asked for a second hello is no REALITY server, whatever its leaf says.
        let verified = self.author.outcome() == Outcome::Verified && !connected.facts.retried;
        Ok((connected, if verified { Outcome::Verified } else { Outcome::Real }))
    }
}
