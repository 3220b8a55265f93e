//! One end of ours over a socket, for tests against stacks that nobody here wrote: what it was told, and what came of
//! it, as JSON.
//!
//! Usage: `foreign client SPEC` or `foreign server SPEC`, SPEC being a JSON object:
//!
//! | key | of | meaning |
//! |---|---|---|
//! | `address` | client | where to connect |
//! | `certificate`, `key` | server | DER files; of a client, `certificate` is the one it believes |
//! | `groups`, `shares`, `suites`, `schemes` | both | numbers; what is missing is what the engine does anyway |
//! | `alpn` | both | protocols |
//! | `tickets` | server | how many |
//! | `connections` | both | how many, one after the other |
//! | `send`, `until` | client | what to say, and the text at which the answer is whole |
//!
//! A server echoes one line a connection, and says `{"port": …}` first.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rozaneh_tls::certificate::{Pin, SignatureOnly, Verifier, public_key};
use rozaneh_tls::client::{self, Client};
use rozaneh_tls::hello::SystemRandom;
use rozaneh_tls::hello::plain::Plain;
use rozaneh_tls::record::{HEAD, TAIL};
use rozaneh_tls::server::{self, Server, SigningKey, TicketKey};
use rozaneh_tls::suite::Suite;
use rozaneh_tls::ticket::{Cache, Tickets};
use rozaneh_tls::traffic::{Opened, Traffic};
use rozaneh_tls::{Connected, Facts, Progress};
use serde_json::{Value, json};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// No peer in a test is silent for so long.
const PATIENCE: Duration = Duration::from_secs(30);

fn numbers(spec: &Value, name: &str) -> Option<Vec<u16>> {
    let list = spec[name].as_array()?;
    list.iter().map(|n| u16::try_from(n.as_u64()?).ok()).collect()
}

fn texts(spec: &Value, name: &str) -> Vec<Vec<u8>> {
    let list = spec[name].as_array().map_or(&[][..], Vec::as_slice);
    list.iter().filter_map(Value::as_str).map(|text| text.as_bytes().to_vec()).collect()
}

fn file(spec: &Value, name: &str) -> Outcome<Option<Vec<u8>>> {
    Ok(spec[name].as_str().map(std::fs::read).transpose()?)
}

fn now() -> Outcome<u64> {
    Ok(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?)
}

fn facts(facts: &Facts, said: &[u8]) -> Value {
    json!({
        "suite": facts.suite.id(),
        "group": facts.group,
        "alpn": facts.alpn.as_deref().map(String::from_utf8_lossy),
        "resumed": facts.resumed,
        "retried": facts.retried,
        "chain": facts.chain.len(),
        "said": String::from_utf8_lossy(said),
    })
}

/// What went wrong, with the alert that the peer was sent or has sent.
fn failure(error: &(dyn Error + 'static)) -> Value {
    let ours = error.downcast_ref::<rozaneh_tls::Error>();
    let sent = ours.and_then(rozaneh_tls::Error::due).map(|alert| alert.name());
    let told =
        ours.and_then(|error| if let rozaneh_tls::Error::Peer(alert) = error { Some(alert.name()) } else { None });
    json!({"error": error.to_string(), "sent": sent, "told": told})
}

/// A connection that stands.
struct Line {
    stream: TcpStream,
    traffic: Traffic,
    input: Vec<u8>,
}

impl Line {
    fn read(stream: &mut TcpStream, input: &mut Vec<u8>) -> Outcome<bool> {
        let mut chunk = [0; 20_000];
        let n = stream.read(&mut chunk)?;
        input.extend_from_slice(&chunk[..n]);
        Ok(n > 0)
    }

    /// Shakes hands by what `step` does.
    fn shake(
        mut stream: TcpStream,
        first: &[u8],
        mut step: impl FnMut(&mut Vec<u8>, &mut Vec<u8>) -> Result<Progress, rozaneh_tls::Error>,
        finish: impl FnOnce() -> Outcome<Connected>,
    ) -> Outcome<(Self, Facts)> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        stream.write_all(first)?;
        let mut input = Vec::new();
        loop {
            let mut out = Vec::new();
            let progress = step(&mut input, &mut out);
            stream.write_all(&out)?;
            if progress? == Progress::Done {
                let connected = finish()?;
                return Ok((Self { stream, traffic: connected.traffic, input }, connected.facts));
            }
            if !Self::read(&mut stream, &mut input)? {
                return Err("the peer hung up".into());
            }
        }
    }

    fn write(&mut self, data: &[u8]) -> Outcome<()> {
        let mut out = std::mem::take(self.traffic.pending());
        for piece in data.chunks(self.traffic.max_plain()) {
            let mut room = vec![0; HEAD + piece.len() + TAIL];
            room[HEAD..HEAD + piece.len()].copy_from_slice(piece);
            let n = self.traffic.seal(&mut room, piece.len())?;
            out.extend_from_slice(&room[..n]);
        }
        Ok(self.stream.write_all(&out)?)
    }

    /// Everything up to and with `until`, or up to the end.
    fn read_until(&mut self, until: &[u8]) -> Outcome<Vec<u8>> {
        let mut said = Vec::new();
        while !said.windows(until.len().max(1)).any(|window| window == until) {
            match self.traffic.open(&mut self.input) {
                Ok(Opened::Data { wire, plain }) => {
                    said.extend_from_slice(&self.input[plain]);
                    self.input.drain(..wire);
                }
                Ok(Opened::Quiet { wire }) => drop(self.input.drain(..wire)),
                Ok(Opened::Closed { .. }) => break,
                Ok(Opened::Partial) => {
                    if !Self::read(&mut self.stream, &mut self.input)? {
                        break;
                    }
                }
                Err(error) => {
                    let alert = std::mem::take(self.traffic.pending());
                    self.stream.write_all(&alert)?;
                    return Err(error.into());
                }
            }
            let due = std::mem::take(self.traffic.pending());
            self.stream.write_all(&due)?;
        }
        Ok(said)
    }

    fn close(mut self) -> Outcome<()> {
        self.traffic.close();
        let bye = std::mem::take(self.traffic.pending());
        // A peer that has gone already needs no farewell.
        let _ = self.stream.write_all(&bye);
        Ok(())
    }
}

fn ask(config: &Arc<client::Config>, spec: &Value, cache: &Cache) -> Outcome<Value> {
    let stream = TcpStream::connect(spec["address"].as_str().unwrap_or_default())?;
    let (client, first) = Client::start(Arc::clone(config), "example.org", now()?)?;
    let client = std::cell::RefCell::new(Some(client));
    let step = |input: &mut Vec<u8>, out: &mut Vec<u8>| match client.borrow_mut().as_mut() {
        Some(client) => client.step(input, out),
        None => Ok(Progress::Done),
    };
    let finish = || Ok(client.borrow_mut().take().ok_or("no handshake")?.finish()?);
    let (mut line, agreed) = Line::shake(stream, &first, step, finish)?;
    line.write(spec["send"].as_str().unwrap_or_default().as_bytes())?;
    let said = line.read_until(spec["until"].as_str().unwrap_or_default().as_bytes())?;
    line.traffic.tickets(now()?).into_iter().for_each(|ticket| cache.put(ticket));
    line.close()?;
    Ok(facts(&agreed, &said))
}

fn client(spec: &Value) -> Outcome<()> {
    let all = Plain::default();
    let plain = Plain {
        suites: numbers(spec, "suites").unwrap_or(all.suites),
        groups: numbers(spec, "groups").unwrap_or(all.groups),
        shares: numbers(spec, "shares").unwrap_or(all.shares),
        schemes: numbers(spec, "schemes").unwrap_or(all.schemes),
        alpn: texts(spec, "alpn"),
        ..Plain::default()
    };
    let verifier: Arc<dyn Verifier> = match file(spec, "certificate")? {
        None => Arc::new(SignatureOnly),
        Some(der) => {
            let info = public_key(&der).map_err(|_| "the certificate is none")?.info;
            let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, info);
            Arc::new(Pin(vec![hash.as_ref().try_into()?]))
        }
    };
    let cache = Arc::new(Cache::default());
    let mut config = client::Config::new(Arc::new(plain), verifier);
    config.tickets = Some(Arc::clone(&cache) as Arc<dyn Tickets>);
    let config = Arc::new(config);
    for _ in 0..spec["connections"].as_u64().unwrap_or(1) {
        println!("{}", ask(&config, spec, &cache).unwrap_or_else(|error| failure(&*error)));
    }
    Ok(())
}

fn answer(config: &Arc<server::Config>, stream: TcpStream) -> Outcome<Value> {
    let server = std::cell::RefCell::new(Some(Server::new(Arc::clone(config), now()?)));
    let step = |input: &mut Vec<u8>, out: &mut Vec<u8>| match server.borrow_mut().as_mut() {
        Some(server) => server.step(input, out),
        None => Ok(Progress::Done),
    };
    let finish = || Ok(server.borrow_mut().take().ok_or("no handshake")?.finish()?);
    let (mut line, agreed) = Line::shake(stream, &[], step, finish)?;
    let said = line.read_until(b"\n")?;
    line.write(&said)?;
    line.close()?;
    Ok(facts(&agreed, &said))
}

fn serve(spec: &Value) -> Outcome<()> {
    let (Some(certificate), Some(key)) = (file(spec, "certificate")?, file(spec, "key")?) else {
        return Err("a server needs a certificate and a key".into());
    };
    let mut config = server::Config::new(vec![certificate], SigningKey::from_pkcs8(&key)?);
    config.alpn = texts(spec, "alpn");
    if let Some(groups) = numbers(spec, "groups") {
        config.groups = groups;
    }
    if let Some(suites) = numbers(spec, "suites") {
        config.suites = suites.into_iter().filter_map(Suite::from_id).collect();
    }
    config.tickets = u8::try_from(spec["tickets"].as_u64().unwrap_or_default())?;
    config.ticket_key = (config.tickets > 0).then(|| TicketKey::generate(&SystemRandom)).transpose()?;
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", json!({"port": listener.local_addr()?.port()}));
    for _ in 0..spec["connections"].as_u64().unwrap_or(1) {
        let stream = listener.accept()?.0;
        println!("{}", answer(&config, stream).unwrap_or_else(|error| failure(&*error)));
    }
    Ok(())
}

fn run(arguments: &[String]) -> Outcome<()> {
    match arguments {
        [role, spec] if role == "client" => client(&serde_json::from_str(spec)?),
        [role, spec] if role == "server" => serve(&serde_json::from_str(spec)?),
        _ => Err("usage: foreign client|server SPEC".into()),
    }
}

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
