//! Capsules (RFC 9297 section 3) and UDP in them (RFC 9298): `type varint | length varint | value`.
//!
//! A capsule border has nothing to do with the border of a read or a frame, so [`Decoder`] takes any split. A
//! datagram that lies whole inside one input is reported as a range of it; only one that was split is gathered.
//! Capsules of unknown type are skipped without being held, however long they claim to be (RFC 9297 section 3.2).

use std::ops::Range;

use crate::error::{LocalProtocolError, RemoteProtocolError};
use crate::varint;

/// Capsule type of an HTTP datagram (RFC 9297 section 3.5).
pub const DATAGRAM: u64 = 0x00;

/// Largest UDP payload that travels (RFC 9298 section 5).
pub const MAX_UDP_PAYLOAD: usize = 65_527;

/// Largest value of a DATAGRAM capsule: the payload behind the longest context id (RFC 9000 section 16).
const MAX_DATAGRAM: u64 = (MAX_UDP_PAYLOAD + varint::MAX_LEN) as u64;

/// What a gathered datagram's buffer starts with; it grows as bytes arrive, never by what a length claims.
const FIRST_RESERVE: usize = 2_048;

/// One UDP payload found by [`Decoder::feed`].
#[derive(Debug, PartialEq, Eq)]
pub enum Datagram {
    /// It lies whole inside the input, here.
    Within(Range<usize>),
    /// It was split over inputs and has been put together.
    Gathered(Vec<u8>),
}

impl Datagram {
    /// The payload, given the input that [`Decoder::feed`] was called with.
    #[must_use]
    pub fn bytes<'a>(&'a self, input: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Within(range) => input.get(range.clone()).unwrap_or_default(),
            Self::Gathered(bytes) => bytes,
        }
    }
}

#[derive(Debug)]
enum State {
    /// Reading type and length.
    Head,
    /// Reading the context id of a datagram with so many bytes left.
    Context(usize),
    /// Reading a UDP payload with so many bytes left.
    Payload(usize, Vec<u8>),
    /// Passing over so many bytes of no interest.
    Skip(u64),
    /// The peer broke the rules; nothing more is read.
    Broken,
}

/// Reads a stream of capsules and reports the UDP payloads of context 0 (RFC 9298 section 5).
#[derive(Debug)]
pub struct Decoder {
    state: State,
    held: [u8; 2 * varint::MAX_LEN],
    held_len: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A decoder at the start of a stream.
    #[must_use]
    pub const fn new() -> Self {
        Self { state: State::Head, held: [0; 2 * varint::MAX_LEN], held_len: 0 }
    }

    /// Takes all of `input`; reports each UDP payload of context 0. Other contexts are dropped: none is registered
    /// (RFC 9298 section 4).
    ///
    /// # Errors
    /// A datagram without a context id, or with more than [`MAX_UDP_PAYLOAD`] bytes. The stream is to be reset
    /// (RFC 9297 section 3.3); every later call fails too.
    pub fn feed(&mut self, input: &[u8], on: &mut dyn FnMut(Datagram)) -> Result<(), RemoteProtocolError> {
        let mut at = 0;
        let result = self.walk(input, &mut at, on);
        if result.is_err() {
            self.state = State::Broken;
        }
        result
    }

    /// The stream has ended: fine only between capsules.
    ///
    /// # Errors
    /// When the last capsule is cut short (RFC 9297 section 3.3: malformed).
    pub fn finish(&self) -> Result<(), RemoteProtocolError> {
        match self.state {
            State::Head if self.held_len == 0 => Ok(()),
            _ => Err(RemoteProtocolError::new("the stream ended inside a capsule")),
        }
    }

    /// Moves one byte of `input` into the held bytes; false when there is none.
    fn hold(&mut self, input: &[u8], at: &mut usize) -> bool {
        match (input.get(*at), self.held.get_mut(self.held_len)) {
            (Some(byte), Some(place)) => {
                *place = *byte;
                self.held_len += 1;
                *at += 1;
                true
            }
            _ => false,
        }
    }

    fn held(&self) -> &[u8] {
        self.held.get(..self.held_len).unwrap_or_default()
    }

    fn walk(&mut self, input: &[u8], at: &mut usize, on: &mut dyn FnMut(Datagram)) -> Result<(), RemoteProtocolError> {
        loop {
            match &mut self.state {
                State::Head => {
                    let head = varint::decode(self.held()).and_then(|(kind, used)| {
                        let (length, _) = varint::decode(self.held().get(used..)?)?;
                        Some((kind, length))
                    });
                    let Some((kind, length)) = head else {
                        if !self.hold(input, at) {
                            return Ok(());
                        }
                        continue;
                    };
                    self.held_len = 0;
                    self.state = match (kind, length) {
                        (DATAGRAM, 0) => {
                            return Err(RemoteProtocolError::new("a datagram capsule without a context id"));
                        }
                        (DATAGRAM, 1..=MAX_DATAGRAM) => State::Context(usize::try_from(length).unwrap_or_default()),
                        (DATAGRAM, _) => {
                            return Err(RemoteProtocolError::new("a datagram capsule beyond 65,535 bytes"));
                        }
                        (_, 0) => State::Head,
                        (_, length) => State::Skip(length),
                    };
                }
                State::Context(left) => {
                    let left = *left;
                    let Some((context, used)) = varint::decode(self.held()) else {
                        if self.held_len >= left {
                            return Err(RemoteProtocolError::new("a datagram capsule shorter than its context id"));
                        }
                        if !self.hold(input, at) {
                            return Ok(());
                        }
                        continue;
                    };
                    self.held_len = 0;
                    let left = left - used;
                    self.state = match (context, left) {
                        (0, left) if left > MAX_UDP_PAYLOAD => {
                            return Err(RemoteProtocolError::new("a UDP payload beyond 65,527 bytes"));
                        }
                        (0, left) => State::Payload(left, Vec::new()),
                        (_, 0) => State::Head,
                        (_, left) => State::Skip(left as u64),
                    };
                }
                State::Payload(left, gathered) => {
                    let here = input.get(*at..).unwrap_or_default();
                    if gathered.is_empty() && here.len() >= *left {
                        let end = *at + *left;
                        on(Datagram::Within(*at..end));
                        *at = end;
                        self.state = State::Head;
                        continue;
                    }
                    let take = here.len().min(*left);
                    if gathered.is_empty() {
                        gathered.reserve((*left).min(FIRST_RESERVE));
                    }
                    gathered.extend_from_slice(here.get(..take).unwrap_or_default());
                    *at += take;
                    *left -= take;
                    if *left > 0 {
                        return Ok(());
                    }
                    on(Datagram::Gathered(std::mem::take(gathered)));
                    self.state = State::Head;
                }
                State::Skip(left) => {
                    let here = input.len().saturating_sub(*at);
                    let take = usize::try_from(*left).unwrap_or(usize::MAX).min(here);
                    *at += take;
                    *left -= take as u64;
                    if *left > 0 {
                        return Ok(());
                    }
                    self.state = State::Head;
                }
                State::Broken => return Err(RemoteProtocolError::new("the capsule stream is already broken")),
            }
        }
    }
}

/// The bytes in front of one UDP payload: capsule type, length, context id 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    bytes: [u8; 8],
    len: u8,
}

impl AsRef<[u8]> for Head {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// What to send in front of a UDP payload of `len` bytes, so that the payload itself need not be moved.
///
/// # Errors
/// Above [`MAX_UDP_PAYLOAD`].
pub fn datagram_head(len: usize) -> Result<Head, LocalProtocolError> {
    if len > MAX_UDP_PAYLOAD {
        return Err(LocalProtocolError::new("a UDP payload holds at most 65,527 bytes"));
    }
    let mut bytes = Vec::with_capacity(8);
    varint::encode(DATAGRAM, &mut bytes)?;
    varint::encode(len as u64 + 1, &mut bytes)?;
    varint::encode(0, &mut bytes)?;
    let mut head = Head { bytes: [0; 8], len: 0 };
    for (place, byte) in head.bytes.iter_mut().zip(&bytes) {
        *place = *byte;
        head.len += 1;
    }
    Ok(head)
}

/// Appends a whole capsule that carries `payload`.
///
/// # Errors
/// Above [`MAX_UDP_PAYLOAD`].
pub fn encode_datagram(payload: &[u8], out: &mut Vec<u8>) -> Result<(), LocalProtocolError> {
    out.extend_from_slice(datagram_head(payload.len())?.as_ref());
    out.extend_from_slice(payload);
    Ok(())
}

/// In front of host and port in the default template (RFC 9298 section 2).
const UDP_PATH: &str = "/.well-known/masque/udp/";

/// Longest host that a path may name: 255 bytes, as in every other listener of ours (RFC 1035 section 2.3.4).
const MAX_HOST: usize = 255;

/// `/.well-known/masque/udp/{host}/{port}/`, with everything but unreserved characters escaped (RFC 6570 section 3.2.2).
#[must_use]
pub fn udp_path(host: &str, port: u16) -> String {
    use std::fmt::Write as _;
    let mut path = String::with_capacity(UDP_PATH.len() + host.len() + 8);
    path.push_str(UDP_PATH);
    for byte in host.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(path, "%{byte:02X}");
        }
    }
    let _ = write!(path, "/{port}/");
    path
}

/// Host and port of a path that [`udp_path`] could have written; `None` for every other one.
///
/// The host is unescaped once, holds no percent sign (RFC 9298 section 2: no zone identifiers) and no separator.
#[must_use]
pub fn parse_udp_path(path: &[u8]) -> Option<(String, u16)> {
    let rest = path.strip_prefix(UDP_PATH.as_bytes())?.strip_suffix(b"/")?;
    let slash = rest.iter().position(|byte| *byte == b'/')?;
    let (host, port) = (rest.get(..slash)?, rest.get(slash + 1..)?);
    let host = unescape(host)?;
    let digits = !port.is_empty() && port.len() <= 5 && port.iter().all(u8::is_ascii_digit) && !port.starts_with(b"0");
    let port = digits.then(|| std::str::from_utf8(port).ok()?.parse::<u16>().ok())??;
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"%/?#@[]\\\"<>".contains(&byte);
    let fits = !host.is_empty() && host.len() <= MAX_HOST && host.bytes().all(plain);
    fits.then_some((host, port))
}

/// Undoes percent-encoding of a template expansion: unreserved characters and `%XX`, nothing else.
fn unescape(text: &[u8]) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let value = digit(bytes.next()?)? * 16 + digit(bytes.next()?)?;
                out.push(u8::try_from(value).ok()?);
            }
            _ if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => out.push(byte),
            _ => return None,
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
#[path = "capsule/tests.rs"]
mod tests;
