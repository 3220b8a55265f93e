//! VLESS, version 0: the header that phones' apps put in front of a stream, both sides of it.
//!
//! ```text
//! request  : 00 | id[16] | addons_len u8 | addons | cmd u8 | port u16 | atyp u8 | address | body…
//! response : 00 | addons_len u8 | addons | body…
//! ```
//! The port stands before the address, and the address types have numbers of their own. Nothing here is secret from a
//! listener and nothing is authenticated but by the id: VLESS lives inside TLS or REALITY, never alone.
//!
//! Served: streams (cmd 1) and datagrams to one target (cmd 2), without a flow. Multiplexing (cmd 3), reverse tunnels
//! (cmd 4) and flows (Vision) are refused: a peer that speaks them cannot be understood by guessing.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

pub use crate::socks5::Address;

use crate::error::{LocalProtocolError, RemoteProtocolError};
use crate::socks5::Reader;

pub mod client;
pub mod datagrams;
pub mod server;

pub use client::Client;
pub use server::Server;

/// The only version there is.
pub const VERSION: u8 = 0;

/// Bytes of an id.
pub const ID_LEN: usize = 16;

/// Bytes 6 and 7 of an id are not part of who somebody is: clients may put a route of 16 bits there.
const ROUTE: std::ops::Range<usize> = 6..8;

/// Address types. Not SOCKS5's.
mod address_type {
    pub const V4: u8 = 1;
    pub const NAME: u8 = 2;
    pub const V6: u8 = 3;
}

/// Who asks: a UUID, which is the whole secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Id([u8; ID_LEN]);

impl Id {
    #[must_use]
    pub const fn new(bytes: [u8; ID_LEN]) -> Self {
        Self(bytes)
    }

    /// Reads `8-4-4-4-12` hexadecimal digits, in either case (RFC 9562 section 4). Other spellings are refused: the
    /// short words that some programs turn into ids have no place in an invite.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; ID_LEN];
        let mut digits = text.bytes().enumerate();
        let mut at = 0;
        while let Some((place, first)) = digits.next() {
            if matches!(place, 8 | 13 | 18 | 23) {
                if first != b'-' {
                    return None;
                }
                continue;
            }
            let (_, second) = digits.next()?;
            *bytes.get_mut(at)? = digit(first)? << 4 | digit(second)?;
            at += 1;
        }
        (at == ID_LEN && text.len() == 36).then_some(Self(bytes))
    }

    /// As sent.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; ID_LEN] {
        &self.0
    }

    /// What tells people apart: the id without the bytes that may carry a route.
    #[must_use]
    pub fn masked(&self) -> [u8; ID_LEN] {
        let mut bytes = self.0;
        bytes.get_mut(ROUTE).unwrap_or_default().fill(0);
        bytes
    }
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Id(…)")
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// A byte stream.
    Stream,
    /// Datagrams to the one address of the header, and back.
    Datagrams,
}

impl Command {
    const fn code(self) -> u8 {
        match self {
            Self::Stream => 1,
            Self::Datagrams => 2,
        }
    }
}

/// Appends port, type and address, in this order.
fn encode_address(address: &Address, out: &mut Vec<u8>) -> Result<(), LocalProtocolError> {
    match address {
        Address::Ip(socket) => {
            out.extend_from_slice(&socket.port().to_be_bytes());
            match socket.ip() {
                IpAddr::V4(ip) => {
                    out.push(address_type::V4);
                    out.extend_from_slice(&ip.octets());
                }
                IpAddr::V6(ip) => {
                    out.push(address_type::V6);
                    out.extend_from_slice(&ip.octets());
                }
            }
        }
        Address::Name(name, port) => {
            let len = u8::try_from(name.len()).ok().filter(|len| *len > 0);
            let len = len.ok_or(LocalProtocolError::new("a VLESS name holds 1 to 255 bytes"))?;
            out.extend_from_slice(&port.to_be_bytes());
            out.extend_from_slice(&[address_type::NAME, len]);
            out.extend_from_slice(name);
        }
    }
    Ok(())
}

/// Reads port, type and address. `None` = more bytes are needed.
fn decode_address(reader: &mut Reader<'_>) -> Result<Option<Address>, RemoteProtocolError> {
    let Some(port) = reader.array().map(u16::from_be_bytes) else { return Ok(None) };
    let Some(kind) = reader.byte() else { return Ok(None) };
    Ok(match kind {
        address_type::V4 => {
            reader.array().map(|ip: [u8; 4]| Address::Ip(SocketAddr::new(Ipv4Addr::from(ip).into(), port)))
        }
        address_type::V6 => {
            reader.array().map(|ip: [u8; 16]| Address::Ip(SocketAddr::new(Ipv6Addr::from(ip).into(), port)))
        }
        address_type::NAME => match reader.byte() {
            None => None,
            Some(0) => return Err(RemoteProtocolError::new("a name of no bytes")),
            Some(len) => reader.take(usize::from(len)).map(|name| Address::Name(name.to_vec(), port)),
        },
        _ => return Err(RemoteProtocolError::new("an unknown address type")),
    })
}

#[cfg(test)]
mod tests;
