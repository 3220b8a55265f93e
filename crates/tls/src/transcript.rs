//! The transcript hash (RFC 8446 section 4.4.1).
//!
//! The hash is known only when the server has chosen a suite, so the first messages are kept as bytes until then.
//! After a HelloRetryRequest the first hello is replaced by a synthetic message that holds its hash.

use aws_lc_rs::digest::{self, Context};

use crate::names::message;
use crate::suite::Hash;

/// A hash value of the transcript.
#[derive(Clone, Copy, Debug)]
pub struct Value {
    bytes: [u8; 48],
    length: usize,
}

impl Value {
    fn new(bytes: &[u8]) -> Self {
        let mut value = Self { bytes: [0; 48], length: bytes.len().min(48) };
        for (to, from) in value.bytes.iter_mut().zip(bytes) {
            *to = *from;
        }
        value
    }
}

impl std::ops::Deref for Value {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// Everything that both sides have said, hashed.
#[derive(Clone)]
pub struct Transcript {
    context: Context,
    hash: Hash,
}

impl Transcript {
    /// Starts with the first hello, once the suite is known.
    #[must_use]
    pub fn new(hash: Hash, hello: &[u8]) -> Self {
        let mut context = Context::new(hash.digest());
        context.update(hello);
        Self { context, hash }
    }

    /// Starts with a hello that was answered with a HelloRetryRequest.
    #[must_use]
    pub fn retried(hash: Hash, hello: &[u8]) -> Self {
        let first = digest::digest(hash.digest(), hello);
        // message_hash: the type, a length of three bytes, Hash(ClientHello1).
        let mut synthetic = vec![message::MESSAGE_HASH, 0, 0, u8::try_from(hash.size()).unwrap_or_default()];
        synthetic.extend_from_slice(first.as_ref());
        Self::new(hash, &synthetic)
    }

    #[must_use]
    pub const fn hash(&self) -> Hash {
        self.hash
    }

    /// A whole message, header included.
    pub fn add(&mut self, message: &[u8]) {
        self.context.update(message);
    }

    /// The hash of all messages so far.
    #[must_use]
    pub fn value(&self) -> Value {
        Value::new(self.context.clone().finish().as_ref())
    }

    /// The hash as it would be after `more`; for binders, which cover a truncated hello.
    #[must_use]
    pub fn value_with(&self, more: &[u8]) -> Value {
        let mut context = self.context.clone();
        context.update(more);
        Value::new(context.finish().as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_replaces_the_first_hello() {
        let mut one = Transcript::retried(Hash::Sha256, b"hello");
        one.add(b"retry");
        let mut by_hand = vec![254, 0, 0, 32];
        by_hand.extend_from_slice(digest::digest(&digest::SHA256, b"hello").as_ref());
        by_hand.extend_from_slice(b"retry");
        assert_eq!(&*one.value(), digest::digest(&digest::SHA256, &by_hand).as_ref());
        assert_eq!(
            &*Transcript::new(Hash::Sha384, b"a").value_with(b"b"),
            digest::digest(&digest::SHA384, b"ab").as_ref()
        );
    }
}
