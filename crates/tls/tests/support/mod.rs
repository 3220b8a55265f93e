//! What the tests of both sides share: certificates, and ways to bring two ends together.
#![allow(dead_code, reason = "every test binary uses its own part")]

pub mod dice;
pub mod openssl;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rozaneh_tls::certificate::{SignatureOnly, Verifier};
use rozaneh_tls::client::{self, Client};
use rozaneh_tls::hello::plain::Plain;
use rozaneh_tls::record::{HEAD, TAIL};
use rozaneh_tls::server::{self, Server, SigningKey};
use rozaneh_tls::traffic::{Opened, Traffic};
use rozaneh_tls::{Connected, Error, Progress};

pub const NAME: &str = "example.org";
/// 2026-11-22, in milliseconds.
pub const NOW: u64 = 1_795_305_600_000;

/// A self-signed certificate for [`NAME`]: certificate and PKCS#8 key.
pub fn certificate(algorithm: &'static rcgen::SignatureAlgorithm) -> (Vec<u8>, Vec<u8>) {
    let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
    let params = rcgen::CertificateParams::new(vec![NAME.to_owned()]).unwrap();
    (params.self_signed(&key).unwrap().der().to_vec(), key.serialize_der())
}

pub fn server_config() -> server::Config {
    server_config_for(&rcgen::PKCS_ECDSA_P256_SHA256)
}

pub fn server_config_for(algorithm: &'static rcgen::SignatureAlgorithm) -> server::Config {
    let (certificate, key) = certificate(algorithm);
    server::Config::new(vec![certificate], SigningKey::from_pkcs8(&key).unwrap())
}

pub fn client_config(plain: Plain) -> client::Config {
    client_config_with(plain, Arc::new(SignatureOnly))
}

pub fn client_config_with(plain: Plain, verifier: Arc<dyn Verifier>) -> client::Config {
    client::Config::new(Arc::new(plain), verifier)
}

/// Our client against our server, in memory; either's error, and what each said last.
pub fn meet(client: client::Config, server: server::Config) -> Result<(Connected, Connected), (Error, &'static str)> {
    meet_shared(&Arc::new(client), &Arc::new(server), NOW)
}

pub fn meet_shared(
    client: &Arc<client::Config>,
    server: &Arc<server::Config>,
    now: u64,
) -> Result<(Connected, Connected), (Error, &'static str)> {
    let (mut client, mut to_server) = Client::start(Arc::clone(client), NAME, now).unwrap();
    let mut server = Server::new(Arc::clone(server), now);
    let mut to_client = Vec::new();
    let (mut client_done, mut server_done) = (false, false);
    for _ in 0..10 {
        if !server_done {
            let step = server.step(&mut to_server, &mut to_client).map_err(|e| (e, "server"))?;
            server_done = step == Progress::Done;
        }
        if !client_done {
            let step = client.step(&mut to_client, &mut to_server).map_err(|e| (e, "client"))?;
            client_done = step == Progress::Done;
        }
        if client_done && server_done {
            let (mut client, server) = (client.finish().unwrap(), server.finish().unwrap());
            // Tickets that came with the end of the handshake.
            while !to_client.is_empty() {
                let Opened::Quiet { wire } = client.traffic.open(&mut to_client).unwrap() else {
                    panic!("not a ticket")
                };
                to_client.drain(..wire);
            }
            assert!(to_server.is_empty());
            return Ok((client, server));
        }
    }
    panic!("no progress");
}

pub fn seal(traffic: &mut Traffic, plain: &[u8]) -> Vec<u8> {
    let mut out = std::mem::take(traffic.pending());
    for piece in plain.chunks(traffic.max_plain()) {
        let mut room = vec![0; HEAD + piece.len() + TAIL];
        room[HEAD..HEAD + piece.len()].copy_from_slice(piece);
        let n = traffic.seal(&mut room, piece.len()).unwrap();
        out.extend_from_slice(&room[..n]);
    }
    out
}

/// All application data of whole records.
pub fn open(traffic: &mut Traffic, records: &[u8]) -> Result<Vec<u8>, Error> {
    let (mut rest, mut plain) = (records.to_vec(), Vec::new());
    while !rest.is_empty() {
        let wire = match traffic.open(&mut rest)? {
            Opened::Data { wire, plain: range } => {
                plain.extend_from_slice(&rest[range]);
                wire
            }
            Opened::Quiet { wire } | Opened::Closed { wire } => wire,
            Opened::Partial => panic!("half a record"),
        };
        rest.drain(..wire);
    }
    Ok(plain)
}

/// Data both ways, close, and the same exported value.
pub fn talk(one: &mut Traffic, two: &mut Traffic) {
    let long: Vec<u8> = (0..40_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    for data in [&b"x"[..], &long] {
        let records = seal(one, data);
        assert_eq!(open(two, &records).unwrap(), data);
        let records = seal(two, data);
        assert_eq!(open(one, &records).unwrap(), data);
    }
    one.update_keys(true).unwrap();
    let records = seal(one, b"after");
    assert_eq!(open(two, &records).unwrap(), b"after");
    let records = seal(two, b"after too");
    assert_eq!(open(one, &records).unwrap(), b"after too");
    let (mut a, mut b) = ([0; 32], [0; 32]);
    one.export(b"label", b"context", &mut a).unwrap();
    two.export(b"label", b"context", &mut b).unwrap();
    assert_eq!(a, b);
    one.close();
    let bye = std::mem::take(one.pending());
    assert_eq!(two.open(&mut bye.clone()).unwrap(), Opened::Closed { wire: bye.len() });
}

/// A connection of ours over a socket, blocking.
pub struct Socket {
    pub connected: Connected,
    stream: TcpStream,
    input: Vec<u8>,
}

fn read_more(stream: &mut TcpStream, input: &mut Vec<u8>) -> bool {
    let mut chunk = [0; 20_000];
    match stream.read(&mut chunk) {
        Ok(n) => {
            input.extend_from_slice(&chunk[..n]);
            n > 0
        }
        Err(_) => false,
    }
}

impl Socket {
    pub fn client(config: &Arc<client::Config>, mut stream: TcpStream, now: u64) -> Result<Self, Error> {
        stream.set_nodelay(true).unwrap();
        let (mut client, out) = Client::start(Arc::clone(config), NAME, now).unwrap();
        stream.write_all(&out).unwrap();
        let mut input = Vec::new();
        loop {
            let mut out = Vec::new();
            let step = client.step(&mut input, &mut out);
            let _ = stream.write_all(&out);
            if step? == Progress::Done {
                return Ok(Self { connected: client.finish().unwrap(), stream, input });
            }
            assert!(read_more(&mut stream, &mut input), "the server hung up");
        }
    }

    pub fn server(config: &Arc<server::Config>, mut stream: TcpStream, now: u64) -> Result<Self, Error> {
        stream.set_nodelay(true).unwrap();
        let mut server = Server::new(Arc::clone(config), now);
        let mut input = Vec::new();
        loop {
            assert!(read_more(&mut stream, &mut input), "the client hung up");
            let mut out = Vec::new();
            let step = server.step(&mut input, &mut out);
            let _ = stream.write_all(&out);
            if step? == Progress::Done {
                return Ok(Self { connected: server.finish().unwrap(), stream, input });
            }
        }
    }

    pub fn write(&mut self, data: &[u8]) {
        let records = seal(&mut self.connected.traffic, data);
        self.stream.write_all(&records).unwrap();
    }

    /// The next application data; none at the end.
    pub fn read(&mut self) -> Result<Option<Vec<u8>>, Error> {
        loop {
            match self.connected.traffic.open(&mut self.input)? {
                Opened::Data { wire, plain } => {
                    let data = self.input[plain].to_vec();
                    self.input.drain(..wire);
                    return Ok(Some(data));
                }
                Opened::Quiet { wire } => drop(self.input.drain(..wire)),
                Opened::Closed { .. } => return Ok(None),
                Opened::Partial => {
                    if !read_more(&mut self.stream, &mut self.input) {
                        return Ok(None);
                    }
                }
            }
            let out = std::mem::take(self.connected.traffic.pending());
            self.stream.write_all(&out).unwrap();
        }
    }

    /// Reads until so many bytes are there.
    pub fn read_exact(&mut self, n: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < n {
            all.extend(self.read().unwrap().expect("closed too early"));
        }
        all
    }

    pub fn close(mut self) {
        self.connected.traffic.close();
        let out = std::mem::take(self.connected.traffic.pending());
        let _ = self.stream.write_all(&out);
    }
}
