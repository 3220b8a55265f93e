//! Tickets that hold the session, sealed for ourselves (RFC 8446 section 4.6.1: self-encrypted tickets).

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::codec::{Reader, Writer};
use crate::error::LocalError;
use crate::hello::Random;
use crate::schedule::Secret;
use crate::suite::Suite;

/// Seconds a ticket is good for.
pub const LIFETIME: u32 = 7_200;

/// The key that seals tickets; its clones resume each other's sessions.
#[derive(Clone)]
pub struct TicketKey(Arc<LessSafeKey>);

impl std::fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TicketKey(..)")
    }
}

impl TicketKey {
    /// # Errors
    /// [`LocalError::Random`].
    pub fn generate(random: &dyn Random) -> Result<Self, LocalError> {
        let mut key = Zeroizing::new([0; 32]);
        random.fill(&mut *key)?;
        let key = UnboundKey::new(&AES_256_GCM, &*key).map_err(|_| LocalError::Crypto("ticket key"))?;
        Ok(Self(Arc::new(LessSafeKey::new(key))))
    }

    pub(super) fn seal(
        &self,
        random: &dyn Random,
        suite: Suite,
        psk: &Secret,
        name: &[u8],
        now: u64,
    ) -> Result<Vec<u8>, LocalError> {
        const FAILED: LocalError = LocalError::Crypto("sealing a ticket");
        let mut nonce = [0; NONCE_LEN];
        random.fill(&mut nonce)?;
        let mut w = Writer::new();
        w.u16(suite.id());
        w.put(&now.to_be_bytes());
        w.vec8(|w| w.put(psk.bytes()));
        w.vec16(|w| w.put(name));
        let mut text = w.done()?;
        let nonce_bytes = Nonce::assume_unique_for_key(nonce);
        self.0.seal_in_place_append_tag(nonce_bytes, Aad::empty(), &mut text).map_err(|_| FAILED)?;
        let mut ticket = nonce.to_vec();
        ticket.append(&mut text);
        Ok(ticket)
    }

    /// Suite and PSK of a ticket that is ours, good, and for this name.
    pub(super) fn open(&self, ticket: &[u8], name: &[u8], now: u64) -> Option<(Suite, Secret)> {
        let (nonce, text) = ticket.split_first_chunk::<NONCE_LEN>()?;
        let mut text = Zeroizing::new(text.to_vec());
        let text = self.0.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::empty(), &mut text).ok()?;
        let mut r = Reader::new(text);
        let suite = Suite::from_id(r.u16().ok()?)?;
        let made = u64::from_be_bytes(r.array().ok()?);
        let psk = Secret::from_bytes(suite.hash(), r.vec8().ok()?.rest()).ok()?;
        let fits = r.vec16().ok()?.rest() == name && now.checked_sub(made)? < u64::from(LIFETIME) * 1_000;
        fits.then_some((suite, psk))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hello::SystemRandom;
    use crate::suite::Hash;

    #[test]
    fn only_ours_only_in_time_only_for_the_name() {
        let key = TicketKey::generate(&SystemRandom).unwrap();
        let psk = Secret::from_bytes(Hash::Sha384, &[5; 48]).unwrap();
        let ticket = key.seal(&SystemRandom, Suite::Aes256GcmSha384, &psk, b"a", 1_000).unwrap();
        let (suite, back) = key.open(&ticket, b"a", 2_000).unwrap();
        assert_eq!((suite, back.bytes()), (Suite::Aes256GcmSha384, psk.bytes()));
        assert!(key.open(&ticket, b"b", 2_000).is_none());
        assert!(key.open(&ticket, b"a", 999).is_none());
        assert!(key.open(&ticket, b"a", 1_000 + 7_200_000).is_none());
        assert!(TicketKey::generate(&SystemRandom).unwrap().open(&ticket, b"a", 2_000).is_none());
        for at in 0..ticket.len() {
            let mut bad = ticket.clone();
            bad[at] ^= 1;
            assert!(key.open(&bad, b"a", 2_000).is_none());
        }
    }
}
