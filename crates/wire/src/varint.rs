//! Variable-length integers (RFC 9000 section 16): the two high bits of the first byte give the length.

use crate::error::LocalProtocolError;

/// Largest value that has an encoding (RFC 9000 section 16: 62 bits).
pub const MAX: u64 = (1 << 62) - 1;

/// Longest encoding in bytes (RFC 9000 section 16).
pub const MAX_LEN: usize = 8;

/// Bytes that the shortest encoding of `value` takes; `None` above [`MAX`].
#[must_use]
pub const fn len(value: u64) -> Option<usize> {
    match value {
        0..=0x3f => Some(1),
        0x40..=0x3fff => Some(2),
        0x4000..=0x3fff_ffff => Some(4),
        0x4000_0000..=MAX => Some(8),
        _ => None,
    }
}

/// Appends the shortest encoding of `value`.
///
/// # Errors
/// When `value` is above [`MAX`].
pub fn encode(value: u64, out: &mut Vec<u8>) -> Result<(), LocalProtocolError> {
    let size = len(value).ok_or(LocalProtocolError::new("a variable-length integer holds 62 bits"))?;
    let mark = (size.trailing_zeros() as u64) << (size * 8 - 2);
    out.extend((value | mark).to_be_bytes().iter().skip(8 - size));
    Ok(())
}

/// Reads one integer and how many bytes it took; `None` when `input` ends inside it.
///
/// Longer encodings than needed are valid (RFC 9000 section 16).
#[must_use]
pub fn decode(input: &[u8]) -> Option<(u64, usize)> {
    let size = 1usize << (input.first()? >> 6);
    let bytes = input.get(..size)?;
    let value = bytes.iter().fold(0u64, |value, byte| (value << 8) | u64::from(*byte));
    Some((value & (u64::MAX >> (66 - 8 * size)), size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 9000 appendix A.1.
    #[test]
    fn golden() {
        let cases: [(&[u8], u64); 5] = [
            (&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c], 151_288_809_941_952_652),
            (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333),
            (&[0x7b, 0xbd], 15_293),
            (&[0x25], 37),
            (&[0x40, 0x25], 37),
        ];
        for (bytes, value) in cases {
            assert_eq!(decode(bytes), Some((value, bytes.len())));
        }
        for (bytes, value) in cases.iter().take(4) {
            let mut out = Vec::new();
            encode(*value, &mut out).unwrap();
            assert_eq!(out, *bytes);
        }
    }

    #[test]
    fn borders() {
        for (value, size) in
            [(0, 1), (63, 1), (64, 2), (16_383, 2), (16_384, 4), (1_073_741_823, 4), (1_073_741_824, 8), (MAX, 8)]
        {
            let mut out = Vec::new();
            encode(value, &mut out).unwrap();
            assert_eq!((out.len(), len(value), decode(&out)), (size, Some(size), Some((value, size))));
        }
        assert!(encode(MAX + 1, &mut Vec::new()).is_err());
        assert_eq!(len(u64::MAX), None);
        assert_eq!(decode(&[]), None);
    }

    proptest! {
        #[test]
        fn round_trip_and_every_truncation(value in 0..=MAX) {
            let mut out = Vec::new();
            encode(value, &mut out).unwrap();
            prop_assert_eq!(decode(&out), Some((value, out.len())));
            for cut in 0..out.len() {
                prop_assert_eq!(decode(&out[..cut]), None);
            }
        }
    }
}
