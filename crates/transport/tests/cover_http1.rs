//! How long the cover waits and how it ends, on a clock that is moved by hand: the numbers are Debian's nginx's.

use std::time::Duration;

use rozaneh_net::pool::Slice;
use rozaneh_transport::cover::http1::{Connection, Ending, Timeouts, serve};
use rozaneh_transport::cover::{Cover, Visit};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// A visitor's end of a connection to the stock cover, and how the other end will have ended.
fn visit(plain_to_tls: bool) -> (DuplexStream, JoinHandle<(Ending, Duration)>) {
    let (visitor, server) = tokio::io::duplex(64 * 1024);
    let accepted = Instant::now();
    let task = tokio::spawn(async move {
        let visit = Visit { local: ([127, 0, 0, 1], 443).into(), secure: !plain_to_tls };
        let connection = Connection { visit, plain_to_tls, accepted };
        let cover = Cover::stock(std::time::UNIX_EPOCH);
        let ending = serve(server, &cover, &connection, &Timeouts::default(), Slice::copy_from(&[])).await;
        (ending, accepted.elapsed())
    });
    (visitor, task)
}

/// Says something, hears everything until the server's end, and how and when that was.
async fn hear(said: &[u8]) -> (String, Ending, u64) {
    let (mut visitor, task) = visit(false);
    visitor.write_all(said).await.expect("the buffer has room");
    let mut heard = Vec::new();
    visitor.read_to_end(&mut heard).await.expect("an end");
    let (ending, when) = task.await.expect("no panic");
    (String::from_utf8_lossy(&heard).into_owned(), ending, when.as_secs())
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn silence_is_bid_farewell_after_a_minute() {
    assert_eq!(hear(b"").await, (String::new(), Ending::Closed, 60));
}

#[tokio::test(start_paused = true)]
async fn half_a_head_is_dropped_after_a_minute() {
    assert_eq!(hear(b"GET / HT").await, (String::new(), Ending::TimedOut, 60));
}

#[tokio::test(start_paused = true)]
async fn a_head_in_drops_gets_no_more_time() {
    let (mut visitor, task) = visit(false);
    for byte in GET.iter().take(20) {
        visitor.write_all(&[*byte]).await.expect("room");
        tokio::time::advance(Duration::from_millis(2_900)).await;
        tokio::task::yield_now().await;
    }
    let (ending, when) = task.await.expect("no panic");
    assert_eq!((ending, when.as_secs()), (Ending::TimedOut, 60));
}

#[tokio::test(start_paused = true)]
async fn a_kept_connection_is_closed_after_75_seconds() {
    let (heard, ending, when) = hear(GET).await;
    assert!(heard.starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!((ending, when), (Ending::Closed, 75));
}

#[tokio::test(start_paused = true)]
async fn half_a_second_head_has_its_own_minute() {
    let (mut visitor, task) = visit(false);
    visitor.write_all(GET).await.expect("room");
    let mut answer = [0; 2048];
    while !visitor.read(&mut answer).await.is_ok_and(|n| answer[..n].ends_with(b"</html>\n")) {}
    tokio::time::advance(Duration::from_secs(70)).await;
    visitor.write_all(b"GET").await.expect("room");
    let (ending, when) = task.await.expect("no panic");
    assert_eq!((ending, when.as_secs()), (Ending::TimedOut, 130));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_awaited_five_seconds() {
    let (heard, ending, when) = hear(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc").await;
    assert!(heard.starts_with("HTTP/1.1 405 Not Allowed\r\n") && heard.contains("Connection: keep-alive\r\n"));
    assert_eq!((ending, when), (Ending::TimedOut, 5));
}

#[tokio::test(start_paused = true)]
async fn a_body_in_drops_is_awaited_thirty_seconds() {
    let (mut visitor, task) = visit(false);
    visitor.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\n").await.expect("room");
    for _ in 0..11 {
        tokio::task::yield_now().await;
        tokio::time::advance(Duration::from_secs(3)).await;
        // The last may find the connection closed.
        let _ = visitor.write_all(b"x").await;
    }
    let (ending, when) = task.await.expect("no panic");
    assert_eq!((ending, when.as_secs()), (Ending::TimedOut, 30));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_lingers_so_that_it_can_be_read() {
    let (mut visitor, task) = visit(false);
    visitor.write_all(b"get / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("room");
    let mut heard = Vec::new();
    visitor.read_to_end(&mut heard).await.expect("an end");
    assert!(heard.starts_with(b"HTTP/1.1 400 Bad Request\r\n"));
    // What still comes is swallowed, not answered by a reset.
    tokio::time::advance(Duration::from_secs(4)).await;
    visitor.write_all(b"more").await.expect("room");
    let (ending, when) = task.await.expect("no panic");
    assert_eq!((ending, when.as_secs()), (Ending::Closed, 9));
}

#[tokio::test(start_paused = true)]
async fn a_visitor_that_does_not_read_is_dropped() {
    let (visitor, server) = tokio::io::duplex(64);
    let accepted = Instant::now();
    let task = tokio::spawn(async move {
        let visit = Visit { local: ([127, 0, 0, 1], 443).into(), secure: true };
        let connection = Connection { visit, plain_to_tls: false, accepted };
        let cover = Cover::stock(std::time::UNIX_EPOCH);
        serve(server, &cover, &connection, &Timeouts::default(), Slice::copy_from(GET)).await
    });
    assert_eq!(task.await.expect("no panic"), Ending::TimedOut);
    assert_eq!(accepted.elapsed().as_secs(), 60);
    drop(visitor);
}

#[tokio::test(start_paused = true)]
async fn a_visitor_that_leaves_is_let_go() {
    for said in [&b""[..], b"GET / HT", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc"] {
        let (mut visitor, task) = visit(false);
        visitor.write_all(said).await.expect("room");
        visitor.shutdown().await.expect("an end");
        let (ending, when) = task.await.expect("no panic");
        assert_eq!((ending, when.as_secs()), (Ending::Gone, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn an_old_connection_is_not_kept() {
    let (mut visitor, task) = visit(false);
    let mut answers = 0;
    loop {
        visitor.write_all(GET).await.expect("room");
        let mut answer = Vec::new();
        while !answer.ends_with(b"</html>\n") {
            visitor.read_buf(&mut answer).await.expect("an answer");
        }
        answers += 1;
        if String::from_utf8_lossy(&answer).contains("Connection: close\r\n") {
            break;
        }
        tokio::time::advance(Duration::from_secs(74)).await;
    }
    // `keepalive_time 1h`: 48 pauses of 74 s fit into it.
    assert_eq!(answers, 50);
    assert_eq!(task.await.expect("no panic").0, Ending::Closed);
}

#[tokio::test(start_paused = true)]
async fn plain_text_on_a_tls_port() {
    let (mut visitor, task) = visit(true);
    visitor.write_all(GET).await.expect("room");
    let mut heard = String::new();
    visitor.read_to_string(&mut heard).await.expect("an end");
    assert!(heard.contains("<center>The plain HTTP request was sent to HTTPS port</center>"));
    assert_eq!(task.await.expect("no panic").0, Ending::Closed);
}

/// Says anything and leaves; the conversation ends whatever it was.
fn says_anything(said: Vec<u8>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let (visitor, task) = visit(false);
        let (mut hears, mut says) = tokio::io::split(visitor);
        let saying = tokio::spawn(async move {
            // A server may hang up before it heard everything.
            let _ = says.write_all(&said).await;
            let _ = says.shutdown().await;
        });
        let mut heard = Vec::new();
        hears.read_to_end(&mut heard).await.expect("an end");
        saying.await.expect("no panic");
        task.await.expect("no panic");
    });
}

proptest::proptest! {
    #[test]
    fn any_bytes(said in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..3000)) {
        says_anything(said);
    }

    #[test]
    fn almost_requests(
        parts in proptest::collection::vec(proptest::sample::select(vec![
            "GET ", "HEAD ", "POST ", "/", "/index.nginx-debian.html", "?", "#", "%2e", "..", "http://a", ":80", " HTTP/1.1",
            " HTTP/1.0", "\r\n", "\n", "\r\n\r\n", "Host: a\r\n", "Host", ": ", "Content-Length: 5\r\n", "abcde", "\0",
            "Transfer-Encoding: chunked\r\n", "5\r\n", "0\r\n\r\n", "Range: bytes=1-2,4-\r\n", "Expect: 100-continue\r\n",
            "Accept-Encoding: gzip\r\n", "Connection: close\r\n", "If-None-Match: *\r\n", "GET / HTTP/1.1\r\nHost: a\r\n",
        ]), 0..30),
    ) {
        says_anything(parts.concat().into_bytes());
    }
}
