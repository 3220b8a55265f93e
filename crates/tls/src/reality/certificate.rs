//! The leaf that a friend recognises: an Ed25519 certificate whose signature is an HMAC under the hello's key.
//!
//! It is written once, by hand (RFC 5280 section 4.1: version 3, serial 0, no names, fixed dates), and only its last
//! 64 bytes differ between connections; nobody sees it but the client, whose key opens the record it travels in. With
//! ML-DSA-65 there is one extension, of the identifier 0.0, with a signature over the leaf's key and both hellos.

use std::sync::Arc;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, ML_DSA_65, ML_DSA_65_SIGNING, PqdsaKeyPair, UnparsedPublicKey};

use super::auth::AuthKey;
use crate::certificate::public_key;
use crate::error::LocalError;
use crate::server::{self, SigningKey};

/// Length of an Ed25519 signature, and of the HMAC-SHA512 in its place.
const TAG: usize = 64;
/// Length of an ML-DSA-65 signature (FIPS 204, table 2).
const ML_DSA: usize = 3_309;
/// Algorithm identifier of Ed25519 (RFC 8410 section 3), and where only the object identifier is wanted.
const ED25519: &[u8] = &[0x30, 5, 6, 3, 0x2b, 0x65, 0x70];
/// The extension's identifier: 0.0.
const OID: &[u8] = &[6, 1, 0];

/// One element of DER, its length in the shortest form (X.690 section 10.1).
fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let [.., a, b] = content.len().to_be_bytes();
    let mut out = vec![tag];
    match content.len() {
        0..=0x7f => out.push(b),
        0x80..=0xff => out.extend_from_slice(&[0x81, b]),
        _ => out.extend_from_slice(&[0x82, a, b]),
    }
    out.extend_from_slice(&content);
    out
}

/// A certificate up to its signature: for the extension of ML-DSA so many zero bytes, or none.
fn template(public: &[u8], signature: &[u8]) -> Vec<u8> {
    let dates = element(0x30, &[&element(0x17, &[b"000101000000Z"]), &element(0x17, &[b"491231235959Z"])]);
    let key = element(0x30, &[ED25519, &element(3, &[&[0], public])]);
    let none = element(0x30, &[]);
    let extensions = if signature.is_empty() {
        Vec::new()
    } else {
        let one = element(0x30, &[OID, &element(4, &[signature])]);
        element(0xa3, &[&element(0x30, &[&one])])
    };
    // Version 3 is 2; the serial number is 0.
    let version = element(0xa0, &[&[2, 1, 2]]);
    let body = element(0x30, &[&version, &[2, 1, 0], ED25519, &none, &dates, &none, &key, &extensions]);
    element(0x30, &[&body, ED25519, &element(3, &[&[0; TAG + 1]])])
}

/// The certificate of one connection.
fn fill(template: &[u8], tag: &[u8]) -> Option<Vec<u8>> {
    let mut der = template.to_vec();
    let at = der.len().checked_sub(TAG)?;
    let room = der.get_mut(at..).filter(|room| room.len() == tag.len())?;
    room.copy_from_slice(tag);
    Some(der)
}

/// The server's keys for leaves: one Ed25519 key as long as the process lives, and perhaps the operator's ML-DSA-65.
pub struct Identity {
    config: Arc<server::Config>,
    public: Vec<u8>,
    template: Vec<u8>,
    ml_dsa: Option<PqdsaKeyPair>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity(..)")
    }
}

impl Identity {
    /// Makes the Ed25519 key; the ML-DSA-65 key grows from its seed (FIPS 204 section 5.1).
    ///
    /// # Errors
    /// [`LocalError::Crypto`] where key generation fails.
    pub fn generate(mldsa65_seed: Option<&[u8; 32]>) -> Result<Self, LocalError> {
        const FAILED: LocalError = LocalError::Crypto("key generation");
        let key = Ed25519KeyPair::generate().map_err(|_| FAILED)?;
        let public = key.public_key().as_ref().to_vec();
        let ml_dsa = match mldsa65_seed {
            None => None,
            Some(seed) => Some(PqdsaKeyPair::from_seed(&ML_DSA_65_SIGNING, seed).map_err(|_| FAILED)?),
        };
        let config = server::Config { sign_always: true, ..server::Config::new(vec![], SigningKey::Ed25519(key)) };
        let template = template(&public, &[]);
        Ok(Self { config: Arc::new(config), public, template, ml_dsa })
    }

    /// The public half of the ML-DSA-65 key, as clients want it (1,952 bytes).
    #[must_use]
    pub fn mldsa65_public(&self) -> Option<Vec<u8>> {
        self.ml_dsa.as_ref().map(|key| key.public_key().as_ref().to_vec())
    }

    pub(crate) const fn config(&self) -> &Arc<server::Config> {
        &self.config
    }

    /// The leaf for one connection.
    ///
    /// # Errors
    /// [`LocalError::Crypto`] where signing fails.
    pub fn leaf(&self, key: &AuthKey, client_hello: &[u8], server_hello: &[u8]) -> Result<Vec<u8>, LocalError> {
        const FAILED: LocalError = LocalError::Crypto("the leaf");
        let tag = key.leaf_tag(&self.public);
        let Some(ml_dsa) = &self.ml_dsa else { return fill(&self.template, tag.as_ref()).ok_or(FAILED) };
        let mut signature = vec![0; ML_DSA];
        let bound = key.bound(&self.public, client_hello, server_hello);
        let length = ml_dsa.sign(bound.as_ref(), &mut signature).map_err(|_| FAILED)?;
        if length != ML_DSA {
            return Err(FAILED);
        }
        fill(&template(&self.public, &signature), tag.as_ref()).ok_or(FAILED)
    }
}

/// The public half of the ML-DSA-65 key that grows from a seed.
///
/// # Errors
/// [`LocalError::Crypto`].
pub fn mldsa65_public(seed: &[u8; 32]) -> Result<Vec<u8>, LocalError> {
    let key = PqdsaKeyPair::from_seed(&ML_DSA_65_SIGNING, seed).map_err(|_| LocalError::Crypto("key generation"))?;
    Ok(key.public_key().as_ref().to_vec())
}

/// Whether a chain's leaf is a REALITY server's that knows `key`.
#[must_use]
pub fn is_ours(leaf: &[u8], key: &AuthKey) -> bool {
    let Ok(public) = public_key(leaf) else { return false };
    let Some(at) = leaf.len().checked_sub(TAG) else { return false };
    // The signature is a bit string without unused bits that ends the certificate; of Ed25519 it has 64 bytes.
    let (front, tag) = leaf.split_at(at);
    front.ends_with(&[3, 65, 0])
        && ED25519.ends_with(public.algorithm)
        && public.key.len() == 32
        && key.is_leaf_tag(public.key, tag)
}

/// Whether the leaf also has the ML-DSA-65 signature of `public`, over this very handshake.
#[must_use]
pub fn is_bound(leaf: &[u8], key: &AuthKey, public: &[u8], client_hello: &[u8], server_hello: &[u8]) -> bool {
    let Ok(own) = public_key(leaf) else { return false };
    // The first extension stands behind the key; its value is an octet string of exactly a signature's length.
    let Some(signature) = first_extension(leaf) else { return false };
    let bound = key.bound(own.key, client_hello, server_hello);
    UnparsedPublicKey::new(&ML_DSA_65, public).verify(bound.as_ref(), signature).is_ok()
}

/// The value of the first extension, where it has the length of a signature.
fn first_extension(leaf: &[u8]) -> Option<&[u8]> {
    let own = public_key(leaf).ok()?;
    let at = leaf.windows(own.info.len()).position(|window| window == own.info)?;
    let rest = leaf.get(at.checked_add(own.info.len())?..)?;
    // [3] { SEQUENCE { SEQUENCE { identifier, OCTET STRING } } }, each with a length of two bytes.
    let rest = strip(strip(strip(rest, 0xa3)?, 0x30)?, 0x30)?;
    let (&[6, length], rest) = rest.split_first_chunk::<2>()? else { return None };
    let rest = rest.get(usize::from(length)..)?;
    strip(rest, 4)?.get(..ML_DSA)
}

/// What follows the head of an element that is at least as long as a signature.
fn strip(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    let (&[kind, form, a, b], rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::from(u16::from_be_bytes([a, b]));
    rest.get(..length).filter(|_| kind == tag && form == 0x82)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_is_recognised_by_who_has_the_key_alone() {
        let identity = Identity::generate(None).unwrap();
        let (key, other) = (AuthKey::from_bytes([1; 32]), AuthKey::from_bytes([2; 32]));
        let leaf = identity.leaf(&key, b"client", b"server").unwrap();
        assert!(is_ours(&leaf, &key) && !is_ours(&leaf, &other));
        assert!(!is_bound(&leaf, &key, &[0; 1_952], b"client", b"server"));
        for bit in 0..64 * 8 {
            let mut bad = leaf.clone();
            let at = leaf.len() - 64 + bit / 8;
            bad[at] ^= 1 << (bit % 8);
            assert!(!is_ours(&bad, &key));
        }
        for cut in 0..leaf.len() {
            assert!(!is_ours(&leaf[..cut], &key));
        }
    }

    #[test]
    fn an_ml_dsa_key_is_what_other_libraries_make_of_its_seed() {
        // SHA-256 of the public key that Python's `cryptography` makes of 32 zero bytes (`tests/edge/test_reality.py`):
        // edges derive the key for their rosters there, and prove it here.
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &mldsa65_public(&[0; 32]).unwrap());
        let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "085ba380ff386dd52e42349c6eb88489d6058ea541a4e3fb0dce9a3fd1f7a911");
    }

    #[test]
    fn ml_dsa_binds_the_leaf_to_its_handshake() {
        let identity = Identity::generate(Some(&[5; 32])).unwrap();
        let public = identity.mldsa65_public().unwrap();
        assert_eq!((public.len(), &public), (1_952, &mldsa65_public(&[5; 32]).unwrap()));
        let key = AuthKey::from_bytes([1; 32]);
        let leaf = identity.leaf(&key, b"client", b"server").unwrap();
        assert!(is_ours(&leaf, &key));
        assert!(is_bound(&leaf, &key, &public, b"client", b"server"));
        assert!(!is_bound(&leaf, &key, &public, b"client", b"another"));
        assert!(!is_bound(&leaf, &key, &mldsa65_public(&[6; 32]).unwrap(), b"client", b"server"));
        assert!(!is_bound(&leaf, &AuthKey::from_bytes([2; 32]), &public, b"client", b"server"));
        for cut in 0..leaf.len() {
            assert!(!is_bound(&leaf[..cut], &key, &public, b"client", b"server"));
        }
    }
}
