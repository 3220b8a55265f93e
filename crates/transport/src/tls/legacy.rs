//! TLS 1.2 records, which only strangers of the cover send us: rustls protects them, with its copies.

use rustls::unbuffered::{ConnectionState, EncryptError};

use super::unbuffered::{Side, classify, encode_into, take_alert};
use super::{HEAD, MAX_RECORD, Opened, TAIL, TlsError, Traffic};

pub(super) struct Legacy<S: Side> {
    side: S,
    pending: Vec<u8>,
    scratch: Vec<u8>,
    closed: bool,
}

impl<S: Side> Legacy<S> {
    pub(super) fn new(side: S) -> Self {
        Self { side, pending: Vec::new(), scratch: Vec::new(), closed: false }
    }

    /// Moves what rustls wants to send (the refusal of a renegotiation, say) to `pending`.
    fn collect(&mut self) {
        // More than rustls ever queues at once; the bound only guards against a loop that would not end.
        for _ in 0..4 {
            match self.side.process(&mut []).state {
                Ok(ConnectionState::EncodeTlsData(mut encode)) => encode_into(&mut encode, &mut self.pending),
                Ok(ConnectionState::TransmitTlsData(transmit)) => transmit.done(),
                _ => return,
            }
        }
    }
}

impl<S: Side> Traffic for Legacy<S> {
    fn open(&mut self, buffer: &mut [u8]) -> Result<Opened, TlsError> {
        if self.closed {
            return Err(TlsError::Protocol);
        }
        let length = match *buffer {
            [_, _, _, a, b, ..] => HEAD + usize::from(u16::from_be_bytes([a, b])),
            _ => return Ok(Opened::Partial),
        };
        if length > MAX_RECORD {
            return Err(TlsError::Protocol);
        }
        // Exactly one record a call, so that its plaintext fits back where it came from.
        let Some(record) = buffer.get_mut(..length) else { return Ok(Opened::Partial) };
        self.scratch.clear();
        let mut closed = false;
        let mut failed = None;
        let status = self.side.process(record);
        let discard = status.discard;
        match status.state {
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                while let Some(record) = traffic.next_record() {
                    match record {
                        Ok(record) => self.scratch.extend_from_slice(record.payload),
                        Err(error) => failed = Some(classify(&error)),
                    }
                }
            }
            Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => closed = true,
            Ok(_) => {}
            Err(error) => failed = Some(classify(&error)),
        }
        if failed.is_some() {
            take_alert(&mut self.side, record.get_mut(discard.min(length)..).unwrap_or_default(), &mut self.pending);
        } else {
            self.collect();
        }
        if let Some(error) = failed {
            self.closed = true;
            return Err(error);
        }
        if closed {
            return Ok(Opened::Closed { wire: length });
        }
        if self.scratch.is_empty() {
            return Ok(Opened::Quiet { wire: length });
        }
        let plain = HEAD..HEAD + self.scratch.len();
        match buffer.get_mut(plain.clone()) {
            Some(place) => place.copy_from_slice(&self.scratch),
            None => return Err(TlsError::Internal),
        }
        Ok(Opened::Data { wire: length, plain })
    }

    fn seal(&mut self, room: &mut [u8], len: usize) -> Result<usize, TlsError> {
        if self.closed {
            return Err(TlsError::Internal);
        }
        let plain = room.get(HEAD..HEAD + len).ok_or(TlsError::Internal)?.to_vec();
        let room = room.get_mut(..HEAD + len + TAIL).ok_or(TlsError::Internal)?;
        match self.side.process(&mut []).state {
            Ok(ConnectionState::WriteTraffic(mut write)) => match write.encrypt(&plain, room) {
                Ok(total) => Ok(total),
                Err(EncryptError::InsufficientSize(_) | EncryptError::EncryptExhausted) => Err(TlsError::Internal),
            },
            _ => Err(TlsError::Internal),
        }
    }

    fn pending(&mut self) -> &mut Vec<u8> {
        &mut self.pending
    }

    fn close(&mut self) {
        if self.closed {
            return;
        }
        self.closed = true;
        let mut room = [0u8; 256];
        if let Ok(ConnectionState::WriteTraffic(mut write)) = self.side.process(&mut []).state {
            if let Ok(n) = write.queue_close_notify(&mut room) {
                self.pending.extend_from_slice(room.get(..n).unwrap_or_default());
            }
        }
    }
}
