//! The outer layer of a way, from the document: where to, under whose look, and how the edge is known.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rozaneh_net::dial::{Dialler, Options};
use rozaneh_transport::habits::Habits;
use rozaneh_transport::look::Look;
use rozaneh_transport::outer::{Dialling, Outer};
use rozaneh_transport::tls::engine_client::{Client, Keys, Reality, Trust, VERSION};

use crate::config::{Config, ConfigError, Security};
use crate::lifecycle::EngineError;
use crate::serving::read;

/// An ML-DSA-65 public key (FIPS 204 table 2).
const MLDSA65_KEY: usize = 1_952;

/// The look of a way.
pub(crate) fn look_of(at: &dyn Fn(&str) -> String, config: &Config, name: &str) -> Result<Look, EngineError> {
    let look = config.looks.get(name).ok_or_else(|| ConfigError::new(at("look"), "there is no such look"))?;
    let look = Look::from_json(look.to_string().as_bytes()).map_err(|reason| ConfigError::new(at("look"), reason))?;
    Ok(look)
}

/// The outer layer of a way.
pub(crate) fn outer(
    at: &dyn Fn(&str) -> String,
    address: SocketAddr,
    server_name: &str,
    look: &Look,
    security: &Security,
    timeout: Duration,
) -> Result<Outer, EngineError> {
    let habits = Habits::of(address, server_name);
    let tls = match security {
        Security::Tls { pin, ca_file } => {
            let trust = match (pin, ca_file) {
                (Some(pin), _) => Trust::pin(
                    base64url(pin)
                        .ok_or_else(|| ConfigError::new(at("security.pin"), "base64url of 32 bytes is expected"))?,
                ),
                (None, Some(path)) => Trust::from_pem(&read(&at("security.ca_file"), path)?)
                    .map_err(|reason| ConfigError::new(at("security.ca_file"), reason))?,
                (None, None) => Trust::system().map_err(|reason| ConfigError::new(at("security.pin"), reason))?,
            };
            Client::new(server_name, &trust, look, Arc::clone(habits.tickets()))
        }
        Security::Reality { public_key, short_id, mldsa65, clock_offset_s, ca_file } => {
            let wrong = |field: &str, reason: &str| ConfigError::new(at(&format!("security.{field}")), reason);
            let keys = Keys {
                server_public: base64url(public_key)
                    .ok_or_else(|| wrong("public_key", "base64url of 32 bytes is expected"))?,
                short_id: short(short_id).ok_or_else(|| wrong("short_id", "16 hexadecimal digits are expected"))?,
                mldsa65: match mldsa65 {
                    Some(text) => Some(
                        base64url::<MLDSA65_KEY>(text)
                            .ok_or_else(|| wrong("mldsa65", "base64url of 1,952 bytes is expected"))?
                            .to_vec(),
                    ),
                    None => None,
                },
                version: VERSION,
            };
            let cover = match ca_file {
                Some(path) => Trust::from_pem(&read(&at("security.ca_file"), path)?)
                    .map_err(|reason| wrong("ca_file", &reason))?,
                // Without roots no cover is believed, and the edge is known all the same.
                None => Trust::system().unwrap_or_else(|_| Trust::nobody()),
            };
            Client::reality(server_name, Reality { keys, cover, clock_offset_s: *clock_offset_s }, look)
        }
    };
    let tls = tls.map_err(|reason| ConfigError::new(at("server_name"), reason))?;
    let dialler = Arc::new(Dialler::new(options(&[], timeout)));
    let dial = Box::new(move || -> Dialling {
        let dialler = Arc::clone(&dialler);
        Box::pin(async move { dialler.connect("", &[address]).await.map_err(io::Error::from) })
    });
    let authority = format!("{server_name}:{}", address.port());
    Ok(Outer { dial, tls, habits, look: look.clone(), authority })
}

/// The eight bytes of a short id.
pub(crate) fn short(text: &str) -> Option<[u8; 8]> {
    let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u64::from_str_radix(text, 16).ok().map(u64::to_be_bytes))?
}

/// So many bytes, as base64url without padding.
pub(crate) fn base64url<const N: usize>(text: &str) -> Option<[u8; N]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

pub(crate) fn options(egress: &[IpAddr], timeout: Duration) -> Options {
    let mut options = Options { timeout, ..Options::default() };
    for ip in egress {
        match ip {
            IpAddr::V4(ip) => options.egress_v4 = Some(*ip),
            IpAddr::V6(ip) => options.egress_v6 = Some(*ip),
        }
    }
    options
}
