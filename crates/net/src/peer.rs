//! Whether whoever connects to a local socket is the user we run as.
//!
//! Browsers cannot authenticate to a SOCKS proxy, and every program of every user can reach a port on loopback. On
//! Linux the kernel knows whose socket is at the other end; elsewhere it cannot be asked, and these checks fail.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

/// The user at the other end of a Unix socket, as it was when it connected.
#[cfg(unix)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cred {
    pub uid: u32,
    pub gid: u32,
}

/// Asks the kernel (SO_PEERCRED, unix(7)) who connected.
///
/// # Errors
/// Whatever the system says against it.
#[cfg(unix)]
pub fn cred(stream: &UnixStream) -> io::Result<Cred> {
    let cred = stream.peer_cred()?;
    Ok(Cred { uid: cred.uid(), gid: cred.gid() })
}

/// Whether the user at the other end of a Unix socket is the one we run as.
///
/// # Errors
/// Whatever the system says against it.
#[cfg(unix)]
pub fn same_user_unix(stream: &UnixStream) -> io::Result<bool> {
    let uid = rustix::process::geteuid().as_raw();
    Ok(!stands_for_nobody(uid) && cred(stream)?.uid == uid)
}

/// Whether the other end of an accepted connection is a live socket of this machine that belongs to the user we run
/// as. To be asked before a byte is read; an error counts as no.
///
/// # Errors
/// `Unsupported` where the system cannot be asked; otherwise whatever it says.
pub fn same_user(stream: &TcpStream) -> io::Result<bool> {
    system::same_user(canonical(stream.peer_addr()?), canonical(stream.local_addr()?))
}

/// Whether the socket that sends datagrams from `remote` to our `local` belongs to the user we run as.
///
/// # Errors
/// As [`same_user`].
pub fn same_user_udp(local: SocketAddr, remote: SocketAddr) -> io::Result<bool> {
    system::same_user_udp(canonical(local), canonical(remote))
}

/// An IPv4 peer of an IPv6 socket is an IPv4 peer.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip if ip == address.ip() => address,
        ip => SocketAddr::new(ip, address.port()),
    }
}

/// In a user namespace every user that has no name there shows as one and the same overflow user, so that being it
/// proves nothing.
#[cfg(unix)]
fn stands_for_nobody(uid: u32) -> bool {
    // The kernel's default (user_namespaces(7)), also where /proc is not mounted.
    const OVERFLOW: u32 = 65_534;
    let configured = std::fs::read_to_string("/proc/sys/kernel/overflowuid").ok();
    let overflow = configured.and_then(|text| text.trim().parse().ok()).unwrap_or(OVERFLOW);
    uid == overflow || uid == OVERFLOW
}

#[cfg(target_os = "linux")]
mod system {
    use std::io;
    use std::net::SocketAddr;

    use crate::sock_diag::{ESTABLISHED, Owner, TCP, UDP, find};

    pub(super) fn ours(owner: &Owner) -> bool {
        let uid = rustix::process::geteuid().as_raw();
        // A socket that has closed has no inode, and would show user 0.
        owner.inode != 0 && owner.uid == uid && !super::stands_for_nobody(uid)
    }

    fn same(one: SocketAddr, other: SocketAddr) -> bool {
        one.ip() == other.ip() && one.port() == other.port()
    }

    pub(super) fn same_user(remote: SocketAddr, local: SocketAddr) -> io::Result<bool> {
        // The peer's socket: its own end is our peer's address, its other end is ours.
        let Some(owner) = find(TCP, remote, local)? else { return Ok(false) };
        // The kernel's search falls back to listening sockets; only the very connection counts.
        let exact = same(owner.source, remote) && same(owner.destination, local);
        Ok(exact && owner.state == ESTABLISHED && ours(&owner))
    }

    pub(super) fn same_user_udp(local: SocketAddr, remote: SocketAddr) -> io::Result<bool> {
        // For UDP the kernel looks for the socket that would receive, and reads the two ends the other way round
        // than for TCP; kernels that do not are asked as for TCP. Which socket is meant is in the answer.
        for (source, destination) in [(local, remote), (remote, local)] {
            let Some(owner) = find(UDP, source, destination)? else { continue };
            let port = owner.source.port() == remote.port();
            let address = owner.source.ip() == remote.ip() || owner.source.ip().is_unspecified();
            let unconnected = owner.destination.port() == 0;
            if port && address && (unconnected || same(owner.destination, local)) {
                return Ok(ours(&owner));
            }
        }
        Ok(false)
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::io;
    use std::net::SocketAddr;

    pub(super) fn same_user(_remote: SocketAddr, _local: SocketAddr) -> io::Result<bool> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn same_user_udp(_local: SocketAddr, _remote: SocketAddr) -> io::Result<bool> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(all(test, target_os = "linux"))]
#[path = "peer_tests.rs"]
mod tests;
