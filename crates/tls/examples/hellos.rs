//! Prints the first flights a profile's browser would send, one a line in hexadecimal: what comparisons are made with.
//!
//! Usage: `hellos PROFILE.json COUNT`. Hello number `i` asks for `h<i with six digits>.garden-photos.example`.

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use rozaneh_tls::hello::{Ask, Author, SystemRandom};
use rozaneh_tls::profile::Browser;

/// RFC 8446 section 5.1: type and largest length of a record.
const HANDSHAKE: u8 = 22;
const MAX_RECORD: usize = 1 << 14;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(path), Some(count)) = (arguments.next(), arguments.next().and_then(|text| text.into_string().ok()))
    else {
        eprintln!("usage: hellos PROFILE.json COUNT");
        return ExitCode::from(2);
    };
    match print(path.as_ref(), &count) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn print(path: &Path, count: &str) -> Result<(), Box<dyn Error>> {
    let browser = Browser::from_json(&std::fs::read(path)?)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for index in 0..count.parse::<u32>()? {
        let name = format!("h{index:06}.garden-photos.example");
        let hello = browser.hello(&Ask { name: &name, now: 0, ticket: None, random: &SystemRandom })?;
        let mut sizes = hello.records.iter().copied();
        let mut rest = hello.message.as_slice();
        while !rest.is_empty() {
            let (piece, left) = rest.split_at(sizes.next().unwrap_or(MAX_RECORD).min(MAX_RECORD).min(rest.len()));
            rest = left;
            write!(out, "{HANDSHAKE:02x}{:04x}{:04x}", browser.hello.record_version, piece.len())?;
            for byte in piece {
                write!(out, "{byte:02x}")?;
            }
        }
        writeln!(out)?;
    }
    Ok(out.flush()?)
}
