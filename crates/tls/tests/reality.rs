//! REALITY: our client, our server, and covers of three makes between them.

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use rozaneh_tls::certificate::{SignatureOnly, Verifier, WebPki};
use rozaneh_tls::hello::plain::Plain;
use rozaneh_tls::hello::{Author, SystemRandom};
use rozaneh_tls::names::{group, suite, version};
use rozaneh_tls::profile::Browser;
use rozaneh_tls::reality::answer::Manners;
use rozaneh_tls::reality::client::{self, Client, Outcome, VERSION};
use rozaneh_tls::reality::flight::{Flight, Read as Cover};
use rozaneh_tls::reality::server::{self, Friend, Server, Verdict, judge};
use rozaneh_tls::reality::shape::{self, Alpn, Learner};
use rozaneh_tls::reality::{Identity, certificate as leaf};
use rozaneh_tls::server::TicketKey;
use rozaneh_tls::{Connected, Error, LocalError, Progress, record};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use support::*;

const CHROMIUM: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../src/rozaneh/data/browsers/chromium.json"));
const SHORT: [u8; 8] = [0xab, 0xcd, 0, 0, 0, 0, 0, 0];
const PRIVATE: [u8; 32] = [0x42; 32];
const SEED: [u8; 32] = [0x17; 32];
const NOW_S: u64 = NOW / 1_000;

fn server_keys() -> server::Keys {
    server::Keys::new(&PRIVATE, vec!["other.example".into(), NAME.into()], vec![[0; 8], SHORT], 120).unwrap()
}

fn client_keys() -> client::Keys {
    let server_public = server_keys().public().unwrap();
    client::Keys { server_public, short_id: SHORT, mldsa65: None, version: VERSION }
}

fn config(author: impl Author + 'static, keys: client::Keys) -> Arc<client::Config> {
    Arc::new(client::Config::new(Arc::new(author), Arc::new(SignatureOnly), keys))
}

fn plain(shares: &[u16]) -> Plain {
    let groups = vec![group::X25519MLKEM768, group::X25519, group::P256];
    Plain { groups, shares: shares.to_vec(), ..Plain::default() }
}

fn friend(hello: &[u8]) -> Box<Friend> {
    match judge(hello, &server_keys(), NOW_S) {
        Verdict::Friend(friend) => friend,
        other => panic!("{other:?}"),
    }
}

fn is_stranger(hello: &[u8], keys: &server::Keys, now_s: u64) -> bool {
    matches!(judge(hello, keys, now_s), Verdict::Stranger)
}

/// Records on the wire: type and whole length.
fn records(mut bytes: &[u8]) -> Vec<(u8, usize)> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let wire = 5 + usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
        all.push((bytes[0], wire));
        bytes = &bytes[wire..];
    }
    all
}

/// What a cover answers to a hello: its first flight.
type Answers = dyn Fn(&[u8]) -> Vec<u8>;

/// A cover on our own server, which coalesces its flight.
fn our_cover(edit: impl Fn(&mut rozaneh_tls::server::Config)) -> Box<Answers> {
    let mut config = server_config_for(&rcgen::PKCS_RSA_SHA256);
    edit(&mut config);
    let config = Arc::new(config);
    Box::new(move |hello| {
        let mut out = Vec::new();
        let mut server = rozaneh_tls::server::Server::new(Arc::clone(&config), NOW);
        server.step(&mut hello.to_vec(), &mut out).unwrap();
        out
    })
}

fn rustls_cover() -> Box<Answers> {
    let (certificate, key) = certificate(&rcgen::PKCS_ECDSA_P256_SHA256);
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(certificate)], PrivateKeyDer::try_from(key).unwrap())
        .unwrap();
    let config = Arc::new(config);
    Box::new(move |hello| {
        let mut server = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        server.read_tls(&mut &hello[..]).unwrap();
        server.process_new_packets().unwrap();
        let mut out = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut out).unwrap();
        }
        out
    })
}

/// A cover behind a port, whose flight is read until it can be answered.
fn remote_cover(port: u16) -> Box<Answers> {
    Box::new(move |hello| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(hello).unwrap();
        let friend = friend(hello);
        let (mut all, mut chunk) = (Vec::new(), [0; 4_096]);
        while Flight::read(&all, &friend, None) == Cover::More {
            let n = stream.read(&mut chunk).unwrap();
            assert!(n > 0, "the cover hung up");
            all.extend_from_slice(&chunk[..n]);
        }
        all
    })
}

fn flight(cover: &[u8], friend: &Friend) -> Flight {
    match Flight::read(cover, friend, None) {
        Cover::Flight(flight) => *flight,
        other => panic!("{other:?} {:02x?}", &cover[..cover.len().min(300)]),
    }
}

/// A friend's connection from end to end; also what our edge sent before the client's Finished, and after it.
struct Meeting {
    client: Connected,
    server: Connected,
    outcome: Outcome,
    cover: Vec<u8>,
    flight: Vec<u8>,
    after: Vec<u8>,
}

fn meet_friend(
    config: &Arc<client::Config>,
    cover: &Answers,
    identity: &Identity,
    manners: &Manners,
) -> Result<Meeting, Error> {
    let (mut client, mut hello) = Client::start(config, NAME, NOW, 0).unwrap();
    let friend = friend(&hello);
    assert_eq!(friend.taken, hello.len());
    let cover = cover(&hello);
    let (mut server, out) = Server::new(&friend, &flight(&cover, &friend), identity, manners)?;
    let mut to_client = out.clone();
    hello.clear();
    let mut to_server = hello;
    assert_eq!(client.step(&mut to_client, &mut to_server)?, Progress::Done);
    let mut after = Vec::new();
    assert_eq!(server.step(&mut to_server, &mut after)?, Progress::Done);
    let ((client, outcome), server) = (client.finish().unwrap(), server.finish().unwrap());
    assert!(to_client.is_empty() && to_server.is_empty());
    Ok(Meeting { client, server, outcome, cover, flight: out, after })
}

fn check(meeting: &mut Meeting) {
    assert_eq!(meeting.outcome, Outcome::Verified);
    assert_eq!(records(&meeting.flight), records(&meeting.cover), "the same lengths");
    let (theirs, ours) = (&meeting.cover, &meeting.flight);
    assert_eq!(theirs[..5 + 4 + 2 + 32 + 33 + 3], ours[..5 + 4 + 2 + 32 + 33 + 3], "the cover's own hello");
    assert_eq!(meeting.client.facts.suite, meeting.server.facts.suite);
    assert_eq!((&meeting.client.facts.alpn, &meeting.server.facts.name), (&None, &Some(NAME.into())));
    assert_eq!(open(&mut meeting.client.traffic, &meeting.after).unwrap(), b"", "nothing but shape");
    talk(&mut meeting.client.traffic, &mut meeting.server.traffic);
}

/// A chain that is long enough for a leaf with ML-DSA in its place.
fn long_chain(config: &mut rozaneh_tls::server::Config) {
    let other = certificate(&rcgen::PKCS_RSA_SHA256).0;
    (0..8).for_each(|_| config.chain.push(other.clone()));
}

#[test]
fn both_orders_of_shares_every_suite_and_group() {
    const BOTH: [u16; 2] = [group::X25519MLKEM768, group::X25519];
    let identity = Identity::generate(None).unwrap();
    let manners = Manners::default();
    for shares in [&BOTH[..], &[BOTH[1], BOTH[0]], &BOTH[..1], &BOTH[1..]] {
        for chosen in BOTH {
            if !shares.contains(&chosen) {
                continue;
            }
            for suite in [suite::AES_128_GCM_SHA256, suite::AES_256_GCM_SHA384, suite::CHACHA20_POLY1305_SHA256] {
                let cover = our_cover(|config| config.groups = vec![chosen]);
                let author = Plain { suites: vec![suite], ..plain(shares) };
                let config = config(author, client_keys());
                let mut meeting = meet_friend(&config, &*cover, &identity, &manners).unwrap();
                assert_eq!((meeting.client.facts.group, meeting.client.facts.suite.id()), (chosen, suite));
                check(&mut meeting);
            }
        }
    }
}

#[test]
fn covers_of_three_makes_and_a_browsers_hello() {
    let folder = openssl::Folder::new();
    openssl::make_key(&folder, openssl::ECDSA);
    let (_server, port) = openssl::start(&folder, &["-tls1_3", "-rev"]);
    let identity = Identity::generate(None).unwrap();
    let covers = [our_cover(|_| {}), rustls_cover(), remote_cover(port)];
    for (index, cover) in covers.iter().enumerate() {
        let browser = Browser::from_json(CHROMIUM.as_bytes()).unwrap();
        let old = Plain { groups: vec![group::X25519], ..plain(&[group::X25519]) };
        for config in [config(browser, client_keys()), config(old, client_keys())] {
            let mut meeting = meet_friend(&config, &**cover, &identity, &Manners::default()).unwrap();
            check(&mut meeting);
            let protected = records(&meeting.flight).iter().filter(|(kind, _)| *kind == 23).count();
            assert_eq!(protected, [1, 1, 4][index], "cover {index}");
        }
    }
}

#[test]
fn ml_dsa_where_it_fits_and_where_it_is_demanded() {
    let identity = Identity::generate(Some(&SEED)).unwrap();
    let public = identity.mldsa65_public().unwrap();
    assert_eq!(public, leaf::mldsa65_public(&SEED).unwrap());
    let long = our_cover(long_chain);
    let demanding = client::Keys { mldsa65: Some(public), ..client_keys() };
    for keys in [demanding.clone(), client_keys()] {
        let config = config(plain(&[group::X25519MLKEM768, group::X25519]), keys);
        check(&mut meet_friend(&config, &*long, &identity, &Manners::default()).unwrap());
    }
    // Too little room: nothing was sent, and the caller can still be the cover.
    let config = config(plain(&[group::X25519]), demanding.clone());
    let error = meet_friend(&config, &*our_cover(|_| {}), &identity, &Manners::default()).err().unwrap();
    assert_eq!(error, Error::Local(LocalError::Room));
    // A server without the key, or with another, is nobody of ours, whatever the fallback says.
    for other in [Identity::generate(None).unwrap(), Identity::generate(Some(&[1; 32])).unwrap()] {
        assert_eq!(meet_friend(&config, &*long, &other, &Manners::default()).unwrap().outcome, Outcome::Real);
        // A browser, which offers no Ed25519, does not even get so far.
        let browser = self::config(Browser::from_json(CHROMIUM.as_bytes()).unwrap(), demanding.clone());
        let error = meet_friend(&browser, &*long, &other, &Manners::default()).err().unwrap();
        assert_eq!(error.due().unwrap().name(), "illegal_parameter");
    }
}

#[test]
fn any_flipped_bit_makes_a_stranger() {
    for shares in [&[group::X25519][..], &[group::X25519MLKEM768, group::X25519]] {
        let (_, hello) = Client::start(&config(plain(shares), client_keys()), NAME, NOW, 0).unwrap();
        let keys = server_keys();
        assert!(matches!(judge(&hello, &keys, NOW_S), Verdict::Friend(_)));
        for bit in 5 * 8..hello.len() * 8 {
            let mut bad = hello.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            // A length that grew may ask for more; then what follows never completes it.
            match judge(&bad, &keys, NOW_S) {
                Verdict::Stranger => {}
                Verdict::More => {
                    bad.resize(bad.len() + 3 * 16_384, 0);
                    assert!(is_stranger(&bad, &keys, NOW_S), "bit {bit}");
                }
                Verdict::Friend(_) => panic!("bit {bit}"),
            }
        }
        for cut in 0..hello.len() {
            assert!(matches!(judge(&hello[..cut], &keys, NOW_S), Verdict::More), "{cut} bytes");
        }
    }
}

#[test]
fn every_condition_of_a_friend() {
    let start = |keys: client::Keys, name: &str, offset: i64| {
        Client::start(&config(plain(&[group::X25519]), keys), name, NOW, offset).unwrap().1
    };
    let good = start(client_keys(), NAME, 0);
    let keys = server_keys();
    let friend = friend(&good);
    assert_eq!((friend.stamp.short_id, friend.stamp.version, friend.server_name.as_str()), (SHORT, VERSION, NAME));
    assert_eq!((u64::from(friend.stamp.time), friend.alpn), (NOW_S, Alpn::None));
    assert_eq!(friend.session_id, good[44..76]);
    // Name, key, short id.
    assert!(is_stranger(&start(client_keys(), "sub.example.org", 0), &keys, NOW_S));
    assert!(is_stranger(&start(client_keys(), "EXAMPLE.ORG", 0), &keys, NOW_S));
    assert!(is_stranger(&start(client_keys(), "192.0.2.1", 0), &keys, NOW_S));
    let other = client::Keys {
        server_public: server::Keys::new(&[1; 32], vec![], vec![], 0).unwrap().public().unwrap(),
        ..client_keys()
    };
    assert!(is_stranger(&start(other, NAME, 0), &keys, NOW_S));
    let short_id = [0xab, 0xcd, 0, 0, 0, 0, 0, 1];
    assert!(is_stranger(&start(client::Keys { short_id, ..client_keys() }, NAME, 0), &keys, NOW_S));
    assert!(!is_stranger(&start(client::Keys { short_id: [0; 8], ..client_keys() }, NAME, 0), &keys, NOW_S));
    // The clock, by what the client corrects and by what the server believes.
    for (offset, stranger) in [(120, false), (121, true), (-120, false), (-121, true)] {
        assert_eq!(is_stranger(&start(client_keys(), NAME, offset), &keys, NOW_S), stranger, "{offset}");
        assert_eq!(is_stranger(&good, &keys, NOW_S.checked_add_signed(offset).unwrap()), stranger);
    }
    // Versions.
    let mut picky = server_keys();
    for (least, most, stranger) in
        [([26, 7, 28], [26, 7, 28], false), ([26, 7, 29], [255; 3], true), ([0; 3], [26, 7, 27], true)]
    {
        picky.versions = (least, most);
        assert_eq!(is_stranger(&good, &picky, NOW_S), stranger, "{least:?}");
    }
    // A hello of TLS 1.2 alone, and one without any share of X25519, are not even written.
    let old = Plain { versions: vec![version::TLS12], ..plain(&[group::X25519]) };
    assert!(Client::start(&config(old, client_keys()), NAME, NOW, 0).is_err());
    assert!(Client::start(&config(plain(&[group::P256]), client_keys()), NAME, NOW, 0).is_err());
    let without = Plain { compatible: false, ..plain(&[group::X25519]) };
    assert!(Client::start(&config(without, client_keys()), NAME, NOW, 0).is_err());
    // A clock that no stamp can say.
    assert!(Client::start(&config(plain(&[group::X25519]), client_keys()), NAME, NOW, i64::MIN).is_err());
}

#[test]
fn what_is_no_hello_is_a_strangers_at_once() {
    let keys = server_keys();
    let (_, hello) = Client::start(&config(plain(&[group::X25519]), client_keys()), NAME, NOW, 0).unwrap();
    for junk in [&b"GET / HTTP/1.1\r\n"[..], b"SSH-2.0-", &[0], &[20], &[21, 3, 1, 0, 2, 2, 40], &[22, 3, 1, 0, 0]] {
        assert!(is_stranger(junk, &keys, NOW_S), "{junk:?}");
    }
    for more in [&b""[..], &[22], &[22, 3, 1, 0, 1]] {
        assert!(matches!(judge(more, &keys, NOW_S), Verdict::More), "{more:?}");
    }
    assert!(is_stranger(&[22, 3, 1, 0, 5, 2], &keys, NOW_S), "a ServerHello");
    // In many small records it is the same hello; with junk behind it in its record it is none.
    let mut small = Vec::new();
    for piece in hello[5..].chunks(7) {
        record::plain(22, 0x0301, piece, &mut small);
    }
    assert!(matches!(judge(&small, &keys, NOW_S), Verdict::Friend(_)));
    let mut behind = Vec::new();
    record::plain(22, 0x0301, &[&hello[5..], &[1]].concat(), &mut behind);
    assert!(is_stranger(&behind, &keys, NOW_S));
    // What follows in records of its own is not the hello's.
    let early = [&hello[..], &[20, 3, 3, 0, 1, 1]].concat();
    assert_eq!(friend(&early).taken, hello.len());
    // Never whole, and longer than any.
    let long = [&[22, 3, 1, 0x40, 0][..], &[1, 0xff, 0xff, 0xff], &[0; 16_380]].concat();
    assert!(is_stranger(&long, &keys, NOW_S));
}

#[test]
fn covers_that_cannot_be_answered_for_are_left_to_answer() {
    let unusable = |cover: &Answers, author: Plain| {
        let (_, hello) = Client::start(&config(author, client_keys()), NAME, NOW, 0).unwrap();
        let friend = friend(&hello);
        Flight::read(&cover(&hello), &friend, None) == Cover::Unusable
    };
    let both = || plain(&[group::X25519MLKEM768, group::X25519]);
    assert!(!unusable(&*our_cover(|_| {}), both()));
    // A second hello asked for; a group that cannot be authenticated with.
    assert!(unusable(&*our_cover(|config| config.groups = vec![group::P256]), both()));
    let with_p256 = plain(&[group::X25519, group::P256]);
    assert!(unusable(&*our_cover(|config| config.groups = vec![group::P256]), with_p256));
    // Another session id, a resumed session, an alert, junk, a flight without its ChangeCipherSpec.
    let good = our_cover(|_| {});
    let edited = |edit: &'static dyn Fn(&mut Vec<u8>)| {
        let good = our_cover(|_| {});
        move |hello: &[u8]| {
            let mut out = good(hello);
            edit(&mut out);
            out
        }
    };
    assert!(unusable(&edited(&|out| out[50] ^= 1), both()));
    assert!(unusable(&edited(&|out| out[0] = 21), both()));
    assert!(unusable(&edited(&|out| drop(out.splice(.., *b"HTTP/1.1 400 Bad Request"))), both()));
    assert_eq!(records(&good(&Client::start(&config(both(), client_keys()), NAME, NOW, 0).unwrap().1))[1], (20, 6));
    assert!(unusable(&edited(&|out| drop(out.drain(records(out)[0].1..records(out)[0].1 + 6))), both()));
    // The downgrade of TLS 1.2.
    let folder = openssl::Folder::new();
    openssl::make_key(&folder, openssl::ECDSA);
    let (_server, port) = openssl::start(&folder, &["-tls1_2", "-rev"]);
    let old = Plain {
        versions: vec![version::TLS13, version::TLS12],
        suites: vec![suite::AES_128_GCM_SHA256, 0xc02b],
        extra: vec![(11, vec![1, 0])],
        ..both()
    };
    assert!(unusable(&*remote_cover(port), old));
}

#[test]
fn a_flight_is_read_at_any_speed() {
    let (_, hello) = Client::start(&config(plain(&[group::X25519]), client_keys()), NAME, NOW, 0).unwrap();
    let friend = friend(&hello);
    let cover = our_cover(|_| {})(&hello);
    for cut in 0..cover.len() {
        assert_eq!(Flight::read(&cover[..cut], &friend, None), Cover::More, "{cut} of {}", cover.len());
    }
    let whole = flight(&cover, &friend);
    assert_eq!((whole.records.len(), whole.more.len()), (1, 0));
    // Where the number is known, no guess is made.
    assert_eq!(Flight::read(&cover, &friend, Some(2)), Cover::More);
    let again = [&cover[..], &[23, 3, 3, 0, 40], &[0; 40]].concat();
    let Cover::Flight(two) = Flight::read(&again, &friend, Some(2)) else { panic!() };
    assert_eq!((two.records.len(), two.records[1], two.more.len()), (2, 45, 0));
    // Unasked, the second is something the cover says early.
    assert_eq!(flight(&again, &friend).more, [45]);
    let endless = [&cover[..], &[23, 3, 3, 0, 40], &[0; 40]].concat().repeat(1);
    let endless = [endless, [&[23, 3, 3, 0x40, 0][..], &[0; 16_384]].concat().repeat(9)].concat();
    assert_eq!(Flight::read(&[&endless[..], &[23]].concat(), &friend, None), Cover::Unusable);
}

#[test]
fn a_learned_shape_is_replayed() {
    // A cover with tickets: what a real handshake sees behind the flight.
    let mut cover = server_config_for(&rcgen::PKCS_RSA_SHA256);
    (cover.ticket_key, cover.tickets) = (Some(TicketKey::generate(&SystemRandom).unwrap()), 2);
    let cover = Arc::new(cover);
    let author = Plain { alpn: Alpn::H2.protocols(), ..plain(&[group::X25519]) };
    let normal = rozaneh_tls::client::Config::new(Arc::new(author.clone()), Arc::new(SignatureOnly));
    let (mut client, mut to_server) = rozaneh_tls::client::Client::start(Arc::new(normal), NAME, NOW).unwrap();
    let mut server = rozaneh_tls::server::Server::new(Arc::clone(&cover), NOW);
    let mut to_client = Vec::new();
    server.step(&mut to_server, &mut to_client).unwrap();
    let mut sent = to_client.clone();
    client.step(&mut to_client, &mut to_server).unwrap();
    server.step(&mut to_server, &mut to_client).unwrap();
    sent.extend_from_slice(&to_client);
    assert_eq!(shape::flight_records(&sent, to_client.len()), 1);
    let mut traffic = client.finish().unwrap().traffic;
    let mut learner = Learner::default();
    let unread = records(&to_client).iter().map(|(_, wire)| *wire).collect::<Vec<_>>();
    learner.take(&mut traffic, &mut to_client).unwrap();
    assert_eq!((learner.lengths(), learner.seen().len(), learner.closed), (unread.clone(), 2, false));
    assert!(learner.seen().iter().all(|after| !after.data) && to_client.is_empty());
    let mut other = server.finish().unwrap().traffic;
    let mut data = seal(&mut other, b"settings");
    other.close();
    data.extend(std::mem::take(other.pending()));
    learner.take(&mut traffic, &mut data).unwrap();
    assert!(learner.seen()[2].data && learner.closed);

    let manners = Manners { after: unread.clone(), ..Manners::default() };
    let identity = Identity::generate(None).unwrap();
    let config = config(author, client_keys());
    let mut meeting = meet_friend(&config, &*our_cover(|_| {}), &identity, &manners).unwrap();
    assert_eq!(records(&meeting.after), unread.iter().map(|wire| (23, *wire)).collect::<Vec<_>>());
    check(&mut meeting);
}

#[test]
fn what_a_cover_says_early_is_said_too() {
    let (mut client, hello) = Client::start(&config(plain(&[group::X25519]), client_keys()), NAME, NOW, 0).unwrap();
    let friend = friend(&hello);
    let cover = [our_cover(|_| {})(&hello), [&[23, 3, 3, 0, 200][..], &[0; 200]].concat()].concat();
    let identity = Identity::generate(None).unwrap();
    let (mut server, out) = Server::new(&friend, &flight(&cover, &friend), &identity, &Manners::default()).unwrap();
    assert_eq!(records(&out), records(&cover));
    let (mut input, mut back) = (out, Vec::new());
    assert_eq!(client.step(&mut input, &mut back).unwrap(), Progress::Done);
    assert_eq!(records(&input), [(23, 205)], "under the application's keys");
    assert_eq!(server.step(&mut back, &mut Vec::new()).unwrap(), Progress::Done);
    let (mut connected, outcome) = client.finish().unwrap();
    assert_eq!((open(&mut connected.traffic, &input).unwrap().len(), outcome), (0, Outcome::Verified));
    talk(&mut connected.traffic, &mut server.finish().unwrap().traffic);
}

#[test]
fn dummies_are_taken_as_the_cover_takes_them() {
    for (limit, takes) in [(Some(1), 1), (Some(16), 16), (Some(32), 32), (None, 1_000)] {
        for (count, refused) in [(takes, false), (takes + 1, limit.is_some())] {
            let (mut client, hello) =
                Client::start(&config(plain(&[group::X25519]), client_keys()), NAME, NOW, 0).unwrap();
            let friend = friend(&hello);
            let identity = Identity::generate(None).unwrap();
            let manners = Manners { specs: limit, ..Manners::default() };
            let cover = our_cover(|_| {})(&hello);
            let (mut server, mut out) = Server::new(&friend, &flight(&cover, &friend), &identity, &manners).unwrap();
            let mut back = Vec::new();
            client.step(&mut out, &mut back).unwrap();
            // The client's own is one of them.
            let mut input = shape::dummies(count - 1);
            input.extend_from_slice(&back);
            let result = server.step(&mut input, &mut Vec::new());
            assert_eq!(result.is_err(), refused, "{count} where {limit:?} is the limit");
        }
    }
    assert_eq!(shape::tolerance([false; 3]), Some(1));
    assert_eq!(shape::tolerance([true, false, false]), Some(16));
    assert_eq!(shape::tolerance([true, true, false]), Some(32));
    assert_eq!(shape::tolerance([true; 3]), None);
}

#[test]
fn a_cover_is_met_as_a_browser_meets_it() {
    // The cover itself answers: its certificate is judged by the fallback, and the outcome is no friend.
    for (verifier, fine) in
        [(Arc::new(SignatureOnly) as Arc<dyn Verifier>, true), (Arc::new(WebPki::from_certificates([]).0), false)]
    {
        let config = Arc::new(client::Config::new(Arc::new(plain(&[group::X25519])), verifier, client_keys()));
        let (mut client, hello) = Client::start(&config, NAME, NOW, 0).unwrap();
        let mut flight = our_cover(|_| {})(&hello);
        let result = client.step(&mut flight, &mut Vec::new());
        assert_eq!(result.is_ok(), fine);
        if fine {
            assert_eq!(client.finish().unwrap().1, Outcome::Real);
        }
    }
    // One that signs with a REALITY leaf for another hello is a liar, and not believed to be ours.
    let identity = Identity::generate(None).unwrap();
    let author = || plain(&[group::X25519]);
    let (mut client, _) = Client::start(&config(author(), client_keys()), NAME, NOW, 0).unwrap();
    let (_, other) = Client::start(&config(author(), client_keys()), NAME, NOW, 0).unwrap();
    let friend = friend(&other);
    let cover = our_cover(|_| {})(&other);
    let (_, mut out) = Server::new(&friend, &flight(&cover, &friend), &identity, &Manners::default()).unwrap();
    assert!(client.step(&mut out, &mut Vec::new()).is_err());
}

#[test]
fn a_cover_that_asks_again_finds_a_browser() {
    let server = Arc::new(rozaneh_tls::server::Config { groups: vec![group::P256], ..server_config() });
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let mut socket = Socket::server(&server, listener.accept().unwrap().0, NOW).unwrap();
        assert!(socket.connected.facts.retried);
        socket.write(b"the cover");
        assert_eq!(socket.read().unwrap(), None);
    });
    let (mut client, hello) = Client::start(&config(plain(&[group::X25519]), client_keys()), NAME, NOW, 0).unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(&hello).unwrap();
    let (mut input, mut chunk) = (Vec::new(), [0; 4_096]);
    loop {
        let mut out = Vec::new();
        let step = client.step(&mut input, &mut out).unwrap();
        stream.write_all(&out).unwrap();
        if step == Progress::Done {
            break;
        }
        let n = stream.read(&mut chunk).unwrap();
        assert!(n > 0);
        input.extend_from_slice(&chunk[..n]);
    }
    assert_eq!(client.finish().unwrap().1, Outcome::Real);
    drop(stream);
    thread.join().unwrap();
}
