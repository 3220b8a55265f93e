//! Just enough DER to find the key of a certificate (RFC 5280 section 4.1): chains are judged by webpki, but the key
//! that signs the handshake is needed of any leaf, also of those that no chain reaches.

use super::CertificateError;

const SEQUENCE: u8 = 0x30;
const OID: u8 = 0x06;
const BIT_STRING: u8 = 0x03;
const INTEGER: u8 = 0x02;
/// `[0] EXPLICIT`, where the version stands.
const VERSION: u8 = 0xa0;

/// A subject's public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey<'a> {
    /// The whole SubjectPublicKeyInfo; its SHA-256 is what is pinned (RFC 7469 section 2.4).
    pub info: &'a [u8],
    /// Object identifier of the algorithm, and its parameters where they are one too (the curve).
    pub algorithm: &'a [u8],
    pub parameters: &'a [u8],
    pub key: &'a [u8],
}

/// One element: tag, content, the element whole, what follows.
type Element<'a> = (u8, &'a [u8], &'a [u8], &'a [u8]);

fn element(bytes: &[u8]) -> Option<Element<'_>> {
    let (&[tag, first], rest) = bytes.split_first_chunk::<2>()?;
    if tag & 0x1f == 0x1f {
        return None;
    }
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // Long form of up to three bytes: a certificate message is no longer.
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |n, d| n << 8 | usize::from(*d)), rest)
        }
        _ => return None,
    };
    let (content, after) = rest.split_at_checked(length)?;
    let whole = bytes.get(..bytes.len().checked_sub(after.len())?)?;
    Some((tag, content, whole, after))
}

fn expect(bytes: &[u8], wanted: u8) -> Option<(&[u8], &[u8], &[u8])> {
    let (tag, content, whole, after) = element(bytes)?;
    (tag == wanted).then_some((content, whole, after))
}

fn find(certificate: &[u8]) -> Option<PublicKey<'_>> {
    let (outer, _, end) = expect(certificate, SEQUENCE)?;
    if !end.is_empty() {
        return None;
    }
    let (mut rest, _, _) = expect(outer, SEQUENCE)?;
    if let Some((_, _, after)) = expect(rest, VERSION) {
        rest = after;
    }
    // Serial number, signature algorithm, issuer, validity, subject.
    for tag in [INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE] {
        rest = expect(rest, tag)?.2;
    }
    let (content, info, _) = expect(rest, SEQUENCE)?;
    let (algorithm, _, bits) = expect(content, SEQUENCE)?;
    let (oid, _, parameters) = expect(algorithm, OID)?;
    let parameters = expect(parameters, OID).map_or(&[][..], |(curve, _, _)| curve);
    let (bits, _, end) = expect(bits, BIT_STRING)?;
    // A key is whole bytes: no unused bits.
    let (0, key) = bits.split_first().map(|(unused, key)| (*unused, key))? else { return None };
    end.is_empty().then_some(PublicKey { info, algorithm: oid, parameters, key })
}

/// The key of a certificate.
///
/// # Errors
/// [`CertificateError::Malformed`].
pub fn public_key(certificate: &[u8]) -> Result<PublicKey<'_>, CertificateError> {
    find(certificate).ok_or(CertificateError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_and_cuts_are_refused() {
        let made = rcgen::generate_simple_self_signed(vec!["example.org".into()]).unwrap();
        let der = made.cert.der();
        let key = public_key(der).unwrap();
        assert_eq!(key.info, rcgen::PublicKeyData::subject_public_key_info(&made.signing_key));
        assert_eq!((key.key.len(), key.key[0]), (65, 4));
        for cut in 0..der.len() {
            assert_eq!(public_key(&der[..cut]), Err(CertificateError::Malformed));
        }
        assert!(public_key(&[der, &[0][..]].concat()).is_err());
    }
}
