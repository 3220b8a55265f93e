//! The record layer: framing of any bytes, and a peer that seals any content after the handshake.

use crate::channel::Joiner;
use crate::names::{content, message};
use crate::record::{self, MAX_PLAIN, Protection};
use crate::schedule::Secret;
use crate::suite::Suite;
use crate::traffic::{Opened, Resumption, Traffic};

const SUITE: Suite = Suite::Chacha20Poly1305Sha256;

/// Framing: no header announces more than a record may have.
fn frames(data: &[u8]) {
    for protected in [false, true] {
        let mut rest = data;
        while let Ok(Some(header)) = record::header(rest, protected) {
            assert!(header.length <= record::MAX_CIPHER);
            match rest.get(header.wire()..) {
                Some(after) => rest = after,
                None => break,
            }
        }
    }
}

fn secret(byte: u8) -> Option<Secret> {
    Secret::from_bytes(SUITE.hash(), &[byte; 32]).ok()
}

fn keys(byte: u8) -> Option<Protection> {
    Protection::new(SUITE, secret(byte)?).ok()
}

fn traffic(client: bool) -> Option<Traffic> {
    let traffic = Traffic::new(SUITE, keys(1)?, keys(2)?, secret(3)?);
    let resumption = || Some(Resumption { master: secret(4)?, name: "example.org".into(), alpn: None });
    Some(if client { traffic.with_resumption(resumption()?) } else { traffic })
}

/// `data` as records without protection; then as a list of contents (type, length of two bytes, bytes) that a peer
/// seals, changing its keys where it said so. The first byte says whether a client or a server reads.
pub fn records(data: &[u8]) {
    frames(data);
    let Some((first, mut rest)) = data.split_first() else { return };
    let (Some(mut traffic), Some(mut peer)) = (traffic(first % 2 == 0), keys(2)) else { return };
    let mut joiner = Joiner::default();
    while let Some((&[kind, high, low], after)) = rest.split_first_chunk::<3>() {
        let length = usize::from(u16::from_be_bytes([high, low])).min(after.len()).min(MAX_PLAIN);
        let Some((body, after)) = after.split_at_checked(length) else { return };
        rest = after;
        if kind == 0 {
            // A type of zero is padding: the record's type would be the last byte of the content.
            continue;
        }
        let mut wire = Vec::new();
        if peer.append(kind, body, &mut wire).is_err() {
            return;
        }
        let whole = wire.len();
        match traffic.open(&mut wire) {
            Ok(Opened::Data { wire: taken, plain }) => {
                assert_eq!((kind, taken), (content::APPLICATION_DATA, whole));
                assert_eq!(wire.get(plain), Some(body));
            }
            Ok(Opened::Quiet { wire: taken } | Opened::Closed { wire: taken }) => assert_eq!(taken, whole),
            Ok(Opened::Partial) => assert_eq!(whole, 0, "a whole record is not half of one"),
            Err(error) => {
                assert!(error.due().is_none() || !traffic.pending().is_empty(), "an alert goes out where one is due");
                assert!(traffic.seal(&mut [0; 64], 1).is_err(), "nothing is said after the end");
                return;
            }
        }
        if kind == content::HANDSHAKE {
            joiner.push(body);
            while let Ok(Some(whole)) = joiner.next() {
                if whole.first() == Some(&message::KEY_UPDATE) && peer.update().is_err() {
                    return;
                }
            }
        }
    }
    traffic.close();
    let _ = traffic.tickets(0);
}
