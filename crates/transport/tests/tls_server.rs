//! The edge's TLS against a foreign driver of the same protocol, in memory: both versions, any split, every kind of
//! damage. Nothing a peer sends may panic, and what is damaged must never come out as data.

use std::io::{Read, Write};
use std::sync::Arc;

use rozaneh_transport::tls::rustls_server::Server;
use rozaneh_transport::tls::{Established, HEAD, Handshake, Opened, Step, TAIL, Version};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

const CERTIFICATE: &[u8] = include_bytes!("data/test-cert.pem");
const KEY: &[u8] = include_bytes!("data/test-key.pem");

/// The certificate is not what these tests are about.
#[derive(Debug)]
struct Anything;

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}

const VERSIONS: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS13, &rustls::version::TLS12];

fn client(version: &'static SupportedProtocolVersion) -> ClientConnection {
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[version])
        .expect("a version")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anything))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    ClientConnection::new(Arc::new(config), ServerName::try_from("news.test").expect("a name")).expect("a client")
}

fn sent(client: &mut ClientConnection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut bytes).expect("into memory");
    }
    bytes
}

fn give(client: &mut ClientConnection, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        client.read_tls(&mut bytes).expect("from memory");
        client.process_new_packets().expect("the server's bytes are good");
    }
}

/// Runs a handshake, the client's bytes arriving in pieces of `piece`.
fn shake(server: &Server, client: &mut ClientConnection, piece: usize) -> (Established, Vec<u8>) {
    let mut hand = server.start().expect("a server");
    let mut input = Vec::new();
    loop {
        let flight = sent(client);
        let mut done = false;
        for part in flight.chunks(piece) {
            input.extend_from_slice(part);
            if done {
                continue;
            }
            let mut out = Vec::new();
            done = hand.step(&mut input, &mut out).expect("good bytes") == Step::Done;
            give(client, &out);
        }
        if done {
            return (hand.finish().expect("done"), input);
        }
        assert!(!flight.is_empty(), "the handshake stalls");
    }
}

fn say(established: &mut Established, text: &[u8]) -> Vec<u8> {
    let mut room = vec![0; HEAD + text.len() + TAIL];
    room[HEAD..HEAD + text.len()].copy_from_slice(text);
    let n = established.traffic.seal(&mut room, text.len()).expect("sealed");
    room.truncate(n);
    room
}

#[test]
fn both_versions_in_any_pieces() {
    let server = Server::new(CERTIFICATE, KEY).expect("usable");
    for version in VERSIONS {
        for piece in [1, 7, 100, 100_000] {
            let mut client = client(version);
            let (mut established, rest) = shake(&server, &mut client, piece);
            assert!(rest.is_empty());
            let expected =
                if version.version == rustls::ProtocolVersion::TLSv1_3 { Version::Tls13 } else { Version::Tls12 };
            assert_eq!((established.facts.version, established.facts.is_h2()), (expected, true));
            for size in [1, 1_000, 16_384] {
                let text: Vec<u8> = (0..size).map(|i| (i * 7) as u8).collect();
                give(&mut client, &say(&mut established, &text));
                let mut got = vec![0; size];
                client.reader().read_exact(&mut got).expect("all of it");
                assert!(got == text);
                client.writer().write_all(&text).expect("taken");
                let mut record = sent(&mut client);
                let Opened::Data { wire, plain } = established.traffic.open(&mut record).expect("opened") else {
                    panic!("no data")
                };
                assert!(wire == record.len() && record[plain] == text);
            }
            client.send_close_notify();
            let mut record = sent(&mut client);
            assert!(matches!(established.traffic.open(&mut record), Ok(Opened::Closed { .. })));
        }
    }
}

/// Data that comes in the same read as the client's last flight belongs to the carrier, still sealed.
#[test]
fn data_behind_the_last_flight_is_kept() {
    let server = Server::new(CERTIFICATE, KEY).expect("usable");
    let mut client = client(VERSIONS[0]);
    let mut hand = server.start().expect("a server");
    let mut input = sent(&mut client);
    let mut out = Vec::new();
    assert_eq!(hand.step(&mut input, &mut out), Ok(Step::NeedMore));
    give(&mut client, &out);
    client.writer().write_all(b"first words").expect("taken");
    input.extend_from_slice(&sent(&mut client));
    assert_eq!(hand.step(&mut input, &mut Vec::new()), Ok(Step::Done));
    let mut established = hand.finish().expect("done");
    let mut words = established.early.clone();
    while !input.is_empty() {
        let (wire, plain) = match established.traffic.open(&mut input).expect("opened") {
            Opened::Data { wire, plain } => (wire, plain),
            other => panic!("{other:?}"),
        };
        words.extend_from_slice(&input[plain]);
        input.drain(..wire);
    }
    assert_eq!(words, b"first words");
}

/// Every byte of both client flights, damaged in three ways.
#[test]
fn damaged_handshakes_end_in_an_alert_and_never_in_a_panic() {
    let server = Server::new(CERTIFICATE, KEY).expect("usable");
    for version in VERSIONS {
        for damage in [0x01, 0x80, 0xff] {
            let mut hello = sent(&mut client(version));
            for at in 0..hello.len() {
                hello[at] ^= damage;
                let mut out = Vec::new();
                let result = server.start().expect("a server").step(&mut hello.clone(), &mut out);
                // Some damage leaves a good hello, or shows only behind the server's own; else it is an alert or nothing.
                if result.is_err() && !out.is_empty() && out.first() != Some(&22) {
                    assert_eq!((out.len(), out.first()), (7, Some(&21)), "one alert record, byte {at}");
                }
                hello[at] ^= damage;
            }
        }
        let flight = second_flight(&mut client(version), &mut server.start().expect("a server"));
        let ignored = loose_bytes(&flight);
        for at in (0..flight.len()).filter(|at| !ignored.contains(at)) {
            let mut hand = server.start().expect("a server");
            let mut flight = second_flight(&mut client(version), &mut hand);
            let Some(byte) = flight.get_mut(at) else { continue };
            *byte ^= 0x01;
            assert_ne!(hand.step(&mut flight, &mut Vec::new()), Ok(Step::Done), "{version:?} byte {at}");
        }
    }
}

/// Places of type and version in record headers: the version must be ignored (RFC 8446 section 5.1), and rustls opens an
/// encrypted record whatever its outer type says.
fn loose_bytes(flight: &[u8]) -> Vec<usize> {
    let mut places = Vec::new();
    let mut at = 0;
    while let Some([_, _, _, high, low]) = flight.get(at..at + 5) {
        places.extend([at, at + 1, at + 2]);
        at += 5 + usize::from(u16::from_be_bytes([*high, *low]));
    }
    places
}

fn second_flight(client: &mut ClientConnection, hand: &mut Box<dyn Handshake>) -> Vec<u8> {
    let mut out = Vec::new();
    hand.step(&mut sent(client), &mut out).expect("a good hello");
    give(client, &out);
    sent(client)
}

#[test]
fn damaged_records_are_refused_in_both_versions() {
    let server = Server::new(CERTIFICATE, KEY).expect("usable");
    for version in VERSIONS {
        for at in 0..60 {
            let mut client = client(version);
            let (mut established, _) = shake(&server, &mut client, 100_000);
            client.writer().write_all(b"a line of thirty-two characters.").expect("taken");
            let mut record = sent(&mut client);
            let Some(byte) = record.get_mut(at) else { continue };
            *byte ^= 0x10;
            match established.traffic.open(&mut record) {
                // A longer length only means that more is waited for; 0x10 in the high byte of the length is 4 KiB.
                Ok(Opened::Partial) => assert!((3..5).contains(&at), "{at}"),
                Ok(other) => panic!("{version:?} byte {at}: {other:?}"),
                // Once refused, always refused, and never a panic.
                Err(_) => drop(established.traffic.open(&mut record)),
            }
        }
    }
}
