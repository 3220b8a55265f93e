//! The few socket options that no crate in use names.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Sets an integer option of a socket.
fn set_option(socket: impl AsFd, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    let fd = socket.as_fd();
    let length = libc::socklen_t::try_from(size_of::<c_int>()).map_err(io::Error::other)?;
    // SAFETY: `fd` is borrowed and so stays open during the call; the pointer is to a live integer of the length
    // that is passed along, and the kernel only reads from it.
    let result = unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, (&raw const value).cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The socket is writable only while at most this many bytes wait unsent (TCP_NOTSENT_LOWAT, tcp(7)).
pub(crate) fn set_unsent_low_water(socket: impl AsFd, bytes: c_int) -> io::Result<()> {
    set_option(socket, libc::IPPROTO_TCP, libc::TCP_NOTSENT_LOWAT, bytes)
}

/// Binding an address chooses no port; connecting will (IP_BIND_ADDRESS_NO_PORT, ip(7); it holds for IPv6 too).
pub(crate) fn set_bind_without_port(socket: impl AsFd) -> io::Result<()> {
    set_option(socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1)
}
