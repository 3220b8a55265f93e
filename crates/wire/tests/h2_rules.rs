//! What a frame means where it comes: every rule of RFC 9113 that a peer can break, one row each, fed whole and byte by
//! byte.

mod h2_common;

use h2_common::*;
use rozaneh_wire::h2::{Code, Connection, Limits, LocalProtocolError, Look, PREFACE, StreamState};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    /// GOAWAY with this code.
    Connection(Code),
    /// RST_STREAM with this code, and the connection goes on.
    Stream(u32, Code),
    /// Nothing happens.
    Fine,
}
use Expect::{Connection as Conn, Fine, Stream};

const PROTOCOL: Code = Code::PROTOCOL_ERROR;
const SIZE: Code = Code::FRAME_SIZE_ERROR;
const FLOW: Code = Code::FLOW_CONTROL_ERROR;
const CLOSED: Code = Code::STREAM_CLOSED;
const HPACK: Code = Code::COMPRESSION_ERROR;

fn check(name: &str, fresh: &dyn Fn() -> Connection, input: &[u8], expect: Expect) {
    for piece in [usize::MAX, 1, 5] {
        let mut conn = fresh();
        let mut log = Log::new();
        let verdict = feed_in(&mut conn, input, piece, &mut log);
        let sent = take(&mut conn);
        match expect {
            Conn(code) => {
                assert_eq!(verdict.as_ref().map_err(|error| error.code), Err(code), "{name}");
                let last = sent.last().unwrap_or_else(|| panic!("{name}: no GOAWAY"));
                assert_eq!((last.kind, &last.payload[4..]), (GOAWAY, &code.0.to_be_bytes()[..]), "{name}");
                let error = verdict.unwrap_err();
                assert_eq!(feed(&mut conn, b"more"), Err(error), "{name}: the verdict stands");
                assert!(take(&mut conn).is_empty(), "{name}: nothing is said after GOAWAY");
            }
            Stream(id, code) => {
                assert_eq!(verdict, Ok(()), "{name}");
                let resets: Vec<_> = sent.iter().filter(|f| f.kind == RST_STREAM).map(|f| (f.id, f.word())).collect();
                assert_eq!(resets, [(id, code.0)], "{name}");
                assert!(sent.iter().all(|f| f.kind != GOAWAY), "{name}");
                assert_eq!(conn.stream_state(id), StreamState::Closed, "{name}");
            }
            Fine => {
                assert_eq!(verdict, Ok(()), "{name}");
                assert!(sent.iter().all(|f| !matches!(f.kind, RST_STREAM | GOAWAY)), "{name}: {sent:?}");
            }
        }
    }
}

/// A server with streams in every state: 1 open, 3 half-closed (remote), 5 half-closed (local), 7 finished, 9 reset by
/// the peer, 11 reset by us; 13 is idle.
fn in_every_state() -> Connection {
    let mut conn = server();
    for (id, end) in [(1, false), (3, true), (5, false), (7, true), (9, false), (11, false)] {
        feed(&mut conn, &headers(id, &POST, end)).unwrap();
    }
    conn.headers(5, &fields(&OK), true).unwrap();
    conn.headers(7, &fields(&OK), true).unwrap();
    feed(&mut conn, &reset(9, Code::CANCEL)).unwrap();
    conn.reset(11, Code::CANCEL);
    conn.out().clear();
    conn
}

#[test]
fn the_states_are_what_they_are_called() {
    let conn = in_every_state();
    let states: Vec<_> = [1, 3, 5, 7, 9, 11, 13, 2].map(|id| conn.stream_state(id)).to_vec();
    use StreamState::{Closed, HalfClosedLocal, HalfClosedRemote, Idle, Open};
    assert_eq!(states, [Open, HalfClosedRemote, HalfClosedLocal, Closed, Closed, Closed, Idle, Idle]);
    assert_eq!(conn.open_streams(), 3);
}

/// RFC 9113 section 5.1: every frame in every state of a stream, at a server.
#[test]
fn the_state_table() {
    type Row = (&'static str, fn(u32) -> Vec<u8>, [Expect; 7]);
    let expected: [Row; 6] = [
        (
            "DATA",
            |id| data(id, b"x", false),
            [Fine, Stream(3, CLOSED), Fine, Conn(CLOSED), Stream(9, CLOSED), Fine, Conn(PROTOCOL)],
        ),
        (
            "trailers or request",
            |id| headers(id, if id == 13 { &POST } else { &[("x", "y")] }, true),
            [Fine, Stream(3, CLOSED), Fine, Conn(CLOSED), Stream(9, CLOSED), Fine, Fine],
        ),
        ("RST_STREAM", |id| reset(id, Code::CANCEL), [Fine, Fine, Fine, Fine, Fine, Fine, Conn(PROTOCOL)]),
        ("WINDOW_UPDATE", |id| window_update(id, 1), [Fine, Fine, Fine, Fine, Fine, Fine, Conn(PROTOCOL)]),
        ("PRIORITY", |id| frame(PRIORITY, 0, id, &[0, 0, 0, 0, 1]), [Fine; 7]),
        ("CONTINUATION", |id| frame(CONTINUATION, END_HEADERS, id, &[]), [Conn(PROTOCOL); 7]),
    ];
    for (what, make, expects) in expected {
        for (id, expect) in [1, 3, 5, 7, 9, 11, 13].into_iter().zip(expects) {
            check(&format!("{what} on {id}"), &in_every_state, &make(id), expect);
        }
    }
}

#[test]
fn frames_a_server_refuses() {
    let big = vec![0; 16_385];
    let get = block(&fields(&GET));
    let (one, two) = get.split_at(3);
    let rows: Vec<(&str, Vec<u8>, Expect)> = vec![
        ("DATA on 0", data(0, b"x", false), Conn(PROTOCOL)),
        ("DATA too long", data(1, &big, false), Conn(SIZE)),
        ("DATA without pad length", frame(DATA, PADDED, 1, &[]), Conn(SIZE)),
        ("DATA padded by all", frame(DATA, PADDED, 1, &[3, 0, 0]), Conn(PROTOCOL)),
        ("DATA of padding only", frame(DATA, PADDED, 1, &[2, 0, 0]), Fine),
        ("HEADERS on 0", headers(0, &GET, true), Conn(PROTOCOL)),
        ("HEADERS on an even stream", headers(14, &GET, true), Conn(PROTOCOL)),
        ("HEADERS too long", frame(HEADERS, END_HEADERS, 13, &big), Conn(SIZE)),
        ("HEADERS without pad length", frame(HEADERS, PADDED | END_HEADERS, 13, &[]), Conn(SIZE)),
        ("HEADERS without priority", frame(HEADERS, WITH_PRIORITY | END_HEADERS, 13, &[0; 4]), Conn(SIZE)),
        ("HEADERS padded by more", frame(HEADERS, PADDED | END_HEADERS, 13, &[9, 0x82]), Conn(PROTOCOL)),
        ("HEADERS that are no HPACK", frame(HEADERS, END_HEADERS, 13, &[0x80]), Conn(HPACK)),
        ("HEADERS cut short", frame(HEADERS, END_HEADERS, 13, &get[..get.len() - 1]), Conn(HPACK)),
        ("falling identifiers", [headers(17, &GET, true), headers(15, &GET, true)].concat(), Conn(PROTOCOL)),
        (
            "HEADERS depending on itself",
            frame(HEADERS, END_HEADERS | END_STREAM | WITH_PRIORITY, 13, &[&[0, 0, 0, 13, 1], &get[..]].concat()),
            Stream(13, PROTOCOL),
        ),
        (
            "padding, priority and CONTINUATION",
            [
                frame(HEADERS, END_STREAM | WITH_PRIORITY | PADDED, 13, &[&[4, 0, 0, 0, 1, 9], one, &[0; 4]].concat()),
                frame(CONTINUATION, 0, 13, &[]),
                frame(CONTINUATION, END_HEADERS, 13, two),
            ]
            .concat(),
            Fine,
        ),
        (
            "another frame inside a block",
            [frame(HEADERS, 0, 13, one), frame(PING, 0, 0, &[0; 8])].concat(),
            Conn(PROTOCOL),
        ),
        (
            "an unknown frame inside a block",
            [frame(HEADERS, 0, 13, one), frame(0x42, 0, 13, &[])].concat(),
            Conn(PROTOCOL),
        ),
        (
            "CONTINUATION of another stream",
            [frame(HEADERS, 0, 13, one), frame(CONTINUATION, 4, 15, two)].concat(),
            Conn(PROTOCOL),
        ),
        ("PRIORITY on 0", frame(PRIORITY, 0, 0, &[0; 5]), Conn(PROTOCOL)),
        ("PRIORITY of four bytes", frame(PRIORITY, 0, 1, &[0; 4]), Stream(1, SIZE)),
        ("PRIORITY of four bytes, idle", frame(PRIORITY, 0, 13, &[0; 4]), Conn(SIZE)),
        ("PRIORITY on itself", frame(PRIORITY, 0, 1, &[0, 0, 0, 1, 1]), Stream(1, PROTOCOL)),
        ("PRIORITY on itself, idle", frame(PRIORITY, 0, 13, &[0x80, 0, 0, 13, 1]), Conn(PROTOCOL)),
        ("RST_STREAM on 0", reset(0, Code::CANCEL), Conn(PROTOCOL)),
        ("RST_STREAM of three bytes", frame(RST_STREAM, 0, 1, &[0; 3]), Conn(SIZE)),
        ("SETTINGS on a stream", frame(SETTINGS, 0, 1, &[]), Conn(PROTOCOL)),
        ("SETTINGS of five bytes", frame(SETTINGS, 0, 0, &[0; 5]), Conn(SIZE)),
        ("SETTINGS ACK with payload", frame(SETTINGS, ACK, 0, &[0; 6]), Conn(SIZE)),
        ("SETTINGS ACK too many", frame(SETTINGS, ACK, 0, &[]), Fine),
        ("ENABLE_PUSH 2", settings(&[(2, 2)]), Conn(PROTOCOL)),
        ("INITIAL_WINDOW_SIZE 2^31", settings(&[(4, 1 << 31)]), Conn(FLOW)),
        ("MAX_FRAME_SIZE 16,383", settings(&[(5, 16_383)]), Conn(PROTOCOL)),
        ("MAX_FRAME_SIZE 2^24", settings(&[(5, 1 << 24)]), Conn(PROTOCOL)),
        ("unknown SETTINGS", settings(&[(0x1a2a, 7), (8, 1)]), Fine),
        ("PUSH_PROMISE", frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2]), Conn(PROTOCOL)),
        ("PING on a stream", frame(PING, 0, 1, &[0; 8]), Conn(PROTOCOL)),
        ("PING of six bytes", frame(PING, 0, 0, &[0; 6]), Conn(SIZE)),
        ("PONG nobody asked for", frame(PING, ACK, 0, &[0; 8]), Fine),
        ("GOAWAY on a stream", frame(GOAWAY, 0, 1, &[0; 8]), Conn(PROTOCOL)),
        ("GOAWAY of seven bytes", frame(GOAWAY, 0, 0, &[0; 7]), Conn(SIZE)),
        ("GOAWAY with words", frame(GOAWAY, 0, 0, &[0; 300]), Fine),
        ("WINDOW_UPDATE of three bytes", frame(WINDOW_UPDATE, 0, 0, &[0; 3]), Conn(SIZE)),
        ("WINDOW_UPDATE by 0", window_update(0, 0), Conn(PROTOCOL)),
        ("WINDOW_UPDATE by 0 on a stream", window_update(1, 0), Stream(1, PROTOCOL)),
        ("WINDOW_UPDATE beyond", window_update(0, 0x7fff_ffff), Conn(FLOW)),
        ("WINDOW_UPDATE beyond on a stream", window_update(1, 0x7fff_ffff), Stream(1, FLOW)),
        (
            "SETTINGS push a window beyond",
            [window_update(1, 0x7fff_ffff - 65_535), settings(&[(4, 65_536)])].concat(),
            Conn(FLOW),
        ),
        ("unknown frames", [frame(0x42, 0xff, 1, &[1; 100]), frame(0xff, 0, 0, &[])].concat(), Fine),
        ("a frame of an unknown type, too long", frame(0x42, 0, 0, &big), Conn(SIZE)),
    ];
    for (name, input, expect) in rows {
        check(name, &in_every_state, &input, expect);
    }
}

#[test]
fn flow_control_is_enforced() {
    let chunk = vec![0; 16_384];
    let mut flood: Vec<u8> = (0..3).flat_map(|_| data(1, &chunk, false)).collect();
    flood.extend(data(1, &chunk[..16_383], false));
    check("a full window", &in_every_state, &flood, Fine);
    let beyond = [flood.clone(), data(1, b"x", false)].concat();
    check("one byte more", &in_every_state, &beyond, Conn(FLOW));

    // With a larger window for the connection only the stream suffers.
    let roomy = || {
        let mut conn = in_every_state();
        conn.grow(0, 1 << 20);
        conn.out().clear();
        conn
    };
    check("one byte more on the stream", &roomy, &beyond, Stream(1, FLOW));
    // What comes late for the dead stream still counts for the connection, and is given back.
    let late: Vec<u8> = (0..200).flat_map(|_| data(11, &chunk, false)).collect();
    check("a crossing flood", &roomy, &late, Fine);
}

#[test]
fn prefaces() {
    let fresh = || Connection::server(Look::plain(), Limits::default());
    let with = |rest: Vec<u8>| [&PREFACE[..], &rest].concat();
    check("HTTP/1.1", &fresh, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", Conn(PROTOCOL));
    check("a preface with a slip", &fresh, b"PRI * HTTP/2.0\r\n\r\nSN\r\n\r\n", Conn(PROTOCOL));
    check("no SETTINGS", &fresh, &with(headers(1, &GET, true)), Conn(PROTOCOL));
    check("an ACK first", &fresh, &with(frame(SETTINGS, ACK, 0, &[])), Conn(PROTOCOL));
    check("a proper start", &fresh, &with(settings(&[])), Fine);
}

#[test]
fn messages_that_are_malformed() {
    let rows: &[(&str, Vec<u8>)] = &[
        ("no :path", headers(13, &GET[..3], true)),
        ("trailers that do not end", [headers(13, &POST, false), headers(13, &[("x", "y")], false)].concat()),
        (
            "pseudo-header fields in trailers",
            [headers(13, &POST, false), headers(13, &[(":path", "/")], true)].concat(),
        ),
        ("content-length and no body", headers(13, &[&POST[..], &[("content-length", "5")]].concat(), true)),
        (
            "a longer body",
            [headers(13, &[&POST[..], &[("content-length", "1")]].concat(), false), data(13, b"ab", true)].concat(),
        ),
        (
            "a shorter body",
            [headers(13, &[&POST[..], &[("content-length", "3")]].concat(), false), data(13, b"ab", true)].concat(),
        ),
        (
            "a shorter body and trailers",
            [
                headers(13, &[&POST[..], &[("content-length", "3")]].concat(), false),
                data(13, b"ab", false),
                headers(13, &[("x", "y")], true),
            ]
            .concat(),
        ),
        ("trailers in a tunnel", [headers(13, &CONNECT, false), headers(13, &[("x", "y")], true)].concat()),
        (
            ":protocol unannounced",
            headers(13, &[&GET[1..], &[(":method", "CONNECT"), (":protocol", "connect-udp")]].concat(), false),
        ),
    ];
    for (name, input) in rows {
        check(name, &in_every_state, input, Stream(13, PROTOCOL));
    }
    let announced = || {
        let mut conn = in_every_state();
        conn.settings(&[(8, 1)]).unwrap();
        conn.out().clear();
        conn
    };
    check(":protocol announced", &announced, &rows.last().unwrap().1, Fine);
    let exact = [headers(13, &[&POST[..], &[("content-length", "2")]].concat(), false), data(13, b"ab", true)].concat();
    check("an exact body", &in_every_state, &exact, Fine);
}

/// A client that asked on 1 (GET), 3 (CONNECT), 5 (HEAD), and cancelled 7.
fn asked() -> Connection {
    let mut conn = client();
    assert_eq!(conn.open(&fields(&GET), true), Ok(1));
    assert_eq!(conn.open(&fields(&CONNECT), false), Ok(3));
    let head = [&[(":method", "HEAD")], &GET[1..]].concat();
    assert_eq!(conn.open(&fields(&head), true), Ok(5));
    assert_eq!(conn.open(&fields(&GET), true), Ok(7));
    conn.reset(7, Code::CANCEL);
    conn.out().clear();
    conn
}

#[test]
fn answers_a_client_refuses() {
    let push_off = || {
        let mut conn = Connection::client(Look { settings: vec![(2, 0)], ..Look::plain() }, Limits::default());
        feed(&mut conn, &[settings(&[]), frame(SETTINGS, ACK, 0, &[])].concat()).unwrap();
        conn.open(&fields(&GET), true).unwrap();
        conn.out().clear();
        conn
    };
    let promise = frame(PUSH_PROMISE, END_HEADERS, 1, &[&[0, 0, 0, 2][..], &block(&fields(&GET))].concat());
    let rows: Vec<(&str, Vec<u8>, Expect)> = vec![
        ("an answer", [headers(1, &OK, false), data(1, b"x", true)].concat(), Fine),
        (
            "103, then an answer and trailers",
            [headers(1, &[(":status", "103")], false), headers(1, &OK, false), headers(1, &[("x", "y")], true)]
                .concat(),
            Fine,
        ),
        ("103 that ends", headers(1, &[(":status", "103")], true), Stream(1, PROTOCOL)),
        ("101", headers(1, &[(":status", "101")], false), Stream(1, PROTOCOL)),
        ("a request", headers(1, &GET, true), Stream(1, PROTOCOL)),
        ("DATA before HEADERS", data(1, b"x", true), Stream(1, PROTOCOL)),
        (
            "a body of another length",
            [headers(1, &[(":status", "200"), ("content-length", "2")], false), data(1, b"x", true)].concat(),
            Stream(1, PROTOCOL),
        ),
        ("no body of a length", headers(1, &[(":status", "200"), ("content-length", "2")], true), Stream(1, PROTOCOL)),
        ("HEAD and a length", headers(5, &[(":status", "200"), ("content-length", "2")], true), Fine),
        ("304 and a length", headers(1, &[(":status", "304"), ("content-length", "2")], true), Fine),
        (
            "trailers in a tunnel",
            [headers(3, &OK, false), headers(3, &[("x", "y")], true)].concat(),
            Stream(3, PROTOCOL),
        ),
        (
            "trailers behind a refusal",
            [headers(3, &[(":status", "400")], false), data(3, b"x", false), headers(3, &[("x", "y")], true)].concat(),
            Fine,
        ),
        ("an answer to a stream cancelled", headers(7, &OK, true), Fine),
        ("DATA for a stream cancelled", data(7, b"x", true), Fine),
        ("an answer to nothing", headers(9, &OK, true), Conn(PROTOCOL)),
        ("an answer on an even stream", headers(2, &OK, true), Conn(PROTOCOL)),
        ("DATA on an even stream", data(2, b"x", true), Conn(PROTOCOL)),
        ("ENABLE_PUSH from a server", settings(&[(2, 1)]), Conn(PROTOCOL)),
        ("ENABLE_CONNECT_PROTOCOL taken back", settings(&[(8, 1), (8, 0)]), Conn(PROTOCOL)),
        ("a push of an odd stream", frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 3]), Conn(PROTOCOL)),
        ("a push on an idle stream", frame(PUSH_PROMISE, END_HEADERS, 9, &[0, 0, 0, 2]), Conn(PROTOCOL)),
        ("a push that is not forbidden yet", promise.clone(), Stream(2, Code::CANCEL)),
        (
            "a push and what follows it",
            [promise.clone(), headers(2, &OK, false), data(2, b"pushed", true)].concat(),
            Stream(2, Code::CANCEL),
        ),
        ("more after the end", [headers(1, &OK, true), data(1, b"x", true)].concat(), Conn(CLOSED)),
    ];
    for (name, input, expect) in rows {
        check(name, &asked, &input, expect);
    }
    check("a push that is forbidden", &push_off, &promise, Conn(PROTOCOL));
}

#[test]
fn a_frame_of_the_largest_size_commits_us_to_nothing() {
    // nginx's MAX_FRAME_SIZE: a HEADERS frame of 16 MiB is announced and its block refused at once.
    let mut conn = greeted(Look::nginx(), Limits::default());
    let head = [0xff, 0xff, 0xff, HEADERS, END_HEADERS, 0, 0, 0, 1];
    assert_eq!(feed(&mut conn, &head).map_err(|error| error.code), Err(Code::ENHANCE_YOUR_CALM));
    // A frame nobody knows is skipped while it comes.
    let mut conn = greeted(Look::nginx(), Limits::default());
    assert!(feed(&mut conn, &[0xff, 0xff, 0xff, 0x42, 0, 0, 0, 0, 0]).is_ok());
    let zeros = vec![0; 0xff_ffff];
    assert!(feed(&mut conn, &zeros).is_ok());
    assert_eq!(feed(&mut conn, &headers(1, &GET, true)).map(|log| log.len()), Ok(1));
}

/// RFC 9113 section 6.5.2: no server should allow fewer than a hundred, and none has allowed more before it spoke.
#[test]
fn a_client_opens_a_hundred_streams_before_the_server_has_spoken() {
    let mut conn = Connection::client(Look::chrome(), Limits::default());
    let request = fields(&[(":method", "CONNECT"), (":authority", "a.example:443")]);
    for _ in 0..100 {
        conn.open(&request, false).unwrap();
    }
    assert_eq!(conn.open(&request, false), Err(LocalProtocolError::Busy));
    feed(&mut conn, &settings(&[(0x3, 128)])).unwrap();
    for _ in 100..128 {
        conn.open(&request, false).unwrap();
    }
    assert_eq!(conn.open(&request, false), Err(LocalProtocolError::Busy));
    feed(&mut conn, &settings(&[(0x3, 4_096)])).unwrap();
    assert!(conn.open(&request, false).is_ok());
}
