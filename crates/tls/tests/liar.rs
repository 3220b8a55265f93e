//! A server that has the keys and lies under them: every alert in its place, and mutations behind the encryption.

mod support;

use std::sync::Arc;

use rozaneh_tls::certificate::SignatureOnly;
use rozaneh_tls::client::{self, Client};
use rozaneh_tls::codec;
use rozaneh_tls::error::{LocalError, RemoteError};
use rozaneh_tls::groups;
use rozaneh_tls::hello::plain::Plain;
use rozaneh_tls::hello::{Ask, Author, ClientHello, Hello, SystemRandom};
use rozaneh_tls::messages::certificate::{self as certs, Certificate, Compressed};
use rozaneh_tls::messages::encrypted::EncryptedExtensions;
use rozaneh_tls::messages::server_hello::Answer;
use rozaneh_tls::messages::{HelloRetryRequest, ServerHello};
use rozaneh_tls::names::{content, group, message, scheme};
use rozaneh_tls::record::{self, Protection};
use rozaneh_tls::schedule::{Early, Secret};
use rozaneh_tls::server::{Server, SigningKey};
use rozaneh_tls::suite::{Hash, Suite};
use rozaneh_tls::transcript::Transcript;
use rozaneh_tls::{Alert, Progress};
use support::*;

const SUITE: Suite = Suite::Aes128GcmSha256;

/// A flight's messages, for the liar to change.
#[derive(Clone)]
struct Flight {
    extensions: Vec<u8>,
    before: Vec<Vec<u8>>,
    chain: Vec<u8>,
    after: Vec<Vec<u8>>,
    scheme: u16,
    spoil_finished: bool,
    /// Behind Finished, in the same record.
    behind: Vec<u8>,
}

struct Liar {
    chain: Vec<u8>,
    key: SigningKey,
    config: Arc<client::Config>,
}

/// A client that waits for the protected flight, and the keys it waits with.
struct Waiting {
    client: Client,
    write: Protection,
    secret: Secret,
    transcript: Transcript,
}

impl Liar {
    fn new(plain: Plain) -> Self {
        let (chain, key) = certificate(&rcgen::PKCS_ECDSA_P256_SHA256);
        let config = client::Config::new(Arc::new(plain), Arc::new(SignatureOnly));
        Self { chain, key: SigningKey::from_pkcs8(&key).unwrap(), config: Arc::new(config) }
    }

    fn start(&self) -> (Client, Vec<u8>) {
        let (client, sent) = Client::start(Arc::clone(&self.config), NAME, NOW).unwrap();
        (client, sent[5..].to_vec())
    }

    fn answer(hello: &[u8], random: [u8; 32]) -> (Vec<u8>, Early, groups::Shared) {
        let hello = ClientHello::parse(hello).unwrap();
        let shares = hello.shares().unwrap().unwrap();
        let (id, key) = shares.first().unwrap();
        let (own, shared) = groups::respond(*id, key).unwrap();
        let answer = ServerHello {
            random,
            session_id: hello.session_id.to_vec(),
            suite: SUITE.id(),
            share: Some((*id, own)),
            psk: None,
        };
        (answer.write().unwrap(), Early::new(Hash::Sha256, None), shared)
    }

    fn waiting(&self) -> Waiting {
        let (mut client, hello) = self.start();
        let (answer, early, shared) = Self::answer(&hello, [3; 32]);
        let mut transcript = Transcript::new(Hash::Sha256, &hello);
        transcript.add(&answer);
        let secret = early.handshake(&shared).unwrap().server_traffic(&transcript.value()).unwrap();
        let mut input = Vec::new();
        record::plain(content::HANDSHAKE, 0x0303, &answer, &mut input);
        assert_eq!(client.step(&mut input, &mut Vec::new()), Ok(Progress::NeedMore));
        Waiting { client, write: Protection::new(SUITE, secret.clone()).unwrap(), secret, transcript }
    }

    fn honest(&self) -> Flight {
        Flight {
            extensions: EncryptedExtensions::default().write().unwrap(),
            before: Vec::new(),
            chain: Certificate { chain: vec![self.chain.clone()], ocsp: vec![], ..Certificate::default() }
                .write()
                .unwrap(),
            after: Vec::new(),
            scheme: scheme::ECDSA_P256_SHA256,
            spoil_finished: false,
            behind: Vec::new(),
        }
    }

    /// The flight's messages, signed and finished over what really goes out.
    fn messages(&self, waiting: &Waiting, flight: &Flight) -> Vec<Vec<u8>> {
        let mut transcript = waiting.transcript.clone();
        let mut all = vec![flight.extensions.clone()];
        all.extend(flight.before.iter().cloned());
        all.push(flight.chain.clone());
        all.iter().for_each(|m| transcript.add(m));
        let signature = self.key.sign(flight.scheme, &certs::signed(&transcript.value())).unwrap();
        let verify = certs::write_verify(flight.scheme, &signature).unwrap();
        for m in std::iter::once(&verify).chain(&flight.after) {
            transcript.add(m);
            all.push(m.clone());
        }
        let tag = waiting.secret.finished(&transcript.value()).unwrap();
        let mut finished = codec::message(message::FINISHED, |w| w.put(tag.as_ref())).unwrap();
        if flight.spoil_finished {
            *finished.last_mut().unwrap() ^= 1;
        }
        all.push([finished, flight.behind.clone()].concat());
        all
    }

    fn tell(&self, flight: &Flight) -> Result<Progress, Option<Alert>> {
        let mut waiting = self.waiting();
        let body = self.messages(&waiting, flight).concat();
        let mut input = Vec::new();
        for piece in body.chunks(record::MAX_PLAIN) {
            waiting.write.append(content::HANDSHAKE, piece, &mut input).unwrap();
        }
        step(&mut waiting.client, &mut input)
    }

    fn edit(&self, edit: impl FnOnce(&mut Flight)) -> &'static str {
        let mut flight = self.honest();
        edit(&mut flight);
        match self.tell(&flight) {
            Ok(Progress::Done) => "done",
            Ok(Progress::NeedMore) => "waits",
            Err(alert) => alert.map_or("told", Alert::name),
        }
    }
}

fn step(client: &mut Client, input: &mut Vec<u8>) -> Result<Progress, Option<Alert>> {
    let mut out = Vec::new();
    let result = client.step(input, &mut out).map_err(|error| error.due());
    if let Err(due) = result {
        assert_eq!(due.is_some(), !out.is_empty());
    }
    result
}

fn raw(kind: u8, body: &[u8]) -> Vec<u8> {
    codec::message(kind, |w| w.put(body)).unwrap()
}

#[test]
fn every_lie_under_the_keys_has_its_alert() {
    let liar = Liar::new(Plain { compressions: vec![1], ..Plain::default() });
    let request = raw(message::CERTIFICATE_REQUEST, &[0, 0, 8, 0, 13, 0, 4, 0, 2, 4, 3]);
    assert_eq!(liar.edit(|_| {}), "done");
    assert_eq!(liar.edit(|f| f.before = vec![request.clone()]), "done");
    assert_eq!(liar.edit(|f| f.before = vec![request.clone(), request.clone()]), "unexpected_message");
    assert_eq!(liar.edit(|f| f.before = vec![raw(13, &[1, 9, 0, 0])]), "decode_error");
    assert_eq!(liar.edit(|f| f.before = vec![raw(13, &[0, 0, 0])]), "decode_error");
    assert_eq!(liar.edit(|f| f.before = vec![f.extensions.clone()]), "unexpected_message");
    assert_eq!(liar.edit(|f| f.after = vec![f.chain.clone()]), "unexpected_message");
    assert_eq!(liar.edit(|f| f.chain = raw(message::CERTIFICATE, &[0, 0, 0, 0])), "certificate_required");
    let longer = |f: &Flight| raw(message::CERTIFICATE, &[&f.chain[4..], &[0]].concat());
    assert_eq!(liar.edit(|f| f.chain = longer(f)), "decode_error");
    assert_eq!(liar.edit(|f| f.chain[4] = 1), "decode_error");
    assert_eq!(liar.edit(|f| f.spoil_finished = true), "decrypt_error");
    assert_eq!(liar.edit(|f| f.scheme = scheme::ECDSA_P384_SHA384), "illegal_parameter");
    assert_eq!(liar.edit(|f| f.scheme = scheme::RSA_PKCS1_SHA256), "illegal_parameter");
    assert_eq!(liar.edit(|f| f.behind = vec![4, 0, 0]), "unexpected_message");
    assert_eq!(liar.edit(|f| f.behind = raw(message::NEW_SESSION_TICKET, &[0; 20])), "unexpected_message");
    // EncryptedExtensions: unsolicited, in the wrong place, twice, early data that nobody offered.
    for (bytes, alert) in [
        (&[0, 4, 0, 16, 0, 0][..], "unsupported_extension"),
        (&[0, 6, 0, 51, 0, 2, 0, 29], "unsupported_extension"),
        (&[0, 8, 0, 10, 0, 4, 0, 2, 0, 29], "done"),
        (&[0, 8, 0, 0, 0, 0, 0, 0, 0, 0], "decode_error"),
        (&[0, 4, 0, 42, 0, 0], "unsupported_extension"),
        (&[0, 5, 0, 0, 0, 0], "decode_error"),
    ] {
        assert_eq!(liar.edit(|f| f.extensions = raw(8, bytes)), alert, "{bytes:?}");
    }
    let compressed = Compressed { algorithm: 1, length: 10, bytes: b"junk" }.write().unwrap();
    assert_eq!(liar.edit(|f| f.chain = compressed.clone()), "bad_certificate");
    let other = Compressed { algorithm: 2, length: 10, bytes: b"junk" }.write().unwrap();
    assert_eq!(liar.edit(|f| f.chain = other), "illegal_parameter");
    let plain = Liar::new(Plain::default());
    assert_eq!(plain.edit(|f| f.chain = compressed), "unexpected_message");
    assert_eq!(plain.edit(|f| f.chain = raw(message::CERTIFICATE, &vec![0; 102_401])), "illegal_parameter");
}

#[test]
fn answers_that_lie_before_the_keys() {
    let liar = Liar::new(Plain { shares: vec![group::X25519], ..Plain::default() });
    // Each message in a record of its own.
    let tell_all = |make: &dyn Fn(&ClientHello<'_>) -> Vec<Vec<u8>>| {
        let (mut client, hello) = liar.start();
        let mut input = Vec::new();
        for message in make(&ClientHello::parse(&hello).unwrap()) {
            record::plain(content::HANDSHAKE, 0x0303, &message, &mut input);
        }
        step(&mut client, &mut input).map_err(|alert| alert.unwrap().name())
    };
    let tell = |make: &dyn Fn(&ClientHello<'_>) -> Vec<u8>| tell_all(&|h| vec![make(h)]);
    let hello = |h: &ClientHello<'_>, suite, share, psk| {
        ServerHello { random: [1; 32], session_id: h.session_id.to_vec(), suite, share, psk }.write().unwrap()
    };
    let key = || Some((group::X25519, vec![9; 32]));
    assert_eq!(tell(&|h| hello(h, 0x1301, key(), None)), Ok(Progress::NeedMore));
    assert_eq!(tell(&|h| hello(h, 0x1304, key(), None)), Err("illegal_parameter"));
    assert_eq!(tell(&|h| hello(h, 0x1301, None, None)), Err("missing_extension"));
    assert_eq!(tell(&|h| hello(h, 0x1301, Some((group::P256, vec![4; 65])), None)), Err("illegal_parameter"));
    assert_eq!(tell(&|h| hello(h, 0x1301, Some((group::X25519, vec![0; 32])), None)), Err("internal_error"));
    assert_eq!(tell(&|h| hello(h, 0x1301, Some((group::X25519, vec![9; 31])), None)), Err("internal_error"));
    assert_eq!(tell(&|h| hello(h, 0x1301, key(), Some(0))), Err("unsupported_extension"));
    assert_eq!(tell(&|_| raw(message::ENCRYPTED_EXTENSIONS, &[0, 0])), Err("unexpected_message"));
    // A message behind the answer, in its record: it would be read under other keys.
    let both = |h: &ClientHello<'_>| [hello(h, 0x1301, key(), None), vec![8, 0, 0, 2, 0, 0]].concat();
    assert_eq!(tell(&both), Err("unexpected_message"));
    let retry = |h: &ClientHello<'_>, group, cookie: Option<Vec<u8>>| {
        HelloRetryRequest { session_id: h.session_id.to_vec(), suite: 0x1301, group, cookie }.write().unwrap()
    };
    assert_eq!(tell(&|h| retry(h, Some(group::P256), None)), Ok(Progress::NeedMore));
    assert_eq!(tell(&|h| retry(h, None, Some(vec![1]))), Ok(Progress::NeedMore));
    assert_eq!(tell(&|h| retry(h, None, Some(vec![]))), Err("decode_error"));
    assert_eq!(tell(&|h| retry(h, None, None)), Err("illegal_parameter"));
    assert_eq!(tell(&|h| retry(h, Some(group::X25519), None)), Err("illegal_parameter"));
    assert_eq!(tell(&|h| retry(h, Some(0x19), None)), Err("illegal_parameter"));
    let twice = |h: &ClientHello<'_>| vec![retry(h, Some(group::P256), None), retry(h, Some(group::P384), None)];
    assert_eq!(tell_all(&twice), Err("unexpected_message"));
    // A retry ends its flight.
    let both = |h: &ClientHello<'_>| [retry(h, Some(group::P256), None), vec![2]].concat();
    assert_eq!(tell(&both), Err("unexpected_message"));
    // After a retry, another suite, and a share of another group: the same alert, so the reason is looked at.
    let suite = |h: &ClientHello<'_>| {
        vec![retry(h, Some(group::P256), None), hello(h, 0x1303, Some((group::P256, vec![4; 65])), None)]
    };
    assert_eq!(tell_all(&suite), Err("illegal_parameter"));
    let (mut client, first) = liar.start();
    let mut input = Vec::new();
    for message in suite(&ClientHello::parse(&first).unwrap()) {
        record::plain(content::HANDSHAKE, 0x0303, &message, &mut input);
    }
    assert!(client.step(&mut input, &mut Vec::new()).unwrap_err().to_string().contains("another suite"));
    let share = |h: &ClientHello<'_>| vec![retry(h, Some(group::P256), None), hello(h, 0x1301, key(), None)];
    assert_eq!(tell_all(&share), Err("illegal_parameter"));
}

#[test]
fn a_retry_with_a_cookie_alone_keeps_the_share() {
    let liar = Liar::new(Plain { shares: vec![group::X25519], ..Plain::default() });
    let (mut client, first) = liar.start();
    let hello = ClientHello::parse(&first).unwrap();
    let retry = HelloRetryRequest {
        session_id: hello.session_id.to_vec(),
        suite: SUITE.id(),
        group: None,
        cookie: Some(b"cookie".to_vec()),
    };
    let (mut input, mut out) = (Vec::new(), Vec::new());
    let retry = retry.write().unwrap();
    record::plain(content::HANDSHAKE, 0x0303, &retry, &mut input);
    assert_eq!(client.step(&mut input, &mut out), Ok(Progress::NeedMore));
    // ChangeCipherSpec, then the second hello, whose record says TLS 1.2.
    assert_eq!(out[..9], [20, 3, 3, 0, 1, 1, 22, 3, 3]);
    let second = out[11..].to_vec();
    assert_eq!(ClientHello::parse(&second).unwrap().shares().unwrap(), hello.shares().unwrap());
    let (answer, early, shared) = Liar::answer(&second, [3; 32]);
    let mut transcript = Transcript::retried(Hash::Sha256, &first);
    [&retry, &second, &answer].into_iter().for_each(|m| transcript.add(m));
    let secret = early.handshake(&shared).unwrap().server_traffic(&transcript.value()).unwrap();
    let write = Protection::new(SUITE, secret.clone()).unwrap();
    record::plain(content::HANDSHAKE, 0x0303, &answer, &mut input);
    assert_eq!(client.step(&mut input, &mut Vec::new()), Ok(Progress::NeedMore));
    let mut waiting = Waiting { client, write, secret, transcript };
    let body = liar.messages(&waiting, &liar.honest()).concat();
    waiting.write.append(content::HANDSHAKE, &body, &mut input).unwrap();
    assert_eq!(step(&mut waiting.client, &mut input), Ok(Progress::Done));
}

#[test]
fn records_that_do_not_belong_under_the_keys() {
    let liar = Liar::new(Plain::default());
    let tell = |kind: u8, body: &[u8], protected: bool| {
        let mut waiting = liar.waiting();
        let mut input = Vec::new();
        if protected {
            waiting.write.append(kind, body, &mut input).unwrap();
        } else {
            record::plain(kind, 0x0303, body, &mut input);
        }
        step(&mut waiting.client, &mut input).map_err(|alert| alert.map_or("told", Alert::name))
    };
    assert_eq!(tell(content::CHANGE_CIPHER_SPEC, &[1], false), Ok(Progress::NeedMore));
    assert_eq!(tell(content::CHANGE_CIPHER_SPEC, &[2], false), Err("bad_record_mac"));
    assert_eq!(tell(content::CHANGE_CIPHER_SPEC, &[1, 1], false), Err("bad_record_mac"));
    assert_eq!(tell(content::CHANGE_CIPHER_SPEC, &[1], true), Err("unexpected_message"));
    assert_eq!(tell(content::APPLICATION_DATA, b"early", true), Err("unexpected_message"));
    assert_eq!(tell(content::HANDSHAKE, &[8, 0, 0, 2, 0, 0], false), Err("bad_record_mac"));
    assert_eq!(tell(content::HANDSHAKE, &[], true), Ok(Progress::NeedMore));
    assert_eq!(tell(content::ALERT, &[2, 40], false), Err("bad_record_mac"));
    assert_eq!(tell(content::ALERT, &[1, 40], true), Err("decode_error"));
    assert_eq!(tell(content::ALERT, &[2, 40], true), Err("told"));
    assert_eq!(tell(content::ALERT, &[1, 0], true), Err("told"));
    assert_eq!(tell(content::ALERT, &[1, 90], true), Ok(Progress::NeedMore));
    assert_eq!(tell(content::ALERT, &[2], true), Err("decode_error"));
}

#[test]
fn mutations_behind_the_encryption() {
    let liar = Liar::new(Plain {
        compressions: vec![1, 2, 3],
        alpn: vec![b"h2".to_vec()],
        alps: vec![b"h2".to_vec()],
        status: true,
        record_size_limit: Some(0x4001),
        ..Plain::default()
    });
    let mut flight = liar.honest();
    flight.extensions = EncryptedExtensions {
        alpn: Some(b"h2".to_vec()),
        alps: Some(b"settings".to_vec()),
        record_size_limit: Some(1_000),
    }
    .write()
    .unwrap();
    assert_eq!(liar.tell(&flight), Ok(Progress::Done));
    let mut seed = 7_u64;
    let mut roll = |n: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % n
    };
    let (mut alerts, mut waits) = (0, 0);
    for _ in 0..1_500 {
        let mut waiting = liar.waiting();
        let mut body = liar.messages(&waiting, &flight).concat();
        let at = roll(body.len());
        match roll(3) {
            0 => body[at] ^= 1 << roll(8),
            1 => drop(body.drain(at..(at + 1 + roll(8)).min(body.len()))),
            _ => body.insert(at, u8::try_from(roll(256)).unwrap()),
        }
        let mut input = Vec::new();
        waiting.write.append(content::HANDSHAKE, &body, &mut input).unwrap();
        match step(&mut waiting.client, &mut input) {
            Ok(Progress::Done) => panic!("a changed flight was believed"),
            Ok(Progress::NeedMore) => waits += 1,
            Err(due) => alerts += u32::from(due.is_some()),
        }
    }
    assert!(alerts > 1_000 && waits > 0, "{alerts} alerts, {waits} waits");
}

#[test]
fn the_record_size_limit_holds_in_the_handshake_too() {
    let liar = Liar::new(Plain { record_size_limit: Some(200), ..Plain::default() });
    let mut flight = liar.honest();
    let agreed = EncryptedExtensions { record_size_limit: Some(200), ..EncryptedExtensions::default() };
    flight.extensions = agreed.write().unwrap();
    for (most, wanted) in [(199, Ok(Progress::Done)), (200, Err(Some(Alert::RECORD_OVERFLOW)))] {
        let mut waiting = liar.waiting();
        let messages = liar.messages(&waiting, &flight);
        let mut input = Vec::new();
        waiting.write.append(content::HANDSHAKE, &messages[0], &mut input).unwrap();
        for piece in messages[1..].concat().chunks(most) {
            waiting.write.append(content::HANDSHAKE, piece, &mut input).unwrap();
        }
        assert_eq!(step(&mut waiting.client, &mut input), wanted);
    }
}

/// An author who takes every retry for good, and answers with the same shares as before.
struct Careless(Plain);

impl Author for Careless {
    fn hello(&self, ask: &Ask<'_>) -> Result<Hello, LocalError> {
        self.0.hello(ask)
    }
    fn second(&self, _: &Hello, _: &HelloRetryRequest, ask: &Ask<'_>) -> Result<Hello, RemoteError> {
        self.0.hello(ask).map_err(|_| RemoteError::illegal("no hello"))
    }
}

#[test]
fn the_engine_itself_judges_retries() {
    let plain = Plain { shares: vec![group::X25519], ..Plain::default() };
    let config = Arc::new(client::Config::new(Arc::new(Careless(plain)), Arc::new(SignatureOnly)));
    let illegal = Alert::ILLEGAL_PARAMETER;
    // The last is a good request, and the author's fault.
    let cases = [
        (Some(group::X25519), illegal),
        (Some(0x19), illegal),
        (None, illegal),
        (Some(group::P256), Alert::INTERNAL_ERROR),
    ];
    for (id, alert) in cases {
        let (mut client, sent) = Client::start(Arc::clone(&config), NAME, NOW).unwrap();
        let session_id = ClientHello::parse(&sent[5..]).unwrap().session_id.to_vec();
        let retry = HelloRetryRequest { session_id, suite: 0x1301, group: id, cookie: None }.write().unwrap();
        let mut input = Vec::new();
        record::plain(content::HANDSHAKE, 0x0303, &retry, &mut input);
        assert_eq!(step(&mut client, &mut input), Err(Some(alert)));
    }
}

/// A client that has the keys and lies under them: what it says instead of Finished, and how the server takes it.
fn lying_client(lie: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Result<Progress, Option<Alert>> {
    let ask = Ask { name: NAME, now: NOW, ticket: None, random: &SystemRandom };
    let plain = Plain { suites: vec![SUITE.id()], shares: vec![group::X25519], ..Plain::default() };
    let hello = plain.hello(&ask).unwrap();
    let mut server = Server::new(Arc::new(server_config()), NOW);
    let (mut input, mut out) = (Vec::new(), Vec::new());
    record::plain(content::HANDSHAKE, 0x0301, &hello.message, &mut input);
    assert_eq!(server.step(&mut input, &mut out), Ok(Progress::NeedMore));
    let first = record::header(&out, false).unwrap().unwrap().wire();
    let answer = out[5..first].to_vec();
    let Answer::Hello(ServerHello { share: Some((_, key)), .. }) = Answer::parse(&answer[4..], &hello.offered).unwrap()
    else {
        panic!("no share")
    };
    let shared = hello.shares[0].agree(&key).unwrap();
    let mut transcript = Transcript::new(Hash::Sha256, &hello.message);
    transcript.add(&answer);
    let handshake = Early::new(Hash::Sha256, None).handshake(&shared).unwrap();
    let value = transcript.value();
    let mut read = Protection::new(SUITE, handshake.server_traffic(&value).unwrap()).unwrap();
    // ServerHello, ChangeCipherSpec, the flight.
    let mut flight = out[first + 6..].to_vec();
    let (kind, length) = read.open(&mut flight).unwrap();
    assert_eq!(kind, content::HANDSHAKE);
    transcript.add(&flight[5..5 + length]);
    let secret = handshake.client_traffic(&value).unwrap();
    let tag = secret.finished(&transcript.value()).unwrap();
    let said = lie(raw(message::FINISHED, tag.as_ref()));
    record::plain(content::CHANGE_CIPHER_SPEC, 0x0303, &[1], &mut input);
    Protection::new(SUITE, secret).unwrap().append(content::HANDSHAKE, &said, &mut input).unwrap();
    out.clear();
    let result = server.step(&mut input, &mut out).map_err(|error| error.due());
    assert_eq!(result.is_err(), !out.is_empty());
    result
}

#[test]
fn the_server_believes_only_the_right_finished() {
    assert_eq!(lying_client(|finished| finished), Ok(Progress::Done));
    let wrong = |mut finished: Vec<u8>| {
        finished[10] ^= 1;
        finished
    };
    assert_eq!(lying_client(wrong), Err(Some(Alert::DECRYPT_ERROR)));
    assert_eq!(lying_client(|_| raw(message::FINISHED, &[1; 31])), Err(Some(Alert::DECRYPT_ERROR)));
    assert_eq!(lying_client(|_| raw(message::CERTIFICATE, &[0; 4])), Err(Some(Alert::UNEXPECTED_MESSAGE)));
    assert_eq!(lying_client(|f| [f, vec![24, 0]].concat()), Err(Some(Alert::UNEXPECTED_MESSAGE)));
}

#[test]
fn the_server_takes_only_the_second_hello_it_asked_for() {
    let mut config = server_config();
    config.groups = vec![group::P384];
    let config = Arc::new(config);
    let ask = Ask { name: NAME, now: NOW, ticket: None, random: &SystemRandom };
    let author = Plain { shares: vec![group::X25519], ..Plain::default() };
    let retry = |session_id: &[u8], group| HelloRetryRequest {
        session_id: session_id.to_vec(),
        suite: 0x1301,
        group: Some(group),
        cookie: None,
    };
    // The right one, one of another connection, one with another share, and the first once more.
    for (which, wanted) in
        [(0, None), (1, Some("illegal_parameter")), (2, Some("illegal_parameter")), (3, Some("illegal_parameter"))]
    {
        let first = author.hello(&ask).unwrap();
        let mut server = Server::new(Arc::clone(&config), NOW);
        let mut input = Vec::new();
        record::plain(content::HANDSHAKE, 0x0301, &first.message, &mut input);
        assert_eq!(server.step(&mut input, &mut Vec::new()), Ok(Progress::NeedMore));
        let other = author.hello(&ask).unwrap();
        let id = &first.offered.session_id;
        let second = match which {
            0 => author.second(&first, &retry(id, group::P384), &ask).unwrap().message,
            1 => author.second(&other, &retry(id, group::P384), &ask).unwrap().message,
            2 => author.second(&first, &retry(id, group::P256), &ask).unwrap().message,
            _ => first.message.clone(),
        };
        record::plain(content::HANDSHAKE, 0x0303, &second, &mut input);
        let error = server.step(&mut input, &mut Vec::new()).err();
        assert_eq!(error.and_then(|e| e.due()).map(Alert::name), wanted, "{which}");
    }
}

#[test]
fn the_server_looks_at_the_legacy_fields() {
    let config = Arc::new(server_config());
    let ask = Ask { name: NAME, now: NOW, ticket: None, random: &SystemRandom };
    let good = Plain { suites: vec![0x1301], ..Plain::default() }.hello(&ask).unwrap().message;
    // Header 4, version 2, random 32, session id 33, suites 4, and two bytes of compression methods.
    for (at, value, wanted) in [(5, 3, None), (5, 4, None), (76, 1, Some("illegal_parameter"))] {
        let mut message = good.clone();
        message[at] = value;
        let mut input = Vec::new();
        record::plain(content::HANDSHAKE, 0x0301, &message, &mut input);
        let error = Server::new(Arc::clone(&config), NOW).step(&mut input, &mut Vec::new()).err();
        assert_eq!(error.and_then(|e| e.due()).map(Alert::name), wanted, "byte {at}");
    }
}

/// A delegated credential (RFC 9345 section 4), and what can be wrong with it.
struct Credential {
    leaf: Vec<u8>,
    leaf_key: SigningKey,
    info: Vec<u8>,
    valid: u32,
    scheme: u16,
    algorithm: u16,
}

/// A liar that signs with a delegated key, and its credential: the leaf starts two days before [`NOW`].
fn delegating(usage: bool, plain: Plain) -> (Liar, Credential) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec![NAME.to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2026, 11, 20);
    params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    if usage {
        // id-pe-delegationUsage; its value is NULL (section 4.2).
        let extension = rcgen::CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 44_363, 44], vec![5, 0]);
        params.custom_extensions = vec![extension];
    }
    let leaf = params.self_signed(&key).unwrap().der().to_vec();
    let own = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let mut liar = Liar::new(plain);
    liar.chain.clone_from(&leaf);
    liar.key = SigningKey::from_pkcs8(&own.serialize_der()).unwrap();
    let credential = Credential {
        leaf,
        leaf_key: SigningKey::from_pkcs8(&key.serialize_der()).unwrap(),
        info: rcgen::PublicKeyData::subject_public_key_info(&own),
        valid: 5 * 86_400,
        scheme: scheme::ECDSA_P384_SHA384,
        algorithm: scheme::ECDSA_P256_SHA256,
    };
    (liar, credential)
}

impl Credential {
    fn write(&self) -> Vec<u8> {
        let length = u16::try_from(self.info.len()).unwrap().to_be_bytes();
        let mut bytes = [&self.valid.to_be_bytes()[..], &self.scheme.to_be_bytes(), &[0], &length, &self.info].concat();
        bytes.extend_from_slice(&self.algorithm.to_be_bytes());
        let label: &[u8] = b"TLS, server delegated credentials\0";
        let content = [&[0x20; 64][..], label, &self.leaf, &bytes].concat();
        let signature = self.leaf_key.sign(self.algorithm, &content).unwrap();
        bytes.extend_from_slice(&u16::try_from(signature.len()).unwrap().to_be_bytes());
        [bytes, signature].concat()
    }
}

/// As Firefox offers them.
fn takes_delegated() -> Plain {
    Plain { extra: vec![(34, vec![0, 6, 4, 3, 5, 3, 8, 4])], ..Plain::default() }
}

#[test]
fn delegated_credentials_are_taken_by_the_rules() {
    type Edit = fn(&mut Credential);
    let told = |usage: bool, plain: Plain, used: u16, edit: Edit, damage: fn(&mut Vec<u8>)| {
        let (liar, mut credential) = delegating(usage, plain);
        edit(&mut credential);
        let mut delegated = credential.write();
        damage(&mut delegated);
        let chain = Certificate { chain: vec![liar.chain.clone()], ocsp: vec![], delegated };
        liar.edit(|flight| (flight.chain, flight.scheme) = (chain.write().unwrap(), used))
    };
    let p384 = scheme::ECDSA_P384_SHA384;
    let with = |edit: Edit| told(true, takes_delegated(), p384, edit, |_| {});
    assert_eq!(with(|_| {}), "done");
    // Exactly seven days are left; a second more; over by a second.
    assert_eq!(with(|c| c.valid = (2 + 7) * 86_400), "done");
    assert_eq!(with(|c| c.valid = (2 + 7) * 86_400 + 1), "illegal_parameter");
    assert_eq!(with(|c| c.valid = 2 * 86_400), "done");
    assert_eq!(with(|c| c.valid = 2 * 86_400 - 1), "illegal_parameter");
    // A scheme that was not offered with them, one of RSA that may not be, a key that does not go with it.
    assert_eq!(with(|c| c.scheme = scheme::ED25519), "illegal_parameter");
    assert_eq!(with(|c| c.scheme = scheme::RSA_PSS_SHA256), "illegal_parameter");
    assert_eq!(with(|c| c.scheme = scheme::ECDSA_P256_SHA256), "illegal_parameter");
    assert_eq!(with(|c| c.info = vec![0x30, 0]), "illegal_parameter");
    // Signed over another leaf, or damaged, or of another form.
    assert_eq!(with(|c| c.leaf.push(0)), "illegal_parameter");
    assert_eq!(
        told(true, takes_delegated(), p384, |_| {}, |bytes| *bytes.last_mut().unwrap() ^= 1),
        "illegal_parameter"
    );
    assert_eq!(told(true, takes_delegated(), p384, |_| {}, |bytes| bytes.push(0)), "decode_error");
    assert_eq!(told(true, takes_delegated(), p384, |_| {}, |bytes| bytes.truncate(9)), "decode_error");
    // A leaf that may not delegate; nobody asked; a handshake signed by the leaf's scheme instead of the credential's.
    assert_eq!(told(false, takes_delegated(), p384, |_| {}, |_| {}), "illegal_parameter");
    assert_eq!(told(true, Plain::default(), p384, |_| {}, |_| {}), "unsupported_extension");
    let (mut liar, credential) = delegating(true, takes_delegated());
    liar.key = SigningKey::from_pkcs8(&rcgen::KeyPair::generate().unwrap().serialize_der()).unwrap();
    let chain = Certificate { chain: vec![liar.chain.clone()], ocsp: vec![], delegated: credential.write() };
    let other = liar.edit(|f| (f.chain, f.scheme) = (chain.write().unwrap(), scheme::ECDSA_P256_SHA256));
    assert_eq!(other, "illegal_parameter");
}
