use super::*;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use rozaneh_net::pool::Slice;
use tokio::net::UdpSocket;

use crate::next::PacketIo;

struct Program {
    tcp: TcpStream,
    udp: UdpSocket,
    /// Where the association listens.
    to: SocketAddr,
}

async fn associate(request: &[u8], check: Option<SourceCheck>) -> (Box<dyn PacketIo>, Program) {
    let (ours, mut tcp) = pair().await;
    tcp.write_all(&[b"\x05\x01\x00", request].concat()).await.unwrap();
    let limits = Limits { source_check: check, ..Limits::default() };
    let Ok(Next::Udp { target: None, packets, .. }) = accept(ours.into(), &Auth::None, &limits).await else {
        panic!("no association")
    };
    let mut reply = [0; 12];
    tcp.read_exact(&mut reply).await.unwrap();
    assert_eq!(&reply[..10], b"\x05\x00\x05\x00\x00\x01\x7f\x00\x00\x01", "bound beside the listener, on loopback");
    let to = SocketAddr::from(([127, 0, 0, 1], u16::from_be_bytes([reply[10], reply[11]])));
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    (packets, Program { tcp, udp, to })
}

const ANY: &[u8] = b"\x05\x03\x00\x01\0\0\0\0\0\0";

async fn receive(packets: &mut dyn PacketIo, most: usize) -> Vec<(Target, Slice)> {
    let mut into = Vec::with_capacity(most);
    let count = std::future::poll_fn(|cx| packets.poll_recv(cx, &mut into)).await.unwrap();
    assert_eq!(count, into.len());
    into
}

async fn send(packets: &mut dyn PacketIo, target: Target, payload: &[u8]) {
    let mut batch = vec![(target, Slice::copy_from(payload))];
    std::future::poll_fn(|cx| packets.poll_send(cx, &mut batch)).await.unwrap();
    assert!(batch.is_empty());
}

fn addr(text: &str) -> Target {
    Target::Addr(text.parse().unwrap())
}

#[tokio::test]
async fn there_and_back() {
    let (mut packets, program) = associate(ANY, None).await;
    program.udp.send_to(b"\0\0\0\x01\x09\x09\x09\x09\x00\x35query", program.to).await.unwrap();
    let got = receive(&mut *packets, 8).await;
    assert!(got[0].0 == addr("9.9.9.9:53") && &*got[0].1 == b"query");
    program.udp.send_to(b"\0\0\0\x03\x06h.TEST\x01\xbb", program.to).await.unwrap();
    let got = receive(&mut *packets, 8).await;
    assert!(got[0].0 == Target::Name("h.test".into(), 443) && got[0].1.is_empty());
    let mut buf = [0; 100];
    send(&mut *packets, addr("[2001:db8::1]:53"), b"reply").await;
    let (len, from) = program.udp.recv_from(&mut buf).await.unwrap();
    assert_eq!(from, program.to);
    assert_eq!(&buf[..len], b"\0\0\0\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x35reply");
    send(&mut *packets, Target::Name("h".into(), 1), b"x").await;
    let (len, _) = program.udp.recv_from(&mut buf).await.unwrap();
    assert_eq!(&buf[..len], b"\0\0\0\x03\x01h\x00\x01x");
}

#[tokio::test]
async fn bad_datagrams_are_dropped_and_batches_are_bounded() {
    let (mut packets, program) = associate(ANY, None).await;
    for bad in [
        &b""[..],
        b"\0\0",
        b"\0\0\x01\x01\x01\x02\x03\x04\x00\x50frag",
        b"\0\0\0\x09",
        b"\0\0\0\x03\x03a b\x00\x50",
        b"\xff\0\0\x01\x01\x02\x03\x04\x00\x50",
    ] {
        program.udp.send_to(bad, program.to).await.unwrap();
    }
    for n in 0..10 {
        program.udp.send_to(&[b"\0\0\0\x01\x01\x02\x03\x04\x00\x50", &[n][..]].concat(), program.to).await.unwrap();
    }
    let mut seen = Vec::new();
    while seen.len() < 10 {
        let got = receive(&mut *packets, 3).await;
        assert!(got.len() <= 3);
        seen.extend(got.iter().map(|(_, payload)| payload[0]));
    }
    assert_eq!(seen, (0..10).collect::<Vec<_>>());
    // The largest datagram there is passes whole.
    let big = [b"\0\0\0\x01\x01\x02\x03\x04\x00\x50", &vec![7; 65_497][..]].concat();
    program.udp.send_to(&big, program.to).await.unwrap();
    assert_eq!(receive(&mut *packets, 1).await[0].1.len(), 65_497);
    // One that is too large to be sent back is dropped, and the next one is not.
    send(&mut *packets, addr("1.2.3.4:80"), &[1; 65_507]).await;
    send(&mut *packets, addr("1.2.3.4:80"), b"ok").await;
    let mut buf = [0; 100];
    assert_eq!(program.udp.recv_from(&mut buf).await.unwrap().0, 12);
}

#[tokio::test]
async fn only_the_first_source_is_heard() {
    let (mut packets, program) = associate(ANY, None).await;
    // Before anybody spoke there is nobody to answer.
    send(&mut *packets, addr("1.2.3.4:80"), b"too early").await;
    let datagram = |text: &[u8]| [b"\0\0\0\x01\x01\x02\x03\x04\x00\x50", text].concat();
    program.udp.send_to(&datagram(b"mine"), program.to).await.unwrap();
    assert_eq!(&*receive(&mut *packets, 8).await[0].1, b"mine");
    let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let elsewhere = UdpSocket::bind("127.0.0.2:0").await.unwrap();
    other.send_to(&datagram(b"theirs"), program.to).await.unwrap();
    elsewhere.send_to(&datagram(b"theirs"), program.to).await.unwrap();
    program.udp.send_to(&datagram(b"again"), program.to).await.unwrap();
    let got = receive(&mut *packets, 8).await;
    assert_eq!(got.iter().map(|(_, payload)| payload.to_vec()).collect::<Vec<_>>(), [b"again"]);
    send(&mut *packets, addr("1.2.3.4:80"), b"back").await;
    let mut buf = [0; 100];
    let (len, _) = program.udp.recv_from(&mut buf).await.unwrap();
    assert!(buf[..len].ends_with(b"back"));
}

#[tokio::test]
async fn a_port_named_in_the_request_counts() {
    let right = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = right.local_addr().unwrap().port().to_be_bytes();
    let (mut packets, program) = associate(&[b"\x05\x03\x00\x01\x7f\0\0\x01", &port[..]].concat(), None).await;
    program.udp.send_to(b"\0\0\0\x01\x01\x02\x03\x04\x00\x50wrong", program.to).await.unwrap();
    right.send_to(b"\0\0\0\x01\x01\x02\x03\x04\x00\x50right", program.to).await.unwrap();
    assert_eq!(&*receive(&mut *packets, 8).await[0].1, b"right");
}

#[tokio::test]
async fn another_users_socket_is_not_heard() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    fn second_only(_own: SocketAddr, from: SocketAddr) -> io::Result<bool> {
        assert!(from.ip().is_loopback());
        match ASKED.fetch_add(1, Ordering::Relaxed) {
            0 => Ok(false),
            1 => Err(io::ErrorKind::PermissionDenied.into()),
            _ => Ok(true),
        }
    }
    let (mut packets, program) = associate(ANY, Some(second_only)).await;
    for text in [&b"1"[..], b"2", b"3", b"4"] {
        program.udp.send_to(&[b"\0\0\0\x01\x01\x02\x03\x04\x00\x50", text].concat(), program.to).await.unwrap();
    }
    let mut seen = Vec::new();
    while seen.len() < 2 {
        seen.extend(receive(&mut *packets, 8).await.iter().map(|(_, payload)| payload[0]));
    }
    assert_eq!(seen, b"34");
    assert_eq!(ASKED.load(Ordering::Relaxed), 3, "asked until the source is known, and not after");
}

#[tokio::test]
async fn both_live_and_die_together() {
    let (mut packets, mut program) = associate(ANY, None).await;
    program.tcp.write_all(b"nothing of interest").await.unwrap();
    program.udp.send_to(b"\0\0\0\x01\x01\x02\x03\x04\x00\x50x", program.to).await.unwrap();
    assert_eq!(receive(&mut *packets, 8).await.len(), 1);
    program.tcp.shutdown().await.unwrap();
    assert!(receive(&mut *packets, 8).await.is_empty(), "the connection ended, and so does the association");

    let (packets, mut program) = associate(ANY, None).await;
    drop(packets);
    assert_eq!(program.tcp.read(&mut [0; 8]).await.unwrap(), 0, "the association ended, and so does the connection");
    // The port is free again: nothing listens there any more.
    program.udp.connect(program.to).await.unwrap();
    program.udp.send(b"x").await.unwrap();
    assert_eq!(program.udp.recv(&mut [0; 8]).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn our_own_socket_passes_the_real_check() {
    let (mut packets, program) = associate(ANY, Some(rozaneh_net::peer::same_user_udp)).await;
    program.udp.send_to(b"\0\0\0\x01\x01\x02\x03\x04\x00\x50mine", program.to).await.unwrap();
    assert_eq!(&*receive(&mut *packets, 8).await[0].1, b"mine");
}

#[tokio::test]
async fn trains_go_through_in_order() {
    let (mut packets, program) = associate(ANY, None).await;
    let head = b"\0\0\0\x01\x01\x02\x03\x04\x00\x50";
    program.udp.send_to(&[head, &[0u8][..]].concat(), program.to).await.unwrap();
    receive(&mut *packets, 1).await;
    // More than one batch of equal datagrams back to the program, which may leave as trains; few and small enough for
    // the kernel's smallest receive buffer.
    let mut batch: Vec<_> = (0..70u8).map(|n| (addr("1.2.3.4:80"), Slice::from_vec(vec![n; 100]))).collect();
    std::future::poll_fn(|cx| packets.poll_send(cx, &mut batch)).await.unwrap();
    let mut buf = [0; 2_000];
    for n in 0..70u8 {
        let (len, _) = program.udp.recv_from(&mut buf).await.unwrap();
        assert_eq!(buf[..len], [&head[..], &[n; 100]].concat());
    }
}
