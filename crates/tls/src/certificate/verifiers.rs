//! The verifiers that are always there: system roots by webpki, a pinned key, and none but the signature.

use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use rustls_pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage};

use super::{CertificateError, Verifier, public_key};

/// Chains to given roots, for the name that was asked for.
#[derive(Debug)]
pub struct WebPki {
    roots: Vec<TrustAnchor<'static>>,
}

impl WebPki {
    #[must_use]
    pub const fn new(roots: Vec<TrustAnchor<'static>>) -> Self {
        Self { roots }
    }

    /// Roots from certificates; those that cannot be read are left out, and the number of those is told.
    #[must_use]
    pub fn from_certificates<'a>(roots: impl IntoIterator<Item = &'a [u8]>) -> (Self, usize) {
        let (mut anchors, mut bad) = (Vec::new(), 0_usize);
        for der in roots {
            match webpki::anchor_from_trusted_cert(&CertificateDer::from(der)) {
                Ok(anchor) => anchors.push(anchor.to_owned()),
                Err(_) => bad = bad.saturating_add(1),
            }
        }
        (Self::new(anchors), bad)
    }
}

fn reason(error: &webpki::Error) -> CertificateError {
    use webpki::Error as E;
    match error {
        E::CertExpired { .. } | E::CertNotValidYet { .. } => CertificateError::Expired,
        E::CertRevoked => CertificateError::Revoked,
        E::UnknownIssuer => CertificateError::UnknownIssuer,
        E::CertNotValidForName(_) => CertificateError::Name,
        _ => CertificateError::Malformed,
    }
}

impl Verifier for WebPki {
    fn verify(&self, chain: &[&[u8]], name: &str, _ocsp: &[u8], now: u64) -> Result<(), CertificateError> {
        let (leaf, others) = chain.split_first().ok_or(CertificateError::Malformed)?;
        let leaf = CertificateDer::from(*leaf);
        let others: Vec<_> = others.iter().map(|der| CertificateDer::from(*der)).collect();
        let leaf = EndEntityCert::try_from(&leaf).map_err(|e| reason(&e))?;
        leaf.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &self.roots,
            &others,
            UnixTime::since_unix_epoch(Duration::from_secs(now)),
            KeyUsage::server_auth(),
            None,
            None,
        )
        .map_err(|e| reason(&e))?;
        let name = name.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
        let name = ServerName::try_from(name).map_err(|_| CertificateError::Name)?;
        leaf.verify_is_valid_for_subject_name(&name).map_err(|e| reason(&e))
    }
}

/// One of several keys, by the SHA-256 of its SubjectPublicKeyInfo (RFC 7469 section 2.4). Name and dates do not
/// matter.
#[derive(Clone, Debug)]
pub struct Pin(pub Vec<[u8; 32]>);

impl Verifier for Pin {
    fn verify(&self, chain: &[&[u8]], _name: &str, _ocsp: &[u8], _now: u64) -> Result<(), CertificateError> {
        let leaf = chain.first().ok_or(CertificateError::Malformed)?;
        let hash = digest::digest(&digest::SHA256, public_key(leaf)?.info);
        if self.0.iter().any(|pin| verify_slices_are_equal(pin, hash.as_ref()).is_ok()) {
            Ok(())
        } else {
            Err(CertificateError::Pin)
        }
    }
}

/// Believes any chain; the signature of the handshake is still checked. For tests, and below REALITY.
#[derive(Clone, Copy, Debug, Default)]
pub struct SignatureOnly;

impl Verifier for SignatureOnly {
    fn verify(&self, _chain: &[&[u8]], _name: &str, _ocsp: &[u8], _now: u64) -> Result<(), CertificateError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_names_dates_and_pins() {
        let ca_key = rcgen::KeyPair::generate().unwrap();
        let mut ca = rcgen::CertificateParams::new(vec![]).unwrap();
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        ca.distinguished_name.push(rcgen::DnType::CommonName, "a root");
        let root = ca.self_signed(&ca_key).unwrap();
        let issuer = rcgen::Issuer::new(ca, ca_key);
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["example.org".to_owned(), "192.0.2.1".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2027, 1, 1);
        let leaf = params.signed_by(&key, &issuer).unwrap();
        let (web, bad) = WebPki::from_certificates([root.der().as_ref(), b"junk"]);
        assert_eq!(bad, 1);
        let day = 1_780_000_000; // 2026-05-28
        let check = |chain: &[&[u8]], name: &str, now| web.verify(chain, name, &[], now);
        let chain: &[&[u8]] = &[leaf.der()];
        for name in ["example.org", "example.org.", "192.0.2.1", "[192.0.2.1]"] {
            assert_eq!(check(chain, name, day), Ok(()), "{name}");
        }
        assert_eq!(check(chain, "example.com", day), Err(CertificateError::Name));
        assert_eq!(check(chain, "example.org", 1_900_000_000), Err(CertificateError::Expired));
        assert_eq!(check(chain, "example.org", 1_700_000_000), Err(CertificateError::Expired));
        assert_eq!(check(&[b"junk"], "example.org", day), Err(CertificateError::Malformed));
        let other = rcgen::generate_simple_self_signed(vec!["example.org".into()]).unwrap();
        assert_eq!(check(&[other.cert.der()], "example.org", day), Err(CertificateError::UnknownIssuer));
        let pin = digest::digest(&digest::SHA256, public_key(leaf.der()).unwrap().info);
        let pin = Pin(vec![[0; 32], pin.as_ref().try_into().unwrap()]);
        assert_eq!(pin.verify(chain, "anything", &[], 0), Ok(()));
        assert_eq!(pin.verify(&[other.cert.der()], "example.org", &[], day), Err(CertificateError::Pin));
    }
}
