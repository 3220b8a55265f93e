//! Who owns a socket of this machine: one exact question to the kernel, one answer (sock_diag(7)).

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, recv, send, socket_with};

// linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h: part of the kernel's stable interface.
const HEADER: usize = 16;
const REQUEST: usize = HEADER + 56;
const ANSWER: usize = 72;
const NLMSG_ERROR: u16 = 2;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const ENOENT: i32 = 2;
/// TCP_ESTABLISHED of linux/tcp_states.h.
pub(crate) const ESTABLISHED: u8 = 1;

pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;

/// What the kernel says about one socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) state: u8,
    pub(crate) uid: u32,
    pub(crate) inode: u32,
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
}

/// Asks for the socket with exactly these ends; `None` where there is no such socket, or more than one answer.
pub(crate) fn find(protocol: u8, source: SocketAddr, destination: SocketAddr) -> io::Result<Option<Owner>> {
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        Some(SOCK_DIAG),
    )?;
    // Connected to the kernel (port 0), the socket hears nobody else.
    connect(&socket, &SocketAddrNetlink::new(0, 0))?;
    let request = request(protocol, source, destination);
    if send(&socket, &request, SendFlags::empty())? != request.len() {
        return Err(io::ErrorKind::WriteZero.into());
    }
    let mut found = Vec::new();
    // An exact question is answered before the send returns, so that there is nothing to wait for.
    let mut buffer = [0_u8; 4096];
    loop {
        match recv(&socket, &mut buffer[..], RecvFlags::empty()) {
            Ok((_, read)) => match parse(buffer.get(..read).unwrap_or_default(), &mut found) {
                Ok(()) => {}
                Err(error) if error.raw_os_error() == Some(ENOENT) => return Ok(None),
                Err(error) => return Err(error),
            },
            Err(rustix::io::Errno::AGAIN) => break,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(match found.as_slice() {
        [only] => Some(*only),
        _ => None,
    })
}

/// struct nlmsghdr and struct inet_diag_req_v2.
fn request(protocol: u8, source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let v4 = source.is_ipv4() && destination.is_ipv4();
    let family = if v4 { libc::AF_INET } else { libc::AF_INET6 };
    let interface = match (source, destination) {
        (SocketAddr::V6(source), SocketAddr::V6(destination)) => source.scope_id().max(destination.scope_id()),
        _ => 0,
    };
    let mut bytes = Vec::with_capacity(REQUEST);
    bytes.extend_from_slice(&(REQUEST as u32).to_ne_bytes());
    bytes.extend_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend_from_slice(&NLM_F_REQUEST.to_ne_bytes());
    bytes.extend_from_slice(&[0; 8]);
    bytes.extend_from_slice(&[family as u8, protocol, 0, 0]);
    // All states: which one it is decides the caller.
    bytes.extend_from_slice(&u32::MAX.to_ne_bytes());
    bytes.extend_from_slice(&source.port().to_be_bytes());
    bytes.extend_from_slice(&destination.port().to_be_bytes());
    for address in [source.ip(), destination.ip()] {
        let octets = match address {
            IpAddr::V4(address) if v4 => {
                let mut octets = [0; 16];
                octets[..4].copy_from_slice(&address.octets());
                octets
            }
            IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            IpAddr::V6(address) => address.octets(),
        };
        bytes.extend_from_slice(&octets);
    }
    bytes.extend_from_slice(&interface.to_ne_bytes());
    // INET_DIAG_NOCOOKIE: any socket with these ends.
    bytes.extend_from_slice(&[0xff; 8]);
    bytes
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn malformed() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

/// Reads a datagram of netlink messages.
fn parse(mut bytes: &[u8], found: &mut Vec<Owner>) -> io::Result<()> {
    while !bytes.is_empty() {
        let length = word(bytes, 0).and_then(|length| usize::try_from(length).ok()).ok_or_else(malformed)?;
        if length < HEADER || length > bytes.len() {
            return Err(malformed());
        }
        let kind = u16::from_ne_bytes([bytes[4], bytes[5]]);
        let body = &bytes[HEADER..length];
        match kind {
            SOCK_DIAG_BY_FAMILY => found.push(owner(body).ok_or_else(malformed)?),
            NLMSG_ERROR => {
                // A negative errno.
                let code = word(body, 0).ok_or_else(malformed)?.wrapping_neg();
                return Err(io::Error::from_raw_os_error(i32::try_from(code).map_err(|_| malformed())?));
            }
            _ => return Err(malformed()),
        }
        // Messages are aligned to four bytes.
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(())
}

/// struct inet_diag_msg.
fn owner(body: &[u8]) -> Option<Owner> {
    if body.len() < ANSWER {
        return None;
    }
    let v4 = i32::from(body[0]) == libc::AF_INET;
    let address = |at: usize| -> Option<IpAddr> {
        let octets: [u8; 16] = body.get(at..at + 16)?.try_into().ok()?;
        Some(if v4 {
            IpAddr::from([octets[0], octets[1], octets[2], octets[3]])
        } else {
            Ipv6Addr::from(octets).to_canonical()
        })
    };
    let port = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
    Some(Owner {
        state: body[1],
        source: SocketAddr::new(address(8)?, port(4)),
        destination: SocketAddr::new(address(24)?, port(6)),
        uid: word(body, 64)?,
        inode: word(body, 68)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_answers_are_refused_and_never_panic() {
        let mut seed = 7_u32;
        for round in 0..20_000 {
            let bytes: Vec<u8> = (0..round % 200)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (seed >> 24) as u8
                })
                .collect();
            let _ = parse(&bytes, &mut Vec::new());
        }
        let mut message = vec![0_u8; HEADER + ANSWER];
        message[..4].copy_from_slice(&((HEADER + ANSWER) as u32).to_ne_bytes());
        message[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        for cut in 1..message.len() {
            assert!(parse(&message[..cut], &mut Vec::new()).is_err(), "{cut}");
        }
        let mut found = Vec::new();
        parse(&message, &mut found).expect("whole");
        assert_eq!(found.len(), 1);
        message[..4].copy_from_slice(&8_u32.to_ne_bytes());
        assert!(parse(&message, &mut Vec::new()).is_err(), "a length below the header's would never end");
    }

    #[test]
    fn the_question_has_the_kernels_layout() {
        let bytes = request(TCP, "127.0.0.1:1".parse().expect("a"), "127.0.0.2:258".parse().expect("b"));
        assert_eq!(bytes.len(), 72);
        assert_eq!(bytes[16..18], [2, 6]);
        assert_eq!(bytes[24..28], [0, 1, 1, 2]);
        assert_eq!(bytes[28..32], [127, 0, 0, 1]);
        assert_eq!(bytes[44..48], [127, 0, 0, 2]);
        assert_eq!(bytes[64..72], [0xff; 8]);
    }
}
