//! Strangers: whatever they do, it is the cover that answers.

use std::sync::Arc;
use std::time::Duration;

use rozaneh_net::stream::reset;
use rozaneh_tls::names::group;
use rozaneh_tls::reality::client::Outcome;
use rozaneh_tls::reality::shape::dummies;
use rozaneh_transport::reality::Event;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

use crate::covers::{self, BOTH, OLD, WORD};
use crate::rig::*;

async fn connect(address: std::net::SocketAddr) -> TcpStream {
    let tcp = within(TcpStream::connect(address)).await.expect("connected");
    tcp.set_nodelay(true).expect("set");
    tcp
}

#[tokio::test]
async fn whoever_is_wrong_in_one_thing_meets_the_cover() {
    let running = edge(covers::tls(&BOTH).await).await;
    let wrong = [
        Who { short: [1, 2, 3, 4, 0, 0, 0, 1], ..Who::default() },
        Who { private: [0x43; 32], ..Who::default() },
        Who { name: "other.test", ..Who::default() },
        Who { offset_s: 125, ..Who::default() },
        Who { offset_s: -125, ..Who::default() },
    ];
    for (n, who) in wrong.iter().enumerate() {
        let mut visit = visit(running.address, who).await;
        assert_eq!(visit.outcome, Outcome::Real);
        visit.say(b"who are you?").await;
        assert_eq!(visit.hear().await.0, WORD);
        assert_eq!(running.counts.visits(), n + 1);
    }
    for offset_s in [110, -110] {
        assert_eq!(visit(running.address, &Who { offset_s, ..Who::default() }).await.outcome, Outcome::Verified);
    }
}

#[tokio::test]
async fn a_replay_meets_the_cover_every_time() {
    let cover = covers::tls(&BOTH).await;
    let (first, second) = (edge(cover).await, edge(cover).await);
    let (client, hello) = Who::default().start();
    let mut tcp = connect(first.address).await;
    tcp.write_all(&hello).await.expect("written");
    assert_eq!(shake(tcp, client).await.outcome, Outcome::Verified);
    for n in 1..=20 {
        let mut tcp = connect(first.address).await;
        tcp.write_all(&hello).await.expect("written");
        first.counts.until(|counts| counts.visits() == n).await;
        let mut answer = [0; 6];
        within(tcp.read_exact(&mut answer)).await.expect("an answer");
        assert_eq!((answer[0], answer[5]), (22, 2), "the cover's ServerHello");
    }
    // Once more at an edge that forgot everything: one key, two filters. This is why keys are never shared.
    let mut tcp = connect(second.address).await;
    tcp.write_all(&hello).await.expect("written");
    within(tcp.read_exact(&mut [0; 6])).await.expect("an answer");
    assert_eq!(second.counts.visits(), 0);
    // A filter that can write no more lets nobody in, and its operator hears of it.
    first.seen.close().expect("closed");
    assert_eq!(visit(first.address, &Who::default()).await.outcome, Outcome::Real);
    assert_eq!(*first.counts.events.lock(), [Event::FilterRefuses]);
}

/// What a server does with these bytes: first its flight, then whatever comes of the rest.
async fn conversation(address: std::net::SocketAddr, first: &[u8], then: &[u8]) -> (Vec<(u8, usize)>, bool) {
    let mut tcp = connect(address).await;
    tcp.write_all(first).await.expect("written");
    let mut all = vec![0; 1];
    within(tcp.read_exact(&mut all)).await.expect("an answer");
    // The flight is one write of the cover's; what is sent now comes behind it.
    tcp.write_all(then).await.expect("written");
    let (rest, reset) = rest_of(&mut tcp).await;
    all.extend(rest);
    (records(&all), reset)
}

#[tokio::test]
async fn what_is_added_to_a_friends_handshake_is_answered_by_the_cover() {
    let cover = covers::tls(&BOTH).await;
    let running = edge(cover).await;
    let sealed = [&[23, 3, 3, 0, 53][..], &[0x5a; 53]].concat();
    let bad = [
        ("junk", vec![0x41; 40]),
        ("a record that does not open", sealed.clone()),
        ("the same behind a dummy", [dummies(1), sealed.clone()].concat()),
        ("an alert in the clear", vec![21, 3, 3, 0, 2, 2, 40]),
        ("application data of no length", vec![23, 3, 3, 0, 0]),
        ("40 dummies, then junk", [dummies(40), sealed.clone()].concat()),
        ("a dummy with other contents", vec![20, 3, 3, 0, 1, 2]),
    ];
    for (n, (what, bytes)) in bad.iter().enumerate() {
        let straight = conversation(cover, &Who::default().start().1, bytes).await;
        let through = conversation(running.address, &Who::default().start().1, bytes).await;
        assert_eq!(through, straight, "{what}");
        assert_eq!(running.counts.visits(), n + 1, "{what}");
    }
}

#[tokio::test]
async fn bytes_behind_a_friends_hello_make_a_stranger() {
    let cover = covers::tls(&BOTH).await;
    let running = edge(cover).await;
    for behind in [vec![0x41; 3], vec![20, 3, 3, 0, 1, 1], vec![22, 3, 1, 0, 4, 1, 0, 0, 0]] {
        let with = || [Who::default().start().1, behind.clone()].concat();
        let mut straight = connect(cover).await;
        straight.write_all(&with()).await.expect("written");
        straight.shutdown().await.expect("shut down");
        let mut through = connect(running.address).await;
        through.write_all(&with()).await.expect("written");
        through.shutdown().await.expect("shut down");
        let (a, b) = (rest_of(&mut straight).await, rest_of(&mut through).await);
        assert_eq!((records(&a.0), a.1), (records(&b.0), b.1), "{behind:?}");
    }
    running.counts.until(|counts| counts.visits() == 3).await;
}

/// Says what came when the visitor is done, and how the visitor ended.
async fn scripted() -> (std::net::SocketAddr, Arc<Mutex<Vec<Vec<u8>>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&heard);
    let address = covers::serve(move |mut tcp| {
        let list = Arc::clone(&list);
        async move {
            let mut all = Vec::new();
            tcp.read_to_end(&mut all).await?;
            tcp.write_all(b"goodbye").await?;
            list.lock().await.push(all);
            Ok(())
        }
    })
    .await;
    (address, heard)
}

#[tokio::test]
async fn a_half_closed_visitor_hears_the_cover_out() {
    let (cover, heard) = scripted().await;
    let running = edge(cover).await;
    let hello = Who::default().start().1;
    for sent in [&b""[..], b"GET / HTTP/1.1\r\n\r\n", &[0x16], &hello[..200], &hello] {
        let mut tcp = connect(running.address).await;
        tcp.write_all(sent).await.expect("written");
        tcp.shutdown().await.expect("shut down");
        assert_eq!(rest_of(&mut tcp).await, (b"goodbye".to_vec(), false));
        // The edge's own lessons knock here, too.
        assert!(heard.lock().await.iter().any(|all| all == sent), "{} bytes", sent.len());
    }
}

#[tokio::test]
async fn resets_pass_both_ways() {
    let cover = covers::serve(|mut tcp| async move {
        let mut first = [0];
        if tcp.read(&mut first).await? == 1 && first[0] == b'R' {
            reset(tcp);
            return Ok(());
        }
        // Until the visitor is gone, in whatever way.
        while tcp.read(&mut first).await? > 0 {}
        Ok(())
    })
    .await;
    let running = edge(cover).await;
    let mut tcp = connect(running.address).await;
    tcp.write_all(b"R").await.expect("written");
    assert_eq!(rest_of(&mut tcp).await, (vec![], true));

    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let running = edge(listener.local_addr().expect("bound")).await;
    for sent in [&b"\x16\x03\x03"[..], b"no TLS at all"] {
        let mut tcp = connect(running.address).await;
        tcp.write_all(sent).await.expect("written");
        let mut at_cover = loop {
            let (mut tcp, _) = within(listener.accept()).await.expect("accepted");
            let mut first = vec![0; sent.len()];
            // The edge's own lessons begin otherwise.
            if within(tcp.read_exact(&mut first)).await.is_ok() && first == sent {
                break tcp;
            }
        };
        reset(tcp);
        assert!(rest_of(&mut at_cover).await.1, "{sent:?}");
    }
}

#[tokio::test]
async fn a_dead_cover_hangs_up_and_the_operator_hears_of_it_once_and_of_its_return() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("bound").local_addr().expect("bound");
    let running = edge(nobody).await;
    let hang_up = async || {
        for _ in 0..3 {
            let mut tcp = connect(running.address).await;
            assert_eq!(rest_of(&mut tcp).await.0, b"");
        }
    };
    hang_up().await;
    assert_eq!(*running.counts.events.lock(), [Event::CoverUnreachable]);
    let back = TcpListener::bind(nobody).await.expect("bound again");
    let mut tcp = connect(running.address).await;
    tcp.write_all(b"?").await.expect("written");
    running.counts.until(|counts| counts.events.lock().last() == Some(&Event::CoverLearned)).await;
    drop((back, tcp));
    hang_up().await;
    let all = [Event::CoverUnreachable, Event::CoverLearned, Event::CoverUnreachable];
    assert_eq!(*running.counts.events.lock(), all);
}

#[tokio::test]
async fn a_cover_that_speaks_no_tls_1_3_answers_friends_itself() {
    let cover = covers::tls(&OLD).await;
    let running = edge(cover).await;
    let answer = async |address| {
        let mut tcp = connect(address).await;
        tcp.write_all(&Who::default().start().1).await.expect("written");
        records(&rest_of(&mut tcp).await.0)
    };
    let straight = within(Box::pin(answer(cover))).await;
    assert_eq!(straight, [(21, 7)]);
    assert_eq!(within(Box::pin(answer(running.address))).await, straight);
    assert_eq!(running.counts.visits(), 1);
}

#[tokio::test]
async fn a_cover_that_asks_for_another_share_answers_friends_itself() {
    let running = edge(covers::of_group(group::P256).await).await;
    let mut visit = visit(running.address, &Who::default()).await;
    assert!(visit.connected.facts.retried);
    assert_eq!(visit.outcome, Outcome::Real);
    visit.say(b"who are you?").await;
    assert_eq!(visit.hear().await.0, WORD);
    assert_eq!(running.counts.visits(), 1);
}

#[tokio::test]
async fn the_covers_patience_is_ours() {
    // Answers, and hangs up on who does not finish: the edge's lessons do.
    let acceptor = covers::acceptor(&BOTH, None);
    let told = Arc::new(tokio::sync::Notify::new());
    let tell = Arc::clone(&told);
    let cover = covers::serve(move |tcp| {
        let (acceptor, told) = (acceptor.clone(), Arc::clone(&tell));
        async move {
            tokio::select! {
                stream = acceptor.accept(tcp) => {
                    let mut stream = stream?;
                    while stream.read(&mut [0; 64]).await? > 0 {}
                }
                () = told.notified() => {}
            }
            Ok(())
        }
    })
    .await;
    let running = edge(cover).await;
    for alpn in rozaneh_tls::reality::shape::Alpn::ALL {
        running.shapes.get(NAME, alpn, Duration::from_secs(30)).await.expect("learned");
    }
    let mut tcp = connect(running.address).await;
    tcp.write_all(&Who::default().start().1).await.expect("written");
    let mut flight = vec![0; 6];
    within(tcp.read_exact(&mut flight)).await.expect("the flight");
    told.notify_waiters();
    assert!(!rest_of(&mut tcp).await.1);
    assert_eq!(running.counts.visits(), 1);
}
