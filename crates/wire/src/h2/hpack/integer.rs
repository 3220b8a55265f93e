//! Integers with a prefix of 4 to 8 bits (RFC 7541 section 5.1).

/// Reads an integer whose first byte holds `bits` of it.
///
/// `Ok(None)` = more bytes needed. Values above 2^28 have no use here (no table, string or index is that large), so five
/// bytes in all are the most that is looked at and everything longer is a fault.
pub(super) fn read(buf: &[u8], bits: u8) -> Result<Option<(usize, usize)>, ()> {
    let mask = (1_usize << bits) - 1;
    let Some((first, rest)) = buf.split_first() else { return Ok(None) };
    let mut value = usize::from(*first) & mask;
    if value < mask {
        return Ok(Some((value, 1)));
    }
    for (n, byte) in rest.iter().enumerate().take(4) {
        value += usize::from(byte & 0x7f) << (7 * n);
        if byte & 0x80 == 0 {
            return Ok(Some((value, n + 2)));
        }
    }
    if rest.len() < 4 { Ok(None) } else { Err(()) }
}

/// Writes an integer; `first` holds the bits above the prefix.
pub(super) fn write(out: &mut Vec<u8>, first: u8, bits: u8, value: usize) {
    let mask = (1_usize << bits) - 1;
    if value < mask {
        out.push(first | low(value));
        return;
    }
    out.push(first | low(mask));
    let mut rest = value - mask;
    while rest >= 0x80 {
        out.push(0x80 | low(rest & 0x7f));
        rest >>= 7;
    }
    out.push(low(rest));
}

fn low(value: usize) -> u8 {
    value.to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7541 appendix C.1.
    #[test]
    fn appendix_c_1() {
        for (value, bits, bytes) in [(10, 5, &[0x0a][..]), (1337, 5, &[0x1f, 0x9a, 0x0a]), (42, 8, &[0x2a])] {
            let mut out = Vec::new();
            write(&mut out, 0, bits, value);
            assert_eq!(out, bytes);
            assert_eq!(read(bytes, bits), Ok(Some((value, bytes.len()))));
        }
    }

    #[test]
    fn there_and_back_at_every_edge() {
        for bits in 4..=8 {
            let mask = (1_usize << bits) - 1;
            for value in [0, 1, mask - 1, mask, mask + 1, mask + 127, mask + 128, 16_383, 16_384, (1 << 28) - 1] {
                let mut out = Vec::new();
                write(&mut out, 0, bits, value);
                assert_eq!(read(&out, bits), Ok(Some((value, out.len()))), "{value} in {bits} bits");
                for cut in 0..out.len() {
                    assert_eq!(read(&out[..cut], bits), Ok(None), "{value} cut at {cut}");
                }
            }
        }
    }

    #[test]
    fn endless_integers_are_faults() {
        assert_eq!(read(&[0xff, 0x80, 0x80, 0x80, 0x80], 7), Err(()));
        assert_eq!(read(&[0xff, 0x80, 0x80, 0x80, 0x80, 0x00], 7), Err(()));
        assert_eq!(read(&[0xff, 0x80, 0x80, 0x80], 7), Ok(None));
        assert_eq!(read(&[0xff, 0x80, 0x80, 0x80, 0x00], 7), Ok(Some((127, 5))));
    }
}
