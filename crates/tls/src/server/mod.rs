//! A server's handshake, as small as REALITY and tests need it (RFC 8446 section 2 and appendix A.2): one certificate,
//! no client authentication, resumption only where a ticket key is given.
//!
//! ```text
//!   Hello ──ClientHello──▶ (Settings ──client's EncryptedExtensions──▶) Finish ──Finished──▶ Connected
//!     │▲
//!     └┘ HelloRetryRequest, once, where no share fits
//! ```

pub mod key;
mod stages;
pub mod ticketer;

use std::sync::Arc;

use crate::channel::Channel;
use crate::error::{Error, LocalError};
use crate::hello::{Random, SystemRandom};
use crate::names::group;
use crate::shake::Shake;
use crate::suite::Suite;
use crate::traffic::Traffic;
use crate::{Connected, Progress};

pub use key::SigningKey;
use stages::Stage;
pub(crate) use stages::WaitFinish;
pub use ticketer::TicketKey;

/// What every connection shares.
pub struct Config {
    /// Leaf first.
    pub chain: Vec<Vec<u8>>,
    /// A stapled OCSP response, sent to who asks; empty for none.
    pub ocsp: Vec<u8>,
    pub key: SigningKey,
    /// In order of preference.
    pub suites: Vec<Suite>,
    /// In order of preference; a group with a share wins over one without.
    pub groups: Vec<u16>,
    /// In order of preference; empty ignores the client's.
    pub alpn: Vec<Vec<u8>>,
    /// Our application settings for each protocol that has them.
    pub settings: Vec<(Vec<u8>, Vec<u8>)>,
    /// The Certificate message's body as compressed beforehand: algorithm, its length, the bytes (RFC 8879).
    pub compressed: Option<(u16, usize, Vec<u8>)>,
    pub record_size_limit: Option<u16>,
    /// Signs even with a scheme that the client did not offer: REALITY's Ed25519 leaf.
    pub sign_always: bool,
    /// Seals tickets; without it nothing is resumed.
    pub ticket_key: Option<TicketKey>,
    /// Tickets for each connection.
    pub tickets: u8,
    pub random: Arc<dyn Random>,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("server::Config(..)")
    }
}

impl Config {
    #[must_use]
    pub fn new(chain: Vec<Vec<u8>>, key: SigningKey) -> Self {
        Self {
            chain,
            ocsp: Vec::new(),
            key,
            suites: Suite::ALL.to_vec(),
            groups: vec![group::X25519MLKEM768, group::X25519, group::P256, group::P384],
            alpn: Vec::new(),
            settings: Vec::new(),
            compressed: None,
            record_size_limit: None,
            sign_always: false,
            ticket_key: None,
            tickets: 0,
            random: Arc::new(SystemRandom),
        }
    }
}

/// A server's handshake in progress.
pub struct Server {
    shake: Shake<Stage>,
}

/// What all stages need.
struct Core {
    config: Arc<Config>,
    now: u64,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Server(..)")
    }
}

impl Server {
    /// `now` is milliseconds since 1970.
    #[must_use]
    pub fn new(config: Arc<Config>, now: u64) -> Self {
        Self { shake: Shake { core: Core { config, now }, channel: Channel::default(), stage: Stage::first() } }
    }

    /// A handshake whose flight is out already, and under `channel`'s keys.
    pub(crate) fn waiting(config: Arc<Config>, channel: Channel, wait: WaitFinish) -> Self {
        Self { shake: Shake { core: Core { config, now: 0 }, channel, stage: Stage::Finish(Box::new(wait)) } }
    }

    /// The traffic of a handshake that is done.
    pub(crate) fn traffic(&mut self) -> Option<&mut Traffic> {
        if let Stage::Done(connected) = &mut self.shake.stage { Some(&mut connected.traffic) } else { None }
    }

    /// As [`crate::client::Client::step`].
    ///
    /// # Errors
    /// Any [`Error`]; the handshake is over then, and the alert is in `out`.
    pub fn step(&mut self, input: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<Progress, Error> {
        self.shake.step(input, out)
    }

    /// The second stage; only after [`Progress::Done`].
    ///
    /// # Errors
    /// [`LocalError::State`] when called too early.
    pub fn finish(self) -> Result<Connected, LocalError> {
        self.shake.finish()
    }
}
