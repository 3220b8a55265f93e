use super::*;
use proptest::prelude::*;

fn decode(input: &[u8], cuts: &[usize]) -> (Vec<Vec<u8>>, Result<(), RemoteProtocolError>) {
    let mut decoder = Decoder::new();
    let mut found = Vec::new();
    let mut from = 0;
    for cut in cuts.iter().copied().chain([input.len()]) {
        let part = &input[from..cut.max(from)];
        from = cut.max(from);
        let result = decoder.feed(part, &mut |datagram| found.push(datagram.bytes(part).to_vec()));
        if result.is_err() {
            assert!(decoder.feed(b"", &mut |_| panic!("a broken decoder reports nothing")).is_err());
            return (found, result);
        }
    }
    (found, decoder.finish())
}

#[test]
fn golden() {
    let mut out = Vec::new();
    encode_datagram(b"abc", &mut out).unwrap();
    assert_eq!(out, [0x00, 0x04, 0x00, b'a', b'b', b'c']);
    assert_eq!(decode(&out, &[]), (vec![b"abc".to_vec()], Ok(())));
    out.clear();
    encode_datagram(&[7; 100], &mut out).unwrap();
    assert_eq!(out[..4], [0x00, 0x40, 101, 0x00]);
    assert_eq!(datagram_head(65_527).unwrap().as_ref(), [0x00, 0x80, 0x00, 0xff, 0xf8, 0x00]);
    assert!(datagram_head(65_528).is_err());
}

#[test]
fn whole_datagrams_are_not_copied() {
    let mut input = Vec::new();
    encode_datagram(b"one", &mut input).unwrap();
    encode_datagram(b"", &mut input).unwrap();
    encode_datagram(b"three", &mut input).unwrap();
    let mut found = Vec::new();
    Decoder::new().feed(&input, &mut |datagram| found.push(datagram)).unwrap();
    assert_eq!(found, [Datagram::Within(3..6), Datagram::Within(9..9), Datagram::Within(12..17)]);
}

#[test]
fn unknown_types_and_contexts_pass_by() {
    let mut input = vec![0x17, 0x05, 1, 2, 3, 4, 5]; // a greased type
    input.extend([0x17, 0x00]); // an empty one
    input.extend([0x00, 0x03, 0x02, 9, 9]); // context 2
    input.extend([0x00, 0x01, 0x02]); // context 2, nothing in it
    input.extend([0x40, 0x00, 0x40, 0x05, 0x80, 0, 0, 0, b'x']); // context 0 in long encodings
    assert_eq!(decode(&input, &[]), (vec![b"x".to_vec()], Ok(())));
    // A type of 2^62-1 with a length of 2^62-1 is skipped, and nothing of it is held.
    let mut decoder = Decoder::new();
    decoder.feed(&[0xff; 16], &mut |_| panic!()).unwrap();
    for _ in 0..64 {
        decoder.feed(&[0; 65_536], &mut |_| panic!()).unwrap();
    }
    assert!(decoder.finish().is_err());
}

#[test]
fn malformed() {
    let long = |length: u64| {
        let mut out = vec![0x00];
        varint::encode(length, &mut out).unwrap();
        out
    };
    let mut eight = long(65_535);
    eight.extend([0xc0, 0, 0, 0, 0, 0, 0, 0]); // context 0 in eight bytes leaves 65,527
    eight.extend(vec![1; 65_527]);
    assert_eq!(decode(&eight, &[]).0[0].len(), 65_527);
    let mut one = long(65_535);
    one.push(0x00); // context 0 in one byte leaves 65,534
    for bad in
        [vec![0x00, 0x00], long(65_536), long(varint::MAX), vec![0x00, 0x01, 0x40], vec![0x00, 0x02, 0x80, 0], one]
    {
        assert!(decode(&bad, &[]).1.is_err(), "{bad:?}");
        let cuts: Vec<usize> = (0..bad.len()).collect();
        assert!(decode(&bad, &cuts).1.is_err(), "{bad:?} byte by byte");
    }
    // Cut short: taken so far, but not a clean end.
    let mut whole = Vec::new();
    encode_datagram(b"abc", &mut whole).unwrap();
    for cut in 1..whole.len() {
        assert!(decode(&whole[..cut], &[]).1.is_err());
    }
}

#[test]
fn paths() {
    for (host, port, path) in [
        ("news.example", 443, "/.well-known/masque/udp/news.example/443/"),
        ("192.0.2.6", 1, "/.well-known/masque/udp/192.0.2.6/1/"),
        ("2001:db8::42", 65_535, "/.well-known/masque/udp/2001%3Adb8%3A%3A42/65535/"),
    ] {
        assert_eq!(udp_path(host, port), path);
        assert_eq!(parse_udp_path(path.as_bytes()), Some((host.to_owned(), port)));
    }
    assert_eq!(parse_udp_path(b"/.well-known/masque/udp/%6eews/1/"), Some(("news".into(), 1)));
    for bad in [
        "",
        "/",
        "/.well-known/masque/udp/",
        "/.well-known/masque/udp//443/",
        "/.well-known/masque/udp/h/443",
        "/.well-known/masque/udp/h/0/",
        "/.well-known/masque/udp/h/65536/",
        "/.well-known/masque/udp/h/0443/",
        "/.well-known/masque/udp/h/+443/",
        "/.well-known/masque/udp/h/443/x/",
        "/.well-known/masque/udp/h/443/?x/",
        "/.well-known/masque/udp/2001:db8::1/443/",
        "/.well-known/masque/udp/fe80%3A%3A1%25eth0/443/",
        "/.well-known/masque/udp/h%2Fx/443/",
        "/.well-known/masque/udp/h%/443/",
        "/.well-known/masque/udp/h%4/443/",
        "/.well-known/masque/udp/h%zz/443/",
        "/.well-known/masque/udp/h%00/443/",
        "/.well-known/masque/udp/h%0d%0a/443/",
        "/.well-known/masque/udp/h%c3%a9/443/",
        "/.well-known/masque/udp/h%ff/443/",
        "/.well-known/masque/udp/a b/443/",
        "/.well-known/masque/udp/{target_host}/{target_port}/",
        "/.well-known/masque/ip/h/443/",
        "/.Well-known/masque/udp/h/443/",
    ] {
        assert_eq!(parse_udp_path(bad.as_bytes()), None, "{bad}");
    }
    assert_eq!(parse_udp_path(udp_path(&"a".repeat(256), 1).as_bytes()), None);
}

proptest! {
    #[test]
    fn any_split_gives_the_same(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut input = Vec::new();
        for payload in &payloads {
            input.extend([0x29, 0x02, 1, 2]);
            encode_datagram(payload, &mut input).unwrap();
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
        cuts.sort_unstable();
        prop_assert_eq!(decode(&input, &cuts), (payloads, Ok(())));
    }

    #[test]
    fn split_never_changes_the_verdict(input in prop::collection::vec(prop_oneof![Just(0u8), any::<u8>()], 0..200), cut in any::<prop::sample::Index>()) {
        prop_assert_eq!(decode(&input, &[cut.index(input.len() + 1)]), decode(&input, &[]));
    }

    #[test]
    fn paths_round_trip(host in "[a-zA-Z0-9:._-]{1,60}", port in 1u16..) {
        prop_assert_eq!(parse_udp_path(udp_path(&host, port).as_bytes()), Some((host, port)));
    }
}
