//! The sealed session id: 16 bytes that say who and when, under a key that both ends of an X25519 agreement derive.
//!
//! ```text
//!   secret  = X25519(a key share of the hello, the server's static key)
//!   key     = HKDF-SHA256(secret, salt = random[0..20], info = "REALITY")
//!   plain   = version[3] ‖ 0 ‖ seconds since 1970, u32 ‖ short id[8]
//!   session = AES-256-GCM(key, nonce = random[20..32], plain, aad = the hello with its session id zero)
//! ```
//!
//! As the whole hello is authenticated, a bit that differs anywhere makes a stranger of a friend.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{self, HKDF_SHA256, Salt};
use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use crate::error::LocalError;
use crate::groups::Offer;
use crate::hello::parse::Share;
use crate::names::{group, message};

/// Length of a sealed session id: the plain bytes and a tag.
pub const SESSION_ID: usize = 32;
/// Where the session id starts in a hello: behind the message's header, version, random, and its own length.
const AT: usize = 4 + 2 + 32 + 1;
/// Where the random starts.
const RANDOM: usize = 4 + 2;
/// Bytes of the random that salt the key; the others are the nonce.
const SALT: usize = 20;
/// What is sealed, without its tag.
const PLAIN: usize = 16;
/// ML-KEM-768's part of a hybrid share (FIPS 203), in front of the X25519 part.
const KEM: usize = 1_184;

const FAILED: LocalError = LocalError::Crypto("the session id's key");
const FORM: LocalError = LocalError::Config("a hello without a session id of 32 bytes cannot carry REALITY");

/// What a session id says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The client's protocol version, as Xray counts.
    pub version: [u8; 3],
    /// Seconds since 1970, by the client's clock.
    pub time: u32,
    pub short_id: [u8; 8],
}

impl Stamp {
    fn plain(&self) -> [u8; PLAIN] {
        let [x, y, z] = self.version;
        let [a, b, c, d] = self.time.to_be_bytes();
        let [s0, s1, s2, s3, s4, s5, s6, s7] = self.short_id;
        [x, y, z, 0, a, b, c, d, s0, s1, s2, s3, s4, s5, s6, s7]
    }

    fn read(plain: [u8; PLAIN]) -> Self {
        // The fourth byte is reserved; senders write zero, and receivers do not look.
        let [x, y, z, _, a, b, c, d, short_id @ ..] = plain;
        Self { version: [x, y, z], time: u32::from_be_bytes([a, b, c, d]), short_id }
    }
}

/// The key of one hello, known to the client and to who holds the server's static key. Wiped when dropped.
pub struct AuthKey(Zeroizing<[u8; 32]>);

impl std::fmt::Debug for AuthKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuthKey(..)")
    }
}

struct Length;

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        32
    }
}

impl AuthKey {
    /// # Errors
    /// [`LocalError::Crypto`].
    pub fn derive(shared: &[u8], random: &[u8; 32]) -> Result<Self, LocalError> {
        let (salt, _) = random.split_at(SALT);
        let mut key = Zeroizing::new([0; 32]);
        let prk = Salt::new(HKDF_SHA256, salt).extract(shared);
        prk.expand(&[b"REALITY"], Length).and_then(|okm| okm.fill(&mut *key)).map_err(|_| FAILED)?;
        Ok(Self(key))
    }

    /// A derived key as bytes; for vectors.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    fn aead(&self, hello: &[u8]) -> Option<(LessSafeKey, Nonce)> {
        let (_, nonce) = random(hello)?.split_at_checked(SALT)?;
        let nonce: [u8; NONCE_LEN] = nonce.try_into().ok()?;
        let key = UnboundKey::new(&AES_256_GCM, self.0.as_slice()).ok()?;
        // One nonce a key, since the key is salted with the same random.
        Some((LessSafeKey::new(key), Nonce::assume_unique_for_key(nonce)))
    }

    /// Writes the sealed stamp into the session id of a whole ClientHello message.
    ///
    /// # Errors
    /// [`LocalError::Config`] for a hello without a session id of 32 bytes.
    pub fn seal(&self, hello: &mut [u8], stamp: &Stamp) -> Result<[u8; SESSION_ID], LocalError> {
        session_id(hello).ok_or(FORM)?.fill(0);
        let (key, nonce) = self.aead(hello).ok_or(FORM)?;
        let mut plain = Zeroizing::new(stamp.plain());
        let tag = key.seal_in_place_separate_tag(nonce, Aad::from(&*hello), &mut *plain).map_err(|_| FAILED)?;
        let mut sealed = [0; SESSION_ID];
        for (to, from) in sealed.iter_mut().zip(plain.iter().chain(tag.as_ref())) {
            *to = *from;
        }
        session_id(hello).ok_or(FORM)?.copy_from_slice(&sealed);
        Ok(sealed)
    }

    /// Opens the session id of a whole ClientHello message; `None` where this key did not seal it.
    #[must_use]
    pub fn open(&self, hello: &[u8]) -> Option<Stamp> {
        let mut blank = hello.to_vec();
        let field = session_id(&mut blank)?;
        let mut sealed: [u8; SESSION_ID] = (&*field).try_into().ok()?;
        field.fill(0);
        let (key, nonce) = self.aead(&blank)?;
        let plain = key.open_in_place(nonce, Aad::from(blank.as_slice()), &mut sealed).ok()?;
        Some(Stamp::read((&*plain).try_into().ok()?))
    }

    /// What stands for the signature in the leaf: HMAC-SHA512 of its public key.
    #[must_use]
    pub fn leaf_tag(&self, public: &[u8]) -> hmac::Tag {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, self.0.as_slice()), public)
    }

    /// Whether `tag` is that, in constant time.
    #[must_use]
    pub fn is_leaf_tag(&self, public: &[u8], tag: &[u8]) -> bool {
        hmac::verify(&hmac::Key::new(hmac::HMAC_SHA512, self.0.as_slice()), public, tag).is_ok()
    }

    /// What ML-DSA-65 signs: the leaf's key and both hellos as they went over the wire, under HMAC-SHA512.
    #[must_use]
    pub fn bound(&self, public: &[u8], client_hello: &[u8], server_hello: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA512, self.0.as_slice()));
        context.update(public);
        context.update(client_hello);
        context.update(server_hello);
        context.sign()
    }
}

/// The random of a hello.
#[must_use]
pub fn random(hello: &[u8]) -> Option<&[u8; 32]> {
    hello.get(RANDOM..)?.first_chunk()
}

/// The session id, where the hello has one of the right length.
fn session_id(hello: &mut [u8]) -> Option<&mut [u8]> {
    let form = hello.first() == Some(&message::CLIENT_HELLO) && hello.get(AT - 1).map(|n| usize::from(*n)) == Some(32);
    hello.get_mut(AT..AT + SESSION_ID).filter(|_| form)
}

/// The share of ours that authenticates: X25519's, and only where there is none the X25519 half of the hybrid.
///
/// Xray's server from 26.9.8 on takes nobody without exactly one hybrid share, in front of X25519's, and then
/// authenticates in the same order of preference. So the order in a look matters, and browsers of today have it.
#[must_use]
pub fn own_share(shares: &[Offer]) -> Option<&Offer> {
    let of = |id: u16| shares.iter().find(|share| share.group() == id);
    of(group::X25519).or_else(|| of(group::X25519MLKEM768))
}

/// The same of a hello that came: the X25519 key that the client used. Hybrid or not, in any order: clients built on
/// older looks (sing-box 1.14, mihomo 1.19) send no hybrid share at all (`tests/interop/test_reality_peers.py`).
#[must_use]
pub fn their_share(shares: &[Share<'_>]) -> Option<[u8; 32]> {
    let of = |id: u16, at: usize| {
        let (_, key) = shares.iter().find(|(group, key)| *group == id && key.len() == at.saturating_add(32))?;
        key.get(at..)?.try_into().ok()
    };
    of(group::X25519, 0).or_else(|| of(group::X25519MLKEM768, KEM))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hello::plain::Plain;
    use crate::hello::{Ask, Author, SystemRandom};

    const STAMP: Stamp = Stamp { version: [26, 7, 28], time: 0x0102_0304, short_id: [1, 2, 3, 4, 5, 6, 7, 8] };

    fn hello(plain: &Plain) -> Vec<u8> {
        let ask = Ask { name: "example.org", now: 0, ticket: None, random: &SystemRandom };
        plain.hello(&ask).unwrap().message
    }

    #[test]
    fn what_is_sealed_opens_and_only_so() {
        let mut message = hello(&Plain::default());
        let key = AuthKey::derive(&[3; 32], random(&message).unwrap()).unwrap();
        let sealed = key.seal(&mut message, &STAMP).unwrap();
        assert_eq!(message[AT..AT + 32], sealed);
        assert_eq!(key.open(&message), Some(STAMP));
        let other = AuthKey::derive(&[4; 32], random(&message).unwrap()).unwrap();
        assert_eq!(other.open(&message), None);
        for bit in 0..message.len() * 8 {
            let mut bad = message.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key.open(&bad), None, "bit {bit}");
        }
        assert_eq!(format!("{key:?}"), "AuthKey(..)");
    }

    #[test]
    fn a_hello_without_a_session_id_is_refused() {
        let mut message = hello(&Plain { compatible: false, ..Plain::default() });
        let key = AuthKey::from_bytes([7; 32]);
        assert_eq!(key.seal(&mut message, &STAMP), Err(FORM));
        assert_eq!(key.open(&message), None);
        assert_eq!(key.open(&[]), None);
    }

    #[test]
    fn the_share_is_x25519_and_only_then_the_hybrid() {
        let (x, hybrid) = (Offer::generate(group::X25519).unwrap(), Offer::generate(group::X25519MLKEM768).unwrap());
        let (x_key, h_key) = (x.public().to_vec(), hybrid.public().to_vec());
        let half: [u8; 32] = h_key[KEM..].try_into().unwrap();
        for order in [vec![(0x11ec, &h_key[..]), (0x1d, &x_key[..])], vec![(0x1d, &x_key[..]), (0x11ec, &h_key[..])]] {
            assert_eq!(their_share(&order).unwrap(), x_key[..]);
        }
        assert_eq!(their_share(&[(0x1d, &x_key[1..]), (0x11ec, &h_key)]), Some(half));
        assert_eq!(their_share(&[(0x11ec, &h_key[1..]), (0x17, &x_key)]), None);
        let both = [hybrid, x];
        assert_eq!(own_share(&both).unwrap().public(), x_key);
        assert_eq!(own_share(&both[..1]).unwrap().public(), h_key);
        assert!(own_share(&[Offer::generate(group::P256).unwrap()]).is_none());
    }
}
