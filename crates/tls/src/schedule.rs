//! The key schedule (RFC 8446 section 7).
//!
//! ```text
//!              0 ─▶ Extract(PSK or 0) = Early ──▶ binder key
//!                     │ derived
//!                     ▼
//!                  Extract((EC)DHE)   = Handshake ──▶ client and server handshake traffic
//!                     │ derived
//!                     ▼
//!                  Extract(0)         = Master ──▶ client and server application traffic, exporter, resumption
//! ```
//!
//! Each stage is a type that is consumed by the step to the next, so a secret cannot be derived out of order. The
//! extracted keys live inside the primitive, the derived ones in [`Secret`], which is wiped when it is dropped.

use aws_lc_rs::aead::NONCE_LEN;
use aws_lc_rs::hkdf::{self, Prk, Salt};
use aws_lc_rs::{digest, hmac};
use zeroize::{Zeroize, Zeroizing};

use crate::error::LocalError;
use crate::suite::{Hash, Suite};

/// Longest secret: SHA-384's output.
const MAX: usize = 48;

/// A secret as long as its hash; wiped when dropped, never printed.
#[derive(Clone)]
pub struct Secret {
    bytes: [u8; MAX],
    hash: Hash,
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A length that HKDF takes as a type.
struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-Expand-Label (RFC 8446 section 7.1): the label's prefix is "tls13 ".
fn expand_label(prk: &Prk, label: &[u8], context: &[u8], out: &mut [u8]) -> Result<(), LocalError> {
    const FAILED: LocalError = LocalError::Crypto("HKDF-Expand-Label");
    const PREFIX: &[u8] = b"tls13 ";
    let length = u16::try_from(out.len()).map_err(|_| FAILED)?.to_be_bytes();
    let label_len = [u8::try_from(label.len()).ok().and_then(|n| n.checked_add(6)).ok_or(FAILED)?];
    let context_len = [u8::try_from(context.len()).map_err(|_| FAILED)?];
    let info = [&length[..], &label_len, PREFIX, label, &context_len, context];
    prk.expand(&info, Length(out.len())).and_then(|okm| okm.fill(out)).map_err(|_| FAILED)
}

impl Secret {
    fn empty(hash: Hash) -> Self {
        Self { bytes: [0; MAX], hash }
    }

    /// # Errors
    /// [`LocalError::Crypto`] where the length is not the hash's.
    pub fn from_bytes(hash: Hash, bytes: &[u8]) -> Result<Self, LocalError> {
        let mut secret = Self::empty(hash);
        let room = secret.bytes.get_mut(..bytes.len()).ok_or(LocalError::Crypto("secret length"))?;
        room.copy_from_slice(bytes);
        if bytes.len() == hash.size() { Ok(secret) } else { Err(LocalError::Crypto("secret length")) }
    }

    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.hash.size()).unwrap_or_default()
    }

    #[must_use]
    pub const fn hash(&self) -> Hash {
        self.hash
    }

    fn prk(&self) -> Prk {
        Prk::new_less_safe(self.hash.hkdf(), self.bytes())
    }

    fn derive(prk: &Prk, hash: Hash, label: &[u8], context: &[u8]) -> Result<Self, LocalError> {
        let mut secret = Self::empty(hash);
        let out = secret.bytes.get_mut(..hash.size()).unwrap_or_default();
        expand_label(prk, label, context, out)?;
        Ok(secret)
    }

    /// The next generation of a traffic secret (RFC 8446 section 7.2).
    ///
    /// # Errors
    /// [`LocalError::Crypto`]; so for everything below.
    pub fn next(&self) -> Result<Self, LocalError> {
        Self::derive(&self.prk(), self.hash, b"traffic upd", &[])
    }

    /// Key and IV of a traffic secret (RFC 8446 section 7.3).
    ///
    /// # Errors
    /// As [`Secret::next`].
    pub fn traffic_keys(&self, suite: Suite) -> Result<(Zeroizing<Vec<u8>>, [u8; NONCE_LEN]), LocalError> {
        let prk = self.prk();
        let mut key = Zeroizing::new(vec![0; suite.key_len()]);
        expand_label(&prk, b"key", &[], &mut key)?;
        let mut iv = [0; NONCE_LEN];
        expand_label(&prk, b"iv", &[], &mut iv)?;
        Ok((key, iv))
    }

    fn finished_key(&self) -> Result<hmac::Key, LocalError> {
        let key = Self::derive(&self.prk(), self.hash, b"finished", &[])?;
        Ok(hmac::Key::new(self.hash.hmac(), key.bytes()))
    }

    /// The verify_data of a Finished message, and of a PSK binder (RFC 8446 sections 4.4.4 and 4.2.11.2).
    ///
    /// # Errors
    /// As [`Secret::next`].
    pub fn finished(&self, transcript: &[u8]) -> Result<hmac::Tag, LocalError> {
        Ok(hmac::sign(&self.finished_key()?, transcript))
    }

    /// Compares in constant time.
    ///
    /// # Errors
    /// As [`Secret::next`].
    pub fn check_finished(&self, transcript: &[u8], theirs: &[u8]) -> Result<bool, LocalError> {
        Ok(hmac::verify(&self.finished_key()?, transcript, theirs).is_ok())
    }

    /// The PSK of a ticket, from the resumption master secret (RFC 8446 section 4.6.1).
    ///
    /// # Errors
    /// As [`Secret::next`].
    pub fn resumption(&self, nonce: &[u8]) -> Result<Self, LocalError> {
        Self::derive(&self.prk(), self.hash, b"resumption", nonce)
    }

    /// An exported value, from the exporter master secret (RFC 8446 section 7.5).
    ///
    /// # Errors
    /// As [`Secret::next`].
    pub fn export(&self, label: &[u8], context: &[u8], out: &mut [u8]) -> Result<(), LocalError> {
        let algorithm = self.hash.digest();
        let empty = digest::digest(algorithm, &[]);
        let per_label = Self::derive(&self.prk(), self.hash, label, empty.as_ref())?;
        let context = digest::digest(algorithm, context);
        expand_label(&per_label.prk(), b"exporter", context.as_ref(), out)
    }
}

/// An extracted key of the schedule.
struct Stage {
    prk: Prk,
    hash: Hash,
}

impl Stage {
    fn extract(hash: Hash, salt: &[u8], key: &[u8]) -> Self {
        Self { prk: Salt::new(hash.hkdf(), salt).extract(key), hash }
    }

    fn derive(&self, label: &[u8], transcript: &[u8]) -> Result<Secret, LocalError> {
        Secret::derive(&self.prk, self.hash, label, transcript)
    }

    fn next(self, key: &[u8]) -> Result<Self, LocalError> {
        let empty = digest::digest(self.hash.digest(), &[]);
        let salt = self.derive(b"derived", empty.as_ref())?;
        Ok(Self::extract(self.hash, salt.bytes(), key))
    }
}

/// First stage: a PSK or none.
pub struct Early(Stage);

impl Early {
    #[must_use]
    pub fn new(hash: Hash, psk: Option<&Secret>) -> Self {
        let zeros = [0; MAX];
        let zeros = zeros.get(..hash.size()).unwrap_or_default();
        Self(Stage::extract(hash, zeros, psk.map_or(zeros, Secret::bytes)))
    }

    /// The key of the binder of a resumption PSK (RFC 8446 section 4.2.11.2).
    ///
    /// # Errors
    /// As [`Secret::next`].
    pub fn binder(&self) -> Result<Secret, LocalError> {
        let empty = digest::digest(self.0.hash.digest(), &[]);
        self.0.derive(b"res binder", empty.as_ref())
    }

    /// # Errors
    /// As [`Secret::next`].
    pub fn handshake(self, shared: &[u8]) -> Result<Handshake, LocalError> {
        self.0.next(shared).map(Handshake)
    }
}

/// Second stage; `transcript` is the hash from ClientHello to ServerHello.
pub struct Handshake(Stage);

impl Handshake {
    /// # Errors
    /// As [`Secret::next`].
    pub fn client_traffic(&self, transcript: &[u8]) -> Result<Secret, LocalError> {
        self.0.derive(b"c hs traffic", transcript)
    }

    /// # Errors
    /// As [`Secret::next`].
    pub fn server_traffic(&self, transcript: &[u8]) -> Result<Secret, LocalError> {
        self.0.derive(b"s hs traffic", transcript)
    }

    /// # Errors
    /// As [`Secret::next`].
    pub fn master(self) -> Result<Master, LocalError> {
        let zeros = [0; MAX];
        let zeros = zeros.get(..self.0.hash.size()).unwrap_or_default();
        self.0.next(zeros).map(Master)
    }
}

/// Third stage; `transcript` is the hash from ClientHello to the server's Finished (for resumption: the client's).
pub struct Master(Stage);

impl Master {
    /// # Errors
    /// As [`Secret::next`].
    pub fn client_traffic(&self, transcript: &[u8]) -> Result<Secret, LocalError> {
        self.0.derive(b"c ap traffic", transcript)
    }

    /// # Errors
    /// As [`Secret::next`].
    pub fn server_traffic(&self, transcript: &[u8]) -> Result<Secret, LocalError> {
        self.0.derive(b"s ap traffic", transcript)
    }

    /// # Errors
    /// As [`Secret::next`].
    pub fn exporter(&self, transcript: &[u8]) -> Result<Secret, LocalError> {
        self.0.derive(b"exp master", transcript)
    }

    /// # Errors
    /// As [`Secret::next`].
    pub fn resumption(&self, transcript: &[u8]) -> Result<Secret, LocalError> {
        self.0.derive(b"res master", transcript)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_its_hashes_length_and_is_not_printed() {
        assert!(Secret::from_bytes(Hash::Sha256, &[1; 31]).is_err());
        assert!(Secret::from_bytes(Hash::Sha384, &[1; 49]).is_err());
        let secret = Secret::from_bytes(Hash::Sha384, &[1; 48]).unwrap();
        assert_eq!(secret.bytes().len(), 48);
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }

    #[test]
    fn a_wrong_finished_is_refused() {
        let secret = Secret::from_bytes(Hash::Sha256, &[1; 32]).unwrap();
        let good = secret.finished(&[7; 32]).unwrap();
        assert!(secret.check_finished(&[7; 32], good.as_ref()).unwrap());
        assert!(!secret.check_finished(&[8; 32], good.as_ref()).unwrap());
        assert!(!secret.check_finished(&[7; 32], &good.as_ref()[..31]).unwrap());
    }
}
