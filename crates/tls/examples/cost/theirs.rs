//! The same with rustls, by its unbuffered interface: the one without copies of its own, and so the stricter measure.

use std::sync::Arc;

use rozaneh_tls::names::group;
use rozaneh_tls::record::{HEAD, TAIL};
use rozaneh_tls::suite::Suite;
use rustls::client::{Resumption, UnbufferedClientConnection};
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::UnbufferedServerConnection;
use rustls::time_provider::TimeProvider;
use rustls::unbuffered::{ConnectionState, UnbufferedStatus};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::{Chain, Choice, NAME, NOW, Outcome, PLAIN, timed};

/// One end's turn: takes what came, says what is due, and tells whether it still waits.
macro_rules! step {
    ($connection:expr, $input:expr, $output:expr) => {
        loop {
            let UnbufferedStatus { discard, state, .. } = $connection.process_tls_records(&mut $input);
            let waits = match state? {
                ConnectionState::EncodeTlsData(mut data) => {
                    let at = $output.len();
                    $output.resize(at + 8_192, 0);
                    let written = data.encode(&mut $output[at..])?;
                    $output.truncate(at + written);
                    None
                }
                ConnectionState::TransmitTlsData(data) => {
                    data.done();
                    None
                }
                ConnectionState::BlockedHandshake => Some(true),
                ConnectionState::WriteTraffic(_) => Some(false),
                _ => return Err("rustls is in a state of no handshake".into()),
            };
            $input.drain(..discard);
            if let Some(waits) = waits {
                break waits;
            }
        }
    };
}
/// The same moment for everybody.
#[derive(Debug)]
struct Clock;

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(NOW)))
    }
}

/// Both configurations.
pub struct Ends {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl Ends {
    pub fn new(chain: &Chain, choice: Choice) -> Outcome<Self> {
        let mut provider = default_provider();
        provider.cipher_suites = vec![match choice.suite {
            Suite::Aes128GcmSha256 => cipher_suite::TLS13_AES_128_GCM_SHA256,
            Suite::Aes256GcmSha384 => cipher_suite::TLS13_AES_256_GCM_SHA384,
            Suite::Chacha20Poly1305Sha256 => cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        }];
        provider.kx_groups = vec![if choice.group == group::X25519 {
            kx_group::X25519 as &'static dyn rustls::crypto::SupportedKxGroup
        } else {
            kx_group::X25519MLKEM768
        }];
        let provider = Arc::new(provider);
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(chain.root.clone()))?;
        let mut client = ClientConfig::builder_with_details(Arc::clone(&provider), Arc::new(Clock))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.resumption = Resumption::disabled();
        let key = PrivateKeyDer::try_from(chain.key.clone())?;
        let mut server = ServerConfig::builder_with_details(provider, Arc::new(Clock))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(vec![CertificateDer::from(chain.leaf.clone())], key)?;
        server.send_tls13_tickets = 0;
        Ok(Self { client: Arc::new(client), server: Arc::new(server) })
    }

    /// A whole handshake.
    pub fn meet(&self) -> Outcome<Pair> {
        let mut client = UnbufferedClientConnection::new(Arc::clone(&self.client), ServerName::try_from(NAME)?)?;
        let mut server = UnbufferedServerConnection::new(Arc::clone(&self.server))?;
        let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
        let mut open = [true; 2];
        while open != [false; 2] {
            open[0] = step!(client, to_client, to_server);
            open[1] = step!(server, to_server, to_client);
        }
        Ok(Pair { client, server })
    }
}

/// One connection.
pub struct Pair {
    client: UnbufferedClientConnection,
    server: UnbufferedServerConnection,
}

impl Pair {
    pub fn new(chain: &Chain, choice: Choice) -> Outcome<Self> {
        Ends::new(chain, choice)?.meet()
    }

    /// As the engine's.
    pub fn cost(&mut self, records: usize) -> Outcome<(f64, f64)> {
        const WIRE: usize = HEAD + PLAIN + TAIL;
        let plain = vec![0x5a; PLAIN];
        let mut room = vec![0; 16 * WIRE];
        let (mut seal, mut open) = (0.0, 0.0);
        for _ in 0..records.div_ceil(16) {
            seal += timed(|| {
                let UnbufferedStatus { state, .. } = self.server.process_tls_records(&mut []);
                let ConnectionState::WriteTraffic(mut traffic) = state? else { return Err("no traffic".into()) };
                for record in room.chunks_exact_mut(WIRE) {
                    traffic.encrypt(&plain, record)?;
                }
                Ok(())
            })?;
            open += timed(|| {
                let mut at = 0;
                while at < room.len() {
                    let UnbufferedStatus { discard, state, .. } = self.client.process_tls_records(&mut room[at..]);
                    at += discard;
                    let ConnectionState::ReadTraffic(mut traffic) = state? else { return Err("no traffic".into()) };
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        at += record.discard;
                        if record.payload.len() != PLAIN {
                            return Err("half the data".into());
                        }
                    }
                }
                Ok(())
            })?;
        }
        Ok((seal, open))
    }
}
