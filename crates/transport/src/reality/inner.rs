//! What a friend speaks once the handshake is over: told by the first bytes, served by the protocol's own server.

use std::io;
use std::sync::Arc;

use rozaneh_net::stream::Io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::h2;
use crate::h2::server::Gate;
use crate::tls::drive::Ready;
use crate::tls::io::TlsIo;
use crate::tls::{MAX_RECORD, Opened};
use crate::vless;

/// The client's connection preface begins so (RFC 9113 section 3.4).
const H2: &[u8] = b"PRI * HTTP/2.0";
/// VLESS' version.
const VLESS: u8 = 0;

/// Protocols that friends may speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocols {
    pub h2: bool,
    pub vless: bool,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    H2,
    Vless,
}

impl Protocols {
    /// Which one begins like this; `Err` when none that is allowed can, `Ok(None)` while it is open.
    fn sniff(self, first: &[u8]) -> Result<Option<Protocol>, ()> {
        let h2 = self.h2 && first.iter().zip(H2).all(|(a, b)| a == b);
        match first.first() {
            None => Ok(None),
            Some(&VLESS) if self.vless => Ok(Some(Protocol::Vless)),
            Some(_) if h2 && first.len() >= H2.len() => Ok(Some(Protocol::H2)),
            Some(_) if h2 => Ok(None),
            Some(_) => Err(()),
        }
    }
}

/// Reads until the protocol is known. What was opened stays in `ready.established.early`.
///
/// # Errors
/// What the socket or the records said; `InvalidData` for a protocol that is none of ours.
pub async fn sniff(tcp: &mut TcpStream, ready: &mut Ready, protocols: Protocols) -> io::Result<Protocol> {
    let mut room = Vec::new();
    loop {
        let established = &mut ready.established;
        match protocols.sniff(&established.early) {
            Ok(Some(protocol)) => return Ok(protocol),
            Ok(None) => {}
            Err(()) => return Err(io::ErrorKind::InvalidData.into()),
        }
        let opened = established.traffic.open(&mut ready.rest);
        let pending = std::mem::take(established.traffic.pending());
        if !pending.is_empty() {
            tcp.write_all(&pending).await?;
        }
        let used = match opened? {
            Opened::Data { wire, plain } => {
                established.early.extend_from_slice(ready.rest.get(plain).unwrap_or_default());
                wire
            }
            Opened::Quiet { wire } => wire,
            Opened::Closed { .. } => return Err(io::ErrorKind::UnexpectedEof.into()),
            Opened::Partial => {
                tcp.readable().await?;
                room.resize(MAX_RECORD, 0);
                let n = tcp.read(&mut room).await?;
                if n == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                ready.rest.extend_from_slice(room.get(..n).unwrap_or_default());
                0
            }
        };
        ready.rest.drain(..used);
    }
}

/// Serves a friend to the end.
pub async fn serve(tcp: TcpStream, ready: Ready, protocol: Protocol, gate: Arc<dyn Gate>) {
    match protocol {
        Protocol::H2 => h2::server::inside(tcp, ready, gate).await,
        Protocol::Vless => vless::server::serve(Io::Dyn(Box::new(TlsIo::new(tcp, ready))), gate).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell() {
        let both = Protocols { h2: true, vless: true };
        for cut in 0..H2.len() {
            assert_eq!(both.sniff(&H2[..cut]), Ok(None));
        }
        assert_eq!(both.sniff(b"PRI * HTTP/2.0\r\n"), Ok(Some(Protocol::H2)));
        assert_eq!(both.sniff(&[0]), Ok(Some(Protocol::Vless)));
        for bad in [&b"GET / HTTP/1.1"[..], b"PRI * HTTP/1.1", &[1], &[0x16, 3, 3]] {
            assert_eq!(both.sniff(bad), Err(()));
        }
        assert_eq!(Protocols { h2: false, vless: true }.sniff(b"P"), Err(()));
        assert_eq!(Protocols { h2: true, vless: false }.sniff(&[0]), Err(()));
    }
}
