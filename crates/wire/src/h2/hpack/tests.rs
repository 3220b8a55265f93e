//! RFC 7541 appendix C in full, and what no appendix shows: splits, limits, size updates.

use super::*;
use crate::h2::field::Field;

type Pair = (&'static str, &'static str);

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn pairs(list: &FieldList) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    list.fields.iter().map(|field| (text(&field.name), text(&field.value))).collect()
}

fn decode_in(decoder: &mut Decoder, block: &[u8], piece: usize) -> Result<FieldList, HpackError> {
    let mut list = FieldList::new(65_536);
    for piece in block.chunks(piece) {
        decoder.feed(piece, &mut list)?;
    }
    decoder.finish()?;
    Ok(list)
}

fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<FieldList, HpackError> {
    decode_in(decoder, block, usize::MAX)
}

fn dynamic(table: &table::Table) -> Vec<(String, String)> {
    (62..)
        .map_while(|index| table.get(index))
        .map(|(name, value)| {
            (String::from_utf8_lossy(&name).into_owned(), String::from_utf8_lossy(&value).into_owned())
        })
        .collect()
}

/// One block of a sequence: bytes, fields, dynamic table behind it (newest first), its size.
struct Step {
    block: &'static str,
    fields: &'static [Pair],
    table: &'static [Pair],
    size: usize,
}

fn owned(pairs: &[Pair]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn run(max: Option<&str>, steps: &[Step]) {
    for piece in [usize::MAX, 1, 2, 3, 7] {
        let mut decoder = Decoder::new(4096);
        if let Some(update) = max {
            assert!(decode(&mut decoder, &hex(update)).unwrap().fields.is_empty());
        }
        for (n, step) in steps.iter().enumerate() {
            let list = decode_in(&mut decoder, &hex(step.block), piece).unwrap();
            assert_eq!(pairs(&list), owned(step.fields), "block {n} in pieces of {piece}");
            assert_eq!(dynamic(decoder.table()), owned(step.table), "table behind block {n}");
            assert_eq!(decoder.table().size(), step.size, "size behind block {n}");
        }
    }
}

#[test]
fn appendix_c_2_field_representations() {
    run(
        None,
        &[Step {
            block: "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
            fields: &[("custom-key", "custom-header")],
            table: &[("custom-key", "custom-header")],
            size: 55,
        }],
    );
    run(
        None,
        &[Step {
            block: "040c 2f73 616d 706c 652f 7061 7468",
            fields: &[(":path", "/sample/path")],
            table: &[],
            size: 0,
        }],
    );
    run(
        None,
        &[Step {
            block: "1008 7061 7373 776f 7264 0673 6563 7265 74",
            fields: &[("password", "secret")],
            table: &[],
            size: 0,
        }],
    );
    let mut decoder = Decoder::new(4096);
    let list = decode(&mut decoder, &hex("1008 7061 7373 776f 7264 0673 6563 7265 74")).unwrap();
    assert!(list.fields[0].sensitive);
    run(None, &[Step { block: "82", fields: &[(":method", "GET")], table: &[], size: 0 }]);
}

const REQUESTS: [&[Pair]; 3] = [
    &[(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "www.example.com")],
    &[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "www.example.com"),
        ("cache-control", "no-cache"),
    ],
    &[
        (":method", "GET"),
        (":scheme", "https"),
        (":path", "/index.html"),
        (":authority", "www.example.com"),
        ("custom-key", "custom-value"),
    ],
];

fn requests(blocks: [&'static str; 3]) -> [Step; 3] {
    let [first, second, third] = blocks;
    [
        Step { block: first, fields: REQUESTS[0], table: &[(":authority", "www.example.com")], size: 57 },
        Step {
            block: second,
            fields: REQUESTS[1],
            table: &[("cache-control", "no-cache"), (":authority", "www.example.com")],
            size: 110,
        },
        Step {
            block: third,
            fields: REQUESTS[2],
            table: &[("custom-key", "custom-value"), ("cache-control", "no-cache"), (":authority", "www.example.com")],
            size: 164,
        },
    ]
}

#[test]
fn appendix_c_3_requests_without_huffman() {
    run(
        None,
        &requests([
            "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
            "8286 84be 5808 6e6f 2d63 6163 6865",
            "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
        ]),
    );
}

const C_4: [&str; 3] = [
    "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
    "8286 84be 5886 a8eb 1064 9cbf",
    "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
];

#[test]
fn appendix_c_4_requests_with_huffman() {
    run(None, &requests(C_4));
}

/// The browser style makes the very choices of appendix C.4.
#[test]
fn appendix_c_4_encoded() {
    let mut encoder = Encoder::new(HpackStyle::Browser);
    for (fields, block) in REQUESTS.iter().zip(C_4) {
        let fields: Vec<Field> = fields.iter().map(|(name, value)| Field::new(*name, *value)).collect();
        let mut out = Vec::new();
        encoder.encode(&fields, &mut out);
        assert_eq!(out, hex(block));
    }
    assert_eq!(encoder.table().size(), 164);
}

const COOKIE: &str = "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";
const DATE_1: &str = "Mon, 21 Oct 2013 20:13:21 GMT";
const DATE_2: &str = "Mon, 21 Oct 2013 20:13:22 GMT";
const PLACE: &str = "https://www.example.com";

fn responses(blocks: [&'static str; 3]) -> [Step; 3] {
    let [first, second, third] = blocks;
    [
        Step {
            block: first,
            fields: &[(":status", "302"), ("cache-control", "private"), ("date", DATE_1), ("location", PLACE)],
            table: &[("location", PLACE), ("date", DATE_1), ("cache-control", "private"), (":status", "302")],
            size: 222,
        },
        Step {
            block: second,
            fields: &[(":status", "307"), ("cache-control", "private"), ("date", DATE_1), ("location", PLACE)],
            table: &[(":status", "307"), ("location", PLACE), ("date", DATE_1), ("cache-control", "private")],
            size: 222,
        },
        Step {
            block: third,
            fields: &[
                (":status", "200"),
                ("cache-control", "private"),
                ("date", DATE_2),
                ("location", PLACE),
                ("content-encoding", "gzip"),
                ("set-cookie", COOKIE),
            ],
            table: &[("set-cookie", COOKIE), ("content-encoding", "gzip"), ("date", DATE_2)],
            size: 215,
        },
    ]
}

/// A table of 256 bytes, announced by a block of its own.
const SIZE_256: &str = "3fe1 01";

#[test]
fn appendix_c_5_responses_without_huffman() {
    run(
        Some(SIZE_256),
        &responses([
            "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 \
             474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
            "4803 3330 37c1 c0bf",
            "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 \
             666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 \
             3630 303b 2076 6572 7369 6f6e 3d31",
        ]),
    );
}

#[test]
fn appendix_c_6_responses_with_huffman() {
    run(
        Some(SIZE_256),
        &responses([
            "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 \
             63c7 8f0b 97c8 e9ae 82ae 43d3",
            "4883 640e ffc1 c0bf",
            "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 \
             b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
        ]),
    );
}

#[test]
fn broken_blocks() {
    for (what, block) in [
        ("index 0", "80"),
        ("index beyond both tables", "be"),
        ("a huge index", "ffffffff07"),
        ("name index beyond both tables", "7f00 00"),
        ("an integer without end", "ff80 8080 8080 00"),
        ("a size update above the announcement", "3fe2 1f"),
        ("a size update behind a field", "8220"),
        ("Huffman padding of eight bits", "0001 6181 ff"),
        ("Huffman padding with zeros", "0001 6181 06"),
        ("Huffman end of string", "0001 6184 ffff ffff"),
        ("cut in a literal", "0001 6105 61"),
        ("cut in an integer", "ff"),
        ("cut in front of a value", "0001 61"),
    ] {
        for piece in [usize::MAX, 1] {
            let verdict = decode_in(&mut Decoder::new(4096), &hex(block), piece);
            assert!(matches!(verdict, Err(HpackError::Broken(_))), "{what}: {verdict:?}");
        }
    }
}

#[test]
fn long_strings_are_refused_by_their_length_alone() {
    for block in ["007f a21f", "00ff a21f", "0001 617f a21f"] {
        let mut list = FieldList::new(65_536);
        // 4,129 bytes announced, none of them sent.
        assert_eq!(Decoder::new(4096).feed(&hex(block), &mut list), Err(HpackError::TooLong), "{block}");
    }
}

#[test]
fn lists_beyond_the_limit_keep_the_table_right() {
    let mut encoder = Encoder::new(HpackStyle::Browser);
    let mut decoder = Decoder::new(4096);
    let fields: Vec<Field> = (0..50).map(|n| Field::new("x-long", format!("{n}{}", "v".repeat(500)))).collect();
    let mut block = Vec::new();
    encoder.encode(&fields, &mut block);
    let mut list = FieldList::new(1000);
    decoder.feed(&block, &mut list).unwrap();
    decoder.finish().unwrap();
    assert!(list.overflowed());
    assert!(list.fields.is_empty());
    assert_eq!(list.size, fields.iter().map(Field::size).sum::<usize>());
    assert_eq!(dynamic(decoder.table()), dynamic(encoder.table()));

    block.clear();
    encoder.encode(&fields[49..], &mut block);
    assert_eq!(block.len(), 1, "known by its index");
    assert_eq!(decode(&mut decoder, &block).unwrap().fields, &fields[49..]);
}

#[test]
fn the_encoder_follows_the_peers_table() {
    let fields = [Field::new("x-one", "1"), Field::new("x-two", "2")];
    let mut encoder = Encoder::new(HpackStyle::Browser);
    let mut out = Vec::new();
    encoder.encode(&fields, &mut out);
    assert_ne!(encoder.table().size(), 0);
    // Down to nothing and up again between two blocks: both must be said (RFC 7541 section 4.2).
    encoder.set_peer_limit(0);
    encoder.set_peer_limit(8192);
    assert_eq!(encoder.table().size(), 0);
    out.clear();
    encoder.encode(&[Field::new(":method", "GET")], &mut out);
    assert_eq!(out, hex("20 3fe13f 82"));
    out.clear();
    encoder.encode(&[Field::new(":method", "GET")], &mut out);
    assert_eq!(out, hex("82"), "said once");
    // An offer beyond what we keep is cut.
    encoder.set_peer_limit(u32::MAX);
    out.clear();
    encoder.encode(&[], &mut out);
    assert_eq!(out, hex("3fe1 ff03"));
}

#[test]
fn a_lowered_limit_must_be_confirmed() {
    let mut decoder = Decoder::new(4096);
    decoder.raise_limit(16_384);
    assert!(decode(&mut decoder, &hex("3fe1 7f")).is_ok());
    decoder.settle_limit(100);
    let mut strict = Decoder::new(4096);
    strict.settle_limit(100);
    assert!(matches!(decode(&mut strict, &hex("82")), Err(HpackError::Broken(_))), "no update at all");
    assert_eq!(pairs(&decode(&mut decoder, &hex("3f45 82")).unwrap()), owned(&[(":method", "GET")]));
    assert!(matches!(decode(&mut decoder, &hex("3f46")), Err(HpackError::Broken(_))), "101 is above 100");
}

#[test]
fn sensitive_fields_are_never_indexed() {
    let mut encoder = Encoder::new(HpackStyle::Browser);
    let field = Field::sensitive("proxy-authorization", "Basic Zm9vOmJhcg==");
    for _ in 0..2 {
        let mut out = Vec::new();
        encoder.encode(std::slice::from_ref(&field), &mut out);
        // 0001, name index 49 (15 + 34).
        assert_eq!(out[..2], [0x1f, 0x22]);
        assert_eq!(encoder.table().size(), 0);
        let list = decode(&mut Decoder::new(4096), &out).unwrap();
        assert_eq!(list.fields, std::slice::from_ref(&field));
    }
}

#[test]
fn the_browser_style_leaves_pseudo_fields_out_of_the_table() {
    let mut encoder = Encoder::new(HpackStyle::Browser);
    let fields = [Field::new(":method", "CONNECT"), Field::new(":authority", "a.example:443")];
    let mut out = Vec::new();
    encoder.encode(&fields, &mut out);
    assert_eq!(out[0], 0x02, "without indexing, name 2");
    assert_eq!(dynamic(encoder.table()), owned(&[(":authority", "a.example:443")]));
}

/// nginx's choices: a status by its index or as three raw digits under index 8, a handful of names by index, the rest as
/// they are, no dynamic table.
#[test]
fn the_nginx_style() {
    let encode = |name: &'static str, value: &'static str| {
        let mut out = Vec::new();
        Encoder::new(HpackStyle::Nginx).encode(&[Field::new(name, value)], &mut out);
        out
    };
    assert_eq!(encode(":status", "200"), hex("88"));
    assert_eq!(encode(":status", "405"), hex("48 03 343035"));
    assert_eq!(encode("server", "nginx"), hex("76 84 aa6355e7"));
    assert_eq!(encode("content-length", "615"), hex("5c 03 363135"));
    assert_eq!(encode("accept-ranges", "bytes")[..2], hex("00 89"));
    assert_eq!(encode("vary", "Accept-Encoding")[0], 0x7b);

    let mut encoder = Encoder::new(HpackStyle::Nginx);
    let mut out = Vec::new();
    let field = Field::new("server", "nginx");
    encoder.encode(&[field.clone(), field.clone()], &mut out);
    assert_eq!(out, hex("76 84 aa6355e7 76 84 aa6355e7"), "no dynamic table");
    encoder.set_peer_limit(65_536);
    out.clear();
    encoder.encode(&[field], &mut out);
    assert_eq!(out, hex("20 76 84 aa6355e7"), "told of a table, it says that it keeps none");
}
