//! What a peer may cost us: every flood ends, every bound holds, and an honest peer meets none of them.

mod h2_common;

use h2_common::*;
use rozaneh_wire::h2::hpack::Encoder;
use rozaneh_wire::h2::{Code, Connection, Field, HpackStyle, Limits, LocalProtocolError, Look, Malformed, StreamState};

const CALM: Code = Code::ENHANCE_YOUR_CALM;

/// Sends what `make` makes until the connection ends; returns after how many.
fn until_the_end(conn: &mut Connection, drain: bool, make: &mut dyn FnMut(u32) -> Vec<u8>) -> u32 {
    for n in 0..1_000_000 {
        match feed(conn, &make(n)) {
            Ok(_) => assert!(conn.out().len() < 256 * 1024, "out() is bounded"),
            Err(error) => {
                assert_eq!(error.code, CALM, "{error}");
                assert_eq!(goaway_code(conn), Some(CALM));
                return n;
            }
        }
        if drain {
            conn.out().clear();
        }
    }
    panic!("the flood never ends");
}

#[test]
fn frames_that_move_nothing() {
    type Make = fn(u32) -> Vec<u8>;
    let floods: [(&str, Make); 9] = [
        ("PING", |_| frame(PING, 0, 0, &[0; 8])),
        ("PONG", |_| frame(PING, ACK, 0, &[0; 8])),
        ("SETTINGS", |_| settings(&[])),
        ("SETTINGS that move windows", |n| settings(&[(4, 65_535 + n % 2)])),
        ("PRIORITY", |_| frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 7])),
        ("empty DATA", |_| data(1, b"", false)),
        ("padded nothing", |_| frame(DATA, PADDED, 1, &[3, 0, 0, 0])),
        ("RST_STREAM of a closed stream", |_| reset(3, Code::CANCEL)),
        ("unknown frames", |_| frame(0x42, 0, 0, &[])),
    ];
    for (what, make) in floods {
        let mut conn = server();
        feed(&mut conn, &[headers(1, &POST, false), headers(3, &POST, false), reset(3, Code::CANCEL)].concat())
            .unwrap();
        let n = until_the_end(&mut conn, true, &mut |n| make(n));
        assert!((30_000..=65_536).contains(&n), "{what}: {n}");
    }
}

/// After GOAWAY new requests are decoded and dropped, which is work too.
#[test]
fn requests_behind_a_goaway() {
    let mut conn = server();
    conn.goaway(Code::NO_ERROR);
    let n = until_the_end(&mut conn, true, &mut |n| headers(2 * n + 1, &GET, true));
    assert!((65_000..=65_536).contains(&n), "{n}");
    assert_eq!(conn.open_streams(), 0);
}

#[test]
fn answers_that_nobody_reads() {
    for what in [frame(PING, 0, 0, &[0; 8]), settings(&[])] {
        let mut conn = server();
        let n = until_the_end(&mut conn, false, &mut |_| what.clone());
        assert_eq!(n, Limits::default().max_replies);
    }
}

#[test]
fn window_updates_by_one() {
    let mut conn = server();
    feed(&mut conn, &headers(1, &POST, false)).unwrap();
    let n = until_the_end(&mut conn, true, &mut |_| window_update(0, 1));
    assert!((65_000..=65_536).contains(&n), "{n}");
}

#[test]
fn rapid_reset() {
    let mut conn = server();
    let n = until_the_end(&mut conn, true, &mut |n| {
        [headers(2 * n + 1, &GET, true), reset(2 * n + 1, Code::CANCEL)].concat()
    });
    assert_eq!(n, Limits::default().max_resets);
}

#[test]
fn made_you_reset() {
    let broken: [fn(u32) -> Vec<u8>; 6] = [
        |id| window_update(id, 0),
        |id| window_update(id, 0x7fff_ffff),
        |id| frame(PRIORITY, 0, id, &[0; 3]),
        |id| data(id, b"too late", false),
        |id| headers(id, &[("x", "y")], true),
        |id| frame(PRIORITY, 0, id, &[&id.to_be_bytes()[..], &[1]].concat()),
    ];
    for make in broken {
        let mut conn = server();
        let n = until_the_end(&mut conn, true, &mut |n| [headers(2 * n + 1, &GET, true), make(2 * n + 1)].concat());
        assert_eq!(n, Limits::default().max_stream_errors);
    }
}

#[test]
fn requests_that_are_never_good() {
    let mut conn = server();
    let n = until_the_end(&mut conn, true, &mut |n| headers(2 * n + 1, &[(":method", "GET")], true));
    assert_eq!(n, Limits::default().max_stream_errors);
    assert_eq!(conn.open_streams(), 0);
}

#[test]
fn more_streams_than_announced() {
    let mut conn = greeted(Look { settings: vec![(3, 10)], ..Look::plain() }, Limits::default());
    let n = until_the_end(&mut conn, true, &mut |n| headers(2 * n + 1, &POST, false));
    assert_eq!(n, 10 + Limits::default().max_stream_errors);
    assert_eq!(conn.open_streams(), 10);

    let mut conn = greeted(Look::plain(), Limits { max_streams: 1, ..Limits::default() });
    feed(&mut conn, &[headers(1, &POST, false), headers(3, &POST, false)].concat()).unwrap();
    let refused: Vec<_> = take(&mut conn).iter().map(|f| (f.kind, f.id, f.word())).collect();
    assert_eq!(refused, [(RST_STREAM, 3, Code::REFUSED_STREAM.0)]);
    feed(&mut conn, &[data(1, b"", true)].concat()).unwrap();
    conn.headers(1, &fields(&OK), true).unwrap();
    conn.out().clear();
    feed(&mut conn, &headers(5, &POST, false)).unwrap();
    assert_eq!(conn.stream_state(5), StreamState::Open, "room again");
}

#[test]
fn continuation_floods() {
    let mut conn = server();
    feed(&mut conn, &frame(HEADERS, 0, 1, &[0x82])).unwrap();
    assert_eq!(until_the_end(&mut conn, true, &mut |_| frame(CONTINUATION, 0, 1, &[])), 64);

    let mut conn = server();
    feed(&mut conn, &frame(HEADERS, 0, 1, &[0x82])).unwrap();
    // One byte each that names a long entry: the cheapest way to a large header list.
    let n = until_the_end(&mut conn, true, &mut |_| frame(CONTINUATION, 0, 1, &[0x90; 16_384]));
    assert_eq!(n, 15, "256 KiB of block");
}

#[test]
fn a_string_that_never_comes() {
    let mut conn = server();
    // A value of 40,000 bytes is announced: over the limit before its first byte.
    let error = feed(&mut conn, &frame(HEADERS, 0, 1, &[0x00, 0x01, b'x', 0x7f, 0xc1, 0xb7, 0x02])).unwrap_err();
    assert_eq!(error.code, CALM);
}

#[test]
fn header_lists_beyond_the_limit_can_be_answered() {
    let mut encoder = Encoder::new(HpackStyle::Browser);
    let mut conn = greeted(Look::plain(), Limits { max_header_bytes: 2000, ..Limits::default() });
    let mut many = fields(&GET);
    many.extend((0..60).map(|n| Field::new("x-many", format!("{n:0>40}"))));
    let mut block = Vec::new();
    encoder.encode(&many, &mut block);
    let log = feed(&mut conn, &frame(HEADERS, END_HEADERS | END_STREAM, 1, &block)).unwrap();
    assert_eq!(log, [Seen::TooLarge(1, true)]);
    conn.headers(1, &fields(&[(":status", "431")]), true).unwrap();
    assert_eq!(take(&mut conn).len(), 1);

    // The compression state survived: the next request refers to what the large one left behind.
    block.clear();
    let mut next = fields(&GET);
    next.push(many.last().unwrap().clone());
    encoder.encode(&next, &mut block);
    let log = feed(&mut conn, &frame(HEADERS, END_HEADERS | END_STREAM, 3, &block)).unwrap();
    assert_eq!(log, [Seen::Headers(3, next, true)]);

    // As trailers they cannot be answered.
    let log = feed(&mut conn, &headers(5, &POST, false)).unwrap();
    assert_eq!(log.len(), 1);
    block.clear();
    encoder.encode(&many[4..], &mut block);
    let log = feed(&mut conn, &frame(HEADERS, END_HEADERS | END_STREAM, 5, &block)).unwrap();
    assert_eq!(log, [Seen::Reset(5, CALM)]);
}

#[test]
fn malformed_requests_can_be_answered_when_the_cover_would() {
    let mut conn = greeted(Look::nginx(), Limits { malformed: Malformed::Report, ..Limits::default() });
    let log = feed(&mut conn, &headers(1, &[&GET[..], &[("connection", "close")]].concat(), false)).unwrap();
    assert_eq!(log, [Seen::Malformed(1, "a connection-specific field", false)]);
    conn.headers(1, &fields(&[(":status", "400")]), false).unwrap();
    conn.data(1, 0, true).unwrap();
    assert_eq!(conn.stream_state(1), StreamState::HalfClosedLocal);
    assert!(take(&mut conn).iter().all(|f| f.kind == HEADERS));
}

/// Nothing an honest peer does for long adds up to a flood.
#[test]
fn honest_peers_are_left_alone() {
    // Pings and window updates with a driver that lets time pass.
    let mut conn = server();
    for n in 0..300_000 {
        feed(&mut conn, &frame(PING, 0, 0, &[0; 8])).unwrap();
        conn.out().clear();
        if n % 100 == 0 {
            conn.calm();
        }
    }

    // Tunnels that are answered and then reset, more than any limit.
    let mut conn = server();
    for n in 0..5_000 {
        let id = 2 * n + 1;
        feed(&mut conn, &headers(id, &CONNECT, false)).unwrap();
        conn.headers(id, &fields(&OK), false).unwrap();
        feed(&mut conn, &[data(id, b"x", false), reset(id, Code::CANCEL)].concat()).unwrap();
        conn.consumed(id, 1);
        conn.out().clear();
    }

    // A long download: a window update for every piece.
    let mut conn = server();
    feed(&mut conn, &headers(1, &GET, true)).unwrap();
    conn.headers(1, &fields(&OK), false).unwrap();
    for _ in 0..200_000 {
        conn.data(1, 1000, false).unwrap();
        feed(&mut conn, &window_update(0, 1000)).unwrap();
        feed(&mut conn, &window_update(1, 1000)).unwrap();
        conn.data(1, 0, false).unwrap();
        conn.out().clear();
        conn.calm();
    }
}

#[test]
fn goaway_ends_the_opening_of_streams() {
    let mut conn = client();
    assert_eq!(conn.open(&fields(&GET), true), Ok(1));
    assert_eq!(conn.open(&fields(&GET), true), Ok(3));
    let log = feed(&mut conn, &frame(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0])).unwrap();
    assert_eq!(log, [Seen::GoAway(1, Code::NO_ERROR), Seen::Reset(3, Code::REFUSED_STREAM)]);
    assert_eq!(conn.open(&fields(&GET), true), Err(LocalProtocolError::GoingAway));
    assert!(conn.is_going_away());
    assert_eq!(feed(&mut conn, &headers(1, &OK, true)).unwrap().len(), 1, "what runs goes on");

    let mut conn = server();
    feed(&mut conn, &headers(1, &POST, false)).unwrap();
    conn.goaway(Code::NO_ERROR);
    let sent = take(&mut conn);
    assert_eq!((sent[0].kind, sent[0].word()), (GOAWAY, 1));
    let log =
        feed(&mut conn, &[headers(3, &POST, false), data(3, b"late", true), data(1, b"x", true)].concat()).unwrap();
    assert_eq!(log, [Seen::Data(1, b"x".to_vec(), true)]);
    conn.goaway(Code::NO_ERROR);
    assert_eq!(take(&mut conn)[0].word(), 1, "the last stream never rises");
}

#[test]
fn a_graceful_end_in_two_steps() {
    let mut conn = server();
    conn.drain();
    assert_eq!(take(&mut conn)[0].word(), 0x7fff_ffff);
    assert_eq!(feed(&mut conn, &headers(1, &GET, true)).unwrap().len(), 1, "still looked at");
    conn.goaway(Code::NO_ERROR);
    assert_eq!(take(&mut conn)[0].word(), 1);
}

#[test]
fn the_last_identifier_says_goodbye() {
    let mut conn = server();
    let log = feed(&mut conn, &headers(0x7fff_ffff, &GET, true)).unwrap();
    assert_eq!(log.len(), 1);
    assert_eq!((goaway_code(&mut conn), conn.is_going_away()), (Some(Code::NO_ERROR), true));
}

#[test]
fn a_client_waits_for_its_turn() {
    let mut conn = client();
    feed(&mut conn, &settings(&[(3, 1)])).unwrap();
    assert_eq!(conn.open(&fields(&GET), true), Ok(1));
    assert_eq!(conn.open(&fields(&GET), true), Err(LocalProtocolError::Busy));
    feed(&mut conn, &headers(1, &OK, true)).unwrap();
    assert_eq!(conn.open(&fields(&GET), true), Ok(3));
}

/// DATA of dead streams and padding are given back without anybody's help, so a connection never starves.
#[test]
fn dead_streams_do_not_eat_the_window() {
    let mut conn = server();
    feed(&mut conn, &headers(1, &POST, false)).unwrap();
    conn.reset(1, Code::CANCEL);
    let chunk = vec![0; 16_384];
    for _ in 0..1000 {
        feed(&mut conn, &data(1, &chunk, false)).unwrap();
        assert!(conn.receivable(0) >= 32_768);
        conn.out().clear();
    }
    // Reset in the middle of a frame: the rest of it is not reported, and not lost. Ten times: a leak would show.
    let whole = |id| data(id, &chunk, true);
    for id in (3..23).step_by(2) {
        feed(&mut conn, &headers(id, &POST, false)).unwrap();
        let log = feed(&mut conn, &whole(id)[..1009]).unwrap();
        assert_eq!(log, [Seen::Data(id, vec![0; 1000], false)]);
        conn.reset(id, Code::CANCEL);
        assert_eq!(feed(&mut conn, &whole(id)[1009..]).unwrap(), []);
        conn.consumed(id, 1000);
        assert!(conn.receivable(0) >= 32_768, "{}", conn.receivable(0));
        conn.out().clear();
    }
}
