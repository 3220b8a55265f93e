//! One stream's state, and the table of streams.
//!
//! RFC 9113 section 5.1 draws seven states. They are the product of two directions, each of which waits for a header
//! block, then carries a body, then is done; `reserved` does not occur, since we neither push nor accept a push:
//!
//! | our sending | peer's sending | state of RFC 9113 |
//! |---|---|---|
//! | (not in the table, identifier not used) | | idle |
//! | head or body | head or body | open |
//! | done | head or body | half-closed (local) |
//! | head or body | done | half-closed (remote) |
//! | done | done | closed: leaves the table |
//! | (reset by either side) | | closed: leaves the table |
//!
//! Of closed streams only the last 512 and the manner of their end are remembered: enough to tell a peer that breaks
//! the rules from one whose frames crossed ours on the way.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use super::StreamId;
use super::flow::{RecvWindow, SendWindow};

/// Closed streams remembered.
const REMEMBERED: usize = 512;

/// No `content-length` to keep.
const UNKNOWN: u64 = u64::MAX;

/// How far one direction has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The header block is still to come (for a response: the final one).
    Head,
    /// Body, then perhaps trailers.
    Body,
    /// END_STREAM went by.
    Done,
}

/// The state of a stream as RFC 9113 section 5.1 names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamState {
    /// Never used.
    Idle,
    /// Both sides may send.
    Open,
    /// We sent END_STREAM.
    HalfClosedLocal,
    /// The peer sent END_STREAM.
    HalfClosedRemote,
    /// Over.
    Closed,
}

/// One open stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub send: SendWindow,
    pub recv: RecvWindow,
    /// Bytes of body still expected by `content-length`, or UNKNOWN.
    expected: u64,
    pub sending: Phase,
    pub receiving: Phase,
    /// The request was CONNECT: nothing but DATA once it is granted (RFC 9113 section 8.5).
    pub connect: bool,
    /// The request was HEAD.
    pub head: bool,
}

impl Stream {
    pub fn new(send: i32, recv: i32, sending: Phase, receiving: Phase) -> Self {
        Self {
            send: SendWindow::new(send),
            recv: RecvWindow::new(recv),
            expected: UNKNOWN,
            sending,
            receiving,
            connect: false,
            head: false,
        }
    }

    pub fn expect(&mut self, length: Option<u64>) {
        self.expected = length.unwrap_or(UNKNOWN);
    }

    /// `len` bytes of body arrive, the last ones if `end`; false = content-length says otherwise (RFC 9113 8.1.1).
    #[must_use]
    pub fn body(&mut self, len: u32, end: bool) -> bool {
        if self.expected == UNKNOWN {
            return true;
        }
        match self.expected.checked_sub(u64::from(len)) {
            Some(rest) => {
                self.expected = rest;
                !end || rest == 0
            }
            None => false,
        }
    }

    pub fn is_closed(&self) -> bool {
        self.sending == Phase::Done && self.receiving == Phase::Done
    }

    pub fn state(&self) -> StreamState {
        match (self.sending, self.receiving) {
            (Phase::Done, Phase::Done) => StreamState::Closed,
            (Phase::Done, _) => StreamState::HalfClosedLocal,
            (_, Phase::Done) => StreamState::HalfClosedRemote,
            _ => StreamState::Open,
        }
    }
}

/// The manner in which a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// END_STREAM both ways.
    Finished,
    /// RST_STREAM from the peer.
    ResetByPeer,
    /// RST_STREAM from us: what was under way may still arrive.
    ResetByUs,
}

/// Stream identifiers are consecutive numbers: one multiplication spreads them (Fibonacci hashing).
#[derive(Default)]
pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, id: u32) {
        self.0 = (self.0 ^ u64::from(id)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        // The map takes its bucket from the low bits and its tag from the high ones.
        self.0 ^= self.0 >> 32;
    }
}

/// All open streams and the memory of the last closed ones.
#[derive(Debug, Default)]
pub(super) struct Streams {
    open: HashMap<StreamId, Stream, BuildHasherDefault<IdHasher>>,
    closed: VecDeque<(StreamId, Ending)>,
}

impl Streams {
    pub fn len(&self) -> usize {
        self.open.len()
    }

    pub fn get(&self, id: StreamId) -> Option<&Stream> {
        self.open.get(&id)
    }

    pub fn get_mut(&mut self, id: StreamId) -> Option<&mut Stream> {
        self.open.get_mut(&id)
    }

    pub fn insert(&mut self, id: StreamId, stream: Stream) -> &mut Stream {
        self.open.entry(id).insert_entry(stream).into_mut()
    }

    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.open.values_mut()
    }

    /// Identifiers above `last`, in order.
    pub fn above(&self, last: StreamId) -> Vec<StreamId> {
        let mut ids: Vec<_> = self.open.keys().copied().filter(|id| *id > last).collect();
        ids.sort_unstable();
        ids
    }

    /// Takes a stream out and remembers how it ended.
    pub fn close(&mut self, id: StreamId, ending: Ending) -> Option<Stream> {
        let stream = self.open.remove(&id);
        self.remember(id, ending);
        // After a burst the table is as large as the burst was: give it back once it stands empty.
        if self.open.is_empty() && self.open.capacity() > 256 {
            self.open = HashMap::default();
        }
        stream
    }

    /// Remembers the end of a stream that never entered the table.
    pub fn remember(&mut self, id: StreamId, ending: Ending) {
        if self.closed.len() >= REMEMBERED {
            self.closed.pop_front();
        }
        self.closed.push_back((id, ending));
    }

    /// How a closed stream ended, if that is still known.
    pub fn ending(&self, id: StreamId) -> Option<Ending> {
        self.closed.iter().rev().find(|(known, _)| *known == id).map(|(_, ending)| *ending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_small() {
        // An idle open stream: entry, key and the map's control byte at its emptiest (7/16 full just after growing).
        let entry = std::mem::size_of::<(StreamId, Stream)>() + 1;
        assert!(entry * 16 / 7 <= 200, "{entry}");
    }

    #[test]
    fn the_memory_of_the_closed_is_bounded() {
        let mut streams = Streams::default();
        for id in 0..10_000 {
            streams.insert(id, Stream::new(0, 0, Phase::Head, Phase::Body));
        }
        for id in 0..10_000 {
            assert!(streams.close(id, Ending::ResetByUs).is_some());
        }
        assert_eq!(streams.closed.len(), REMEMBERED);
        assert_eq!(streams.ending(9_999), Some(Ending::ResetByUs));
        assert_eq!(streams.ending(1), None);
        assert_eq!(streams.open.capacity(), 0, "the table of a burst is given back");
    }

    #[test]
    fn bodies_are_measured() {
        let mut stream = Stream::new(0, 0, Phase::Head, Phase::Body);
        assert!(stream.body(u32::MAX, true), "nothing announced");
        stream.expect(Some(10));
        assert!(stream.body(4, false));
        assert!(!stream.body(7, false), "too much");
        assert!(!stream.body(5, true), "too little");
        stream.expect(Some(1));
        assert!(stream.body(1, true));
    }

    #[test]
    fn states_of_the_rfc() {
        use Phase::{Body, Done, Head};
        for (sending, receiving, state) in [
            (Head, Head, StreamState::Open),
            (Head, Body, StreamState::Open),
            (Body, Head, StreamState::Open),
            (Body, Body, StreamState::Open),
            (Done, Head, StreamState::HalfClosedLocal),
            (Done, Body, StreamState::HalfClosedLocal),
            (Head, Done, StreamState::HalfClosedRemote),
            (Body, Done, StreamState::HalfClosedRemote),
            (Done, Done, StreamState::Closed),
        ] {
            let stream = Stream::new(0, 0, sending, receiving);
            assert_eq!(stream.state(), state, "{sending:?} {receiving:?}");
            assert_eq!(stream.is_closed(), state == StreamState::Closed);
        }
    }
}
