//! A visit to the cover, by whoever wanted the edge: where REALITY was not accepted, the site that answered must see a
//! browser that opens its first page. Its `date` is all that is kept.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rozaneh_wire::h2::{Field, find};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::h2::carrier::Carrier;
use crate::h2::driver::{Driver, NoRequests, Patience};
use crate::look::Look;
use crate::tls::drive::Ready;
use crate::tls::stream::TlsStream;
use rozaneh_net::stream::Stream;

/// For the whole page; a slower one is left as a person would leave it.
const PATIENCE: Duration = Duration::from_secs(10);
/// Of a page that is read to its end.
const PAGE: usize = 4 << 20;
/// Of an answer's head over HTTP/1.1 (as much as Chromium takes, net/http: 256 KiB).
const HEAD: usize = 256 << 10;

/// Opens the page `/` and reads it. The connection ends as the browser ends it: FIN, and not a word.
pub(crate) async fn visit(tcp: TcpStream, ready: Ready, look: &Look, authority: &str) -> Option<String> {
    // A browser leaves the usual port out (RFC 9110 section 4.2.2).
    let authority = authority.strip_suffix(":443").unwrap_or(authority);
    // Without values a request would be no browser's: such a connection is one that was opened early and not needed.
    look.headers().next()?;
    let mut date = None;
    let page = async {
        if ready.established.facts.is_h2() {
            over_http2(tcp, ready, look, authority, &mut date).await;
        } else {
            over_http1(tcp, ready, look, authority, &mut date).await;
        }
    };
    // What was learnt until then stays.
    let _ = timeout(PATIENCE, page).await;
    date
}

async fn over_http2(tcp: TcpStream, ready: Ready, look: &Look, authority: &str, date: &mut Option<String>) {
    let mut fields = vec![
        Field::new(":method", "GET"),
        Field::new(":authority", authority.to_owned()),
        Field::new(":scheme", "https"),
        Field::new(":path", "/"),
    ];
    look.order(&mut fields);
    fields.extend(look.headers().map(|(name, value)| Field::new(name.to_owned(), value.to_owned())));
    let carrier = Carrier::client(look, false);
    let Ok(stream) = carrier.open(&fields, true) else { return };
    let always = Arc::new(AtomicBool::new(true));
    let driver = Driver::new(tcp, ready, Arc::clone(&carrier), NoRequests, Patience::Ping(PATIENCE), always);
    let reading = async {
        let mut stream = stream;
        let Ok(head) = poll_fn(|cx| stream.poll_head(cx)).await else { return };
        *date = find(&head, "date").map(|date| String::from_utf8_lossy(date).into_owned());
        let mut size = 0;
        while let Ok(Some(chunk)) = poll_fn(|cx| stream.poll_recv(cx, usize::MAX)).await {
            size += chunk.len();
            if size > PAGE {
                return;
            }
        }
    };
    let closing = async {
        reading.await;
        carrier.close();
    };
    tokio::join!(driver.run(), closing);
}

async fn over_http1(tcp: TcpStream, ready: Ready, look: &Look, authority: &str, date: &mut Option<String>) {
    let mut tls = TlsStream::new(tcp, ready);
    let mut request = format!("GET / HTTP/1.1\r\nHost: {authority}\r\nConnection: keep-alive\r\n");
    // Chromium's spelling: client hints in small letters, everything else capitalised; these two are of HTTP/2 only.
    for (name, value) in look.headers().filter(|(name, _)| !matches!(*name, "priority" | "te")) {
        let name = if name.starts_with("sec-ch-") { name.to_owned() } else { capitalised(name) };
        request.extend([&name, ": ", value, "\r\n"]);
    }
    request.push_str("\r\n");
    if tls.write_all(request.as_bytes()).await.is_err() || tls.flush().await.is_err() {
        return;
    }
    let mut answer = Vec::new();
    let mut room = vec![0; 16 << 10];
    let (mut body, mut size) = (None, usize::MAX);
    while answer.len() < body.unwrap_or(0_usize).saturating_add(size.min(PAGE)) {
        match tls.read(&mut room).await {
            Ok(n) if n > 0 => answer.extend_from_slice(room.get(..n).unwrap_or_default()),
            _ => return,
        }
        if body.is_some() {
            if size == usize::MAX && answer.ends_with(b"0\r\n\r\n") {
                return;
            }
            continue;
        }
        let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
            if answer.len() > HEAD {
                return;
            }
            continue;
        };
        body = Some(end + 4);
        let head = answer.get(..end).unwrap_or_default();
        *date = field(head, "date").map(str::to_owned);
        if let Some(length) = field(head, "content-length").and_then(|length| length.parse().ok()) {
            size = length;
        }
    }
}

fn field<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    let head = std::str::from_utf8(head).ok()?;
    head.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn capitalised(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        first.to_ascii_uppercase() + rest
    });
    words.collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_fields() {
        assert_eq!(capitalised("sec-fetch-mode"), "Sec-Fetch-Mode");
        assert_eq!(capitalised("accept"), "Accept");
        let head = b"HTTP/1.1 200 OK\r\nServer: x\r\nDATE:  Mon, 23 Nov 2026 02:00:00 GMT\r\nContent-Length: 5";
        assert_eq!(field(head, "date"), Some("Mon, 23 Nov 2026 02:00:00 GMT"));
        assert_eq!(field(head, "content-length"), Some("5"));
        assert_eq!(field(head, "etag"), None);
    }
}
