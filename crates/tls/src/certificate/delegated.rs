//! Delegated credentials (RFC 9345): a key for some days, signed by the leaf's. Firefox offers to take them, so what
//! wears its look takes them too, by the rules of section 4.1.3.

use super::{PublicKey, der, public_key, signature};
use crate::codec::Reader;
use crate::error::RemoteError;
use crate::hello::Offered;
use crate::names::scheme;

/// Longest time that a credential may still hold: seven days (section 4.1.3).
const LONGEST_S: u64 = 604_800;
/// id-pe-delegationUsage, 1.3.6.1.4.1.44363.44 (section 4.2).
const USAGE: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0xda, 0x4b, 0x2c];
/// What is signed begins like a handshake's signature (section 4): 64 spaces, a label, a zero.
const LABEL: &[u8] = b"TLS, server delegated credentials\0";

/// A key that may sign this handshake in the leaf's place, and the only scheme it may do it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegated {
    pub scheme: u16,
    info: Vec<u8>,
}

impl Delegated {
    /// The key.
    ///
    /// # Errors
    /// `illegal_parameter`; for one that was checked, never.
    pub fn key(&self) -> Result<PublicKey<'_>, RemoteError> {
        der::key_of(&self.info).ok_or(RemoteError::illegal("a delegated credential without a key"))
    }
}

/// Reads a leaf's extension and checks it; `now` is seconds since 1970.
///
/// # Errors
/// `decode_error` for its form, `decrypt_error` never: whatever else is wrong is `illegal_parameter` (section 4.1.3).
pub fn check(extension: &[u8], leaf: &[u8], offered: &Offered, now: u64) -> Result<Delegated, RemoteError> {
    let mut r = Reader::new(extension);
    let valid = u64::from(r.u32()?);
    let scheme = r.u16()?;
    let info = r.vec24()?.some()?.rest();
    let algorithm = r.u16()?;
    let signed = extension.get(..extension.len().saturating_sub(r.rest().len())).unwrap_or_default();
    let signature = r.vec16()?.some()?.rest();
    r.end()?;

    let start = der::not_before(leaf).ok_or(RemoteError::illegal("a certificate without dates"))?;
    let left = start.saturating_add(valid).checked_sub(now);
    if left.is_none_or(|left| left > LONGEST_S) {
        return Err(RemoteError::illegal("a delegated credential that is over, or holds for too long"));
    }
    // Section 4.1.1: RSA keys of the ordinary kind may not be delegated to.
    let rsa = [scheme::RSA_PSS_SHA256, scheme::RSA_PSS_SHA384, scheme::RSA_PSS_SHA512];
    if !offered.delegated.contains(&scheme) || rsa.contains(&scheme) || !offered.schemes.contains(&algorithm) {
        return Err(RemoteError::illegal("a delegated credential by a scheme that was not offered"));
    }
    if der::extension(leaf, USAGE).flatten().is_none() || !der::signs(leaf).unwrap_or(false) {
        return Err(RemoteError::illegal("a certificate that may not delegate"));
    }
    let content = [&[0x20; 64][..], LABEL, leaf, signed].concat();
    let key = public_key(leaf).map_err(|_| RemoteError::illegal("a certificate without a key"))?;
    signature::verify(algorithm, &key, &content, signature)
        .map_err(|_| RemoteError::illegal("a delegated credential with a bad signature"))?;
    let delegated = Delegated { scheme, info: info.to_vec() };
    delegated.key()?;
    Ok(delegated)
}
