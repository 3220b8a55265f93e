//! The two kinds of line of an HTTP/1.x head, accepted and refused byte for byte as nginx does.
//!
//! Both readers look at what has arrived so far and say `Again` until a line is whole, but refuse a bad byte as soon as
//! it is there. They start over from the line's beginning each time: a line is at most 8 KiB.

use std::ops::Range;

use super::super::message::Http;
use super::super::page::Problem;

/// A byte that has not arrived yet, or a refusal.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cover) enum Stop {
    /// More bytes are needed.
    Again,
    /// No bytes can make this a request.
    Bad(Problem),
}

const INVALID: Stop = Stop::Bad(Problem::BadRequest);

/// A request line; ranges are positions in what was read.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cover) struct RequestLine {
    pub method: Range<usize>,
    /// Path and query, as sent; empty where an absolute-form target has neither.
    pub target: Range<usize>,
    /// The host (without port) of an absolute-form target.
    pub host: Option<Range<usize>>,
    pub http: Http,
    /// The line's bytes with its end.
    pub consumed: usize,
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> Result<u8, Stop> {
        self.bytes.get(self.at).copied().ok_or(Stop::Again)
    }

    fn next(&mut self) -> Result<u8, Stop> {
        let byte = self.peek()?;
        self.at += 1;
        Ok(byte)
    }

    fn expect(&mut self, byte: u8) -> Result<(), Stop> {
        if self.next()? == byte { Ok(()) } else { Err(INVALID) }
    }

    /// Moves over bytes of a kind; stops at the first other one.
    fn skip(&mut self, kind: impl Fn(u8) -> bool) -> Result<u8, Stop> {
        loop {
            let byte = self.peek()?;
            if !kind(byte) {
                return Ok(byte);
            }
            self.at += 1;
        }
    }

    /// The LF of a CR LF, or nothing behind a bare LF.
    fn line_end(&mut self) -> Result<(), Stop> {
        match self.next()? {
            b'\n' => Ok(()),
            b'\r' => self.expect(b'\n'),
            _ => Err(INVALID),
        }
    }
}

/// Where a request line begins: empty lines before it do not count.
pub(in crate::cover) fn leading(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count()
}

/// Reads a request line that starts at `bytes[0]`. A method that was read before a refusal is told in `head_method`,
/// since an answer to HEAD has no body even then.
pub(in crate::cover) fn request_line(bytes: &[u8], method: &mut Range<usize>) -> Result<RequestLine, Stop> {
    let mut read = Cursor { bytes, at: 0 };
    let end = read.skip(|b| b.is_ascii_uppercase() || b == b'_' || b == b'-')?;
    if end != b' ' || read.at == 0 {
        return Err(INVALID);
    }
    *method = 0..read.at;
    let method = method.clone();
    let mut host = None;
    let first = read.skip(|b| b == b' ')?;
    if first.is_ascii_alphabetic() {
        host = Some(absolute(&mut read)?);
    } else if first != b'/' {
        return Err(INVALID);
    }
    let start = read.at;
    let end = read.skip(|b| b > b' ' && b != 0x7f)?;
    let target = start..read.at;
    let after_host = host.is_some() && target.is_empty();
    let http = match end {
        b' ' => version(&mut read)?,
        // A line without a version is HTTP/0.9, unless the target ended right behind a host.
        b'\r' | b'\n' if !after_host => {
            read.line_end()?;
            Http::V0_9
        }
        _ => return Err(INVALID),
    };
    Ok(RequestLine { method, target, host, http, consumed: read.at })
}

/// `scheme://host[:port]`; leaves the cursor at the path, the query or the space.
fn absolute(read: &mut Cursor<'_>) -> Result<Range<usize>, Stop> {
    read.skip(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))?;
    for byte in *b"://" {
        read.expect(byte)?;
    }
    let start = read.at;
    if read.peek()? == b'[' {
        read.at += 1;
        read.skip(|b| b.is_ascii_alphanumeric() || b":-._~!$&'()*+,;=".contains(&b))?;
        read.expect(b']')?;
    } else {
        read.skip(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))?;
    }
    let end = read.at;
    if read.peek()? == b':' {
        read.at += 1;
        read.skip(|b| b.is_ascii_digit())?;
    }
    match read.peek()? {
        b'/' | b'?' | b' ' => Ok(start..end),
        _ => Err(INVALID),
    }
}

/// What follows the space behind the target, with the line's end.
fn version(read: &mut Cursor<'_>) -> Result<Http, Stop> {
    match read.skip(|b| b == b' ')? {
        b'\r' | b'\n' => {
            read.line_end()?;
            return Ok(Http::V0_9);
        }
        _ => {}
    }
    for byte in *b"HTTP/" {
        read.expect(byte)?;
    }
    // Only 1.x is spoken here; a larger first digit is a version, anything else is not.
    match read.next()? {
        b'1' => {}
        b'2'..=b'9' => return Err(Stop::Bad(Problem::VersionNotSupported)),
        _ => return Err(INVALID),
    }
    match read.next()? {
        b'.' => {}
        b'0'..=b'9' => return Err(Stop::Bad(Problem::VersionNotSupported)),
        _ => return Err(INVALID),
    }
    let mut minor: u32 = 0;
    let mut digits = 0;
    loop {
        let byte = read.peek()?;
        if !byte.is_ascii_digit() {
            break;
        }
        if minor > 99 {
            return Err(INVALID);
        }
        minor = minor * 10 + u32::from(byte - b'0');
        digits += 1;
        read.at += 1;
    }
    if digits == 0 {
        return Err(INVALID);
    }
    if read.peek()? == b' ' {
        read.skip(|b| b == b' ')?;
    }
    read.line_end()?;
    Ok(if minor == 0 { Http::V1_0 } else { Http::V1_1 })
}

/// A header line.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cover) enum HeaderLine {
    /// The empty line; this many bytes.
    End(usize),
    Field {
        name: Range<usize>,
        value: Range<usize>,
        /// nginx reads past a name with odd characters and forgets the line.
        ignored: bool,
        consumed: usize,
    },
}

/// Reads a header line that starts at `bytes[0]`.
pub(in crate::cover) fn header_line(bytes: &[u8]) -> Result<HeaderLine, Stop> {
    let mut read = Cursor { bytes, at: 0 };
    if matches!(read.peek()?, b'\r' | b'\n') {
        read.line_end()?;
        return Ok(HeaderLine::End(read.at));
    }
    let mut ignored = false;
    loop {
        match read.peek()? {
            b':' if read.at > 0 => break,
            b'\r' | b'\n' => break,
            0..=b' ' | 0x7f | b':' => return Err(INVALID),
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' => {}
            _ => ignored = true,
        }
        read.at += 1;
    }
    let name = 0..read.at;
    if read.peek()? == b':' {
        read.at += 1;
        read.skip(|b| b == b' ')?;
    }
    let start = read.at;
    let end = read.skip(|b| !matches!(b, b'\r' | b'\n' | 0))?;
    if end == 0 {
        return Err(INVALID);
    }
    let text = bytes.get(start..read.at).unwrap_or_default();
    let trailing = text.iter().rev().take_while(|&&b| b == b' ').count();
    let value = start..read.at - trailing;
    // Any number of CRs may stand before the LF, nothing else.
    if read.skip(|b| b == b'\r')? != b'\n' {
        return Err(INVALID);
    }
    read.at += 1;
    Ok(HeaderLine::Field { name, value, ignored, consumed: read.at })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(text: &str) -> Result<RequestLine, Stop> {
        request_line(text.as_bytes(), &mut (0..0))
    }

    #[test]
    fn request_lines() {
        let parsed = line("GET http://[::1]:80/x?y HTTP/1.1\r\n").expect("valid");
        assert_eq!((parsed.method, parsed.host, parsed.target), (0..3, Some(11..16), 19..23));
        assert_eq!(line("GET /x\n").map(|l| l.http), Ok(Http::V0_9));
        assert_eq!(line("GET http://a?b HTTP/1.0\r\n").map(|l| l.target), Ok(12..14));
        for bad in
            ["get / ", " GET", "GET x ", "GET *", "CONNECT a:443", "GET / HTTP/0", "GET / http", "GET / HTTP/1.1x"]
        {
            assert_eq!(line(bad), Err(INVALID), "{bad}");
        }
        for new in ["GET / HTTP/2", "GET / HTTP/10"] {
            assert_eq!(line(new), Err(Stop::Bad(Problem::VersionNotSupported)), "{new}");
        }
    }

    #[test]
    fn header_lines() {
        let field = |name, value, ignored, consumed| Ok(HeaderLine::Field { name, value, ignored, consumed });
        assert_eq!(header_line(b"A:  b  \r\n"), field(0..1, 4..5, false, 9));
        assert_eq!(header_line(b"A\r\n"), field(0..1, 1..1, false, 3));
        assert_eq!(header_line(b"A_b: c\n"), field(0..3, 5..6, true, 7));
        assert_eq!(header_line(b"A: \r\r\n"), field(0..1, 3..3, false, 6));
        assert_eq!(header_line(b"\r\n"), Ok(HeaderLine::End(2)));
        for bad in [&b":"[..], b" a", b"A b", b"A\x01", b"A: \0", b"A: b\rc", b"\r\r"] {
            assert_eq!(header_line(bad), Err(INVALID), "{bad:?}");
        }
    }

    proptest! {
        /// However a line is cut, the verdict on its prefixes is "again" until the verdict on the whole.
        #[test]
        fn prefixes_wait(text in "(GET|HEAD|get|P_T) ?[/a:.?# \\[\\]]{0,12} ?(HTTP/1\\.[0-9]{1,4}|HTTP/[02]|x)? ?\r?\n") {
            let whole = request_line(text.as_bytes(), &mut (0..0));
            for cut in 0..text.len() {
                let part = request_line(&text.as_bytes()[..cut], &mut (0..0));
                prop_assert!(part == Err(Stop::Again) || part == whole, "{:?} {:?} {:?}", cut, part, whole);
            }
        }
    }
}
