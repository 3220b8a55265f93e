//! The header in front of each relayed datagram (RFC 1928 section 7): `00 00 | FRAG | ATYP | address | port`.

use super::{Address, Decoded, Reader};
use crate::error::LocalProtocolError;

/// Why a datagram is dropped. Nobody is told: RFC 1928 section 7 wants silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// It ends inside its header.
    Short,
    /// The reserved bytes are not zero.
    Reserved,
    /// It is a fragment; reassembly is optional and nobody uses it.
    Fragment,
    /// The address type is unknown or the name is empty.
    Address,
}

/// Reads the header; the payload starts at the returned offset.
///
/// # Errors
/// When the datagram must be dropped.
pub fn decode(datagram: &[u8]) -> Result<(Address, usize), Dropped> {
    let mut reader = Reader(datagram);
    let [a, b, fragment] = reader.array().ok_or(Dropped::Short)?;
    if [a, b] != [0, 0] {
        return Err(Dropped::Reserved);
    }
    if fragment != 0 {
        return Err(Dropped::Fragment);
    }
    match Address::decode(reader.0) {
        Decoded::Whole(address, used) => Ok((address, 3 + used)),
        Decoded::More => Err(Dropped::Short),
        Decoded::UnknownType | Decoded::Empty => Err(Dropped::Address),
    }
}

/// Appends the header for a payload that came from, or goes to, `address`.
///
/// # Errors
/// When a name has no encoding.
pub fn encode_head(address: &Address, out: &mut Vec<u8>) -> Result<(), LocalProtocolError> {
    out.extend_from_slice(&[0, 0, 0]);
    address.encode(out)
}
