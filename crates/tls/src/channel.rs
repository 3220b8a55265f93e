//! A handshake's records, both sides: whole records in, handshake messages out, and what we say in return.
//!
//! | record | before keys | under keys |
//! |---|---|---|
//! | handshake | yes | only protected |
//! | change_cipher_spec | dropped, at most 32 in a row, once the version is settled (appendix D.4) | the same |
//! | alert | yes | only protected |
//! | application data | never, but for early data that a server skips | the envelope of all else; as inner type never |
//!
//! Limits follow BoringSSL where the RFC gives none: 32 empty or dropped records, 4 warnings, messages of 16 KiB to a
//! server and 100 KiB to a client, 16 KiB of skipped early data, each answered with the alert Chrome would send
//! (ssl/tls_record.cc, ssl/handshake.cc there). Where RFC 8446 section 5 has change_cipher_spec dropped from the first
//! hello on, BoringSSL waits for the ServerHello, and so do we.

use crate::alert::{Alert, Heard, MAX_WARNINGS, hear};
use crate::error::{Error, LocalError, RemoteError};
use crate::names::{content, version};
use crate::record::{self, HEAD, MAX_PLAIN, Protection};

/// Records in a row that carry nothing (kMaxEmptyRecords).
const MAX_EMPTY: u32 = 32;
/// Longest handshake message to a server (kMaxMessageLen).
pub(crate) const MAX_MESSAGE: usize = 16_384;
/// Longest certificate message, compressed or not, and any message to a client (max_cert_list).
pub(crate) const MAX_CERTIFICATE: usize = 102_400;
/// Early data that a server skips, records with their headers (kMaxEarlyDataSkipped).
pub(crate) const MAX_SKIPPED: usize = 16_384;

/// How many records in a row may carry nothing; none for any number, which only a cover's manners can ask for.
pub(crate) struct MaxIdle(pub(crate) Option<u32>);

impl Default for MaxIdle {
    fn default() -> Self {
        Self(Some(MAX_EMPTY))
    }
}

/// Records without content, in a row.
#[derive(Default)]
pub(crate) struct Empties {
    count: u32,
    most: MaxIdle,
}

impl Empties {
    /// Counts a record that is dropped or has no content.
    pub(crate) fn one(&mut self) -> Result<(), RemoteError> {
        self.count = self.count.saturating_add(1);
        let over = self.most.0.is_some_and(|most| self.count > most);
        if over { Err(RemoteError::unexpected("too many empty records")) } else { Ok(()) }
    }

    /// Another limit.
    pub(crate) fn bear(&mut self, most: MaxIdle) {
        self.most = most;
    }

    /// Looks at the content of a record.
    pub(crate) fn see(&mut self, body: &[u8]) -> Result<(), RemoteError> {
        if body.is_empty() {
            return self.one();
        }
        self.count = 0;
        Ok(())
    }
}

/// Warnings in a row.
#[derive(Default)]
pub(crate) struct Warnings(u32);

impl Warnings {
    pub(crate) fn one(&mut self) -> Result<(), RemoteError> {
        self.0 = self.0.saturating_add(1);
        if self.0 > MAX_WARNINGS { Err(RemoteError::unexpected("too many warnings")) } else { Ok(()) }
    }

    pub(crate) fn over(&mut self) {
        self.0 = 0;
    }
}

/// Puts handshake messages together from records.
pub(crate) struct Joiner {
    bytes: Vec<u8>,
    at: usize,
    /// Longest message.
    pub(crate) most: usize,
}

impl Default for Joiner {
    fn default() -> Self {
        Self { bytes: Vec::new(), at: 0, most: MAX_MESSAGE }
    }
}

impl Joiner {
    pub(crate) fn with_most(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.at > 0 {
            self.bytes.drain(..self.at.min(self.bytes.len()));
            self.at = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// The next whole message, header included.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>, RemoteError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let Some(&[_, a, b, c]) = rest.first_chunk::<4>() else { return Ok(None) };
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        if length > self.most {
            return Err(RemoteError::illegal("a handshake message that is too long"));
        }
        let whole = length.saturating_add(4);
        let Some(message) = rest.get(..whole) else { return Ok(None) };
        let message = message.to_vec();
        self.at = self.at.saturating_add(whole);
        Ok(Some(message))
    }
}

/// Both directions while hands are shaken.
#[derive(Default)]
pub(crate) struct Channel {
    pub(crate) read: Option<Protection>,
    pub(crate) write: Option<Protection>,
    pub(crate) messages: Joiner,
    pub(crate) empties: Empties,
    warnings: Warnings,
    /// Whether a dummy ChangeCipherSpec of ours is due before whatever we say next (RFC 8446 appendix D.4).
    pub(crate) spec_due: bool,
    /// Whether one of the peer's may come: once both sides know that this is TLS 1.3.
    pub(crate) spec_allowed: bool,
    /// How much early data a server may still skip; none once a record was understood (section 4.2.10).
    pub(crate) skip: Option<usize>,
    /// Largest inner plaintext, type included, that we promised to accept (RFC 8449 section 4).
    pub(crate) size_limit: Option<usize>,
    /// The same promise of the peer.
    pub(crate) send_limit: Option<usize>,
}

impl Channel {
    /// Takes one whole record off `input`; `None` where there is none. Messages are asked for with [`Channel::next`].
    pub(crate) fn take(&mut self, input: &mut [u8]) -> Result<Option<usize>, Error> {
        let Some(header) = record::header(input, self.read.is_some())? else { return Ok(None) };
        let wire = header.wire();
        let Some(bytes) = input.get_mut(..wire) else { return Ok(None) };
        if header.kind == content::CHANGE_CIPHER_SPEC && self.spec_allowed && bytes.get(HEAD..) == Some(&[1]) {
            self.empties.one()?;
            return Ok(Some(wire));
        }
        let (kind, length) = match &mut self.read {
            // Between a retry and the second hello, early data cannot even be tried.
            None if header.kind == content::APPLICATION_DATA && self.skip.is_some() => return self.skip(wire),
            None => (header.kind, header.length),
            // What is not protected does not authenticate either.
            Some(keys) => match keys.open(bytes) {
                Err(error) if error.alert == Alert::BAD_RECORD_MAC && self.skip.is_some() => return self.skip(wire),
                opened => opened?,
            },
        };
        self.skip = None;
        if self.read.is_some() && self.size_limit.is_some_and(|limit| length >= limit) {
            return Err(RemoteError::new(Alert::RECORD_OVERFLOW, "longer than the record size limit").into());
        }
        let body = bytes.get(HEAD..HEAD.saturating_add(length)).unwrap_or_default();
        self.empties.see(body)?;
        match kind {
            content::HANDSHAKE => {
                self.warnings.over();
                self.messages.push(body);
                Ok(Some(wire))
            }
            content::ALERT => match hear(body, self.spec_allowed)? {
                Heard::Close => Err(Error::Peer(Alert::CLOSE_NOTIFY)),
                Heard::Warning => Ok(self.warnings.one().map(|()| Some(wire))?),
            },
            _ => Err(RemoteError::unexpected("not a handshake record").into()),
        }
    }

    /// Early data that was refused, in a record of so many bytes.
    fn skip(&mut self, wire: usize) -> Result<Option<usize>, Error> {
        const TOO_MUCH: RemoteError = RemoteError::unexpected("too much early data to skip");
        self.skip = Some(self.skip.and_then(|left| left.checked_sub(wire)).ok_or(TOO_MUCH)?);
        Ok(Some(wire))
    }

    pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>, RemoteError> {
        self.messages.next()
    }

    /// Keys change only between records (RFC 8446 section 5.1).
    pub(crate) fn boundary(&self) -> Result<(), RemoteError> {
        if self.messages.is_empty() { Ok(()) } else { Err(RemoteError::unexpected("a message across a key change")) }
    }

    pub(crate) fn change_read(&mut self, keys: Protection) -> Result<(), RemoteError> {
        self.boundary()?;
        self.read = Some(keys);
        Ok(())
    }

    /// Sends handshake messages, as few records as they fit in.
    pub(crate) fn send(&mut self, body: &[u8], out: &mut Vec<u8>) -> Result<(), LocalError> {
        if std::mem::take(&mut self.spec_due) {
            record::change_cipher_spec(out);
        }
        let Some(keys) = &mut self.write else {
            record::plain_flight(version::TLS12, body, &[], out);
            return Ok(());
        };
        let most = self.send_limit.map_or(MAX_PLAIN, |n| n.saturating_sub(1).clamp(1, MAX_PLAIN));
        for piece in body.chunks(most) {
            keys.append(content::HANDSHAKE, piece, out)?;
        }
        Ok(())
    }

    /// Says why it ends.
    pub(crate) fn fail(&mut self, error: &Error, out: &mut Vec<u8>) {
        let Some(alert) = error.due() else { return };
        // Whatever a side says first behind the first hellos has the dummy in front, protected or not.
        if std::mem::take(&mut self.spec_due) {
            record::change_cipher_spec(out);
        }
        match &mut self.write {
            Some(keys) => {
                // Where even sealing fails there is nothing left to say.
                let _ = keys.append(content::ALERT, &alert.message(), out);
            }
            None => record::plain(content::ALERT, version::TLS12, &alert.message(), out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_joined_across_records_and_split_within_one() {
        let mut channel = Channel::default();
        let mut records = Vec::new();
        let both = [&[8, 0, 0, 3, 1, 2, 3][..], &[20, 0, 0, 0]].concat();
        record::plain_flight(version::TLS12, &both, &[2, 3], &mut records);
        let mut taken = 0;
        while let Some(n) = channel.take(&mut records[taken..]).unwrap() {
            taken += n;
        }
        assert_eq!(taken, records.len());
        assert_eq!(channel.next().unwrap().unwrap(), [8, 0, 0, 3, 1, 2, 3]);
        assert!(channel.boundary().is_err());
        assert_eq!(channel.next().unwrap().unwrap(), [20, 0, 0, 0]);
        assert_eq!(channel.next().unwrap(), None);
        channel.boundary().unwrap();
    }

    #[test]
    fn empty_records_are_counted() {
        let mut channel = Channel { spec_allowed: true, ..Channel::default() };
        let mut spec = Vec::new();
        record::change_cipher_spec(&mut spec);
        for _ in 0..MAX_EMPTY {
            assert_eq!(channel.take(&mut spec), Ok(Some(6)));
        }
        assert_eq!(channel.take(&mut spec), Err(RemoteError::unexpected("too many empty records").into()));
    }

    #[test]
    fn early_data_is_skipped_up_to_its_limit() {
        let mut data = vec![0; 1_000];
        data[..HEAD].copy_from_slice(&[23, 3, 3, 3, 0xe3]);
        let mut channel = Channel { skip: Some(2_500), ..Channel::default() };
        assert_eq!(channel.take(&mut data), Ok(Some(1_000)));
        assert_eq!(channel.take(&mut data), Ok(Some(1_000)));
        assert_eq!(channel.take(&mut data).unwrap_err().due(), Some(Alert::UNEXPECTED_MESSAGE));
        // What is understood ends it.
        let mut channel = Channel { skip: Some(2_500), ..Channel::default() };
        let mut hello = [&[22, 3, 3, 0, 4][..], &[1, 0, 0, 0]].concat();
        assert_eq!(channel.take(&mut hello), Ok(Some(9)));
        assert_eq!(channel.take(&mut data).unwrap_err().due(), Some(Alert::UNEXPECTED_MESSAGE));
    }

    #[test]
    fn warnings_are_dropped_and_counted() {
        let mut channel = Channel::default();
        for _ in 0..MAX_WARNINGS {
            assert_eq!(channel.take(&mut [21, 3, 3, 0, 2, 1, 112]), Ok(Some(7)));
        }
        assert_eq!(channel.take(&mut [21, 3, 3, 0, 2, 1, 112]).unwrap_err().due(), Some(Alert::UNEXPECTED_MESSAGE));
        let mut channel = Channel { spec_allowed: true, ..Channel::default() };
        assert_eq!(channel.take(&mut [21, 3, 3, 0, 2, 1, 90]), Ok(Some(7)));
        assert_eq!(channel.take(&mut [21, 3, 3, 0, 2, 1, 112]).unwrap_err().due(), Some(Alert::DECODE_ERROR));
    }

    #[test]
    fn what_does_not_belong_is_refused() {
        let cases: [(&[u8], Alert); 7] = [
            (&[22, 2, 3, 0, 1, 0], Alert::PROTOCOL_VERSION),
            (b"HTTP/1.1 400", Alert::PROTOCOL_VERSION),
            (&[23, 3, 3, 0, 1, 0], Alert::UNEXPECTED_MESSAGE),
            (&[20, 3, 3, 0, 1, 1], Alert::UNEXPECTED_MESSAGE),
            (&[21, 3, 3, 0, 1, 1], Alert::DECODE_ERROR),
            (&[99, 3, 3, 0, 1, 1], Alert::UNEXPECTED_MESSAGE),
            (&[22, 3, 3, 0xff, 0xff], Alert::RECORD_OVERFLOW),
        ];
        for (bytes, alert) in cases {
            let error = Channel::default().take(&mut bytes.to_vec()).unwrap_err();
            assert_eq!(error.due(), Some(alert), "{bytes:?}");
        }
        let error = Channel::default().take(&mut [21, 3, 3, 0, 2, 2, 40]).unwrap_err();
        assert_eq!(error, Error::Peer(Alert::HANDSHAKE_FAILURE));
        let mut joiner = Joiner::default();
        joiner.push(&[8, 0, 0x40, 1]);
        assert_eq!(joiner.next().unwrap_err().alert, Alert::ILLEGAL_PARAMETER);
    }
}
