//! The local proxy: SOCKS5 and HTTP on one port, told apart by the first byte.
//!
//! A program on the reader's own machine connects here. Who it is was decided before the first byte (the same-user
//! check of the engine, or the credentials of a Unix socket), or is decided here by user and password; there is no
//! third way. What follows is a [`Next`]: a stream to a destination, or datagrams. Bytes that a program sends right
//! behind its request are the first bytes of the stream, so that a way that takes payload with the request saves a
//! round trip.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use aws_lc_rs::{constant_time, digest};
use rozaneh_wire::http1::Problem;
use rozaneh_wire::http1::head::is_token;

use crate::next::Next;

mod forward;
mod http;
mod io_half;
mod socks;
mod udp;

pub use io_half::LocalIo;

/// Who may use the listener.
#[derive(Clone)]
pub enum Auth {
    /// User and password; the password is kept as its SHA-256 only.
    Password {
        /// User name.
        user: String,
        /// SHA-256 of the password.
        password_sha256: [u8; 32],
    },
    /// The listener knows already that the program is the reader's own.
    None,
}

impl Auth {
    const fn wants_password(&self) -> bool {
        matches!(self, Self::Password { .. })
    }

    /// Whether these credentials are the right ones. Both are hashed and compared in constant time, whatever is wrong.
    fn allows(&self, user: &[u8], password: &[u8]) -> bool {
        let Self::Password { user: right, password_sha256 } = self else { return true };
        let same = |text: &[u8], hash: &[u8]| {
            let given = digest::digest(&digest::SHA256, text);
            constant_time::verify_slices_are_equal(given.as_ref(), hash).is_ok()
        };
        let user = same(user, digest::digest(&digest::SHA256, right.as_bytes()).as_ref());
        let password = same(password, password_sha256);
        user & password
    }
}

/// Says whether the socket that sent a datagram belongs to our own user: our socket's address, then the sender's.
pub type SourceCheck = fn(SocketAddr, SocketAddr) -> io::Result<bool>;

/// Bounds of one connection before its stream starts.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a program may take for its whole request.
    pub head: Duration,
    /// With the same-user check, what a datagram's source must pass before an association is locked to it.
    pub source_check: Option<SourceCheck>,
}

impl Default for Limits {
    fn default() -> Self {
        // Programs open a connection and ask in one go; 30 s is generous for one that is stopped in a debugger.
        Self { head: Duration::from_secs(30), source_check: None }
    }
}

/// Serves one connection up to the point where something is to be dialled.
///
/// [`Next::Done`] means that the program got its answer already: a refusal, in its protocol's words.
///
/// # Errors
/// When the connection breaks, ends early, or says nothing in time.
pub async fn accept(io: LocalIo, auth: &Auth, limits: &Limits) -> io::Result<Next> {
    match tokio::time::timeout(limits.head, start(io, auth, limits)).await {
        Ok(next) => next,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

async fn start(io: LocalIo, auth: &Auth, limits: &Limits) -> io::Result<Next> {
    let first = io.read().await?;
    match first.first() {
        None => Err(io::ErrorKind::UnexpectedEof.into()),
        // SOCKS4 goes there too, to be refused in its own words.
        Some(0x04 | 0x05) => socks::serve(io, first, auth, limits).await,
        // No request starts like this: a TLS hello, most likely, from a program set to an HTTPS proxy.
        Some(byte) if *byte != b'\r' && !is_token(*byte) => {
            io.close(&Problem::NOT_A_PROXY_REQUEST.response(false)).await;
            Ok(Next::Done)
        }
        Some(_) => http::serve(io, first, auth).await,
    }
}

#[cfg(test)]
mod tests;
