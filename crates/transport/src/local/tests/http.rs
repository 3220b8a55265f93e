use super::*;

async fn forwarded(request: &str) -> (TcpStream, TcpStream, tokio::task::JoinHandle<Outcome>) {
    let (next, program) = ask(request.as_bytes(), &Auth::None).await;
    let (target, reply) = tcp(next);
    assert_eq!(target, Target::Name("h".into(), 80));
    let (server, relay) = relayed(reply.accept(None).await.unwrap()).await;
    (program, server, relay)
}

#[tokio::test]
async fn connect_and_early_bytes() {
    let (next, mut program) = ask(b"CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: x\r\n\r\n\x16\x03", &Auth::None).await;
    let (target, reply) = tcp(next);
    assert_eq!(target, Target::Addr("[2001:db8::1]:443".parse().unwrap()));
    let io = reply.accept(None).await.unwrap();
    assert!(matches!(io, Io::Tcp(_)), "a plain socket can be spliced");
    let (mut server, relay) = relayed(io).await;
    exactly(&mut program, b"HTTP/1.1 200 Connection established\r\n\r\n").await;
    exactly(&mut server, b"\x16\x03").await;
    drop((program, server));
    relay.await.unwrap();
}

#[tokio::test]
async fn password_or_407() {
    let auth = password();
    for credentials in ["", "Proxy-Authorization: Basic dTpQVw==\r\n", "Proxy-Authorization: Bearer dTpwdw==\r\n"] {
        let head = format!("CONNECT h:443 HTTP/1.1\r\n{credentials}\r\n");
        let heard = String::from_utf8(told(head.as_bytes(), &auth).await).unwrap();
        assert!(
            heard.starts_with("HTTP/1.1 407 ") && heard.contains("\r\nProxy-Authenticate: Basic realm=\"proxy\"\r\n")
        );
    }
    let (next, _program) = ask(b"CONNECT h:443 HTTP/1.1\r\nProxy-Authorization: Basic dTpwdw==\r\n\r\n", &auth).await;
    assert_eq!(tcp(next).0, Target::Name("h".into(), 443));
}

#[tokio::test]
async fn refusals_are_pages() {
    for (input, status) in [
        ("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400),
        ("CONNECT a%b:443 HTTP/1.1\r\n\r\n", 400),
        ("CONNECT [::1%25lo]:443 HTTP/1.1\r\n\r\n", 400),
        ("TRACE http://h/ HTTP/1.1\r\nHost: h\r\n\r\n", 405),
        ("GET http://h/ HTTP/3\r\n\r\n", 505),
    ] {
        let heard = String::from_utf8(told(input.as_bytes(), &Auth::None).await).unwrap();
        assert!(heard.starts_with(&format!("HTTP/1.1 {status} ")), "{input:?}: {heard}");
    }
    for (why, status) in [
        (Refusal::Policy, 403),
        (Refusal::Name, 502),
        (Refusal::Unreachable, 502),
        (Refusal::Refused, 502),
        (Refusal::Failed, 502),
        (Refusal::Busy, 503),
        (Refusal::Upstream, 503),
        (Refusal::Timeout, 504),
    ] {
        // A large body that nobody reads may not turn the answer into a reset.
        let request =
            format!("POST http://h/ HTTP/1.1\r\nHost: h\r\nContent-Length: 30000\r\n\r\n{}", "x".repeat(30_000));
        let (next, mut program) = ask(request.as_bytes(), &Auth::None).await;
        let heard = async {
            let heard = to_end(&mut program).await;
            drop(program);
            heard
        };
        let ((), heard) = tokio::join!(tcp(next).1.refuse(why), heard);
        assert!(heard.starts_with(&format!("HTTP/1.1 {status} ")), "{why:?}: {heard}");
    }
}

#[tokio::test]
async fn one_plain_request() {
    let request =
        "POST http://h/p HTTP/1.1\r\nHost: h\r\nProxy-Connection: keep-alive\r\nContent-Length: 4\r\n\r\nbody";
    // A second request in the same breath must not reach the first one's server.
    let (mut program, mut server, relay) =
        forwarded(&format!("{request}GET http://other/secret HTTP/1.1\r\n\r\n")).await;
    exactly(&mut server, b"POST /p HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody").await;
    program.write_all(b"GET http://other/secret2 HTTP/1.1\r\n\r\n").await.unwrap();
    program.shutdown().await.unwrap();
    assert_eq!(to_end(&mut server).await, "", "nothing follows the body");
    server.write_all(b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi").await.unwrap();
    drop(server);
    assert_eq!(to_end(&mut program).await, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
    relay.await.unwrap();
}

#[tokio::test]
async fn interim_answers_and_late_bodies() {
    let request = "PUT http://h/ HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n";
    let (mut program, mut server, relay) = forwarded(request).await;
    let head =
        "PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    exactly(&mut server, head.as_bytes()).await;
    server.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
    exactly(&mut program, b"HTTP/1.1 100 Continue\r\n\r\n").await;
    program.write_all(b"3\r\nabc\r\n0\r\n\r\n").await.unwrap();
    exactly(&mut server, b"3\r\nabc\r\n0\r\n\r\n").await;
    server.write_all(b"HTTP/1.1 201 Created\r\n").await.unwrap();
    server.write_all(b"\r\n").await.unwrap();
    drop(server);
    assert_eq!(to_end(&mut program).await, "HTTP/1.1 201 Created\r\nConnection: close\r\n\r\n");
    drop(program);
    relay.await.unwrap();
}

#[tokio::test]
async fn a_server_that_speaks_no_http() {
    for said in [&b"SSH-2.0-x\r\n"[..], b"", b"HTTP/1.1 2"] {
        let (mut program, mut server, relay) = forwarded("GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n").await;
        exactly(&mut server, b"GET / HTTP/1.1\r\n").await;
        server.write_all(said).await.unwrap();
        server.shutdown().await.unwrap();
        let mut page = vec![0; 12];
        program.read_exact(&mut page).await.unwrap();
        assert_eq!(page, b"HTTP/1.1 502");
        drop(program);
        relay.await.unwrap();
    }
}

#[tokio::test]
async fn an_error_page_ends_a_server_that_never_stops() {
    let (mut program, mut server, relay) = forwarded("GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n").await;
    server.write_all(b"garbage").await.unwrap();
    let mut page = vec![0; 12];
    program.read_exact(&mut page).await.unwrap();
    drop(program);
    // The server's side stays open; the relay ends all the same.
    relay.await.unwrap();
    drop(server);
}

#[tokio::test]
async fn broken_bodies_reach_nobody() {
    let request = "POST http://h/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello";
    let (_program, mut server, relay) = forwarded(request).await;
    relay.await.unwrap();
    let mut got = Vec::new();
    let _ = server.read_to_end(&mut got).await;
    assert!(!String::from_utf8_lossy(&got).contains("hello"));
}
