//! What the cover answered to a friend's hello, and whether we can answer in its shape.
//!
//! The records of a TLS 1.3 server's first flight: ServerHello, ChangeCipherSpec, then protected ones. Their contents
//! stay the cover's secret; their lengths are what an onlooker sees, and ours will have the same. How many protected
//! records the flight has is told by the first of them, as the note says: one of more than 512 bytes holds all four
//! messages, a shorter one is EncryptedExtensions alone, and three more follow. Where a real handshake with the cover
//! was watched before ([`super::shape`]), the number is known and no guess is made.

use super::server::Friend;
use crate::codec::Reader;
use crate::error::RemoteError;
use crate::messages::server_hello::Answer;
use crate::names::{content, extension, group, message, version};
use crate::record::{self, HEAD};
use crate::suite::Suite;

/// Past so many bytes it is nobody's first flight: certificate messages have their own, smaller limit.
pub const MAX_FLIGHT: usize = 128 * 1_024;
/// A first protected record that is longer holds the whole flight (the note).
const ALL_IN_ONE: usize = 512;
/// Length on the wire of the dummy ChangeCipherSpec (RFC 8446 appendix D.4).
const SPEC: usize = HEAD + 1;
/// EncryptedExtensions, Certificate, CertificateVerify, Finished.
pub(crate) const MESSAGES: usize = 4;

/// A cover's flight that a friend can be answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flight {
    /// The ServerHello, header included, as the cover wrote it.
    pub(crate) hello: Vec<u8>,
    /// Where its key share starts.
    pub(crate) share_at: usize,
    pub(crate) suite: Suite,
    pub(crate) group: u16,
    /// Lengths on the wire of the protected records that hold the four messages.
    pub records: Vec<usize>,
    /// The same of records that came behind them in the same flight.
    pub more: Vec<usize>,
}

/// What there is of a flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// Not whole yet.
    More,
    /// No flight that a friend can be answered with (an older version, a second hello asked for, an alert, no
    /// ChangeCipherSpec): what came goes to the client as it is, and so does all that follows.
    Unusable,
    Flight(Box<Flight>),
}

/// Type, length on the wire, and body of a record.
type Record<'a> = (u8, usize, &'a [u8]);

/// The record at `at`; none while it is not whole.
fn record(bytes: &[u8], at: usize, protected: bool) -> Result<Option<Record<'_>>, RemoteError> {
    let rest = bytes.get(at..).unwrap_or_default();
    let Some(header) = record::header(rest, protected)? else { return Ok(None) };
    // Ours will say so too; a cover that writes anything else is not to be told from ours by that.
    if rest.get(1..3) != Some(&version::TLS12.to_be_bytes()) {
        return Err(RemoteError::illegal("a record of another version"));
    }
    Ok(rest.get(HEAD..header.wire()).map(|body| (header.kind, header.wire(), body)))
}

impl Flight {
    /// Reads what the cover has sent so far. `records` is how many protected records its flight has, where that was
    /// learned.
    #[must_use]
    pub fn read(cover: &[u8], friend: &Friend, records: Option<usize>) -> Read {
        match Self::try_read(cover, friend, records) {
            Ok(Some(flight)) => Read::Flight(Box::new(flight)),
            Ok(None) if cover.len() <= MAX_FLIGHT => Read::More,
            _ => Read::Unusable,
        }
    }

    fn try_read(cover: &[u8], friend: &Friend, records: Option<usize>) -> Result<Option<Self>, RemoteError> {
        const OTHER: RemoteError = RemoteError::illegal("not a flight of TLS 1.3");
        let Some((kind, mut at, hello)) = record(cover, 0, false)? else { return Ok(None) };
        if kind != content::HANDSHAKE {
            return Err(OTHER);
        }
        let mut this = Self::hello(hello, friend)?;
        let Some((kind, spec, body)) = record(cover, at, false)? else { return Ok(None) };
        if (kind, spec, body) != (content::CHANGE_CIPHER_SPEC, SPEC, &[1]) {
            return Err(OTHER);
        }
        at = at.saturating_add(spec);
        let mut wanted = records;
        while wanted.is_none_or(|wanted| this.records.len() < wanted) {
            let Some((kind, wire, _)) = record(cover, at, true)? else { return Ok(None) };
            if kind != content::APPLICATION_DATA {
                return Err(OTHER);
            }
            at = at.saturating_add(wire);
            this.records.push(wire);
            wanted = wanted.or(Some(if wire > ALL_IN_ONE { 1 } else { MESSAGES }));
        }
        // Whatever is already there behind them belongs to the look of the flight too.
        while at < cover.len() {
            let Some((kind, wire, _)) = record(cover, at, true)? else { return Ok(None) };
            if kind != content::APPLICATION_DATA {
                return Err(OTHER);
            }
            at = at.saturating_add(wire);
            this.more.push(wire);
        }
        Ok(Some(this))
    }

    /// Reads a record that should be a ServerHello and nothing else.
    fn hello(bytes: &[u8], friend: &Friend) -> Result<Self, RemoteError> {
        const OTHER: RemoteError = RemoteError::illegal("not a ServerHello alone");
        let mut r = Reader::new(bytes);
        if r.u8()? != message::SERVER_HELLO {
            return Err(OTHER);
        }
        let body = r.vec24()?.rest();
        r.end()?;
        let Answer::Hello(answer) = Answer::parse(body, &friend.offered)? else { return Err(OTHER) };
        let suite = Suite::from_id(answer.suite).ok_or(OTHER)?;
        let (id, key) = answer.share.ok_or(OTHER)?;
        // Lengths of a server's shares: RFC 7748, and FIPS 203's ciphertext in front of it.
        let length = match id {
            group::X25519 => 32,
            group::X25519MLKEM768 => 1_088 + 32,
            _ => return Err(OTHER),
        };
        // A session is never resumed with us: the client's ticket would have to be the cover's.
        if key.len() != length || answer.psk.is_some() || !friend.shares.iter().any(|(group, _)| *group == id) {
            return Err(OTHER);
        }
        let share_at = share_at(bytes)?.filter(|at| bytes.get(*at..).is_some_and(|rest| rest.starts_with(&key)));
        let share_at = share_at.ok_or(OTHER)?;
        Ok(Self { hello: bytes.to_vec(), share_at, suite, group: id, records: Vec::new(), more: Vec::new() })
    }

    /// The cover's ServerHello with another key in it, as long as its own.
    pub(crate) fn hello_with(&self, key: &[u8]) -> Option<Vec<u8>> {
        let mut hello = self.hello.clone();
        hello.get_mut(self.share_at..self.share_at.checked_add(key.len())?)?.copy_from_slice(key);
        Some(hello)
    }
}

/// Where the key of a ServerHello's share starts.
fn share_at(hello: &[u8]) -> Result<Option<usize>, RemoteError> {
    let mut r = Reader::new(hello);
    // Message header, version and random; session id; suite and compression; the length of the extensions.
    r.take(4 + 2 + 32)?;
    r.vec8()?;
    r.take(2 + 1 + 2)?;
    while !r.is_empty() {
        let kind = r.u16()?;
        let length = usize::from(r.u16()?);
        if kind == extension::KEY_SHARE {
            // Group and length.
            r.take(4)?;
            return Ok(hello.len().checked_sub(r.rest().len()));
        }
        r.take(length)?;
    }
    Ok(None)
}
