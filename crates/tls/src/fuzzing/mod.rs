//! Bodies of the fuzz targets, as ordinary functions: `fuzz/` runs them under a fuzzer, `tests/corpus.rs` replays the
//! corpus and mutations of it on every machine. A body panics where a promise is broken; the promise of all is that
//! nothing panics, and that what fails says why.
//!
//! A fuzzer that only sends records stops at the first key. So both handshakes also have a peer here that makes the
//! keys and seals whatever the fuzzer gives: everything behind them is reached with input that no tag protects.
#![allow(clippy::missing_panics_doc, reason = "to panic is what a body is for")]

mod handshake;
mod reality;
mod records;

use crate::certificate::{decompress, public_key};
use crate::codec::Reader;
use crate::error::LocalError;
use crate::hello::plain::Plain;
use crate::hello::{ClientHello, Offered, Random};
use crate::messages::certificate::{Certificate, Compressed, parse_request, parse_verify};
use crate::messages::encrypted::EncryptedExtensions;
use crate::messages::server_hello::Answer;
use crate::messages::ticket::NewSessionTicket;
use crate::names::{compression, group};

pub use handshake::{client_handshake, server_handshake};
pub use reality::reality;
pub use records::records;

/// Everything a server's parser can be offered.
fn generous() -> Plain {
    Plain {
        alpn: vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        alps: vec![b"h2".to_vec()],
        compressions: vec![compression::ZLIB, compression::BROTLI, compression::ZSTD],
        record_size_limit: Some(0x4001),
        status: true,
        extra: vec![(crate::names::extension::ECH, vec![0; 32])],
        // One share, of the group that costs least.
        shares: vec![group::X25519],
        ..Plain::default()
    }
}

/// Gives sevens, so that an input means the same on every run.
struct Sevens;

impl Random for Sevens {
    fn fill(&self, out: &mut [u8]) -> Result<(), LocalError> {
        out.fill(7);
        Ok(())
    }
}

/// Every parser of a message, on the same bytes; then the decompressors.
pub fn messages(data: &[u8]) {
    let Ok(hello) = crate::hello::Author::hello(&generous(), &ask()) else { return };
    let offered: &Offered = &hello.offered;
    let _ = Answer::parse(data, offered);
    let _ = EncryptedExtensions::parse(data, offered);
    let _ = Certificate::parse(data, offered);
    let _ = NewSessionTicket::parse(data);
    let _ = ClientHello::parse(data).map(|hello| Offered::of(&hello));
    let _ = (parse_request(data), parse_verify(data), public_key(data), Reader::new(data).u16s());
    certificates(data);
}

/// A compressed certificate: what comes out is never longer than was said.
pub fn certificates(data: &[u8]) {
    for algorithm in [compression::ZLIB, compression::BROTLI, compression::ZSTD] {
        for length in [1, 600, 100_000] {
            let message = Compressed { algorithm, length, bytes: data };
            if let Ok(out) = decompress::decompress(&message, &[algorithm]) {
                assert_eq!(out.len(), length);
            }
        }
    }
}

fn ask() -> crate::hello::Ask<'static> {
    crate::hello::Ask { name: "example.org", now: 0, ticket: None, random: &Sevens }
}
