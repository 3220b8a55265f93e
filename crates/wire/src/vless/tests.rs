use std::net::SocketAddr;

use proptest::prelude::*;

use super::server::{MAX_HEADER, RESPONSE, Request};
use super::*;

const TEXT: &str = "b831381d-6324-4d53-ad4f-8cda48b30811";
const ID: [u8; 16] = [0xb8, 0x31, 0x38, 0x1d, 0x63, 0x24, 0x4d, 0x53, 0xad, 0x4f, 0x8c, 0xda, 0x48, 0xb3, 0x08, 0x11];

fn name(text: &str, port: u16) -> Address {
    Address::Name(text.as_bytes().to_vec(), port)
}

fn ip(text: &str) -> Address {
    Address::Ip(text.parse().unwrap())
}

/// Feeds a header cut into steps; what was read, and how many bytes it took.
fn serve(input: &[u8], step: usize) -> Result<Option<(Request, usize)>, RemoteProtocolError> {
    let mut server = Server::new();
    let mut taken = 0;
    for chunk in input.chunks(step) {
        let (used, request) = server.feed(chunk)?;
        taken += used;
        if let Some(request) = request {
            assert!(server.feed(b"more").is_err(), "one header a stream");
            return Ok(Some((request, taken)));
        }
        assert_eq!(used, chunk.len(), "without a request everything is taken");
    }
    Ok(None)
}

fn request(command: u8, addons: &[u8], rest: &[u8]) -> Vec<u8> {
    [&[0][..], &ID, &[addons.len() as u8], addons, &[command], rest].concat()
}

#[test]
fn golden_requests() {
    let cases: [(&[u8], Command, Address); 4] = [
        (b"\x01\x01\xbb\x02\x0cnews.example", Command::Stream, name("news.example", 443)),
        (b"\x01\x00\x50\x01\xc0\x00\x02\x09", Command::Stream, ip("192.0.2.9:80")),
        (b"\x02\x00\x35\x03\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", Command::Datagrams, ip("[2001:db8::1]:53")),
        (b"\x01\x00\x00\x02\x01x", Command::Stream, name("x", 0)),
    ];
    for (rest, command, address) in cases {
        let wire = [&[0][..], &ID, &[0], rest, b"GET / HTTP/1.1"].concat();
        let expected = Request { id: Id::new(ID), command, address: address.clone() };
        for step in 1..=wire.len() {
            let (read, taken) = serve(&wire, step).unwrap().expect("whole");
            assert_eq!((&read, taken), (&expected, 18 + rest.len()), "bytes behind the header are the stream's");
        }
        for cut in 0..18 + rest.len() {
            assert_eq!(serve(&wire[..cut], 5), Ok(None), "cut at {cut}");
        }
        let mut ours = b"before".to_vec();
        client::request(&Id::new(ID), command, &address, &mut ours).unwrap();
        assert_eq!(ours, [b"before", &wire[..18 + rest.len()]].concat());
    }
}

#[test]
fn what_is_not_served_is_refused() {
    let place = b"\x00\x50\x01\x7f\x00\x00\x01";
    for (wire, why) in [
        ([&[1][..], &ID].concat(), "version"),
        (request(0, b"", place), "unknown command"),
        (request(3, b"", b""), "multiplexing"),
        (request(4, b"", b""), "reverse"),
        (request(5, b"", place), "unknown command"),
        (request(1, b"", b"\x00\x50\x04\x7f\x00\x00\x01"), "address type"),
        (request(1, b"", b"\x00\x50\x02\x00"), "no bytes"),
        (request(1, b"\x0a\x10xtls-rprx-vision", place), "flow"),
        (request(1, b"\x12\x01s\x0a\x01x", place), "flow"),
        (request(1, b"\x0a\x05x", place), "protocol buffers"),
        (request(1, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", place), "protocol buffers"),
        (request(1, b"\x0b", place), "protocol buffers"),
    ] {
        for step in [1, 7, 4096] {
            let error = serve(&wire, step).expect_err(why);
            assert!(error.why.contains(why), "{why}: {error}");
        }
    }
}

#[test]
fn addons_without_a_flow_are_passed_over() {
    // An empty flow, a seed, an unknown integer, both fixed sizes, and a flow that is taken back.
    for addons in
        [&b""[..], b"\x0a\x00", b"\x12\x03abc", b"\x18\x96\x01", b"\x1d1234", b"\x1912345678", b"\x0a\x01x\x0a\x00"]
    {
        let wire = request(1, addons, b"\x00\x50\x01\x7f\x00\x00\x01");
        assert_eq!(serve(&wire, 3).unwrap().expect("whole").1, wire.len());
    }
}

#[test]
fn a_header_is_bounded() {
    let wire =
        request(1, &[0x12, 0xfc, 0x01].iter().chain(&[b's'; 252]).copied().collect::<Vec<_>>(), b"\x00\x50\x02\xff");
    let wire = [&wire[..], &[b'a'; 255]].concat();
    assert_eq!(wire.len(), MAX_HEADER);
    let (read, taken) = serve(&[&wire[..], &[0; 70_000]].concat(), 100_000).unwrap().expect("whole");
    assert_eq!((read.address, taken), (Address::Name(vec![b'a'; 255], 80), MAX_HEADER));
    assert!(
        client::request(&Id::new(ID), Command::Stream, &Address::Name(vec![b'a'; 256], 1), &mut Vec::new()).is_err()
    );
    let mut kept = b"x".to_vec();
    assert!(client::request(&Id::new(ID), Command::Stream, &name("", 1), &mut kept).is_err());
    assert_eq!(kept, b"x", "nothing is left behind by a request that cannot be written");
}

#[test]
fn golden_responses() {
    for (header, len) in [(&b"\x00\x00"[..], 2), (b"\x00\x03abc", 5), (b"\x00\x01\x00", 3)] {
        let wire = [header, b"\x00\x05HTTP"].concat();
        for step in 1..=wire.len() {
            let mut client = Client::new();
            let taken: usize = wire.chunks(step).map(|chunk| client.feed(chunk).unwrap()).sum();
            assert_eq!((taken, client.done()), (len, true));
        }
        let mut client = Client::new();
        assert_eq!((client.feed(&wire[..len - 1]), client.done()), (Ok(len - 1), false));
    }
    assert_eq!(RESPONSE, [0, 0]);
    let mut client = Client::new();
    assert!(client.feed(b"HTTP/1.1 400").is_err() && client.feed(b"\0\0").is_err() && !client.done());
}

#[test]
fn ids_are_read_in_one_spelling() {
    assert_eq!(Id::parse(TEXT).unwrap().bytes(), &ID);
    assert_eq!(Id::parse(&TEXT.to_uppercase()), Id::parse(TEXT));
    let masked = Id::new(ID).masked();
    assert_eq!(masked[..6], ID[..6]);
    assert_eq!((&masked[6..8], &masked[8..]), (&[0, 0][..], &ID[8..]));
    let short = &TEXT[..35];
    for bad in [
        "",
        "word",
        short,
        &TEXT.replace('-', ""),
        &format!("{TEXT}0"),
        &TEXT.replace('b', "g"),
        "b831381d-6324-4d53-ad4f-8cda48b3081é",
    ] {
        assert_eq!(Id::parse(bad), None, "{bad:?}");
    }
    assert_eq!(Id::parse("b831381d+6324-4d53-ad4f-8cda48b30811"), None);
    assert_eq!(Id::parse("b831381-d6324-4d53-ad4f-8cda48b30811"), None);
}

#[test]
fn nothing_secret_shows() {
    let read = Request { id: Id::new(ID), command: Command::Stream, address: name("secret.example", 443) };
    let shown = format!("{read:?} {:?}", Server::new());
    assert!(!shown.contains("secret") && !shown.contains("184") && !shown.contains("b8"), "{shown}");
}

fn unframe(wire: &[u8], step: usize) -> (Vec<Vec<u8>>, bool) {
    let (mut decoder, mut found) = (datagrams::Decoder::new(), Vec::new());
    for chunk in wire.chunks(step) {
        decoder.feed(chunk, &mut |payload| found.push(payload.to_vec()));
    }
    (found, decoder.is_whole())
}

#[test]
fn golden_datagrams() {
    let wire = b"\x00\x03abc\x00\x00\x00\x01z\x00";
    for step in 1..=wire.len() {
        assert_eq!(unframe(wire, step), (vec![b"abc".to_vec(), Vec::new(), b"z".to_vec()], false));
    }
    assert!(datagrams::encode(&vec![0; 65_536], &mut Vec::new()).is_err());
}

proptest! {
    #[test]
    fn requests_are_read_back(
        id in any::<[u8; 16]>(), port in any::<u16>(), v4 in any::<[u8; 4]>(), v6 in any::<[u8; 16]>(),
        text in proptest::collection::vec(any::<u8>(), 1..256), kind in 0..3, udp in any::<bool>(), step in 1..600usize,
        behind in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let address = match kind {
            0 => Address::Ip(SocketAddr::new(v4.into(), port)),
            1 => Address::Ip(SocketAddr::new(v6.into(), port)),
            _ => Address::Name(text, port),
        };
        let command = if udp { Command::Datagrams } else { Command::Stream };
        let mut wire = Vec::new();
        client::request(&Id::new(id), command, &address, &mut wire).unwrap();
        let len = wire.len();
        wire.extend_from_slice(&behind);
        prop_assert_eq!(serve(&wire, step), Ok(Some((Request { id: Id::new(id), command, address }, len))));
    }

    #[test]
    fn datagrams_are_read_back(
        payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..2_000), 0..6), step in 1..3_000usize,
    ) {
        let mut wire = Vec::new();
        for payload in &payloads {
            datagrams::encode(payload, &mut wire).unwrap();
        }
        prop_assert_eq!(unframe(&wire, step), (payloads, true));
    }
}
