//! What a stranger opens with, judged as OpenSSL behind nginx judges it, before rustls sees a byte of it.
//!
//! A prober tells servers apart by what they do with bytes that are not TLS, or not yet: one sends an alert where the
//! other hangs up or waits on. So everything up to a whole ClientHello is followed here, record by record, and refused
//! in the cover's manner; `tests/interop/test_cover_edge.py` holds each answer against a real nginx. What a whole
//! ClientHello leads to is rustls' business, and a careful look can tell it from OpenSSL (docs/threat-model).
//!
//! ```text
//! record   22 | 3.x | length <= 0x4140      another major version: nothing (first record), protocol_version (later)
//! message   1 | length <= 131,396 | body    in any number of records, up to 32 empty ones in a row
//! SSLv2    80-ff | length | 1 | 3.x | …     the old form of a ClientHello (RFC 5246 appendix E.2)
//! ```

const RECORD_HEADER: usize = 5;
/// What OpenSSL's read buffer holds besides the header: 2^14 bytes and room for a cipher's expansion.
const MAX_RECORD: usize = 0x4140;
/// How much OpenSSL reads at once with nginx's read-ahead: that buffer.
pub const READ: usize = RECORD_HEADER + MAX_RECORD;
/// RFC 8446 section 5.1.
const MAX_PLAINTEXT: usize = 0x4000;
/// OpenSSL's `MAX_EMPTY_RECORDS`: this many in a row without anything in them, and no more.
const MAX_EMPTY: usize = 32;
/// OpenSSL's `CLIENT_HELLO_MAX_LENGTH`: version, random, session, 2^16 bytes of suites, methods and extensions.
const MAX_HELLO: usize = 131_396;
/// OpenSSL's `MIN_SSL2_RECORD_LEN`.
const MIN_V2: usize = 9;

const HANDSHAKE: u8 = 22;
const ALERT: u8 = 21;
const CLIENT_HELLO: u8 = 1;
const ALPN: u16 = 16;

/// Alerts of RFC 8446 section 6 that are sent from here.
mod alert {
    pub const UNEXPECTED_MESSAGE: u8 = 10;
    pub const RECORD_OVERFLOW: u8 = 22;
    pub const HANDSHAKE_FAILURE: u8 = 40;
    pub const ILLEGAL_PARAMETER: u8 = 47;
    pub const DECODE_ERROR: u8 = 50;
    pub const PROTOCOL_VERSION: u8 = 70;
    pub const NO_APPLICATION_PROTOCOL: u8 = 120;
}

/// What to do with the bytes that came so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// Wait on, within the cover's deadline.
    More,
    /// A whole ClientHello is there: the TLS engine's turn, with all bytes.
    Hello,
    /// Send these bytes, if any, and hang up.
    Refuse(Option<[u8; 7]>),
}

/// A fatal alert in the clear. OpenSSL's record version is TLS 1.2's until it took one over from the peer.
const fn refuse(description: u8) -> Opening {
    refuse_in(0x0303, description)
}

const fn refuse_in(version: u16, description: u8) -> Opening {
    let [major, minor] = version.to_be_bytes();
    Opening::Refuse(Some([ALERT, major, minor, 0, 2, 2, description]))
}

/// Follows one connection's first bytes.
#[derive(Debug, Default)]
pub struct Opener {
    /// How many bytes of the input were judged already: whole records.
    judged: usize,
    /// Handshake bytes of those records.
    message: Vec<u8>,
    empty: usize,
}

impl Opener {
    /// Judges `input`, which holds everything since the connection began and only grows between calls. Empty records
    /// are taken out of it, because OpenSSL skips them and rustls does not.
    pub fn judge(&mut self, input: &mut Vec<u8>, protocols: &[Vec<u8>]) -> Opening {
        if self.judged == 0 && input.first().is_some_and(|first| first & 0x80 != 0) {
            match input.get(..RECORD_HEADER) {
                None => return Opening::More,
                Some([high, low, CLIENT_HELLO, ..]) => {
                    let length = usize::from(high & 0x7f) << 8 | usize::from(*low);
                    return v2(input.get(2..).unwrap_or_default(), length);
                }
                Some(_) => {}
            }
        }
        loop {
            let rest = input.get(self.judged..).unwrap_or_default();
            let Some(&[kind, major, minor, high, low]) = rest.first_chunk::<RECORD_HEADER>() else {
                return Opening::More;
            };
            let length = usize::from(high) << 8 | usize::from(low);
            if major != 3 {
                return if self.judged == 0 && self.empty == 0 {
                    Opening::Refuse(None)
                } else {
                    refuse(alert::PROTOCOL_VERSION)
                };
            }
            if length > MAX_RECORD {
                return refuse(alert::RECORD_OVERFLOW);
            }
            let end = RECORD_HEADER + length;
            let Some(body) = rest.get(RECORD_HEADER..end) else { return Opening::More };
            if length > MAX_PLAINTEXT {
                return refuse(alert::RECORD_OVERFLOW);
            }
            if body.is_empty() {
                self.empty += 1;
                if self.empty > MAX_EMPTY {
                    return refuse(alert::UNEXPECTED_MESSAGE);
                }
                input.drain(self.judged..self.judged + end);
                continue;
            }
            if kind != HANDSHAKE {
                return refuse_in(u16::from_be_bytes([major, minor]), alert::UNEXPECTED_MESSAGE);
            }
            self.message.extend_from_slice(body);
            self.empty = 0;
            self.judged += end;
            match whole(&self.message) {
                Opening::More => {}
                Opening::Hello => return hello(&self.message, protocols),
                refused @ Opening::Refuse(_) => return refused,
            }
        }
    }
}

/// Whether the first handshake message is a ClientHello, and all there.
fn whole(message: &[u8]) -> Opening {
    let Some(&[kind, a, b, c]) = message.first_chunk::<4>() else { return Opening::More };
    let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
    if kind != CLIENT_HELLO {
        refuse(alert::UNEXPECTED_MESSAGE)
    } else if length > MAX_HELLO {
        refuse(alert::ILLEGAL_PARAMETER)
    } else if message.len() < 4 + length {
        Opening::More
    } else {
        Opening::Hello
    }
}

/// What OpenSSL says before it answers, where rustls says it after or not at all: a version that was never TLS, and
/// application protocols of which we know none (RFC 7301 section 3.2). What cannot be read is the engine's to refuse.
fn hello(message: &[u8], protocols: &[Vec<u8>]) -> Opening {
    let Some((version, extensions)) = parts(message.get(4..).unwrap_or_default()) else { return Opening::Hello };
    match version {
        ..0x0300 => return refuse_in(version, alert::PROTOCOL_VERSION),
        0x0300 => return refuse_in(version, alert::HANDSHAKE_FAILURE),
        _ => {}
    }
    match alpn(extensions) {
        Some(offered) if !offered.iter().any(|name| protocols.iter().any(|known| known == name)) => {
            refuse(alert::NO_APPLICATION_PROTOCOL)
        }
        _ => Opening::Hello,
    }
}

/// The version and the extensions of a ClientHello's body.
fn parts(body: &[u8]) -> Option<(u16, &[u8])> {
    let version = u16::from_be_bytes(*body.first_chunk()?);
    let mut rest = body.get(2 + 32..)?;
    vector(&mut rest, 1)?; // legacy_session_id
    vector(&mut rest, 2)?; // cipher_suites
    vector(&mut rest, 1)?; // legacy_compression_methods
    Some((version, vector(&mut rest, 2)?))
}

/// The names of the ALPN extension, if it is well formed and there are any.
fn alpn(mut extensions: &[u8]) -> Option<Vec<&[u8]>> {
    while let [high, low, ..] = *extensions {
        extensions = extensions.get(2..)?;
        let mut content = vector(&mut extensions, 2)?;
        if u16::from_be_bytes([high, low]) == ALPN {
            let mut list = vector(&mut content, 2)?;
            let mut names = Vec::new();
            while !list.is_empty() {
                names.push(vector(&mut list, 1)?);
            }
            return Some(names).filter(|names| !names.is_empty() && names.iter().all(|name| !name.is_empty()));
        }
    }
    None
}

/// Takes a vector with a length field of `width` bytes off the front (RFC 8446 section 3.4).
fn vector<'a>(rest: &mut &'a [u8], width: usize) -> Option<&'a [u8]> {
    let length = rest.get(..width)?.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    let (taken, left) = rest.get(width..)?.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

/// A ClientHello in SSLv2's form. OpenSSL reads it to the end and then has no suite in common with it, because every
/// suite we speak needs extensions to agree on a group.
fn v2(record: &[u8], length: usize) -> Opening {
    if length > MAX_RECORD {
        return refuse(alert::RECORD_OVERFLOW);
    }
    if length < MIN_V2 {
        return refuse(alert::DECODE_ERROR);
    }
    let Some(record) = record.get(..length) else { return Opening::More };
    let Some(&[_, major, minor, s, t, i, j, c, d]) = record.first_chunk::<MIN_V2>() else {
        return refuse(alert::DECODE_ERROR);
    };
    let (suites, session, challenge) =
        (u16::from_be_bytes([s, t]), u16::from_be_bytes([i, j]), u16::from_be_bytes([c, d]));
    if session > 32 {
        return refuse(alert::ILLEGAL_PARAMETER);
    }
    if MIN_V2 + usize::from(suites) + usize::from(session) + usize::from(challenge) != length {
        return refuse(alert::DECODE_ERROR);
    }
    if major != 3 {
        return refuse(alert::PROTOCOL_VERSION);
    }
    refuse_in(u16::from_be_bytes([major, minor]).min(0x0303), alert::HANDSHAKE_FAILURE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(pieces: &[&[u8]]) -> Opening {
        let (mut opener, mut input) = (Opener::default(), Vec::new());
        let mut last = Opening::More;
        for piece in pieces {
            input.extend_from_slice(piece);
            last = opener.judge(&mut input, &[b"h2".to_vec()]);
        }
        last
    }

    fn record(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut out = vec![kind, 3, 1];
        out.extend_from_slice(&u16::try_from(body.len()).unwrap().to_be_bytes());
        out.extend_from_slice(body);
        out
    }

    fn client_hello(protocol: &[u8]) -> Vec<u8> {
        let mut list = vec![u8::try_from(protocol.len()).unwrap()];
        list.extend_from_slice(protocol);
        let mut extension = vec![0, 16];
        extension.extend_from_slice(&u16::try_from(list.len() + 2).unwrap().to_be_bytes());
        extension.extend_from_slice(&u16::try_from(list.len()).unwrap().to_be_bytes());
        extension.extend_from_slice(&list);
        let mut body = vec![3, 3];
        body.extend_from_slice(&[7; 32]);
        body.extend_from_slice(&[0, 0, 2, 0x13, 1, 1, 0]);
        body.extend_from_slice(&u16::try_from(extension.len()).unwrap().to_be_bytes());
        body.extend_from_slice(&extension);
        let mut message = vec![1, 0];
        message.extend_from_slice(&u16::try_from(body.len()).unwrap().to_be_bytes());
        message.extend_from_slice(&body);
        message
    }

    #[test]
    fn a_hello_may_come_byte_by_byte_in_many_records_with_empty_ones_between() {
        let message = client_hello(b"h2");
        assert_eq!(judge(&[&record(HANDSHAKE, &message)]), Opening::Hello);
        let mut bytes = Vec::new();
        for piece in message.chunks(7) {
            bytes.extend(record(HANDSHAKE, piece));
            bytes.extend(record(HANDSHAKE, b""));
        }
        let (mut opener, mut input) = (Opener::default(), Vec::new());
        let mut last = Opening::More;
        for byte in bytes {
            assert_eq!(last, Opening::More);
            input.push(byte);
            last = opener.judge(&mut input, &[b"h2".to_vec()]);
            if last == Opening::Hello {
                break;
            }
        }
        assert_eq!(last, Opening::Hello);
        let seven: Vec<u8> = message.chunks(7).flat_map(|piece| record(HANDSHAKE, piece)).collect();
        assert_eq!(input, seven, "what goes on is the same without the empty records");
    }

    #[test]
    fn an_application_protocol_nobody_knows_is_refused_in_the_clear() {
        assert_eq!(judge(&[&record(HANDSHAKE, &client_hello(b"zzz"))]), refuse(120));
    }

    #[test]
    fn no_bytes_make_it_panic_or_grow() {
        let mut state = 1_u32;
        let mut bytes = |n: usize| -> Vec<u8> {
            (0..n)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    state.to_be_bytes()[0]
                })
                .collect()
        };
        for round in 0..20_000_usize {
            let mut input = record(HANDSHAKE, &client_hello(b"h2"));
            let noise = bytes(4);
            if let [at, from, to, ..] = *noise.as_slice() {
                let at = usize::from(at) % input.len();
                input[at] = from;
                input.truncate(usize::from(to).max(at));
            }
            if round % 3 == 0 {
                input = bytes(round % 64);
            }
            let before = input.len();
            let mut opener = Opener::default();
            let _ = opener.judge(&mut input, &[b"h2".to_vec()]);
            assert!(input.len() <= before && opener.message.len() <= before);
        }
    }
}
