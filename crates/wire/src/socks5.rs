//! SOCKS5 (RFC 1928) with user and password (RFC 1929): both sides of the conversation, and the UDP header.
//!
//! The machines are fed whatever arrived and say how much of it they took, because the bytes behind a request are
//! already the stream's: a program may send its first words together with its request, and none may be lost.
//!
//! | state of the server | takes | says | then |
//! |---|---|---|---|
//! | greeting | methods | the method, or `FF` | user and password, or the request |
//! | user and password | both | after `verdict` | the request |
//! | request | command, address | after `reply` | the stream |

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::error::LocalProtocolError;

pub mod client;
pub mod server;
pub mod udp;

pub use client::Client;
pub use server::Server;

/// Protocol version (RFC 1928 section 3).
pub const VERSION: u8 = 0x05;

/// Version of the user and password exchange (RFC 1929 section 2).
const AUTH_VERSION: u8 = 0x01;

/// Methods (RFC 1928 section 3).
mod method {
    pub const NONE: u8 = 0x00;
    pub const PASSWORD: u8 = 0x02;
    pub const NOT_ACCEPTABLE: u8 = 0xff;
}

/// Address types (RFC 1928 section 5).
mod address_type {
    pub const V4: u8 = 0x01;
    pub const NAME: u8 = 0x03;
    pub const V6: u8 = 0x04;
}

/// What a client asks for (RFC 1928 section 4). BIND is refused by the machine itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// A byte stream.
    Connect,
    /// Datagrams, for as long as this connection lives.
    UdpAssociate,
}

impl Command {
    const fn code(self) -> u8 {
        match self {
            Self::Connect => 0x01,
            Self::UdpAssociate => 0x03,
        }
    }
}

/// Reply codes (RFC 1928 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// 00
    Succeeded,
    /// 01
    GeneralFailure,
    /// 02: forbidden by the rules.
    NotAllowed,
    /// 03
    NetworkUnreachable,
    /// 04
    HostUnreachable,
    /// 05
    Refused,
    /// 06: what comes nearest to "nothing answered in time".
    TtlExpired,
    /// 07
    CommandNotSupported,
    /// 08
    AddressTypeNotSupported,
    /// Any other one: unassigned.
    Other(u8),
}

impl Code {
    /// The byte that stands for it.
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            Self::Succeeded => 0,
            Self::GeneralFailure => 1,
            Self::NotAllowed => 2,
            Self::NetworkUnreachable => 3,
            Self::HostUnreachable => 4,
            Self::Refused => 5,
            Self::TtlExpired => 6,
            Self::CommandNotSupported => 7,
            Self::AddressTypeNotSupported => 8,
            Self::Other(byte) => byte,
        }
    }
}

impl From<u8> for Code {
    fn from(byte: u8) -> Self {
        match byte {
            0 => Self::Succeeded,
            1 => Self::GeneralFailure,
            2 => Self::NotAllowed,
            3 => Self::NetworkUnreachable,
            4 => Self::HostUnreachable,
            5 => Self::Refused,
            6 => Self::TtlExpired,
            7 => Self::CommandNotSupported,
            8 => Self::AddressTypeNotSupported,
            byte => Self::Other(byte),
        }
    }
}

/// Where to, as SOCKS5 writes it. `Debug` shows no content: a destination must never reach a log.
#[derive(Clone, PartialEq, Eq)]
pub enum Address {
    /// An address and a port.
    Ip(SocketAddr),
    /// A name of 1 to 255 bytes, exactly as sent, and a port. It is not checked here.
    Name(Vec<u8>, u16),
}

impl Address {
    /// What a reply says where there is nothing to tell.
    pub const UNSPECIFIED: Self = Self::Ip(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0));

    /// Appends type, address and port (RFC 1928 section 5).
    ///
    /// # Errors
    /// When a name is empty or longer than 255 bytes.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), LocalProtocolError> {
        let port = match self {
            Self::Ip(addr) => {
                match addr.ip() {
                    IpAddr::V4(ip) => {
                        out.push(address_type::V4);
                        out.extend_from_slice(&ip.octets());
                    }
                    IpAddr::V6(ip) => {
                        out.push(address_type::V6);
                        out.extend_from_slice(&ip.octets());
                    }
                }
                addr.port()
            }
            Self::Name(name, port) => {
                let len = u8::try_from(name.len()).ok().filter(|len| *len > 0);
                let len = len.ok_or(LocalProtocolError::new("a SOCKS5 name holds 1 to 255 bytes"))?;
                out.extend_from_slice(&[address_type::NAME, len]);
                out.extend_from_slice(name);
                *port
            }
        };
        out.extend_from_slice(&port.to_be_bytes());
        Ok(())
    }

    /// Reads type, address and port off the front of `input`.
    pub(crate) fn decode(input: &[u8]) -> Decoded {
        let mut reader = Reader(input);
        let host = match reader.byte() {
            None => return Decoded::More,
            Some(address_type::V4) => reader.array().map(|octets: [u8; 4]| Host::Ip(Ipv4Addr::from(octets).into())),
            Some(address_type::V6) => reader.array().map(|octets: [u8; 16]| Host::Ip(Ipv6Addr::from(octets).into())),
            Some(address_type::NAME) => match reader.byte() {
                Some(0) => return Decoded::Empty,
                Some(len) => reader.take(usize::from(len)).map(|name| Host::Name(name.to_vec())),
                None => None,
            },
            Some(_) => return Decoded::UnknownType,
        };
        match (host, reader.array()) {
            (Some(host), Some(port)) => {
                let port = u16::from_be_bytes(port);
                let address = match host {
                    Host::Ip(ip) => Self::Ip(SocketAddr::new(ip, port)),
                    Host::Name(name) => Self::Name(name, port),
                };
                Decoded::Whole(address, input.len() - reader.0.len())
            }
            _ => Decoded::More,
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ip(_) => "Ip(…)",
            Self::Name(..) => "Name(…)",
        })
    }
}

enum Host {
    Ip(IpAddr),
    Name(Vec<u8>),
}

/// What lies at the front of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// An address, and how many bytes it took.
    Whole(Address, usize),
    /// The beginning of one.
    More,
    /// A type that no RFC knows.
    UnknownType,
    /// A name of no bytes.
    Empty,
}

/// Takes bytes off the front of a slice without ever leaving it.
pub(crate) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    pub fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }
}

#[cfg(test)]
#[path = "socks5/tests.rs"]
mod tests;
