use super::body::{Framing, Tracker};
use super::response::Rewriter;
use super::*;
use proptest::prelude::*;

fn read(input: &[u8], step: usize) -> Result<(Request, Vec<u8>), Problem> {
    let mut reader = RequestReader::new();
    let mut at = 0;
    for chunk in input.chunks(step) {
        let (taken, request) = reader.feed(chunk)?;
        at += taken;
        if let Some(request) = request {
            return Ok((request, input[at..].to_vec()));
        }
        assert_eq!(taken, chunk.len());
    }
    panic!("the head is not whole: {:.200}", String::from_utf8_lossy(input));
}

fn forwarded(input: &str) -> (String, Framing) {
    match read(input.as_bytes(), input.len()).unwrap().0.form {
        Form::Forward { head, body, .. } => (String::from_utf8(head).unwrap(), body),
        Form::Connect => panic!("a tunnel"),
    }
}

fn refused(input: &[u8]) -> u16 {
    let mut reader = RequestReader::new();
    match reader.feed(input) {
        Err(problem) => problem.status,
        Ok(other) => panic!("{other:?} for {:.200}", String::from_utf8_lossy(input)),
    }
}

#[test]
fn connect() {
    let input = b"CONNECT news.example:443 HTTP/1.1\r\nHost: news.example:443\r\nProxy-Authorization: basic dXNlcjpwYTpzcw==\r\n\r\n\x16\x03\x01";
    for step in 1..=input.len() {
        let (request, rest) = read(input, step).unwrap();
        assert_eq!((request.form, &request.host[..], request.port), (Form::Connect, "news.example", 443));
        assert_eq!(request.credentials, Some(Credentials { user: b"user".to_vec(), password: b"pa:ss".to_vec() }));
        assert_eq!(rest, b"\x16\x03\x01", "bytes behind the head are the tunnel's");
    }
    let (request, _) = read(b"\r\nCONNECT [2001:db8::1]:8443 HTTP/1.0\r\n\r\n", 99).unwrap();
    assert_eq!((&request.host[..], request.port, request.credentials), ("[2001:db8::1]", 8443, None));
    assert_eq!(format!("{:?}", read(input, 9).unwrap().0), "Request(Connect, …)");
}

#[test]
fn rewriting_golden() {
    let (head, body) = forwarded(
        "GET HTTP://News.Example:8080/a%20b?q=1 HTTP/1.1\r\nhOST: other\r\nProxy-Connection: keep-alive\r\n\
         User-Agent:  x \r\nX-Empty:\r\nConnection: keep-alive, X-Drop\r\nx-drop: 1\r\nTE: trailers\r\nUpgrade: h2c\r\n\
         Proxy-Authorization: Basic eDp5\r\nAccept: a\r\nAccept: b\r\nCookie: c=d\r\n\r\n",
    );
    assert_eq!(
        head,
        "GET /a%20b?q=1 HTTP/1.1\r\nhOST: News.Example:8080\r\nConnection: close\r\nUser-Agent: x\r\nX-Empty: \r\n\
         Accept: a\r\nAccept: b\r\nCookie: c=d\r\n\r\n"
    );
    assert_eq!(body, Framing::Length(0));
    for (target, method, path, host) in [
        ("http://h", "GET", "/", "h"),
        ("http://h:/", "GET", "/", "h:"),
        ("http://h?x", "GET", "/?x", "h"),
        ("http://h", "OPTIONS", "*", "h"),
        ("http://h/", "OPTIONS", "/", "h"),
        ("http://[::1]:81//x", "GET", "//x", "[::1]:81"),
        ("http://127.1/", "GET", "/", "127.1"),
    ] {
        let (head, _) = forwarded(&format!("{method} {target} HTTP/1.0\r\n\r\n"));
        assert_eq!(head, format!("{method} {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n"), "{target}");
    }
    let (_, body) = forwarded("POST http://h/ HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\n\r\n");
    assert_eq!(body, Framing::Length(12));
    let (head, body) = forwarded("POST http://h/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n");
    assert_eq!(body, Framing::Chunked);
    assert!(head.contains("Transfer-Encoding: Chunked\r\n"));
}

#[test]
fn what_is_not_served() {
    let host = "Host: h\r\n";
    let many = "A: b\r\n".repeat(MAX_FIELDS);
    let wide = "a".repeat(MAX_HEAD);
    for (status, head) in [
        (400, "GET / HTTP/1.1\r\nHost: h\r\n\r\n".to_owned()),
        (400, "GET h/x HTTP/1.1\r\nHost: h\r\n\r\n".into()),
        (400, "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n".into()),
        (400, format!("GET https://h/ HTTP/1.1\r\n{host}\r\n")),
        (400, format!("GET ftp://h/ HTTP/1.1\r\n{host}\r\n")),
        (400, "GET http://h/ HTTP/1.1\r\n\r\n".into()),
        (400, format!("GET http://h/ HTTP/1.1\r\n{host}{host}\r\n")),
        (400, format!("GET http://u@h/ HTTP/1.1\r\n{host}\r\n")),
        (400, format!("GET http:///x HTTP/1.1\r\n{host}\r\n")),
        (400, format!("GET http://:80/ HTTP/1.1\r\n{host}\r\n")),
        (400, format!("GET http://h:x/ HTTP/1.1\r\n{host}\r\n")),
        (400, format!("GET http://h:0/ HTTP/1.1\r\n{host}\r\n")),
        (400, format!("GET http://h:65536/ HTTP/1.1\r\n{host}\r\n")),
        (400, format!("GET http://h/#x HTTP/1.1\r\n{host}\r\n")),
        (400, format!("GET http://h/\t HTTP/1.1\r\n{host}\r\n")),
        (400, format!("GET http://[::1/ HTTP/1.1\r\n{host}\r\n")),
        (400, format!("GET http://[::1]x/ HTTP/1.1\r\n{host}\r\n")),
        (400, format!("GET  http://h/ HTTP/1.1\r\n{host}\r\n")),
        (400, format!("GET http://h/ HTTP/1.1 \r\n{host}\r\n")),
        (400, format!("GET http://h/\r\n{host}\r\n")),
        (400, format!("GE(T http://h/ HTTP/1.1\r\n{host}\r\n")),
        (400, format!("GET http://h/ HTTX/1.1\r\n{host}\r\n")),
        (505, format!("GET http://h/ HTTP/2.0\r\n{host}\r\n")),
        (505, "PRI * HTTP/2.0\r\n\r\n".into()),
        (405, format!("TRACE http://h/ HTTP/1.1\r\n{host}\r\n")),
        (400, format!("GET http://h/ HTTP/1.1\r\n{host}A : b\r\n\r\n")),
        (400, format!("GET http://h/ HTTP/1.1\r\n{host}A: b\r\n c\r\n\r\n")),
        (400, format!("GET http://h/ HTTP/1.1\r\n A: b\r\n{host}\r\n")),
        (400, format!("GET http://h/ HTTP/1.1\r\n{host}A\r\n\r\n")),
        (400, format!("GET http://h/ HTTP/1.1\r\n{host}: b\r\n\r\n")),
        (400, format!("GET http://h/ HTTP/1.1\r\n{host}A: b\rc\r\n\r\n")),
        (400, format!("GET http://h/ HTTP/1.1\r\n{host}A: b\0c\r\n\r\n")),
        (400, format!("GET http://h/ HTTP/1.1\n{host}\r\n")),
        (400, format!("GET http://h/ HTTP/1.1\r\n{host}\n")),
        (400, "\r\n\r\n".into()),
        (400, format!("POST http://h/ HTTP/1.1\r\n{host}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n")),
        (400, format!("POST http://h/ HTTP/1.1\r\n{host}Content-Length: 1\r\nContent-Length: 1\r\n\r\n")),
        (400, format!("POST http://h/ HTTP/1.1\r\n{host}Content-Length: 1, 1\r\n\r\n")),
        (400, format!("POST http://h/ HTTP/1.1\r\n{host}Content-Length: +1\r\n\r\n")),
        (400, format!("POST http://h/ HTTP/1.1\r\n{host}Content-Length:\r\n\r\n")),
        (400, format!("POST http://h/ HTTP/1.1\r\n{host}Content-Length: 18446744073709551616\r\n\r\n")),
        (400, "POST http://h/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".into()),
        (501, format!("POST http://h/ HTTP/1.1\r\n{host}Transfer-Encoding: gzip, chunked\r\n\r\n")),
        (
            501,
            format!(
                "POST http://h/ HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"
            ),
        ),
        (501, format!("POST http://h/ HTTP/1.1\r\n{host}Transfer-Encoding: \x0bchunked\r\n\r\n").replace('\x0b', "x")),
        (400, format!("GET http://h/ HTTP/1.1\r\n{host}Connection: close, Content-Length\r\n\r\n")),
        (400, format!("GET http://h/ HTTP/1.1\r\n{host}Proxy-Connection: HOST\r\n\r\n")),
        (400, "CONNECT h HTTP/1.1\r\nHost: h\r\n\r\n".into()),
        (400, "CONNECT h: HTTP/1.1\r\nHost: h\r\n\r\n".into()),
        (400, "CONNECT :443 HTTP/1.1\r\nHost: h\r\n\r\n".into()),
        (400, "CONNECT http://h:443/ HTTP/1.1\r\nHost: h\r\n\r\n".into()),
        (400, "CONNECT h:443/ HTTP/1.1\r\nHost: h\r\n\r\n".into()),
        (400, "CONNECT u@h:443 HTTP/1.1\r\nHost: h\r\n\r\n".into()),
        (400, "CONNECT h:443 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc".into()),
        (400, "CONNECT h:443 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n".into()),
        (400, "CONNECT h:443 HTTP/1.1\r\nProxy-Authorization: a b\r\nProxy-Authorization: a b\r\n\r\n".into()),
        (431, format!("GET http://h/ HTTP/1.1\r\n{host}{many}\r\n")),
        (431, format!("GET http://h/{wide} HTTP/1.1\r\n{host}\r\n")),
        (431, wide.clone() + "a"),
    ] {
        assert_eq!(refused(head.as_bytes()), status, "{head:.200}");
    }
    // Exactly at the limit it is served.
    let start = "GET http://h/ HTTP/1.0\r\nA: ";
    let full = format!("{start}{}\r\n\r\n", "a".repeat(MAX_HEAD - start.len() - 4));
    assert_eq!(full.len(), MAX_HEAD);
    assert!(read(full.as_bytes(), 1_000).is_ok());
    assert_eq!(refused(full.replacen("A: ", "A:  ", 1).as_bytes()), 431);
}

#[test]
fn unreadable_credentials_are_none() {
    for value in [
        "",
        "Basic",
        "Basic ",
        "Basic !",
        "Basic dXNlcg==",
        "Bearer dXNlcjpw",
        "dXNlcjpw",
        "Basic dXNlcjpw=",
        "Basicx dXNlcjpw",
    ] {
        let head = format!("CONNECT h:443 HTTP/1.1\r\nProxy-Authorization: {value}\r\n\r\n");
        assert_eq!(read(head.as_bytes(), 99).unwrap().0.credentials, None, "{value}");
    }
}

#[test]
fn error_pages() {
    let all = [
        Problem::NOT_A_PROXY_REQUEST,
        Problem::SCHEME,
        Problem::FORBIDDEN,
        Problem::METHOD,
        Problem::CREDENTIALS,
        Problem::TOO_LARGE,
        Problem::CODING,
        Problem::BAD_GATEWAY,
        Problem::UNAVAILABLE,
        Problem::TIMEOUT,
        Problem::VERSION,
        Problem::malformed("X."),
    ];
    for problem in all {
        let text = String::from_utf8(problem.response(false)).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {} ", problem.status)) && head.ends_with("Connection: close"));
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())));
        assert_eq!(body.lines().collect::<Vec<_>>(), [problem.what, problem.next]);
        assert_eq!(String::from_utf8(problem.response(true)).unwrap(), format!("{head}\r\n\r\n"));
    }
    assert_eq!(
        String::from_utf8(Problem::CREDENTIALS.response(true)).unwrap().lines().nth(3),
        Some("Proxy-Authenticate: Basic realm=\"proxy\"")
    );
}

fn track(framing: Framing, input: &[u8], step: usize) -> (usize, bool, bool) {
    let mut tracker = Tracker::new(framing);
    let mut at = 0;
    for chunk in input.chunks(step) {
        match tracker.feed(chunk) {
            Ok(taken) => at += taken,
            Err(_) => {
                assert!(tracker.feed(b"0").is_err());
                return (at, false, true);
            }
        }
    }
    (at, tracker.is_done(), false)
}

#[test]
fn bodies_end_where_they_end() {
    for (framing, body, rest) in [
        (Framing::Length(0), "", "GET"),
        (Framing::Length(5), "hello", "GET"),
        (Framing::Chunked, "0\r\n\r\n", "GET"),
        (Framing::Chunked, "5\r\nhello\r\n0\r\n\r\n", "0\r\n\r\n"),
        (Framing::Chunked, "00A;x=\"y\"\r\n0123456789\r\n1 \t;x\r\n!\r\n0\r\nA: b\r\nC: d\r\n\r\n", "5"),
    ] {
        let input = [body, rest].concat();
        for step in 1..=input.len() {
            assert_eq!(track(framing, input.as_bytes(), step), (body.len(), true, false), "{body}");
        }
        for cut in 0..body.len() {
            let (at, done, broken) = track(framing, &body.as_bytes()[..cut], 3);
            assert_eq!((at, done, broken), (cut, false, false));
        }
    }
    for bad in [
        "\r\n",
        ";\r\n",
        "x\r\n",
        "-1\r\n",
        "0x5\r\nhello\r\n",
        "5\nhello\r\n",
        "5\r\nhello!\r\n",
        "5\r\nhello\n",
        "5\r\rhello",
        "0\r\n A: b\r\n\r\n",
        "0\r\nA: b\n\r\n",
        "0\r\n\r!",
        "5;\x01\r\nhello",
        "5;a\nhello\r\n",
        "1000000000000000\r\n",
        "5;\rx",
    ] {
        assert!(track(Framing::Chunked, bad.as_bytes(), 1).2, "{bad:?}");
        assert!(track(Framing::Chunked, bad.as_bytes(), 99).2, "{bad:?}");
    }
    let endless = format!("5;{}", "a".repeat(5_000));
    assert!(track(Framing::Chunked, endless.as_bytes(), 77).2);
    assert!(track(Framing::Length(u64::MAX), &[0; 100], 7) == (100, false, false));
}

fn rewrite(input: &str, step: usize) -> Result<(String, String), String> {
    let mut rewriter = Rewriter::new();
    let mut out = Vec::new();
    let mut at = 0;
    for chunk in input.as_bytes().chunks(step) {
        at += rewriter.feed(chunk, &mut out).map_err(|error| error.why.to_owned())?;
    }
    assert!(rewriter.is_done(), "{input}");
    Ok((String::from_utf8(out).unwrap(), input[at..].to_owned()))
}

#[test]
fn responses() {
    let input = "HTTP/1.1 200 OK\r\nServer: x\r\nConnection: keep-alive, X-Hop\r\nx-hop: 1\r\n folded\r\nKeep-Alive: timeout=5\r\n\
                 Upgrade: h2,h2c\r\nProxy-Authenticate: Basic\r\nContent-Length: 4\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\nbody";
    for step in 1..=input.len() {
        let (head, rest) = rewrite(input, step).unwrap();
        assert_eq!(
            head,
            "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 4\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nConnection: close\r\n\r\n"
        );
        assert_eq!(rest, "body");
    }
    // Sloppy servers are taken as they are, and framing cannot be dropped by naming it.
    let (head, _) = rewrite("HTTP/1.0 200\nContent-Length : 4\nConnection : Content-Length\nodd line\n\n", 5).unwrap();
    assert_eq!(head, "HTTP/1.0 200\nContent-Length : 4\nodd line\nConnection: close\r\n\r\n");
    let (head, rest) = rewrite("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\nx", 3).unwrap();
    assert_eq!(head, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    assert_eq!(rest, "x");
    for bad in [
        "SSH-2.0-x\r\n".to_owned(),
        "<html>".into(),
        "HTTP/2 200\r\n\r\n".into(),
        "HTTP/1.1200 OK\r\n\r\n".into(),
        "HTTP/1.1 2x0 OK\r\n\r\n".into(),
        "HTTP/1.1 101 Switching Protocols\r\n\r\n".into(),
        "HTTP/1.1 100 Continue\r\n\r\n".repeat(17),
        format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "a".repeat(300_000)),
    ] {
        assert!(rewrite(&bad, 4_096).is_err(), "{bad:.80}");
    }
}

proptest! {
    /// However a head is cut, the verdict and the rest are the same.
    #[test]
    fn any_split_gives_the_same(
        noise in prop::collection::vec(prop::sample::select(vec!["\r\n", "\n", ": ", "Host", "h", " ", "Connection", "close", "Content-Length", "7", "Transfer-Encoding", "chunked", "\t", "\0", ","]), 0..24),
        step in 1usize..40,
    ) {
        let input = format!("POST http://h/ HTTP/1.1\r\nHost: h\r\nA: {}\r\n\r\n", noise.concat());
        prop_assert_eq!(read(input.as_bytes(), step), read(input.as_bytes(), input.len()));
    }

    /// What goes to the next hop is read by the same reader as exactly one request with the same body.
    #[test]
    fn rewritten_heads_are_strict_themselves(
        path in "[a-z/?%&=]{0,20}", fields in prop::collection::vec(("[A-Za-z-]{1,12}", "[ -~]{0,20}"), 0..12),
        length in prop::option::of(0u64..1_000),
    ) {
        let mut input = format!("POST http://h.example/{path} HTTP/1.1\r\nHost: x\r\n");
        for (name, value) in &fields {
            input += &format!("{name}: {value}\r\n");
        }
        if let Some(length) = length {
            input += &format!("Content-Length: {length}\r\n");
        }
        input += "\r\n";
        if let Ok((Request { form: Form::Forward { head, body, .. }, .. }, _)) = read(input.as_bytes(), 64) {
            let text = String::from_utf8(head).unwrap();
            prop_assert!(text.matches("\r\n\r\n").count() == 1 && text.ends_with("\r\n\r\n"));
            prop_assert_eq!(body, Framing::Length(length.unwrap_or(0)));
            let again = text.replacen("POST /", "POST http://h.example/", 1);
            let (request, rest) = read(again.as_bytes(), 7).unwrap();
            prop_assert!(rest.is_empty());
            prop_assert_eq!(request.form, Form::Forward { head: text.into_bytes(), body, head_only: false });
        }
    }

    #[test]
    fn chunks_round_trip(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..60), 0..6), step in 1usize..50, rest in "[ -~]{0,9}") {
        let mut input = Vec::new();
        for chunk in &chunks {
            input.extend(format!("{:X}\r\n", chunk.len()).bytes());
            input.extend(chunk);
            input.extend(b"\r\n");
        }
        input.extend(b"0\r\n\r\n");
        let end = input.len();
        input.extend(rest.bytes());
        prop_assert_eq!(track(Framing::Chunked, &input, step), (end, true, false));
    }
}
