//! Bodies of the fuzz targets, as ordinary functions: a fuzzer runs them, and `tests/hostile.rs` runs mutations on
//! every machine. A body panics where a promise is broken; the promise of all is that nothing panics, and that what
//! fails says why.
#![allow(clippy::missing_panics_doc, reason = "to panic is what a body is for")]

use std::sync::Arc;

use crate::certificate::{SignatureOnly, decompress, public_key};
use crate::client::{Client, Config};
use crate::codec::Reader;
use crate::hello::plain::Plain;
use crate::hello::{ClientHello, Offered};
use crate::messages::certificate::{Certificate, Compressed, parse_request, parse_verify};
use crate::messages::encrypted::EncryptedExtensions;
use crate::messages::server_hello::Answer;
use crate::messages::ticket::NewSessionTicket;
use crate::names::compression;
use crate::server::{self, Server};
use crate::{Progress, record};

/// Everything a server's parser can be offered.
fn generous() -> Plain {
    Plain {
        alpn: vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        alps: vec![b"h2".to_vec()],
        compressions: vec![compression::ZLIB, compression::BROTLI, compression::ZSTD],
        record_size_limit: Some(0x4001),
        status: true,
        extra: vec![(crate::names::extension::ECH, vec![0; 32])],
        ..Plain::default()
    }
}

/// A client takes `data` for its server's records.
pub fn client_handshake(data: &[u8]) {
    let config = Config::new(Arc::new(generous()), Arc::new(SignatureOnly));
    let Ok((mut client, _)) = Client::start(Arc::new(config), "example.org", 0) else { return };
    let (mut input, mut out) = (data.to_vec(), Vec::new());
    match client.step(&mut input, &mut out) {
        Ok(progress) => assert_eq!(progress, Progress::NeedMore, "nobody can finish without a key"),
        Err(error) => assert_eq!(error.due().is_none(), out.is_empty(), "an alert goes out exactly where one is due"),
    }
}

/// A server takes `data` for its client's records.
pub fn server_handshake(config: &Arc<server::Config>, data: &[u8]) {
    let mut server = Server::new(Arc::clone(config), 0);
    let (mut input, mut out) = (data.to_vec(), Vec::new());
    match server.step(&mut input, &mut out) {
        Ok(progress) => assert_eq!(progress, Progress::NeedMore, "nobody can finish without a key"),
        Err(error) => assert!(error.due().is_none() || !out.is_empty(), "an alert goes out where one is due"),
    }
}

/// The record layer's framing.
pub fn records(data: &[u8]) {
    let mut rest = data;
    while let Ok(Some(header)) = record::header(rest, true) {
        assert!(header.length <= record::MAX_CIPHER);
        match rest.get(header.wire()..) {
            Some(after) => rest = after,
            None => return,
        }
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
    crate::hello::Ask { name: "example.org", now: 0, ticket: None, random: &crate::hello::SystemRandom }
}
