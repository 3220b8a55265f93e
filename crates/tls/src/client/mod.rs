//! The client's handshake (RFC 8446 section 2 and appendix A.1).
//!
//! ```text
//!   Hello ──ServerHello──▶ Encrypted ──EncryptedExtensions──▶ Chain ──Certificate──▶ Signature ──CertificateVerify──▶
//!     │▲                                      │ (resumed)                                                            │
//!     └┘ HelloRetryRequest, once              └────────────────────────────────▶ Finish ◀────────────────────────────┘
//!                                                                                  │ Finished
//!                                                                                  ▼ Connected
//! ```
//!
//! Each stage is a type in `stages` that is consumed by the message it waits for; any other message is
//! `unexpected_message`. This file owns records and alerts, and no rule of the protocol.

mod stages;

use std::sync::Arc;

use crate::certificate::Verifier;
use crate::channel::{Channel, MAX_CERTIFICATE};
use crate::error::{Error, LocalError};
use crate::hello::{Ask, Author, Random, SystemRandom};
use crate::names::version;
use crate::shake::Shake;
use crate::ticket::{Ticket, Tickets};
use crate::{Connected, Progress, record};

use stages::Stage;

/// What every connection of a kind shares.
pub struct Config {
    pub author: Arc<dyn Author>,
    pub verifier: Arc<dyn Verifier>,
    /// Where sessions to resume come from; without it nothing is resumed.
    pub tickets: Option<Arc<dyn Tickets>>,
    /// Our application settings for each protocol (draft-vvv-tls-alps); empty ones for what is not listed, as Chrome.
    pub settings: Vec<(Vec<u8>, Vec<u8>)>,
    pub random: Arc<dyn Random>,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("client::Config(..)")
    }
}

impl Config {
    #[must_use]
    pub fn new(author: Arc<dyn Author>, verifier: Arc<dyn Verifier>) -> Self {
        Self { author, verifier, tickets: None, settings: Vec::new(), random: Arc::new(SystemRandom) }
    }
}

/// What all stages need.
struct Core {
    config: Arc<Config>,
    name: String,
    now: u64,
    ticket: Option<Ticket>,
}

impl Core {
    fn ask(&self) -> Ask<'_> {
        Ask { name: &self.name, now: self.now, ticket: self.ticket.as_ref(), random: &*self.config.random }
    }
}

/// A client's handshake in progress.
pub struct Client {
    shake: Shake<Stage>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({})", self.shake.stage.name())
    }
}

impl Client {
    /// Starts: a handshake, and the bytes to send. `now` is milliseconds since 1970.
    ///
    /// # Errors
    /// [`LocalError`] where the author fails or writes what the engine cannot complete.
    pub fn start(config: Arc<Config>, name: &str, now: u64) -> Result<(Self, Vec<u8>), LocalError> {
        let ticket = config.tickets.as_ref().and_then(|tickets| tickets.take(name, now));
        let mut core = Core { config, name: name.to_owned(), now, ticket };
        let mut hello = core.config.author.hello(&core.ask())?;
        stages::prepare(&mut hello, &mut core.ticket, None)?;
        let mut out = Vec::with_capacity(hello.message.len().saturating_add(64));
        record::plain_flight(version::TLS10, &hello.message, &hello.records, &mut out);
        let mut channel = Channel::default();
        channel.messages.most = MAX_CERTIFICATE;
        Ok((Self { shake: Shake { core, channel, stage: Stage::first(hello) } }, out))
    }

    /// Takes whole records off the front of `input` and appends what is due to `out`, also when it fails: the alert.
    /// What stands behind the handshake's end stays in `input`.
    ///
    /// # Errors
    /// Any [`Error`]; the handshake is over then.
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
