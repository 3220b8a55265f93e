//! What a stranger costs who says nothing: two sockets and a task, and no buffer. Alone in its program, because buffers
//! are counted for the whole of it.

#[allow(dead_code)]
#[path = "reality/covers.rs"]
mod covers;
#[allow(dead_code)]
#[path = "reality/rig.rs"]
mod rig;

use rig::*;
use rozaneh_net::pool;
use rozaneh_tls::reality::client::Outcome;
use rozaneh_tls::reality::shape::Alpn;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

#[tokio::test]
async fn idle_strangers_hold_no_buffers() {
    let cover = covers::tls(&covers::BOTH).await;
    let running = edge(cover).await;
    for alpn in Alpn::ALL {
        running.shapes.get(NAME, alpn, LIMIT).await.expect("learned");
    }
    let mut all = Vec::new();
    for n in 0..60 {
        // Undecided, decided by the bytes, and strangers whose handshake with the cover is done.
        if n % 3 == 2 {
            let mut visit = visit(running.address, &Who { private: [0x43; 32], ..Who::default() }).await;
            assert_eq!(visit.outcome, Outcome::Real);
            visit.say(b"hello").await;
            assert_eq!(visit.hear().await.0, covers::WORD);
            all.push(visit.tcp);
        } else {
            let mut tcp = TcpStream::connect(running.address).await.expect("connected");
            tcp.write_all(if n % 3 == 0 { b"\x16\x03\x01" } else { b"GET" }).await.expect("written");
            all.push(tcp);
        }
    }
    running.counts.until(|counts| counts.visits() == 40).await;
    within(async {
        while pool::stats().small_out + pool::stats().large_out + pool::stats().huge_out > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(all.len(), 60);
}
