//! The client side of a proxying cover: HTTP/1.1 to one origin, over TCP or TLS, with a few idle connections kept.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use parking_lot::Mutex;
use rozaneh_net::pool::{Buf, Slice};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, timeout};
use tokio_rustls::TlsConnector;

use super::body::{Body, Chunks};
use super::http1::chunked::Chunked;
use super::http1::line::{HeaderLine, Stop, header_line};
use super::message::BodyIn;
use super::proxy::{MAX_BODY, PATIENCE};

/// The longest answer head (nginx's `proxy_buffer_size` is smaller; sites with many cookies exceed it).
const MAX_HEAD: usize = 64 * 1024;
/// Idle connections kept, and for how long: shorter than the 75 s or 60 s after which servers close them.
const MAX_IDLE: usize = 32;
const IDLE: std::time::Duration = std::time::Duration::from_secs(30);

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}
type Wire = Box<dyn Duplex>;

/// Where the site is.
pub(super) struct Origin {
    /// `Host` for the site.
    pub authority: String,
    /// What stands before every path; no slash at its end.
    pub prefix: String,
    host: String,
    port: u16,
    usual_port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    idle: Arc<Mutex<Vec<(Wire, Instant)>>>,
}

/// A request on its way.
pub(super) struct Sending {
    /// Request line and fields, without those about the body and without the empty line.
    pub head: Vec<u8>,
    pub body: BodyIn,
    pub head_only: bool,
    /// Asking twice does no harm (RFC 9110 section 9.2.1), so that a kept connection may be tried first.
    pub safe: bool,
}

/// An answer, its body still coming.
pub(super) struct Answer {
    pub status: u16,
    pub reason: String,
    pub headers: Vec<(Bytes, Bytes)>,
    pub body: Body,
    /// The body's framing is not what `Content-Length` says.
    pub recoded: bool,
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn cut() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}

impl Origin {
    /// Reads a URL: scheme, host, optional port, optional path.
    pub(super) fn new(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").ok_or("not an http:// or https:// URL")?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err("not an http:// or https:// URL".into()),
        };
        if rest.contains(['?', '#']) || rest.bytes().any(|b| b <= b' ' || b >= 0x7f) {
            return Err("a cover's URL has no query, no fragment and no odd bytes".into());
        }
        let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
        if authority.contains('@') {
            return Err("a cover's URL holds no credentials".into());
        }
        let usual_port = if secure { 443 } else { 80 };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| "not a port")?),
            _ => (authority, usual_port),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        if host.is_empty() || port == 0 {
            return Err("no host or no port".into());
        }
        let tls = if secure { Some(connector(&host)?) } else { None };
        Ok(Self {
            authority: authority.to_ascii_lowercase(),
            prefix: path.trim_end_matches('/').to_owned(),
            host,
            port,
            usual_port,
            tls,
            idle: Arc::default(),
        })
    }

    /// The path of a URL that leads to this site; `None` for every other reference.
    pub(super) fn own<'a>(&self, reference: &'a [u8]) -> Option<&'a [u8]> {
        let slashes = reference.windows(2).position(|w| w == b"//")?;
        let scheme = reference.get(..slashes)?;
        if ![&b""[..], b"http:", b"https:"].iter().any(|s| s.eq_ignore_ascii_case(scheme)) {
            return None;
        }
        let rest = reference.get(slashes + 2..)?;
        let end = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let bare = self.authority.strip_suffix(&format!(":{}", self.usual_port)).unwrap_or(&self.authority);
        let same = authority.eq_ignore_ascii_case(self.authority.as_bytes())
            || authority.eq_ignore_ascii_case(bare.as_bytes())
            || (self.port == self.usual_port
                && authority.eq_ignore_ascii_case(format!("{bare}:{}", self.usual_port).as_bytes()));
        if !same {
            return None;
        }
        match path.strip_prefix(self.prefix.as_bytes()) {
            Some(inner) if inner.first().is_none_or(|b| matches!(b, b'/' | b'?' | b'#')) => Some(inner),
            _ => None,
        }
    }

    async fn connect(&self) -> io::Result<Wire> {
        let tcp = TcpStream::connect((self.host.as_str(), self.port)).await?;
        tcp.set_nodelay(true)?;
        match &self.tls {
            None => Ok(Box::new(tcp)),
            Some((connector, name)) => Ok(Box::new(connector.connect(name.clone(), tcp).await?)),
        }
    }

    fn reusable(&self) -> Option<Wire> {
        let mut idle = self.idle.lock();
        let now = Instant::now();
        idle.retain(|(_, since)| now.duration_since(*since) < IDLE);
        idle.pop().map(|(wire, _)| wire)
    }

    /// Sends a request and returns when the answer's head is there. `place` is held until the answer is over.
    pub(super) async fn exchange(&self, sending: Sending, place: OwnedSemaphorePermit) -> io::Result<Answer> {
        let Sending { mut head, body, head_only, safe } = sending;
        let (body, length) = (body.stream, body.length);
        match (body.is_some(), length) {
            (true, Some(length)) => head.extend_from_slice(format!("Content-Length: {length}\r\n").as_bytes()),
            (true, None) => head.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
            (false, Some(_)) => head.extend_from_slice(b"Content-Length: 0\r\n"),
            (false, None) => {}
        }
        head.extend_from_slice(b"\r\n");
        let Some(body) = body else {
            // A kept connection may have been closed by the site meanwhile: what was never answered is asked again.
            if let Some(wire) = safe.then(|| self.reusable()).flatten() {
                if let Ok(answer) = self.ask(wire, &head, head_only, None).await {
                    return Ok(answer.hold(place));
                }
            }
            let wire = patient(self.connect()).await?;
            return Ok(self.ask(wire, &head, head_only, None).await?.hold(place));
        };
        let wire = patient(self.connect()).await?;
        Ok(self.ask(wire, &head, head_only, Some(Uploading::new(body, length.is_none()))).await?.hold(place))
    }

    async fn ask(
        &self,
        mut wire: Wire,
        head: &[u8],
        head_only: bool,
        upload: Option<Uploading>,
    ) -> io::Result<Reading> {
        patient(async {
            wire.write_all(head).await?;
            wire.flush().await
        })
        .await?;
        let mut reading = Reading::new(wire, Arc::clone(&self.idle));
        reading.upload = upload;
        let mut headed = reading.head().await?;
        while (100..200).contains(&headed.status) {
            if headed.status == 101 {
                return Err(invalid("the site switches protocols unasked"));
            }
            headed = reading.head().await?;
        }
        reading.frame(headed, head_only)?;
        Ok(reading)
    }
}

fn connector(host: &str) -> Result<(TlsConnector, ServerName<'static>), String> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| "not a host name".to_owned())?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err("this system has no root certificates to check the site with".into());
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok((TlsConnector::from(Arc::new(config)), name))
}

async fn patient<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(PATIENCE, work).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

/// An answer's head.
struct Headed {
    status: u16,
    reason: String,
    headers: Vec<(Bytes, Bytes)>,
    persistent: bool,
}

/// How an answer's body ends.
enum Framing {
    Sized(u64),
    Chunked(Chunked),
    UntilClose,
}

/// A visitor's body on its way to the site.
struct Uploading {
    body: Option<Box<dyn Chunks>>,
    chunked: bool,
    sent: u64,
    /// Bytes waiting for the socket.
    out: Vec<u8>,
    at: usize,
}

impl Uploading {
    fn new(body: Box<dyn Chunks>, chunked: bool) -> Self {
        Self { body: Some(body), chunked, sent: 0, out: Vec::new(), at: 0 }
    }

    /// Ready when everything was sent.
    fn poll(&mut self, wire: &mut Wire, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            while let Some(rest) = self.out.get(self.at..).filter(|rest| !rest.is_empty()) {
                match Pin::new(&mut *wire).poll_write(cx, rest) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(Ok(count)) => self.at += count,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                }
            }
            self.out.clear();
            self.at = 0;
            let Some(body) = &mut self.body else { return Pin::new(&mut *wire).poll_flush(cx) };
            match body.poll_chunk(cx) {
                Poll::Pending => {
                    // What was written so far must not wait in a TLS buffer for more.
                    let _ = Pin::new(&mut *wire).poll_flush(cx)?;
                    return Poll::Pending;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(None)) => {
                    self.body = None;
                    if self.chunked {
                        self.out.extend_from_slice(b"0\r\n\r\n");
                    }
                }
                Poll::Ready(Ok(Some(chunk))) => {
                    self.sent += chunk.len() as u64;
                    if self.sent > MAX_BODY {
                        return Poll::Ready(Err(io::ErrorKind::FileTooLarge.into()));
                    }
                    if self.chunked {
                        self.out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                    }
                    self.out.extend_from_slice(&chunk);
                    if self.chunked {
                        self.out.extend_from_slice(b"\r\n");
                    }
                }
            }
        }
    }
}

/// A connection while an answer comes: it sends what is left of the request at the same time.
struct Reading {
    wire: Option<Wire>,
    upload: Option<Uploading>,
    idle: Arc<Mutex<Vec<(Wire, Instant)>>>,
    buffer: Vec<u8>,
    framing: Framing,
    headed: Option<Headed>,
    persistent: bool,
    deadline: Pin<Box<Sleep>>,
    /// Payload decoded and not yet handed on.
    ready: Option<Slice>,
    place: Option<OwnedSemaphorePermit>,
}

impl Reading {
    fn new(wire: Wire, idle: Arc<Mutex<Vec<(Wire, Instant)>>>) -> Self {
        Self {
            wire: Some(wire),
            upload: None,
            idle,
            buffer: Vec::new(),
            framing: Framing::UntilClose,
            headed: None,
            persistent: false,
            deadline: Box::pin(tokio::time::sleep(PATIENCE)),
            ready: None,
            place: None,
        }
    }

    fn hold(mut self, place: OwnedSemaphorePermit) -> Answer {
        self.place = Some(place);
        let headed = self.headed.take();
        let recoded = !matches!(self.framing, Framing::Sized(_));
        let (status, reason, headers) =
            headed.map_or((502, String::new(), Vec::new()), |h| (h.status, h.reason, h.headers));
        // The length of an answer to HEAD is announced and never sent.
        let bare = self.is_over();
        let body = if bare { Body::Empty } else { Body::Stream(Box::new(self)) };
        Answer { status, reason, headers, body, recoded: recoded && !bare }
    }

    /// Receives more; 0 = the site finished. Sends what is left of the request meanwhile.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Slice>> {
        let Some(wire) = &mut self.wire else { return Poll::Ready(Ok(Slice::copy_from(&[]))) };
        if let Some(upload) = &mut self.upload {
            match upload.poll(wire, cx) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => {
                    self.upload = None;
                    self.deadline.as_mut().reset(Instant::now() + PATIENCE);
                }
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::FileTooLarge => {
                    return Poll::Ready(Err(error));
                }
                // A site may answer and stop reading: its answer counts, the connection does not.
                Poll::Ready(Err(_)) => {
                    self.upload = None;
                    self.persistent = false;
                }
            }
        }
        let mut buffer = Buf::small();
        let mut read = ReadBuf::new(&mut buffer);
        match Pin::new(wire).poll_read(cx, &mut read) {
            Poll::Ready(Ok(())) => {
                let count = read.filled().len();
                self.deadline.as_mut().reset(Instant::now() + PATIENCE);
                Poll::Ready(Ok(buffer.freeze(0..count)))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => match self.deadline.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
                Poll::Pending => Poll::Pending,
            },
        }
    }

    async fn head(&mut self) -> io::Result<Headed> {
        loop {
            if let Some((headed, consumed)) = parse(&self.buffer)? {
                self.buffer.drain(..consumed);
                return Ok(headed);
            }
            if self.buffer.len() > MAX_HEAD {
                return Err(invalid("the site's head is too long"));
            }
            let more = std::future::poll_fn(|cx| self.poll_more(cx)).await?;
            if more.is_empty() {
                return Err(cut());
            }
            self.buffer.extend_from_slice(&more);
        }
    }

    /// Decides where the body ends (RFC 9112 section 6.3).
    fn frame(&mut self, headed: Headed, head_only: bool) -> io::Result<()> {
        let field = |name: &str| {
            let mut all = headed.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()));
            (all.next().map(|(_, value)| value.clone()), all.next().is_some())
        };
        let (coding, _) = field("transfer-encoding");
        let (length, twice) = field("content-length");
        self.persistent = headed.persistent;
        self.framing = if head_only || matches!(headed.status, 204 | 304) {
            Framing::Sized(0)
        } else if let Some(coding) = coding {
            if !coding.eq_ignore_ascii_case(b"chunked") {
                return Err(invalid("the site's transfer coding is unknown"));
            }
            Framing::Chunked(Chunked::new())
        } else if let Some(length) = length {
            let text = std::str::from_utf8(&length).ok().filter(|_| !twice);
            let digits = text.filter(|t| t.bytes().all(|b| b.is_ascii_digit()));
            Framing::Sized(digits.and_then(|t| t.parse().ok()).ok_or_else(|| invalid("the site's length is odd"))?)
        } else {
            self.persistent = false;
            Framing::UntilClose
        };
        self.headed = Some(headed);
        if matches!(self.framing, Framing::Sized(0)) {
            self.finish();
        } else {
            let early = std::mem::take(&mut self.buffer);
            if !early.is_empty() {
                self.ready = self.decode(&Slice::from_vec(early))?;
            }
        }
        Ok(())
    }

    /// The connection goes back to the idle ones, or is closed.
    fn finish(&mut self) {
        let Some(wire) = self.wire.take() else { return };
        if self.persistent && self.upload.is_none() && self.buffer.is_empty() {
            let mut idle = self.idle.lock();
            if idle.len() < MAX_IDLE {
                idle.push((wire, Instant::now()));
            }
        }
        self.place = None;
    }

    /// The payload in what was received; `None` = none in it.
    fn decode(&mut self, received: &Slice) -> io::Result<Option<Slice>> {
        let (payload, over) = match &mut self.framing {
            Framing::UntilClose => (received.clone(), false),
            Framing::Sized(left) => {
                let count = usize::try_from(*left).map_or(received.len(), |left| left.min(received.len()));
                *left -= count as u64;
                // Bytes nobody announced make the connection useless.
                self.persistent &= count == received.len();
                (received.sub(0..count), *left == 0)
            }
            Framing::Chunked(chunked) => {
                let mut payload = Vec::with_capacity(received.len());
                let taken = chunked
                    .feed(received, &mut |part| payload.extend_from_slice(part))
                    .map_err(|_| invalid("the site's chunks are malformed"))?;
                self.persistent &= taken == received.len();
                (Slice::from_vec(payload), chunked.is_over())
            }
        };
        if over {
            self.finish();
        }
        Ok((!payload.is_empty()).then_some(payload))
    }
}

impl Chunks for Reading {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Slice>>> {
        loop {
            if let Some(ready) = self.ready.take() {
                return Poll::Ready(Ok(Some(ready)));
            }
            if self.wire.is_none() {
                return Poll::Ready(Ok(None));
            }
            let received = match self.poll_more(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(received) => received?,
            };
            if received.is_empty() {
                let whole = matches!(self.framing, Framing::UntilClose);
                self.wire = None;
                return Poll::Ready(if whole { Ok(None) } else { Err(cut()) });
            }
            self.ready = self.decode(&received)?;
        }
    }

    fn is_over(&self) -> bool {
        self.wire.is_none() && self.ready.is_none()
    }
}

/// Reads an answer's head if it is whole.
fn parse(bytes: &[u8]) -> io::Result<Option<(Headed, usize)>> {
    let Some(end) = bytes.iter().position(|&b| b == b'\n') else { return Ok(None) };
    let line = bytes.get(..end).unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let (version, rest) = line.split_at_checked(9).ok_or_else(|| invalid("not an HTTP answer"))?;
    let modern = match version {
        b"HTTP/1.1 " => true,
        b"HTTP/1.0 " => false,
        _ => return Err(invalid("not an HTTP/1.x answer")),
    };
    let code = rest.get(..3).and_then(|code| std::str::from_utf8(code).ok()).and_then(|code| code.parse().ok());
    let status: u16 = code.filter(|code| (100..1000).contains(code)).ok_or_else(|| invalid("no status"))?;
    let reason = String::from_utf8_lossy(rest.get(4..).unwrap_or_default()).into_owned();
    let mut at = end + 1;
    let mut headers = Vec::new();
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        match header_line(rest) {
            Err(Stop::Again) => return Ok(None),
            Err(Stop::Bad(_)) => return Err(invalid("a malformed header line")),
            Ok(HeaderLine::End(consumed)) => {
                at += consumed;
                break;
            }
            Ok(HeaderLine::Field { name, value, consumed, .. }) => {
                let copy = |range| Bytes::copy_from_slice(rest.get(range).unwrap_or_default());
                headers.push((copy(name), copy(value)));
                at += consumed;
            }
        }
    }
    let mut persistent = modern;
    for (name, value) in &headers {
        if name.eq_ignore_ascii_case(b"connection") {
            let has = |word: &[u8]| value.split(|&b| b == b',').any(|v| v.trim_ascii().eq_ignore_ascii_case(word));
            persistent = (persistent || has(b"keep-alive")) && !has(b"close");
        }
    }
    Ok(Some((Headed { status, reason, headers, persistent }, at)))
}
