//! One connection after the other, as ssl/test/bssl_shim.cc of BoringSSL does it: the runner counts on that order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rozaneh_tls::client::{self, Client};
use rozaneh_tls::hello::SystemRandom;
use rozaneh_tls::names::version;
use rozaneh_tls::record::{HEAD, TAIL};
use rozaneh_tls::server::{Server, TicketKey};
use rozaneh_tls::traffic::{Opened, Traffic};
use rozaneh_tls::{Connected, Error, Facts, Progress};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::flags::{Config, Plan};
use crate::link::Link;
use crate::offer::{self, Judge, Session};

/// What one read gives where the flags say nothing (ssl/test/bssl_shim.cc).
const READ: usize = 512;
/// Lengths of writes that cross the limit of a record on both sides (ssl/test/bssl_shim.cc).
const SIZES: [usize; 11] = [0, 1, 255, 256, 257, 16_383, 16_384, 16_385, 32_767, 32_768, 32_769];
const FIRST_WORDS: &[u8] = b"hello";

type Outcome<T> = Result<T, String>;

fn io<T>(result: std::io::Result<T>) -> Outcome<T> {
    result.map_err(|error| format!("socket: {error}"))
}

fn check(holds: bool, what: &str) -> Outcome<()> {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

/// All connections of a command line.
pub fn all(plan: &Plan) -> Outcome<()> {
    let session = Arc::new(Session::default());
    let tickets = TicketKey::generate(&SystemRandom).map_err(|e| e.to_string())?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|e| e.to_string())?;
    let mut now = u64::try_from(now.as_millis()).map_err(|e| e.to_string())?;
    for index in 0..=plan.initial.resume_count {
        let config = if index == 0 { &plan.initial } else { &plan.resume };
        let one = Exchange { config, again: index > 0, now, session: &session, tickets: &tickets };
        one.run().map_err(|error| format!("connection {}: {error}", index + 1))?;
        now += config.resumption_delay * 1_000;
    }
    Ok(())
}

struct Exchange<'a> {
    config: &'a Config,
    /// Whether this is a resumption.
    again: bool,
    now: u64,
    session: &'a Arc<Session>,
    tickets: &'a TicketKey,
}

impl Exchange<'_> {
    fn run(&self) -> Outcome<()> {
        let mut link = io(Link::open(self.config))?;
        let connected = if self.config.server { self.serve(&mut link)? } else { self.ask(&mut link)? };
        self.judge(&connected.facts)?;
        let mut talk = Talk { link, traffic: connected.traffic, data: VecDeque::new(), ended: None };
        let mut kept = false;
        let talked = self.talk(&mut talk);
        if let Some(ticket) = talk.traffic.tickets(self.now).pop() {
            kept = true;
            if let Ok(mut session) = self.session.0.lock() {
                *session = Some(ticket);
            }
        }
        talked?;
        if !self.config.server {
            let expected = !self.config.expect_no_session && !self.config.shuts_down;
            check(kept == expected, if kept { "a session was given" } else { "no session was given" })?;
        }
        self.close(&mut talk)
    }

    fn ask(&self, link: &mut Link) -> Outcome<Connected> {
        let judge = Arc::new(Judge { refuse: self.config.verify_fail, ..Judge::default() });
        let mut config = client::Config::new(offer::author(self.config)?, judge.clone());
        config.tickets = Some(self.session.clone());
        config.settings.clone_from(&self.config.settings);
        let started = Client::start(Arc::new(config), &self.config.host_name, self.now);
        let (mut client, hello) = started.map_err(|e| e.to_string())?;
        io(link.send(&hello))?;
        drive(link, |input, out| client.step(input, out))?;
        let connected = client.finish().map_err(|e| e.to_string())?;
        if let Some(expected) = self.config.expect_ocsp.as_ref().filter(|_| !connected.facts.resumed) {
            check(judge.ocsp.lock().is_ok_and(|ocsp| *ocsp == *expected), "another OCSP response")?;
        }
        Ok(connected)
    }

    fn serve(&self, link: &mut Link) -> Outcome<Connected> {
        let config = Arc::new(offer::server(self.config, self.tickets)?);
        let mut server = Server::new(config, self.now);
        drive(link, |input, out| server.step(input, out))?;
        server.finish().map_err(|e| e.to_string())
    }

    /// What must hold once hands are shaken.
    fn judge(&self, facts: &Facts) -> Outcome<()> {
        let config = self.config;
        let resumed = self.again && !config.expect_session_miss;
        check(facts.resumed == resumed, if facts.resumed { "resumed" } else { "not resumed" })?;
        check(config.expect_version.is_none_or(|v| v == version::TLS13), "another version")?;
        check(config.expect_curve.is_none_or(|c| c == facts.group), "another group")?;
        check(config.expect_cipher.is_none_or(|c| c == facts.suite.id()), "another suite")?;
        // A resumed session has neither signature nor chain of its own; BoringSSL keeps those of the first.
        let scheme = config.expect_scheme.filter(|_| !facts.resumed);
        check(scheme.is_none_or(|s| Some(s) == facts.scheme), "another signature scheme")?;
        check(config.expect_hrr.is_none_or(|hrr| hrr == facts.retried), "a retry, or none")?;
        let alpn = facts.alpn.as_deref().unwrap_or_default();
        let expected = if config.server { config.select_alpn.as_deref() } else { Some(config.expect_alpn.as_str()) };
        check(alpn == expected.unwrap_or_default().as_bytes(), "another application protocol")?;
        let settings = config.expect_settings.as_ref().map(String::as_bytes);
        check(facts.alps.as_deref() == settings, "other application settings")?;
        if config.server {
            let name = config.expect_server_name.as_ref().map(String::as_bytes);
            check(name.is_none() || facts.name.as_deref() == name, "another server name")?;
            check(!config.expect_no_server_name || facts.name.is_none(), "a server name")?;
        }
        if let Some(path) = &config.expect_peer_certificate {
            let chain = CertificateDer::pem_file_iter(path).map_err(|e| e.to_string())?;
            let chain = chain.map(|der| der.map(|der| der.to_vec())).collect::<Result<Vec<_>, _>>();
            check(facts.resumed || chain.is_ok_and(|c| c == facts.chain), "another chain")?;
        }
        Ok(())
    }

    fn talk(&self, talk: &mut Talk) -> Outcome<()> {
        let config = self.config;
        if config.export > 0 {
            let mut value = vec![0; config.export];
            let (label, context) = (config.export_label.as_bytes(), config.export_context.as_bytes());
            talk.traffic.export(label, context, &mut value).map_err(|e| e.to_string())?;
            talk.write(&value)?;
        }
        if config.different_sizes {
            for length in SIZES {
                talk.write(&vec![0x42; length])?;
            }
            return Ok(());
        }
        if config.writes_first {
            talk.write(FIRST_WORDS)?;
        }
        if config.shuts_down {
            return Ok(());
        }
        loop {
            if config.key_update_before_read {
                talk.update()?;
            }
            let Some(mut data) = talk.read(if config.read_size > 0 { config.read_size } else { READ })? else {
                return Ok(());
            };
            if config.key_update {
                talk.traffic.update_keys(false).map_err(|e| e.to_string())?;
            }
            data.iter_mut().for_each(|byte| *byte ^= 0xff);
            talk.write(&data)?;
        }
    }

    /// Both sides say that they end, where the flags ask for it.
    fn close(&self, talk: &mut Talk) -> Outcome<()> {
        if !self.config.check_close_notify {
            return Ok(());
        }
        talk.traffic.close();
        talk.flush()?;
        if self.config.shuts_down {
            // Data that still comes is not asked for.
            check(talk.read(usize::MAX)?.is_none(), "data instead of an end")?;
        }
        check(talk.ended == Some(true), "no close_notify")
    }
}

/// Shakes hands; the alert goes out also where it fails.
fn drive(link: &mut Link, mut step: impl FnMut(&mut Vec<u8>, &mut Vec<u8>) -> Result<Progress, Error>) -> Outcome<()> {
    loop {
        let mut out = Vec::new();
        let progress = step(&mut link.input, &mut out);
        io(link.send(&out))?;
        match progress {
            Ok(Progress::Done) => return Ok(()),
            Ok(Progress::NeedMore) => check(io(link.more())?, "the peer hung up")?,
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// A connection that stands.
struct Talk {
    link: Link,
    traffic: Traffic,
    /// Opened and not yet read.
    data: VecDeque<u8>,
    /// Whether the end that came was an orderly one.
    ended: Option<bool>,
}

impl Talk {
    fn flush(&mut self) -> Outcome<()> {
        let out = std::mem::take(self.traffic.pending());
        io(self.link.send(&out))
    }

    /// Our own key update goes out at once; an answer to one waits for the next write, as BoringSSL's does.
    fn update(&mut self) -> Outcome<()> {
        self.traffic.update_keys(false).map_err(|e| e.to_string())?;
        self.flush()
    }

    fn write(&mut self, data: &[u8]) -> Outcome<()> {
        self.flush()?;
        for piece in data.chunks(self.traffic.max_plain()) {
            let mut room = vec![0; HEAD + piece.len() + TAIL];
            room[HEAD..HEAD + piece.len()].copy_from_slice(piece);
            let length = self.traffic.seal(&mut room, piece.len()).map_err(|e| e.to_string())?;
            io(self.link.send(&room[..length]))?;
        }
        Ok(())
    }

    /// Up to so many bytes of one record; none at the end, orderly or not.
    fn read(&mut self, most: usize) -> Outcome<Option<Vec<u8>>> {
        while self.data.is_empty() {
            if self.ended.is_some() {
                return Ok(None);
            }
            let opened = self.traffic.open(&mut self.link.input);
            let wire = match opened {
                Ok(Opened::Data { wire, plain }) => {
                    self.data.extend(&self.link.input[plain]);
                    wire
                }
                Ok(Opened::Quiet { wire }) => wire,
                Ok(Opened::Closed { wire }) => {
                    self.ended = Some(true);
                    wire
                }
                Ok(Opened::Partial) => {
                    if !io(self.link.more())? {
                        self.ended = Some(false);
                    }
                    continue;
                }
                Err(error) => {
                    self.flush()?;
                    return Err(error.to_string());
                }
            };
            self.link.input.drain(..wire);
        }
        let most = most.min(self.data.len());
        Ok(Some(self.data.drain(..most).collect()))
    }
}
