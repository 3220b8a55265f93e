//! Two ends of ours talking over a link that cuts bytes anywhere: nothing is lost, no window is overrun, and how the
//! bytes were cut is never seen.

mod h2_common;

use std::collections::BTreeMap;

use h2_common::*;
use proptest::prelude::*;
use rozaneh_wire::h2::{Code, Connection, Event, Field, Limits, Look, StreamId, StreamState};

/// One end, its unsent bytes and what it has seen of each stream.
struct End {
    conn: Connection,
    /// On its way to the other end.
    wire: Vec<u8>,
    /// Bytes sent and received on each stream, as a running sum that notices order and content.
    sent: BTreeMap<StreamId, (usize, u64)>,
    seen: BTreeMap<StreamId, (usize, u64)>,
    /// Received and not yet consumed.
    held: BTreeMap<StreamId, usize>,
    ended: Vec<StreamId>,
    dead: Vec<StreamId>,
    requests: Vec<StreamId>,
}

fn mix((len, sum): (usize, u64), bytes: &[u8]) -> (usize, u64) {
    let sum = bytes.iter().fold(sum, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    (len + bytes.len(), sum)
}

impl End {
    fn new(conn: Connection) -> Self {
        Self {
            conn,
            wire: Vec::new(),
            sent: BTreeMap::new(),
            seen: BTreeMap::new(),
            held: BTreeMap::new(),
            ended: Vec::new(),
            dead: Vec::new(),
            requests: Vec::new(),
        }
    }

    fn flush(&mut self) {
        self.wire.append(self.conn.out());
    }

    fn send(&mut self, id: StreamId, want: usize, end: bool) {
        let n = want.min(self.conn.sendable(id)).min(self.conn.max_frame());
        self.flush();
        let Ok(head) = self.conn.data(id, n, end && n == want) else { return };
        let start = self.sent.get(&id).map_or(0, |sent| sent.0);
        let body: Vec<u8> = (start..start + n).map(|at| (at % 251).to_le_bytes()[0]).collect();
        self.wire.extend_from_slice(&head);
        self.wire.extend_from_slice(&body);
        let sum = self.sent.entry(id).or_default();
        *sum = mix(*sum, &body);
    }

    /// Takes `n` bytes from the other end's wire.
    fn receive(&mut self, from: &mut Self, n: usize) {
        from.flush();
        let n = n.min(from.wire.len());
        let piece: Vec<u8> = from.wire.drain(..n).collect();
        let (seen, held, ended) = (&mut self.seen, &mut self.held, &mut self.ended);
        let (dead, requests) = (&mut self.dead, &mut self.requests);
        let verdict = self.conn.feed(&piece, &mut |event| match event {
            Event::Data { id, bytes, offset, end } => {
                assert_eq!(&piece[offset..offset + bytes.len()], bytes);
                let sum = seen.entry(id).or_default();
                *sum = mix(*sum, bytes);
                *held.entry(id).or_default() += bytes.len();
                if end {
                    ended.push(id);
                }
            }
            Event::Headers { id, end, .. } => {
                requests.push(id);
                if end {
                    ended.push(id);
                }
            }
            Event::Trailers { id, .. } => ended.push(id),
            Event::Reset { id, .. } => dead.push(id),
            _ => {}
        });
        assert_eq!(verdict, Ok(()), "two ends that keep the rules never disagree");
    }

    fn consume(&mut self, id: StreamId, n: usize) {
        if let Some(held) = self.held.get_mut(&id) {
            let n = n.min(*held);
            *held -= n;
            self.conn.consumed(id, n);
        }
    }
}

#[derive(Clone, Debug)]
enum Op {
    Open { tunnel: bool, end: bool },
    Answer { nth: usize, end: bool },
    Send { client: bool, nth: usize, len: usize, end: bool },
    Trailers { client: bool, nth: usize },
    Consume { client: bool, nth: usize, len: usize },
    Reset { client: bool, nth: usize },
    Settings { client: bool, window: u32, frame: u32, table: u32 },
    Grow { client: bool, nth: Option<usize>, target: u32 },
    Ping { client: bool },
    Deliver { to_client: bool, len: usize },
}

fn op() -> impl Strategy<Value = Op> {
    let nth = 0..8_usize;
    prop_oneof![
        2 => (any::<bool>(), any::<bool>()).prop_map(|(tunnel, end)| Op::Open { tunnel, end }),
        2 => (nth.clone(), proptest::bool::weighted(0.2)).prop_map(|(nth, end)| Op::Answer { nth, end }),
        8 => (any::<bool>(), nth.clone(), 0..40_000_usize, proptest::bool::weighted(0.1))
            .prop_map(|(client, nth, len, end)| Op::Send { client, nth, len, end }),
        1 => (any::<bool>(), nth.clone()).prop_map(|(client, nth)| Op::Trailers { client, nth }),
        6 => (any::<bool>(), nth.clone(), 0..40_000_usize)
            .prop_map(|(client, nth, len)| Op::Consume { client, nth, len }),
        1 => (any::<bool>(), nth.clone()).prop_map(|(client, nth)| Op::Reset { client, nth }),
        1 => (any::<bool>(), 0..200_000_u32, 16_384..100_000_u32, 0..10_000_u32)
            .prop_map(|(client, window, frame, table)| Op::Settings { client, window, frame, table }),
        1 => (any::<bool>(), proptest::option::of(nth), 0..2_000_000_u32)
            .prop_map(|(client, nth, target)| Op::Grow { client, nth, target }),
        1 => any::<bool>().prop_map(|client| Op::Ping { client }),
        12 => (any::<bool>(), prop_oneof![1..20_usize, 1..50_000_usize])
            .prop_map(|(to_client, len)| Op::Deliver { to_client, len }),
    ]
}

fn run(looks: [Look; 2], windows: [usize; 2], ops: &[Op]) {
    let [ours, theirs] = looks;
    let mut client = End::new(Connection::client(ours, Limits::default()));
    let mut server = End::new(Connection::server(theirs, Limits::default()));
    let mut opened: Vec<StreamId> = Vec::new();
    for op in ops {
        let end = |client: bool| usize::from(!client);
        let ends = [&mut client, &mut server];
        let pick = |nth: usize| opened.iter().rev().nth(nth).copied();
        match *op {
            Op::Open { tunnel, end } => {
                let list = if tunnel { fields(&CONNECT) } else { fields(&POST) };
                if let Ok(id) = client.conn.open(&list, end) {
                    opened.push(id);
                }
            }
            Op::Answer { nth, end } => {
                if let Some(id) = pick(nth) {
                    let _ = server.conn.headers(id, &fields(&OK), end);
                }
            }
            Op::Send { client, nth, len, end: last } => {
                if let Some(id) = pick(nth) {
                    ends[end(client)].send(id, len, last);
                }
            }
            Op::Trailers { client, nth } => {
                // A tunnel knows no trailers: its own end refuses to send them, or the other would refuse them.
                if let Some(id) = pick(nth).filter(|id| id % 4 == 1) {
                    let conn = &mut ends[end(client)].conn;
                    if client {
                        let _ = conn.headers(id, &[Field::new("x-sum", "1")], true);
                    }
                }
            }
            Op::Consume { client, nth, len } => {
                if let Some(id) = pick(nth) {
                    ends[end(client)].consume(id, len);
                }
            }
            Op::Reset { client, nth } => {
                if let Some(id) = pick(nth) {
                    ends[end(client)].conn.reset(id, Code::CANCEL);
                }
            }
            Op::Settings { client, window, frame, table } => {
                ends[end(client)].conn.settings(&[(4, window), (5, frame), (1, table)]).unwrap();
            }
            Op::Grow { client, nth, target } => {
                ends[end(client)].conn.grow(nth.and_then(pick).unwrap_or(0), target);
            }
            Op::Ping { client } => ends[end(client)].conn.ping([7; 8]),
            Op::Deliver { to_client, len } => {
                let [client, server] = ends;
                if to_client { client.receive(server, len) } else { server.receive(client, len) }
            }
        }
    }
    finish(&mut client, &mut server, &opened, windows);
}

/// Everything in flight arrives, everything held is consumed, every stream ends; then nothing may be left over.
fn finish(client: &mut End, server: &mut End, opened: &[StreamId], windows: [usize; 2]) {
    for end in [&mut *client, &mut *server] {
        end.conn.settings(&[(4, 70_000)]).unwrap();
    }
    for _ in 0..64 {
        for id in opened {
            if server.conn.stream_state(*id) != StreamState::Closed {
                let _ = server.conn.headers(*id, &fields(&OK), false);
            }
            for end in [&mut *client, &mut *server] {
                end.consume(*id, usize::MAX);
                end.send(*id, 100, true);
            }
        }
        client.receive(server, usize::MAX);
        server.receive(client, usize::MAX);
    }
    assert_eq!((client.conn.open_streams(), server.conn.open_streams()), (0, 0));
    for id in opened {
        let dead = client.dead.contains(id) || server.dead.contains(id);
        if !dead && !client.ended.contains(id) && !server.ended.contains(id) {
            // Reset by one side before the other heard of it.
            continue;
        }
        if client.ended.contains(id) {
            assert_eq!(
                client.seen.get(id).copied().unwrap_or_default(),
                server.sent.get(id).copied().unwrap_or_default()
            );
        }
        if server.ended.contains(id) {
            assert_eq!(
                server.seen.get(id).copied().unwrap_or_default(),
                client.sent.get(id).copied().unwrap_or_default()
            );
        }
    }
    // Nothing of the connection's window has leaked: what is missing is less than the half that triggers an update.
    let left = [client.conn.receivable(0), server.conn.receivable(0)];
    assert!(left[0] >= windows[0] / 2 && left[1] >= windows[1] / 2, "{left:?} of {windows:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_operations(ops in proptest::collection::vec(op(), 1..200)) {
        run([Look::chrome(), Look::nginx()], [15_728_640, 0x7fff_ffff], &ops);
        // The smallest windows of a connection, which many streams share.
        run([Look::plain(), Look::plain()], [65_535; 2], &ops);
    }

    /// The same bytes, cut in any two ways, mean the same and are answered the same.
    #[test]
    fn any_split(
        noise in proptest::collection::vec((0..12_usize, 0..4_u32, 0..300_usize), 1..40),
        cuts in proptest::collection::vec(1..700_usize, 1..60),
    ) {
        let input = conversation(&noise);
        let whole = outcome(&input, &[usize::MAX]);
        prop_assert_eq!(&outcome(&input, &cuts), &whole);
        prop_assert_eq!(&outcome(&input, &[1]), &whole);
    }

    /// Bytes that are nearly HTTP/2.
    #[test]
    fn damaged_bytes(
        noise in proptest::collection::vec((0..12_usize, 0..4_u32, 0..300_usize), 1..20),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
        cuts in proptest::collection::vec(1..50_usize, 1..20),
    ) {
        let mut input = conversation(&noise);
        for (at, byte) in damage {
            let at = at.index(input.len());
            input[at] = byte;
        }
        let whole = outcome(&input, &[usize::MAX]);
        prop_assert_eq!(&outcome(&input, &cuts), &whole);
    }
}

fn conversation(noise: &[(usize, u32, usize)]) -> Vec<u8> {
    let mut input = Vec::new();
    for (what, stream, len) in noise {
        let id = 2 * stream + 1;
        let body = vec![0x61; *len];
        input.extend(match what {
            0 => headers(id, &GET, true),
            1 | 2 => headers(id, &POST, false),
            3 => headers(id, &[("x-trailer", "1")], true),
            4..=6 => data(id, &body, len % 7 == 0),
            7 => frame(DATA, PADDED, id, &[&[len.to_le_bytes()[0] % 40][..], &vec![0; len + 40]].concat()),
            8 => window_update(id, 1 + stream),
            9 => frame(PING, 0, 0, &[len.to_le_bytes()[0]; 8]),
            10 => {
                let block = block(&fields(&CONNECT));
                let (one, two) = block.split_at(len % block.len());
                [frame(HEADERS, 0, id, one), frame(CONTINUATION, END_HEADERS, id, two)].concat()
            }
            _ => frame(0x42, 0, id, &body),
        });
    }
    input
}

type Outcome = (Log, Option<(Code, Option<StreamId>)>, Vec<u8>);

fn outcome(input: &[u8], cuts: &[usize]) -> Outcome {
    let mut conn = server();
    let mut log = Log::new();
    let mut rest = input;
    let mut verdict = None;
    for cut in cuts.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at(rest.len().min(*cut));
        rest = after;
        if let Err(error) = feed_in(&mut conn, piece, usize::MAX, &mut log) {
            verdict = Some((error.code, error.stream));
            break;
        }
    }
    (log, verdict, std::mem::take(conn.out()))
}

/// A megabyte each way at once, over a link that delivers primes of bytes, inside the smallest windows.
#[test]
fn bulk_both_ways() {
    let mut client = End::new(Connection::client(Look::plain(), Limits::default()));
    let mut server = End::new(Connection::server(Look::plain(), Limits::default()));
    let id = client.conn.open(&fields(&CONNECT), false).unwrap();
    server.receive(&mut client, usize::MAX);
    server.conn.headers(id, &fields(&OK), false).unwrap();
    let mut rounds = 0;
    while client.seen.get(&id).is_none_or(|seen| seen.0 < 1 << 20)
        || server.seen.get(&id).is_none_or(|seen| seen.0 < 1 << 20)
    {
        client.send(id, 16_384, false);
        server.send(id, 16_384, false);
        client.receive(&mut server, 7919);
        server.receive(&mut client, 7907);
        client.consume(id, 8000);
        server.consume(id, 8000);
        rounds += 1;
        assert!(rounds < 2000, "stuck");
    }
    client.send(id, 0, true);
    server.send(id, 0, true);
    finish(&mut client, &mut server, &[id], [65_535; 2]);
    assert_eq!(client.seen[&id], server.sent[&id]);
    assert_eq!(server.seen[&id], client.sent[&id]);
}

/// A stream that nobody reads stops its sender and nobody else.
#[test]
fn one_stuck_stream_blocks_no_other() {
    let mut client = End::new(Connection::client(Look::plain(), Limits::default()));
    let mut server = End::new(Connection::server(Look::plain(), Limits::default()));
    server.conn.grow(0, 1 << 20);
    client.receive(&mut server, usize::MAX);
    let stuck = client.conn.open(&fields(&POST), false).unwrap();
    let lively = client.conn.open(&fields(&POST), false).unwrap();
    for _ in 0..100 {
        client.send(stuck, 16_384, false);
        client.send(lively, 16_384, false);
        server.receive(&mut client, usize::MAX);
        server.consume(lively, usize::MAX);
        client.receive(&mut server, usize::MAX);
    }
    assert_eq!(server.held[&stuck], 65_535);
    assert!(server.seen[&lively].0 > 1 << 20);
    assert_eq!(client.conn.sendable(stuck), 0);
    server.consume(stuck, usize::MAX);
    client.receive(&mut server, usize::MAX);
    assert_eq!(client.conn.sendable(stuck), 65_535);
}
