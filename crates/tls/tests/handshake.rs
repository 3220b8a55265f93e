//! Our client against our server, in memory: what each can choose, and what each refuses.

mod support;

use std::io::Write as _;
use std::sync::Arc;

use rozaneh_tls::certificate::{CertificateError, Pin, Verifier, WebPki, public_key};
use rozaneh_tls::hello::plain::Plain;
use rozaneh_tls::hello::{Author, SystemRandom};
use rozaneh_tls::messages::certificate::Certificate;
use rozaneh_tls::names::{extension, group, scheme};
use rozaneh_tls::record::{HEAD, header};
use rozaneh_tls::server::TicketKey;
use rozaneh_tls::suite::Suite;
use rozaneh_tls::ticket::Cache;
use rozaneh_tls::{Alert, Error};
use support::*;

fn alert(error: &(Error, &'static str)) -> (&'static str, &'static str) {
    (error.1, error.0.due().map_or("none", Alert::name))
}

#[test]
fn every_suite_and_group_with_and_without_a_retry() {
    for suite in Suite::ALL {
        for id in [group::X25519MLKEM768, group::X25519, group::P256, group::P384] {
            for retry in [false, true] {
                let first = if retry && id == group::X25519 { group::P256 } else { group::X25519 };
                let shares = if retry { vec![first] } else { vec![id] };
                let mut server = server_config();
                server.suites = vec![suite];
                server.groups = vec![id];
                let (mut c, mut s) = meet(client_config(Plain { shares, ..Plain::default() }), server).unwrap();
                let retried = retry && !(id == group::X25519 && first == id);
                for facts in [&c.facts, &s.facts] {
                    assert_eq!((facts.suite, facts.group, facts.resumed), (suite, id, false));
                    assert_eq!(facts.retried, retried && id != first);
                }
                talk(&mut c.traffic, &mut s.traffic);
            }
        }
    }
}

#[test]
fn every_kind_of_certificate_signs() {
    let algorithms: [(&'static rcgen::SignatureAlgorithm, u16); 4] = [
        (&rcgen::PKCS_ECDSA_P256_SHA256, scheme::ECDSA_P256_SHA256),
        (&rcgen::PKCS_ECDSA_P384_SHA384, scheme::ECDSA_P384_SHA384),
        (&rcgen::PKCS_ED25519, scheme::ED25519),
        (&rcgen::PKCS_ECDSA_P521_SHA512, scheme::ECDSA_P521_SHA512),
    ];
    for (algorithm, id) in algorithms {
        let server = server_config_for(algorithm);
        let leaf = server.chain[0].clone();
        let only = Plain { schemes: vec![id], ..Plain::default() };
        let (mut c, mut s) = meet(client_config(only), server).unwrap();
        assert_eq!(c.facts.chain, [leaf]);
        talk(&mut c.traffic, &mut s.traffic);
        let without = Plain { schemes: vec![scheme::RSA_PSS_SHA256], ..Plain::default() };
        let error = meet(client_config(without.clone()), server_config_for(algorithm)).unwrap_err();
        assert_eq!(alert(&error), ("server", "handshake_failure"));
        // A server that signs with what was not offered is refused, unless the verifier wants it so.
        let mut always = server_config_for(algorithm);
        always.sign_always = true;
        let error = meet(client_config(without.clone()), always).unwrap_err();
        assert_eq!(alert(&error), ("client", "illegal_parameter"));
        let mut always = server_config_for(algorithm);
        always.sign_always = true;
        meet(client_config_with(without, Arc::new(Also(id))), always).unwrap();
    }
}

/// One element of DER with a length of two bytes.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag, 0x82][..], &u16::try_from(content.len()).unwrap().to_be_bytes(), content].concat()
}

#[test]
fn ml_dsa_certificates_sign_where_they_are_offered() {
    use aws_lc_rs::signature::{KeyPair, ML_DSA_65_SIGNING, PqdsaKeyPair};
    let pair = PqdsaKeyPair::generate(&ML_DSA_65_SIGNING).unwrap();
    // id-ml-dsa-65 (RFC 9881), in a certificate that has nothing but what leads to the key.
    let algorithm = der(0x30, &der(0x06, &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 18]));
    let bits = der(0x03, &[&[0][..], pair.public_key().as_ref()].concat());
    let info = der(0x30, &[algorithm, bits].concat());
    let empty = der(0x30, &[]);
    let body = [der(0x02, &[1]), empty.clone(), empty.clone(), empty.clone(), empty, info].concat();
    let certificate = der(0x30, &der(0x30, &body));
    let key = rozaneh_tls::server::SigningKey::from_pkcs8(pair.to_pkcs8v1().unwrap().as_ref()).unwrap();
    let server = rozaneh_tls::server::Config::new(vec![certificate], key);
    let offer = Plain { schemes: vec![scheme::ML_DSA_65], ..Plain::default() };
    let (mut c, mut s) = meet(client_config(offer), server).unwrap();
    talk(&mut c.traffic, &mut s.traffic);
}

struct Also(u16);

impl Verifier for Also {
    fn verify(&self, _: &[&[u8]], _: &str, _: &[u8], _: u64) -> Result<(), CertificateError> {
        Ok(())
    }
    fn also(&self, id: u16) -> bool {
        id == self.0
    }
}

#[test]
fn pins_roots_and_refusals() {
    let server = server_config();
    let pin = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, public_key(&server.chain[0]).unwrap().info);
    let pin: [u8; 32] = pin.as_ref().try_into().unwrap();
    meet(client_config_with(Plain::default(), Arc::new(Pin(vec![pin]))), server).unwrap();
    let pinned = client_config_with(Plain::default(), Arc::new(Pin(vec![pin])));
    assert_eq!(alert(&meet(pinned, server_config()).unwrap_err()), ("client", "certificate_unknown"));
    let none = client_config_with(Plain::default(), Arc::new(WebPki::new(vec![])));
    assert_eq!(alert(&meet(none, server_config()).unwrap_err()), ("client", "certificate_unknown"));
}

#[test]
fn a_certificate_whose_key_did_not_sign_is_refused() {
    let mut server = server_config();
    server.chain = server_config().chain;
    let error = meet(client_config(Plain::default()), server).unwrap_err();
    assert_eq!(alert(&error), ("client", "decrypt_error"));
    // Another kind of key: the scheme does not go with it.
    let mut server = server_config();
    server.chain = server_config_for(&rcgen::PKCS_ED25519).chain;
    let error = meet(client_config(Plain::default()), server).unwrap_err();
    assert_eq!(alert(&error), ("client", "illegal_parameter"));
}

#[test]
fn protocols_and_their_settings() {
    let h2 = || vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let offer = || Plain { alpn: h2(), alps: vec![b"h2".to_vec()], ..Plain::default() };
    let mut server = server_config();
    server.alpn = vec![b"h2".to_vec()];
    let (c, s) = meet(client_config(offer()), server).unwrap();
    assert_eq!((c.facts.alpn.as_deref(), s.facts.alpn.as_deref()), (Some(&b"h2"[..]), Some(&b"h2"[..])));
    assert_eq!((c.facts.alps, s.facts.alps), (None, None));

    let mut server = server_config();
    server.alpn = vec![b"h2".to_vec()];
    server.settings = vec![(b"h2".to_vec(), b"from the server".to_vec())];
    let mut client = client_config(offer());
    client.settings = vec![(b"h2".to_vec(), b"from the client".to_vec())];
    let (mut c, mut s) = meet(client, server).unwrap();
    assert_eq!(c.facts.alps.as_deref(), Some(&b"from the server"[..]));
    assert_eq!(s.facts.alps.as_deref(), Some(&b"from the client"[..]));
    talk(&mut c.traffic, &mut s.traffic);

    let mut server = server_config();
    server.alpn = vec![b"h3".to_vec()];
    assert_eq!(alert(&meet(client_config(offer()), server).unwrap_err()), ("server", "no_application_protocol"));
}

#[test]
fn resumption_uses_each_ticket_once_and_falls_back() {
    let cache = Arc::new(Cache::default());
    let mut client = client_config(Plain::default());
    client.tickets = Some(cache.clone());
    let client = Arc::new(client);
    for suite in Suite::ALL {
        let mut server = server_config();
        server.suites = vec![suite];
        server.ticket_key = Some(TicketKey::generate(&SystemRandom).unwrap());
        server.tickets = 1;
        let server = Arc::new(server);
        let (mut c, _) = meet_shared(&client, &server, NOW).unwrap();
        assert!(!c.facts.resumed);
        for round in 1..4 {
            let tickets = c.traffic.tickets(NOW);
            assert_eq!(tickets.len(), 1);
            tickets.into_iter().for_each(|t| cache.put(t));
            let mut s;
            (c, s) = meet_shared(&client, &server, NOW + 1_000 * round).unwrap();
            assert!(c.facts.resumed && s.facts.resumed && c.facts.chain.is_empty());
            let records = seal(&mut s.traffic, b"resumed");
            assert_eq!(open(&mut c.traffic, &records).unwrap(), b"resumed");
        }
        // A server that does not know the ticket shakes hands in full.
        c.traffic.tickets(NOW).into_iter().for_each(|t| cache.put(t));
        let mut other = server_config();
        other.ticket_key = Some(TicketKey::generate(&SystemRandom).unwrap());
        let (c, _) = meet_shared(&client, &Arc::new(other), NOW).unwrap();
        assert!(!c.facts.resumed);
    }
}

#[test]
fn resumption_through_a_retry_and_across_hashes() {
    let key = || Some(TicketKey::generate(&SystemRandom).unwrap());
    let cache = Arc::new(Cache::default());
    let mut client = client_config(Plain { shares: vec![group::X25519], ..Plain::default() });
    client.tickets = Some(cache.clone());
    let client = Arc::new(client);
    let mut server = server_config();
    server.groups = vec![group::P384];
    server.suites = vec![Suite::Aes256GcmSha384];
    server.ticket_key = key();
    server.tickets = 2;
    let server = Arc::new(server);
    let (mut c, _) = meet_shared(&client, &server, NOW).unwrap();
    c.traffic.tickets(NOW).into_iter().for_each(|t| cache.put(t));
    let (c, _) = meet_shared(&client, &server, NOW).unwrap();
    assert!(c.facts.resumed && c.facts.retried);
    // A retry under another hash: the ticket has no place in the second hello.
    let mut other = server_config();
    other.groups = vec![group::P384];
    other.suites = vec![Suite::Aes128GcmSha256];
    other.ticket_key = key();
    let (c, _) = meet_shared(&client, &Arc::new(other), NOW).unwrap();
    assert!(!c.facts.resumed && c.facts.retried);
}

#[test]
fn a_server_may_accept_only_the_ticket_that_was_offered() {
    let cache = Arc::new(Cache::default());
    let mut client = client_config(Plain { shares: vec![group::X25519], ..Plain::default() });
    client.tickets = Some(cache.clone());
    let client = Arc::new(client);
    let mut server = server_config();
    server.ticket_key = Some(TicketKey::generate(&SystemRandom).unwrap());
    server.suites = vec![Suite::Aes128GcmSha256];
    server.tickets = 1;
    let server = Arc::new(server);
    let share = || Some((group::X25519, vec![9; 32]));
    let cases = [
        (Some(1), 0x1301, share(), "unknown_psk_identity"),
        (Some(0), 0x1302, share(), "illegal_parameter"),
        (Some(0), 0x1301, None, "missing_extension"),
        (Some(0), 0x1301, share(), "none"),
        // The same hash with another cipher is lawful (RFC 8446 section 4.2.11).
        (Some(0), 0x1303, share(), "none"),
    ];
    for (psk, suite, share, wanted) in cases {
        let (mut c, _) = meet_shared(&client, &server, NOW).unwrap();
        c.traffic.tickets(NOW).into_iter().for_each(|t| cache.put(t));
        let (mut tls, hello) = rozaneh_tls::client::Client::start(Arc::clone(&client), NAME, NOW).unwrap();
        let hello = rozaneh_tls::hello::Offered::read(&hello[5..]).unwrap();
        assert!(hello.binders.is_some());
        let answer =
            rozaneh_tls::messages::ServerHello { random: [1; 32], session_id: hello.session_id, suite, share, psk };
        let mut input = Vec::new();
        rozaneh_tls::record::plain(22, 0x0303, &answer.write().unwrap(), &mut input);
        let result = tls.step(&mut input, &mut Vec::new());
        assert_eq!(result.err().and_then(|e| e.due()).map_or("none", Alert::name), wanted);
    }
}

#[test]
fn a_forged_binder_is_fatal() {
    let cache = Arc::new(Cache::default());
    let mut client = client_config(Plain::default());
    client.tickets = Some(cache.clone());
    let client = Arc::new(client);
    let mut server = server_config();
    server.ticket_key = Some(TicketKey::generate(&SystemRandom).unwrap());
    server.tickets = 1;
    let server = Arc::new(server);
    let (mut c, _) = meet_shared(&client, &server, NOW).unwrap();
    c.traffic.tickets(NOW).into_iter().for_each(|t| cache.put(t));
    let (_, mut hello) = rozaneh_tls::client::Client::start(client, NAME, NOW).unwrap();
    *hello.last_mut().unwrap() ^= 1;
    let error = rozaneh_tls::server::Server::new(server, NOW).step(&mut hello, &mut Vec::new()).unwrap_err();
    assert_eq!(error.due(), Some(Alert::DECRYPT_ERROR));
}

#[test]
fn certificates_that_come_compressed() {
    let mut server = server_config();
    let message = Certificate { chain: server.chain.clone(), ocsp: vec![], ..Certificate::default() }.write().unwrap();
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    zlib.write_all(&message[4..]).unwrap();
    server.compressed = Some((1, message.len() - 4, zlib.finish().unwrap()));
    let leaf = server.chain[0].clone();
    let offer = Plain { compressions: vec![2, 1], ..Plain::default() };
    let (mut c, mut s) = meet(client_config(offer.clone()), server).unwrap();
    assert_eq!(c.facts.chain, [leaf]);
    talk(&mut c.traffic, &mut s.traffic);
    let mut server = server_config();
    server.compressed = Some((1, 700, b"junk".to_vec()));
    assert_eq!(alert(&meet(client_config(offer), server).unwrap_err()), ("client", "bad_certificate"));
}

#[test]
fn stapled_responses_reach_the_verifier() {
    struct Sees;
    impl Verifier for Sees {
        fn verify(&self, _: &[&[u8]], name: &str, ocsp: &[u8], now: u64) -> Result<(), CertificateError> {
            assert_eq!((name, ocsp, now), (NAME, &b"response"[..], NOW / 1_000));
            Err(CertificateError::Revoked)
        }
    }
    let mut server = server_config();
    server.ocsp = b"response".to_vec();
    let client = client_config_with(Plain { status: true, ..Plain::default() }, Arc::new(Sees));
    assert_eq!(alert(&meet(client, server).unwrap_err()), ("client", "certificate_unknown"));
}

#[test]
fn record_size_limits_are_agreed_on() {
    let mut server = server_config();
    server.record_size_limit = Some(200);
    let client = client_config(Plain { record_size_limit: Some(300), ..Plain::default() });
    let (mut c, mut s) = meet(client, server).unwrap();
    assert_eq!((c.traffic.max_plain(), s.traffic.max_plain()), (199, 299));
    talk(&mut c.traffic, &mut s.traffic);
}

#[test]
fn the_first_flight_is_cut_as_the_author_says_and_grease_of_ech_is_ignored() {
    let plain = Plain {
        records: vec![1, 100, 3],
        extra: vec![(extension::ECH, vec![0; 100]), (0x1a1a, vec![0])],
        compatible: false,
        ..Plain::default()
    };
    let (_, hello) = rozaneh_tls::client::Client::start(Arc::new(client_config(plain.clone())), NAME, NOW).unwrap();
    let mut lengths = Vec::new();
    let mut rest = &hello[..];
    while let Some(h) = header(rest, false).unwrap() {
        assert_eq!(rest[1..3], [3, 1]);
        lengths.push(h.length);
        rest = &rest[HEAD + h.length..];
    }
    assert_eq!((&lengths[..3], lengths.len()), (&[1, 100, 3][..], 4));
    meet(client_config(plain), server_config()).unwrap();
}

#[test]
fn the_server_refuses_what_it_must() {
    let cases: [(&str, Plain); 5] = [
        ("handshake_failure", Plain { suites: vec![0xc02f], ..Plain::default() }),
        ("handshake_failure", Plain { groups: vec![30], shares: vec![], ..Plain::default() }),
        ("missing_extension", Plain { schemes: vec![], ..Plain::default() }),
        ("illegal_parameter", Plain { groups: vec![group::P256], shares: vec![group::X25519], ..Plain::default() }),
        ("decode_error", Plain { extra: vec![(1, vec![]), (1, vec![])], ..Plain::default() }),
    ];
    for (wanted, plain) in cases {
        let config = Arc::new(client_config(plain));
        let Ok((_, mut hello)) = rozaneh_tls::client::Client::start(config, NAME, NOW) else {
            // A hello that no reader takes is refused before it is sent.
            assert_eq!(wanted, "decode_error");
            continue;
        };
        let mut server = rozaneh_tls::server::Server::new(Arc::new(server_config()), NOW);
        let mut out = Vec::new();
        let error = server.step(&mut hello, &mut out).unwrap_err();
        assert_eq!(error.due().unwrap().name(), wanted);
        assert_eq!(out, [21, 3, 3, 0, 2, 2, error.due().unwrap().0]);
        assert!(server.step(&mut vec![22], &mut out).is_err());
        assert_eq!(out.len(), 7, "an alert is said once");
        assert!(server.finish().is_err());
    }
}

#[test]
fn an_author_must_offer_tls13() {
    let old = Plain { versions: vec![0x0303], ..Plain::default() };
    assert!(rozaneh_tls::client::Client::start(Arc::new(client_config(old)), NAME, NOW).is_err());
    let ask = rozaneh_tls::hello::Ask { name: NAME, now: NOW, ticket: None, random: &SystemRandom };
    assert!(Plain { shares: vec![0x1a1a], ..Plain::default() }.hello(&ask).is_err());
}

#[test]
fn middlebox_compatibility_takes_one_record_of_the_client() {
    for (compatible, retry, wanted) in [(true, false, 1), (true, true, 1), (false, false, 0), (false, true, 0)] {
        let shares = vec![if retry { group::P256 } else { group::X25519 }];
        let config = Arc::new(client_config(Plain { compatible, shares, ..Plain::default() }));
        let mut server = server_config();
        server.groups = vec![group::X25519];
        let mut server = rozaneh_tls::server::Server::new(Arc::new(server), NOW);
        let (mut client, mut to_server) = rozaneh_tls::client::Client::start(config, NAME, NOW).unwrap();
        let (mut said, mut to_client) = (to_server.clone(), Vec::new());
        while server.step(&mut to_server, &mut to_client).unwrap() != rozaneh_tls::Progress::Done {
            client.step(&mut to_client, &mut to_server).unwrap();
            said.extend_from_slice(&to_server);
        }
        let mut kinds = Vec::new();
        while let Some(h) = header(&said, said.first() == Some(&23)).unwrap() {
            kinds.push(h.kind);
            said.drain(..h.wire());
        }
        assert_eq!(kinds.iter().filter(|k| **k == 20).count(), wanted);
        assert_eq!(*kinds.last().unwrap(), 23, "Finished is the last");
    }
}
