//! What makes a message well-formed (RFC 9113 sections 8.1 to 8.5, RFC 8441 section 4), for both directions of travel.
//!
//! The rules are the same whether the peer breaks them or we do; only the blame differs, so these functions return the
//! rule in words and the callers make an error of it.

use super::field::Field;

type Rule = &'static str;

/// What a request's fields say about the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Request {
    /// CONNECT, extended or not.
    pub connect: bool,
    /// HEAD: the response has no body whatever it says.
    pub head: bool,
    /// `content-length`, where it means something.
    pub length: Option<u64>,
}

/// What a response's fields say about the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Response {
    pub status: u16,
    pub length: Option<u64>,
}

/// Bytes of a field name: 1 = allowed. RFC 9113 section 8.2.1 forbids 0x00-0x20, upper case and 0x7f-0xff; the colon
/// is allowed in front only, which is where pseudo-header fields are told apart.
const NAME: [bool; 256] = {
    let mut allowed = [false; 256];
    let mut byte = 0x21;
    while byte < 0x7f {
        allowed[byte] = !(byte >= b'A' as usize && byte <= b'Z' as usize) && byte != b':' as usize;
        byte += 1;
    }
    allowed
};

/// Rules of every regular field.
fn regular(field: &Field) -> Result<(), Rule> {
    let name = field.name.as_bytes();
    if name.is_empty() {
        return Err("an empty field name");
    }
    if !name.iter().all(|byte| NAME[usize::from(*byte)]) {
        return Err("a byte that cannot be in a field name");
    }
    value(&field.value)?;
    // RFC 9113 section 8.2.2.
    match name {
        b"connection" | b"proxy-connection" | b"keep-alive" | b"transfer-encoding" | b"upgrade" => {
            Err("a connection-specific field")
        }
        b"te" if *field.value != *b"trailers" => Err("te is not 'trailers'"),
        _ => Ok(()),
    }
}

/// RFC 9113 section 8.2.1.
fn value(value: &[u8]) -> Result<(), Rule> {
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    if blank(value.first()) || blank(value.last()) {
        return Err("a field value begins or ends in white space");
    }
    if value.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')) {
        return Err("a byte that cannot be in a field value");
    }
    Ok(())
}

/// Pseudo-header values are methods and parts of a URI: no control bytes, no spaces, never empty.
fn pseudo<'f>(slot: &mut Option<&'f [u8]>, field: &'f Field) -> Result<(), Rule> {
    if slot.is_some() {
        return Err("a pseudo-header field twice");
    }
    if field.value.iter().any(|byte| *byte <= 0x20 || *byte == 0x7f) {
        return Err("a byte that cannot be in a pseudo-header field");
    }
    *slot = Some(&field.value);
    Ok(())
}

/// `content-length`: digits, and the same every time.
fn length(known: &mut Option<u64>, field: &Field) -> Result<(), Rule> {
    if *field.name != *b"content-length" {
        return Ok(());
    }
    const RULE: Rule = "content-length is not one number";
    let value = &*field.value;
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(RULE);
    }
    let number = value
        .iter()
        .try_fold(0_u64, |sum, digit| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
        .ok_or(RULE)?;
    match known.replace(number) {
        Some(other) if other != number => Err(RULE),
        _ => Ok(()),
    }
}

/// A request. `extended`: extended CONNECT was announced by the server (RFC 8441 section 3).
pub(super) fn request(fields: &[Field], extended: bool) -> Result<Request, Rule> {
    let (mut method, mut scheme, mut authority, mut path, mut protocol) = (None, None, None, None, None);
    let mut content_length = None;
    let mut behind = false;
    for field in fields {
        if !field.name.is_pseudo() {
            behind = true;
            regular(field)?;
            length(&mut content_length, field)?;
            continue;
        }
        if behind {
            return Err("a pseudo-header field behind a regular one");
        }
        match field.name.as_bytes() {
            b":method" => pseudo(&mut method, field)?,
            b":scheme" => pseudo(&mut scheme, field)?,
            b":authority" => pseudo(&mut authority, field)?,
            b":path" => pseudo(&mut path, field)?,
            b":protocol" => pseudo(&mut protocol, field)?,
            _ => return Err("an unknown pseudo-header field"),
        }
    }
    let method = method.filter(|method| !method.is_empty()).ok_or(":method is missing or empty")?;
    let connect = method == b"CONNECT";
    if protocol.is_some() && !(connect && extended) {
        return Err(if extended { ":protocol without CONNECT" } else { ":protocol was not announced" });
    }
    if connect && protocol.is_none() {
        // RFC 9113 section 8.5.
        if scheme.is_some() || path.is_some() {
            return Err("CONNECT with :scheme or :path");
        }
        if authority.is_none_or(<[u8]>::is_empty) {
            return Err("CONNECT without :authority");
        }
    } else {
        if scheme.is_none_or(<[u8]>::is_empty) {
            return Err(":scheme is missing or empty");
        }
        // Empty paths exist for schemes other than these two only (RFC 9113 section 8.3.1); nobody speaks such here.
        if path.is_none_or(<[u8]>::is_empty) {
            return Err(":path is missing or empty");
        }
        if connect && authority.is_none_or(<[u8]>::is_empty) {
            return Err("CONNECT without :authority");
        }
    }
    // The length of a tunnel means nothing (RFC 9110 section 9.3.6).
    let length = if connect { None } else { content_length };
    Ok(Request { connect, head: method == b"HEAD", length })
}

/// A response, interim or final.
pub(super) fn response(fields: &[Field]) -> Result<Response, Rule> {
    let mut status = None;
    let mut content_length = None;
    let mut behind = false;
    for field in fields {
        if !field.name.is_pseudo() {
            behind = true;
            regular(field)?;
            length(&mut content_length, field)?;
            continue;
        }
        if behind {
            return Err("a pseudo-header field behind a regular one");
        }
        match field.name.as_bytes() {
            b":status" => pseudo(&mut status, field)?,
            _ => return Err("an unknown pseudo-header field"),
        }
    }
    let status = match status {
        Some([a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9']) => {
            u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0')
        }
        Some(_) => return Err(":status is not a status code"),
        None => return Err(":status is missing"),
    };
    // HTTP/2 has no upgrade (RFC 9113 section 8.6).
    if status == 101 {
        return Err("101 does not exist in HTTP/2");
    }
    // No content-length in 204 (RFC 9110 section 8.6) has no body to measure, as 304 has not (section 15.4.5).
    let length = if matches!(status, 100..=199 | 204 | 304) { None } else { content_length };
    Ok(Response { status, length })
}

/// Trailers.
pub(super) fn trailers(fields: &[Field]) -> Result<(), Rule> {
    for field in fields {
        if field.name.is_pseudo() {
            return Err("a pseudo-header field in trailers");
        }
        regular(field)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &[(&'static str, &'static str)]) -> Vec<Field> {
        text.iter().map(|(name, value)| Field::new(*name, *value)).collect()
    }

    const GET: [(&str, &str); 4] =
        [(":method", "GET"), (":scheme", "https"), (":authority", "news.example"), (":path", "/")];

    fn get_with(more: &[(&'static str, &'static str)]) -> Result<Request, Rule> {
        request(&fields(&[&GET[..], more].concat()), false)
    }

    #[test]
    fn good_requests() {
        assert_eq!(get_with(&[]), Ok(Request::default()));
        assert_eq!(get_with(&[("te", "trailers"), ("x", "")]), Ok(Request::default()));
        assert_eq!(get_with(&[("content-length", "12")]).unwrap().length, Some(12));
        assert_eq!(get_with(&[("content-length", "12"), ("content-length", "12")]).unwrap().length, Some(12));
        let connect = [(":method", "CONNECT"), (":authority", "a.example:443"), ("content-length", "9")];
        assert_eq!(request(&fields(&connect), false), Ok(Request { connect: true, ..Request::default() }));
        let extended = [&GET[1..], &[(":method", "CONNECT"), (":protocol", "connect-udp")]].concat();
        assert!(request(&fields(&extended), true).unwrap().connect);
        assert_eq!(request(&fields(&extended), false), Err(":protocol was not announced"));
    }

    #[test]
    fn malformed_requests() {
        for more in [
            &[("Upper", "1")][..],
            &[("", "1")],
            &[("a:b", "1")],
            &[("a b", "1")],
            &[("a\u{7f}", "1")],
            &[("a", " 1")],
            &[("a", "1\t")],
            &[("a", "1\r2")],
            &[("a", "1\n2")],
            &[("a", "1\x002")],
            &[("connection", "close")],
            &[("proxy-connection", "x")],
            &[("keep-alive", "x")],
            &[("transfer-encoding", "chunked")],
            &[("upgrade", "x")],
            &[("te", "gzip")],
            &[("te", "trailers, gzip")],
            &[(":path", "/2")],
            &[(":status", "200")],
            &[(":unknown", "x")],
            &[(":protocol", "x")],
            &[("x", "1"), (":authority", "x")],
            &[("content-length", "")],
            &[("content-length", "+1")],
            &[("content-length", "1, 1")],
            &[("content-length", "99999999999999999999")],
            &[("content-length", "1"), ("content-length", "2")],
        ] {
            assert!(get_with(more).is_err(), "{more:?}");
        }
        for missing in [":method", ":scheme", ":path"] {
            let some: Vec<_> = GET.iter().copied().filter(|(name, _)| *name != missing).collect();
            assert!(request(&fields(&some), false).is_err(), "without {missing}");
            let empty: Vec<_> =
                GET.iter().map(|(name, value)| (*name, if *name == missing { "" } else { *value })).collect();
            assert!(request(&fields(&empty), false).is_err(), "empty {missing}");
        }
        for connect in [
            &[(":method", "CONNECT")][..],
            &[(":method", "CONNECT"), (":authority", "")],
            &[(":method", "CONNECT"), (":authority", "a:1"), (":scheme", "https")],
            &[(":method", "CONNECT"), (":authority", "a:1"), (":path", "/")],
        ] {
            assert!(request(&fields(connect), true).is_err(), "{connect:?}");
        }
        assert!(request(&fields(&[&GET[..], &[(":protocol", "x")]].concat()), true).is_err(), ":protocol with GET");
        assert!(request(&[], true).is_err());
    }

    #[test]
    fn responses() {
        let of = |text: &[(&'static str, &'static str)]| response(&fields(text));
        assert_eq!(of(&[(":status", "200"), ("content-length", "3")]), Ok(Response { status: 200, length: Some(3) }));
        assert_eq!(of(&[(":status", "304"), ("content-length", "3")]), Ok(Response { status: 304, length: None }));
        for bad in [
            &[][..],
            &[(":status", "99")],
            &[(":status", "+20")],
            &[(":status", "2000")],
            &[(":status", "012")],
            &[(":status", "101")],
            &[(":status", "200"), (":status", "200")],
            &[(":status", "200"), (":method", "GET")],
            &[("x", "y"), (":status", "200")],
            &[(":status", "200"), ("connection", "close")],
        ] {
            assert!(of(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn trailers_hold_no_pseudo_fields() {
        assert_eq!(trailers(&fields(&[("x-sum", "1")])), Ok(()));
        assert_eq!(trailers(&[]), Ok(()));
        assert!(trailers(&fields(&[(":status", "200")])).is_err());
        assert!(trailers(&fields(&[("X", "200")])).is_err());
    }
}
