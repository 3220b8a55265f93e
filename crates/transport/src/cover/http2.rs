//! From HTTP/2 fields to a request, or to the refusal nginx has for them.
//!
//! nginx reads the fields one after the other and stops at the first that it does not like, so their order decides what
//! a visitor sees. It is more lenient than RFC 9113 section 8 in places (pseudo-header fields may follow regular ones,
//! connection-specific fields are let through) and a cover has to be so too: every field list, well-formed or not,
//! belongs here before anything else answers it.

use bytes::Bytes;

use super::h2look;
use super::head::Head;
use super::message::{BodyIn, Http, Request, Response, Visit};
use super::page::Problem;
use super::uri::Path;

/// `PROTOCOL_ERROR` (RFC 9113 section 7).
pub const PROTOCOL_ERROR: u32 = 0x1;
/// `ENHANCE_YOUR_CALM`.
pub const ENHANCE_YOUR_CALM: u32 = 0xb;

/// What nginx does with a field list.
pub enum Judged {
    /// A request for [`super::Cover::respond`].
    Request(Box<Request>),
    /// Answer this; the body, if there is one, is not looked at.
    Refused(Response),
    /// RST_STREAM with this code and no answer.
    Reset(u32),
    /// GOAWAY with this code, then the connection ends.
    GoAway(u32),
}

/// Why the reading of fields stops.
enum Stop {
    Page(Problem),
    Reset,
    GoAway(u32),
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Self::Page(problem)
    }
}

const BAD: Stop = Stop::Page(Problem::BadRequest);

/// Judges a request's fields. `end` says that END_STREAM came with them; the length of `body` is filled in.
#[must_use]
pub fn judge(fields: &[(Bytes, Bytes)], end: bool, body: BodyIn, visit: Visit) -> Judged {
    // Until a path is read there is none to be wrong.
    let mut head = Head::new(Bytes::new(), Bytes::new(), Path::default(), Http::V2);
    match read(&mut head, fields, end) {
        Ok(length) => {
            let open = !end && length.is_none();
            let request = head.request(BodyIn { length, open, stream: body.stream }, visit);
            Judged::Request(Box::new(request))
        }
        Err(Stop::Page(problem)) => {
            let mut page = Response::page(problem, head.agent);
            if head.has_no_answer_body() {
                page.body = super::Body::Empty;
            }
            Judged::Refused(page)
        }
        Err(Stop::Reset) => Judged::Reset(PROTOCOL_ERROR),
        Err(Stop::GoAway(code)) => Judged::GoAway(code),
    }
}

fn read(head: &mut Head, fields: &[(Bytes, Bytes)], end: bool) -> Result<Option<u64>, Stop> {
    let mut scheme = false;
    let mut size = 0;
    for (name, value) in fields {
        size += name.len() + value.len();
        if size > h2look::MAX_FIELDS {
            return Err(Stop::GoAway(ENHANCE_YOUR_CALM));
        }
        match name.as_ref() {
            b"" => return Err(Stop::GoAway(PROTOCOL_ERROR)),
            b":method" => {
                let known = |b: &u8| b.is_ascii_uppercase() || matches!(b, b'_' | b'-');
                if !head.method.is_empty() || value.is_empty() || !value.iter().all(known) {
                    return Err(BAD);
                }
                head.method = value.clone();
            }
            b":scheme" => {
                let (Some(first), false) = (value.first(), scheme) else { return Err(BAD) };
                let other = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
                if !first.is_ascii_alphabetic() || !value.iter().all(other) {
                    return Err(BAD);
                }
                scheme = true;
            }
            b":path" => {
                // What nginx refuses in a target: control bytes and spaces, and everything not starting at the root.
                let plain = value.iter().all(|&b| b > b' ' && b != 0x7f);
                if !head.target.is_empty() || value.first() != Some(&b'/') || !plain {
                    return Err(BAD);
                }
                head.path = Path::parse(value).ok_or(BAD)?;
                head.target = value.clone();
            }
            b":authority" => head.take_host(value)?,
            [b':', ..] => return Err(BAD),
            _ => regular(head, name, value)?,
        }
    }
    if head.method.is_empty() || !scheme || head.target.is_empty() {
        return Err(BAD);
    }
    let length = head.finish()?;
    if end && length.is_some_and(|length| length > 0) {
        return Err(BAD);
    }
    Ok(length)
}

fn regular(head: &mut Head, name: &Bytes, value: &Bytes) -> Result<(), Stop> {
    let mut ignored = false;
    for byte in name.iter() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' => {}
            b'A'..=b'Z' | b':' | 0..=b' ' | 0x7f => return Err(Stop::Reset),
            // Read past and forgotten, as in HTTP/1.x.
            _ => ignored = true,
        }
    }
    if value.iter().any(|b| matches!(b, 0 | b'\r' | b'\n')) {
        return Err(Stop::Reset);
    }
    if !ignored {
        head.header(name.clone(), value.clone())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What came of it, in a word.
    fn verdict(fields: &[(&'static str, &'static str)], end: bool) -> String {
        let fields: Vec<_> =
            fields.iter().map(|(n, v)| (Bytes::from_static(n.as_bytes()), Bytes::from_static(v.as_bytes()))).collect();
        let visit = Visit { local: ([127, 0, 0, 1], 443).into(), secure: true };
        match judge(&fields, end, BodyIn::default(), visit) {
            Judged::Request(request) => format!("ok {:?}", request.body.length),
            Judged::Refused(page) => format!("{} {}", page.status, page.body.is_empty()),
            Judged::Reset(code) => format!("reset {code}"),
            Judged::GoAway(code) => format!("goaway {code}"),
        }
    }

    const GET: [(&str, &str); 4] =
        [(":method", "GET"), (":scheme", "https"), (":authority", "a.test"), (":path", "/x")];

    fn with(more: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
        GET.iter().chain(more).copied().collect()
    }

    #[test]
    fn as_seen_of_nginx() {
        assert_eq!(verdict(&GET, true), "ok None");
        for (more, want) in [
            (vec![("host", "a.test")], "400 false"),
            (vec![(":path", "/")], "400 false"),
            (vec![(":foo", "x")], "400 false"),
            (vec![("X", "y")], "reset 1"),
            (vec![("a b", "y")], "reset 1"),
            (vec![("a", "y\n")], "reset 1"),
            (vec![("", "y")], "goaway 1"),
            (vec![("a_b", "y")], "ok None"),
            (vec![("connection", "close")], "ok None"),
            (vec![("te", "gzip")], "ok None"),
            (vec![("transfer-encoding", "gzip")], "501 false"),
            (vec![("content-length", "5")], "400 false"),
            (vec![("content-length", "0")], "ok Some(0)"),
            (vec![("if-match", "a"), ("if-match", "b"), ("X", "y")], "400 false"),
        ] {
            assert_eq!(verdict(&with(&more), true), want, "{more:?}");
        }
        assert_eq!(verdict(&[(":method", "CONNECT"), (":authority", "a.test:443")], false), "400 false");
        assert_eq!(verdict(&[(":method", "CONNECT"), GET[1], GET[2], GET[3]], false), "405 false");
        assert_eq!(verdict(&[(":method", "HEAD"), GET[1], GET[3]], true), "400 true");
        assert_eq!(verdict(&[GET[0], ("x", "y"), GET[1], GET[2], GET[3]], true), "ok None");
        assert_eq!(verdict(&[GET[0], GET[1], ("host", "a.test"), GET[3]], true), "ok None");
    }
}
