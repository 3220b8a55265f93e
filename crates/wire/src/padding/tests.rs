use super::*;
use proptest::prelude::*;

fn decode(input: &[u8], cuts: &[usize]) -> (Vec<u8>, Decoder) {
    let mut decoder = Decoder::new();
    let mut data = Vec::new();
    let mut from = 0;
    for cut in cuts.iter().copied().chain([input.len()]) {
        let part = &input[from..cut.max(from)];
        from = cut.max(from);
        decoder.feed(part, &mut |range| {
            assert!(!range.is_empty());
            data.extend_from_slice(&part[range]);
        });
    }
    (data, decoder)
}

#[test]
fn header_values() {
    assert_eq!(header_value(Side::Request, [0; 12]), "!!!!!!!!!!!!!!!!");
    let ladder = [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0, 0, 0, 3];
    assert_eq!(header_value(Side::Request, ladder), "!#$()+<>?@[]^`{}~~~");
    assert_eq!(header_value(Side::Reply, ladder), "!#$()+<>?@[]^`{}~~~~~~~~~~~~~~~~~");
    let lengths = |side| {
        let mut seen: Vec<usize> =
            (0..=255).map(|n| header_value(side, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, n]).len()).collect();
        seen.sort_unstable();
        seen.dedup();
        seen
    };
    assert_eq!(lengths(Side::Request), (16..=32).collect::<Vec<_>>());
    assert_eq!(lengths(Side::Reply), (30..=61).collect::<Vec<_>>());
}

#[test]
fn negotiation() {
    let ours = [Kind::FIRST_EIGHT, Kind::NONE];
    assert_eq!(print_offer(&ours), "1, 0");
    for (padding, offer, kind) in [
        (Some("~"), Some("1, 0"), 1),
        (Some("~"), Some("0, 1"), 0),
        (Some("~"), Some("7,1"), 1),
        (Some("~"), Some(" 1\t,0"), 1),
        (Some("~"), Some("256, -1, one, , 1"), 1),
        (Some("~"), Some("9"), 0),
        (Some("~"), Some(""), 0),
        (Some("~"), None, 1),
        (None, Some("1"), 1),
        (None, None, 0),
    ] {
        let picked = choose(padding.map(str::as_bytes), offer.map(str::as_bytes), &ours);
        assert_eq!(picked, Kind(kind), "{padding:?} {offer:?}");
    }
    assert_eq!(
        choose(Some(b"~"), Some("1,".repeat(40).as_bytes()), &ours),
        Kind::NONE,
        "an endless list offers nothing"
    );
    assert_eq!(choose(Some(b"~"), None, &[Kind::NONE]), Kind::NONE);
    for (padding, reply, kind) in [
        (Some("~"), Some("1"), Some(1)),
        (Some("~"), Some("0"), Some(0)),
        (None, Some("1"), Some(1)),
        (Some("~"), None, Some(1)),
        (None, None, Some(0)),
        (Some("~"), Some("2"), None),
        (Some("~"), Some("x"), None),
    ] {
        let got = chosen(padding.map(str::as_bytes), reply.map(str::as_bytes), &ours).ok();
        assert_eq!(got, kind.map(Kind), "{padding:?} {reply:?}");
    }
}

#[test]
fn golden_frames() {
    let mut encoder = Encoder::new();
    let mut out = Vec::new();
    encoder.encode(b"hello", &mut || 4, &mut out);
    assert_eq!(out, b"\x00\x05\x04hello\0\0\0\0");
    assert_eq!(encoder.frame(0, 9), None);
    assert_eq!(encoder.frame(70_000, 0), Some(Frame { head: [0xff, 0xff, 0], data: 65_535, zeros: 0 }));
    for _ in 0..5 {
        assert!(encoder.frame(1, 1).is_some());
    }
    assert!(!encoder.is_raw());
    assert!(encoder.frame(1, 1).is_some());
    assert!(encoder.is_raw());
    assert_eq!(encoder.frame(1, 1), None);
    out.clear();
    encoder.encode(b"raw", &mut || panic!("no padding is drawn when raw"), &mut out);
    assert_eq!(out, b"raw");
}

#[test]
fn decoding_reports_ranges() {
    let mut input = b"\x00\x05\x02hello\0\0".to_vec();
    input.extend(b"\x00\x00\x03abc".iter()); // an empty frame counts, and padding need not be zero
    input.extend(b"\x00\x01\x00!".repeat(5));
    assert_eq!(decode(&input, &[]).0, b"hello!!!!!");
    let (_, decoder) = decode(&input, &[]);
    assert!(!decoder.is_raw());
    input.extend(b"\x00\x00\xff");
    let (_, decoder) = decode(&input, &[]);
    assert!(!decoder.is_raw() && decoder.finish().is_err(), "the last frame's padding is still to come");
    input.extend([0; 255]);
    let (_, decoder) = decode(&input, &[]);
    assert!(decoder.is_raw() && decoder.finish().is_ok());
    input.extend(b"\x00\x05\x02 raw");
    let mut ranges = Vec::new();
    Decoder::new().feed(&input, &mut |range| ranges.push(range));
    assert_eq!(ranges.last(), Some(&(input.len() - 7..input.len())));
    assert_eq!(ranges[0], 3..8);
    for cut in 1..10 {
        assert!(decode(&input[..cut], &[]).1.finish().is_err(), "{cut}");
    }
}

proptest! {
    #[test]
    fn any_split_round_trips(
        writes in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..400), any::<u8>()), 0..14),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let mut encoder = Encoder::new();
        let (mut wire, mut data) = (Vec::new(), Vec::new());
        for (write, zeros) in &writes {
            encoder.encode(write, &mut || *zeros, &mut wire);
            data.extend_from_slice(write);
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(wire.len() + 1)).collect();
        cuts.sort_unstable();
        let (got, decoder) = decode(&wire, &cuts);
        prop_assert_eq!(got, data);
        prop_assert_eq!(decoder.is_raw(), encoder.is_raw());
        prop_assert!(decoder.finish().is_ok());
    }

    #[test]
    fn large_writes_are_cut(len in 65_000usize..200_000) {
        let data: Vec<u8> = (0..len).map(|n| n as u8).collect();
        let mut wire = Vec::new();
        Encoder::new().encode(&data, &mut || 255, &mut wire);
        prop_assert_eq!(wire.len(), len + len.div_ceil(MAX_DATA) * (HEAD + 255));
        prop_assert_eq!(decode(&wire, &[]).0, data);
    }

    #[test]
    fn values_are_what_hpack_cannot_shorten(random in any::<[u8; 12]>()) {
        for side in [Side::Request, Side::Reply] {
            let value = header_value(side, random);
            prop_assert!(value.bytes().take(16).all(|byte| SYMBOLS.contains(&byte)));
            prop_assert!(value.bytes().skip(16).all(|byte| byte == FILLER));
        }
    }
}
