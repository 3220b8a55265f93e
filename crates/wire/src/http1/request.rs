//! Reads one request to a proxy, and writes the one for the next hop.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::body::Framing;
use super::head::{self, Field, Gatherer};
use super::{MAX_HEAD, Problem};

/// User and password of a `Proxy-Authorization: Basic` field (RFC 7617). `Debug` shows neither.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Before the first colon.
    pub user: Vec<u8>,
    /// Behind it.
    pub password: Vec<u8>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// What is asked for. `Debug` shows no content.
#[derive(Clone, PartialEq, Eq)]
pub enum Form {
    /// A tunnel.
    Connect,
    /// One request: this head is to be sent first, then the body.
    Forward {
        /// Origin-form head, empty line included.
        head: Vec<u8>,
        /// Where the body ends.
        body: Framing,
        /// HEAD: an error page has no body.
        head_only: bool,
    },
}

/// One request. `Debug` shows no destination.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// Tunnel or single request.
    pub form: Form,
    /// Host as spelt: a name, an IPv4 address, or an IPv6 address in brackets. Not checked further.
    pub host: String,
    /// Port, 80 where a single request names none.
    pub port: u16,
    /// Credentials, where there are any that can be read.
    pub credentials: Option<Credentials>,
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "Connect",
            Self::Forward { .. } => "Forward(…)",
        })
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({:?}, …)", self.form)
    }
}

/// Reads a request head from whatever arrives.
#[derive(Debug)]
pub struct RequestReader {
    gatherer: Gatherer,
}

impl Default for RequestReader {
    fn default() -> Self {
        Self::new()
    }
}

impl RequestReader {
    /// A reader at the start of a connection.
    #[must_use]
    pub const fn new() -> Self {
        Self { gatherer: Gatherer::new(MAX_HEAD) }
    }

    /// Takes bytes up to the end of the head and says how many; the rest is the tunnel's or the body's.
    ///
    /// # Errors
    /// The answer to a request that is not served; the connection ends behind it.
    pub fn feed(&mut self, input: &[u8]) -> Result<(usize, Option<Request>), Problem> {
        let (taken, head) = self.gatherer.feed(input)?;
        Ok((taken, head.map(|head| parse(&head)).transpose()?))
    }
}

/// Parses a head without its empty line.
fn parse(head: &[u8]) -> Result<Request, Problem> {
    let (line, fields) = head::split(head)?;
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Problem::malformed("The request line is not METHOD TARGET VERSION."));
    };
    if method.is_empty() || !method.iter().copied().all(head::is_token) {
        return Err(Problem::malformed("The method is not a word."));
    }
    let modern = match version {
        b"HTTP/1.1" => true,
        b"HTTP/1.0" => false,
        _ if version.starts_with(b"HTTP/") => return Err(Problem::VERSION),
        _ => return Err(Problem::malformed("The request line does not end in a version.")),
    };
    // RFC 9112 section 3.2: more than one Host is never right.
    if fields.iter().filter(|field| field.is("host")).count() > 1 {
        return Err(Problem::malformed("There is more than one Host."));
    }
    let credentials = credentials(&fields)?;
    let body = framing(&fields, modern)?;
    if method == b"CONNECT" {
        // RFC 9110 section 9.3.6: a body has no meaning here; the bytes behind the head are the tunnel's.
        if body != Framing::Length(0) {
            return Err(Problem::malformed("CONNECT has no body."));
        }
        let (host, port) = authority(target)?;
        let port = port.ok_or(Problem::malformed("CONNECT needs host:port."))?;
        return Ok(Request { form: Form::Connect, host, port, credentials });
    }
    let Some(rest) = strip_scheme(target)? else { return Err(Problem::NOT_A_PROXY_REQUEST) };
    // RFC 9112 section 3.2: HTTP/1.1 without Host is refused, although the target's host is what counts.
    if modern && !fields.iter().any(|field| field.is("host")) {
        return Err(Problem::malformed("There is no Host."));
    }
    if method == b"TRACE" {
        return Err(Problem::METHOD);
    }
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    let (place, path) = rest.split_at_checked(end).unwrap_or((rest, b""));
    let (host, port) = authority(place)?;
    if path.iter().any(|byte| *byte <= 0x20 || *byte == 0x7f || *byte == b'#') {
        return Err(Problem::malformed("The address holds a forbidden character."));
    }
    let head = rewrite(method, path, version, place, &fields)?;
    let form = Form::Forward { head, body, head_only: method == b"HEAD" };
    Ok(Request { form, host, port: port.unwrap_or(80), credentials })
}

/// What stands behind `http://`; `None` where the target is no absolute address.
fn strip_scheme(target: &[u8]) -> Result<Option<&[u8]>, Problem> {
    let scheme = target.get(..7);
    if scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"http://")) {
        return Ok(target.get(7..));
    }
    if target.starts_with(b"/") || target == b"*" {
        return Ok(None);
    }
    // RFC 3986 section 3.1: a scheme starts with a letter.
    let colon = target.iter().position(|byte| *byte == b':');
    let name = colon.and_then(|at| target.get(..at)).unwrap_or_default();
    let is_scheme = name.first().is_some_and(u8::is_ascii_alphabetic)
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte))
        && colon.and_then(|at| target.get(at + 1..)).is_some_and(|rest| rest.starts_with(b"//"));
    if is_scheme { Err(Problem::SCHEME) } else { Ok(None) }
}

/// Host and port of an authority without user information (RFC 9110 section 4.2.4 wants that refused).
fn authority(text: &[u8]) -> Result<(String, Option<u16>), Problem> {
    const BAD: Problem = Problem::malformed("The host or port of the address is not valid.");
    let (host, port) = if text.starts_with(b"[") {
        let end = text.iter().position(|byte| *byte == b']').ok_or(BAD)?;
        let (host, rest) = text.split_at_checked(end + 1).ok_or(BAD)?;
        match rest {
            b"" => (host, None),
            _ => (host, Some(rest.strip_prefix(b":").ok_or(BAD)?)),
        }
    } else {
        match text.iter().position(|byte| *byte == b':') {
            None => (text, None),
            Some(at) => (text.get(..at).ok_or(BAD)?, Some(text.get(at + 1..).ok_or(BAD)?)),
        }
    };
    let plain = |byte: &u8| byte.is_ascii_graphic() && !b"/?#@\\".contains(byte);
    if host.is_empty() || !host.iter().all(plain) {
        return Err(BAD);
    }
    let port = match port {
        // RFC 3986 section 3.2.3: an empty port is the scheme's own.
        None | Some(b"") => None,
        Some(digits) if digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit) => {
            let port = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u16>().ok());
            Some(port.filter(|port| *port > 0).ok_or(BAD)?)
        }
        Some(_) => return Err(BAD),
    };
    Ok((String::from_utf8(host.to_vec()).map_err(|_| BAD)?, port))
}

/// Credentials of the one `Proxy-Authorization` field. Another scheme or unreadable ones count as none.
fn credentials(fields: &[Field<'_>]) -> Result<Option<Credentials>, Problem> {
    let mut found = fields.iter().filter(|field| field.is("proxy-authorization"));
    let (first, second) = (found.next(), found.next());
    if second.is_some() {
        return Err(Problem::malformed("There is more than one Proxy-Authorization."));
    }
    Ok(first.and_then(|field| {
        let space = field.value.iter().position(|byte| *byte == b' ')?;
        let scheme = field.value.get(..space)?;
        if !scheme.eq_ignore_ascii_case(b"basic") {
            return None;
        }
        let text = STANDARD.decode(head::trim(field.value.get(space..)?)).ok()?;
        let colon = text.iter().position(|byte| *byte == b':')?;
        Some(Credentials { user: text.get(..colon)?.to_vec(), password: text.get(colon + 1..)?.to_vec() })
    }))
}

/// How the body is framed (RFC 9112 section 6.3); everything that two readers could see differently is refused.
fn framing(fields: &[Field<'_>], modern: bool) -> Result<Framing, Problem> {
    let mut coding = fields.iter().filter(|field| field.is("transfer-encoding"));
    let mut length = fields.iter().filter(|field| field.is("content-length"));
    let (coding, more_codings) = (coding.next(), coding.next().is_some());
    let (length, more_lengths) = (length.next(), length.next().is_some());
    match (coding, length) {
        (Some(_), Some(_)) => Err(Problem::malformed("There are both Transfer-Encoding and Content-Length.")),
        (None, None) => Ok(Framing::Length(0)),
        (Some(coding), None) => {
            if !modern {
                return Err(Problem::malformed("HTTP/1.0 has no Transfer-Encoding."));
            }
            if more_codings || !coding.value.eq_ignore_ascii_case(b"chunked") {
                return Err(Problem::CODING);
            }
            Ok(Framing::Chunked)
        }
        (None, Some(length)) => {
            let digits = !length.value.is_empty() && length.value.iter().all(u8::is_ascii_digit);
            let text = std::str::from_utf8(length.value).ok().filter(|_| digits && !more_lengths);
            let value = text.and_then(|text| text.parse().ok());
            value.map(Framing::Length).ok_or(Problem::malformed("The Content-Length is not one number."))
        }
    }
}

/// Fields that `Connection` may not name: the message would mean something else without them.
const NEVER_DROPPED: [&str; 4] = ["host", "content-length", "transfer-encoding", "expect"];

/// The head for the next hop: order and spelling kept, connection fields dropped, Host from the target (RFC 9112
/// section 3.2.2), `Connection: close` in the place of the first connection field. The version stays the program's,
/// because the response will be handed to it unchanged.
fn rewrite(method: &[u8], path: &[u8], version: &[u8], place: &[u8], fields: &[Field<'_>]) -> Result<Vec<u8>, Problem> {
    let mut named: Vec<&[u8]> = Vec::new();
    for field in fields.iter().filter(|field| field.is("connection") || field.is("proxy-connection")) {
        named.extend(head::members(field.value));
    }
    let is = |name: &[u8], known: &str| name.eq_ignore_ascii_case(known.as_bytes());
    if named.iter().any(|name| NEVER_DROPPED.iter().any(|known| is(name, known))) {
        return Err(Problem::malformed("Connection names a field that every server needs."));
    }
    let mut out =
        Vec::with_capacity(MAX_HEAD.min(256 + fields.iter().map(|f| f.name.len() + f.value.len() + 4).sum::<usize>()));
    out.extend_from_slice(method);
    out.push(b' ');
    match path {
        // RFC 9112 section 3.2.4: an OPTIONS request for the whole server.
        b"" if method == b"OPTIONS" => out.push(b'*'),
        _ if path.starts_with(b"/") => {}
        _ => out.push(b'/'),
    }
    out.extend_from_slice(path);
    out.push(b' ');
    out.extend_from_slice(version);
    out.extend_from_slice(b"\r\n");
    let mut write = |name: &[u8], value: &[u8]| {
        for part in [name, b": ", value, b"\r\n"] {
            out.extend_from_slice(part);
        }
    };
    if !fields.iter().any(|field| field.is("host")) {
        write(b"Host", place);
    }
    let mut closed = false;
    for field in fields {
        if field.is("host") {
            write(field.name, place);
        } else if field.is("connection") || field.is("proxy-connection") {
            if !closed {
                write(b"Connection", b"close");
                closed = true;
            }
        } else if !head::is_hop_by_hop(field.name) && !named.iter().any(|name| name.eq_ignore_ascii_case(field.name)) {
            write(field.name, field.value);
        }
    }
    if !closed {
        write(b"Connection", b"close");
    }
    out.extend_from_slice(b"\r\n");
    Ok(out)
}
