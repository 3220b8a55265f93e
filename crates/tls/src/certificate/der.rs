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

/// `[3] EXPLICIT`, where the extensions of a certificate stand.
const EXTENSIONS: u8 = 0xa3;
const BOOLEAN: u8 = 0x01;
const OCTETS: u8 = 0x04;
/// id-ce-keyUsage (RFC 5280 section 4.2.1.3).
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];

/// Whether the key may sign: key usage says so or is not there.
fn may_sign(certificate: &[u8]) -> Option<bool> {
    let (outer, _, _) = expect(certificate, SEQUENCE)?;
    let (mut rest, _, _) = expect(outer, SEQUENCE)?;
    let mut list = loop {
        if rest.is_empty() {
            return Some(true);
        }
        let (tag, content, _, after) = element(rest)?;
        if tag == EXTENSIONS {
            break expect(content, SEQUENCE)?.0;
        }
        rest = after;
    };
    while !list.is_empty() {
        let (extension, _, after) = expect(list, SEQUENCE)?;
        list = after;
        let (id, _, value) = expect(extension, OID)?;
        if id != KEY_USAGE {
            continue;
        }
        let value = expect(value, BOOLEAN).map_or(value, |(_, _, after)| after);
        let (bits, _, _) = expect(expect(value, OCTETS)?.0, BIT_STRING)?;
        // Behind the number of unused bits; digitalSignature is the first one.
        return Some(bits.get(1).is_some_and(|byte| byte & 0x80 != 0));
    }
    Some(true)
}

/// Whether the key of a certificate may sign a handshake (RFC 5280 section 4.2.1.3, RFC 8446 section 4.4.2.2).
///
/// # Errors
/// [`CertificateError::Malformed`].
pub fn signs(certificate: &[u8]) -> Result<bool, CertificateError> {
    may_sign(certificate).ok_or(CertificateError::Malformed)
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

    #[test]
    fn key_usage_is_looked_at_where_it_stands() {
        use rcgen::KeyUsagePurpose as P;
        let key = rcgen::KeyPair::generate().unwrap();
        let cases = [(vec![], true), (vec![P::DigitalSignature], true), (vec![P::KeyEncipherment], false)];
        for (usages, may) in cases {
            let mut params = rcgen::CertificateParams::new(vec!["example.org".into()]).unwrap();
            params.key_usages = usages;
            let der = params.self_signed(&key).unwrap();
            assert_eq!(signs(der.der()), Ok(may));
            for cut in 0..der.der().len() {
                assert_eq!(signs(&der.der()[..cut]), Err(CertificateError::Malformed));
            }
        }
    }
}
