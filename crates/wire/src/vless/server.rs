//! The server's side: reads the request's header and says how much of the input it took; the rest is the stream's.

use std::fmt;

use super::{Address, Command, ID_LEN, Id, VERSION, decode_address};
use crate::error::RemoteProtocolError;
use crate::socks5::Reader;

/// What goes in front of the first bytes to the client: the version, and no addons.
pub const RESPONSE: [u8; 2] = [VERSION, 0];

/// The longest header: version, id, 255 bytes of addons, command, port, and a name of 255 bytes.
pub const MAX_HEADER: usize = 1 + ID_LEN + 1 + 255 + 1 + 2 + 1 + 1 + 255;

/// Wire types of protocol buffers, in which the addons are written.
mod wire_type {
    pub const VARINT: u8 = 0;
    pub const FIXED64: u8 = 1;
    pub const BYTES: u8 = 2;
    pub const FIXED32: u8 = 5;
}

/// The addons' field with the flow's name.
const FLOW: u64 = 1;

/// Who wants to go where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub id: Id,
    pub command: Command,
    pub address: Address,
}

/// The machine: `feed` until there is a request.
#[derive(Default)]
pub struct Server {
    held: Vec<u8>,
    over: bool,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.over { "Server(over)" } else { "Server(header)" })
    }
}

impl Server {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes up to the end of the header and says how many it took. Without a request, all were taken.
    ///
    /// # Errors
    /// What is not VLESS 0, and what is not served (flows, multiplexing, reverse tunnels). There is nothing to be said
    /// to such a peer, and every further call fails.
    pub fn feed(&mut self, input: &[u8]) -> Result<(usize, Option<Request>), RemoteProtocolError> {
        if self.over {
            return Err(RemoteProtocolError::new("the header was read before"));
        }
        let before = self.held.len();
        let room = MAX_HEADER.saturating_sub(before);
        self.held.extend_from_slice(input.get(..room).unwrap_or(input));
        let read = read(&self.held);
        if !matches!(read, Ok(None)) {
            self.over = true;
            self.held = Vec::new();
        }
        match read? {
            None => Ok((input.len(), None)),
            Some((request, len)) => Ok((len.saturating_sub(before), Some(request))),
        }
    }
}

/// The header at the front of `bytes`, and its length. `None` = it is not whole, and shorter than [`MAX_HEADER`].
fn read(bytes: &[u8]) -> Result<Option<(Request, usize)>, RemoteProtocolError> {
    let mut reader = Reader(bytes);
    match reader.byte() {
        None => return Ok(None),
        Some(VERSION) => {}
        Some(_) => return Err(RemoteProtocolError::new("not VLESS of version 0")),
    }
    let Some(id) = reader.array::<ID_LEN>() else { return Ok(None) };
    let Some(len) = reader.byte() else { return Ok(None) };
    let Some(addons) = reader.take(usize::from(len)) else { return Ok(None) };
    if flows(addons)? {
        return Err(RemoteProtocolError::new("a flow is asked for, and none is served"));
    }
    let command = match reader.byte() {
        None => return Ok(None),
        Some(1) => Command::Stream,
        Some(2) => Command::Datagrams,
        Some(3 | 4) => return Err(RemoteProtocolError::new("multiplexing and reverse tunnels are not served")),
        Some(_) => return Err(RemoteProtocolError::new("an unknown command")),
    };
    let Some(address) = decode_address(&mut reader)? else { return Ok(None) };
    let request = Request { id: Id::new(id), command, address };
    Ok(Some((request, bytes.len() - reader.0.len())))
}

/// Whether the addons name a flow. Fields that nobody knows are passed over, as protocol buffers want it.
fn flows(addons: &[u8]) -> Result<bool, RemoteProtocolError> {
    let broken = RemoteProtocolError::new("the addons are not protocol buffers");
    let mut reader = Reader(addons);
    let mut found = false;
    while !reader.0.is_empty() {
        let key = varint(&mut reader).ok_or(broken)?;
        // The last three bits are the wire type, so they fit.
        let length = match u8::try_from(key & 7).unwrap_or(u8::MAX) {
            wire_type::VARINT => varint(&mut reader).map(|_| 0),
            wire_type::FIXED64 => Some(8),
            wire_type::FIXED32 => Some(4),
            wire_type::BYTES => varint(&mut reader).and_then(|length| usize::try_from(length).ok()),
            _ => None,
        };
        let value = length.and_then(|length| reader.take(length)).ok_or(broken)?;
        // A field that comes twice counts as its last (protocol buffers, "last one wins").
        if key >> 3 == FLOW {
            found = !value.is_empty();
        }
    }
    Ok(found)
}

/// An integer in base 128, least significant first; at most ten bytes (protocol buffers, encoding).
fn varint(reader: &mut Reader<'_>) -> Option<u64> {
    let mut value = 0u64;
    for place in 0..10 {
        let byte = reader.byte()?;
        value |= u64::from(byte & 0x7f).checked_shl(7 * place)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
