//! TLS 1.3 record protection in the caller's buffers (RFC 8446 section 5), and the few handshake messages that may
//! follow a handshake (section 4.6: tickets and key updates).

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use super::{HEAD, MAX_PLAIN, Opened, TAIL, TlsError, Traffic};

const TAG: usize = 16;
/// ContentType values (RFC 8446 section 5.1).
const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
/// HandshakeType values (RFC 8446 section 4).
const NEW_SESSION_TICKET: u8 = 4;
const KEY_UPDATE: u8 = 24;
/// Records under one AES-GCM key: RFC 8446 section 5.5 allows 2^24.5 full-size ones; the key is changed well before.
const KEY_LIFETIME: u64 = 1 << 24;
/// Longest post-handshake message that is kept while its rest is missing: a ticket with two certificates' worth of
/// extensions fits twice; rustls, OpenSSL and BoringSSL send a few hundred bytes.
const MAX_HANDSHAKE: usize = 8_192;
/// Key updates the peer may ask for without any application data in between. Each costs us a key derivation.
const MAX_IDLE_UPDATES: u32 = 32;

/// The cipher of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    Aes128Gcm,
    Aes256Gcm,
    Chacha20Poly1305,
}

/// Key, nonce base and sequence number of one direction.
pub struct Protection {
    key: LessSafeKey,
    iv: [u8; NONCE_LEN],
    sequence: u64,
}

impl Protection {
    /// # Errors
    /// [`TlsError::Internal`] where the key does not have the suite's length.
    pub fn new(suite: Suite, key: &[u8], iv: [u8; NONCE_LEN], sequence: u64) -> Result<Self, TlsError> {
        let algorithm = match suite {
            Suite::Aes128Gcm => &AES_128_GCM,
            Suite::Aes256Gcm => &AES_256_GCM,
            Suite::Chacha20Poly1305 => &CHACHA20_POLY1305,
        };
        let key = UnboundKey::new(algorithm, key).map_err(|_| TlsError::Internal)?;
        Ok(Self { key: LessSafeKey::new(key), iv, sequence })
    }

    /// Per-record nonce: the sequence number, left-padded, XOR the static IV (RFC 8446 section 5.3).
    fn next_nonce(&mut self) -> Result<Nonce, TlsError> {
        let mut nonce = self.iv;
        for (byte, s) in nonce.iter_mut().skip(NONCE_LEN - 8).zip(self.sequence.to_be_bytes()) {
            *byte ^= s;
        }
        self.sequence = self.sequence.checked_add(1).ok_or(TlsError::Internal)?;
        Ok(Nonce::assume_unique_for_key(nonce))
    }
}

/// Where the next keys come from: whoever holds the traffic secrets after the handshake.
pub trait KeySource: Send {
    /// The next key of our sending direction (RFC 8446 section 7.2).
    ///
    /// # Errors
    /// [`TlsError::Internal`] if the handshake's owner cannot derive it.
    fn next_send(&mut self) -> Result<Protection, TlsError>;
    /// The next key of the receiving direction.
    ///
    /// # Errors
    /// As [`KeySource::next_send`].
    fn next_receive(&mut self) -> Result<Protection, TlsError>;
    /// A session ticket came; kept for a later resumption. `true` where tickets make sense (we are the client).
    fn ticket(&mut self, message: &[u8]) -> bool;
}

/// Both directions of a TLS 1.3 connection.
pub struct Records {
    send: Protection,
    receive: Protection,
    keys: Box<dyn KeySource>,
    pending: Vec<u8>,
    handshake: Vec<u8>,
    idle_updates: u32,
    closed: bool,
}

impl Records {
    #[must_use]
    pub fn new(send: Protection, receive: Protection, keys: Box<dyn KeySource>) -> Self {
        Self { send, receive, keys, pending: Vec::new(), handshake: Vec::new(), idle_updates: 0, closed: false }
    }

    fn seal_as(&mut self, kind: u8, room: &mut [u8], len: usize) -> Result<usize, TlsError> {
        let inner = len.checked_add(1 + TAG).filter(|_| len <= MAX_PLAIN).ok_or(TlsError::Internal)?;
        let total = HEAD + inner;
        let record = room.get_mut(..total).ok_or(TlsError::Internal)?;
        let (head, body) = record.split_at_mut(HEAD);
        let wire = u16::try_from(inner).map_err(|_| TlsError::Internal)?.to_be_bytes();
        let aad = [APPLICATION_DATA, 3, 3, wire[0], wire[1]];
        head.copy_from_slice(&aad);
        let (plain, tail) = body.split_at_mut(len);
        let nonce = self.send.next_nonce()?;
        // The inner content type travels as "extra" input, so that the plaintext needs no move.
        self.send
            .key
            .seal_in_place_scatter(nonce, Aad::from(aad), plain, &[kind], tail)
            .map_err(|_| TlsError::Internal)?;
        Ok(total)
    }

    fn queue(&mut self, kind: u8, message: &[u8]) {
        let start = self.pending.len();
        self.pending.resize(start + HEAD + message.len() + TAIL, 0);
        let mut record = self.pending.split_off(start);
        if let Some(plain) = record.get_mut(HEAD..HEAD + message.len()) {
            plain.copy_from_slice(message);
        }
        if let Ok(total) = self.seal_as(kind, &mut record, message.len()) {
            record.truncate(total);
            self.pending.append(&mut record);
        }
    }

    /// Queues a fatal alert and returns the error it stands for.
    fn fail(&mut self, alert: u8, error: TlsError) -> TlsError {
        if !self.closed {
            self.queue(ALERT, &[2, alert]);
            self.closed = true;
        }
        error
    }

    fn update_send(&mut self) -> Result<(), TlsError> {
        // request_update = update_not_requested(0) (RFC 8446 section 4.6.3); the message itself uses the old key.
        self.queue(HANDSHAKE, &[KEY_UPDATE, 0, 0, 1, 0]);
        self.send = self.keys.next_send()?;
        Ok(())
    }

    /// Handles post-handshake messages; they may be split over records and several may share one.
    fn messages(&mut self, bytes: &[u8]) -> Result<(), TlsError> {
        self.handshake.extend_from_slice(bytes);
        loop {
            let (kind, length) = match *self.handshake.as_slice() {
                [kind, a, b, c, ..] => (kind, u32::from_be_bytes([0, a, b, c]) as usize),
                _ => return Ok(()),
            };
            if length > MAX_HANDSHAKE {
                return Err(self.fail(50, TlsError::Protocol)); // decode_error
            }
            if self.handshake.len() < 4 + length {
                return Ok(());
            }
            let rest = self.handshake.split_off(4 + length);
            let message = std::mem::replace(&mut self.handshake, rest);
            let body = message.get(4..).unwrap_or_default();
            match kind {
                NEW_SESSION_TICKET if self.keys.ticket(body) => {}
                KEY_UPDATE => {
                    self.idle_updates += 1;
                    // Section 5.1: a key change must fall on a record boundary.
                    let whole = self.handshake.is_empty();
                    match *body {
                        [request @ (0 | 1)] if whole && self.idle_updates <= MAX_IDLE_UPDATES => {
                            self.receive = self.keys.next_receive()?;
                            if request == 1 {
                                self.update_send()?;
                            }
                        }
                        [0 | 1] => return Err(self.fail(10, TlsError::Protocol)), // unexpected_message
                        [_] => return Err(self.fail(47, TlsError::Protocol)),     // illegal_parameter
                        _ => return Err(self.fail(50, TlsError::Protocol)),       // decode_error
                    }
                }
                _ => return Err(self.fail(10, TlsError::Protocol)), // unexpected_message
            }
        }
    }
}

impl Traffic for Records {
    fn open(&mut self, buffer: &mut [u8]) -> Result<Opened, TlsError> {
        let (kind, length) = match *buffer {
            [kind, _, _, a, b, ..] => (kind, usize::from(u16::from_be_bytes([a, b]))),
            _ => return Ok(Opened::Partial),
        };
        if kind != APPLICATION_DATA {
            // A middlebox-compatibility CCS belongs to the handshake (RFC 8446 appendix D.4); so does plaintext.
            let alert = if kind == CHANGE_CIPHER_SPEC || kind == HANDSHAKE || kind == ALERT { 10 } else { 70 };
            return Err(self.fail(alert, TlsError::Protocol));
        }
        if length > MAX_PLAIN + 256 {
            return Err(self.fail(22, TlsError::Protocol)); // record_overflow
        }
        let wire = HEAD + length;
        let Some(record) = buffer.get_mut(..wire) else { return Ok(Opened::Partial) };
        let (head, body) = record.split_at_mut(HEAD);
        let aad: [u8; HEAD] = (&*head).try_into().map_err(|_| TlsError::Internal)?;
        let nonce = self.receive.next_nonce()?;
        let Ok(plain) = self.receive.key.open_in_place(nonce, Aad::from(aad), body) else {
            return Err(self.fail(20, TlsError::Decrypt)); // bad_record_mac
        };
        // TLSInnerPlaintext: content, type, zero padding (section 5.4).
        let end = match plain.iter().rposition(|&b| b != 0) {
            Some(at) => at,
            None => return Err(self.fail(10, TlsError::Protocol)),
        };
        if end > MAX_PLAIN {
            return Err(self.fail(22, TlsError::Protocol));
        }
        let inner = plain.get(end).copied().unwrap_or_default();
        match inner {
            APPLICATION_DATA if end == 0 => Ok(Opened::Quiet { wire }),
            APPLICATION_DATA => {
                self.idle_updates = 0;
                Ok(Opened::Data { wire, plain: HEAD..HEAD + end })
            }
            HANDSHAKE if end > 0 => {
                let bytes = plain.get(..end).unwrap_or_default().to_vec();
                self.messages(&bytes)?;
                Ok(Opened::Quiet { wire })
            }
            ALERT => match plain.get(..end) {
                Some([_, 0]) => Ok(Opened::Closed { wire }), // close_notify
                Some([_, _]) => {
                    self.closed = true;
                    Err(TlsError::PeerAlert)
                }
                _ => Err(self.fail(50, TlsError::Protocol)),
            },
            _ => Err(self.fail(10, TlsError::Protocol)),
        }
    }

    fn seal(&mut self, room: &mut [u8], len: usize) -> Result<usize, TlsError> {
        if self.closed {
            return Err(TlsError::Internal);
        }
        let total = self.seal_as(APPLICATION_DATA, room, len)?;
        if self.send.sequence >= KEY_LIFETIME {
            self.update_send()?;
        }
        Ok(total)
    }

    fn pending(&mut self) -> &mut Vec<u8> {
        &mut self.pending
    }

    fn close(&mut self) {
        if !self.closed {
            self.queue(ALERT, &[1, 0]);
            self.closed = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys that count up, so that both ends of a test agree after an update.
    struct Counting(u8, u8);

    impl KeySource for Counting {
        fn next_send(&mut self) -> Result<Protection, TlsError> {
            self.0 += 1;
            Protection::new(Suite::Aes128Gcm, &[self.0; 16], [self.0; NONCE_LEN], 0)
        }
        fn next_receive(&mut self) -> Result<Protection, TlsError> {
            self.1 += 1;
            Protection::new(Suite::Aes128Gcm, &[self.1; 16], [self.1; NONCE_LEN], 0)
        }
        fn ticket(&mut self, _message: &[u8]) -> bool {
            true
        }
    }

    fn pair() -> (Records, Records) {
        let p = |k: u8| Protection::new(Suite::Aes128Gcm, &[k; 16], [k; NONCE_LEN], 0).unwrap();
        (Records::new(p(1), p(101), Box::new(Counting(1, 101))), Records::new(p(101), p(1), Box::new(Counting(101, 1))))
    }

    fn sealed(from: &mut Records, plain: &[u8]) -> Vec<u8> {
        let mut room = vec![0; HEAD + plain.len() + TAIL];
        room[HEAD..HEAD + plain.len()].copy_from_slice(plain);
        let total = from.seal(&mut room, plain.len()).unwrap();
        room.truncate(total);
        room
    }

    #[test]
    fn round_trip_and_partial() {
        let (mut a, mut b) = pair();
        for size in [1, 100, MAX_PLAIN] {
            let plain = vec![7; size];
            let mut record = sealed(&mut a, &plain);
            assert_eq!(record.len(), HEAD + size + 1 + TAG);
            for cut in [0, 4, 5, record.len() - 1] {
                assert_eq!(b.open(&mut record[..cut]).unwrap(), Opened::Partial);
            }
            let Opened::Data { wire, plain: range } = b.open(&mut record).unwrap() else { panic!("no data") };
            assert_eq!((wire, &record[range]), (record.len(), plain.as_slice()));
        }
    }

    #[test]
    fn every_flipped_bit_is_refused_with_an_alert() {
        let (mut a, _) = pair();
        let record = sealed(&mut a, b"the quick brown fox");
        for bit in 0..record.len() * 8 {
            let (_, mut b) = pair();
            let mut bad = record.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            match b.open(&mut bad) {
                Ok(Opened::Partial) => assert!((24..40).contains(&bit), "only the length may leave it open: {bit}"),
                // The version bytes are authenticated too, so nothing else gets through.
                Ok(other) => panic!("bit {bit}: {other:?}"),
                Err(_) => assert!(!b.pending().is_empty()),
            }
        }
    }

    #[test]
    fn key_updates_in_both_directions() {
        let (mut a, mut b) = pair();
        a.queue(HANDSHAKE, &[KEY_UPDATE, 0, 0, 1, 1]);
        a.send = a.keys.next_send().unwrap();
        let mut update = std::mem::take(a.pending());
        assert!(matches!(b.open(&mut update).unwrap(), Opened::Quiet { .. }));
        let mut answer = std::mem::take(b.pending());
        assert!(matches!(a.open(&mut answer).unwrap(), Opened::Quiet { .. }));
        let mut one = sealed(&mut a, b"up");
        assert!(matches!(b.open(&mut one).unwrap(), Opened::Data { .. }));
        let mut two = sealed(&mut b, b"down");
        assert!(matches!(a.open(&mut two).unwrap(), Opened::Data { .. }));
    }

    #[test]
    fn endless_key_updates_are_refused() {
        let (mut a, mut b) = pair();
        for round in 0..=MAX_IDLE_UPDATES {
            a.queue(HANDSHAKE, &[KEY_UPDATE, 0, 0, 1, 0]);
            a.send = a.keys.next_send().unwrap();
            let mut update = std::mem::take(a.pending());
            assert_eq!(b.open(&mut update).is_ok(), round < MAX_IDLE_UPDATES, "round {round}");
        }
    }

    #[test]
    fn messages_that_do_not_belong_here_are_refused() {
        for message in [&[1u8, 0, 0, 0][..], &[KEY_UPDATE, 0, 0, 1, 2], &[KEY_UPDATE, 0, 0, 0], &[4, 0xff, 0, 0]] {
            let (mut a, mut b) = pair();
            a.queue(HANDSHAKE, message);
            let mut record = std::mem::take(a.pending());
            assert_eq!(b.open(&mut record), Err(TlsError::Protocol), "{message:?}");
        }
    }

    #[test]
    fn close_is_orderly_and_final() {
        let (mut a, mut b) = pair();
        a.close();
        a.close();
        let mut record = std::mem::take(a.pending());
        assert!(matches!(b.open(&mut record).unwrap(), Opened::Closed { .. }));
        assert_eq!(a.seal(&mut [0; 128], 3), Err(TlsError::Internal));
    }
}
