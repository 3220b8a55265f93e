//! What the HTTP/2 tests share: raw frames, owned events, a server that has been greeted.
#![allow(dead_code)]

use rozaneh_wire::h2::hpack::Encoder;
use rozaneh_wire::h2::{
    Code, Connection, Event, Field, HpackStyle, Limits, Look, PREFACE, RemoteProtocolError, StreamId,
};

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const PADDED: u8 = 8;
pub const WITH_PRIORITY: u8 = 0x20;

pub fn frame(kind: u8, flags: u8, id: StreamId, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let id = id.to_be_bytes();
    let mut out = vec![len[1], len[2], len[3], kind, flags, id[0], id[1], id[2], id[3]];
    out.extend_from_slice(payload);
    out
}

pub fn settings(list: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> =
        list.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
    frame(SETTINGS, 0, 0, &payload)
}

pub fn window_update(id: StreamId, increment: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, id, &increment.to_be_bytes())
}

pub fn reset(id: StreamId, code: Code) -> Vec<u8> {
    frame(RST_STREAM, 0, id, &code.0.to_be_bytes())
}

/// A block without references to any dynamic table, so that blocks can be mixed freely.
pub fn block(fields: &[Field]) -> Vec<u8> {
    let mut out = Vec::new();
    Encoder::new(HpackStyle::Nginx).encode(fields, &mut out);
    out
}

pub fn fields(pairs: &[(&'static str, &'static str)]) -> Vec<Field> {
    pairs.iter().map(|(name, value)| Field::new(*name, *value)).collect()
}

pub const GET: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "https"), (":authority", "news.example"), (":path", "/")];
pub const POST: [(&str, &str); 4] =
    [(":method", "POST"), (":scheme", "https"), (":authority", "news.example"), (":path", "/")];
pub const CONNECT: [(&str, &str); 2] = [(":method", "CONNECT"), (":authority", "news.example:443")];
pub const OK: [(&str, &str); 1] = [(":status", "200")];

pub fn headers(id: StreamId, pairs: &[(&'static str, &'static str)], end: bool) -> Vec<u8> {
    let flags = END_HEADERS | if end { END_STREAM } else { 0 };
    frame(HEADERS, flags, id, &block(&fields(pairs)))
}

pub fn data(id: StreamId, payload: &[u8], end: bool) -> Vec<u8> {
    frame(DATA, if end { END_STREAM } else { 0 }, id, payload)
}

/// One frame as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub id: StreamId,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn word(&self) -> u32 {
        u32::from_be_bytes(self.payload[..4].try_into().unwrap())
    }
}

/// All frames in `bytes`, which must hold whole ones.
pub fn frames(mut bytes: &[u8]) -> Vec<Frame> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let len = usize::try_from(u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]])).unwrap();
        all.push(Frame {
            kind: bytes[3],
            flags: bytes[4],
            id: u32::from_be_bytes(bytes[5..9].try_into().unwrap()),
            payload: bytes[9..9 + len].to_vec(),
        });
        bytes = &bytes[9 + len..];
    }
    all
}

/// An event that owns what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    Headers(StreamId, Vec<Field>, bool),
    Informational(StreamId, Vec<Field>),
    Trailers(StreamId, Vec<Field>),
    Data(StreamId, Vec<u8>, bool),
    Reset(StreamId, Code),
    TooLarge(StreamId, bool),
    Malformed(StreamId, &'static str, bool),
    Settings,
    SettingsAck,
    WindowOpen(StreamId),
    GoAway(StreamId, Code),
    Pong([u8; 8]),
}

/// What was seen, with consecutive DATA of a stream joined: the same for every split of the input.
pub type Log = Vec<Seen>;

pub fn note(log: &mut Log, event: Event<'_>) {
    if let (Event::Data { id, bytes, end, .. }, Some(Seen::Data(last, body, ended @ false))) = (&event, log.last_mut())
    {
        if last == id {
            body.extend_from_slice(bytes);
            *ended = *end;
            return;
        }
    }
    log.push(match event {
        Event::Data { id, bytes, end, .. } => Seen::Data(id, bytes.to_vec(), end),
        Event::Headers { id, fields, end } => Seen::Headers(id, fields, end),
        Event::Informational { id, fields } => Seen::Informational(id, fields),
        Event::Trailers { id, fields } => Seen::Trailers(id, fields),
        Event::Reset { id, code } => Seen::Reset(id, code),
        Event::HeadersTooLarge { id, end } => Seen::TooLarge(id, end),
        Event::Malformed { id, reason, end, .. } => Seen::Malformed(id, reason, end),
        Event::Settings => Seen::Settings,
        Event::SettingsAck => Seen::SettingsAck,
        Event::WindowOpen { id } => Seen::WindowOpen(id),
        Event::GoAway { last, code } => Seen::GoAway(last, code),
        Event::Pong(opaque) => Seen::Pong(opaque),
    });
}

/// Feeds in pieces of `piece` bytes and checks that DATA really lies where it claims to.
pub fn feed_in(conn: &mut Connection, input: &[u8], piece: usize, log: &mut Log) -> Result<(), RemoteProtocolError> {
    for piece in input.chunks(piece.max(1)) {
        conn.feed(piece, &mut |event| {
            if let Event::Data { bytes, offset, .. } = &event {
                assert_eq!(&piece[*offset..*offset + bytes.len()], *bytes);
            }
            note(log, event);
        })?;
    }
    Ok(())
}

pub fn feed(conn: &mut Connection, input: &[u8]) -> Result<Log, RemoteProtocolError> {
    let mut log = Log::new();
    feed_in(conn, input, usize::MAX, &mut log).map(|()| log)
}

pub fn take(conn: &mut Connection) -> Vec<Frame> {
    frames(&std::mem::take(conn.out()))
}

/// A server behind the preface and both SETTINGS, with nothing to send.
pub fn greeted(look: Look, limits: Limits) -> Connection {
    let mut server = Connection::server(look, limits);
    let hello = [&PREFACE[..], &settings(&[]), &frame(SETTINGS, ACK, 0, &[])].concat();
    feed(&mut server, &hello).unwrap();
    server.out().clear();
    server
}

pub fn server() -> Connection {
    greeted(Look::plain(), Limits::default())
}

/// A client behind both SETTINGS, with nothing to send.
pub fn client() -> Connection {
    let mut client = Connection::client(Look::plain(), Limits::default());
    feed(&mut client, &[settings(&[]), frame(SETTINGS, ACK, 0, &[])].concat()).unwrap();
    client.out().clear();
    client
}

/// The error code of the GOAWAY that ends `out`.
pub fn goaway_code(conn: &mut Connection) -> Option<Code> {
    let last = take(conn).pop()?;
    (last.kind == GOAWAY).then(|| Code(u32::from_be_bytes(last.payload[4..8].try_into().unwrap())))
}
