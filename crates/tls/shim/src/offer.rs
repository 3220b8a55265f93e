//! The client's hello as the flags want it, and the server's configuration.

use std::sync::{Arc, Mutex};

use rozaneh_tls::certificate::{CertificateError, Verifier};
use rozaneh_tls::hello::Author;
use rozaneh_tls::hello::plain::Plain;
use rozaneh_tls::names::{extension, group, scheme, version};
use rozaneh_tls::profile::Browser;
use rozaneh_tls::server::{self, SigningKey, TicketKey};
use rozaneh_tls::ticket::{Ticket, Tickets};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::flags::Config;

/// What BoringSSL offers by default, and the runner reckons with: it knows by this which group needs a retry.
const GROUPS: [u16; 3] = [group::X25519, group::P256, group::P384];
const SCHEMES: [u16; 8] = [
    scheme::ECDSA_P256_SHA256,
    scheme::RSA_PSS_SHA256,
    scheme::RSA_PKCS1_SHA256,
    scheme::ECDSA_P384_SHA384,
    scheme::RSA_PSS_SHA384,
    scheme::RSA_PKCS1_SHA384,
    scheme::RSA_PSS_SHA512,
    scheme::RSA_PKCS1_SHA512,
];
/// Suites of TLS 1.2 and older as browsers offer them, so that a server can choose what we do not do.
const OLD_SUITES: [u16; 10] = [0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x002f, 0x0035];

/// The protocols of an ALPN list.
fn protocols(mut list: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while let Some((length, rest)) = list.split_first() {
        let (one, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        all.push(one.to_vec());
        list = rest;
    }
    all
}

/// ECHClientHello of the outer kind with nothing real in it (draft-ietf-tls-esni section 6.2): HKDF-SHA256,
/// AES-128-GCM, a public key and a payload of any bytes.
fn ech_grease() -> Vec<u8> {
    let mut body = vec![0, 0, 1, 0, 1, 7, 0, 32];
    body.extend([0x42; 32]);
    body.extend([0, 144]);
    body.extend([0x24; 144]);
    body
}

/// Shares that go out where nothing says which: of the first group, and of the first that is a hybrid where that one
/// is none, or the other way round.
fn shares(groups: &[u16]) -> Vec<u16> {
    let hybrid = |id: u16| id == group::X25519MLKEM768;
    let Some(first) = groups.first().copied() else { return Vec::new() };
    let other = groups.iter().copied().find(|id| hybrid(*id) != hybrid(first));
    std::iter::once(first).chain(other).collect()
}

/// Who writes the hellos: a browser's profile, or the flags.
pub fn author(config: &Config) -> Result<Arc<dyn Author>, String> {
    let Some(path) = &config.profile else { return Ok(Arc::new(hello(config))) };
    let document = std::fs::read(path).map_err(|e| format!("{path}: {e}"))?;
    Ok(Arc::new(Browser::from_json(&document).map_err(|e| format!("{path}: {e}"))?))
}

fn hello(config: &Config) -> Plain {
    let versions = if config.only_tls13 { vec![version::TLS13] } else { vec![version::TLS13, version::TLS12] };
    let mut plain = Plain { versions, schemes: SCHEMES.to_vec(), ..Plain::default() };
    if !config.only_tls13 {
        plain.suites.extend(OLD_SUITES);
        plain.extra.push((extension::EMS, Vec::new()));
        plain.extra.push((extension::RENEGOTIATION, vec![0]));
        plain.extra.push((extension::POINTS, vec![1, 0]));
    }
    plain.groups = if config.curves.is_empty() { GROUPS.to_vec() } else { config.curves.clone() };
    plain.shares = config.key_shares.clone().unwrap_or_else(|| shares(&plain.groups));
    if !config.verify_prefs.is_empty() {
        plain.schemes.clone_from(&config.verify_prefs);
    }
    plain.alpn = protocols(&config.advertise_alpn);
    plain.alps = config.settings.iter().map(|(protocol, _)| protocol.clone()).collect();
    plain.status = config.ocsp_stapling || config.timestamps;
    if config.ech_grease {
        plain.extra.push((extension::ECH, ech_grease()));
    }
    plain
}

/// Believes any chain or none, and keeps the response that came stapled.
#[derive(Debug, Default)]
pub struct Judge {
    pub refuse: bool,
    pub ocsp: Mutex<Vec<u8>>,
}

impl Verifier for Judge {
    fn verify(&self, _chain: &[&[u8]], _name: &str, ocsp: &[u8], _now: u64) -> Result<(), CertificateError> {
        if let Ok(mut kept) = self.ocsp.lock() {
            *kept = ocsp.to_vec();
        }
        if self.refuse { Err(CertificateError::Refused) } else { Ok(()) }
    }
}

/// The one session there is.
#[derive(Debug, Default)]
pub struct Session(pub Mutex<Option<Ticket>>);

impl Tickets for Session {
    fn take(&self, _name: &str, now: u64) -> Option<Ticket> {
        let ticket = self.0.lock().ok()?.take()?;
        ticket.fits(ticket.name(), now).then_some(ticket)
    }
}

/// A server with the certificate of the flags.
pub fn server(config: &Config, tickets: &TicketKey) -> Result<server::Config, String> {
    let path = config.certificate.as_ref().ok_or("a server without a certificate")?;
    let chain = CertificateDer::pem_file_iter(path).map_err(|e| format!("{path}: {e}"))?;
    let chain = chain.map(|der| der.map(|der| der.to_vec())).collect::<Result<Vec<_>, _>>();
    let path = config.key.as_ref().ok_or("a server without a key")?;
    let key = PrivateKeyDer::from_pem_file(path).map_err(|e| format!("{path}: {e}"))?;
    let key = SigningKey::from_pkcs8(key.secret_der()).map_err(|e| e.to_string())?;
    let mut it = server::Config::new(chain.map_err(|e| e.to_string())?, key);
    it.groups = if config.curves.is_empty() { GROUPS.to_vec() } else { config.curves.clone() };
    it.ocsp.clone_from(&config.ocsp_response);
    it.settings.clone_from(&config.settings);
    it.alpn = match (&config.select_alpn, config.reject_alpn) {
        (Some(one), _) => vec![one.as_bytes().to_vec()],
        // A protocol that nobody offers.
        (None, true) => vec![b"\0nobody's\0".to_vec()],
        (None, false) => Vec::new(),
    };
    if !config.no_ticket {
        it.ticket_key = Some(tickets.clone());
        // As many as BoringSSL gives.
        it.tickets = 2;
    }
    Ok(it)
}
