//! The client's stages: a type each, consumed by the message it waits for.

use super::Core;
use crate::alert::Alert;
use crate::certificate::delegated::{self, Delegated};
use crate::certificate::{Hellos, decompress, public_key, signature, signs};
use crate::channel::Channel;
use crate::error::{Error, LocalError, RemoteError};
use crate::hello::{Hello, Offered};
use crate::messages::certificate::{self as certs, Certificate, Compressed};
use crate::messages::encrypted::{self, EncryptedExtensions};
use crate::messages::server_hello::Answer;
use crate::messages::{HelloRetryRequest, ServerHello};
use crate::names::{PSK_DHE_KE, message};
use crate::record::Protection;
use crate::schedule::{self, Early, Secret};
use crate::suite::Suite;
use crate::ticket::Ticket;
use crate::traffic::{Resumption, Traffic};
use crate::transcript::Transcript;
use crate::{Connected, Facts, codec, names, shake};

/// Where the handshake is.
pub(super) enum Stage {
    Hello(Box<WaitHello>),
    Encrypted(Box<Session>),
    Chain(Box<WaitChain>),
    Signature(Box<WaitSignature>),
    Finish(Box<WaitFinish>),
    Done(Box<Connected>),
    Failed,
}

impl Stage {
    pub(super) fn first(hello: Hello) -> Self {
        Self::Hello(Box::new(WaitHello { hello, retried: None }))
    }

    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Hello(_) => "waits for ServerHello",
            Self::Encrypted(_) => "waits for EncryptedExtensions",
            Self::Chain(_) => "waits for Certificate",
            Self::Signature(_) => "waits for CertificateVerify",
            Self::Finish(_) => "waits for Finished",
            Self::Done(_) => "done",
            Self::Failed => "failed",
        }
    }
}

impl shake::Stage for Stage {
    type Core = Core;
    const FAILED: Self = Self::Failed;

    fn failed(&self) -> bool {
        matches!(self, Self::Failed)
    }

    fn done(&self) -> bool {
        matches!(self, Self::Done(_))
    }

    fn connected(self) -> Option<Connected> {
        if let Self::Done(connected) = self { Some(*connected) } else { None }
    }

    fn take(self, core: &mut Core, channel: &mut Channel, bytes: &[u8], out: &mut Vec<u8>) -> Result<Self, Error> {
        let kind = bytes.first().copied().unwrap_or_default();
        match (self, kind) {
            (Self::Hello(stage), message::SERVER_HELLO) => stage.take(core, channel, bytes, out),
            (Self::Encrypted(stage), message::ENCRYPTED_EXTENSIONS) => stage.take(channel, bytes),
            (Self::Chain(stage), kind) => stage.take(core, kind, bytes),
            (Self::Signature(stage), message::CERTIFICATE_VERIFY) => stage.take(core, bytes),
            (Self::Finish(stage), message::FINISHED) => stage.take(core, channel, bytes, out),
            _ => Err(RemoteError::unexpected("a message out of order").into()),
        }
    }
}

fn body(message: &[u8]) -> &[u8] {
    message.get(4..).unwrap_or_default()
}

/// Checks what the author wrote, and fills in the binder (RFC 8446 section 4.2.11.2). `before` is the transcript in
/// front of a second hello.
pub(super) fn prepare(
    hello: &mut Hello,
    ticket: &mut Option<Ticket>,
    before: Option<&Transcript>,
) -> Result<(), LocalError> {
    let offered = &hello.offered;
    if !offered.versions.contains(&names::version::TLS13) {
        return Err(LocalError::Config("the hello does not offer TLS 1.3"));
    }
    if hello.shares.iter().any(|s| !offered.shares.contains(&s.group())) {
        return Err(LocalError::Config("a key share that is not in the hello"));
    }
    let Some(binders) = offered.binders else {
        *ticket = None;
        return Ok(());
    };
    let Some(ticket) = ticket else { return Err(LocalError::Config("a pre-shared key without a ticket")) };
    let hash = ticket.suite.hash();
    if binders != hash.size().saturating_add(3) || !offered.psk_modes.contains(&PSK_DHE_KE) {
        return Err(LocalError::Config("a pre-shared key of an unexpected form"));
    }
    let cut = hello.message.len().saturating_sub(binders);
    let (truncated, tail) = hello.message.split_at_mut(cut);
    let value = match before {
        Some(transcript) => transcript.value_with(truncated),
        None => Transcript::new(hash, truncated).value(),
    };
    let binder = Early::new(hash, Some(&ticket.psk)).binder()?.finished(&value)?;
    match tail.get_mut(3..) {
        Some(room) if room.len() == binder.as_ref().len() => room.copy_from_slice(binder.as_ref()),
        _ => return Err(LocalError::Config("a binder of a wrong length")),
    }
    Ok(())
}

/// A hello is out.
pub(super) struct WaitHello {
    hello: Hello,
    retried: Option<(Transcript, Suite)>,
}

impl WaitHello {
    fn take(self, core: &mut Core, channel: &mut Channel, bytes: &[u8], out: &mut Vec<u8>) -> Result<Stage, Error> {
        let (offered, retried) = (&self.hello.offered, self.retried.is_some());
        if !retried {
            Answer::settle(body(bytes), offered)?;
            // Appendix D.4: before whatever we say next, a second hello, a second flight or an alert; and once.
            channel.spec_due = !offered.session_id.is_empty();
            channel.spec_allowed = true;
        }
        let parse = if retried { Answer::parse_again } else { Answer::parse };
        match parse(body(bytes), offered)? {
            Answer::Retry(retry) => self.retry(core, channel, bytes, &retry, out),
            Answer::Hello(answer) => self.answer(core, channel, bytes, answer),
        }
    }

    fn suite(&self, id: u16) -> Result<Suite, RemoteError> {
        // A hello may offer suites of TLS 1.2, or GREASE; choosing one under TLS 1.3 is the peer's fault.
        let suite = Suite::from_id(id).ok_or(RemoteError::illegal("a suite that is not for TLS 1.3"))?;
        match &self.retried {
            Some((_, before)) if *before != suite => Err(RemoteError::illegal("another suite than before")),
            _ => Ok(suite),
        }
    }

    fn retry(
        self,
        core: &mut Core,
        channel: &mut Channel,
        bytes: &[u8],
        retry: &HelloRetryRequest,
        out: &mut Vec<u8>,
    ) -> Result<Stage, Error> {
        if self.retried.is_some() {
            // Section 4.1.4.
            return Err(RemoteError::unexpected("a second retry").into());
        }
        let suite = self.suite(retry.suite)?;
        let offered = &self.hello.offered;
        match retry.group {
            None if retry.cookie.is_none() => return Err(RemoteError::illegal("a retry that changes nothing").into()),
            Some(group) if !offered.groups.contains(&group) || offered.shares.contains(&group) => {
                return Err(RemoteError::illegal("a retry for a group that does not help").into());
            }
            _ => {}
        }
        // It ends the server's flight: nothing of a next message may be there.
        channel.boundary()?;
        let mut hello = core.config.author.second(&self.hello, retry, &core.ask())?;
        if retry.group.is_none() {
            // Shares that stay in the hello keep their private keys.
            hello.shares = self.hello.shares;
        } else if hello.shares.iter().any(|s| Some(s.group()) != retry.group) {
            return Err(LocalError::Config("the second hello's share is not the one asked for").into());
        }
        let mut transcript = Transcript::retried(suite.hash(), &self.hello.message);
        transcript.add(bytes);
        prepare(&mut hello, &mut core.ticket, Some(&transcript))?;
        transcript.add(&hello.message);
        channel.send(&hello.message, out)?;
        Ok(Stage::Hello(Box::new(Self { hello, retried: Some((transcript, suite)) })))
    }

    fn answer(self, core: &Core, channel: &mut Channel, bytes: &[u8], answer: ServerHello) -> Result<Stage, Error> {
        const MISSING: RemoteError = RemoteError::new(Alert::MISSING_EXTENSION, "no key share");
        let suite = self.suite(answer.suite)?;
        // We offer psk_dhe_ke alone (section 4.2.9), so a share is always due.
        let (group, key) = answer.share.ok_or(MISSING)?;
        let hash = suite.hash();
        let psk = match (answer.psk, &core.ticket) {
            (None, _) => None,
            // Section 4.2.11: only what was offered, and under the same hash. We offer one.
            (Some(0), Some(ticket)) if ticket.suite.hash() == hash => Some(&ticket.psk),
            _ => return Err(RemoteError::illegal("a pre-shared key that was not offered").into()),
        };
        let offer = self.hello.shares.iter().find(|s| s.group() == group);
        let offer = offer.ok_or(RemoteError::illegal("a share for a group without one"))?;
        // Section 4.2.8 has illegal_parameter for a bad share; BoringSSL says internal_error
        // (ssl_ext_key_share_parse_serverhello in ssl/extensions.cc).
        let shared = offer.agree(&key).map_err(|e| RemoteError::new(Alert::INTERNAL_ERROR, e.what))?;
        let early = Early::new(hash, psk);
        let retried = self.retried.is_some();
        let mut transcript = match self.retried {
            Some((transcript, _)) => transcript,
            None => Transcript::new(hash, &self.hello.message),
        };
        transcript.add(bytes);
        let handshake = early.handshake(&shared)?;
        let value = transcript.value();
        let (client, server) = (handshake.client_traffic(&value)?, handshake.server_traffic(&value)?);
        channel.change_read(Protection::new(suite, server.clone())?)?;
        channel.write = Some(Protection::new(suite, client.clone())?);
        let resumed = psk.is_some();
        let offered = self.hello.offered;
        Ok(Stage::Encrypted(Box::new(Session {
            suite,
            group,
            transcript,
            hellos: (self.hello.message, bytes.to_vec()),
            handshake,
            client,
            server,
            offered,
            resumed,
            retried,
            extensions: EncryptedExtensions::default(),
        })))
    }
}

/// What is known once both sides have keys; also the stage that waits for EncryptedExtensions.
pub(super) struct Session {
    suite: Suite,
    group: u16,
    transcript: Transcript,
    /// Both hellos, for a chain that is bound to them.
    hellos: (Vec<u8>, Vec<u8>),
    handshake: schedule::Handshake,
    client: Secret,
    server: Secret,
    offered: Offered,
    resumed: bool,
    retried: bool,
    extensions: EncryptedExtensions,
}

impl Session {
    fn take(mut self, channel: &mut Channel, bytes: &[u8]) -> Result<Stage, Error> {
        self.extensions = EncryptedExtensions::parse(body(bytes), &self.offered)?;
        self.transcript.add(bytes);
        if let Some(theirs) = self.extensions.record_size_limit {
            channel.size_limit = self.offered.record_size_limit.map(usize::from);
            channel.send_limit = Some(usize::from(theirs));
        }
        if self.resumed {
            return Ok(Stage::Finish(Box::new(WaitFinish {
                session: self,
                chain: Vec::new(),
                scheme: None,
                requested: false,
            })));
        }
        Ok(Stage::Chain(Box::new(WaitChain { session: self, requested: false })))
    }
}

/// The server authenticates.
pub(super) struct WaitChain {
    session: Session,
    requested: bool,
}

impl WaitChain {
    fn take(mut self, core: &Core, kind: u8, bytes: &[u8]) -> Result<Stage, Error> {
        let offered = &self.session.offered;
        let certificate = match kind {
            message::CERTIFICATE_REQUEST if !self.requested => {
                certs::parse_request(body(bytes))?;
                self.session.transcript.add(bytes);
                self.requested = true;
                return Ok(Stage::Chain(Box::new(self)));
            }
            message::CERTIFICATE => Certificate::parse(body(bytes), offered)?,
            // RFC 8879 section 4: only where it was offered.
            message::COMPRESSED_CERTIFICATE if !offered.compressions.is_empty() => {
                let inside = decompress::decompress(&Compressed::parse(body(bytes))?, &offered.compressions)?;
                Certificate::parse(&inside, offered)?
            }
            _ => return Err(RemoteError::unexpected("a message out of order").into()),
        };
        let chain: Vec<&[u8]> = certificate.chain.iter().map(Vec::as_slice).collect();
        // Before anybody believes the chain its leaf must be one that can sign, as BoringSSL has it
        // (ssl_process_certificate in ssl/tls13_both.cc), and with its alerts.
        let leaf = chain.first().copied().unwrap_or_default();
        public_key(leaf).map_err(|_| RemoteError::decode("the certificate has no key"))?;
        if !signs(leaf).map_err(|_| RemoteError::decode("the certificate has no key usage that can be read"))? {
            return Err(RemoteError::illegal("a key that may not sign").into());
        }
        let hellos = Hellos { client: &self.session.hellos.0, server: &self.session.hellos.1 };
        core.config
            .verifier
            .verify_bound(&chain, &core.name, &certificate.ocsp, core.now / 1_000, &hellos)
            .map_err(|e| RemoteError::new(e.alert(), "the certificate is refused"))?;
        let delegated = match certificate.delegated.as_slice() {
            [] => None,
            extension => Some(delegated::check(extension, leaf, &self.session.offered, core.now / 1_000)?),
        };
        self.session.transcript.add(bytes);
        Ok(Stage::Signature(Box::new(WaitSignature {
            session: self.session,
            chain: certificate.chain,
            delegated,
            requested: self.requested,
        })))
    }
}

/// A chain is there and believed; its key has to sign.
pub(super) struct WaitSignature {
    session: Session,
    chain: Vec<Vec<u8>>,
    /// Whose key signs where it is not the leaf's.
    delegated: Option<Delegated>,
    requested: bool,
}

impl WaitSignature {
    fn take(mut self, core: &Core, bytes: &[u8]) -> Result<Stage, Error> {
        let (scheme, signed) = certs::parse_verify(body(bytes))?;
        // RFC 9345 section 4.1.3: by the credential's own scheme, which was offered with it.
        let fits = match &self.delegated {
            Some(delegated) => delegated.scheme == scheme,
            None => self.session.offered.schemes.contains(&scheme) || core.config.verifier.also(scheme),
        };
        if !fits {
            return Err(RemoteError::illegal("a signature scheme that was not offered").into());
        }
        let leaf = self.chain.first().map(Vec::as_slice).unwrap_or_default();
        let key = match &self.delegated {
            Some(delegated) => delegated.key()?,
            None => public_key(leaf).map_err(|e| RemoteError::new(e.alert(), "the certificate has no key"))?,
        };
        signature::verify(scheme, &key, &certs::signed(&self.session.transcript.value()), signed)?;
        self.session.transcript.add(bytes);
        let Self { session, chain, requested, .. } = self;
        Ok(Stage::Finish(Box::new(WaitFinish { session, chain, scheme: Some(scheme), requested })))
    }
}

/// Only the server's Finished is missing.
pub(super) struct WaitFinish {
    session: Session,
    chain: Vec<Vec<u8>>,
    scheme: Option<u16>,
    requested: bool,
}

impl WaitFinish {
    fn take(self, core: &Core, channel: &mut Channel, bytes: &[u8], out: &mut Vec<u8>) -> Result<Stage, Error> {
        let Self { session, chain, scheme, requested } = self;
        let mut transcript = session.transcript;
        let theirs = body(bytes);
        // One of a wrong length does not fit either; BoringSSL tells the two by no alert (tls13_process_finished).
        if !session.server.check_finished(&transcript.value(), theirs)? {
            return Err(RemoteError::new(Alert::DECRYPT_ERROR, "Finished does not fit").into());
        }
        transcript.add(bytes);
        channel.boundary()?;
        let master = session.handshake.master()?;
        let value = transcript.value();
        let receive = Protection::new(session.suite, master.server_traffic(&value)?)?;
        let send = Protection::new(session.suite, master.client_traffic(&value)?)?;
        let exporter = master.exporter(&value)?;

        let mut flight = Vec::new();
        let extensions = session.extensions;
        if extensions.alps.is_some() {
            let of = |p: &[u8]| core.config.settings.iter().find(|(name, _)| name == p).map(|(_, s)| s.as_slice());
            let settings = extensions.alpn.as_deref().and_then(of).unwrap_or_default();
            flight.extend_from_slice(&encrypted::client_settings(settings)?);
        }
        if requested {
            flight.extend_from_slice(&certs::none(&[])?);
        }
        transcript.add(&flight);
        let tag = session.client.finished(&transcript.value())?;
        let finished = codec::message(message::FINISHED, |w| w.put(tag.as_ref()))?;
        transcript.add(&finished);
        flight.extend_from_slice(&finished);
        channel.send(&flight, out)?;

        let resumption = Resumption {
            master: master.resumption(&transcript.value())?,
            name: core.name.clone(),
            alpn: extensions.alpn.clone(),
        };
        let limits = match extensions.record_size_limit {
            Some(theirs) => (session.offered.record_size_limit.map(usize::from), Some(usize::from(theirs))),
            None => (None, None),
        };
        let traffic = Traffic::new(session.suite, send, receive, exporter)
            .with_resumption(resumption)
            .with_limits(limits.0, limits.1);
        let facts = Facts {
            suite: session.suite,
            group: session.group,
            scheme,
            alpn: extensions.alpn,
            alps: extensions.alps,
            chain,
            resumed: session.resumed,
            retried: session.retried,
            name: Some(core.name.clone().into_bytes()),
        };
        Ok(Stage::Done(Box::new(Connected { facts, traffic })))
    }
}
