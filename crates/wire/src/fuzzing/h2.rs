//! HTTP/2 and HPACK: whatever arrives, however it is cut, the events and the answers are the same, bounds hold, and what
//! was decoded can be encoded and read back.

use crate::h2::hpack::{Decoder, Encoder, FieldList, HpackError, huffman_decode, huffman_encode, huffman_len};
use crate::h2::{Code, Connection, Event, Field, HpackStyle, Limits, Look, Malformed, PREFACE, StreamId, StreamState};

/// Both handshakes' SETTINGS, the second an acknowledgement.
const HELLO: [u8; 18] = [0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0];

/// Splits off the byte that chooses what is fuzzed, and the one that says how the rest is cut.
fn plan(data: &[u8]) -> Option<(u8, usize, &[u8])> {
    let (head, rest) = data.split_first_chunk::<2>()?;
    Some((head[0], usize::from(head[1]) + 1, rest))
}

/// What an event says, DATA of one frame cut in pieces being the same as in one.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Data(StreamId, Vec<u8>, bool),
    Other(String, Vec<Field>),
}

fn note(log: &mut Vec<Seen>, event: Event<'_>, input: &[u8]) {
    if let Event::Data { id, bytes, offset, end } = &event {
        assert_eq!(input.get(*offset..*offset + bytes.len()), Some(*bytes), "DATA is a part of the input");
        assert!(*end || !bytes.is_empty(), "no event without a meaning");
        if let Some(Seen::Data(last, body, ended @ false)) = log.last_mut() {
            if last == id {
                body.extend_from_slice(bytes);
                *ended = *end;
                return;
            }
        }
        log.push(Seen::Data(*id, bytes.to_vec(), *end));
        return;
    }
    let text = format!("{event:?}");
    log.push(Seen::Other(
        text,
        match event {
            Event::Headers { fields, .. }
            | Event::Informational { fields, .. }
            | Event::Trailers { fields, .. }
            | Event::Malformed { fields, .. } => fields,
            _ => Vec::new(),
        },
    ));
}

type Outcome = (Vec<Seen>, Option<(Code, Option<StreamId>)>, Vec<u8>);

/// A conversation in which we only listen.
fn listen(mut conn: Connection, input: &[u8], step: usize) -> Outcome {
    let (mut log, mut verdict) = (Vec::new(), None);
    for piece in input.chunks(step) {
        if let Err(error) = conn.feed(piece, &mut |event| note(&mut log, event, piece)) {
            verdict = Some((error.code, error.stream));
            break;
        }
    }
    (log, verdict, std::mem::take(conn.out()))
}

/// A conversation in which we answer, read, send, reset and announce; `server` or not.
fn take_part(mut conn: Connection, input: &[u8], step: usize, limits: &Limits) {
    let ok = [Field::new(":status", "200"), Field::new("x-echo", "1")];
    let mut heard: Vec<(StreamId, usize)> = Vec::new();
    for (turn, piece) in input.chunks(step).enumerate() {
        let mut ids = Vec::new();
        let verdict = conn.feed(piece, &mut |event| match event {
            Event::Data { id, bytes, .. } => heard.push((id, bytes.len())),
            Event::Headers { id, .. } | Event::HeadersTooLarge { id, .. } | Event::Malformed { id, .. } => ids.push(id),
            _ => {}
        });
        if verdict.is_err() {
            assert!(conn.feed(b"x", &mut |_| panic!("an event of a dead connection")).is_err());
            assert!(conn.data(1, 0, true).is_err() && conn.headers(1, &ok, true).is_err());
            return;
        }
        assert!(conn.open_streams() <= usize::try_from(limits.max_streams).unwrap_or(usize::MAX));
        for id in ids {
            let _ = conn.headers(id, &ok, id % 8 == 1);
            let n = conn.sendable(id).min(conn.max_frame()).min(100);
            assert!(n == 0 || conn.data(id, n, id % 8 == 3).is_ok(), "what is sendable can be sent");
            if id % 16 == 5 {
                conn.reset(id, Code::CANCEL);
                assert_eq!(conn.stream_state(id), StreamState::Closed);
            }
        }
        if turn % 2 == 1 {
            heard.drain(..).for_each(|(id, n)| conn.consumed(id, n));
        }
        match turn % 16 {
            3 => assert!(conn.settings(&[(4, 70_000), (1, 0)]).is_ok()),
            7 => conn.grow(1, 1 << 20),
            11 => assert!(conn.settings(&[(4, 100), (5, 16_384), (1, 200)]).is_ok()),
            15 => conn.calm(),
            _ => {}
        }
        // Every answer is bounded by what arrived, and what we said ourselves by the turns.
        assert!(conn.out().len() <= 4096 + 64 * (input.len() + turn * 16));
        if turn % 3 == 0 {
            conn.out().clear();
        }
    }
}

fn limits(choice: u8) -> Limits {
    Limits {
        malformed: if choice & 2 == 0 { Malformed::Reset } else { Malformed::Report },
        max_header_bytes: if choice & 4 == 0 { 65_536 } else { 300 },
        max_streams: if choice & 8 == 0 { 100 } else { 3 },
        ..Limits::default()
    }
}

/// The same, with floods within reach of an input of a few kilobytes.
fn tight(choice: u8) -> Limits {
    Limits {
        max_noise: 40,
        max_replies: 20,
        max_resets: 5,
        max_stream_errors: 8,
        max_continuations: 4,
        max_block_bytes: 2000,
        max_field_bytes: 500,
        ..limits(choice)
    }
}

fn server(choice: u8, limits: Limits) -> Connection {
    let look = if choice & 1 == 0 { Look::nginx() } else { Look { settings: vec![(8, 1)], ..Look::plain() } };
    let mut conn = Connection::server(look, limits);
    let mut hello = PREFACE.to_vec();
    hello.extend_from_slice(&HELLO);
    assert!(conn.feed(&hello, &mut |_| ()).is_ok(), "a proper start");
    conn.out().clear();
    conn
}

fn client(choice: u8, limits: Limits) -> Connection {
    let look = if choice & 1 == 0 { Look::chrome() } else { Look::plain() };
    let mut conn = Connection::client(look, limits);
    assert!(conn.feed(&HELLO, &mut |_| ()).is_ok(), "a proper start");
    let get = [":method", ":scheme", ":authority", ":path"].into_iter().zip(["GET", "https", "a.example", "/"]);
    let get: Vec<Field> = get.map(|(name, value)| Field::new(name, value)).collect();
    let tunnel = [Field::new(":method", "CONNECT"), Field::new(":authority", "a.example:443")];
    for n in 0..8 {
        let opened = if n % 2 == 0 { conn.open(&get, n % 4 == 0) } else { conn.open(&tunnel, false) };
        assert_eq!(opened, Ok(2 * n + 1));
    }
    conn.reset(13, Code::CANCEL);
    conn.out().clear();
    conn
}

/// What a server makes of any bytes behind a proper start.
pub fn h2_server(data: &[u8]) {
    let Some((choice, step, input)) = plan(data) else { return };
    let whole = listen(server(choice, limits(choice)), input, usize::MAX);
    assert_eq!(listen(server(choice, limits(choice)), input, step), whole, "the cut is never seen");
    take_part(server(choice, limits(choice)), input, step, &limits(choice));
    take_part(server(choice, tight(choice)), input, step, &tight(choice));
    // The preface itself.
    let _ = listen(Connection::server(Look::plain(), limits(choice)), input, step);
}

/// What a client with eight requests under way makes of any bytes.
pub fn h2_client(data: &[u8]) {
    let Some((choice, step, input)) = plan(data) else { return };
    let choice = choice & !8;
    let whole = listen(client(choice, limits(choice)), input, usize::MAX);
    assert_eq!(listen(client(choice, limits(choice)), input, step), whole, "the cut is never seen");
    take_part(client(choice, limits(choice)), input, step, &limits(choice));
    take_part(client(choice, tight(choice)), input, step, &tight(choice));
}

fn decode(decoder: &mut Decoder, block: &[u8], step: usize) -> Result<Vec<Field>, HpackError> {
    let mut list = FieldList::new(1 << 20);
    for piece in block.chunks(step) {
        decoder.feed(piece, &mut list)?;
    }
    decoder.finish()?;
    Ok(list.fields)
}

/// Header blocks: the input is cut into blocks of `step` bytes for one decoder, whose state they share.
pub fn hpack(data: &[u8]) {
    let Some((choice, step, input)) = plan(data) else { return };
    let (mut whole, mut cut) = (Decoder::new(1000), Decoder::new(1000));
    let mut styles = [HpackStyle::Browser, HpackStyle::Nginx].map(|style| (Encoder::new(style), Decoder::new(4000)));
    let length = if choice & 1 == 0 { usize::MAX } else { usize::from(choice) + 1 };
    for block in input.chunks(length) {
        let fields = decode(&mut whole, block, usize::MAX);
        assert_eq!(decode(&mut cut, block, step), fields, "the cut is never seen");
        let Ok(fields) = fields else { break };
        for (encoder, decoder) in &mut styles {
            if choice & 2 != 0 {
                encoder.set_peer_limit(u32::from(choice) * 8);
            }
            let mut again = Vec::new();
            encoder.encode(&fields, &mut again);
            let back = decode(decoder, &again, step);
            let same = back.as_ref().is_ok_and(|back| {
                back.len() == fields.len()
                    && back.iter().zip(&fields).all(|(a, b)| a.name == b.name && a.value == b.value)
            });
            assert!(same, "what was decoded is encoded and read back");
        }
    }
    let mut text = Vec::new();
    if huffman_decode(input, &mut text).is_ok() {
        let mut code = Vec::new();
        huffman_encode(&text, &mut code);
        assert_eq!((code.as_slice(), huffman_len(&text)), (input, input.len()), "the code is canonical");
    }
}
