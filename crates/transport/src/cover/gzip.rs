//! Whether and how an answer is compressed: nginx's `gzip on` with everything else at its default, byte for byte.

use std::io;

use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use rozaneh_net::pool::Slice;

use super::body::{Produce, Source};
use super::deflate;
use super::message::{Http, Request};

/// Shorter bodies stay as they are (`gzip_min_length`).
const MIN_LENGTH: u64 = 20;
/// The compressor is fed like this (`output_buffers 2 32k`) …
const INPUT: u64 = 32 * 1024;
/// … and what it makes leaves in whole pages of this size, all that one feeding filled at once (`gzip_buffers 32 4k`).
const PAGE: usize = 4096;
/// zlib cannot use the last 262 bytes of a window (its MIN_LOOKAHEAD): a smaller window does where all still fits.
const UNUSABLE: u64 = 262;

/// Whether the visitor takes gzip and the answer is one that gets it.
pub(super) fn wanted(request: &Request, status: u16, content_type: &str, length: u64) -> bool {
    matches!(status, 200 | 403 | 404)
        && content_type == "text/html"
        && length >= MIN_LENGTH
        && request.http >= Http::V1_1
        && request.header("via").is_none()
        && request.header("accept-encoding").is_some_and(accepts)
}

/// Whether an `Accept-Encoding` allows gzip, as nginx reads it: the first standing-alone `gzip` decides.
fn accepts(value: &[u8]) -> bool {
    if value.starts_with(b"gzip,") {
        return true;
    }
    let mut from = 0;
    let at = loop {
        let rest = value.get(from..).unwrap_or_default();
        let Some(found) = rest.windows(4).position(|w| w.eq_ignore_ascii_case(b"gzip")) else { return false };
        let at = from + found;
        if at == 0 || matches!(value.get(at - 1), Some(b',' | b' ')) {
            break at;
        }
        from = at + 4;
    };
    let mut rest = value.get(at + 4..).unwrap_or_default().iter();
    loop {
        match rest.next() {
            None | Some(b',') => return true,
            Some(b' ') => {}
            Some(b';') => break,
            Some(_) => return false,
        }
    }
    loop {
        match rest.next() {
            None => return true,
            Some(b' ') => {}
            Some(b'q' | b'Q') => break,
            Some(_) => return false,
        }
    }
    matches!(rest.as_slice(), [b'=', weight @ ..] if !weight.is_empty() && weighs(weight))
}

/// Whether a weight is well-formed and above zero.
fn weighs(text: &[u8]) -> bool {
    let (whole, rest) = match text {
        [b'0', rest @ ..] => (0, rest),
        [b'1', rest @ ..] => (100, rest),
        _ => return false,
    };
    let rest = match rest {
        [] | [b',' | b' ', ..] => return whole > 0,
        [b'.', rest @ ..] => rest,
        _ => return false,
    };
    let mut sum: u32 = whole;
    let mut digits = 0;
    for &byte in rest {
        match byte {
            b',' | b' ' => break,
            b'0'..=b'9' => {
                sum += u32::from(byte - b'0');
                digits += 1;
            }
            _ => return false,
        }
    }
    // RFC 9110 section 12.4.2: at most three digits, at most 1.
    sum > 0 && sum <= 100 && digits <= 3
}

/// The window that nginx asks zlib for: the smallest that holds the body.
fn window(length: u64) -> u32 {
    let mut bits = 15;
    while bits > 9 && length < (1_u64 << (bits - 1)) - UNUSABLE {
        bits -= 1;
    }
    bits
}

/// A body shorter than half the largest window, compressed at once (RFC 1952).
fn short(body: &[u8], bits: u32) -> Vec<u8> {
    // No name, no time; "fastest"; Unix.
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 3];
    out.extend(deflate::compress(body, bits));
    let mut crc = Crc::new();
    crc.update(body);
    out.extend(crc.sum().to_le_bytes());
    out.extend(crc.amount().to_le_bytes());
    out
}

/// A file on its way through the compressor.
pub(super) struct Gzip {
    source: Source,
    at: u64,
    length: u64,
    bits: u32,
    /// For long bodies only.
    compress: Option<Compress>,
    page: Vec<u8>,
    over: bool,
}

impl Gzip {
    pub(super) fn new(source: Source, length: u64) -> Self {
        let bits = window(length);
        let compress = (bits == 15).then(|| Compress::new_gzip(Compression::new(1), 15));
        Self { source, at: 0, length, bits, compress, page: Vec::new(), over: false }
    }

    /// Feeds one input; returns the pages it filled, and at the end everything.
    fn feed(&mut self, mut input: &[u8], last: bool) -> io::Result<Vec<u8>> {
        let Some(compress) = &mut self.compress else {
            self.over = last;
            return Ok(short(input, self.bits));
        };
        self.page.reserve_exact(PAGE - self.page.len());
        let mut full = Vec::new();
        loop {
            let before = compress.total_in();
            let flush = if last { FlushCompress::Finish } else { FlushCompress::None };
            let status = compress.compress_vec(input, &mut self.page, flush).map_err(io::Error::other)?;
            let taken = usize::try_from(compress.total_in() - before).unwrap_or(input.len());
            input = input.get(taken..).unwrap_or_default();
            if status == Status::StreamEnd {
                self.over = true;
                full.append(&mut self.page);
                return Ok(full);
            }
            if self.page.len() == self.page.capacity() {
                full.append(&mut self.page);
            } else if input.is_empty() {
                return Ok(full);
            }
        }
    }
}

impl Produce for Gzip {
    fn produce(&mut self) -> io::Result<Option<Slice>> {
        while !self.over {
            let want = (self.length - self.at).min(INPUT);
            let chunk = self.source.read(self.at, want)?;
            self.at += chunk.len() as u64;
            let made = self.feed(&chunk, self.at == self.length)?;
            if !made.is_empty() {
                return Ok(Some(Slice::from_vec(made)));
            }
        }
        Ok(None)
    }

    fn blocks(&self) -> bool {
        matches!(self.source, Source::Disk(_))
    }

    fn is_over(&self) -> bool {
        self.over
    }
}

/// A page, compressed at once.
pub(super) fn page(bytes: &[u8]) -> Slice {
    Slice::from_vec(short(bytes, window(bytes.len() as u64)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn acceptance() {
        for yes in
            ["gzip", "gzip, br", "deflate, gzip", "a gzip", "GZIP", "gzip;q=0.001", "gzip;", "gzip;q=1.0", "gzip,x;q=0"]
        {
            assert!(accepts(yes.as_bytes()), "{yes}");
        }
        for no in [
            "",
            "br",
            "*",
            "gzipx",
            "x-gzip",
            "gzip;q=0",
            "gzip;q=0.000",
            "gzip;q=2",
            "gzip;q=",
            "gzip;q",
            "gzip;x",
            "a;gzip",
        ] {
            assert!(!accepts(no.as_bytes()), "{no}");
        }
    }

    #[test]
    fn whole_again() {
        for size in [0_usize, 1, 19, 4000, 40_000, 200_000] {
            let text: Vec<u8> = (0..size).map(|i| (i * i / 7 % 251) as u8).collect();
            let mut gzip = Gzip::new(Source::Memory(Slice::from_vec(text.clone())), size as u64);
            let mut packed = Vec::new();
            while let Some(chunk) = gzip.produce().expect("memory does not fail") {
                packed.extend_from_slice(&chunk);
            }
            let mut back = Vec::new();
            flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut back).expect("valid gzip");
            assert_eq!(back, text);
        }
    }
}
