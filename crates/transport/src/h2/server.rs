//! The edge's end: TLS, then HTTP/2 or HTTP/1.1; tunnels for who is known, the cover for everybody else.
//!
//! Whoever does not authenticate must find nothing but the cover. So nothing here answers by itself: a request is a
//! well-formed tunnel request with good credentials over TLS 1.3, or it goes to the cover as it came. Deadlines and the
//! manner of closing are the cover's until somebody authenticated.
//!
//! [`inside`] is the same HTTP/2 behind a layer that has already sent strangers away (REALITY): no cover stands behind
//! it, and whoever has no account is told so.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use rozaneh_net::pool::Slice;
use rozaneh_net::stream::Io;
use rozaneh_wire::h2::{Code, Connection, Field, Limits, Look, Malformed, StreamId};
use rozaneh_wire::padding::Kind;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::carrier::Carrier;
use super::client::RESERVED;
use super::driver::{Driver, Incoming, Patience, Requests};
use super::packets::CapsulePackets;
use super::padded::Padded;
use super::request::{self, Tunnel};
use super::stream::H2Stream;
use super::visitor;
use crate::cover::http1::{self, Timeouts};
use crate::cover::{Cover, Visit, h2look};
use crate::next::{Next, PacketIo, Refusal, Reply};
use crate::target::Target;
use crate::tls::rustls_server::Server as Tls;
use crate::tls::stream::TlsStream;
use crate::tls::{Version, drive};

/// Streams of an authenticated carrier. Browsers open some hundred; a shared gateway behind one invite more.
const MAX_STREAMS: u32 = 4_096;

/// Whom the edge asks.
pub trait Gate: Send + Sync + 'static {
    /// The user of these credentials. Takes the same work for names nobody has.
    fn authenticate(&self, user: &[u8], password: &[u8]) -> Option<Arc<str>>;
    /// The user of this VLESS id, given without the bytes that may carry a route. Nobody, unless a listener serves it.
    fn recognise(&self, id: &[u8; 16]) -> Option<Arc<str>> {
        let _ = id;
        None
    }
    /// Takes the next step of a tunnel, without waiting.
    fn next(&self, next: Next);
}

/// One HTTP/2 listener's settings.
pub struct Edge {
    tls: Tls,
    cover: Cover,
    timeouts: Timeouts,
}

impl Edge {
    #[must_use]
    pub fn new(tls: Tls, cover: Cover) -> Arc<Self> {
        Arc::new(Self { tls, cover, timeouts: Timeouts::default() })
    }

    /// Serves one connection to its end.
    pub async fn serve(self: Arc<Self>, mut tcp: TcpStream, gate: Arc<dyn Gate>) {
        let accepted = Instant::now();
        let Ok(local) = tcp.local_addr() else { return };
        let deadline = accepted + self.timeouts.header;
        // nginx looks at the first byte before it starts TLS: 0x16 is a TLS record, a set top bit an SSLv2 hello.
        let mut first = [0];
        match timeout_at(deadline, tcp.peek(&mut first)).await {
            Ok(Ok(1)) => {}
            _ => return,
        }
        if first[0] != 0x16 && first[0] & 0x80 == 0 {
            let visit = Visit { local, secure: false };
            let connection = http1::Connection { visit, plain_to_tls: true, accepted };
            gate.next(Next::Fallback);
            http1::serve(tcp, &self.cover, &connection, &self.timeouts, Slice::new()).await;
            return;
        }
        let ready = match timeout_at(deadline, self.secure(&mut tcp)).await {
            Ok(Some(ready)) => ready,
            Ok(None) => {
                // As nginx ends it: closed at once, without a FIN of its own before.
                gate.next(Next::Fallback);
                return;
            }
            Err(_) => return,
        };
        if ready.established.facts.is_h2() {
            self.carrier(tcp, ready, gate, local).await;
        } else {
            gate.next(Next::Fallback);
            let visit = Visit { local, secure: true };
            let connection = http1::Connection { visit, plain_to_tls: false, accepted };
            http1::serve(TlsStream::new(tcp, ready), &self.cover, &connection, &self.timeouts, Slice::new()).await;
        }
    }

    /// The handshake; `None` when it failed, with the alert sent that the cover would send.
    async fn secure(&self, tcp: &mut TcpStream) -> Option<drive::Ready> {
        let first = drive::opening(tcp, self.tls.protocols()).await.ok()??;
        drive::handshake(tcp, self.tls.start().ok()?, first).await.ok()
    }

    async fn carrier(self: Arc<Self>, tcp: TcpStream, ready: drive::Ready, gate: Arc<dyn Gate>, local: SocketAddr) {
        let timeouts = self.timeouts.clone();
        let strangers = Strangers::Visit(self, Visit { local, secure: true });
        run(tcp, ready, gate, strangers, &timeouts).await;
    }
}

/// Serves a carrier whose owner proved to be no stranger before HTTP/2 began, to its end.
pub async fn inside(tcp: TcpStream, ready: drive::Ready, gate: Arc<dyn Gate>) {
    run(tcp, ready, gate, Strangers::Told, &Timeouts::default()).await;
}

async fn run(tcp: TcpStream, ready: drive::Ready, gate: Arc<dyn Gate>, strangers: Strangers, timeouts: &Timeouts) {
    let limits = Limits {
        max_streams: MAX_STREAMS,
        malformed: Malformed::Report,
        max_field_bytes: h2look::MAX_FIELD,
        // What nginx's 32 KiB of names and values can cost with 32 bytes a field (RFC 9113 section 6.5.2); the cover
        // counts the bytes themselves.
        max_header_bytes: h2look::MAX_FIELDS + 32 * 4_096,
        ..Limits::default()
    };
    let carrier = Carrier::new(Connection::server(Look::nginx(), limits));
    let authenticated = Arc::new(AtomicBool::new(false));
    let requests = Desk {
        modern: ready.established.facts.version == Version::Tls13,
        carrier: Arc::clone(&carrier),
        gate,
        strangers,
        authenticated: Arc::clone(&authenticated),
        visited: false,
    };
    let patience = Patience::Cover { preface: timeouts.header, idle: timeouts.keep_alive };
    Driver::new(tcp, ready, carrier, requests, patience, authenticated).run().await;
}

/// What becomes of requests without an account.
enum Strangers {
    /// The cover answers.
    Visit(Arc<Edge>, Visit),
    /// They hear that an account is missing: only who holds the edge's key ever gets as far.
    Told,
}

/// Receives the requests of one carrier.
struct Desk {
    modern: bool,
    carrier: Arc<Carrier>,
    gate: Arc<dyn Gate>,
    strangers: Strangers,
    authenticated: Arc<AtomicBool>,
    visited: bool,
}

impl Desk {
    /// Whether this request is a tunnel of somebody we know.
    fn tunnel(&self, fields: &[Field]) -> Option<(Tunnel, Arc<str>)> {
        let tunnel = request::tunnel(fields).filter(|_| self.modern)?;
        let (user, password) = request::credentials(fields)?;
        self.gate.authenticate(&user, &password).map(|user| (tunnel, user))
    }

    /// From here on this carrier may do what no stranger may. A prober never gets to see this frame.
    fn welcome(&self) {
        if !self.authenticated.swap(true, Ordering::Relaxed) {
            self.carrier.change(|shared| {
                // MAX_CONCURRENT_STREAMS and ENABLE_CONNECT_PROTOCOL (RFC 8441 section 3).
                let _ = shared.conn.settings(&[(0x3, MAX_STREAMS), (0x8, 1)]);
            });
        }
    }

    fn open(&self, tunnel: Tunnel, user: Arc<str>, stream: H2Stream) -> Next {
        match tunnel {
            Tunnel::Stream { target, padding } => {
                let dated = target.authority() == RESERVED;
                Next::Tcp { target, user: Some(user), reply: Box::new(Answer { stream, padding, dated }) }
            }
            Tunnel::Datagrams { target } => {
                let packets = Box::new(Association { packets: CapsulePackets::new(stream, target.clone()) });
                Next::Udp { target: Some(target), user: Some(user), packets }
            }
        }
    }

    fn stranger(&mut self, id: StreamId, fields: Vec<Field>, end: bool) {
        let stream = H2Stream::new(Arc::clone(&self.carrier), id);
        let Strangers::Visit(edge, visit) = &self.strangers else {
            // Who left needs no answer.
            let _ = stream.respond(&request::unknown(), true);
            return;
        };
        if !self.visited {
            self.visited = true;
            self.gate.next(Next::Fallback);
        }
        let (edge, visit) = (Arc::clone(edge), *visit);
        tokio::spawn(async move { visitor::answer(&edge.cover, stream, fields, end, visit).await });
    }
}

impl Requests for Desk {
    fn incoming(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Request { id, fields, end } => match self.tunnel(&fields) {
                Some((tunnel, user)) => {
                    self.welcome();
                    let stream = H2Stream::new(Arc::clone(&self.carrier), id);
                    self.gate.next(self.open(tunnel, user, stream));
                }
                None => self.stranger(id, fields, end),
            },
            Incoming::Malformed { id, fields, end } => self.stranger(id, fields, end),
            // nginx ends the connection over such a list (`large_client_header_buffers`).
            Incoming::HeadersTooLarge => self.carrier.fail(Code::ENHANCE_YOUR_CALM),
        }
    }
}

/// The answer to CONNECT.
struct Answer {
    stream: H2Stream,
    padding: Option<Kind>,
    dated: bool,
}

impl Reply for Answer {
    fn accept(self: Box<Self>, _bound: Option<SocketAddr>) -> Pin<Box<dyn Future<Output = io::Result<Io>> + Send>> {
        let date = self.dated.then(|| httpdate::fmt_http_date(std::time::SystemTime::now()));
        let sent = self.stream.respond(&request::accepted(self.padding, date), false);
        let kind = self.padding.unwrap_or(Kind::NONE);
        let result = match sent {
            Ok(()) if kind == Kind::NONE => Ok(Io::Dyn(Box::new(self.stream))),
            Ok(()) => Ok(Io::Dyn(Box::new(Padded::new(self.stream, kind)))),
            Err(_) => Err(io::ErrorKind::ConnectionReset.into()),
        };
        Box::pin(std::future::ready(result))
    }

    fn refuse(self: Box<Self>, why: Refusal) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        // A reader who left needs no answer.
        let _ = self.stream.respond(&request::refusal(why), true);
        Box::pin(std::future::ready(()))
    }
}

/// The answer to CONNECT-UDP, and its datagrams.
struct Association {
    packets: CapsulePackets,
}

impl PacketIo for Association {
    fn decide(&mut self, decision: Result<(), Refusal>) {
        let (fields, end) = match decision {
            Ok(()) => (request::accepted_udp(), false),
            Err(why) => (request::refusal(why), true),
        };
        let _ = self.packets.stream().respond(&fields, end);
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>, into: &mut Vec<(Target, Slice)>) -> Poll<io::Result<usize>> {
        self.packets.poll_recv(cx, into)
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, batch: &mut Vec<(Target, Slice)>) -> Poll<io::Result<()>> {
        self.packets.poll_send(cx, batch)
    }
}
