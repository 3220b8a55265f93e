//! What comes in and what goes out, the same for every version of HTTP.

use std::borrow::Cow;
use std::net::SocketAddr;

use bytes::Bytes;

use super::agent::Agent;
use super::body::{Body, Chunks};
use super::date;
use super::page::{self, Problem};
use super::uri::Path;

/// The version a request came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Http {
    /// A request line and nothing else; the answer is a body and nothing else.
    V0_9,
    V1_0,
    V1_1,
    V2,
}

/// The end of the connection that the visitor reached.
#[derive(Clone, Copy, Debug)]
pub struct Visit {
    /// The address the visitor connected to: its port shows in redirects.
    pub local: SocketAddr,
    /// Whether the conversation is inside TLS.
    pub secure: bool,
}

/// How much body a request announced, and where it comes from.
#[derive(Default)]
pub struct BodyIn {
    /// `Content-Length`, or the size of a body that came with no length but is over.
    pub length: Option<u64>,
    /// There is a body of unknown length (chunked, or HTTP/2 without `content-length` and without END_STREAM).
    pub open: bool,
    /// The bytes; `None` where there are none or nobody wants them. Only a proxying cover reads it.
    pub stream: Option<Box<dyn Chunks>>,
}

/// One understood request.
pub struct Request {
    /// As sent.
    pub method: Bytes,
    /// The raw request target in origin-form, as sent.
    pub target: Bytes,
    /// The host asked for, in lower case, without a port.
    pub host: Option<Bytes>,
    /// The whole `Host` or `:authority` as sent.
    pub authority: Option<Bytes>,
    /// Header lines in their order and spelling, without those nginx ignores as invalid.
    pub headers: Vec<(Bytes, Bytes)>,
    pub http: Http,
    pub body: BodyIn,
    pub visit: Visit,
    pub(super) path: Path,
    pub(super) agent: Agent,
}

impl Request {
    /// The first header line of this name.
    pub(super) fn header(&self, name: &str) -> Option<&[u8]> {
        let same = |n: &Bytes| n.eq_ignore_ascii_case(name.as_bytes());
        self.headers.iter().find(|(n, _)| same(n)).map(|(_, v)| v.as_ref())
    }

    pub(super) fn is(&self, method: &str) -> bool {
        self.method == method.as_bytes()
    }
}

/// One answer. Its headers are complete but for what only the version knows: `Connection` and `Transfer-Encoding`.
pub struct Response {
    pub status: u16,
    /// The words of the status line; HTTP/2 has none.
    pub reason: Cow<'static, str>,
    /// In the order of the wire.
    pub headers: Vec<(Cow<'static, str>, Vec<u8>)>,
    /// The connection headers of HTTP/1.x stand before the header with this index.
    pub connection_at: usize,
    pub body: Body,
    /// HTTP/1.x must not go on after this answer.
    pub close: bool,
    /// nginx drops the connection right behind this answer although it said it would keep it.
    pub(super) abrupt: bool,
    /// A file was opened for it: nginx then reads the request's body first, asks for it where the visitor waits to be
    /// asked, and answers 400 instead where the body is malformed.
    pub(super) opened: bool,
}

impl Response {
    /// A beginning with `Server` and `Date`.
    pub(super) fn new(status: u16) -> Self {
        let headers =
            vec![("Server".into(), page::SERVER.as_bytes().to_vec()), ("Date".into(), date::now().into_bytes())];
        Self {
            status,
            reason: page::reason(status).into(),
            headers,
            connection_at: 2,
            body: Body::Empty,
            close: false,
            abrupt: false,
            opened: false,
        }
    }

    /// Adds one of the headers that stand before `Connection`.
    pub(super) fn core(&mut self, name: &'static str, value: impl Into<Vec<u8>>) {
        self.headers.push((name.into(), value.into()));
        self.connection_at = self.headers.len();
    }

    /// Adds one of those behind it.
    pub(super) fn extra(&mut self, name: &'static str, value: impl Into<Vec<u8>>) {
        self.headers.push((name.into(), value.into()));
    }

    /// nginx's own page for a problem.
    pub(super) fn page(problem: Problem, agent: Agent) -> Self {
        let html = problem.html(agent.padded);
        let mut out = Self::new(problem.status());
        out.core("Content-Type", "text/html");
        out.core("Content-Length", html.len().to_string());
        out.body = Body::from_vec(html);
        out.close = problem.closes();
        out
    }

    /// Whether the headers tell the length.
    #[must_use]
    pub fn has_length(&self) -> bool {
        self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length"))
    }

    /// Whether this status never has a body (RFC 9110 section 6.4.1).
    #[must_use]
    pub fn bodiless(&self) -> bool {
        matches!(self.status, 100..=199 | 204 | 304)
    }

    /// The fields of an HTTP/2 answer, in lower case, `:status` first.
    #[must_use]
    pub fn fields(&self) -> Vec<(Bytes, Bytes)> {
        let mut out = Vec::with_capacity(self.headers.len() + 1);
        out.push((Bytes::from_static(b":status"), Bytes::from(self.status.to_string())));
        for (name, value) in &self.headers {
            out.push((Bytes::from(name.to_ascii_lowercase()), Bytes::copy_from_slice(value)));
        }
        out
    }
}
