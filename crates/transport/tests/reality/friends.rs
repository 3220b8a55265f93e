//! Friends: let in, in the cover's shape.

use std::time::Duration;

use rozaneh_tls::names::group;
use rozaneh_tls::reality::client::Outcome;
use rozaneh_tls::reality::shape::Alpn;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::covers::{self, BOTH};
use crate::rig::*;

/// The client's connection preface and empty SETTINGS (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[tokio::test]
async fn a_friend_sees_the_covers_shape_and_speaks_h2() {
    let cover = covers::tls(&BOTH).await;
    let running = edge(cover).await;
    let who = Who::default();
    let mut friend = visit(running.address, &who).await;
    assert_eq!(friend.outcome, Outcome::Verified);
    // The same client straight at the cover, and what came behind the handshake there.
    let mut real = visit(cover, &who).await;
    assert_eq!(real.outcome, Outcome::Real);
    assert_eq!(records(&friend.flight), records(&real.flight));
    friend.say(PREFACE).await;
    real.say(PREFACE).await;
    let (words, ours) = friend.hear().await;
    assert_eq!(words.get(3), Some(&4), "SETTINGS come first: {words:?}");
    let (_, theirs) = real.hear().await;
    let tickets = theirs.split_last().expect("records").1;
    assert_eq!(ours.split_last().expect("records").1, tickets);
    assert!(!tickets.is_empty());
    assert_eq!(running.counts.visits(), 0);
}

#[tokio::test]
async fn a_friend_speaks_vless_and_one_without_an_account_is_hung_up_on() {
    let running = edge(covers::tls(&BOTH).await).await;
    let mut friend = visit(running.address, &Who { alpn: vec![], ..Who::default() }).await;
    assert_eq!(friend.outcome, Outcome::Verified);
    // Version, id, no addons, TCP, port 80, a name.
    let request = [&[0][..], &[9; 16], &[0, 1, 0, 80, 2, 4], b"a.test"].concat();
    friend.say(&request).await;
    running.counts.until(|counts| counts.ids.load(std::sync::atomic::Ordering::SeqCst) == 1).await;
    assert_eq!(friend.hear().await.0, b"");
    assert_eq!(running.counts.visits(), 0);
}

#[tokio::test]
async fn every_kind_of_friend_is_let_in_however_its_hello_is_cut() {
    let (old, new) = (group::X25519, group::X25519MLKEM768);
    for (chosen, shares) in [
        (old, vec![old]),
        (old, vec![new, old]),
        (old, vec![old, new]),
        (new, vec![new]),
        (new, vec![new, old]),
        (new, vec![old, new]),
    ] {
        let running = edge(covers::of_group(chosen).await).await;
        for alpn in [vec![], vec![b"http/1.1".to_vec()], vec![b"h2".to_vec()]] {
            for piece in [usize::MAX, 97] {
                let who = Who { shares: shares.clone(), alpn: alpn.clone(), ..Who::default() };
                let mut tcp = within(TcpStream::connect(running.address)).await.expect("connected");
                tcp.set_nodelay(true).expect("set");
                let (client, hello) = who.start();
                for piece in hello.chunks(piece.min(hello.len())) {
                    tcp.write_all(piece).await.expect("written");
                    tokio::task::yield_now().await;
                }
                let mut friend = shake(tcp, client).await;
                assert_eq!((friend.outcome, friend.connected.facts.group), (Outcome::Verified, chosen));
                friend.say(PREFACE).await;
                assert_eq!(friend.hear().await.0.get(3), Some(&4));
            }
        }
        assert_eq!(running.counts.visits(), 0);
    }
}

#[tokio::test]
async fn the_covers_habits_are_learned() {
    let running = edge(covers::tls(&BOTH).await).await;
    for alpn in Alpn::ALL {
        let lesson = running.shapes.get(NAME, alpn, Duration::from_secs(30)).await.expect("learned");
        // rustls says both of its tickets in one record.
        assert_eq!((lesson.tickets.len(), lesson.behind, lesson.greeting.len()), (1, 0, 0), "{alpn:?}");
        assert!(lesson.flight == 1 || lesson.flight == 4, "{}", lesson.flight);
    }
    assert!(running.shapes.get("other.test", Alpn::H2, Duration::ZERO).await.is_none());
}

#[tokio::test]
async fn a_lesson_that_fails_is_taken_again_soon() {
    let failures = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let acceptor = covers::acceptor(&BOTH, None);
    let count = std::sync::Arc::clone(&failures);
    // The first five visitors are hung up on: the whole first round, and most of the second.
    let cover = covers::serve(move |tcp| {
        let (acceptor, nth) = (acceptor.clone(), count.fetch_add(1, std::sync::atomic::Ordering::SeqCst));
        async move {
            if nth < 5 {
                return Ok(());
            }
            let mut stream = acceptor.accept(tcp).await?;
            tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.map(|_| ())
        }
    })
    .await;
    let running = edge(cover).await;
    for alpn in Alpn::ALL {
        within(async {
            while running.shapes.get(NAME, alpn, LIMIT).await.is_none() {
                tokio::task::yield_now().await
            }
        })
        .await;
    }
    assert_eq!(visit(running.address, &Who::default()).await.outcome, Outcome::Verified);
}
