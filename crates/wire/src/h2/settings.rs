//! Settings of both sides, and when each takes effect (RFC 9113 section 6.5).
//!
//! The peer's settings hold from the moment they are read. Ours hold for the peer from the moment *it* reads them, which
//! we learn by its acknowledgement; between the two either value may be in use, so whatever gives more room counts at
//! once and whatever takes room away counts from the acknowledgement.

use std::collections::VecDeque;

use super::error::{Code, RemoteProtocolError};
use super::flow::{DEFAULT_WINDOW, MAX_WINDOW};

/// Identifiers (RFC 9113 section 6.5.2, RFC 8441 section 3).
pub mod id {
    /// Size of the decoder's table.
    pub const HEADER_TABLE_SIZE: u16 = 0x1;
    /// Whether a server may push.
    pub const ENABLE_PUSH: u16 = 0x2;
    /// Streams the other side may hold open.
    pub const MAX_CONCURRENT_STREAMS: u16 = 0x3;
    /// The window of a new stream.
    pub const INITIAL_WINDOW_SIZE: u16 = 0x4;
    /// The largest payload of a frame.
    pub const MAX_FRAME_SIZE: u16 = 0x5;
    /// The largest header list, as advice.
    pub const MAX_HEADER_LIST_SIZE: u16 = 0x6;
    /// Extended CONNECT is understood.
    pub const ENABLE_CONNECT_PROTOCOL: u16 = 0x8;
}

/// MAX_FRAME_SIZE before any SETTINGS, and the least there can be (RFC 9113 section 6.5.2).
pub(super) const MIN_FRAME_SIZE: u32 = 16_384;

/// The most there can be: 24 bits.
pub(super) const MAX_FRAME_SIZE: u32 = 16_777_215;

/// Settings of the peer that are remembered: all that mean something and a few that do not.
const REMEMBERED: usize = 24;

/// What the peer told us.
#[derive(Debug)]
pub(super) struct Peer {
    seen: Vec<(u16, u32)>,
    pub initial_window: i32,
    pub max_frame: u32,
    pub max_streams: u32,
    pub connect_protocol: bool,
}

impl Peer {
    pub fn new() -> Self {
        Self {
            seen: Vec::new(),
            initial_window: DEFAULT_WINDOW,
            max_frame: MIN_FRAME_SIZE,
            max_streams: u32::MAX,
            connect_protocol: false,
        }
    }

    pub fn get(&self, id: u16) -> Option<u32> {
        self.seen.iter().find(|(known, _)| *known == id).map(|(_, value)| *value)
    }

    /// Takes one setting. Returns by how much the windows of open streams move.
    pub fn apply(&mut self, id: u16, value: u32, from_server: bool) -> Result<i64, RemoteProtocolError> {
        let mut shift = 0;
        match id {
            id::ENABLE_PUSH if value > 1 || (from_server && value != 0) => {
                return Err(RemoteProtocolError::new(Code::PROTOCOL_ERROR, "ENABLE_PUSH has no such value"));
            }
            id::MAX_CONCURRENT_STREAMS => self.max_streams = value,
            id::INITIAL_WINDOW_SIZE => {
                let size = i32::try_from(value).map_err(|_| {
                    RemoteProtocolError::new(Code::FLOW_CONTROL_ERROR, "INITIAL_WINDOW_SIZE is above 2^31-1")
                })?;
                shift = i64::from(size) - i64::from(self.initial_window);
                self.initial_window = size;
            }
            id::MAX_FRAME_SIZE => {
                if !(MIN_FRAME_SIZE..=MAX_FRAME_SIZE).contains(&value) {
                    return Err(RemoteProtocolError::new(Code::PROTOCOL_ERROR, "MAX_FRAME_SIZE is out of range"));
                }
                self.max_frame = value;
            }
            id::ENABLE_CONNECT_PROTOCOL => {
                // RFC 8441 section 3: 0 or 1, and never 0 after 1.
                if value > 1 || (value == 0 && self.connect_protocol) {
                    let rule = "ENABLE_CONNECT_PROTOCOL has no such value or was taken back";
                    return Err(RemoteProtocolError::new(Code::PROTOCOL_ERROR, rule));
                }
                self.connect_protocol = value == 1;
            }
            _ => {}
        }
        if let Some((_, old)) = self.seen.iter_mut().find(|(known, _)| *known == id) {
            *old = value;
        } else if self.seen.len() < REMEMBERED {
            self.seen.push((id, value));
        }
        Ok(shift)
    }
}

/// What an announcement or an acknowledgement of ours changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// By how much the receive windows of open streams move.
    pub window_shift: i64,
    /// The peer's encoder may use this much at once.
    pub raise_table: Option<u32>,
    /// The peer's encoder may use this much from now on.
    pub settle_table: Option<u32>,
}

/// What we told the peer.
#[derive(Debug)]
pub(super) struct Local {
    unacked: VecDeque<Vec<(u16, u32)>>,
    pub initial_window: i32,
    pub max_frame: u32,
    pub max_streams: u32,
    pub connect_protocol: bool,
    /// The peer acknowledged that it may not push.
    pub push_off: bool,
}

impl Local {
    pub fn new() -> Self {
        Self {
            unacked: VecDeque::new(),
            initial_window: DEFAULT_WINDOW,
            max_frame: MIN_FRAME_SIZE,
            max_streams: u32::MAX,
            connect_protocol: false,
            push_off: false,
        }
    }

    pub fn unacked(&self) -> usize {
        self.unacked.len()
    }

    /// A SETTINGS frame goes out.
    pub fn announce(&mut self, settings: &[(u16, u32)]) -> Change {
        let mut change = Change::default();
        for (id, value) in settings {
            match *id {
                id::HEADER_TABLE_SIZE => change.raise_table = change.raise_table.max(Some(*value)),
                id::MAX_CONCURRENT_STREAMS => self.max_streams = *value,
                id::INITIAL_WINDOW_SIZE => {
                    let size = i32::try_from(*value).unwrap_or(MAX_WINDOW);
                    if size > self.initial_window {
                        change.window_shift += i64::from(size) - i64::from(self.initial_window);
                        self.initial_window = size;
                    }
                }
                id::MAX_FRAME_SIZE => self.max_frame = self.max_frame.max((*value).min(MAX_FRAME_SIZE)),
                id::ENABLE_CONNECT_PROTOCOL => self.connect_protocol |= *value == 1,
                _ => {}
            }
        }
        self.unacked.push_back(settings.to_vec());
        change
    }

    /// The oldest SETTINGS frame was acknowledged; `None` = there was none to acknowledge.
    pub fn acked(&mut self) -> Option<Change> {
        let settings = self.unacked.pop_front()?;
        let mut change = Change::default();
        for (id, value) in settings {
            // A later announcement that is on its way may have given more room already.
            let value = self.later(id).map_or(value, |later| later.max(value));
            match id {
                id::HEADER_TABLE_SIZE => change.settle_table = Some(value),
                id::ENABLE_PUSH => self.push_off = value == 0,
                id::INITIAL_WINDOW_SIZE => {
                    let size = i32::try_from(value).unwrap_or(MAX_WINDOW);
                    change.window_shift += i64::from(size) - i64::from(self.initial_window);
                    self.initial_window = size;
                }
                id::MAX_FRAME_SIZE => self.max_frame = value.clamp(MIN_FRAME_SIZE, MAX_FRAME_SIZE),
                _ => {}
            }
        }
        Some(change)
    }

    fn later(&self, id: u16) -> Option<u32> {
        self.unacked.iter().flatten().filter(|(known, _)| *known == id).map(|(_, value)| *value).max()
    }
}

/// A rule that a setting breaks, if any (RFC 9113 section 6.5.2). `server`: we are one.
pub(super) fn fault(id: u16, value: u32, server: bool) -> Option<&'static str> {
    match id {
        id::ENABLE_PUSH if value > 1 => Some("ENABLE_PUSH is 0 or 1"),
        id::ENABLE_PUSH if server && value == 1 => Some("a server cannot be pushed to"),
        id::INITIAL_WINDOW_SIZE if i32::try_from(value).is_err() => Some("INITIAL_WINDOW_SIZE is at most 2^31-1"),
        id::MAX_FRAME_SIZE if !(MIN_FRAME_SIZE..=MAX_FRAME_SIZE).contains(&value) => {
            Some("MAX_FRAME_SIZE is 16,384 to 16,777,215")
        }
        id::ENABLE_CONNECT_PROTOCOL if value > 1 => Some("ENABLE_CONNECT_PROTOCOL is 0 or 1"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_room_counts_at_once_and_less_from_the_acknowledgement() {
        let mut local = Local::new();
        assert_eq!(local.announce(&[(4, 100_000), (5, 20_000)]).window_shift, 34_465);
        assert_eq!((local.initial_window, local.max_frame), (100_000, 20_000));
        assert_eq!(local.announce(&[(4, 1_000), (5, 16_384)]).window_shift, 0);
        assert_eq!((local.initial_window, local.max_frame), (100_000, 20_000));
        assert_eq!(local.acked().map(|change| change.window_shift), Some(0));
        assert_eq!((local.initial_window, local.max_frame), (100_000, 20_000));
        assert_eq!(local.acked().map(|change| change.window_shift), Some(-99_000));
        assert_eq!((local.initial_window, local.max_frame), (1_000, 16_384));
        assert_eq!(local.acked(), None);
    }

    #[test]
    fn a_raise_on_its_way_is_not_undone_by_an_older_acknowledgement() {
        let mut local = Local::new();
        local.announce(&[(4, 10), (1, 0)]);
        assert_eq!(local.announce(&[(4, 70_000), (1, 9_000)]).raise_table, Some(9_000));
        let change = local.acked().unwrap();
        assert_eq!((local.initial_window, change.settle_table), (70_000, Some(9_000)));
    }

    #[test]
    fn peer_values_out_of_range() {
        for (id, value, from_server, code) in [
            (2, 2, false, Code::PROTOCOL_ERROR),
            (2, 1, true, Code::PROTOCOL_ERROR),
            (4, 0x8000_0000, false, Code::FLOW_CONTROL_ERROR),
            (5, 16_383, false, Code::PROTOCOL_ERROR),
            (5, 16_777_216, false, Code::PROTOCOL_ERROR),
            (8, 2, true, Code::PROTOCOL_ERROR),
        ] {
            assert_eq!(Peer::new().apply(id, value, from_server).unwrap_err().code, code, "{id} = {value}");
        }
        let mut peer = Peer::new();
        assert_eq!(peer.apply(8, 1, true), Ok(0));
        assert!(peer.apply(8, 0, true).is_err(), "taken back");
    }

    #[test]
    fn unknown_settings_are_remembered_within_bounds() {
        let mut peer = Peer::new();
        for id in 100..1000 {
            assert_eq!(peer.apply(id, 1, false), Ok(0));
        }
        assert_eq!(peer.apply(100, 7, false), Ok(0));
        assert_eq!(peer.get(100), Some(7));
        assert_eq!(peer.get(999), None);
        assert_eq!(peer.seen.len(), REMEMBERED);
    }
}
