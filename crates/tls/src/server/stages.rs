//! The server's stages: a type each, consumed by the message it waits for.

use super::{Config, Core, ticketer};
use crate::alert::Alert;
use crate::channel::{Channel, MAX_SKIPPED};
use crate::error::{Error, LocalError, RemoteError};
use crate::groups;
use crate::hello::{ClientHello, Offered};
use crate::messages::certificate::{self as certs, Certificate, Compressed};
use crate::messages::encrypted::{EncryptedExtensions, parse_client_settings};
use crate::messages::ticket::NewSessionTicket;
use crate::messages::{HelloRetryRequest, ServerHello};
use crate::names::{PSK_DHE_KE, extension, message, version};
use crate::record::{self, Protection};
use crate::schedule::{Early, Master, Secret};
use crate::suite::Suite;
use crate::traffic::Traffic;
use crate::transcript::Transcript;
use crate::{Connected, Facts, codec, shake};

/// Where the handshake is.
pub(super) enum Stage {
    Hello(Option<Box<Retried>>),
    Settings(Box<WaitFinish>),
    Finish(Box<WaitFinish>),
    Done(Box<Connected>),
    Failed,
}

/// What a HelloRetryRequest fixed.
pub(super) struct Retried {
    transcript: Transcript,
    suite: Suite,
    group: u16,
    first: Offered,
    /// Whether a session was to be resumed: then it still is.
    resuming: bool,
}

impl Stage {
    pub(super) const fn first() -> Self {
        Self::Hello(None)
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
        let (config, now) = (&core.config, core.now);
        match (self, bytes.first().copied().unwrap_or_default()) {
            (Self::Hello(retried), message::CLIENT_HELLO) => {
                hello(retried.as_deref(), config, now, channel, bytes, out)
            }
            (Self::Settings(stage), message::ENCRYPTED_EXTENSIONS) => stage.settings(bytes),
            (Self::Finish(stage), message::FINISHED) => stage.finish(config, now, channel, bytes, out),
            _ => Err(RemoteError::unexpected("a message out of order").into()),
        }
    }
}

/// What is chosen of a hello, before any key is made.
struct Choice<'a> {
    suite: Suite,
    group: u16,
    /// The client's share; none asks for a retry.
    share: Option<&'a [u8]>,
    alpn: Option<Vec<u8>>,
    scheme: Option<u16>,
}

const MISSING: RemoteError = RemoteError::new(Alert::MISSING_EXTENSION, "a required extension is missing");

fn choose<'a>(config: &Config, hello: &ClientHello<'a>, offered: &Offered) -> Result<Choice<'a>, RemoteError> {
    const NOTHING: RemoteError = RemoteError::new(Alert::HANDSHAKE_FAILURE, "nothing in common");
    if !offered.versions.contains(&version::TLS13) {
        return Err(RemoteError::new(Alert::PROTOCOL_VERSION, "an older version"));
    }
    // Section 4.1.2 fixes the legacy fields, but the version is to be ignored (section 4.2.1).
    if hello.compressions != [0] {
        return Err(RemoteError::illegal("a legacy field"));
    }
    // Section 9.2. Without certificates we would not ask for schemes, but this server always has one.
    let shares = hello.shares()?.ok_or(MISSING)?;
    if offered.groups.is_empty() || offered.schemes.is_empty() {
        return Err(MISSING);
    }
    if shares.iter().any(|(group, _)| !offered.groups.contains(group)) {
        return Err(RemoteError::illegal("a share of a group that is not listed"));
    }
    let suite = config.suites.iter().copied().find(|s| offered.suites.contains(&s.id())).ok_or(NOTHING)?;
    let of = |id: u16| shares.iter().find(|(group, _)| *group == id).map(|(_, key)| *key);
    let with_share = config.groups.iter().find_map(|id| of(*id).map(|key| (*id, Some(key))));
    let listed = || config.groups.iter().find(|id| offered.groups.contains(id)).map(|id| (*id, None));
    let (group, share) = with_share.or_else(listed).ok_or(NOTHING)?;
    let alpn = config.alpn.iter().find(|p| offered.alpn.contains(p)).cloned();
    if alpn.is_none() && !config.alpn.is_empty() && !offered.alpn.is_empty() {
        // RFC 7301 section 3.2.
        return Err(RemoteError::new(Alert::NO_APPLICATION_PROTOCOL, "no common application protocol"));
    }
    let schemes = config.key.schemes();
    let scheme = schemes.iter().copied().find(|s| offered.schemes.contains(s));
    let scheme = if config.sign_always { scheme.or_else(|| schemes.first().copied()) } else { scheme };
    Ok(Choice { suite, group, share, alpn, scheme })
}

/// The session a hello resumes, if its ticket is ours; a wrong binder is fatal (section 4.2.11).
fn resume(
    config: &Config,
    now: u64,
    hello: &ClientHello<'_>,
    offered: &Offered,
    suite: Suite,
    before: Option<&Transcript>,
    bytes: &[u8],
) -> Result<Option<Secret>, Error> {
    let (Some(psk), Some(key)) = (hello.psk()?, &config.ticket_key) else { return Ok(None) };
    if hello.extension(extension::PSK_MODES).is_none() {
        return Err(MISSING.into());
    }
    if !offered.psk_modes.contains(&PSK_DHE_KE) {
        return Ok(None);
    }
    let name = hello.server_name()?.unwrap_or_default();
    let Some((old, secret)) = key.open(psk.identity, name, now) else { return Ok(None) };
    let hash = suite.hash();
    if old.hash() != hash {
        return Ok(None);
    }
    let truncated = bytes.get(..bytes.len().saturating_sub(psk.binders_len)).unwrap_or_default();
    let value = match before {
        Some(transcript) => transcript.value_with(truncated),
        None => Transcript::new(hash, truncated).value(),
    };
    if Early::new(hash, Some(&secret)).binder()?.check_finished(&value, psk.binder)? {
        Ok(Some(secret))
    } else {
        Err(RemoteError::new(Alert::DECRYPT_ERROR, "a binder does not fit").into())
    }
}

fn hello(
    retried: Option<&Retried>,
    config: &Config,
    now: u64,
    channel: &mut Channel,
    bytes: &[u8],
    out: &mut Vec<u8>,
) -> Result<Stage, Error> {
    let hello = ClientHello::parse(bytes)?;
    let offered = Offered::of(&hello)?;
    let choice = choose(config, &hello, &offered)?;
    channel.spec_allowed = true;
    let Some(share) = choice.share else {
        if retried.is_some() {
            return Err(RemoteError::illegal("the second hello has no share that was asked for").into());
        }
        let resuming = resume(config, now, &hello, &offered, choice.suite, None, bytes)?.is_some();
        return retry(channel, bytes, offered, &choice, resuming, out);
    };
    let mut transcript = match retried {
        None => None,
        Some(before) => {
            // Section 4.1.2: what may differ is little, and the share is the one that was asked for.
            let same = before.first.random == offered.random
                && before.first.session_id == offered.session_id
                && before.first.suites == offered.suites
                && before.first.groups == offered.groups
                && before.suite == choice.suite
                && offered.shares == [before.group]
                && (offered.binders.is_some() || !before.resuming);
            if !same {
                return Err(RemoteError::illegal("the second hello is not the one asked for").into());
            }
            Some(before.transcript.clone())
        }
    };
    let psk = resume(config, now, &hello, &offered, choice.suite, transcript.as_ref(), bytes)?;
    let hash = choice.suite.hash();
    let transcript = match &mut transcript {
        Some(transcript) => {
            transcript.add(bytes);
            transcript
        }
        None => &mut Transcript::new(hash, bytes),
    };

    let (own, shared) = groups::respond(choice.group, share)?;
    let mut random = [0; 32];
    config.random.fill(&mut random)?;
    let answer = ServerHello {
        random,
        session_id: offered.session_id.clone(),
        suite: choice.suite.id(),
        share: Some((choice.group, own)),
        psk: psk.as_ref().map(|_| 0),
    }
    .write()?;
    transcript.add(&answer);
    channel.boundary()?;
    channel.send(&answer, out)?;
    let handshake = Early::new(hash, psk.as_ref()).handshake(&shared)?;
    let value = transcript.value();
    let (client, server) = (handshake.client_traffic(&value)?, handshake.server_traffic(&value)?);
    channel.change_read(Protection::new(choice.suite, client.clone())?)?;
    channel.write = Some(Protection::new(choice.suite, server.clone())?);
    // Appendix D.4 wants it where the client sent a session id; as BoringSSL, we send it to everybody.
    channel.spec_due = retried.is_none();
    // A second hello has no early data (section 4.1.2); where it offers some, nothing is skipped for it.
    let early = retried.is_none() && offered.extensions.contains(&extension::EARLY_DATA);
    channel.skip = early.then_some(MAX_SKIPPED);

    let settings = choice.alpn.as_ref().filter(|p| offered.alps.contains(p));
    let settings = settings.and_then(|p| config.settings.iter().find(|(name, _)| name == p)).map(|(_, s)| s.clone());
    let limits = match (config.record_size_limit, offered.record_size_limit) {
        (Some(ours), Some(theirs)) => (Some(usize::from(ours)), Some(usize::from(theirs))),
        _ => (None, None),
    };
    (channel.size_limit, channel.send_limit) = limits;
    let extensions = EncryptedExtensions {
        alpn: choice.alpn.clone(),
        alps: settings,
        record_size_limit: limits.0.and(config.record_size_limit),
    };
    let mut flight = extensions.write()?;
    transcript.add(&flight);
    if psk.is_none() {
        authenticate(config, &offered, choice.scheme, transcript, &mut flight)?;
    }
    let tag = server.finished(&transcript.value())?;
    let finished = codec::message(message::FINISHED, |w| w.put(tag.as_ref()))?;
    transcript.add(&finished);
    flight.extend_from_slice(&finished);
    channel.send(&flight, out)?;
    let facts = Facts {
        suite: choice.suite,
        group: choice.group,
        scheme: if psk.is_none() { choice.scheme } else { None },
        alpn: choice.alpn,
        alps: None,
        chain: Vec::new(),
        resumed: psk.is_some(),
        retried: retried.is_some(),
        name: hello.server_name()?.map(<[u8]>::to_vec),
    };
    let mut wait = WaitFinish::new(handshake.master()?, client, transcript.clone(), facts, channel, limits)?;
    wait.tickets = offered.psk_modes.contains(&PSK_DHE_KE);
    let wait = Box::new(wait);
    Ok(if extensions.alps.is_some() { Stage::Settings(wait) } else { Stage::Finish(wait) })
}

fn retry(
    channel: &mut Channel,
    bytes: &[u8],
    offered: Offered,
    choice: &Choice<'_>,
    resuming: bool,
    out: &mut Vec<u8>,
) -> Result<Stage, Error> {
    // The hello ends the client's flight: nothing of a next message may be there.
    channel.boundary()?;
    let mut transcript = Transcript::retried(choice.suite.hash(), bytes);
    let request = HelloRetryRequest {
        session_id: offered.session_id.clone(),
        suite: choice.suite.id(),
        group: Some(choice.group),
        cookie: None,
    }
    .write()?;
    transcript.add(&request);
    channel.send(&request, out)?;
    record::change_cipher_spec(out);
    channel.skip = offered.extensions.contains(&extension::EARLY_DATA).then_some(MAX_SKIPPED);
    let (suite, group) = (choice.suite, choice.group);
    Ok(Stage::Hello(Some(Box::new(Retried { transcript, suite, group, first: offered, resuming }))))
}

/// Certificate and CertificateVerify.
fn authenticate(
    config: &Config,
    offered: &Offered,
    scheme: Option<u16>,
    transcript: &mut Transcript,
    flight: &mut Vec<u8>,
) -> Result<(), Error> {
    let scheme = scheme.ok_or(RemoteError::new(Alert::HANDSHAKE_FAILURE, "no common signature scheme"))?;
    let certificate = match &config.compressed {
        Some((algorithm, length, bytes)) if offered.compressions.contains(algorithm) => {
            Compressed { algorithm: *algorithm, length: *length, bytes }.write()?
        }
        _ => {
            let asked = offered.extensions.contains(&extension::STATUS_REQUEST);
            let ocsp = if asked { config.ocsp.clone() } else { Vec::new() };
            Certificate { chain: config.chain.clone(), ocsp, ..Certificate::default() }.write()?
        }
    };
    transcript.add(&certificate);
    let signature = config.key.sign(scheme, &certs::signed(&transcript.value()))?;
    let verify = certs::write_verify(scheme, &signature)?;
    transcript.add(&verify);
    flight.extend_from_slice(&certificate);
    flight.extend_from_slice(&verify);
    Ok(())
}

/// The client's second flight is missing.
pub(crate) struct WaitFinish {
    suite: Suite,
    group: u16,
    master: Master,
    client: Secret,
    /// The transcript's hash up to our Finished, which the application's keys are of.
    value: Vec<u8>,
    transcript: Transcript,
    facts: Facts,
    limits: (Option<usize>, Option<usize>),
    /// Whether the client can use tickets as ours: by psk_dhe_ke (section 4.2.9).
    tickets: bool,
}

impl WaitFinish {
    /// After our flight, with which `transcript` ends: what we say from here on, be it an alert, is under the
    /// application's keys (section 7.1 and appendix A.2).
    pub(crate) fn new(
        master: Master,
        client: Secret,
        transcript: Transcript,
        facts: Facts,
        channel: &mut Channel,
        limits: (Option<usize>, Option<usize>),
    ) -> Result<Self, LocalError> {
        let (suite, group, value) = (facts.suite, facts.group, transcript.value().to_vec());
        channel.write = Some(Protection::new(suite, master.server_traffic(&value)?)?);
        Ok(Self { suite, group, master, client, value, transcript, facts, limits, tickets: false })
    }

    fn settings(mut self, bytes: &[u8]) -> Result<Stage, Error> {
        self.facts.alps = Some(parse_client_settings(bytes.get(4..).unwrap_or_default())?);
        self.transcript.add(bytes);
        Ok(Stage::Finish(Box::new(self)))
    }

    fn finish(
        mut self,
        config: &Config,
        now: u64,
        channel: &mut Channel,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Stage, Error> {
        let theirs = bytes.get(4..).unwrap_or_default();
        // One of a wrong length does not fit either; BoringSSL tells the two by no alert.
        if !self.client.check_finished(&self.transcript.value(), theirs)? {
            return Err(RemoteError::new(Alert::DECRYPT_ERROR, "Finished does not fit").into());
        }
        self.transcript.add(bytes);
        channel.boundary()?;
        let send = channel.write.take().ok_or(LocalError::State("no keys to send under"))?;
        let receive = Protection::new(self.suite, self.master.client_traffic(&self.value)?)?;
        let exporter = self.master.exporter(&self.value)?;
        let mut traffic = Traffic::new(self.suite, send, receive, exporter).with_limits(self.limits.0, self.limits.1);
        if let Some(key) = config.ticket_key.as_ref().filter(|_| self.tickets) {
            let resumption = self.master.resumption(&self.transcript.value())?;
            let name = self.facts.name.clone().unwrap_or_default();
            for nonce in 0..config.tickets {
                let message = ticket(config, key, &resumption, nonce, self.suite, &name, now)?;
                traffic.queue_message(&message)?;
            }
            out.append(traffic.pending());
        }
        debug_assert_eq!(self.group, self.facts.group);
        Ok(Stage::Done(Box::new(Connected { facts: self.facts, traffic })))
    }
}

fn ticket(
    config: &Config,
    key: &ticketer::TicketKey,
    resumption: &Secret,
    nonce: u8,
    suite: Suite,
    name: &[u8],
    now: u64,
) -> Result<Vec<u8>, LocalError> {
    let psk = resumption.resumption(&[nonce])?;
    let mut age_add = [0; 4];
    config.random.fill(&mut age_add)?;
    NewSessionTicket {
        lifetime: ticketer::LIFETIME,
        age_add: u32::from_be_bytes(age_add),
        nonce: vec![nonce],
        ticket: key.seal(&*config.random, suite, &psk, name, now)?,
        max_early_data: None,
    }
    .write()
}
