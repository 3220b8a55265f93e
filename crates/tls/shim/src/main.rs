//! The program that BoringSSL's test runner (BoGo) starts for each of its tests, to see how our engine behaves before
//! a peer that breaks every rule on purpose. Its contract is ssl/test/PORTING.md of BoringSSL: flags say what to do
//! and what to expect; exit code 0 is success, 1 failure with the reason on stderr, 89 a flag we do not know.
//!
//! | file | idea |
//! |---|---|
//! | [`flags`] | the flags, and why each that is missing is missing |
//! | [`offer`] | a hello as the flags want it |
//! | [`link`] | the socket, whole or byte by byte |
//! | [`exchange`] | one connection: handshake, what must hold after it, the echo |
//!
//! Where a flag is not known and `ROZANEH_BOGO_SKIPPED` names a file, a line with the flag is appended to it: every
//! skip has to be accounted for.
#![forbid(unsafe_code)]

mod exchange;
mod flags;
mod link;
mod offer;

use std::fs::OpenOptions;
use std::io::Write;
use std::process::ExitCode;

use flags::Parsed;

/// What the runner takes for "not implemented" (ssl/test/runner/runner.go).
const NOT_IMPLEMENTED: u8 = 89;

fn skip(flag: &str) -> std::io::Result<()> {
    let Some(path) = std::env::var_os("ROZANEH_BOGO_SKIPPED") else { return Ok(()) };
    // One write, so that lines of many processes do not mix.
    OpenOptions::new().append(true).create(true).open(path)?.write_all(format!("{flag}\n").as_bytes())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match flags::parse(&arguments) {
        Parsed::Unknown(flag) => {
            return match skip(&flag) {
                Ok(()) => ExitCode::from(NOT_IMPLEMENTED),
                Err(error) => {
                    eprintln!("cannot note that {flag} was skipped: {error}");
                    ExitCode::FAILURE
                }
            };
        }
        // Asked once at the start: whether handshakes can be handed to another process.
        Parsed::Handshaker => {
            println!("No");
            return ExitCode::SUCCESS;
        }
        Parsed::Run(plan) => exchange::all(&plan),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
