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
    key_of(expect(rest, SEQUENCE)?.1)
}

/// The key of a SubjectPublicKeyInfo.
pub(super) fn key_of(info: &[u8]) -> Option<PublicKey<'_>> {
    let (content, _, end) = expect(info, SEQUENCE)?;
    if !end.is_empty() {
        return None;
    }
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

/// The value of an extension, inside its octet string; `Some(None)` where there is none.
pub(super) fn extension<'a>(certificate: &'a [u8], wanted: &[u8]) -> Option<Option<&'a [u8]>> {
    let (outer, _, _) = expect(certificate, SEQUENCE)?;
    let (mut rest, _, _) = expect(outer, SEQUENCE)?;
    let mut list = loop {
        if rest.is_empty() {
            return Some(None);
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
        if id == wanted {
            let value = expect(value, BOOLEAN).map_or(value, |(_, _, after)| after);
            return Some(Some(expect(value, OCTETS)?.0));
        }
    }
    Some(None)
}

/// Whether the key may sign: key usage says so or is not there.
fn may_sign(certificate: &[u8]) -> Option<bool> {
    let Some(value) = extension(certificate, KEY_USAGE)? else { return Some(true) };
    let (bits, _, _) = expect(value, BIT_STRING)?;
    // Behind the number of unused bits; digitalSignature is the first one.
    Some(bits.get(1).is_some_and(|byte| byte & 0x80 != 0))
}

/// UTCTime and GeneralizedTime (RFC 5280 section 4.1.2.5).
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// When a certificate starts to hold: seconds since 1970, zero for what is before.
pub(super) fn not_before(certificate: &[u8]) -> Option<u64> {
    let (outer, _, _) = expect(certificate, SEQUENCE)?;
    let (mut rest, _, _) = expect(outer, SEQUENCE)?;
    if let Some((_, _, after)) = expect(rest, VERSION) {
        rest = after;
    }
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        rest = expect(rest, tag)?.2;
    }
    let (tag, text, _, _) = element(expect(rest, SEQUENCE)?.0)?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = number(text, 2)?;
            // Section 4.1.2.5.1: from 1950 to 2049.
            (if year < 50 { year.checked_add(2_000)? } else { year.checked_add(1_900)? }, rest)
        }
        GENERALIZED_TIME => number(text, 4)?,
        _ => return None,
    };
    let (month, rest) = number(rest, 2)?;
    let (day, rest) = number(rest, 2)?;
    let (hour, rest) = number(rest, 2)?;
    let (minute, rest) = number(rest, 2)?;
    let (second, rest) = number(rest, 2)?;
    if rest != b"Z" || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    if year < 1_970 {
        return Some(0);
    }
    // Days of the years before this one, of its months, and of this month.
    let leap = |year: u64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let years: u64 = (1_970..year).map(|year| 365 + u64::from(leap(year))).sum();
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let months: u64 = lengths.iter().take(usize::try_from(month).ok()?.checked_sub(1)?).sum();
    let days = years.checked_add(months)?.checked_add(day.checked_sub(1)?)?;
    days.checked_mul(86_400)?
        .checked_add(hour.checked_mul(3_600)?)?
        .checked_add(minute.checked_mul(60)?)?
        .checked_add(second)
}

/// A decimal number of so many digits, and what follows.
fn number(text: &[u8], digits: usize) -> Option<(u64, &[u8])> {
    let (digits, rest) = text.split_at_checked(digits)?;
    let value = digits
        .iter()
        .try_fold(0_u64, |value, digit| digit.is_ascii_digit().then(|| value * 10 + u64::from(digit - b'0')));
    Some((value?, rest))
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
    fn the_start_of_a_certificate_is_a_moment() {
        let at = |year, month, day| {
            let mut params = rcgen::CertificateParams::new(vec![]).unwrap();
            params.not_before = rcgen::date_time_ymd(year, month, day);
            let made = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
            not_before(made.der()).unwrap()
        };
        assert_eq!(at(1970, 1, 1), 0);
        assert_eq!(at(1950, 1, 1), 0);
        assert_eq!(at(2000, 3, 1), 951_868_800);
        assert_eq!(at(2024, 2, 29), 1_709_164_800);
        assert_eq!(at(2026, 11, 23), 1_795_392_000);
        assert_eq!(at(2100, 12, 31), 4_133_894_400);
    }

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
