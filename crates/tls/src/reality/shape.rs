//! What a cover does after a handshake, learned from real ones: an onlooker must not tell ours by a missing ticket.
//!
//! The edge itself shakes hands with the cover, once for every kind of hello that a cover may treat differently, and
//! lists the lengths of the records that come behind its Finished; friends get empty records of those lengths. And it
//! tries how many dummy ChangeCipherSpec records the cover takes, which a middlebox can send into any handshake.

use crate::error::Error;
use crate::hello::Offered;
use crate::record;
use crate::traffic::{Opened, Traffic};

/// Kinds of hello by their application protocols; with the server's name they are the key of a learned shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Alpn {
    /// None offered.
    None,
    /// Something else comes first.
    Other,
    /// HTTP/2 comes first.
    H2,
}

impl Alpn {
    pub const ALL: [Self; 3] = [Self::None, Self::Other, Self::H2];

    #[must_use]
    pub fn of(offered: &Offered) -> Self {
        match offered.alpn.first() {
            None => Self::None,
            Some(first) if first == b"h2" => Self::H2,
            Some(_) => Self::Other,
        }
    }

    /// What a hello of this kind offers.
    #[must_use]
    pub fn protocols(self) -> Vec<Vec<u8>> {
        match self {
            Self::None => vec![],
            Self::Other => vec![b"http/1.1".to_vec()],
            Self::H2 => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        }
    }
}

/// A record that the cover sent after a handshake, before anything was asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct After {
    /// Length on the wire.
    pub wire: usize,
    /// Whether the cover's application said it (HTTP/2 SETTINGS), and not its TLS (tickets).
    pub data: bool,
}

/// Reads the records that follow a handshake of ours with the cover.
#[derive(Debug, Default)]
pub struct Learner {
    seen: Vec<After>,
    /// Whether the cover has closed its side.
    pub closed: bool,
}

impl Learner {
    /// Takes whole records off the front of `input`.
    ///
    /// # Errors
    /// What [`Traffic::open`] says; what was seen before stays.
    pub fn take(&mut self, traffic: &mut Traffic, input: &mut Vec<u8>) -> Result<(), Error> {
        while !self.closed {
            let (wire, data) = match traffic.open(input)? {
                Opened::Data { wire, .. } => (wire, true),
                Opened::Quiet { wire } => (wire, false),
                Opened::Closed { wire } => {
                    self.closed = true;
                    input.drain(..wire.min(input.len()));
                    break;
                }
                Opened::Partial => break,
            };
            self.seen.push(After { wire, data });
            input.drain(..wire.min(input.len()));
        }
        Ok(())
    }

    /// All records so far.
    #[must_use]
    pub fn seen(&self) -> &[After] {
        &self.seen
    }

    /// Their lengths, as [`super::answer::Manners::after`] wants them.
    #[must_use]
    pub fn lengths(&self) -> Vec<usize> {
        self.seen.iter().map(|after| after.wire).collect()
    }
}

/// How many protected records the first flight of a cover has, from all bytes it sent until its client was done: every
/// one but those that the client left unread are of the flight. What [`super::flight::Flight::read`] is told.
#[must_use]
pub fn flight_records(sent: &[u8], unread: usize) -> usize {
    let (mut count, mut at) = (0_usize, 0_usize);
    let end = sent.len().saturating_sub(unread);
    while let Some(rest) = sent.get(at..end) {
        let Ok(Some(header)) = record::header(rest, true) else { break };
        count = count.saturating_add(usize::from(header.kind == crate::names::content::APPLICATION_DATA));
        at = at.saturating_add(header.wire());
    }
    count
}

/// So many ChangeCipherSpec records are sent between the cover's flight and our Finished, the one that belongs there
/// among them: one more than each limit that servers are known to have.
pub const TRIED: [u32; 3] = [2, 17, 33];

/// How many of them a cover takes in a row, none for any number; `taken` are its answers to [`TRIED`], in order.
///
/// The note knows four kinds: one, 16 (Go's `maxUselessRecords`), 32 (`MAX_EMPTY_RECORDS` of OpenSSL and
/// `kMaxEmptyRecords` of BoringSSL), and no limit.
#[must_use]
pub const fn tolerance(taken: [bool; 3]) -> Option<u32> {
    match taken {
        [false, ..] => Some(1),
        [true, false, _] => Some(16),
        [true, true, false] => Some(32),
        [true, true, true] => None,
    }
}

/// So many such records, as they stand on the wire.
#[must_use]
pub fn dummies(count: u32) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..count {
        record::change_cipher_spec(&mut out);
    }
    out
}
