//! A cover that is another site: requests go there, its answers come back as they are.
//!
//! The site is meant to be seen, so its status line, `Server`, header order and spelling pass through; only what belongs
//! to one connection (RFC 9110 section 7.6.1) is ours on each side. The site sees an ordinary client: its own name in
//! `Host`, and no `Forwarded`, `X-Forwarded-*` or `Via` from us, which would tell a third party who visits this address
//! and, on any page that echoes headers, tell the visitor that there is a proxy. Where the site cannot be reached the
//! visitor gets the page nginx has for that. The address is the operator's decision and not subject to the policy for
//! destinations that readers ask for.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::files::problem;
use super::message::{Request, Response};
use super::page::Problem;
use super::upstream::{Answer, Origin, Sending};

/// `client_max_body_size 1m`.
pub(super) const MAX_BODY: u64 = 1 << 20;

/// Requests under way at the site at one time; more are told 503. A cover pointed at itself ends here.
const MAX_EXCHANGES: usize = 1024;

/// nginx's `proxy_connect_timeout`, `proxy_read_timeout` and `proxy_send_timeout`.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Fields about one connection (RFC 9110 section 7.6.1), and those we write ourselves.
const HOP: [&str; 12] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// One site.
pub(super) struct Proxy {
    origin: Arc<Origin>,
    places: Arc<Semaphore>,
}

impl Proxy {
    /// Reads an `http://` or `https://` URL.
    pub(super) fn new(url: &str) -> Result<Self, String> {
        Ok(Self { origin: Arc::new(Origin::new(url)?), places: Arc::new(Semaphore::new(MAX_EXCHANGES)) })
    }

    pub(super) async fn respond(&self, mut request: Request) -> Response {
        if request.body.length.is_some_and(|length| length > MAX_BODY) {
            return problem(&request, Problem::BodyTooLarge);
        }
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return problem(&request, Problem::Unavailable);
        };
        let body = std::mem::take(&mut request.body);
        let safe = ["GET", "HEAD", "OPTIONS"].iter().any(|method| request.is(method));
        let sending = Sending { head: self.head(&request), body, head_only: request.is("HEAD"), safe };
        match self.origin.exchange(sending, place).await {
            Ok(answer) => self.response(&request, answer),
            Err(error) => {
                let kind = match error.kind() {
                    io::ErrorKind::TimedOut => Problem::GatewayTimeout,
                    io::ErrorKind::FileTooLarge => Problem::BodyTooLarge,
                    _ => Problem::BadGateway,
                };
                problem(&request, kind)
            }
        }
    }

    /// The head for the site, but for the fields about the body.
    fn head(&self, request: &Request) -> Vec<u8> {
        let named = connection_names(request.headers.iter().map(|(n, v)| (n.as_ref(), v.as_ref())));
        let mut out = Vec::with_capacity(512);
        let mut line = |parts: &[&[u8]]| {
            for part in parts {
                out.extend_from_slice(part);
            }
            out.extend_from_slice(b"\r\n");
        };
        line(&[&request.method, b" ", self.origin.prefix.as_bytes(), &request.target, b" HTTP/1.1"]);
        line(&[b"Host: ", self.origin.authority.as_bytes()]);
        for (name, value) in &request.headers {
            if !is_hop(name, &named) {
                line(&[name, b": ", value]);
            }
        }
        out
    }

    fn response(&self, request: &Request, answer: Answer) -> Response {
        let named = connection_names(answer.headers.iter().map(|(n, v)| (n.as_ref(), v.as_ref())));
        let mut headers: Vec<(Cow<'static, str>, Vec<u8>)> = Vec::with_capacity(answer.headers.len());
        let mut connection_at = None;
        for (name, value) in answer.headers {
            if name.eq_ignore_ascii_case(b"connection") {
                connection_at.get_or_insert(headers.len());
            }
            // The length is the one field of the hop that is the message's too.
            if is_hop(&name, &named) && !name.eq_ignore_ascii_case(b"content-length") {
                continue;
            }
            if name.eq_ignore_ascii_case(b"content-length") && answer.recoded {
                continue;
            }
            let value =
                if name.eq_ignore_ascii_case(b"location") { self.location(request, &value) } else { value.to_vec() };
            headers.push((String::from_utf8_lossy(&name).into_owned().into(), value));
        }
        let mut out = Response::new(answer.status);
        out.reason = answer.reason.into();
        out.connection_at = connection_at.unwrap_or(headers.len());
        out.headers = headers;
        out.body = answer.body;
        out
    }

    /// A redirect to the site's own name becomes one to the name the visitor asked for.
    fn location(&self, request: &Request, value: &[u8]) -> Vec<u8> {
        let Some(path) = self.origin.own(value) else { return value.to_vec() };
        let Some(authority) = &request.authority else { return value.to_vec() };
        let scheme: &[u8] = if request.visit.secure { b"https://" } else { b"http://" };
        [scheme, authority, path].concat()
    }
}

/// The names listed in `Connection` fields, in lower case.
fn connection_names<'a>(headers: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Vec<Vec<u8>> {
    headers
        .filter(|(name, _)| name.eq_ignore_ascii_case(b"connection"))
        .flat_map(|(_, value)| value.split(|&b| b == b','))
        .map(|name| name.trim_ascii().to_ascii_lowercase())
        .collect()
}

fn is_hop(name: &Bytes, named: &[Vec<u8>]) -> bool {
    let lower = name.to_ascii_lowercase();
    HOP.iter().any(|hop| hop.as_bytes() == lower) || named.contains(&lower)
}

#[cfg(test)]
mod tests {
    use super::super::http2::{Judged, judge};
    use super::super::message::{BodyIn, Visit};
    use super::*;

    fn request(fields: &[(&'static str, &'static str)]) -> Request {
        let fields: Vec<_> =
            fields.iter().map(|(n, v)| (Bytes::from_static(n.as_bytes()), Bytes::from_static(v.as_bytes()))).collect();
        let visit = Visit { local: ([127, 0, 0, 1], 443).into(), secure: true };
        match judge(&fields, true, BodyIn::default(), visit) {
            Judged::Request(request) => *request,
            _ => panic!("not a request"),
        }
    }

    const GET: [(&str, &str); 4] =
        [(":method", "GET"), (":scheme", "https"), (":authority", "edge.test:8443"), (":path", "/x?y")];

    #[test]
    fn head_for_the_site() {
        let proxy = Proxy::new("https://site.test/base/").expect("a URL");
        let more =
            [("connection", "x-drop"), ("x-drop", "1"), ("accept", "*/*"), ("te", "trailers"), ("cookie", "a=b")];
        let fields: Vec<_> = GET.iter().chain(&more).copied().collect();
        let head = String::from_utf8(proxy.head(&request(&fields))).expect("ASCII");
        assert_eq!(head, "GET /base/x?y HTTP/1.1\r\nHost: site.test\r\naccept: */*\r\ncookie: a=b\r\n");
    }

    #[test]
    fn redirects() {
        let proxy = Proxy::new("http://site.test").expect("a URL");
        let request = request(&GET);
        for (from, to) in [
            ("http://site.test/a?b", "https://edge.test:8443/a?b"),
            ("https://SITE.test/a", "https://edge.test:8443/a"),
            ("http://site.test:80/a", "https://edge.test:8443/a"),
            ("http://site.test", "https://edge.test:8443"),
            ("//site.test/a", "https://edge.test:8443/a"),
            ("http://site.test.evil/a", "http://site.test.evil/a"),
            ("http://site.test:81/a", "http://site.test:81/a"),
            ("/relative", "/relative"),
        ] {
            assert_eq!(proxy.location(&request, from.as_bytes()), to.as_bytes(), "{from}");
        }
    }
}
