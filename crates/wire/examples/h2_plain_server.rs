//! A server for outside judges: HTTP/2 in clear text with prior knowledge, one thread a connection, every request
//! answered with 200 and a short page, flow control honoured.
//!
//! `h2_plain_server [PORT] [plain|nginx] [BYTES]` prints the address it listens on and serves for ever.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use rozaneh_wire::h2::{Connection, Event, Field, Limits, Look, StreamId};

fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let port: u16 = args.next().and_then(|port| port.parse().ok()).unwrap_or(0);
    let look = match args.next().as_deref() {
        Some("nginx") => Look::nginx(),
        _ => Look { settings: vec![(3, 100)], ..Look::plain() },
    };
    let size: usize = args.next().and_then(|size| size.parse().ok()).unwrap_or(25);
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    println!("{}", listener.local_addr()?);
    for stream in listener.incoming() {
        let (stream, look) = (stream?, look.clone());
        std::thread::spawn(move || serve(stream, look, size));
    }
    Ok(())
}

fn serve(mut socket: TcpStream, look: Look, size: usize) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut h2 = Connection::server(look, Limits::default());
    let mut answers: BTreeMap<StreamId, usize> = BTreeMap::new();
    let mut buf = vec![0; 64 * 1024];
    loop {
        send(&mut h2, &mut socket, &mut answers, size)?;
        let n = socket.read(&mut buf)?;
        if n == 0 {
            return Ok(());
        }
        let mut asked = Vec::new();
        let mut taken = Vec::new();
        let verdict = h2.feed(&buf[..n], &mut |event| match event {
            Event::Headers { id, end: true, .. } | Event::Trailers { id, .. } => asked.push(id),
            Event::HeadersTooLarge { id, .. } => asked.push(id),
            Event::Data { id, bytes, end, .. } => {
                taken.push((id, bytes.len()));
                if end {
                    asked.push(id);
                }
            }
            Event::Reset { id, .. } => {
                answers.remove(&id);
                asked.retain(|other| *other != id);
            }
            _ => {}
        });
        for (id, len) in taken {
            h2.consumed(id, len);
        }
        for id in asked {
            let fields = [
                Field::new(":status", "200"),
                Field::new("content-type", "text/plain"),
                Field::new("content-length", size.to_string()),
            ];
            if h2.headers(id, &fields, false).is_ok() {
                answers.insert(id, size);
            }
        }
        if verdict.is_err() {
            send(&mut h2, &mut socket, &mut answers, size)?;
            return linger(socket, &mut buf);
        }
    }
}

/// Lets GOAWAY arrive: closing with unread bytes in the socket would reset the connection and take it along.
fn linger(mut socket: TcpStream, buf: &mut [u8]) -> io::Result<()> {
    socket.shutdown(Shutdown::Write)?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    for _ in 0..64 {
        if socket.read(buf)? == 0 {
            break;
        }
    }
    Ok(())
}

/// Sends what waits and as much of every body as the windows allow.
fn send(h2: &mut Connection, to: &mut TcpStream, left: &mut BTreeMap<StreamId, usize>, size: usize) -> io::Result<()> {
    let page: Vec<u8> = b"rozaneh ".iter().copied().cycle().take(size).collect();
    let mut wire = std::mem::take(h2.out());
    left.retain(|id, rest| {
        loop {
            let n = h2.sendable(*id).min(h2.max_frame()).min(*rest);
            if n == 0 && *rest > 0 {
                return true;
            }
            let Ok(head) = h2.data(*id, n, n == *rest) else { return false };
            wire.extend_from_slice(&head);
            wire.extend_from_slice(&page[size - *rest..size - *rest + n]);
            *rest -= n;
            if *rest == 0 {
                return false;
            }
        }
    });
    wire.append(h2.out());
    to.write_all(&wire)
}
