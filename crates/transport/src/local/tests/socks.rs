use super::*;
use std::net::SocketAddr;

const CONNECT: &[u8] = b"\x05\x01\x00\x05\x01\x00\x03\x0cNews.Example\x01\xbb";

#[tokio::test]
async fn connect_and_early_bytes() {
    let input = [CONNECT, b"first words"].concat();
    let (next, mut program) = ask(&input, &Auth::None).await;
    let (target, reply) = tcp(next);
    assert_eq!(target, Target::Name("news.example".into(), 443));
    exactly(&mut program, b"\x05\x00").await;
    let bound: SocketAddr = "192.0.2.9:8080".parse().unwrap();
    let io = reply.accept(Some(bound)).await.unwrap();
    assert!(matches!(io, Io::Tcp(_)), "a plain socket can be spliced");
    let (mut server, relay) = relayed(io).await;
    exactly(&mut program, b"\x05\x00\x00\x01\xc0\x00\x02\x09\x1f\x90").await;
    exactly(&mut server, b"first words").await;
    program.write_all(b" and more").await.unwrap();
    exactly(&mut server, b" and more").await;
    server.write_all(b"answer").await.unwrap();
    exactly(&mut program, b"answer").await;
    drop((program, server));
    relay.await.unwrap();
}

#[tokio::test]
async fn byte_by_byte_with_password() {
    let (ours, mut program) = pair().await;
    program.set_nodelay(true).unwrap();
    let input = b"\x05\x02\x00\x02\x01\x01u\x02pw\x05\x01\x00\x01\xc0\x00\x02\x07\x00\x50";
    let speak = async {
        for byte in input {
            program.write_all(&[*byte]).await.unwrap();
        }
        exactly(&mut program, b"\x05\x02\x01\x00").await;
    };
    let (auth, limits) = (password(), Limits::default());
    let (next, ()) = tokio::join!(accept(ours.into(), &auth, &limits), speak);
    assert_eq!(tcp(next).0, Target::Addr("192.0.2.7:80".parse().unwrap()));
}

#[tokio::test]
async fn a_wrong_password_ends_it() {
    let auth = password();
    assert_eq!(told(b"\x05\x01\x00", &auth).await, b"\x05\xff");
    assert_eq!(told(b"\x05\x01\x02\x01\x01u\x02PW", &auth).await, b"\x05\x02\x01\x01");
    assert_eq!(told(b"\x05\x01\x02\x01\x00\x00", &auth).await, b"\x05\x02\x01\x01");
}

#[tokio::test]
async fn what_is_not_offered_is_refused_in_socks() {
    assert_eq!(told(b"\x04\x01\x00\x50\x01\x02\x03\x04x\x00", &Auth::None).await, b"\x00\x5b\0\0\0\0\0\0");
    assert_eq!(
        told(b"\x05\x01\x00\x05\x02\x00\x01\x01\x02\x03\x04\x00\x50", &Auth::None).await,
        b"\x05\x00\x05\x07\x00\x01\0\0\0\0\0\0"
    );
    for name in [&b"a b"[..], b"h\0", b"h\r\n", b"[::1", b"u@h", b"\xff"] {
        let length = u8::try_from(name.len()).unwrap();
        let input = [b"\x05\x01\x00\x05\x01\x00\x03", &[length][..], name, b"\x00\x50"].concat();
        assert_eq!(told(&input, &Auth::None).await, b"\x05\x00\x05\x04\x00\x01\0\0\0\0\0\0", "{name:?}");
    }
}

#[tokio::test]
async fn every_refusal_has_a_code() {
    for (why, code) in [
        (Refusal::Policy, 2),
        (Refusal::Name, 4),
        (Refusal::Unreachable, 3),
        (Refusal::Refused, 5),
        (Refusal::Timeout, 6),
        (Refusal::Busy, 1),
        (Refusal::Upstream, 3),
        (Refusal::Failed, 1),
    ] {
        let (next, mut program) = ask(CONNECT, &Auth::None).await;
        let (_, reply) = tcp(next);
        let heard = async {
            let mut heard = Vec::new();
            program.read_to_end(&mut heard).await.unwrap();
            drop(program);
            heard
        };
        let ((), heard) = tokio::join!(reply.refuse(why), heard);
        assert_eq!(heard, [5, 0, 5, code, 0, 1, 0, 0, 0, 0, 0, 0], "{why:?}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_serves_streams_but_no_datagrams() {
    let (ours, mut program) = tokio::net::UnixStream::pair().unwrap();
    program.write_all(&[CONNECT, b"early"].concat()).await.unwrap();
    let (target, reply) = tcp(accept(ours.into(), &Auth::None, &Limits::default()).await);
    assert_eq!(target.port(), 443);
    let (mut server, relay) = relayed(reply.accept(None).await.unwrap()).await;
    exactly(&mut server, b"early").await;
    drop((program, server));
    relay.await.unwrap();

    let (ours, mut program) = tokio::net::UnixStream::pair().unwrap();
    program.write_all(b"\x05\x01\x00\x05\x03\x00\x01\0\0\0\0\0\0").await.unwrap();
    let limits = Limits::default();
    let heard = async move {
        let mut heard = Vec::new();
        program.read_to_end(&mut heard).await.unwrap();
        heard
    };
    let (next, heard) = tokio::join!(accept(ours.into(), &Auth::None, &limits), heard);
    assert!(matches!(next, Ok(Next::Done)));
    assert_eq!(heard, b"\x05\x00\x05\x07\x00\x01\0\0\0\0\0\0");
}
