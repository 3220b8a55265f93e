//! What nginx makes of request headers, one after the other, whatever version they came in.

use bytes::Bytes;

use super::agent::Agent;
use super::message::{BodyIn, Http, Request, Visit};
use super::page::Problem;
use super::uri::Path;

/// What the visitor said about the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Persistence {
    #[default]
    Unsaid,
    Close,
    KeepAlive,
}

/// Headers that may come once; a second one is refused at once.
const UNIQUE: [&str; 10] = [
    "authorization",
    "content-length",
    "content-range",
    "expect",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "transfer-encoding",
];

/// More header lines than this are refused (`max_headers 1000`, which Debian's security updates brought).
const MAX_HEADERS: usize = 1000;

/// A request while its headers arrive.
pub(super) struct Head {
    pub method: Bytes,
    pub target: Bytes,
    pub path: Path,
    pub http: Http,
    pub agent: Agent,
    pub persistence: Persistence,
    /// The host of an absolute-form target goes before the header's.
    pub host: Option<Bytes>,
    pub authority: Option<Bytes>,
    pub chunked: bool,
    seen: u16,
    has_host: bool,
    length: Option<Bytes>,
    known: Option<u64>,
    transfer: Option<Bytes>,
    headers: Vec<(Bytes, Bytes)>,
}

/// The host in a `Host` header or a target: lower case, without port and final dot. `None` = 400.
pub(super) fn host(text: &[u8]) -> Option<Bytes> {
    let mut end = text.len();
    let mut dot = None;
    let mut ported = false;
    let mut literal = false;
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            b'.' => {
                if at > 0 && dot == Some(at - 1) {
                    return None;
                }
                dot = Some(at);
            }
            b':' if !literal && !ported => {
                end = at;
                ported = true;
            }
            b'[' if at == 0 => literal = true,
            b']' if literal => {
                end = at + 1;
                literal = false;
                ported = true;
            }
            b'/' | 0..=b' ' | 0x7f => return None,
            _ => {}
        }
    }
    if end > 0 && dot == Some(end - 1) {
        end -= 1;
    }
    let name = text.get(..end).filter(|name| !name.is_empty())?;
    Some(Bytes::from(name.to_ascii_lowercase()))
}

/// A `Content-Length`: digits only, at most 63 bits.
fn length(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse::<u64>().ok().filter(|&n| i64::try_from(n).is_ok())
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|w| w.eq_ignore_ascii_case(word))
}

impl Head {
    pub(super) fn new(method: Bytes, target: Bytes, path: Path, http: Http) -> Self {
        Self {
            method,
            target,
            path,
            http,
            agent: Agent::default(),
            persistence: Persistence::Unsaid,
            host: None,
            authority: None,
            chunked: false,
            seen: 0,
            has_host: false,
            length: None,
            known: None,
            transfer: None,
            headers: Vec::new(),
        }
    }

    /// Takes one well-formed header line.
    pub(super) fn header(&mut self, name: Bytes, value: Bytes) -> Result<(), Problem> {
        if self.headers.len() >= MAX_HEADERS {
            return Err(Problem::HeaderTooLarge);
        }
        let lower = name.to_ascii_lowercase();
        if let Some(at) = UNIQUE.iter().position(|unique| unique.as_bytes() == lower) {
            if self.seen & (1 << at) != 0 {
                return Err(Problem::BadRequest);
            }
            self.seen |= 1 << at;
        }
        match lower.as_slice() {
            b"host" => self.take_host(&value)?,
            b"connection" => {
                if contains(&value, b"close") {
                    self.persistence = Persistence::Close;
                } else if contains(&value, b"keep-alive") {
                    self.persistence = Persistence::KeepAlive;
                }
            }
            b"user-agent" if !self.has(b"user-agent") => self.agent = Agent::of(&value),
            b"content-length" => self.length = Some(value.clone()),
            b"transfer-encoding" => self.transfer = Some(value.clone()),
            _ => {}
        }
        self.headers.push((name, value));
        Ok(())
    }

    fn has(&self, name: &[u8]) -> bool {
        self.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
    }

    /// Takes the value of `Host` or `:authority`: one of them, once.
    pub(super) fn take_host(&mut self, value: &Bytes) -> Result<(), Problem> {
        if self.has_host {
            return Err(Problem::BadRequest);
        }
        self.has_host = true;
        let host = host(value).ok_or(Problem::BadRequest)?;
        self.host.get_or_insert(host);
        self.authority.get_or_insert_with(|| value.clone());
        Ok(())
    }

    /// Judges the headers as a whole; a problem here ends an HTTP/1.x connection whatever its kind.
    pub(super) fn finish(&mut self) -> Result<Option<u64>, Problem> {
        if !self.has_host && self.http > Http::V1_0 {
            return Err(Problem::BadRequest);
        }
        let known = match &self.length {
            None => None,
            Some(text) => Some(length(text).ok_or(Problem::BadRequest)?),
        };
        self.known = known;
        if let Some(coding) = &self.transfer {
            if self.http < Http::V1_1 {
                return Err(Problem::BadRequest);
            }
            if !coding.eq_ignore_ascii_case(b"chunked") {
                return Err(Problem::NotImplemented);
            }
            if known.is_some() {
                return Err(Problem::BadRequest);
            }
            self.chunked = true;
        }
        if self.method == "CONNECT" || self.method == "TRACE" {
            return Err(Problem::NotAllowed);
        }
        Ok(known)
    }

    /// The length of the body, once [`Head::finish`] looked at it.
    pub(super) fn known_length(&self) -> Option<u64> {
        self.known
    }

    /// An answer to HEAD ends with its headers; HTTP/0.9 has none to end with.
    pub(super) fn has_no_answer_body(&self) -> bool {
        self.http > Http::V0_9 && self.method == "HEAD"
    }

    /// Whether the visitor waits to be asked for its body.
    pub(super) fn expects_continue(&self) -> bool {
        let expect = self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(b"expect"));
        expect.is_some_and(|(_, value)| value.eq_ignore_ascii_case(b"100-continue"))
    }

    /// The finished request.
    pub(super) fn request(self, body: BodyIn, visit: Visit) -> Request {
        Request {
            method: self.method,
            target: self.target,
            host: self.host,
            authority: self.authority,
            headers: self.headers,
            http: self.http,
            body,
            visit,
            path: self.path,
            agent: self.agent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for (text, want) in [
            ("A.Test:80", Some("a.test")),
            ("a.", Some("a")),
            (".a", Some(".a")),
            ("a..b", None),
            ("..", None),
            (".", None),
            (":80", None),
            ("", None),
            ("[::1]:80", Some("[::1]")),
            ("[::1]x", Some("[::1]")),
            ("[::1", Some("[::1")),
            ("::1", None),
            ("a b", None),
            ("a/b", None),
            ("a[::1]", Some("a[")),
            ("a.test:x", Some("a.test")),
        ] {
            assert_eq!(host(text.as_bytes()).as_deref(), want.map(str::as_bytes), "{text}");
        }
    }

    #[test]
    fn lengths() {
        for (text, want) in [("0", Some(0)), ("00005", Some(5)), ("9223372036854775807", Some(i64::MAX as u64))] {
            assert_eq!(length(text.as_bytes()), want);
        }
        for text in ["", "-1", "+1", "1 ", "\t1", "0x1", "9223372036854775808", "99999999999999999999", "1, 1"] {
            assert_eq!(length(text.as_bytes()), None, "{text}");
        }
    }
}
