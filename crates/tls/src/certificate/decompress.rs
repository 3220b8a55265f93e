//! Compressed certificates (RFC 8879): zlib, brotli, zstd, each bounded by the length that was announced.
//!
//! Section 5 asks for limits: output never grows past the announced length, which itself has the limit of any
//! certificate message; zstd windows above 8 MiB are refused (section 3), by the frame's own header, before anything
//! is allocated for them.

use std::io::Read;

use crate::alert::Alert;
use crate::channel::MAX_CERTIFICATE;
use crate::error::RemoteError;
use crate::messages::certificate::Compressed;
use crate::names::compression;

const BAD: RemoteError = RemoteError::new(Alert::BAD_CERTIFICATE, "a certificate that cannot be decompressed");
/// Largest window of zstd (RFC 8879 section 3, RFC 8878 section 3.1.1.1.2).
const MAX_WINDOW: u64 = 8 << 20;
/// Magic number of a zstd frame (RFC 8878 section 3.1.1).
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Window of the frame that `bytes` start with (RFC 8878 section 3.1.1.1): from its exponent and mantissa, or, in a
/// single segment, the size of its content.
fn window(bytes: &[u8]) -> Option<u64> {
    let rest = bytes.strip_prefix(&ZSTD)?;
    let (descriptor, rest) = rest.split_first()?;
    if descriptor & 0x20 == 0 {
        let byte = u64::from(*rest.first()?);
        let base = 1_u64.checked_shl(10 + u32::try_from(byte >> 3).ok()?)?;
        return base.checked_add((base >> 3) * (byte & 7));
    }
    let dictionary = [0, 1, 2, 4].get(usize::from(descriptor & 3))?;
    let size = [1, 2, 4, 8].get(usize::from(descriptor >> 6))?;
    let field = rest.get(*dictionary..)?.get(..*size)?;
    let value = field.iter().rev().fold(0_u64, |n, b| n << 8 | u64::from(*b));
    // The two-byte form counts from 256 (section 3.1.1.1.4).
    Some(if *size == 2 { value + 256 } else { value })
}

/// The message inside.
///
/// # Errors
/// `illegal_parameter` for an algorithm that was not offered, `bad_certificate` for everything else (section 4).
pub fn decompress(message: &Compressed<'_>, offered: &[u16]) -> Result<Vec<u8>, RemoteError> {
    if !offered.contains(&message.algorithm) {
        return Err(RemoteError::illegal("a compression that was not offered"));
    }
    if message.length == 0 || message.length > MAX_CERTIFICATE {
        return Err(BAD);
    }
    let input = message.bytes;
    match message.algorithm {
        compression::ZLIB => exactly(flate2::read::ZlibDecoder::new(input), message.length),
        compression::BROTLI => exactly(brotli_decompressor::Decompressor::new(input, 4_096), message.length),
        compression::ZSTD => {
            if window(input).is_none_or(|w| w > MAX_WINDOW) {
                return Err(BAD);
            }
            exactly(ruzstd::decoding::StreamingDecoder::new(input).map_err(|_| BAD)?, message.length)
        }
        _ => Err(RemoteError::illegal("a compression that does not exist")),
    }
}

/// All of a stream, which must be exactly so long; one byte more is asked for, to see that it ends.
fn exactly(stream: impl Read, length: usize) -> Result<Vec<u8>, RemoteError> {
    let limit = u64::try_from(length).map_err(|_| BAD)?.checked_add(1).ok_or(BAD)?;
    let mut out = Vec::with_capacity(length);
    stream.take(limit).read_to_end(&mut out).map_err(|_| BAD)?;
    if out.len() == length { Ok(out) } else { Err(BAD) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut to = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        to.write_all(bytes).unwrap();
        to.finish().unwrap()
    }

    /// One meta-block that is stored, by hand (RFC 7932 section 9.2): window bits 16, length 5, then an empty last one.
    const BROTLI: &[u8] = &[0x40, 0x00, 0x10, b'h', b'e', b'l', b'l', b'o', 0x03];
    /// A single segment of five bytes in one raw block that is the last (RFC 8878).
    const RAW: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd, 0x20, 5, 0x29, 0, 0, b'h', b'e', b'l', b'l', b'o'];

    fn go(algorithm: u16, length: usize, bytes: &[u8]) -> Result<Vec<u8>, &'static str> {
        decompress(&Compressed { algorithm, length, bytes }, &[1, 2, 3]).map_err(|e| e.alert.name())
    }

    #[test]
    fn all_three_work_and_lengths_are_exact() {
        let z = zlib(b"hello");
        for (algorithm, bytes) in [(1, z.as_slice()), (2, BROTLI), (3, RAW)] {
            assert_eq!(go(algorithm, 5, bytes), Ok(b"hello".to_vec()), "{algorithm}");
            for wrong in [0, 4, 6, MAX_CERTIFICATE + 1] {
                assert_eq!(go(algorithm, wrong, bytes), Err("bad_certificate"));
            }
            assert_eq!(go(algorithm, 5, &bytes[..bytes.len() / 2]), Err("bad_certificate"));
        }
        assert_eq!(go(4, 5, b"x"), Err("illegal_parameter"));
        let one = Compressed { algorithm: 2, length: 5, bytes: BROTLI };
        assert_eq!(decompress(&one, &[1]).unwrap_err().alert.name(), "illegal_parameter");
    }

    #[test]
    fn bombs_stop_at_the_announced_length() {
        let bomb = zlib(&vec![0; 50_000_000]);
        assert_eq!(go(1, 1_000, &bomb), Err("bad_certificate"));
        // A window descriptor of 2^41 bytes, and one of 16 MiB.
        for byte in [0xf8, 14 << 3] {
            assert_eq!(go(3, 5, &[0x28, 0xb5, 0x2f, 0xfd, 0, byte, 0x29, 0, 0, 1, 2, 3, 4, 5]), Err("bad_certificate"));
        }
    }
}
