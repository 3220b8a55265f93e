//! Client and edge of the `h2` way against each other over real sockets: streams, halves, resets, refusals, silence.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use rozaneh_net::pool::Slice;
use rozaneh_net::relay::{Control, relay};
use rozaneh_net::stream::{Io, Stream};
use rozaneh_transport::cover::Cover;
use rozaneh_transport::h2::client::{Config, Way};
use rozaneh_transport::h2::request::Credentials;
use rozaneh_transport::h2::server::{Edge, Gate};
use rozaneh_transport::habits::Habits;
use rozaneh_transport::look::Look;
use rozaneh_transport::next::{Next, Refusal};
use rozaneh_transport::outer::{Outer, Stage};
use rozaneh_transport::target::Target;
use rozaneh_transport::tls::engine_client::{Client, Trust};
use rozaneh_transport::tls::rustls_server::Server;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A key that protects nothing: made for these tests, known to everybody.
const CERTIFICATE: &[u8] = include_bytes!("data/test-cert.pem");
const KEY: &[u8] = include_bytes!("data/test-key.pem");
const CHROMIUM: &[u8] = include_bytes!("../../../src/rozaneh/data/browsers/chromium.json");
/// Longest any single step of these tests may take on a loaded machine; reached only by a bug.
const LIMIT: Duration = Duration::from_secs(30);

async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, what).await.expect("this should not take so long")
}

/// What the edge does with a tunnel, by the name it asks for.
struct TestGate {
    tunnels: AtomicUsize,
    strangers: AtomicUsize,
}

impl Gate for TestGate {
    fn authenticate(&self, user: &[u8], password: &[u8]) -> Option<Arc<str>> {
        (user == b"reader" && password == b"secret").then(|| "reader".into())
    }

    fn next(&self, next: Next) {
        match next {
            Next::Tcp { target, reply, .. } => {
                self.tunnels.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move {
                    match target {
                        Target::Name(name, _) if name == "echo.test" => {
                            let Ok(mut io) = reply.accept(None).await else { return };
                            let _ = echo(&mut io).await;
                        }
                        Target::Name(name, _) if name == "denied.test" => reply.refuse(Refusal::Policy).await,
                        Target::Name(name, _) if name == "reset.test" => {
                            let Ok(mut io) = reply.accept(None).await else { return };
                            let _ = poll_fn(|cx| io.poll_recv(cx, 1)).await;
                            io.abort();
                        }
                        Target::Addr(addr) => {
                            let Ok(far) = TcpStream::connect(addr).await else {
                                return reply.refuse(Refusal::Refused).await;
                            };
                            let Ok(near) = reply.accept(None).await else { return };
                            relay(near, Io::from(far), Control::default()).await;
                        }
                        Target::Name(..) => reply.refuse(Refusal::Name).await,
                    }
                });
            }
            Next::Udp { mut packets, .. } => {
                tokio::spawn(async move {
                    packets.decide(Ok(()));
                    let mut batch = Vec::with_capacity(64);
                    while let Ok(1..) = poll_fn(|cx| packets.poll_recv(cx, &mut batch)).await {
                        if poll_fn(|cx| packets.poll_send(cx, &mut batch)).await.is_err() {
                            return;
                        }
                    }
                });
            }
            Next::Fallback => {
                self.strangers.fetch_add(1, Ordering::Relaxed);
            }
            Next::Done => {}
        }
    }
}

/// Sends back what comes, then its end.
async fn echo(io: &mut Io) -> io::Result<()> {
    while let Some(chunk) = poll_fn(|cx| io.poll_recv(cx, usize::MAX)).await? {
        poll_fn(|cx| io.poll_ready(cx)).await?;
        io.send(chunk);
        poll_fn(|cx| io.poll_flush(cx)).await?;
    }
    poll_fn(|cx| io.poll_finish(cx)).await
}

struct World {
    gate: Arc<TestGate>,
    address: SocketAddr,
    pin: [u8; 32],
}

impl World {
    async fn new() -> Self {
        let der = CertificateDer::from_pem_slice(CERTIFICATE).expect("PEM");
        let parsed = webpki::EndEntityCert::try_from(&der).expect("a certificate");
        let pin = digest(&SHA256, parsed.subject_public_key_info().as_ref());
        let tls = Server::new(CERTIFICATE, KEY).expect("usable");
        let edge = Edge::new(tls, Cover::stock(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)));
        let gate = Arc::new(TestGate { tunnels: AtomicUsize::new(0), strangers: AtomicUsize::new(0) });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let served = Arc::clone(&gate);
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let gate: Arc<dyn Gate> = served.clone();
                tokio::spawn(Arc::clone(&edge).serve(tcp, gate));
            }
        });
        Self { gate, address, pin: pin.as_ref().try_into().expect("32 bytes") }
    }

    fn way_with(&self, pin: [u8; 32], user: &str, password: &str) -> Arc<Way> {
        let address = self.address;
        let look = Look::from_json(CHROMIUM).expect("a profile");
        let habits = Habits::new(1_000, Duration::from_secs(60));
        let tls = Client::new("news.test", &Trust::pin(pin), &look, Arc::clone(habits.tickets())).expect("a client");
        Way::new(Config {
            outer: Outer {
                dial: Box::new(move || Box::pin(TcpStream::connect(address))),
                tls,
                habits,
                look,
                authority: "news.test:443".into(),
            },
            credentials: Credentials::new(user, password),
            carriers: 2,
            deadline: LIMIT,
            watch: Box::new(|_| {}),
        })
    }

    fn way(&self) -> Arc<Way> {
        self.way_with(self.pin, "reader", "secret")
    }
}

fn name(host: &str) -> Target {
    Target::parse(&format!("{host}:443")).expect("a target")
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn echoes_before_and_after_the_padding_is_known() {
    let world = World::new().await;
    let way = world.way();
    for round in 0..3u8 {
        let mut io = within(way.open(&name("echo.test"))).await.expect("open");
        // More chunks than are padded, of odd sizes, up to several frames.
        for size in [1, 2, 255, 1_000, 16_384, 65_535, 65_536, 100_000, 3, 200_000] {
            let sent: Vec<u8> = (0..size).map(|i| (i % 251) as u8 ^ round).collect();
            within(push(&mut io, &sent)).await.expect("sent");
            assert!(within(pull(&mut io, size)).await.expect("received") == sent, "round {round}, {size} bytes");
        }
        within(poll_fn(|cx| io.poll_finish(cx))).await.expect("end");
        assert!(within(pull(&mut io, 1)).await.expect("the echo's end").is_empty());
    }
    assert_eq!((world.gate.tunnels.load(Ordering::Relaxed), world.gate.strangers.load(Ordering::Relaxed)), (3, 0));
    assert_eq!(way.carriers(), 1, "three streams, one carrier");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_streams_share_one_carrier() {
    let world = World::new().await;
    let way = world.way();
    assert_eq!(within(way.probe(1 << 16)).await.stage, Stage::Auth, "no roster is served here, but the edge knows us");
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..200u32 {
        let way = Arc::clone(&way);
        tasks.spawn(async move {
            let mut io = way.open(&name("echo.test")).await.expect("open");
            let sent: Vec<u8> = (0..40_000u32).map(|i| (i.wrapping_mul(n + 1) >> 3) as u8).collect();
            push(&mut io, &sent).await.expect("sent");
            assert!(pull(&mut io, sent.len()).await.expect("received") == sent, "stream {n}");
        });
    }
    while let Some(done) = within(tasks.join_next()).await {
        done.expect("no stream mixes with another");
    }
}

/// Before the edge has spoken, and then while it grants what it grants strangers, not every stream finds a place at
/// once: it waits, and is not refused. Few carriers stand at the start, so each round begins with a new way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_at_the_start_waits_for_its_place() {
    let world = World::new().await;
    for _ in 0..5 {
        let way = world.way();
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..400u32 {
            let way = Arc::clone(&way);
            tasks.spawn(async move {
                let mut io = way.open(&name("echo.test")).await.expect("open");
                push(&mut io, &n.to_be_bytes()).await.expect("sent");
                assert_eq!(pull(&mut io, 4).await.expect("received"), n.to_be_bytes());
            });
        }
        while let Some(done) = within(tasks.join_next()).await {
            done.expect("every stream is served");
        }
        way.close();
    }
}

/// 32 MB each way at once through relays at both ends, by hash.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bulk_both_ways_at_once() {
    const SIZE: usize = 32 << 20;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let target = Target::Addr(listener.local_addr().expect("bound"));
    let pattern: Arc<Vec<u8>> = Arc::new((0..SIZE).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect());
    let want = digest(&SHA256, &pattern);
    let origin = Arc::clone(&pattern);
    let server = tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.expect("accepted");
        let (mut read, mut write) = tcp.into_split();
        let sending = tokio::spawn(async move { write.write_all(&origin).await.map(|()| write) });
        let mut got = Vec::new();
        read.read_to_end(&mut got).await.expect("read");
        sending.await.expect("task").expect("written");
        digest(&SHA256, &got)
    });
    let world = World::new().await;
    let way = world.way();
    let far = within(way.open(&target)).await.expect("open");
    let local = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let near = local.local_addr().expect("bound");
    let program = tokio::spawn(async move {
        let (mut read, mut write) = TcpStream::connect(near).await.expect("connected").into_split();
        let sending = tokio::spawn(async move {
            write.write_all(&pattern).await.expect("written");
            write.shutdown().await
        });
        let mut got = vec![0; SIZE];
        read.read_exact(&mut got).await.expect("read");
        sending.await.expect("task").expect("shut down");
        digest(&SHA256, &got)
    });
    let (accepted, _) = within(local.accept()).await.expect("accepted");
    tokio::spawn(relay(Io::from(accepted), far, Control::default()));
    assert!(within(program).await.expect("task").as_ref() == want.as_ref(), "down");
    assert!(within(server).await.expect("task").as_ref() == want.as_ref(), "up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_and_resets_arrive() {
    let world = World::new().await;
    let way = world.way();
    assert_eq!(within(way.open(&name("denied.test"))).await.err(), Some(Refusal::Policy));
    assert_eq!(within(way.open(&name("nowhere.test"))).await.err(), Some(Refusal::Name));
    // From the first good answer on streams open at once, and a refusal shows as a reset.
    within(way.open(&name("echo.test"))).await.expect("open");
    let mut io = within(way.open(&name("denied.test"))).await.expect("opened before the answer");
    let error = within(pull(&mut io, 1)).await.expect_err("refused");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    let mut io = within(way.open(&name("reset.test"))).await.expect("open");
    within(push(&mut io, b"x")).await.expect("sent");
    let error = within(pull(&mut io, 1)).await.expect_err("reset");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_who_does_not_read_holds_nobody_up_and_little_memory() {
    let world = World::new().await;
    let way = world.way();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let flood = Target::Addr(listener.local_addr().expect("bound"));
    let written = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&written);
    tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.expect("accepted");
        let block = vec![1; 1 << 16];
        while let Ok(n) = tcp.write(&block).await {
            count.fetch_add(n, Ordering::Relaxed);
        }
    });
    let mut stuck = within(way.open(&flood)).await.expect("open");
    assert_eq!(within(pull(&mut stuck, 1)).await.expect("first bytes").first(), Some(&1));
    // While one stream is stuck, others on the same carrier move more than its whole window.
    let mut io = within(way.open(&name("echo.test"))).await.expect("open");
    let block = vec![7; 100_000];
    for _ in 0..200 {
        within(push(&mut io, &block)).await.expect("sent");
        assert_eq!(within(pull(&mut io, block.len())).await.expect("received").len(), block.len());
    }
    // Window (6 MiB), queues on both sides and kernel buffers; without backpressure 20 MB of echo leave time for
    // hundreds of megabytes.
    assert!(written.load(Ordering::Relaxed) < 64 << 20, "{}", written.load(Ordering::Relaxed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_and_impostors_are_told_apart() {
    let world = World::new().await;
    let probe = within(world.way_with([0; 32], "reader", "secret").probe(1 << 16)).await;
    assert_eq!(probe.stage, Stage::Pin);
    let way = world.way_with(world.pin, "reader", "wrong");
    assert_eq!(within(way.probe(1 << 16)).await.stage, Stage::Auth);
    assert_eq!(within(way.open(&name("echo.test"))).await.err(), Some(Refusal::Upstream));
    assert_eq!(world.gate.tunnels.load(Ordering::Relaxed), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn datagrams_travel_once_somebody_authenticated() {
    let world = World::new().await;
    let way = world.way();
    let target = name("echo.test");
    let mut packets = within(way.open_udp(&target)).await.expect("open");
    for size in [1, 100, 1_200, 9_000, 60_000] {
        let mut batch = vec![(target.clone(), Slice::from_vec(vec![9; size]))];
        within(poll_fn(|cx| packets.poll_send(cx, &mut batch))).await.expect("sent");
        let mut got = Vec::with_capacity(8);
        within(poll_fn(|cx| packets.poll_recv(cx, &mut got))).await.expect("received");
        assert_eq!(got.iter().map(|(_, payload)| payload.len()).collect::<Vec<_>>(), [size]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_carrier_that_ends_is_replaced_and_what_runs_may_finish() {
    let world = World::new().await;
    let way = world.way();
    let mut io = within(way.open(&name("echo.test"))).await.expect("open");
    within(push(&mut io, b"one")).await.expect("sent");
    assert_eq!(within(pull(&mut io, 3)).await.expect("received"), b"one");
    way.close();
    within(push(&mut io, b"still here")).await.expect("sent");
    assert_eq!(within(pull(&mut io, 10)).await.expect("received"), b"still here");
    let mut again = within(way.open(&name("echo.test"))).await.expect("a new carrier");
    within(push(&mut again, b"again")).await.expect("sent");
    assert_eq!(within(pull(&mut again, 5)).await.expect("received"), b"again");
}
