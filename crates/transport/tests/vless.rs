//! Client and edge of VLESS against each other over real sockets. The records are TLS' in form but not sealed, so that
//! the tests see what shares a record with what; handshakes have tests of their own.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rozaneh_net::pool::Slice;
use rozaneh_net::relay::{Control, relay};
use rozaneh_net::stream::{Io, Stream};
use rozaneh_transport::h2::server::Gate;
use rozaneh_transport::next::{Next, Refusal};
use rozaneh_transport::outer::Stage;
use rozaneh_transport::target::Target;
use rozaneh_transport::tls::drive::Ready;
use rozaneh_transport::tls::io::TlsIo;
use rozaneh_transport::tls::{Established, Facts, HEAD, Opened, TlsError, Traffic, Version};
use rozaneh_transport::vless::client::{Config, Way};
use rozaneh_transport::vless::server;
use rozaneh_wire::vless::Id;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

const ID: [u8; 16] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
/// Longest any single step of these tests may take on a loaded machine; reached only by a bug.
const LIMIT: Duration = Duration::from_secs(30);

async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, what).await.expect("this should not take so long")
}

/// Plaintext of each record that was sealed, in order.
type Sealed = Arc<Mutex<Vec<Vec<u8>>>>;

/// Records with the header of TLS and no protection: 23 is data, 22 means nothing to the application, 21 is the end.
struct Bare {
    sealed: Sealed,
    pending: Vec<u8>,
}

impl Traffic for Bare {
    fn open(&mut self, buffer: &mut [u8]) -> Result<Opened, TlsError> {
        let [kind, 3, 3, a, b, ref rest @ ..] = *buffer else { return Ok(Opened::Partial) };
        let len = usize::from(u16::from_be_bytes([a, b]));
        if kind != 23 && kind != 22 && kind != 21 {
            self.pending.extend_from_slice(b"\x15\x03\x03\x00\x02\x02\x0a");
            return Err(TlsError::Protocol);
        }
        if rest.len() < len {
            return Ok(Opened::Partial);
        }
        let wire = HEAD + len;
        Ok(match kind {
            23 => Opened::Data { wire, plain: HEAD..wire },
            22 => {
                self.pending.extend_from_slice(b"\x16\x03\x03\x00\x01u");
                Opened::Quiet { wire }
            }
            _ => Opened::Closed { wire },
        })
    }

    fn seal(&mut self, room: &mut [u8], len: usize) -> Result<usize, TlsError> {
        self.sealed.lock().push(room[HEAD..HEAD + len].to_vec());
        room[..3].copy_from_slice(&[23, 3, 3]);
        room[3..5].copy_from_slice(&u16::try_from(len).map_err(|_| TlsError::Internal)?.to_be_bytes());
        Ok(HEAD + len)
    }

    fn pending(&mut self) -> &mut Vec<u8> {
        &mut self.pending
    }

    fn close(&mut self) {
        self.pending.extend_from_slice(b"\x15\x03\x03\x00\x02\x01\x00");
    }
}

fn bare(tcp: TcpStream, sealed: &Sealed, early: &[u8], rest: &[u8]) -> Io {
    let traffic = Box::new(Bare { sealed: Arc::clone(sealed), pending: Vec::new() });
    let facts = Facts { version: Version::Tls13, alpn: None, cover: false };
    let established = Established { traffic, facts, early: early.to_vec() };
    Io::Dyn(Box::new(TlsIo::new(tcp, Ready { established, rest: rest.to_vec() })))
}

/// What the edge does with a tunnel, by the name it asks for.
#[derive(Default)]
struct TestGate {
    tunnels: AtomicUsize,
}

impl Gate for TestGate {
    fn authenticate(&self, _user: &[u8], _password: &[u8]) -> Option<Arc<str>> {
        None
    }

    fn recognise(&self, id: &[u8; 16]) -> Option<Arc<str>> {
        let mut known = ID;
        known[6..8].fill(0);
        (*id == known).then(|| "reader".into())
    }

    fn next(&self, next: Next) {
        self.tunnels.fetch_add(1, Ordering::Relaxed);
        match next {
            Next::Tcp { target, user, reply } => {
                assert_eq!(user.as_deref(), Some("reader"));
                tokio::spawn(async move {
                    match target {
                        Target::Name(name, _) if name == "denied.test" => reply.refuse(Refusal::Policy).await,
                        Target::Name(name, _) if name == "silent.test" => {
                            let Ok(mut io) = reply.accept(None).await else { return };
                            let _ = poll_fn(|cx| io.poll_finish(cx)).await;
                        }
                        Target::Name(name, _) if name == "reset.test" => {
                            let Ok(mut io) = reply.accept(None).await else { return };
                            let _ = poll_fn(|cx| io.poll_recv(cx, 1)).await;
                            io.abort();
                        }
                        Target::Name(name, _) if name == "roster.rozaneh.invalid" => {
                            let Ok(mut io) = reply.accept(None).await else { return };
                            let _ = push(&mut io, b"the roster").await;
                            let _ = poll_fn(|cx| io.poll_finish(cx)).await;
                        }
                        Target::Addr(addr) => {
                            let Ok(far) = TcpStream::connect(addr).await else {
                                return reply.refuse(Refusal::Refused).await;
                            };
                            let Ok(near) = reply.accept(None).await else { return };
                            relay(near, Io::from(far), Control::default()).await;
                        }
                        Target::Name(..) => {
                            let Ok(mut io) = reply.accept(None).await else { return };
                            let _ = echo(&mut io).await;
                        }
                    }
                });
            }
            Next::Udp { target, mut packets, .. } => {
                tokio::spawn(async move {
                    let denied = target == Some(name("denied.test"));
                    packets.decide(if denied { Err(Refusal::Policy) } else { Ok(()) });
                    let mut batch = Vec::with_capacity(64);
                    while let Ok(1..) = poll_fn(|cx| packets.poll_recv(cx, &mut batch)).await {
                        if poll_fn(|cx| packets.poll_send(cx, &mut batch)).await.is_err() {
                            return;
                        }
                    }
                });
            }
            Next::Fallback | Next::Done => {}
        }
    }
}

/// Sends back what comes, then its end.
async fn echo(io: &mut Io) -> io::Result<()> {
    while let Some(chunk) = poll_fn(|cx| io.poll_recv(cx, usize::MAX)).await? {
        push(io, &chunk).await?;
    }
    poll_fn(|cx| io.poll_finish(cx)).await
}

async fn push(io: &mut Io, bytes: &[u8]) -> io::Result<()> {
    poll_fn(|cx| io.poll_ready(cx)).await?;
    io.send(Slice::copy_from(bytes));
    poll_fn(|cx| io.poll_flush(cx)).await
}

async fn pull(io: &mut Io, want: usize) -> io::Result<Vec<u8>> {
    let mut got = Vec::new();
    while got.len() < want {
        match poll_fn(|cx| io.poll_recv(cx, usize::MAX)).await? {
            Some(chunk) => got.extend_from_slice(&chunk),
            None => break,
        }
    }
    Ok(got)
}

fn name(host: &str) -> Target {
    Target::parse(&format!("{host}:443")).expect("a target")
}

struct World {
    gate: Arc<TestGate>,
    address: SocketAddr,
    /// What either side sealed.
    up: Sealed,
    down: Sealed,
    /// Connections that the server has let go of.
    served: Arc<AtomicUsize>,
    ended: Arc<Notify>,
}

impl World {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let world = Self {
            gate: Arc::default(),
            address,
            up: Sealed::default(),
            down: Sealed::default(),
            served: Arc::default(),
            ended: Arc::default(),
        };
        let (gate, down) = (Arc::clone(&world.gate), Arc::clone(&world.down));
        let (served, ended) = (Arc::clone(&world.served), Arc::clone(&world.ended));
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let gate: Arc<dyn Gate> = gate.clone();
                let stream = bare(tcp, &down, b"", b"");
                let (served, ended) = (Arc::clone(&served), Arc::clone(&ended));
                tokio::spawn(async move {
                    server::serve(stream, gate).await;
                    served.fetch_add(1, Ordering::Relaxed);
                    ended.notify_one();
                });
            }
        });
        world
    }

    fn way(&self, id: [u8; 16], payload: Duration) -> Way {
        let (address, up) = (self.address, Arc::clone(&self.up));
        Way::new(Config {
            id: Id::new(id),
            deadline: LIMIT,
            payload,
            watch: Box::new(|_| {}),
            connect: Box::new(move |_| {
                let up = Arc::clone(&up);
                Box::pin(async move {
                    let tcp = TcpStream::connect(address).await.expect("the server listens");
                    Ok(bare(tcp, &up, b"", b""))
                })
            }),
        })
    }

    async fn until_served(&self, count: usize) {
        within(async {
            while self.served.load(Ordering::Relaxed) < count {
                self.ended.notified().await;
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_share_a_record_with_the_first_payload_both_ways() {
    let world = World::new().await;
    let way = world.way(ID, LIMIT);
    let mut io = within(way.open(&name("news.example"))).await.expect("open");
    within(push(&mut io, b"GET / HTTP/1.1")).await.expect("sent");
    assert_eq!(within(pull(&mut io, 14)).await.expect("received"), b"GET / HTTP/1.1");
    let head = [&[0][..], &ID, b"\0\x01\x01\xbb\x02\x0cnews.example", b"GET / HTTP/1.1"].concat();
    assert_eq!(*world.up.lock(), [head]);
    assert_eq!(*world.down.lock(), [b"\0\0GET / HTTP/1.1".to_vec()]);
    for size in [1, 255, 16_384, 16_385, 65_536, 300_000] {
        let sent: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
        within(push(&mut io, &sent)).await.expect("sent");
        assert!(within(pull(&mut io, size)).await.expect("received") == sent, "{size} bytes");
    }
    assert!(world.up.lock().iter().all(|record| record.len() <= 16_384));
    assert_eq!(world.served.load(Ordering::Relaxed), 0, "a stream that runs is a connection that counts");
    within(poll_fn(|cx| io.poll_finish(cx))).await.expect("end");
    assert!(within(pull(&mut io, 1)).await.expect("the echo's end").is_empty());
    world.until_served(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_the_other_side_to_speak_gets_the_header_through() {
    let world = World::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let target = Target::Addr(listener.local_addr().expect("bound"));
    tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.expect("accepted");
        tcp.write_all(b"220 ready").await.expect("written");
        let mut rest = Vec::new();
        tcp.read_to_end(&mut rest).await.expect("read");
        tcp.write_all(&rest).await.expect("written");
    });
    let mut io = within(world.way(ID, Duration::from_millis(1)).open(&target)).await.expect("open");
    assert_eq!(within(pull(&mut io, 9)).await.expect("received"), b"220 ready");
    assert_eq!(world.up.lock().len(), 1, "the header went alone");
    within(push(&mut io, b"QUIT")).await.expect("sent");
    within(poll_fn(|cx| io.poll_finish(cx))).await.expect("our half ends");
    assert_eq!(within(pull(&mut io, 99)).await.expect("their half goes on, and ends"), b"QUIT");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_not_known_or_not_allowed_gets_an_end_without_a_word() {
    let world = World::new().await;
    let mut other = ID;
    other[15] ^= 1;
    for (id, host) in [(other, "echo.test"), (ID, "denied.test")] {
        let mut io = within(world.way(id, LIMIT).open(&name(host))).await.expect("open");
        within(push(&mut io, b"hello")).await.expect("sent");
        let error = within(pull(&mut io, 1)).await.expect_err("refused");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
    assert!(world.down.lock().is_empty(), "nothing was answered");
    assert_eq!(world.gate.tunnels.load(Ordering::Relaxed), 1);
    // The bytes of a route are not part of who somebody is.
    let mut routed = ID;
    routed[6..8].copy_from_slice(&[0xab, 0xcd]);
    let mut io = within(world.way(routed, LIMIT).open(&name("echo.test"))).await.expect("open");
    within(push(&mut io, b"hello")).await.expect("sent");
    assert_eq!(within(pull(&mut io, 5)).await.expect("received"), b"hello");
    // A destination that was reached and said nothing is no refusal.
    let mut io = within(world.way(ID, LIMIT).open(&name("silent.test"))).await.expect("open");
    within(push(&mut io, b"hello")).await.expect("sent");
    assert!(within(pull(&mut io, 1)).await.expect("an orderly end").is_empty());
    let mut io = within(world.way(ID, LIMIT).open(&name("reset.test"))).await.expect("open");
    within(push(&mut io, b"x")).await.expect("sent");
    within(pull(&mut io, 1)).await.expect_err("reset");
}

/// What is sent raw to the server, and what comes back until it ends.
async fn raw(world: &World, bytes: &[u8]) -> Vec<u8> {
    let mut tcp = TcpStream::connect(world.address).await.expect("connected");
    tcp.write_all(bytes).await.expect("written");
    let mut got = Vec::new();
    within(tcp.read_to_end(&mut got)).await.expect("an orderly end");
    got
}

fn record(plain: &[u8]) -> Vec<u8> {
    [&[23, 3, 3][..], &(plain.len() as u16).to_be_bytes(), plain].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_served_ends_at_once() {
    const GOODBYE: &[u8] = b"\x15\x03\x03\x00\x02\x01\x00";
    let world = World::new().await;
    let ask = |addons: &[u8], command: u8| {
        record(&[&[0][..], &ID, &[addons.len() as u8], addons, &[command], b"\0\x50\x02\x09echo.test"].concat())
    };
    for bytes in [ask(b"", 3), ask(b"", 4), ask(b"\x0a\x10xtls-rprx-vision", 1), record(b"\x01nonsense")] {
        assert_eq!(raw(&world, &bytes).await, GOODBYE);
    }
    // Not even a name, and an alert where the records themselves are broken.
    let blank = record(&[&[0][..], &ID, b"\0\x01\0\x50\x02\x03a b"].concat());
    assert_eq!(raw(&world, &blank).await, GOODBYE);
    assert!(raw(&world, b"\x63\x03\x03\x00\x01x").await.starts_with(b"\x15\x03\x03\x00\x02\x02\x0a"));
    // An end before the header is whole, said and unsaid.
    assert_eq!(raw(&world, &[&record(&[0, 1, 2])[..], GOODBYE].concat()).await, GOODBYE);
    let mut tcp = TcpStream::connect(world.address).await.expect("connected");
    tcp.write_all(&record(&[0, 1, 2])).await.expect("written");
    tcp.shutdown().await.expect("shut down");
    let mut got = Vec::new();
    within(tcp.read_to_end(&mut got)).await.expect("an orderly end");
    assert_eq!(world.gate.tunnels.load(Ordering::Relaxed), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_proves_that_the_edge_knows_the_id() {
    let world = World::new().await;
    assert_eq!(within(world.way(ID, LIMIT).ask(1 << 16)).await.expect("known"), b"the roster");
    assert_eq!(within(world.way(ID, LIMIT).ask(3)).await.expect_err("too long").stage, Stage::Auth);
    assert_eq!(within(world.way([9; 16], LIMIT).ask(1 << 16)).await.expect_err("unknown").stage, Stage::Auth);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn datagrams_travel_both_ways() {
    let world = World::new().await;
    let way = world.way(ID, LIMIT);
    let target = name("echo.test");
    let mut packets = within(way.open_udp(&target)).await.expect("open");
    for size in [0, 1, 1_200, 9_000, 60_000] {
        let mut batch = vec![(target.clone(), Slice::from_vec(vec![9; size])); 2];
        within(poll_fn(|cx| packets.poll_send(cx, &mut batch))).await.expect("sent");
        let mut got = Vec::with_capacity(8);
        while got.len() < 2 {
            within(poll_fn(|cx| packets.poll_recv(cx, &mut got))).await.expect("received");
        }
        assert_eq!(got.iter().map(|(_, payload)| payload.len()).collect::<Vec<_>>(), [size, size]);
    }
    let mut denied = within(way.open_udp(&name("denied.test"))).await.expect("open");
    let mut batch = vec![(target, Slice::copy_from(b"x"))];
    within(poll_fn(|cx| denied.poll_send(cx, &mut batch))).await.expect("sent");
    let mut got = Vec::with_capacity(8);
    assert!(!matches!(within(poll_fn(|cx| denied.poll_recv(cx, &mut got))).await, Ok(1..)));
}

/// A pair of streams where the second end is ours to write by hand.
async fn by_hand(early: &[u8], rest: &[u8]) -> (Io, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let far = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("connected");
    let (near, _) = listener.accept().await.expect("accepted");
    (bare(near, &Sealed::default(), early, rest), far)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_came_with_the_handshake_come_first_and_a_cut_is_no_end() {
    let rest = [record(b"two "), record(b"three "), record(b"four ")].concat();
    for cut in [rest.len(), rest.len() - 3, 8, 2, 0] {
        let (mut io, mut far) = by_hand(b"one ", &rest[..cut]).await;
        far.write_all(&rest[cut..]).await.expect("written");
        // A key update asks for an answer, which goes out although nobody sends.
        far.write_all(b"\x16\x03\x03\x00\x01k").await.expect("written");
        far.write_all(&record(b"five")).await.expect("written");
        assert_eq!(within(pull(&mut io, 23)).await.expect("received"), b"one two three four five");
        let mut answer = [0; 6];
        within(far.read_exact(&mut answer)).await.expect("answered");
        assert_eq!(&answer, b"\x16\x03\x03\x00\x01u");
        far.shutdown().await.expect("shut down");
        assert_eq!(within(pull(&mut io, 1)).await.expect_err("cut").kind(), io::ErrorKind::UnexpectedEof);
    }
    let (mut io, mut far) = by_hand(b"", b"").await;
    far.write_all(&[&record(b"all")[..], b"\x15\x03\x03\x00\x02\x01\x00", b"ignored"].concat()).await.expect("written");
    assert_eq!(within(pull(&mut io, 99)).await.expect("an orderly end"), b"all");
    assert!(within(pull(&mut io, 1)).await.expect("stays the answer").is_empty());
    io.abort();
    assert!(within(push(&mut io, b"x")).await.is_err());
}

/// 32 MB each way at once through relays at both ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bulk_both_ways_at_once() {
    const SIZE: usize = 32 << 20;
    let pattern: Arc<Vec<u8>> = Arc::new((0..SIZE).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let target = Target::Addr(listener.local_addr().expect("bound"));
    let talk = |tcp: TcpStream, pattern: Arc<Vec<u8>>| async move {
        let (mut read, mut write) = tcp.into_split();
        let sent = Arc::clone(&pattern);
        let sending = tokio::spawn(async move {
            write.write_all(&sent).await.expect("written");
            write.shutdown().await
        });
        let mut got = Vec::new();
        read.read_to_end(&mut got).await.expect("read");
        sending.await.expect("task").expect("shut down");
        got == *pattern
    };
    let there = Arc::clone(&pattern);
    let origin = tokio::spawn(async move { talk(listener.accept().await.expect("accepted").0, there).await });
    let world = World::new().await;
    let far = within(world.way(ID, LIMIT).open(&target)).await.expect("open");
    let local = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let near = local.local_addr().expect("bound");
    let program = tokio::spawn(async move { talk(TcpStream::connect(near).await.expect("connected"), pattern).await });
    let (accepted, _) = within(local.accept()).await.expect("accepted");
    tokio::spawn(relay(Io::from(accepted), far, Control::default()));
    assert!(within(program).await.expect("task"), "down");
    assert!(within(origin).await.expect("task"), "up");
}
