//! Records: framing and protection (RFC 8446 section 5). In place, nothing is copied that the cipher does not copy.

use aws_lc_rs::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::alert::Alert;
use crate::error::{LocalError, RemoteError};
use crate::names::{content, version};
use crate::schedule::Secret;
use crate::suite::Suite;

/// Header: type, legacy version, length (RFC 8446 section 5.1).
pub const HEAD: usize = 5;
/// AEAD tag of all three suites (RFC 5116 section 5, RFC 8439 section 2.8).
pub const TAG: usize = 16;
/// Behind the plaintext: inner content type and tag.
pub const TAIL: usize = 1 + TAG;
/// Largest plaintext of a record (RFC 8446 section 5.1).
pub const MAX_PLAIN: usize = 16_384;
/// Largest protected record body: 256 bytes of expansion (RFC 8446 section 5.2).
pub const MAX_CIPHER: usize = MAX_PLAIN + 256;

/// A record header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub kind: u8,
    pub length: usize,
}

impl Header {
    /// Whole record on the wire.
    #[must_use]
    pub const fn wire(self) -> usize {
        self.length.saturating_add(HEAD)
    }
}

/// Looks at the first record of `buffer`; `None` while its header is not there.
///
/// Section 5.1 has the legacy version ignored. BoringSSL, and so Chrome, does not: its first byte is 3 before there
/// are keys, and then it is the one that TLS 1.3 writes. Whoever answers with another protocol, HTTP say, is told
/// `protocol_version` in the clear, so we look as Chrome looks. A type that does not exist is judged when the whole
/// record is there, also as there.
///
/// # Errors
/// `protocol_version`, or `record_overflow` for a long one (sections 5.1 and 5.2).
pub fn header(buffer: &[u8], protected: bool) -> Result<Option<Header>, RemoteError> {
    let Some(&[kind, major, minor, a, b]) = buffer.first_chunk::<HEAD>() else { return Ok(None) };
    let known = if protected { [major, minor] == version::TLS12.to_be_bytes() } else { major == 3 };
    if !known {
        return Err(RemoteError::new(Alert::PROTOCOL_VERSION, "a record of another version"));
    }
    let length = usize::from(u16::from_be_bytes([a, b]));
    // Early data that a server skips is protected, though the server has no keys yet.
    let limit = if protected || kind == content::APPLICATION_DATA { MAX_CIPHER } else { MAX_PLAIN };
    if length > limit {
        return Err(RemoteError::new(Alert::RECORD_OVERFLOW, "a record that is too long"));
    }
    Ok(Some(Header { kind, length }))
}

/// Appends one unprotected record.
pub fn plain(kind: u8, legacy: u16, body: &[u8], out: &mut Vec<u8>) {
    let length = u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes();
    let [major, minor] = legacy.to_be_bytes();
    out.extend_from_slice(&[kind, major, minor, length[0], length[1]]);
    out.extend_from_slice(body);
}

/// Key, nonce base and sequence number of one direction.
pub struct Protection {
    key: LessSafeKey,
    iv: [u8; NONCE_LEN],
    sequence: u64,
    suite: Suite,
    secret: Secret,
}

impl std::fmt::Debug for Protection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Protection({:?}, {})", self.suite, self.sequence)
    }
}

impl Protection {
    /// # Errors
    /// [`LocalError::Crypto`] where secret and suite do not fit.
    pub fn new(suite: Suite, secret: Secret) -> Result<Self, LocalError> {
        let (key, iv) = secret.traffic_keys(suite)?;
        let key = UnboundKey::new(suite.aead(), &key).map_err(|_| LocalError::Crypto("traffic key"))?;
        Ok(Self { key: LessSafeKey::new(key), iv, sequence: 0, suite, secret })
    }

    /// The next generation's keys (RFC 8446 section 7.2).
    ///
    /// # Errors
    /// As [`Protection::new`].
    pub fn update(&mut self) -> Result<(), LocalError> {
        *self = Self::new(self.suite, self.secret.next()?)?;
        Ok(())
    }

    /// Whether so many records went under this key that it is due for a change (RFC 8446 section 5.5).
    #[must_use]
    pub const fn worn(&self) -> bool {
        self.sequence >= self.suite.key_lifetime()
    }

    /// As after so many records.
    #[cfg(test)]
    pub(crate) const fn set_sequence(&mut self, sequence: u64) {
        self.sequence = sequence;
    }

    /// The sequence number, left-padded, XOR the IV (RFC 8446 section 5.3), and the number after it; it never wraps.
    fn nonce(&self) -> Result<(Nonce, u64), LocalError> {
        let mut nonce = self.iv;
        for (byte, s) in nonce.iter_mut().skip(NONCE_LEN - 8).zip(self.sequence.to_be_bytes()) {
            *byte ^= s;
        }
        let next = self.sequence.checked_add(1).ok_or(LocalError::Exhausted)?;
        Ok((Nonce::assume_unique_for_key(nonce), next))
    }

    /// Seals `room[HEAD..HEAD + len]` in place, with the type and `padding` zeros behind it, and returns the length of
    /// the record, which starts at `room[0]`.
    ///
    /// # Errors
    /// [`LocalError::Room`] where the room or the record's limit does not suffice.
    pub fn seal(&mut self, kind: u8, room: &mut [u8], len: usize, padding: usize) -> Result<usize, LocalError> {
        let extra = padding.checked_add(1).ok_or(LocalError::Room)?;
        let inner = len.checked_add(extra).filter(|n| *n <= MAX_PLAIN + 1).ok_or(LocalError::Room)?;
        let body = inner + TAG;
        let record = room.get_mut(..HEAD + body).ok_or(LocalError::Room)?;
        let (head, rest) = record.split_at_mut(HEAD);
        let [a, b] = u16::try_from(body).map_err(|_| LocalError::Room)?.to_be_bytes();
        let aad = [content::APPLICATION_DATA, 3, 3, a, b];
        head.copy_from_slice(&aad);
        let (text, tail) = rest.split_at_mut(len);
        let (nonce, next) = self.nonce()?;
        // Whatever becomes of the sealing, this number is used up.
        self.sequence = next;
        // The content type travels as extra input, so the plaintext is never moved.
        let sealed = if padding == 0 {
            self.key.seal_in_place_scatter(nonce, Aad::from(aad), text, &[kind], tail)
        } else {
            let mut inner = vec![0; extra];
            if let Some(first) = inner.first_mut() {
                *first = kind;
            }
            self.key.seal_in_place_scatter(nonce, Aad::from(aad), text, &inner, tail)
        };
        sealed.map_err(|_| LocalError::Crypto("sealing"))?;
        Ok(HEAD + body)
    }

    /// Appends `body` as one protected record.
    ///
    /// # Errors
    /// As [`Protection::seal`].
    pub fn append(&mut self, kind: u8, body: &[u8], out: &mut Vec<u8>) -> Result<(), LocalError> {
        self.append_padded(kind, body, 0, out)
    }

    /// Appends `body` as one protected record that is `wire` bytes long, header included, whatever padding that takes.
    ///
    /// # Errors
    /// As [`Protection::seal`]; [`LocalError::Room`] where it does not fit.
    pub fn append_as_long(&mut self, kind: u8, body: &[u8], wire: usize, out: &mut Vec<u8>) -> Result<(), LocalError> {
        let padding = wire.checked_sub(HEAD + TAIL).and_then(|room| room.checked_sub(body.len()));
        self.append_padded(kind, body, padding.ok_or(LocalError::Room)?, out)
    }

    fn append_padded(&mut self, kind: u8, body: &[u8], padding: usize, out: &mut Vec<u8>) -> Result<(), LocalError> {
        let start = out.len();
        out.extend_from_slice(&[0; HEAD]);
        out.extend_from_slice(body);
        out.resize(out.len().saturating_add(padding).saturating_add(TAIL), 0);
        let sealed = self.seal(kind, out.get_mut(start..).unwrap_or_default(), body.len(), padding);
        if sealed.is_err() {
            out.truncate(start);
        }
        sealed.map(|_| ())
    }

    /// Opens one whole record in place: its inner type, and how much plaintext stands behind the header. A record that
    /// does not authenticate is not counted, so that a server can skip early data (section 4.2.10).
    ///
    /// # Errors
    /// `bad_record_mac`, also for records that are not protected at all; `record_overflow`; as BoringSSL,
    /// `decode_error` for a protected record that does not say so outside, and `decrypt_error` for one without a type,
    /// where section 5.4 has `unexpected_message` (ssl/tls_record.cc there).
    pub fn open(&mut self, record: &mut [u8]) -> Result<(u8, usize), RemoteError> {
        const MAC: RemoteError = RemoteError::new(Alert::BAD_RECORD_MAC, "a record does not authenticate");
        let (head, body) = record.split_first_chunk_mut::<HEAD>().ok_or(MAC)?;
        // A sequence number that is used up cannot be opened either; 2^64 records do not happen.
        let (nonce, next) = self.nonce().map_err(|_| MAC)?;
        let text = self.key.open_in_place(nonce, Aad::from(*head), body).map_err(|_| MAC)?;
        self.sequence = next;
        // Content, type and padding together have the limit of section 5.4.
        if text.len() > MAX_PLAIN + 1 {
            return Err(RemoteError::new(Alert::RECORD_OVERFLOW, "a record that is too long"));
        }
        if head.first() != Some(&content::APPLICATION_DATA) {
            return Err(RemoteError::decode("a protected record of another outer type"));
        }
        // TLSInnerPlaintext: content, type, zeros (section 5.4).
        let end = text.iter().rposition(|b| *b != 0);
        let end = end.ok_or(RemoteError::new(Alert::DECRYPT_ERROR, "a record without a type"))?;
        let kind = text.get(end).copied().unwrap_or_default();
        Ok((kind, end))
    }
}

/// Cuts `body` into unprotected handshake records: lengths from `cuts`, the rest in full ones. The legacy version of
/// the first hello is TLS 1.0 (RFC 8446 section 5.1).
pub(crate) fn plain_flight(legacy: u16, body: &[u8], cuts: &[usize], out: &mut Vec<u8>) {
    let mut rest = body;
    let mut cuts = cuts.iter();
    while !rest.is_empty() {
        let cut = cuts.next().copied().filter(|n| *n > 0).unwrap_or(MAX_PLAIN).min(MAX_PLAIN).min(rest.len());
        let (now, later) = rest.split_at(cut);
        plain(content::HANDSHAKE, legacy, now, out);
        rest = later;
    }
}

/// The dummy ChangeCipherSpec of middlebox compatibility (RFC 8446 appendix D.4).
pub(crate) fn change_cipher_spec(out: &mut Vec<u8>) {
    plain(content::CHANGE_CIPHER_SPEC, version::TLS12, &[1], out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(suite: Suite) -> Protection {
        let hash = suite.hash();
        Protection::new(suite, Secret::from_bytes(hash, &vec![7; hash.size()]).unwrap()).unwrap()
    }

    #[test]
    fn round_trips_with_padding_in_every_suite() {
        for suite in Suite::ALL {
            let (mut a, mut b) = (keys(suite), keys(suite));
            for (len, padding) in [(0, 0), (1, 0), (100, 37), (MAX_PLAIN, 0), (MAX_PLAIN - 5, 5)] {
                let mut room = vec![9; HEAD + len + padding + TAIL];
                let n = a.seal(content::APPLICATION_DATA, &mut room, len, padding).unwrap();
                assert_eq!(n, room.len());
                assert_eq!(header(&room, true).unwrap().unwrap().wire(), n);
                assert_eq!(b.open(&mut room).unwrap(), (content::APPLICATION_DATA, len));
                assert!(room[HEAD..HEAD + len].iter().all(|x| *x == 9));
            }
            a.update().unwrap();
            b.update().unwrap();
            let mut out = Vec::new();
            a.append(content::ALERT, &[1, 0], &mut out).unwrap();
            assert_eq!(b.open(&mut out).unwrap(), (content::ALERT, 2));
        }
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let mut record = Vec::new();
        keys(Suite::Aes128GcmSha256).append(22, b"message", &mut record).unwrap();
        for bit in 0..record.len() * 8 {
            let mut bad = record.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let error = keys(Suite::Aes128GcmSha256).open(&mut bad).unwrap_err();
            assert_eq!(error.alert, Alert::BAD_RECORD_MAC);
        }
    }

    #[test]
    fn limits() {
        let mut key = keys(Suite::Aes128GcmSha256);
        assert_eq!(key.seal(23, &mut [0; 20_000], MAX_PLAIN + 1, 0), Err(LocalError::Room));
        assert_eq!(key.seal(23, &mut [0; 20], 10, 0), Err(LocalError::Room));
        assert_eq!(header(&[23, 3, 3, 0x41, 1], true).unwrap_err().alert, Alert::RECORD_OVERFLOW);
        assert!(header(&[23, 3, 3, 0x41, 0], true).is_ok());
        assert_eq!(header(&[22, 3, 3, 0x40, 1], false).unwrap_err().alert, Alert::RECORD_OVERFLOW);
        assert_eq!(header(b"HTTP", false), Ok(None));
        assert_eq!(header(b"HTTP/", false).unwrap_err().alert, Alert::PROTOCOL_VERSION);
        assert_eq!(header(&[22, 3, 9, 0, 1], false), Ok(Some(Header { kind: 22, length: 1 })));
        assert_eq!(header(&[23, 3, 1, 0, 1], true).unwrap_err().alert, Alert::PROTOCOL_VERSION);
        assert_eq!(header(&[22, 3], false), Ok(None));
        // Only zeros inside: no type (section 5.4).
        let (mut a, mut b) = (keys(Suite::Aes128GcmSha256), keys(Suite::Aes128GcmSha256));
        let mut room = [0; HEAD + 4 + TAIL];
        a.seal(0, &mut room, 4, 0).unwrap();
        assert_eq!(b.open(&mut room).unwrap_err().alert, Alert::DECRYPT_ERROR);
        a.sequence = u64::MAX;
        assert_eq!(a.append(23, b"x", &mut Vec::new()), Err(LocalError::Exhausted));
    }
}
