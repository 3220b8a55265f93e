//! rustls' unbuffered connection: the handshake loop, and the way out of rustls.

use rustls::kernel::KernelConnection;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, UnbufferedStatus};
use rustls::{CommonState, ConnectionTrafficSecrets, Error, ExtractedSecrets, ProtocolVersion};

use super::legacy::Legacy;
use super::record::{KeySource, Protection, Records, Suite};
use super::{Established, Facts, Handshake, MAX_RECORD, Step, TlsError, Version};

/// Client or server, as far as the loop below cares.
pub(super) trait Side: Send + Sized + 'static {
    type Data: Send + 'static;
    fn process<'c, 'i>(&'c mut self, input: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;
    fn common(&self) -> &CommonState;
    fn into_kernel(self) -> Result<(ExtractedSecrets, Box<dyn KeySource>), Error>;
}

impl Side for UnbufferedServerConnection {
    type Data = ServerConnectionData;
    fn process<'c, 'i>(&'c mut self, input: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(input)
    }
    fn common(&self) -> &CommonState {
        self
    }
    fn into_kernel(self) -> Result<(ExtractedSecrets, Box<dyn KeySource>), Error> {
        let (secrets, kernel) = self.dangerous_into_kernel_connection()?;
        Ok((secrets, Box::new(ServerKeys(kernel))))
    }
}

struct ServerKeys(KernelConnection<ServerConnectionData>);

fn protection((sequence, secrets): (u64, ConnectionTrafficSecrets)) -> Result<Protection, TlsError> {
    let (suite, key, iv) = match &secrets {
        ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (Suite::Aes128Gcm, key, iv),
        ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (Suite::Aes256Gcm, key, iv),
        ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (Suite::Chacha20Poly1305, key, iv),
        _ => return Err(TlsError::Internal),
    };
    let iv = iv.as_ref().try_into().map_err(|_| TlsError::Internal)?;
    Protection::new(suite, key.as_ref(), iv, sequence)
}

impl KeySource for ServerKeys {
    fn next_send(&mut self) -> Result<Protection, TlsError> {
        protection(self.0.update_tx_secret().map_err(|_| TlsError::Internal)?)
    }
    fn next_receive(&mut self) -> Result<Protection, TlsError> {
        protection(self.0.update_rx_secret().map_err(|_| TlsError::Internal)?)
    }
    fn ticket(&mut self, _message: &[u8]) -> bool {
        false
    }
}

/// A handshake that rustls holds.
pub(super) struct Shake<S: Side> {
    side: S,
    early: Vec<u8>,
    done: bool,
}

impl<S: Side> Shake<S> {
    pub(super) fn new(side: S) -> Self {
        Self { side, early: Vec::new(), done: false }
    }
}

/// After an error rustls has one alert to send. `input` is what is left of what it was last given: it keeps a place in
/// it. Asked a second time it would read the same bytes again, and fail again.
pub(super) fn take_alert<S: Side>(side: &mut S, input: &mut [u8], out: &mut Vec<u8>) {
    if let Ok(ConnectionState::EncodeTlsData(mut encode)) = side.process(input).state {
        encode_into(&mut encode, out);
    }
}

pub(super) fn encode_into<D>(encode: &mut rustls::unbuffered::EncodeTlsData<'_, D>, out: &mut Vec<u8>) {
    let start = out.len();
    let mut room = MAX_RECORD;
    loop {
        out.resize(start + room, 0);
        match encode.encode(out.get_mut(start..).unwrap_or_default()) {
            Ok(n) => return out.truncate(start + n),
            Err(EncodeError::InsufficientSize(needed)) if needed.required_size > room => room = needed.required_size,
            Err(_) => return out.truncate(start),
        }
    }
}

pub(super) fn classify(error: &Error) -> TlsError {
    match error {
        Error::AlertReceived(_) => TlsError::PeerAlert,
        Error::InvalidCertificate(_) | Error::NoCertificatesPresented | Error::UnsupportedNameType => {
            TlsError::Certificate
        }
        Error::DecryptError => TlsError::Decrypt,
        Error::General(_) | Error::FailedToGetRandomBytes | Error::EncryptError => TlsError::Internal,
        _ => TlsError::Protocol,
    }
}

impl<S: Side> Handshake for Shake<S> {
    fn step(&mut self, input: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<Step, TlsError> {
        while !self.done {
            let status = self.side.process(input);
            let mut discard = status.discard;
            let mut blocked = false;
            let failed = match status.state {
                Ok(ConnectionState::EncodeTlsData(mut encode)) => {
                    encode_into(&mut encode, out);
                    None
                }
                Ok(ConnectionState::TransmitTlsData(transmit)) => {
                    transmit.done();
                    // Stop here and not one step later: rustls would decrypt what is already the carrier's.
                    self.done = !self.side.common().is_handshaking();
                    None
                }
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    // Only where the server had nothing to send after the client's Finished (no ticket wanted).
                    let mut failed = None;
                    while let Some(record) = traffic.next_record() {
                        match record {
                            Ok(record) => {
                                discard += record.discard;
                                self.early.extend_from_slice(record.payload);
                            }
                            Err(error) => failed = Some(classify(&error)),
                        }
                    }
                    failed
                }
                Ok(ConnectionState::WriteTraffic(_)) => {
                    self.done = true;
                    None
                }
                Ok(ConnectionState::BlockedHandshake) => {
                    blocked = true;
                    None
                }
                Ok(_) => Some(TlsError::PeerAlert),
                Err(error) => Some(classify(&error)),
            };
            input.drain(..discard.min(input.len()));
            if let Some(error) = failed {
                take_alert(&mut self.side, input, out);
                return Err(error);
            }
            if blocked {
                return Ok(Step::NeedMore);
            }
        }
        Ok(Step::Done)
    }

    fn finish(self: Box<Self>) -> Result<Established, TlsError> {
        let common = self.side.common();
        let version = match common.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => Version::Tls13,
            Some(ProtocolVersion::TLSv1_2) => Version::Tls12,
            _ => return Err(TlsError::Internal),
        };
        let facts = Facts { version, alpn: common.alpn_protocol().map(<[u8]>::to_vec), cover: false };
        let early = self.early;
        let traffic: Box<dyn super::Traffic> = match version {
            Version::Tls13 => {
                let (secrets, keys) = self.side.into_kernel().map_err(|_| TlsError::Internal)?;
                Box::new(Records::new(protection(secrets.tx)?, protection(secrets.rx)?, keys))
            }
            Version::Tls12 => Box::new(Legacy::new(self.side)),
        };
        Ok(Established { traffic, facts, early })
    }
}
