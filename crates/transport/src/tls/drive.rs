//! A handshake over a socket.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::opening::{self, Opener, Opening};
use super::{Established, Handshake, Step, TlsError};

/// A handshake that ended well, and the bytes that already came behind it.
pub struct Ready {
    pub established: Established,
    /// Records, still sealed, that were read together with the handshake's last flight.
    pub rest: Vec<u8>,
}

/// Reads a stranger's first bytes until they are a whole ClientHello, and returns them; `None` when they were refused as
/// the cover refuses them, or ended.
///
/// # Errors
/// What the socket said.
pub async fn opening(tcp: &mut TcpStream, protocols: &[Vec<u8>]) -> io::Result<Option<Vec<u8>>> {
    let mut opener = Opener::default();
    let mut input = Vec::new();
    // As much as OpenSSL takes at once: what is left unread when it hangs up decides between a FIN and a reset.
    let mut room = vec![0u8; opening::READ];
    loop {
        let n = tcp.read(&mut room).await?;
        if n == 0 {
            return Ok(None);
        }
        input.extend_from_slice(room.get(..n).unwrap_or_default());
        match opener.judge(&mut input, protocols) {
            Opening::More => {}
            Opening::Hello => return Ok(Some(input)),
            Opening::Refuse(alert) => {
                tcp.write_all(alert.as_ref().map_or(&[], |alert| alert.as_slice())).await?;
                return Ok(None);
            }
        }
    }
}

/// Reads and writes until the handshake is over. The caller sets the deadline: before authentication it is the
/// cover's, not ours.
///
/// # Errors
/// [`TlsError`] wrapped as `InvalidData`, or what the socket said. The alert was sent before.
pub async fn handshake(tcp: &mut TcpStream, mut shake: Box<dyn Handshake>, first: Vec<u8>) -> io::Result<Ready> {
    let mut input = first;
    let mut out = Vec::new();
    // A first flight with a post-quantum share is under 2 KiB, a server's with a chain under 6.
    let mut room = vec![0u8; 8_192];
    loop {
        let step = shake.step(&mut input, &mut out);
        if !out.is_empty() {
            tcp.write_all(&out).await?;
            out.clear();
        }
        if step? == Step::Done {
            return Ok(Ready { established: shake.finish()?, rest: input });
        }
        let n = tcp.read(&mut room).await?;
        if n == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, TlsError::PeerAlert));
        }
        input.extend_from_slice(room.get(..n).unwrap_or_default());
    }
}
