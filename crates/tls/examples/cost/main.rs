//! What own TLS costs beside rustls, in CPU time of one thread: the record layer, and whole handshakes. The two take
//! turns in every round and the order changes, so that what else the machine does falls on both.
//!
//! Usage: `cost ROUNDS MEGABYTES HANDSHAKES`; prints one document of JSON, a list of figures for each round.
//!
//! The same job for both: a plaintext of 16,384 bytes becomes a record in another buffer, and the record is opened
//! where it lies; a client and a server agree, in memory, with one certificate of P-256 that the client checks
//! against its root, without resumption and tickets.

mod ours;
mod theirs;

use std::error::Error;
use std::process::ExitCode;

use rozaneh_tls::names::group;
use rozaneh_tls::suite::Suite;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Map, Value, json};

pub type Outcome<T> = Result<T, Box<dyn Error>>;

pub const NAME: &str = "example.org";
/// 2026-11-23, in seconds.
pub const NOW: u64 = 1_795_392_000;
/// Largest plaintext of a record (RFC 8446 section 5.1).
pub const PLAIN: usize = 16_384;

/// A root, a certificate under it, and its key.
pub struct Chain {
    pub root: Vec<u8>,
    pub leaf: Vec<u8>,
    pub key: Vec<u8>,
}

/// What both sides are told to use.
#[derive(Clone, Copy)]
pub struct Choice {
    pub suite: Suite,
    pub group: u16,
}

/// Seconds that this thread has computed so far.
fn cpu() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

fn timed(job: impl FnOnce() -> Outcome<()>) -> Outcome<f64> {
    let before = cpu();
    job()?;
    Ok(cpu() - before)
}

fn chain() -> Outcome<Chain> {
    let root_key = rcgen::KeyPair::generate()?;
    let mut root = rcgen::CertificateParams::new(vec![])?;
    root.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let certificate = root.self_signed(&root_key)?;
    let key = rcgen::KeyPair::generate()?;
    let leaf = rcgen::CertificateParams::new(vec![NAME.to_owned()])?;
    let leaf = leaf.signed_by(&key, &rcgen::Issuer::new(root, root_key))?;
    Ok(Chain { root: certificate.der().to_vec(), leaf: leaf.der().to_vec(), key: key.serialize_der() })
}

const SUITES: [(&str, Suite); 3] = [
    ("aes128", Suite::Aes128GcmSha256),
    ("aes256", Suite::Aes256GcmSha384),
    ("chacha20", Suite::Chacha20Poly1305Sha256),
];
const GROUPS: [(&str, u16); 2] = [("x25519", group::X25519), ("x25519mlkem768", group::X25519MLKEM768)];

fn round(chain: &Chain, number: usize, records: usize, handshakes: usize) -> Outcome<Value> {
    let mut figures = Map::new();
    for (name, suite) in SUITES {
        let choice = Choice { suite, group: group::X25519 };
        let (mut own, mut other) = (ours::Pair::new(chain, choice)?, theirs::Pair::new(chain, choice)?);
        let mut own_cost = || own.cost(records);
        let mut other_cost = || other.cost(records);
        let ((own_seal, own_open), (other_seal, other_open)) = if number % 2 == 0 {
            let own = own_cost()?;
            (own, other_cost()?)
        } else {
            let other = other_cost()?;
            (own_cost()?, other)
        };
        let gigabytes = (records * PLAIN) as f64 / 1e9;
        for (figure, seconds) in
            [("ours_seal", own_seal), ("ours_open", own_open), ("rustls_seal", other_seal), ("rustls_open", other_open)]
        {
            figures.insert(format!("{name}_{figure}_cpu_s_gb"), json!(seconds / gigabytes));
        }
    }
    for (name, group) in GROUPS {
        let choice = Choice { suite: Suite::Aes128GcmSha256, group };
        let (own, other) = (ours::Ends::new(chain, choice)?, theirs::Ends::new(chain, choice)?);
        let own = || timed(|| (0..handshakes).try_for_each(|_| own.meet().map(|_| ())));
        let other = || timed(|| (0..handshakes).try_for_each(|_| other.meet().map(|_| ())));
        let (own, other) = if number % 2 == 0 {
            let own = own()?;
            (own, other()?)
        } else {
            let other = other()?;
            (own()?, other)
        };
        figures.insert(format!("{name}_ours_handshakes_s"), json!(handshakes as f64 / own));
        figures.insert(format!("{name}_rustls_handshakes_s"), json!(handshakes as f64 / other));
    }
    Ok(Value::Object(figures))
}

fn run(arguments: &[String]) -> Outcome<()> {
    let [rounds, megabytes, handshakes] = arguments else {
        return Err("usage: cost ROUNDS MEGABYTES HANDSHAKES".into());
    };
    let (rounds, megabytes, handshakes): (usize, usize, usize) =
        (rounds.parse()?, megabytes.parse()?, handshakes.parse()?);
    let records = (megabytes * 1_000_000).div_ceil(PLAIN);
    let chain = chain()?;
    // The first round warms caches and the clock of the processor; nobody's figures are from it.
    round(&chain, 0, records.div_ceil(4), handshakes.div_ceil(4))?;
    let all = (0..rounds).map(|number| round(&chain, number, records, handshakes)).collect::<Outcome<Vec<_>>>()?;
    println!("{}", json!({"rounds": all, "record": PLAIN, "megabytes": megabytes, "handshakes": handshakes}));
    Ok(())
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
