use std::hash::{DefaultHasher, Hasher};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::pool::Slice;
use crate::stream::TcpIo;

/// Hides its socket, so that the relay has to copy.
struct Opaque(TcpIo);

impl Stream for Opaque {
    fn poll_recv(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<io::Result<Option<Slice>>> {
        self.0.poll_recv(cx, max)
    }
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_ready(cx)
    }
    fn send(&mut self, chunk: Slice) {
        self.0.send(chunk);
    }
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_flush(cx)
    }
    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_finish(cx)
    }
    fn abort(&mut self) {
        self.0.abort();
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// Two plain sockets: spliced where the system can.
    Plain,
    /// One side hides its socket: copied.
    Copied,
}

/// Held by the test that takes all pipes, and by the one that counts on some.
static PIPES: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

const KINDS: [Kind; 2] = [Kind::Plain, Kind::Copied];

async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("bound");
    let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    (client.expect("connected"), accepted.expect("accepted").0)
}

/// Both far ends of a running relay: who calls (a), who is called (b).
async fn rig(kind: Kind, control: Control) -> (TcpStream, TcpStream, JoinHandle<Outcome>) {
    let (caller, near) = tcp_pair().await;
    let (far, callee) = tcp_pair().await;
    let a = match kind {
        Kind::Plain => Io::from(near),
        Kind::Copied => Io::Dyn(Box::new(Opaque(near.into()))),
    };
    (caller, callee, tokio::spawn(relay(a, Io::from(far), control)))
}

fn metered() -> (Arc<Meter>, Control) {
    let meter = Arc::new(Meter::default());
    let meters = SmallVec::from_iter([Arc::clone(&meter)]);
    (meter, Control { meters, ..Control::default() })
}

/// Bytes that tell their position, so that loss, doubling and disorder all show.
async fn write_pattern(mut to: impl AsyncWrite + Unpin, total: usize) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut word = 0_u64;
    let mut sent = 0;
    while sent < total {
        let mut block = Vec::with_capacity(64 * 1024);
        while block.len() < (64 * 1024).min(total - sent) {
            word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            block.extend_from_slice(&word.to_le_bytes());
        }
        block.truncate(total - sent);
        hasher.write(&block);
        to.write_all(&block).await.expect("written");
        sent += block.len();
    }
    to.shutdown().await.expect("shut down");
    hasher.finish()
}

async fn read_hash(mut from: impl AsyncRead + Unpin) -> (usize, u64) {
    let mut hasher = DefaultHasher::new();
    let mut total = 0;
    // The writer hashes in blocks of this size; the hash depends on how its input is cut.
    let mut block = vec![0; 64 * 1024];
    loop {
        let mut filled = 0;
        while filled < block.len() {
            match from.read(&mut block[filled..]).await.expect("read") {
                0 => break,
                read => filled += read,
            }
        }
        if filled == 0 {
            return (total, hasher.finish());
        }
        hasher.write(&block[..filled]);
        total += filled;
    }
}

async fn fifty_megabytes(
    caller: impl AsyncRead + AsyncWrite + Send + 'static,
    callee: impl AsyncRead + AsyncWrite + Send + 'static,
    running: JoinHandle<Outcome>,
    meter: &Meter,
) {
    const UP: usize = 50_000_003;
    const DOWN: usize = 20_000_001;
    let (caller_read, caller_write) = tokio::io::split(caller);
    let (callee_read, callee_write) = tokio::io::split(callee);
    let up = tokio::spawn(write_pattern(caller_write, UP));
    let down = tokio::spawn(write_pattern(callee_write, DOWN));
    let down_read = tokio::spawn(read_hash(caller_read));
    let up_read = read_hash(callee_read).await;
    assert_eq!(up_read, (UP, up.await.expect("no panic")));
    assert_eq!(down_read.await.expect("no panic"), (DOWN, down.await.expect("no panic")));
    let outcome = running.await.expect("no panic");
    assert_eq!(outcome, Outcome { up: UP as u64, down: DOWN as u64, end: End::Finished });
    assert_eq!(meter.read(), (UP as u64, DOWN as u64));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_byte_arrives_once_in_order_and_is_billed() {
    let _guard = PIPES.lock().await;
    for kind in KINDS {
        let (meter, control) = metered();
        let (caller, callee, running) = rig(kind, control).await;
        let before = spliced();
        fifty_megabytes(caller, callee, running, &meter).await;
        if kind == Kind::Plain && cfg!(target_os = "linux") {
            // All but the first reads of each direction, which had to prove that the flow is bulk.
            assert!(spliced() - before > 69_000_000, "{} spliced", spliced() - before);
        }
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unix_sockets_are_relayed_too() {
    use tokio::net::UnixStream;
    let (meter, control) = metered();
    let (caller, near) = UnixStream::pair().expect("pair");
    let (far, callee) = tcp_pair().await;
    let running = tokio::spawn(relay(Io::from(near), Io::from(far), control));
    fifty_megabytes(caller, callee, running, &meter).await;
}

#[tokio::test]
async fn bytes_in_front_come_first_and_the_rest_is_still_spliced() {
    let (mut caller, near) = tcp_pair().await;
    let (far, callee) = tcp_pair().await;
    let a = Io::from(near).prefixed(Slice::copy_from(b"in front"));
    let running = tokio::spawn(relay(a, Io::from(far), Control::default()));
    caller.write_all(&[1; 500_000]).await.expect("written");
    caller.shutdown().await.expect("shut down");
    let mut all = Vec::new();
    let mut callee = callee;
    callee.read_to_end(&mut all).await.expect("read");
    assert_eq!(&all[..8], b"in front");
    assert_eq!(all.len(), 500_008);
    drop(callee);
    assert_eq!(running.await.expect("no panic").up, 500_008);
}

#[tokio::test]
async fn each_direction_ends_alone() {
    for kind in KINDS {
        for caller_first in [true, false] {
            let (caller, callee, running) = rig(kind, Control::default()).await;
            let (mut first, mut second) = if caller_first { (caller, callee) } else { (callee, caller) };
            first.write_all(b"question").await.expect("written");
            first.shutdown().await.expect("shut down");
            let mut question = Vec::new();
            second.read_to_end(&mut question).await.expect("read to the FIN");
            assert_eq!(question, b"question");
            assert!(!running.is_finished(), "the other direction is still open");
            let answer = vec![3; 300_000];
            let (written, read) = tokio::join!(
                async {
                    second.write_all(&answer).await.expect("written");
                    second.shutdown().await
                },
                async {
                    let mut all = Vec::new();
                    first.read_to_end(&mut all).await.map(|_| all)
                }
            );
            written.expect("shut down");
            assert_eq!(read.expect("read"), answer);
            let outcome = running.await.expect("no panic");
            let (up, down) = if caller_first { (8, 300_000) } else { (300_000, 8) };
            assert_eq!(outcome, Outcome { up, down, end: End::Finished });
        }
    }
}

/// Reads until the end, which is to be a reset.
async fn expect_reset(mut socket: TcpStream) {
    let mut block = vec![0; 64 * 1024];
    loop {
        match socket.read(&mut block).await {
            Ok(0) => panic!("closed in order, not reset"),
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
                return;
            }
        }
    }
}

#[tokio::test]
async fn a_reset_passes_through_both_ways() {
    for kind in KINDS {
        for caller_resets in [true, false] {
            let (caller, callee, running) = rig(kind, Control::default()).await;
            let (mut one, other) = if caller_resets { (caller, callee) } else { (callee, caller) };
            one.write_all(b"half a sentence").await.expect("written");
            crate::stream::reset(one);
            expect_reset(other).await;
            assert_eq!(running.await.expect("no panic").end, End::Reset);
        }
    }
}

#[tokio::test]
async fn a_cut_resets_both_sides_even_in_full_flow() {
    for kind in KINDS {
        let control = Control::default();
        let cut = control.cut.clone();
        let (mut caller, mut callee, running) = rig(kind, control).await;
        let mut block = vec![0; 1 << 20];
        for _ in 0..4 {
            tokio::join!(async { caller.write_all(&vec![1; 1 << 20]).await.expect("written") }, async {
                callee.read_exact(&mut block).await.expect("read")
            });
        }
        cut.cancel();
        assert_eq!(running.await.expect("no panic").end, End::Cut);
        tokio::join!(expect_reset(caller), expect_reset(callee));
    }
}

#[tokio::test]
async fn a_relay_that_was_cut_before_it_began_ends_at_once() {
    let control = Control::default();
    control.cut.cancel();
    let (caller, callee, running) = rig(Kind::Plain, control).await;
    assert_eq!(running.await.expect("no panic"), Outcome { up: 0, down: 0, end: End::Cut });
    tokio::join!(expect_reset(caller), expect_reset(callee));
}

/// Writes until nothing has been taken for a while of the (paused) clock, which moves on only when all is at rest.
async fn fill(socket: &TcpStream) -> usize {
    let block = vec![0; 1 << 18];
    let mut taken = 0;
    while timeout(Duration::from_secs(3), socket.writable()).await.is_ok() {
        match socket.try_write(&block) {
            Ok(written) => taken += written,
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
        assert!(taken < 200 << 20, "somebody keeps what nobody reads");
    }
    taken
}

fn limit_buffers(socket: &TcpStream) {
    let socket = socket2::SockRef::from(socket);
    socket.set_send_buffer_size(1 << 16).expect("set");
    socket.set_recv_buffer_size(1 << 16).expect("set");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_does_not_read_stops_the_writer() {
    for kind in KINDS {
        let (caller, near) = tcp_pair().await;
        let (far, mut callee) = tcp_pair().await;
        for socket in [&caller, &near, &far, &callee] {
            limit_buffers(socket);
        }
        let a = match kind {
            Kind::Plain => Io::from(near),
            Kind::Copied => Io::Dyn(Box::new(Opaque(near.into()))),
        };
        let (meter, control) = metered();
        let running = tokio::spawn(relay(a, Io::from(far), control));
        let taken = fill(&caller).await;
        // Four socket buffers of 128 KiB (the kernel doubles what is asked for) and one pipe or one chunk between.
        assert!(taken < 4 * (1 << 17) + (1 << 20) + (1 << 18), "{kind:?}: {taken} bytes accepted");
        drop(caller);
        let mut all = Vec::new();
        callee.read_to_end(&mut all).await.expect("read");
        assert_eq!(all.len(), taken, "what was accepted arrives");
        drop(callee);
        assert_eq!(running.await.expect("no panic").up, taken as u64);
        assert_eq!(meter.read().0, taken as u64);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reset_is_noticed_while_its_bytes_wait_for_the_other_side() {
    let (caller, callee, running) = rig(Kind::Plain, Control::default()).await;
    fill(&caller).await;
    crate::stream::reset(caller);
    assert_eq!(running.await.expect("no panic").end, End::Reset);
    expect_reset(callee).await;
}

#[tokio::test(start_paused = true)]
async fn a_reset_after_a_half_close_is_noticed() {
    let (mut caller, mut callee, running) = rig(Kind::Plain, Control::default()).await;
    caller.shutdown().await.expect("shut down");
    assert_eq!(callee.read(&mut [0]).await.expect("the FIN"), 0);
    crate::stream::reset(caller);
    assert_eq!(running.await.expect("no panic").end, End::Reset);
    // Its reading side has ended in order before; the reset shows on the other.
    assert_eq!(callee.write(b"late").await.expect_err("reset").kind(), io::ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn a_running_tunnels_bytes_show() {
    for kind in KINDS {
        let (meter, mut control) = metered();
        let second = Arc::new(Meter::default());
        control.meters.push(Arc::clone(&second));
        let (mut caller, mut callee, _running) = rig(kind, control).await;
        let (mut up, mut down) = (0, 0);
        for size in [1, 700, 40_000, 900_000, 3] {
            let mut block = vec![0; size];
            tokio::join!(async { caller.write_all(&vec![9; size]).await.expect("written") }, async {
                callee.read_exact(&mut block).await.expect("read")
            });
            up += size as u64;
            callee.write_all(b"ok").await.expect("written");
            caller.read_exact(&mut block[..1]).await.expect("read");
            caller.read_exact(&mut [0]).await.expect("read");
            down += 2;
            assert_eq!(meter.read(), (up, down), "{kind:?} after {size}");
            assert_eq!(second.read(), (up, down));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn buckets_limit_each_direction_on_its_own() {
    for kind in KINDS {
        let (meter, mut control) = metered();
        control.up = Some(Arc::new(Bucket::new(1_000_000, 100_000)));
        control.down = Some(Arc::new(Bucket::new(200_000, 100_000)));
        let (caller, callee, running) = rig(kind, control).await;
        let start = Instant::now();
        let (caller_read, caller_write) = caller.into_split();
        let (callee_read, callee_write) = callee.into_split();
        let up = async {
            let (sent, got) = tokio::join!(write_pattern(caller_write, 3_000_000), read_hash(callee_read));
            assert_eq!(got, (3_000_000, sent));
            start.elapsed().as_secs_f64()
        };
        let down = async {
            let (sent, got) = tokio::join!(write_pattern(callee_write, 1_100_000), read_hash(caller_read));
            assert_eq!(got, (1_100_000, sent));
            start.elapsed().as_secs_f64()
        };
        let (up, down) = tokio::join!(up, down);
        assert!((2.8..3.1).contains(&up), "{kind:?}: up took {up}");
        assert!((4.9..5.2).contains(&down), "{kind:?}: down took {down}");
        assert_eq!(running.await.expect("no panic").end, End::Finished);
        assert_eq!(meter.read(), (3_000_000, 1_100_000));
    }
}

#[tokio::test(start_paused = true)]
async fn silence_ends_a_relay_that_limits_it_and_talk_does_not() {
    let limit = Duration::from_secs(60);
    let (mut caller, mut callee, running) = rig(Kind::Plain, Control { idle: Some(limit), ..Control::default() }).await;
    let start = Instant::now();
    for _ in 0..5 {
        tokio::time::advance(Duration::from_secs(50)).await;
        callee.write_all(b".").await.expect("written");
        caller.read_exact(&mut [0]).await.expect("read");
        assert!(!running.is_finished());
    }
    let outcome = running.await.expect("no panic");
    assert_eq!(outcome, Outcome { up: 0, down: 5, end: End::Idle });
    let took = start.elapsed();
    assert!(took >= Duration::from_secs(310) && took < Duration::from_secs(312), "{took:?}");
    expect_reset(caller).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn more_flows_than_pipes_are_copied_and_pipes_come_back() {
    let _guard = PIPES.lock().await;
    let held: Vec<_> = std::iter::from_fn(crate::pipes::lend).collect();
    assert!(!held.is_empty() && held.len() <= 256, "{} lent", held.len());
    let (meter, control) = metered();
    let (caller, callee, running) = rig(Kind::Plain, control).await;
    fifty_megabytes(caller, callee, running, &meter).await;
    held.into_iter().for_each(crate::pipes::give_back);
    assert!(crate::pipes::existing() <= 256);
    crate::pipes::lend().map(crate::pipes::give_back).expect("pipes are there again");
}

#[tokio::test]
async fn an_idle_relay_is_small() {
    let (_caller, near) = tcp_pair().await;
    let (far, _callee) = tcp_pair().await;
    let future = relay(near.into(), far.into(), Control::default());
    let size = size_of_val(&future);
    assert!(size <= 700, "{size} bytes");
}

#[tokio::test(start_paused = true)]
async fn a_caller_whose_other_side_ended_is_waited_for_and_then_closed_without_a_reset() {
    let limit = Duration::from_secs(60);
    let control = || Control { lonely: Some(limit), ..Control::default() };
    let (mut caller, mut callee, running) = rig(Kind::Plain, control()).await;
    // As long as both talk, and as long as only the caller has ended, nothing limits them.
    callee.write_all(b"a").await.expect("written");
    caller.read_exact(&mut [0]).await.expect("read");
    tokio::time::advance(Duration::from_secs(600)).await;
    assert!(!running.is_finished());
    callee.shutdown().await.expect("shut down");
    assert_eq!(caller.read(&mut [0]).await.expect("an end"), 0);
    let start = Instant::now();
    for _ in 0..3 {
        tokio::time::advance(Duration::from_secs(50)).await;
        caller.write_all(b".").await.expect("written");
        callee.read_exact(&mut [0]).await.expect("read");
        assert!(!running.is_finished());
    }
    let outcome = running.await.expect("no panic");
    assert_eq!(outcome, Outcome { up: 3, down: 1, end: End::Finished });
    let took = start.elapsed();
    assert!(took >= Duration::from_secs(210) && took < Duration::from_secs(212), "{took:?}");
    // An end and no reset: the socket has no error, and the other side saw a FIN.
    assert!(caller.take_error().expect("asked").is_none());
    assert_eq!(callee.read(&mut [0]).await.expect("an end"), 0);
}

#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn what_is_sent_to_a_closed_connection_is_reset_at_once() {
    let control = Control { lonely: Some(Duration::from_secs(60)), ..Control::default() };
    let (mut caller, callee, running) = rig(Kind::Plain, control).await;
    drop(callee);
    assert_eq!(caller.read(&mut [0]).await.expect("an end"), 0);
    let start = Instant::now();
    caller.write_all(b"too late").await.expect("written");
    assert_eq!(running.await.expect("no panic").end, End::Reset);
    assert!(start.elapsed() < WATCH, "{:?}", start.elapsed());
    let error = caller.take_error().expect("asked").expect("an error");
    assert!(matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe), "{error}");
}

#[tokio::test]
async fn the_last_words_of_a_server_that_hangs_up_on_its_visitor_arrive() {
    for _ in 0..50 {
        let (mut caller, mut callee, running) = rig(Kind::Plain, Control::default()).await;
        caller.write_all(&[0; 64 * 1024]).await.expect("written");
        callee.read_exact(&mut [0; 1024]).await.expect("read");
        callee.write_all(b"400").await.expect("written");
        // Unread bytes make the close a reset.
        drop(callee);
        // More for the closed connection, before the relay has seen any of this: the test's thread is its, too.
        let _ = caller.try_write(&[0; 64]);
        let mut words = Vec::new();
        let mut room = [0; 16];
        while let Ok(n @ 1..) = caller.read(&mut room).await {
            words.extend_from_slice(&room[..n]);
        }
        assert_eq!(words, b"400");
        running.await.expect("no panic");
    }
}
