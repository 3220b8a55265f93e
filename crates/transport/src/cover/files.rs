//! Answers from files: headers, conditions, ranges, compression, redirects.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::body::{Body, Part, Parts, Source, produced};
use super::conditional::{Verdict, Wanted, judge, ranges};
use super::date;
use super::gzip;
use super::message::{Request, Response};
use super::mime;
use super::page::Problem;
use super::site::{Found, Opened, Site, Wish};
use super::uri::Path;

/// Larger announced bodies are refused unread (`client_max_body_size 1m`).
const MAX_BODY: u64 = 1 << 20;

/// A site and the one number nginx counts for all visitors: that of the last multipart boundary.
pub(super) struct Files {
    site: Site,
    boundary: AtomicU64,
}

impl Files {
    pub(super) fn new(site: Site) -> Arc<Self> {
        Arc::new(Self { site, boundary: AtomicU64::new(1) })
    }

    /// Answers as nginx's static file serving does.
    pub(super) async fn respond(self: &Arc<Self>, request: Request) -> Response {
        if request.body.length.is_some_and(|length| length > MAX_BODY) {
            return problem(&request, Problem::BodyTooLarge);
        }
        let wish = match request.method.as_ref() {
            b"GET" | b"HEAD" => Wish::Read,
            b"POST" => Wish::Post,
            _ => Wish::Other,
        };
        let path = request.path.clone();
        let found = if matches!(self.site, Site::Stock { .. }) {
            self.site.find(path, wish)
        } else {
            let this = Arc::clone(self);
            match tokio::task::spawn_blocking(move || this.site.find(path, wish)).await {
                Ok(found) => found,
                Err(_) => Found::Problem(Problem::Internal),
            }
        };
        match found {
            Found::Problem(kind) => problem(&request, kind),
            Found::Directory(path) => redirect(&request, &path),
            Found::File(opened) => {
                let mut response = self.file(&request, opened);
                response.opened = true;
                response
            }
        }
    }

    fn file(&self, request: &Request, opened: Opened) -> Response {
        let Opened { source, size, modified, path } = opened;
        let etag = format!("\"{modified:x}-{size:x}\"");
        match judge(request, etag.as_bytes(), modified) {
            Verdict::Failed => {
                let mut out = problem(request, Problem::PreconditionFailed);
                out.abrupt = true;
                return out;
            }
            Verdict::NotModified => {
                let mut out = Response::new(304);
                out.core("Last-Modified", date::format(modified));
                out.extra("ETag", etag);
                return out;
            }
            Verdict::Send => {}
        }
        let kind = mime::of(&path);
        if gzip::wanted(request, 200, kind, size) {
            let mut out = Response::new(200);
            out.core("Content-Type", kind);
            out.core("Last-Modified", date::format(modified));
            out.extra("ETag", format!("W/{etag}"));
            out.extra("Content-Encoding", "gzip");
            if !request.is("HEAD") {
                out.body = produced(gzip::Gzip::new(source, size));
            }
            return out;
        }
        match ranges(request, etag.as_bytes(), modified, size) {
            Wanted::Nothing => {
                let mut out = problem(request, Problem::RangeNotSatisfiable);
                out.extra("Content-Range", format!("bytes */{size}"));
                out
            }
            Wanted::All => {
                let mut out = Response::new(200);
                out.core("Content-Type", kind);
                out.core("Content-Length", size.to_string());
                out.core("Last-Modified", date::format(modified));
                out.extra("ETag", etag);
                out.extra("Accept-Ranges", "bytes");
                out.body = parts(request, source, VecDeque::from([Part::Bytes(0..size)]));
                out
            }
            Wanted::Some(ranges) => self.partial(request, source, kind, &etag, (modified, size), &ranges),
        }
    }

    fn partial(
        &self,
        request: &Request,
        source: Source,
        kind: &'static str,
        etag: &str,
        (modified, size): (i64, u64),
        ranges: &[std::ops::Range<u64>],
    ) -> Response {
        let mut out = Response::new(206);
        let mut list = VecDeque::new();
        let mut length: u64 = 0;
        let mut content_range = None;
        if let [range] = ranges {
            out.core("Content-Type", kind);
            length = range.end - range.start;
            content_range = Some(format!("bytes {}-{}/{size}", range.start, range.end - 1));
            list.push_back(Part::Bytes(range.clone()));
        } else {
            let boundary = format!("{:020}", self.boundary.fetch_add(1, Ordering::Relaxed));
            out.core("Content-Type", format!("multipart/byteranges; boundary={boundary}"));
            let mut text = |text: String, list: &mut VecDeque<Part>| {
                length += text.len() as u64;
                list.push_back(Part::Text(text.into_bytes()));
            };
            for range in ranges {
                let (first, last) = (range.start, range.end - 1);
                let head = format!(
                    "\r\n--{boundary}\r\nContent-Type: {kind}\r\nContent-Range: bytes {first}-{last}/{size}\r\n\r\n"
                );
                text(head, &mut list);
                list.push_back(Part::Bytes(range.clone()));
            }
            text(format!("\r\n--{boundary}--\r\n"), &mut list);
            length += ranges.iter().map(|r| r.end - r.start).sum::<u64>();
        }
        out.core("Content-Length", length.to_string());
        out.core("Last-Modified", date::format(modified));
        out.extra("ETag", etag);
        if let Some(range) = content_range {
            out.extra("Content-Range", range);
        }
        out.body = parts(request, source, list);
        out
    }
}

/// Nothing for HEAD; a piece of memory where everything already is in one; otherwise a stream.
fn parts(request: &Request, mut source: Source, mut list: VecDeque<Part>) -> Body {
    if request.is("HEAD") {
        return Body::Empty;
    }
    if let (Source::Memory(_), [Part::Bytes(range)]) = (&source, &*list.make_contiguous()) {
        let (start, length) = (range.start, range.end - range.start);
        if length == 0 {
            return Body::Empty;
        }
        if let Ok(bytes) = source.read(start, length) {
            return Body::Bytes(bytes);
        }
    }
    produced(Parts { source, parts: list })
}

/// nginx's page for a problem met after the request was understood: compressed where such pages are.
pub(super) fn problem(request: &Request, kind: Problem) -> Response {
    let mut out = Response::page(kind, request.agent);
    let length = match &out.body {
        Body::Bytes(bytes) => bytes.len() as u64,
        Body::Empty | Body::Stream(_) => 0,
    };
    if gzip::wanted(request, out.status, "text/html", length) {
        out.headers.retain(|(name, _)| name != "Content-Length");
        out.connection_at = out.headers.len();
        out.extra("Content-Encoding", "gzip");
        out.body = Body::Bytes(gzip::page(&kind.html(request.agent.padded)));
    }
    if request.is("HEAD") {
        out.body = Body::Empty;
    }
    out
}

/// 301 to the name with its slash, with the scheme, host and port the visitor is on.
fn redirect(request: &Request, path: &Path) -> Response {
    let local = request.visit.local;
    let (scheme, usual) = if request.visit.secure { ("https", 443) } else { ("http", 80) };
    let mut location = format!("{scheme}://").into_bytes();
    match &request.host {
        Some(host) => location.extend_from_slice(host),
        None => location.extend_from_slice(literal(local.ip()).as_bytes()),
    }
    if local.port() != usual {
        location.extend_from_slice(format!(":{}", local.port()).as_bytes());
    }
    location.extend(path.as_directory());
    let mut out = problem(request, Problem::Moved);
    out.core("Location", location);
    out
}

/// An address as it stands in a URL; a mapped one as the visitor wrote it.
fn literal(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}
