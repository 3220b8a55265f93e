use std::future::poll_fn;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("bound");
    let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    (client.expect("connected"), accepted.expect("accepted").0)
}

async fn recv(io: &mut impl Stream, max: usize) -> io::Result<Option<Slice>> {
    poll_fn(|cx| io.poll_recv(cx, max)).await
}

async fn send(io: &mut impl Stream, bytes: &[u8]) -> io::Result<()> {
    poll_fn(|cx| io.poll_ready(cx)).await?;
    io.send(Slice::copy_from(bytes));
    poll_fn(|cx| io.poll_flush(cx)).await
}

/// A waker that does nothing, to poll once.
fn once<T>(poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
    struct Nothing;
    impl std::task::Wake for Nothing {
        fn wake(self: Arc<Self>) {}
    }
    poll(&mut Context::from_waker(&Arc::new(Nothing).into()))
}

#[tokio::test]
async fn bytes_go_both_ways_and_each_way_ends_alone() {
    let (near, mut far) = tcp_pair().await;
    let mut io = Io::from(near);
    send(&mut io, b"ping").await.expect("sent");
    poll_fn(|cx| io.poll_finish(cx)).await.expect("finished");
    poll_fn(|cx| io.poll_finish(cx)).await.expect("finishing twice is the same");
    let mut all = Vec::new();
    far.read_to_end(&mut all).await.expect("read");
    assert_eq!(all, b"ping");
    far.write_all(b"pong").await.expect("written");
    drop(far);
    assert_eq!(recv(&mut io, 99).await.expect("received").as_deref(), Some(&b"pong"[..]));
    for _ in 0..2 {
        assert_eq!(recv(&mut io, 99).await.expect("the end stays the end"), None);
    }
}

#[tokio::test]
async fn no_chunk_is_longer_than_asked() {
    let (near, mut far) = tcp_pair().await;
    let mut io = Io::from(near).prefixed(Slice::copy_from(b"before "));
    assert!(io.raw().is_none(), "bytes in front must not be bypassed");
    far.write_all(b"after").await.expect("written");
    drop(far);
    let mut all = Vec::new();
    while let Some(chunk) = recv(&mut io, 3).await.expect("received") {
        assert!((1..=3).contains(&chunk.len()));
        all.extend_from_slice(&chunk);
    }
    assert_eq!(all, b"before after");
    assert!(io.raw().is_some());
}

#[tokio::test]
async fn prefixes_keep_their_order_around_any_stream() {
    let (near, _far) = tcp_pair().await;
    let mut io = Io::from(near).prefixed(Slice::copy_from(b"two")).prefixed(Slice::copy_from(b"one"));
    assert_eq!(recv(&mut io, 99).await.expect("received").as_deref(), Some(&b"onetwo"[..]));
    let (near, _far) = tcp_pair().await;
    let boxed: Box<dyn Stream> = Box::new(TcpIo::from(near));
    let mut io = Io::from(boxed).prefixed(Slice::copy_from(b"one"));
    assert!(io.raw().is_none());
    assert_eq!(recv(&mut io, 2).await.expect("received").as_deref(), Some(&b"on"[..]));
    assert_eq!(recv(&mut io, 2).await.expect("received").as_deref(), Some(&b"e"[..]));
    assert!(io.raw().is_some());
}

#[tokio::test]
async fn a_waiting_stream_holds_no_buffer() {
    let (near, far) = tcp_pair().await;
    let mut io = TcpIo::from(near);
    let guard = crate::pool::tests::UNTRIMMED.lock();
    // Other tests borrow at the same time; this thread's own front tells what this stream did.
    let before = Buf::small().as_ptr();
    assert!(once(|cx| io.poll_recv(cx, 1000)).is_pending());
    let during = Buf::small().as_ptr();
    assert_eq!(before, during, "the buffer is back in the pool");
    drop((guard, far));
}

#[tokio::test]
async fn reads_grow_with_the_flow_and_shrink_after_it() {
    let mut appetite = Appetite::Small;
    appetite = appetite.after(SMALL, SMALL);
    assert!(appetite == Appetite::Large);
    appetite = appetite.after(LARGE, LARGE);
    assert!(appetite == Appetite::Huge);
    assert!(appetite.after(LARGE, crate::pool::HUGE) == Appetite::Huge);
    appetite = appetite.after(100, crate::pool::HUGE).after(100, LARGE);
    assert!(appetite == Appetite::Small);
    // A read that a limit kept short says nothing about the flow.
    assert!(appetite.after(100, 100) == Appetite::Small);
}

#[tokio::test]
async fn an_abort_is_a_reset_and_everything_fails_after_it() {
    let (near, mut far) = tcp_pair().await;
    let mut io = Io::from(near);
    send(&mut io, b"lost").await.expect("sent");
    io.abort();
    io.abort();
    let error = async {
        let mut byte = [0; 16];
        loop {
            match far.read(&mut byte).await {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => return Some(error.kind()),
            }
        }
    };
    assert_eq!(error.await, Some(io::ErrorKind::ConnectionReset));
    assert_eq!(recv(&mut io, 1).await.expect_err("aborted").kind(), io::ErrorKind::ConnectionAborted);
    assert!(poll_fn(|cx| io.poll_flush(cx)).await.is_err());
    assert!(poll_fn(|cx| io.poll_finish(cx)).await.is_err());
    assert!(io.raw().is_none());
}

#[tokio::test]
async fn a_full_socket_keeps_the_rest_and_asks_to_wait() {
    let (near, mut far) = tcp_pair().await;
    let mut io = TcpIo::from(near);
    let block = Slice::from_vec(vec![7; 1 << 20]);
    let mut taken = 0;
    while once(|cx| io.poll_ready(cx)).is_ready() {
        io.send(block.clone());
        taken += block.len();
        assert!(taken < 256 << 20, "a reader that does not read must stop us");
        tokio::task::yield_now().await;
    }
    assert!(io.raw().is_none(), "what is unsent must not be overtaken");
    let reader = tokio::spawn(async move {
        let mut sink = vec![0; 1 << 16];
        let mut total = 0;
        loop {
            match far.read(&mut sink).await.expect("read") {
                0 => return total,
                read => total += read,
            }
        }
    });
    poll_fn(|cx| io.poll_finish(cx)).await.expect("finished");
    assert_eq!(reader.await.expect("no panic"), taken);
}

#[tokio::test]
async fn small_chunks_share_a_write_and_keep_their_order() {
    let (near, mut far) = tcp_pair().await;
    // Small buffers, so that writes end in the middle of chunks.
    socket2::SockRef::from(&near).set_send_buffer_size(4096).expect("set");
    let mut io = Io::from(near);
    let mut expected = Vec::new();
    let reader = tokio::spawn(async move {
        let mut all = Vec::new();
        far.read_to_end(&mut all).await.map(|_| all)
    });
    for turn in 0..BATCH_CHUNKS * 8 {
        let chunk: Vec<u8> = (0..turn * 37 % 5000).map(|at| (at + turn) as u8).collect();
        poll_fn(|cx| io.poll_ready(cx)).await.expect("ready");
        io.send(Slice::copy_from(&chunk));
        expected.extend_from_slice(&chunk);
    }
    poll_fn(|cx| io.poll_finish(cx)).await.expect("finished");
    let all = reader.await.expect("ended").expect("read");
    assert!(all == expected, "{} of {} bytes, or another order", all.len(), expected.len());
}

#[tokio::test]
async fn what_waits_for_one_write_is_bounded() {
    for size in [700, 16 * 1024] {
        let (near, _far) = tcp_pair().await;
        let mut io = TcpIo::from(near);
        // Ends when the socket, which nobody reads at the other end, takes nothing more.
        while once(|cx| io.poll_ready(cx)).is_ready() {
            io.send(Slice::copy_from(&vec![7; size]));
            assert!(io.0.unsent.len() <= BATCH_CHUNKS && io.0.unsent_bytes < BATCH_BYTES + size);
            assert_eq!(io.0.unsent.iter().map(|chunk| chunk.len()).sum::<usize>(), io.0.unsent_bytes);
            assert!(io.raw().is_none(), "bytes that wait must not be overtaken");
            tokio::task::yield_now().await;
        }
        io.abort();
        assert_eq!((io.0.unsent.len(), io.0.unsent_bytes), (0, 0));
    }
}

#[cfg(unix)]
#[tokio::test]
async fn unix_sockets_do_the_same() {
    let (near, mut far) = UnixStream::pair().expect("pair");
    let mut io = Io::from(near).prefixed(Slice::copy_from(b"first "));
    far.write_all(b"second").await.expect("written");
    assert_eq!(recv(&mut io, 99).await.expect("received").as_deref(), Some(&b"first "[..]));
    assert_eq!(recv(&mut io, 99).await.expect("received").as_deref(), Some(&b"second"[..]));
    send(&mut io, b"answer").await.expect("sent");
    poll_fn(|cx| io.poll_finish(cx)).await.expect("finished");
    let mut all = Vec::new();
    far.read_to_end(&mut all).await.expect("read");
    assert_eq!(all, b"answer");
    io.abort();
    assert!(recv(&mut io, 1).await.is_err());
}
