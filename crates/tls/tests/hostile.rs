//! Peers that lie: flights flipped and cut, and mutations of everything that is parsed. Nothing may panic, and what
//! fails must say why or have been told why.

mod support;

use std::sync::Arc;

use rozaneh_tls::client::Client;
use rozaneh_tls::hello::SystemRandom;
use rozaneh_tls::hello::plain::Plain;
use rozaneh_tls::messages::certificate::{Certificate, Compressed};
use rozaneh_tls::messages::encrypted::EncryptedExtensions;
use rozaneh_tls::messages::ticket::NewSessionTicket;
use rozaneh_tls::messages::{HelloRetryRequest, ServerHello};
use rozaneh_tls::names::group;
use rozaneh_tls::record::header;
use rozaneh_tls::server::{Server, TicketKey};
use rozaneh_tls::{Alert, Error, Progress, fuzzing};
use support::dice::{Dice, mutate};
use support::*;

fn check(client: &mut Client, input: &mut Vec<u8>) -> Option<Error> {
    let mut out = Vec::new();
    match client.step(input, &mut out) {
        Ok(_) => None,
        Err(error) => {
            assert_eq!(error.due().is_some(), !out.is_empty(), "{error}: an alert goes out exactly where one is due");
            if let Some(h) = header(&out, true).unwrap() {
                // Behind a ChangeCipherSpec under keys, alone before them.
                assert!(h.kind == 20 || h.wire() == out.len());
            }
            Some(error)
        }
    }
}

#[test]
fn every_byte_of_the_servers_flight_flipped_or_cut() {
    // Ed25519 signatures have one length, so every flight has the same places.
    let server = Arc::new(server_config_for(&rcgen::PKCS_ED25519));
    let config = Arc::new(client_config(Plain { shares: vec![group::X25519], ..Plain::default() }));
    let fresh = || {
        let (client, mut hello) = Client::start(Arc::clone(&config), NAME, NOW).unwrap();
        let mut flight = Vec::new();
        Server::new(Arc::clone(&server), NOW).step(&mut hello, &mut flight).unwrap();
        (client, flight)
    };
    let length = fresh().1.len();
    for at in 0..length {
        let (mut client, mut flight) = fresh();
        assert_eq!(flight.len(), length);
        flight[at] ^= 1 << (at % 8);
        let version = header_versions(&flight).contains(&at);
        let sealed = at > first_records(&flight);
        match check(&mut client, &mut flight) {
            Some(error) if sealed && error.due() != Some(Alert::BAD_RECORD_MAC) => {
                // A header's version or length under keys: told before it is opened.
                let told = [Some(Alert::PROTOCOL_VERSION), Some(Alert::RECORD_OVERFLOW)];
                assert!(told.contains(&error.due()), "byte {at}: {error}");
            }
            Some(_) => {}
            // The random flipped is caught by the signature; half of a legacy version is ignored; a longer length waits.
            None => assert!(client.finish().is_err() || version, "byte {at} made no difference"),
        }
        let (mut client, mut flight) = fresh();
        flight.truncate(at);
        assert_eq!(check(&mut client, &mut flight), None, "half a flight is waited for");
        assert!(client.finish().is_err());
    }
}

/// Where the legacy versions of unprotected records stand.
fn header_versions(flight: &[u8]) -> Vec<usize> {
    let (mut at, mut all) = (0, Vec::new());
    while let Ok(Some(h)) = header(flight.get(at..).unwrap_or_default(), flight.get(at) == Some(&23)) {
        if h.kind != 23 {
            all.extend([at + 1, at + 2]);
        }
        at += h.wire();
    }
    all
}

/// Where the protected records begin.
fn first_records(flight: &[u8]) -> usize {
    let mut at = 0;
    while let Ok(Some(h)) = header(flight.get(at..).unwrap_or_default(), flight.get(at) == Some(&23)) {
        if h.kind == 23 {
            return at + 4;
        }
        at += h.wire();
    }
    flight.len()
}

#[test]
fn mutations_of_whole_conversations() {
    let mut dice = Dice(1);
    let mut server = server_config();
    server.ticket_key = Some(TicketKey::generate(&SystemRandom).unwrap());
    server.tickets = 1;
    let server = Arc::new(server);
    let config = Arc::new(client_config(Plain { shares: vec![group::X25519], ..Plain::default() }));
    for _ in 0..1_500 {
        let (mut client, hello) = Client::start(Arc::clone(&config), NAME, NOW).unwrap();
        // A server reads a damaged hello.
        let mut damaged = hello.clone();
        mutate(&mut dice, &mut damaged);
        let mut out = Vec::new();
        let mut stranger = Server::new(Arc::clone(&server), NOW);
        match stranger.step(&mut damaged, &mut out) {
            Ok(progress) => assert_eq!(progress, Progress::NeedMore),
            Err(error) => assert!(error.due().is_none() || !out.is_empty()),
        }
        // A client reads a damaged flight.
        let mut flight = Vec::new();
        Server::new(Arc::clone(&server), NOW).step(&mut hello.clone(), &mut flight).unwrap();
        mutate(&mut dice, &mut flight);
        check(&mut client, &mut flight);
    }
}

/// Messages as a peer writes them, for mutations.
fn seeds() -> Vec<Vec<u8>> {
    let id = vec![7; 32];
    let hello = ServerHello {
        random: [9; 32],
        session_id: id.clone(),
        suite: 0x1301,
        share: Some((29, vec![1; 32])),
        psk: Some(0),
    };
    let retry = HelloRetryRequest { session_id: id, suite: 0x1301, group: Some(23), cookie: Some(vec![1; 20]) };
    let extensions = EncryptedExtensions {
        alpn: Some(b"h2".to_vec()),
        alps: Some(b"settings".to_vec()),
        record_size_limit: Some(0x4001),
    };
    let chain = Certificate { chain: server_config().chain, ocsp: vec![1, 2, 3], ..Certificate::default() };
    let ticket =
        NewSessionTicket { lifetime: 7, age_add: 8, nonce: vec![1], ticket: vec![2; 40], max_early_data: Some(9) };
    let zlib = [0x78, 0xda, 0x03, 0x00, 0x00, 0x00, 0x00, 0x01];
    let compressed = Compressed { algorithm: 1, length: 5, bytes: &zlib };
    let (_, first) = Client::start(Arc::new(client_config(Plain::default())), NAME, NOW).unwrap();
    let brotli = vec![0x40, 0x00, 0x10, b'h', b'e', b'l', b'l', b'o', 0x03];
    let zstd = vec![0x28, 0xb5, 0x2f, 0xfd, 0x20, 5, 0x29, 0, 0, b'h', b'e', b'l', b'l', b'o'];
    let mut all: Vec<Vec<u8>> =
        [hello.write(), retry.write(), extensions.write(), chain.write(), ticket.write(), compressed.write()]
            .into_iter()
            .map(|message| message.unwrap()[4..].to_vec())
            .collect();
    all.extend([first[5..].to_vec(), server_config().chain.remove(0), brotli, zstd, zlib.to_vec()]);
    all
}

#[test]
fn twenty_thousand_mutations_of_messages() {
    let (mut dice, seeds) = (Dice(2), seeds());
    for round in 0..20_000 {
        let mut bytes = seeds[round % seeds.len()].clone();
        mutate(&mut dice, &mut bytes);
        fuzzing::messages(&bytes);
    }
}

#[test]
fn mutations_of_unprotected_records() {
    let (mut dice, seeds) = (Dice(3), seeds());
    for round in 0..2_000 {
        // The first two are answers, and the seventh is a whole hello.
        let which = [0, 1, 6][round % 3];
        let mut message = seeds[which].clone();
        if which < 2 {
            let length = u16::try_from(message.len()).unwrap().to_be_bytes();
            message.splice(0..0, [2, 0, length[0], length[1]]);
        }
        mutate(&mut dice, &mut message);
        let mut records = Vec::new();
        rozaneh_tls::record::plain(22, 0x0303, &message, &mut records);
        if round % 4 == 0 {
            mutate(&mut dice, &mut records);
        }
        // The first byte says that they go as they are.
        let records = [&[0][..], &records].concat();
        fuzzing::client_handshake(&records);
        fuzzing::server_handshake(&records);
        fuzzing::records(&records);
    }
}
