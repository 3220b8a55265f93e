//! The schemes that sign a handshake (RFC 8446 section 4.2.3), and the kinds of key they go with.
//!
//! PKCS#1 and SHA-1 are for certificates only and never sign a handshake. An ECDSA scheme fixes its curve.

use aws_lc_rs::signature::{self as s, UnparsedPublicKey, VerificationAlgorithm};

use super::PublicKey;
use crate::alert::Alert;
use crate::error::RemoteError;
use crate::names::scheme;

/// Object identifiers, without tag and length: RFC 3279, RFC 5480, RFC 8410, and NIST's for ML-DSA (RFC 9881).
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const P384: &[u8] = &[0x2b, 0x81, 4, 0, 0x22];
const P521: &[u8] = &[0x2b, 0x81, 4, 0, 0x23];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
const ML_DSA_44: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 17];
const ML_DSA_65: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 18];
const ML_DSA_87: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 19];

/// Algorithm and curve of the key, and how to check.
fn scheme_of(id: u16) -> Option<(&'static [u8], &'static [u8], &'static dyn VerificationAlgorithm)> {
    Some(match id {
        scheme::ECDSA_P256_SHA256 => (EC, P256, &s::ECDSA_P256_SHA256_ASN1),
        scheme::ECDSA_P384_SHA384 => (EC, P384, &s::ECDSA_P384_SHA384_ASN1),
        scheme::ECDSA_P521_SHA512 => (EC, P521, &s::ECDSA_P521_SHA512_ASN1),
        scheme::RSA_PSS_SHA256 => (RSA, &[], &s::RSA_PSS_2048_8192_SHA256),
        scheme::RSA_PSS_SHA384 => (RSA, &[], &s::RSA_PSS_2048_8192_SHA384),
        scheme::RSA_PSS_SHA512 => (RSA, &[], &s::RSA_PSS_2048_8192_SHA512),
        scheme::ED25519 => (ED25519, &[], &s::ED25519),
        scheme::ML_DSA_44 => (ML_DSA_44, &[], &s::ML_DSA_44),
        scheme::ML_DSA_65 => (ML_DSA_65, &[], &s::ML_DSA_65),
        scheme::ML_DSA_87 => (ML_DSA_87, &[], &s::ML_DSA_87),
        _ => return None,
    })
}

/// Checks a signature of the handshake.
///
/// # Errors
/// `illegal_parameter` for a scheme that may not sign, or that does not go with the key (section 4.4.3);
/// `decrypt_error` for a bad signature.
pub fn verify(id: u16, key: &PublicKey<'_>, message: &[u8], signature: &[u8]) -> Result<(), RemoteError> {
    let (algorithm, curve, check) =
        scheme_of(id).ok_or(RemoteError::illegal("a scheme that may not sign a handshake"))?;
    if key.algorithm != algorithm || key.parameters != curve {
        return Err(RemoteError::illegal("a scheme that does not go with the key"));
    }
    UnparsedPublicKey::new(check, key.key)
        .verify(message, signature)
        .map_err(|_| RemoteError::new(Alert::DECRYPT_ERROR, "the handshake's signature is bad"))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::KeyPair;

    use super::super::public_key;
    use super::*;
    use crate::server::SigningKey;

    #[test]
    fn schemes_go_with_their_keys_and_nothing_else() {
        let all: [(&rcgen::SignatureAlgorithm, u16); 4] = [
            (&rcgen::PKCS_ECDSA_P256_SHA256, scheme::ECDSA_P256_SHA256),
            (&rcgen::PKCS_ECDSA_P384_SHA384, scheme::ECDSA_P384_SHA384),
            (&rcgen::PKCS_ECDSA_P521_SHA512, scheme::ECDSA_P521_SHA512),
            (&rcgen::PKCS_ED25519, scheme::ED25519),
        ];
        for (algorithm, id) in all {
            let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
            let certificate = rcgen::CertificateParams::new(vec![]).unwrap().self_signed(&key).unwrap();
            let public = public_key(certificate.der()).unwrap();
            let signed = SigningKey::from_pkcs8(&key.serialize_der()).unwrap().sign(id, b"message").unwrap();
            let alert = |id, message: &[u8]| verify(id, &public, message, &signed).map_err(|e| e.alert.name());
            assert_eq!(alert(id, b"message"), Ok(()));
            assert_eq!(alert(id, b"another"), Err("decrypt_error"));
            for other in all.iter().map(|(_, other)| *other).filter(|other| *other != id) {
                assert_eq!(alert(other, b"message"), Err("illegal_parameter"));
            }
            for never in [scheme::RSA_PKCS1_SHA256, scheme::RSA_PKCS1_SHA384, scheme::RSA_PKCS1_SHA512, 0x0201, 0x0203]
            {
                assert_eq!(alert(never, b"message"), Err("illegal_parameter"));
            }
        }
    }

    #[test]
    fn ml_dsa_signs_and_is_checked() {
        let all: [(_, &[u8], u16); 3] = [
            (&s::ML_DSA_44_SIGNING, ML_DSA_44, scheme::ML_DSA_44),
            (&s::ML_DSA_65_SIGNING, ML_DSA_65, scheme::ML_DSA_65),
            (&s::ML_DSA_87_SIGNING, ML_DSA_87, scheme::ML_DSA_87),
        ];
        for (algorithm, oid, id) in all {
            let pair = s::PqdsaKeyPair::generate(algorithm).unwrap();
            let key = PublicKey { info: &[], algorithm: oid, parameters: &[], key: pair.public_key().as_ref() };
            let signer = SigningKey::from_pkcs8(pair.to_pkcs8v1().unwrap().as_ref()).unwrap();
            assert_eq!(signer.schemes(), [id]);
            let mut signed = signer.sign(id, b"message").unwrap();
            verify(id, &key, b"message", &signed).unwrap();
            signed[7] ^= 1;
            assert_eq!(verify(id, &key, b"message", &signed).unwrap_err().alert.name(), "decrypt_error");
        }
    }
}
