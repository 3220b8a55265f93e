//! The key that signs a server's handshake.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self as s, EcdsaKeyPair, Ed25519KeyPair, PqdsaKeyPair, RsaKeyPair};

use crate::error::LocalError;
use crate::names::scheme;

/// Ed25519, ECDSA, RSA (by PSS) or ML-DSA.
pub enum SigningKey {
    Ed25519(Ed25519KeyPair),
    Ecdsa(EcdsaKeyPair, u16),
    Rsa(Box<RsaKeyPair>),
    MlDsa(PqdsaKeyPair, u16),
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({:04x?})", self.schemes())
    }
}

impl SigningKey {
    /// Reads a PKCS#8 document (RFC 5208), whatever kind of key it holds.
    ///
    /// # Errors
    /// [`LocalError::Config`] where it is none that can sign.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, LocalError> {
        if let Ok(key) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            return Ok(Self::Ed25519(key));
        }
        for (algorithm, id) in [
            (&s::ECDSA_P256_SHA256_ASN1_SIGNING, scheme::ECDSA_P256_SHA256),
            (&s::ECDSA_P384_SHA384_ASN1_SIGNING, scheme::ECDSA_P384_SHA384),
            (&s::ECDSA_P521_SHA512_ASN1_SIGNING, scheme::ECDSA_P521_SHA512),
        ] {
            if let Ok(key) = EcdsaKeyPair::from_pkcs8(algorithm, der) {
                return Ok(Self::Ecdsa(key, id));
            }
        }
        for (algorithm, id) in [
            (&s::ML_DSA_44_SIGNING, scheme::ML_DSA_44),
            (&s::ML_DSA_65_SIGNING, scheme::ML_DSA_65),
            (&s::ML_DSA_87_SIGNING, scheme::ML_DSA_87),
        ] {
            if let Ok(key) = PqdsaKeyPair::from_pkcs8(algorithm, der) {
                return Ok(Self::MlDsa(key, id));
            }
        }
        RsaKeyPair::from_pkcs8(der)
            .map(|key| Self::Rsa(Box::new(key)))
            .map_err(|_| LocalError::Config("a private key that cannot sign"))
    }

    /// The schemes it can sign with, the best first.
    #[must_use]
    pub fn schemes(&self) -> Vec<u16> {
        match self {
            Self::Ed25519(_) => vec![scheme::ED25519],
            Self::Ecdsa(_, id) | Self::MlDsa(_, id) => vec![*id],
            Self::Rsa(_) => vec![scheme::RSA_PSS_SHA256, scheme::RSA_PSS_SHA384, scheme::RSA_PSS_SHA512],
        }
    }

    /// # Errors
    /// [`LocalError::Crypto`].
    pub fn sign(&self, id: u16, message: &[u8]) -> Result<Vec<u8>, LocalError> {
        const FAILED: LocalError = LocalError::Crypto("signing");
        let rng = SystemRandom::new();
        match self {
            Self::Ed25519(key) => Ok(key.try_sign(message).map_err(|_| FAILED)?.as_ref().to_vec()),
            Self::Ecdsa(key, _) => Ok(key.sign(&rng, message).map_err(|_| FAILED)?.as_ref().to_vec()),
            Self::MlDsa(key, _) => {
                let mut signature = vec![0; key.algorithm().signature_len()];
                let length = key.sign(message, &mut signature).map_err(|_| FAILED)?;
                signature.truncate(length);
                Ok(signature)
            }
            Self::Rsa(key) => {
                let padding = match id {
                    scheme::RSA_PSS_SHA384 => &s::RSA_PSS_SHA384,
                    scheme::RSA_PSS_SHA512 => &s::RSA_PSS_SHA512,
                    _ => &s::RSA_PSS_SHA256,
                };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(padding, &rng, message, &mut signature).map_err(|_| FAILED)?;
                Ok(signature)
            }
        }
    }
}
