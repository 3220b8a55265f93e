//! A foreign HTTP/2 at the other end (the `h2` crate over an in-memory pipe), in both roles: what we say is understood
//! by somebody who did not write it.

use std::collections::BTreeMap;
use std::future::poll_fn;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use rozaneh_wire::h2::{Code, Connection, Event, Field, Limits, Look, StreamId, find, status};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

const MEGABYTE: usize = 1 << 20;

fn body(seed: usize, len: usize) -> Vec<u8> {
    (0..len).map(|at| ((at * 31 + seed) % 251).to_le_bytes()[0]).collect()
}

/// What our end has still to send on a stream.
#[derive(Default)]
struct Outgoing {
    bytes: Vec<u8>,
    at: usize,
    trailers: Option<Vec<Field>>,
    /// Bytes may still be added.
    more: bool,
    done: bool,
}

/// What our end has received on a stream.
#[derive(Default)]
struct Incoming {
    fields: Vec<Field>,
    bytes: Vec<u8>,
    trailers: Vec<Field>,
    ended: bool,
}

/// Our end, with the least driver that keeps the contract.
struct Ours {
    conn: Connection,
    pipe: DuplexStream,
    outgoing: BTreeMap<StreamId, Outgoing>,
    incoming: BTreeMap<StreamId, Incoming>,
    resets: Vec<(StreamId, Code)>,
    pongs: usize,
}

impl Ours {
    fn new(conn: Connection, pipe: DuplexStream) -> Self {
        Self { conn, pipe, outgoing: BTreeMap::new(), incoming: BTreeMap::new(), resets: Vec::new(), pongs: 0 }
    }

    async fn flush(&mut self) {
        let mut wire = std::mem::take(self.conn.out());
        for (id, out) in &mut self.outgoing {
            while !out.done {
                let rest = &out.bytes[out.at..];
                let n = rest.len().min(self.conn.sendable(*id)).min(self.conn.max_frame());
                if n == 0 && (out.more || !rest.is_empty()) {
                    break;
                }
                let last = n == rest.len() && !out.more;
                match (last, out.trailers.take()) {
                    (true, Some(trailers)) => {
                        if n > 0 {
                            wire.extend_from_slice(&self.conn.data(*id, n, false).unwrap());
                            wire.extend_from_slice(&rest[..n]);
                        }
                        self.conn.headers(*id, &trailers, true).unwrap();
                        wire.append(self.conn.out());
                    }
                    (_, trailers) => {
                        out.trailers = trailers;
                        wire.extend_from_slice(&self.conn.data(*id, n, last).unwrap());
                        wire.extend_from_slice(&rest[..n]);
                    }
                }
                out.at += n;
                out.done = last;
            }
        }
        self.pipe.write_all(&wire).await.unwrap();
    }

    /// One turn: send, then take what comes. False at the end of the pipe.
    async fn turn(&mut self) -> bool {
        self.flush().await;
        // A prime, so that frames are cut everywhere.
        let mut buf = vec![0; 8191];
        let n = self.pipe.read(&mut buf).await.unwrap();
        let (incoming, resets, pongs) = (&mut self.incoming, &mut self.resets, &mut self.pongs);
        let mut taken = Vec::new();
        self.conn
            .feed(&buf[..n], &mut |event| match event {
                Event::Headers { id, fields, end } => {
                    incoming.insert(id, Incoming { fields, ended: end, ..Incoming::default() });
                }
                Event::Data { id, bytes, end, .. } => {
                    let stream = incoming.get_mut(&id).unwrap();
                    stream.bytes.extend_from_slice(bytes);
                    stream.ended = end;
                    taken.push((id, bytes.len()));
                }
                Event::Trailers { id, fields } => {
                    let stream = incoming.get_mut(&id).unwrap();
                    stream.trailers = fields;
                    stream.ended = true;
                }
                Event::Reset { id, code } => resets.push((id, code)),
                Event::Pong(opaque) => {
                    assert_eq!(opaque, *b"rozaneh!");
                    *pongs += 1;
                }
                _ => {}
            })
            .unwrap();
        for (id, n) in taken {
            self.conn.consumed(id, n);
        }
        n > 0
    }

    fn ended(&self, id: StreamId) -> bool {
        self.incoming.get(&id).is_some_and(|stream| stream.ended)
    }
}

/// Reads a foreign body to its end, giving the window back.
async fn read(mut stream: h2::RecvStream) -> (Vec<u8>, Option<HeaderMap>) {
    let mut all = Vec::new();
    while let Some(chunk) = stream.data().await {
        let chunk = chunk.unwrap();
        all.extend_from_slice(&chunk);
        stream.flow_control().release_capacity(chunk.len()).unwrap();
    }
    let trailers = stream.trailers().await.unwrap();
    (all, trailers)
}

async fn write(stream: &mut h2::SendStream<Bytes>, mut rest: Bytes) {
    while !rest.is_empty() {
        stream.reserve_capacity(rest.len());
        let n = poll_fn(|cx| stream.poll_capacity(cx)).await.unwrap().unwrap();
        stream.send_data(rest.split_to(n.min(rest.len())), false).unwrap();
    }
}

/// Echoes bodies with trailers, grants CONNECT and echoes there too.
async fn foreign_server(pipe: DuplexStream) {
    let mut connection = h2::server::Builder::new()
        .initial_window_size(100_000)
        .max_frame_size(20_000)
        .enable_connect_protocol()
        .handshake::<_, Bytes>(pipe)
        .await
        .unwrap();
    while let Some(request) = connection.accept().await {
        let Ok((request, mut respond)) = request else { return };
        tokio::spawn(async move {
            let (head, stream) = request.into_parts();
            if head.uri.path() == "/reset" {
                respond.send_reset(h2::Reason::REFUSED_STREAM);
                return;
            }
            let response = Response::builder()
                .status(StatusCode::OK)
                .header("x-method", head.method.as_str())
                .header("x-path", head.uri.path())
                .body(())
                .unwrap();
            let mut send = respond.send_response(response, false).unwrap();
            let (bytes, trailers) = read(stream).await;
            write(&mut send, Bytes::from(bytes)).await;
            if head.method == Method::CONNECT {
                send.send_data(Bytes::new(), true).unwrap();
            } else {
                let mut echo = trailers.unwrap_or_default();
                echo.insert("x-end", "yes".parse().unwrap());
                send.send_trailers(echo).unwrap();
            }
        });
    }
}

#[tokio::test]
async fn our_client_and_a_foreign_server() {
    for look in [Look::chrome(), Look::plain()] {
        let (near, far) = tokio::io::duplex(30_011);
        let server = tokio::spawn(foreign_server(far));
        let mut ours = Ours::new(Connection::client(look, Limits::default()), near);

        let post = |path: &str| {
            vec![
                Field::new(":method", "POST"),
                Field::new(":authority", "news.example"),
                Field::new(":scheme", "https"),
                Field::new(":path", path.to_owned()),
                Field::new("user-agent", "a browser"),
                Field::sensitive("cookie", "a=b"),
            ]
        };
        let mut ids = Vec::new();
        for n in 0..3 {
            let id = ours.conn.open(&post(&format!("/{n}")), false).unwrap();
            let trailers = (n == 1).then(|| vec![Field::new("x-sum", "7")]);
            ours.outgoing.insert(id, Outgoing { bytes: body(n, MEGABYTE), trailers, ..Outgoing::default() });
            ids.push(id);
        }
        let refused = ours.conn.open(&post("/reset"), true).unwrap();
        let tunnel = ours
            .conn
            .open(&[Field::new(":method", "CONNECT"), Field::new(":authority", "news.example:443")], false)
            .unwrap();
        ours.outgoing.insert(tunnel, Outgoing { bytes: body(9, MEGABYTE), ..Outgoing::default() });
        ids.push(tunnel);
        ours.conn.ping(*b"rozaneh!");

        while !ids.iter().all(|id| ours.ended(*id)) || ours.pongs == 0 {
            assert!(ours.turn().await, "the foreign end hung up");
        }
        for (n, id) in ids.iter().take(3).enumerate() {
            let stream = &ours.incoming[id];
            assert_eq!(status(&stream.fields), Some(200));
            assert_eq!(find(&stream.fields, "x-path"), Some(format!("/{n}").as_bytes()));
            assert!(stream.bytes == body(n, MEGABYTE), "body {n}");
            assert_eq!(find(&stream.trailers, "x-end"), Some(&b"yes"[..]));
            assert_eq!(find(&stream.trailers, "x-sum").is_some(), n == 1);
        }
        let stream = &ours.incoming[&tunnel];
        assert_eq!(find(&stream.fields, "x-method"), Some(&b"CONNECT"[..]));
        assert!(stream.bytes == body(9, MEGABYTE));
        assert_eq!(ours.resets, [(refused, Code::REFUSED_STREAM)]);
        assert_eq!(ours.conn.peer_setting(8), Some(1));
        assert_eq!(ours.conn.max_frame(), 20_000);
        assert_eq!(ours.conn.open_streams(), 0);

        // The same names again: by now they are in both dynamic tables.
        let id = ours.conn.open(&post("/again"), true).unwrap();
        while !ours.ended(id) {
            assert!(ours.turn().await);
        }
        assert_eq!(find(&ours.incoming[&id].fields, "x-path"), Some(&b"/again"[..]));

        ours.conn.goaway(Code::NO_ERROR);
        ours.flush().await;
        drop(ours);
        server.await.unwrap();
    }
}

/// Our server: echoes what came, with what trailers came.
async fn our_server(pipe: DuplexStream, look: Look) -> Ours {
    let mut ours = Ours::new(Connection::server(look, Limits::default()), pipe);
    let mut answered = Vec::new();
    while ours.turn().await {
        let mut answers = Vec::new();
        for (id, stream) in &mut ours.incoming {
            let tunnel = find(&stream.fields, ":method") == Some(b"CONNECT");
            if !answered.contains(id) && (tunnel || stream.ended) {
                answers.push((*id, find(&stream.fields, ":path").unwrap_or(b"-").to_vec()));
            }
        }
        for (id, path) in answers {
            answered.push(id);
            let fields = [
                Field::new(":status", "200"),
                Field::new("server", "nginx"),
                Field::new("x-path", path),
                Field::new("content-type", "application/octet-stream"),
            ];
            if ours.conn.headers(id, &fields, false).is_ok() {
                ours.outgoing.insert(id, Outgoing { more: true, ..Outgoing::default() });
            }
        }
        for (id, out) in &mut ours.outgoing {
            let Some(stream) = ours.incoming.get_mut(id) else { continue };
            out.bytes.append(&mut stream.bytes);
            out.more = !stream.ended;
            if !stream.trailers.is_empty() {
                out.trailers = Some(std::mem::take(&mut stream.trailers));
            }
        }
        ours.outgoing.retain(|id, out| !out.done && !ours.resets.iter().any(|(dead, _)| dead == id));
    }
    ours
}

#[tokio::test]
async fn a_foreign_client_and_our_server() {
    for look in [Look::nginx(), Look::plain()] {
        let (near, far) = tokio::io::duplex(30_011);
        let server = tokio::spawn(our_server(far, look));
        let (mut client, connection) =
            h2::client::Builder::new().initial_window_size(90_000).handshake::<_, Bytes>(near).await.unwrap();
        let connection = tokio::spawn(connection);

        for n in 0..3 {
            client = client.ready().await.unwrap();
            let request = Request::builder().method("POST").uri(format!("https://news.example/{n}")).body(()).unwrap();
            let (response, mut send) = client.send_request(request, false).unwrap();
            write(&mut send, Bytes::from(body(n, MEGABYTE))).await;
            let mut trailers = HeaderMap::new();
            trailers.insert("x-sum", "7".parse().unwrap());
            send.send_trailers(trailers).unwrap();
            let response = response.await.unwrap();
            assert_eq!(response.status(), 200);
            assert_eq!(response.headers()["x-path"], format!("/{n}"));
            assert_eq!(response.headers()["server"], "nginx");
            let (bytes, trailers) = read(response.into_body()).await;
            assert!(bytes == body(n, MEGABYTE), "body {n}");
            assert_eq!(trailers.unwrap()["x-sum"], "7");
        }

        client = client.ready().await.unwrap();
        let request = Request::builder().method("CONNECT").uri("news.example:443").body(()).unwrap();
        let (response, mut send) = client.send_request(request, false).unwrap();
        let response = response.await.unwrap();
        assert_eq!(response.status(), 200);
        write(&mut send, Bytes::from(body(5, MEGABYTE))).await;
        send.send_data(Bytes::new(), true).unwrap();
        let (bytes, _) = read(response.into_body()).await;
        assert!(bytes == body(5, MEGABYTE));
        drop(send);

        // Taken back by the client, in the middle.
        client = client.ready().await.unwrap();
        let request = Request::builder().method("POST").uri("https://news.example/gone").body(()).unwrap();
        let (response, mut send) = client.send_request(request, false).unwrap();
        send.send_data(Bytes::from_static(b"some of it"), false).unwrap();
        send.send_reset(h2::Reason::CANCEL);
        assert!(response.await.is_err());

        drop((client, send));
        connection.await.unwrap().unwrap();
        let ours = server.await.unwrap();
        assert_eq!(ours.conn.open_streams(), 0);
    }
}
