use std::sync::Arc;

use super::*;

fn v4(last: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)), 443)
}

fn v6(last: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last)), 443)
}

#[test]
fn families_take_turns_and_the_first_one_leads() {
    assert_eq!(order(&[v6(1), v6(2), v6(3), v4(1)], None), [v6(1), v4(1), v6(2), v6(3)]);
    assert_eq!(order(&[v4(1), v4(2), v6(1), v6(2)], None), [v4(1), v6(1), v4(2), v6(2)]);
    assert_eq!(order(&[v4(1), v4(1)], None), [v4(1)]);
    assert!(order(&[], Some(v4(1).ip())).is_empty());
}

#[test]
fn the_last_winner_leads_or_else_its_family() {
    let all = [v6(1), v6(2), v4(1), v4(2)];
    assert_eq!(order(&all, Some(v4(2).ip())), [v4(2), v6(1), v4(1), v6(2)]);
    assert_eq!(order(&all, Some(v4(9).ip())), [v4(1), v6(1), v4(2), v6(2)]);
}

#[test]
fn the_number_of_attempts_is_bounded() {
    let many: Vec<_> = (0..200).map(v4).chain((0..200).map(v6)).collect();
    let ordered = order(&many, None);
    assert_eq!(ordered.len(), MOST_ADDRESSES);
    assert_eq!(ordered.iter().filter(|address| address.is_ipv6()).count(), MOST_ADDRESSES / 2);
}

/// When an attempt ends after its start, and how.
#[derive(Clone, Copy)]
enum Fate {
    Connects(u64),
    Fails(u64, io::ErrorKind),
    Hangs,
}

type Starts = Arc<Mutex<Vec<(SocketAddr, u128)>>>;

/// A race whose attempts follow a script; also which attempts started when, in milliseconds.
async fn scripted(script: &[(SocketAddr, Fate)]) -> (io::Result<SocketAddr>, Vec<(SocketAddr, u128)>, u128) {
    let start = Instant::now();
    let starts: Starts = Arc::default();
    let fates: Vec<_> = script.to_vec();
    let attempt = |address: SocketAddr| {
        starts.lock().push((address, start.elapsed().as_millis()));
        let fate = fates.iter().find(|(known, _)| *known == address).map(|(_, fate)| *fate);
        async move {
            match fate {
                Some(Fate::Connects(after)) => {
                    sleep(Duration::from_millis(after)).await;
                    Ok(())
                }
                Some(Fate::Fails(after, kind)) => {
                    sleep(Duration::from_millis(after)).await;
                    Err(io::Error::from(kind))
                }
                _ => std::future::pending().await,
            }
        }
    };
    let addresses = script.iter().map(|(address, _)| *address).collect();
    let limit = Duration::from_secs(20);
    let outcome = match timeout(limit, race(addresses, ATTEMPT_DELAY, attempt)).await {
        Ok(outcome) => outcome.map(|(address, ())| address),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    };
    let started = starts.lock().clone();
    (outcome, started, start.elapsed().as_millis())
}

#[tokio::test(start_paused = true)]
async fn a_second_attempt_starts_after_the_delay_and_may_win() {
    let (winner, started, took) = scripted(&[(v6(1), Fate::Hangs), (v4(1), Fate::Connects(30))]).await;
    assert_eq!(winner.expect("connected"), v4(1));
    assert_eq!(started, [(v6(1), 0), (v4(1), 250)]);
    assert_eq!(took, 280);
}

#[tokio::test(start_paused = true)]
async fn a_slow_first_one_still_wins_when_it_is_first() {
    let (winner, started, _) = scripted(&[(v6(1), Fate::Connects(300)), (v4(1), Fate::Connects(900))]).await;
    assert_eq!(winner.expect("connected"), v6(1));
    assert_eq!(started.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_quick_first_one_needs_no_second() {
    let (winner, started, _) = scripted(&[(v6(1), Fate::Connects(100)), (v4(1), Fate::Connects(1))]).await;
    assert_eq!(winner.expect("connected"), v6(1));
    assert_eq!(started, [(v6(1), 0)]);
}

#[tokio::test(start_paused = true)]
async fn a_failure_starts_the_next_at_once() {
    let refused = io::ErrorKind::ConnectionRefused;
    let (winner, started, _) = scripted(&[(v6(1), Fate::Fails(10, refused)), (v4(1), Fate::Connects(10))]).await;
    assert_eq!(winner.expect("connected"), v4(1));
    assert!(started[1].1 < 20, "{started:?}");
}

#[tokio::test(start_paused = true)]
async fn when_all_fail_the_most_telling_failure_is_reported() {
    let script = [
        (v6(1), Fate::Fails(0, io::ErrorKind::NetworkUnreachable)),
        (v4(1), Fate::Fails(5, io::ErrorKind::ConnectionRefused)),
        (v6(2), Fate::Fails(0, io::ErrorKind::NetworkUnreachable)),
    ];
    let (outcome, started, _) = scripted(&script).await;
    assert_eq!(outcome.expect_err("all failed").kind(), io::ErrorKind::ConnectionRefused);
    assert_eq!(started.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_whole_of_it_is_limited() {
    let (outcome, started, took) = scripted(&[(v6(1), Fate::Hangs), (v4(1), Fate::Hangs)]).await;
    assert_eq!(outcome.expect_err("nothing answers").kind(), io::ErrorKind::TimedOut);
    assert_eq!((started.len(), took), (2, 20_000));
}

async fn listener(address: &str) -> (tokio::net::TcpListener, SocketAddr) {
    let listener = tokio::net::TcpListener::bind(address).await.expect("bound");
    let address = listener.local_addr().expect("bound");
    (listener, address)
}

#[tokio::test]
async fn real_sockets_skip_a_refusing_port_and_remember_who_answered() {
    let (gone, refusing) = listener("[::1]:0").await;
    drop(gone);
    let (open, answering) = listener("127.0.0.1:0").await;
    let dialler = Dialler::default();
    let stream = dialler.connect("a.example", &[refusing, answering]).await.expect("connected");
    assert_eq!(stream.peer_addr().expect("connected"), answering);
    assert!(stream.nodelay().expect("option"));
    assert!(SockRef::from(&stream).keepalive().expect("option"));
    drop(open);
    let key = dialler.hasher.hash_one("a.example");
    assert_eq!(dialler.winner(key), Some(answering.ip()));
    assert_eq!(dialler.winner(dialler.hasher.hash_one("b.example")), None);
    let error = dialler.connect("a.example", &[refusing, answering]).await.expect_err("both refuse now");
    assert!(matches!(&error, DialError::Failed(inner) if inner.kind() == io::ErrorKind::ConnectionRefused));
    assert_eq!(error.to_string(), "connecting failed: connection refused");
    assert!(matches!(dialler.connect("a.example", &[]).await, Err(DialError::NoAddress)));
}

#[tokio::test(start_paused = true)]
async fn a_winner_is_forgotten_in_time_and_their_number_is_bounded() {
    let dialler = Dialler::default();
    let remember = |key: u64| {
        dialler.winners.lock().put(key, Winner { address: v4(1).ip(), since: Instant::now() });
    };
    remember(1);
    tokio::time::advance(WINNER_LIFE - Duration::from_secs(1)).await;
    assert!(dialler.winner(1).is_some());
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(dialler.winner(1).is_none());
    (0..5_000).for_each(remember);
    assert_eq!(dialler.winners.lock().len(), WINNERS.get());
}

#[tokio::test]
async fn the_egress_address_is_the_source() {
    let (open, address) = listener("127.0.0.1:0").await;
    let egress = Ipv4Addr::new(127, 0, 0, 9);
    let dialler =
        Dialler::new(Options { egress_v4: Some(egress), unsent_low_water: Some(128 * 1024), ..Options::default() });
    let addresses = [address];
    let (stream, accepted) = tokio::join!(dialler.connect("x", &addresses), open.accept());
    let (_, peer) = accepted.expect("accepted");
    assert_eq!(peer.ip(), egress);
    assert_eq!(stream.expect("connected").local_addr().expect("bound"), peer);
}
