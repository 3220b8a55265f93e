//! Both handshakes: records as they come, and messages sealed by a peer that has the keys.

use std::sync::{Arc, OnceLock};

use aws_lc_rs::signature::Ed25519KeyPair;

use super::{Sevens, generous};
use crate::certificate::SignatureOnly;
use crate::client::{Client, Config};
use crate::groups::{self, Offer};
use crate::hello::{Author, ClientHello};
use crate::messages::ServerHello;
use crate::messages::server_hello::Answer;
use crate::names::{content, group};
use crate::record::{self, HEAD, MAX_PLAIN, Protection};
use crate::schedule::Early;
use crate::server::{self, Server, SigningKey, TicketKey};
use crate::suite::Suite;
use crate::transcript::Transcript;
use crate::{Error, Progress};

const SUITE: Suite = Suite::Aes128GcmSha256;

/// The first byte says how the rest is sent: even, as records; odd, sealed, with the type that its other bits choose.
fn mode(data: &[u8]) -> (Option<u8>, &[u8]) {
    let Some((first, rest)) = data.split_first() else { return (None, &[]) };
    let kind = match (first >> 1) % 4 {
        0 | 1 => content::HANDSHAKE,
        2 => content::ALERT,
        _ => content::APPLICATION_DATA,
    };
    ((first % 2 == 1).then_some(kind), rest)
}

fn sealed(mut keys: Protection, kind: u8, data: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for piece in data.chunks(MAX_PLAIN) {
        keys.append(kind, piece, &mut out).ok()?;
    }
    Some(out)
}

fn judge(result: Result<Progress, Error>, out: &[u8]) {
    match result {
        Ok(progress) => assert_eq!(progress, Progress::NeedMore, "nobody can finish without the transcript"),
        Err(error) => assert!(error.due().is_none() || !out.is_empty(), "an alert goes out where one is due"),
    }
}

/// Answers a client's hello by hand; the records, and the keys that the server's flight is sealed with.
fn answer(hello: &[u8]) -> Option<(Vec<u8>, Protection)> {
    let message = hello.get(HEAD..)?;
    let parsed = ClientHello::parse(message).ok()?;
    let shares = parsed.shares().ok()??;
    let (_, share) = shares.iter().find(|(id, _)| *id == group::X25519)?;
    let (own, shared) = groups::respond(group::X25519, share).ok()?;
    let session_id = parsed.session_id.to_vec();
    let share = Some((group::X25519, own));
    let answer = ServerHello { random: [7; 32], session_id, suite: SUITE.id(), share, psk: None }.write().ok()?;
    let mut transcript = Transcript::new(SUITE.hash(), message);
    transcript.add(&answer);
    let keys = Early::new(SUITE.hash(), None).handshake(&shared).ok()?;
    let secret = keys.server_traffic(&transcript.value()).ok()?;
    let mut out = Vec::new();
    record::plain(content::HANDSHAKE, 0x0303, &answer, &mut out);
    Some((out, Protection::new(SUITE, secret).ok()?))
}

/// A client takes `data` for its server's records, or for what is in them.
pub fn client_handshake(data: &[u8]) {
    let (kind, rest) = mode(data);
    let mut config = Config::new(Arc::new(generous()), Arc::new(SignatureOnly));
    config.random = Arc::new(Sevens);
    let Ok((mut client, hello)) = Client::start(Arc::new(config), "example.org", 0) else { return };
    let (mut input, mut out) = (rest.to_vec(), Vec::new());
    if let Some(kind) = kind {
        let Some((mut records, keys)) = answer(&hello) else { return };
        let Some(flight) = sealed(keys, kind, rest) else { return };
        records.extend_from_slice(&flight);
        input = records;
    }
    let result = client.step(&mut input, &mut out);
    judge(result, &out);
}

/// One key and one ticket key for all runs: making them costs more than a run.
fn config() -> Option<Arc<server::Config>> {
    static CONFIG: OnceLock<Option<Arc<server::Config>>> = OnceLock::new();
    let make = || {
        let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).ok()?;
        let mut config = server::Config::new(vec![vec![0x30, 0]], SigningKey::Ed25519(key));
        config.alpn = vec![b"h2".to_vec()];
        config.settings = vec![(b"h2".to_vec(), b"ours".to_vec())];
        config.ticket_key = TicketKey::generate(&Sevens).ok();
        config.tickets = 1;
        config.random = Arc::new(Sevens);
        Some(Arc::new(config))
    };
    CONFIG.get_or_init(make).clone()
}

/// Says a hello and reads its answer; the keys that the client's second flight is sealed with.
fn greet(server: &mut Server) -> Option<Protection> {
    let mut hello = generous().hello(&super::ask()).ok()?;
    // Its own random would do too; what matters is that the share is a real one.
    let share = Offer::generate(group::X25519).ok()?;
    let old = hello.shares.first()?.public().to_vec();
    let at = hello.message.windows(old.len()).position(|window| window == old)?;
    hello.message.get_mut(at..at.checked_add(old.len())?)?.copy_from_slice(share.public());
    let (mut input, mut out) = (Vec::new(), Vec::new());
    record::plain(content::HANDSHAKE, 0x0301, &hello.message, &mut input);
    server.step(&mut input, &mut out).ok()?;
    let header = record::header(&out, false).ok()??;
    let answer = out.get(HEAD..header.wire())?;
    let Ok(Answer::Hello(parsed)) = Answer::parse(answer.get(4..)?, &hello.offered) else { return None };
    let suite = Suite::from_id(parsed.suite)?;
    let shared = share.agree(&parsed.share?.1).ok()?;
    let mut transcript = Transcript::new(suite.hash(), &hello.message);
    transcript.add(answer);
    let keys = Early::new(suite.hash(), None).handshake(&shared).ok()?;
    Protection::new(suite, keys.client_traffic(&transcript.value()).ok()?).ok()
}

/// A server takes `data` for its client's records, or for what is in those of its second flight.
pub fn server_handshake(data: &[u8]) {
    let (kind, rest) = mode(data);
    let Some(config) = config() else { return };
    let mut server = Server::new(config, 0);
    let (mut input, mut out) = (rest.to_vec(), Vec::new());
    if let Some(kind) = kind {
        let keys = greet(&mut server);
        assert!(keys.is_some(), "a hello that is in order is answered");
        let Some(flight) = keys.and_then(|keys| sealed(keys, kind, rest)) else { return };
        input = flight;
    }
    let result = server.step(&mut input, &mut out);
    judge(result, &out);
}
