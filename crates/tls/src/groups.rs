//! Key agreement: what a client offers, and what a server answers.
//!
//! | group | client's share | server's share | secret |
//! |---|---|---|---|
//! | X25519 | 32 | 32 | 32 (RFC 7748) |
//! | P-256, P-384 | uncompressed point, 65 or 97 | the same | x coordinate, 32 or 48 (RFC 8446 section 4.2.8.2) |
//! | X25519MLKEM768 | ML-KEM key 1,184 + X25519 32 | ciphertext 1,088 + X25519 32 | ML-KEM's 32 + X25519's 32 |
//!
//! The hybrid is draft-ietf-tls-ecdhe-mlkem: ML-KEM first, in shares and in the secret. All-zero X25519 results and
//! points that are not on the curve are refused by the primitive (RFC 8446 section 7.4.2) and become
//! `illegal_parameter` here.

use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384, PrivateKey, UnparsedPublicKey, X25519};
use aws_lc_rs::encoding::{AsBigEndian, Curve25519SeedBin};
use aws_lc_rs::kem::{self, DecapsulationKey, EncapsulationKey, ML_KEM_768};
use zeroize::Zeroizing;

use crate::error::{Error, LocalError, RemoteError};
use crate::names::group;

/// An agreed secret; wiped when dropped.
pub type Shared = Zeroizing<Vec<u8>>;

/// Lengths of FIPS 203 for ML-KEM-768.
const KEM_KEY: usize = 1_184;
const KEM_TEXT: usize = 1_088;

const BAD_SHARE: RemoteError = RemoteError::illegal("the key share is not a valid one");

/// The groups the engine can run.
pub const SUPPORTED: [u16; 4] = [group::X25519MLKEM768, group::X25519, group::P256, group::P384];

fn curve(id: u16) -> Option<(&'static agreement::Algorithm, usize)> {
    match id {
        group::X25519 => Some((&X25519, 32)),
        group::P256 => Some((&ECDH_P256, 65)),
        group::P384 => Some((&ECDH_P384, 97)),
        _ => None,
    }
}

/// One key share of a hello, and the private key behind it.
pub struct Offer {
    group: u16,
    public: Vec<u8>,
    curve: PrivateKey,
    kem: Option<DecapsulationKey<kem::AlgorithmId>>,
}

impl std::fmt::Debug for Offer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Offer({:#06x})", self.group)
    }
}

impl Offer {
    /// # Errors
    /// [`LocalError::Config`] for a group that the engine does not run.
    pub fn generate(id: u16) -> Result<Self, LocalError> {
        const FAILED: LocalError = LocalError::Crypto("key generation");
        let hybrid = id == group::X25519MLKEM768;
        let (algorithm, _) = curve(if hybrid { group::X25519 } else { id })
            .ok_or(LocalError::Config("a group the engine cannot run"))?;
        let private = PrivateKey::generate(algorithm).map_err(|_| FAILED)?;
        let kem = if hybrid { Some(DecapsulationKey::generate(&ML_KEM_768).map_err(|_| FAILED)?) } else { None };
        Self::assemble(id, private, kem)
    }

    /// A share with a given private key: test vectors and REALITY.
    ///
    /// # Errors
    /// [`LocalError::Config`] where group and key do not fit.
    pub fn from_private(id: u16, private: &[u8]) -> Result<Self, LocalError> {
        const UNFIT: LocalError = LocalError::Config("not a private key of this group");
        let (algorithm, _) = curve(id).ok_or(UNFIT)?;
        Self::assemble(id, PrivateKey::from_private_key(algorithm, private).map_err(|_| UNFIT)?, None)
    }

    fn assemble(
        group: u16,
        curve: PrivateKey,
        kem: Option<DecapsulationKey<kem::AlgorithmId>>,
    ) -> Result<Self, LocalError> {
        const FAILED: LocalError = LocalError::Crypto("public key");
        let mut public = Vec::new();
        if let Some(kem) = &kem {
            let key = kem.encapsulation_key().and_then(|k| k.key_bytes().map(|b| b.as_ref().to_vec()));
            public.extend_from_slice(&key.map_err(|_| FAILED)?);
        }
        public.extend_from_slice(curve.compute_public_key().map_err(|_| FAILED)?.as_ref());
        Ok(Self { group, public, curve, kem })
    }

    /// An X25519 share with the key of this hybrid's X25519 half: Firefox sends both shares with one key.
    ///
    /// # Errors
    /// [`LocalError::Config`] for any other group.
    pub fn x25519_half(&self) -> Result<Self, LocalError> {
        const FAILED: LocalError = LocalError::Crypto("private key");
        if self.group != group::X25519MLKEM768 {
            return Err(LocalError::Config("a share without an X25519 half"));
        }
        let raw: Curve25519SeedBin<'_> = self.curve.as_be_bytes().map_err(|_| FAILED)?;
        Self::from_private(group::X25519, raw.as_ref())
    }

    #[must_use]
    pub const fn group(&self) -> u16 {
        self.group
    }

    /// The share as it stands in the hello.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// Completes the agreement with the peer's share.
    ///
    /// # Errors
    /// `illegal_parameter` for shares of a wrong length or value.
    pub fn agree(&self, theirs: &[u8]) -> Result<Shared, RemoteError> {
        let Some(kem) = &self.kem else { return agree_curve(self.group, &self.curve, theirs) };
        let (text, x) = theirs.split_at_checked(KEM_TEXT).ok_or(BAD_SHARE)?;
        let mut shared = Zeroizing::new(Vec::with_capacity(64));
        shared.extend_from_slice(kem.decapsulate(text.into()).map_err(|_| BAD_SHARE)?.as_ref());
        shared.extend_from_slice(&agree_curve(group::X25519, &self.curve, x)?);
        Ok(shared)
    }

    /// X25519 of this share's X25519 half with a given public key, hybrid or not; REALITY authenticates by it.
    ///
    /// # Errors
    /// As [`Offer::agree`]; also where the share has no X25519 half.
    pub fn agree_x25519(&self, theirs: &[u8; 32]) -> Result<Shared, RemoteError> {
        if !matches!(self.group, group::X25519 | group::X25519MLKEM768) {
            return Err(BAD_SHARE);
        }
        agree_curve(group::X25519, &self.curve, theirs)
    }
}

fn agree_curve(id: u16, private: &PrivateKey, theirs: &[u8]) -> Result<Shared, RemoteError> {
    let (algorithm, length) = curve(id).ok_or(BAD_SHARE)?;
    // Section 4.2.8.2: uncompressed points only; the primitive would read other encodings too.
    if theirs.len() != length || (id != group::X25519 && theirs.first() != Some(&4)) {
        return Err(BAD_SHARE);
    }
    let peer = UnparsedPublicKey::new(algorithm, theirs);
    agreement::agree(private, peer, BAD_SHARE, |secret| Ok(Zeroizing::new(secret.to_vec())))
}

/// The server's half: its own share, and the secret.
///
/// # Errors
/// `illegal_parameter` for a bad share; local ones where key generation fails.
pub fn respond(id: u16, theirs: &[u8]) -> Result<(Vec<u8>, Shared), Error> {
    if id != group::X25519MLKEM768 {
        let own = Offer::generate(id)?;
        let shared = own.agree(theirs)?;
        return Ok((own.public, shared));
    }
    let (key, x) = theirs.split_at_checked(KEM_KEY).ok_or(BAD_SHARE)?;
    let own = Offer::generate(group::X25519)?;
    let curve = own.agree(x)?;
    // The primitive checks the encoding (FIPS 203 section 7.2, the modulus check).
    let key = EncapsulationKey::new(&ML_KEM_768, key).map_err(|_| BAD_SHARE)?;
    let (text, secret) = key.encapsulate().map_err(|_| BAD_SHARE)?;
    let mut share = text.as_ref().to_vec();
    share.extend_from_slice(&own.public);
    let mut shared = Zeroizing::new(Vec::with_capacity(64));
    shared.extend_from_slice(secret.as_ref());
    shared.extend_from_slice(&curve);
    Ok((share, shared))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_halves_agree_and_damage_is_seen() {
        for (id, ours, theirs) in [(0x001d, 32, 32), (0x0017, 65, 65), (0x0018, 97, 97), (0x11ec, 1216, 1120)] {
            let offer = Offer::generate(id).unwrap();
            assert_eq!(offer.public().len(), ours);
            let (share, shared) = respond(id, offer.public()).unwrap();
            assert_eq!(share.len(), theirs);
            assert_eq!(*offer.agree(&share).unwrap(), *shared);
            assert!(offer.agree(&share[1..]).is_err());
            assert!(respond(id, &offer.public()[1..]).is_err());
            assert!(respond(id, &vec![0; ours]).is_err(), "{id:#x}: zeros are no share");
        }
        assert!(Offer::generate(0x001e).is_err());
        // A compressed point is the same key, and not what section 4.2.8.2 allows.
        let offer = Offer::generate(group::P256).unwrap();
        let mut short = offer.public()[..33].to_vec();
        short[0] = 2 | (offer.public()[64] & 1);
        assert!(respond(group::P256, &short).is_err());
    }

    #[test]
    fn the_x25519_half_of_a_hybrid_can_be_used_alone() {
        let other = Offer::generate(group::X25519).unwrap();
        let hybrid = Offer::generate(group::X25519MLKEM768).unwrap();
        let one = hybrid.agree_x25519(other.public().try_into().unwrap()).unwrap();
        assert_eq!(*one, *other.agree(&hybrid.public()[KEM_KEY..]).unwrap());
        assert!(Offer::generate(group::P256).unwrap().agree_x25519(&[9; 32]).is_err());
    }
}
