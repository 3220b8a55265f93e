//! What an observer of the plaintext sees first, byte for byte.

mod h2_common;

use h2_common::*;
use rozaneh_wire::h2::{Connection, Field, Limits, LocalProtocolError, Look, PREFACE};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// SETTINGS 1:65536;2:0;4:6291456;6:262144, WINDOW_UPDATE 15663105, HEADERS with weight 256 and the exclusive bit.
#[test]
fn a_browser() {
    let mut conn = Connection::client(Look::chrome(), Limits::default());
    let request = [
        Field::new(":method", "CONNECT"),
        Field::new(":authority", "www.example.com"),
        Field::sensitive("proxy-authorization", "Basic Og=="),
    ];
    assert_eq!(conn.open(&request, false), Ok(1));
    let golden = [
        &PREFACE[..],
        &hex("000018 04 00 00000000  0001 00010000  0002 00000000  0004 00600000  0006 00040000"),
        &hex("000004 08 00 00000000  00ef0001"),
        // END_HEADERS and PRIORITY: exclusive, on nothing, weight 256.
        &hex("000027 01 24 00000001  80000000 ff"),
        // :method by its name, without indexing. :authority, indexed. Credentials by their name, never indexed.
        &hex("02 07 434f4e4e454354"),
        &hex("41 8c f1e3c2e5f23a6ba0ab90f4ff"),
        &hex("1f22 88 ba34188a6a9a083f"),
    ]
    .concat();
    assert_eq!(*conn.out(), golden);
}

#[test]
fn a_server() {
    let mut conn = Connection::server(Look::nginx(), Limits::default());
    assert_eq!(
        *conn.out(),
        [
            hex("000012 04 00 00000000  0003 00000080  0004 00010000  0005 00ffffff"),
            hex("000004 08 00 00000000  7fff0000"),
        ]
        .concat()
    );
    assert_eq!(conn.receivable(0), 0x7fff_ffff);
}

#[test]
fn any_settings_in_any_order() {
    let look = Look { settings: vec![(0x5a5a, 1), (4, 1), (4, 2)], ..Look::plain() };
    let mut conn = Connection::server(look, Limits::default());
    assert_eq!(*conn.out(), hex("000012 04 00 00000000  5a5a 00000001  0004 00000001  0004 00000002"));
}

#[test]
fn further_settings() {
    let mut conn = server();
    conn.settings(&[(8, 1)]).unwrap();
    assert_eq!(*conn.out(), hex("000006 04 00 00000000  0008 00000001"));
    assert_eq!(conn.unacked_settings(), 1);
    assert_eq!(feed(&mut conn, &frame(SETTINGS, ACK, 0, &[])).unwrap(), [Seen::SettingsAck]);
    assert_eq!(conn.unacked_settings(), 0);
    for bad in [(2, 2), (2, 1), (4, 1 << 31), (5, 0), (5, 1 << 24), (8, 3)] {
        assert!(matches!(conn.settings(&[bad]), Err(LocalProtocolError::Setting(_))), "{bad:?}");
    }
}

#[test]
fn settings_of_the_peer() {
    let mut conn = client();
    assert_eq!(conn.peer_setting(8), None);
    feed(&mut conn, &settings(&[(8, 1), (3, 7), (5, 20_000), (0xfafa, 9)])).unwrap();
    assert_eq!([8, 3, 5, 0xfafa, 1].map(|id| conn.peer_setting(id)), [Some(1), Some(7), Some(20_000), Some(9), None]);
    assert_eq!(conn.max_frame(), 20_000);
}

/// A block longer than the peer's largest frame travels in CONTINUATION frames.
#[test]
fn long_blocks_are_cut() {
    let mut conn = client();
    let mut list = fields(&GET);
    list.extend((0..8).map(|n| Field::sensitive("x-long", format!("{n}{}", "\u{1}".repeat(5000)))));
    conn.open(&list, true).unwrap();
    let wire = conn.out().clone();
    let sent = take(&mut conn);
    assert_eq!(
        sent.iter().map(|f| (f.kind, f.flags)).collect::<Vec<_>>(),
        [(HEADERS, END_STREAM), (CONTINUATION, 0), (CONTINUATION, END_HEADERS),]
    );
    assert!(sent.iter().all(|f| f.payload.len() <= 16_384));
    let mut server = server();
    assert_eq!(feed(&mut server, &wire), Ok(vec![Seen::Headers(1, list, true)]));
}

/// What we may not send is refused before a byte is written.
#[test]
fn our_own_faults() {
    let mut conn = client();
    for bad in [
        &[][..],
        &GET[..3],
        &[&GET[..], &[("Upper", "x")]].concat(),
        &[&GET[..], &[("x", "a\r\nb: c")]].concat(),
        &[&GET[..], &[("connection", "close")]].concat(),
        &[&GET[1..], &[(":method", "CONNECT"), (":protocol", "connect-udp")]].concat(),
    ] {
        assert!(matches!(conn.open(&fields(bad), true), Err(LocalProtocolError::Fields(_))), "{bad:?}");
    }
    assert!(conn.out().is_empty());
    let id = conn.open(&fields(&CONNECT), false).unwrap();
    conn.out().clear();
    assert_eq!(conn.data(id, 65_536, false), Err(LocalProtocolError::FrameSize));
    for _ in 0..3 {
        assert!(conn.data(id, 16_384, false).is_ok());
    }
    assert_eq!(conn.sendable(id), 16_383);
    assert_eq!(conn.data(id, 16_384, false), Err(LocalProtocolError::Window));
    assert_eq!(conn.data(id, 16_383, false), Ok([0, 0x3f, 0xff, 0, 0, 0, 0, 0, 1]));
    assert_eq!(conn.data(id, 0, true), Ok([0, 0, 0, 0, 1, 0, 0, 0, 1]));
    assert!(matches!(conn.data(id, 0, true), Err(LocalProtocolError::State(_))));
    assert!(matches!(conn.headers(id, &[], true), Err(LocalProtocolError::State(_))));
    assert_eq!(conn.data(99, 0, true), Err(LocalProtocolError::NoStream));
    assert!(matches!(conn.headers(99, &[], true), Err(LocalProtocolError::NoStream)));
    conn.reset(99, rozaneh_wire::h2::Code::CANCEL);
    assert!(conn.out().is_empty());

    let mut conn = server();
    assert_eq!(conn.open(&fields(&GET), true), Err(LocalProtocolError::NotAClient));
    feed(&mut conn, &headers(1, &GET, true)).unwrap();
    assert!(matches!(conn.data(1, 0, true), Err(LocalProtocolError::State(_))), "body before answer");
    assert!(matches!(conn.headers(1, &fields(&[(":status", "100")]), true), Err(LocalProtocolError::State(_))));
    conn.headers(1, &fields(&[(":status", "100")]), false).unwrap();
    conn.headers(1, &fields(&OK), false).unwrap();
    assert!(matches!(conn.headers(1, &fields(&[("x", "y")]), false), Err(LocalProtocolError::State(_))));
    conn.headers(1, &fields(&[("x", "y")]), true).unwrap();
    assert_eq!(conn.open_streams(), 0);
}

#[test]
fn windows_grow_when_told() {
    let mut conn = server();
    feed(&mut conn, &headers(1, &POST, false)).unwrap();
    conn.grow(1, 1_000_000);
    conn.grow(1, 500_000);
    conn.grow(0, 2_000_000);
    let sent: Vec<_> = take(&mut conn).iter().map(|f| (f.kind, f.id, f.word())).collect();
    assert_eq!(sent, [(WINDOW_UPDATE, 1, 1_000_000 - 65_535), (WINDOW_UPDATE, 0, 2_000_000 - 65_535)]);
    assert_eq!((conn.receivable(1), conn.receivable(0)), (1_000_000, 2_000_000));
    // Given back in halves of the new target.
    for _ in 0..31 {
        feed(&mut conn, &data(1, &[0; 16_384], false)).unwrap();
        conn.consumed(1, 16_384);
    }
    let sent: Vec<_> = take(&mut conn).iter().map(|f| (f.id, f.word())).collect();
    assert_eq!(sent, [(1, 31 * 16_384)]);
}

/// The connection's window is shared: what one stream took, the other cannot have.
#[test]
fn streams_share_the_connections_window() {
    let mut conn = client();
    let [one, two] = [1, 2].map(|_| conn.open(&fields(&POST), false).unwrap());
    for _ in 0..3 {
        conn.data(one, 16_384, false).unwrap();
    }
    assert_eq!(conn.sendable(two), 16_383);
    conn.data(two, 16_383, false).unwrap();
    assert_eq!((conn.sendable(one), conn.sendable(two)), (0, 0));
    assert_eq!(conn.data(one, 1, false), Err(LocalProtocolError::Window));
    assert_eq!(feed(&mut conn, &window_update(0, 5)).unwrap(), [Seen::WindowOpen(0)]);
    assert_eq!((conn.sendable(one), conn.sendable(two)), (5, 5));
    assert_eq!(feed(&mut conn, &settings(&[(4, 49_154)])).unwrap(), [Seen::Settings]);
    assert_eq!((conn.sendable(one), conn.sendable(two)), (2, 5));
}
