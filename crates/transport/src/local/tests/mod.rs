//! Real sockets on loopback; every wait is for an event, never for time.

mod http;
mod socks;
mod udp;

use std::time::Duration;

use rozaneh_net::relay::{Control, Outcome, relay};
use rozaneh_net::stream::Io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::next::{Refusal, Reply};
use crate::target::Target;

fn password() -> Auth {
    let hash = digest::digest(&digest::SHA256, b"pw");
    Auth::Password { user: "u".into(), password_sha256: hash.as_ref().try_into().unwrap() }
}

/// A connected pair: the listener's side and the program's.
async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (ours, program) = tokio::join!(listener.accept(), TcpStream::connect(address));
    (ours.unwrap().0, program.unwrap())
}

/// Serves one program that says `input` at once; gives back what comes next and the program's socket.
async fn ask(input: &[u8], auth: &Auth) -> (io::Result<Next>, TcpStream) {
    let (ours, mut program) = pair().await;
    program.write_all(input).await.unwrap();
    (accept(ours.into(), auth, &Limits::default()).await, program)
}

/// The same for a program that must be turned away: everything it hears until the end. The program closes first, so
/// that nobody lingers.
async fn told(input: &[u8], auth: &Auth) -> Vec<u8> {
    let (ours, mut program) = pair().await;
    program.write_all(input).await.unwrap();
    let limits = Limits::default();
    let heard = async move {
        let mut heard = Vec::new();
        program.read_to_end(&mut heard).await.unwrap();
        heard
    };
    let (next, heard) = tokio::join!(accept(ours.into(), auth, &limits), heard);
    assert!(matches!(next, Ok(Next::Done)));
    heard
}

fn tcp(next: io::Result<Next>) -> (Target, Box<dyn Reply>) {
    match next {
        Ok(Next::Tcp { target, reply, .. }) => (target, reply),
        Ok(_) => panic!("no stream"),
        Err(error) => panic!("{error}"),
    }
}

/// Relays to a server of the test's own; returns the server's socket and the relay's end.
async fn relayed(io: Io) -> (TcpStream, tokio::task::JoinHandle<Outcome>) {
    let (server, dialled) = pair().await;
    (server, tokio::spawn(relay(io, dialled.into(), Control::default())))
}

async fn exactly(stream: &mut TcpStream, expected: &[u8]) {
    let mut got = vec![0; expected.len()];
    stream.read_exact(&mut got).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&got), String::from_utf8_lossy(expected));
}

async fn to_end(stream: &mut TcpStream) -> String {
    let mut got = Vec::new();
    stream.read_to_end(&mut got).await.unwrap();
    String::from_utf8(got).unwrap()
}

#[test]
fn credentials() {
    let auth = password();
    assert!(auth.allows(b"u", b"pw"));
    for (user, password) in
        [(&b"u"[..], &b"pW"[..]), (b"U", b"pw"), (b"", b""), (b"u", b""), (b"u\0", b"pw"), (b"u", b"pw ")]
    {
        assert!(!auth.allows(user, password));
    }
    assert!(Auth::None.allows(b"x", b"y"));
}

#[tokio::test(start_paused = true)]
async fn a_silent_program_is_let_go() {
    for said in [&b""[..], b"\x05", b"\x05\x01\x00", b"CONNECT h:443 HTTP/1.1\r\n"] {
        let (ours, mut program) = pair().await;
        program.write_all(said).await.unwrap();
        let before = tokio::time::Instant::now();
        let error = accept(ours.into(), &Auth::None, &Limits::default()).await.err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(before.elapsed() >= Duration::from_secs(30));
        drop(program);
    }
}

#[tokio::test]
async fn an_early_end_is_an_error() {
    for said in [&b""[..], b"\x05", b"\x05\x01\x00\x05\x01", b"GET"] {
        let (ours, mut program) = pair().await;
        program.write_all(said).await.unwrap();
        program.shutdown().await.unwrap();
        let error = accept(ours.into(), &Auth::None, &Limits::default()).await.err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{said:?}");
    }
}

#[tokio::test]
async fn neither_protocol() {
    let heard = told(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", &Auth::None).await;
    assert!(heard.starts_with(b"HTTP/1.1 400 "));
}
