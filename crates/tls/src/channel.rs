//! A handshake's records, both sides: whole records in, handshake messages out, and what we say in return.
//!
//! | record | before keys | under keys |
//! |---|---|---|
//! | handshake | yes | only protected |
//! | change_cipher_spec | dropped, at most 32 | dropped, at most 32 (RFC 8446 section 5, appendix D.4) |
//! | alert | yes | only protected |
//! | application data | never | the envelope of all else; as inner type never |
//!
//! Limits follow BoringSSL where the RFC gives none: 32 empty or dropped records, messages of 16 KiB, certificates of
//! 100 KiB, each answered with the alert Chrome would send (ssl/tls_record.cc, ssl/handshake.cc there).

use crate::alert::Alert;
use crate::error::{Error, LocalError, RemoteError};
use crate::names::{content, message, version};
use crate::record::{self, HEAD, MAX_PLAIN, Protection};

/// Records in a row that carry nothing.
const MAX_IDLE_RECORDS: u32 = 32;
/// Longest handshake message that is no certificate.
pub(crate) const MAX_MESSAGE: usize = 16_384;
/// Longest certificate message, compressed or not.
pub(crate) const MAX_CERTIFICATE: usize = 102_400;

/// Puts handshake messages together from records.
#[derive(Default)]
pub(crate) struct Joiner {
    bytes: Vec<u8>,
    at: usize,
}

impl Joiner {
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
        let Some(&[kind, a, b, c]) = rest.first_chunk::<4>() else { return Ok(None) };
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        let limit = match kind {
            message::CERTIFICATE | message::COMPRESSED_CERTIFICATE => MAX_CERTIFICATE,
            _ => MAX_MESSAGE,
        };
        if length > limit {
            return Err(RemoteError::illegal("a handshake message that is too long"));
        }
        let whole = length.saturating_add(4);
        let Some(message) = rest.get(..whole) else { return Ok(None) };
        let message = message.to_vec();
        self.at = self.at.saturating_add(whole);
        Ok(Some(message))
    }
}

/// How many records in a row may carry nothing; none for any number, which only a cover's manners can ask for.
pub(crate) struct MaxIdle(pub(crate) Option<u32>);

impl Default for MaxIdle {
    fn default() -> Self {
        Self(Some(MAX_IDLE_RECORDS))
    }
}

/// Both directions while hands are shaken.
#[derive(Default)]
pub(crate) struct Channel {
    pub(crate) read: Option<Protection>,
    pub(crate) write: Option<Protection>,
    messages: Joiner,
    idle: u32,
    pub(crate) max_idle: MaxIdle,
    /// Whether a dummy ChangeCipherSpec of ours is still due before the first protected record.
    pub(crate) spec_due: bool,
    /// Whether one of the peer's may come: not before the first hello (RFC 8446 section 5).
    pub(crate) spec_allowed: bool,
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
        let (kind, length) = match (&mut self.read, header.kind) {
            (_, content::CHANGE_CIPHER_SPEC) => {
                if !self.spec_allowed || bytes.get(HEAD..) != Some(&[1]) {
                    return Err(RemoteError::unexpected("change_cipher_spec").into());
                }
                self.idle()?;
                return Ok(Some(wire));
            }
            (Some(keys), content::APPLICATION_DATA) => keys.open(bytes)?,
            (Some(_), _) => return Err(RemoteError::unexpected("an unprotected record").into()),
            (None, kind) => (kind, header.length),
        };
        if self.read.is_some() && self.size_limit.is_some_and(|limit| length >= limit) {
            return Err(RemoteError::new(Alert::RECORD_OVERFLOW, "longer than the record size limit").into());
        }
        let body = bytes.get(HEAD..HEAD.saturating_add(length)).unwrap_or_default();
        match kind {
            content::HANDSHAKE if body.is_empty() => Err(RemoteError::unexpected("an empty handshake record").into()),
            content::HANDSHAKE => {
                self.idle = 0;
                self.messages.push(body);
                Ok(Some(wire))
            }
            content::ALERT => self.alert(body).map(|()| Some(wire)),
            _ => Err(RemoteError::unexpected("not a handshake record").into()),
        }
    }

    fn idle(&mut self) -> Result<(), RemoteError> {
        self.idle = self.idle.saturating_add(1);
        let over = self.max_idle.0.is_some_and(|most| self.idle > most);
        if over { Err(RemoteError::unexpected("too many idle records")) } else { Ok(()) }
    }

    fn alert(&mut self, body: &[u8]) -> Result<(), Error> {
        match *body {
            // Section 6.1: user_canceled announces a close_notify and ends nothing.
            [_, kind] if Alert(kind) == Alert::USER_CANCELED => self.idle().map_err(Error::from),
            [_, kind] => Err(Error::Peer(Alert(kind))),
            _ => Err(RemoteError::decode("an alert of a wrong length").into()),
        }
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
        let Some(keys) = &mut self.write else {
            record::plain_flight(version::TLS12, body, &[], out);
            return Ok(());
        };
        if std::mem::take(&mut self.spec_due) {
            record::change_cipher_spec(out);
        }
        let most = self.send_limit.map_or(MAX_PLAIN, |n| n.saturating_sub(1).clamp(1, MAX_PLAIN));
        for piece in body.chunks(most) {
            keys.append(content::HANDSHAKE, piece, out)?;
        }
        Ok(())
    }

    /// Says why it ends.
    pub(crate) fn fail(&mut self, error: &Error, out: &mut Vec<u8>) {
        let Some(alert) = error.due() else { return };
        match &mut self.write {
            Some(keys) => {
                // As any first protected record of a side, the alert has the dummy in front (appendix D.4).
                if std::mem::take(&mut self.spec_due) {
                    record::change_cipher_spec(out);
                }
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
    fn idle_records_are_counted() {
        let mut channel = Channel { spec_allowed: true, ..Channel::default() };
        let mut spec = Vec::new();
        record::change_cipher_spec(&mut spec);
        for _ in 0..MAX_IDLE_RECORDS {
            assert_eq!(channel.take(&mut spec), Ok(Some(6)));
        }
        assert_eq!(channel.take(&mut spec), Err(RemoteError::unexpected("too many idle records").into()));
    }

    #[test]
    fn what_does_not_belong_is_refused() {
        let cases: [(&[u8], Alert); 6] = [
            (&[22, 3, 3, 0, 0], Alert::UNEXPECTED_MESSAGE),
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
