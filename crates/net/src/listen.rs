//! Listening sockets.

use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::Path;

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that may wait to be accepted. The kernel lowers it to net.core.somaxconn, whose default is 4,096.
const BACKLOG: i32 = 4096;

/// Listens on a TCP address. An IPv6 address takes IPv6 only, so that `0.0.0.0` and `[::]` can be listened on side
/// by side.
///
/// # Errors
/// Whatever the system says against it.
pub fn tcp(address: SocketAddr) -> io::Result<tokio::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A restart must not wait for old connections to time out. Elsewhere than on Unix the option would let another
    // program take the port over.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    tokio::net::TcpListener::from_std(socket.into())
}

/// Listens on a Unix socket that only its owner can connect to. A socket file that nobody answers at is removed
/// first; one that somebody answers at, or anything that is not a socket, is left alone.
///
/// # Errors
/// `AddrInUse` where somebody answers; `AlreadyExists` where the path is no socket; whatever the system says.
#[cfg(unix)]
pub fn unix(path: &Path) -> io::Result<tokio::net::UnixListener> {
    use std::os::unix::fs::PermissionsExt;

    let address = socket2::SockAddr::unix(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    // On Linux the file takes the mode of the socket it is bound to, so that there is no moment at which others
    // could connect; the mode is set again below for systems where that is not so.
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    let _ = rustix::fs::fchmod(&socket, mode);
    match socket.bind(&address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            remove_stale(path, &address)?;
            socket.bind(&address)?;
        }
        other => other?,
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    socket.listen(BACKLOG)?;
    tokio::net::UnixListener::from_std(socket.into())
}

#[cfg(unix)]
fn remove_stale(path: &Path, address: &socket2::SockAddr) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt;

    if !std::fs::symlink_metadata(path)?.file_type().is_socket() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A listener whose queue is full answers "would block" instead of making us wait.
    probe.set_nonblocking(true)?;
    match probe.connect(address) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
        _ => Err(io::ErrorKind::AddrInUse.into()),
    }
}

#[cfg(test)]
#[path = "listen_tests.rs"]
mod tests;
