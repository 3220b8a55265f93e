//! The presentation language of RFC 8446 section 3: big-endian numbers and vectors with a length in front.
//!
//! [`Reader`] never panics and never allocates; what does not fit is a `decode_error` (section 6.2), and a vector is a
//! reader of its own, so that nothing can read past its end. [`Writer`] is `Vec<u8>` with vectors as closures; a
//! vector that outgrows its length field is remembered and reported once by [`Writer::done`].

use crate::error::{LocalError, RemoteError};

/// Reads from the front of a slice.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

const SHORT: RemoteError = RemoteError::decode("message too short");

impl<'a> Reader<'a> {
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// # Errors
    /// `decode_error` where fewer than `n` bytes are left; so for all readers below.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], RemoteError> {
        let (front, rest) = self.rest.split_at_checked(n).ok_or(SHORT)?;
        self.rest = rest;
        Ok(front)
    }

    /// # Errors
    /// As [`Reader::take`].
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], RemoteError> {
        let (front, rest) = self.rest.split_first_chunk::<N>().ok_or(SHORT)?;
        self.rest = rest;
        Ok(*front)
    }

    /// # Errors
    /// As [`Reader::take`].
    pub fn u8(&mut self) -> Result<u8, RemoteError> {
        self.array::<1>().map(|[b]| b)
    }

    /// # Errors
    /// As [`Reader::take`].
    pub fn u16(&mut self) -> Result<u16, RemoteError> {
        self.array().map(u16::from_be_bytes)
    }

    /// # Errors
    /// As [`Reader::take`].
    pub fn u24(&mut self) -> Result<usize, RemoteError> {
        self.array().map(|[a, b, c]| usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c))
    }

    /// # Errors
    /// As [`Reader::take`].
    pub fn u32(&mut self) -> Result<u32, RemoteError> {
        self.array().map(u32::from_be_bytes)
    }

    /// A vector with a one-byte length.
    ///
    /// # Errors
    /// As [`Reader::take`].
    pub fn vec8(&mut self) -> Result<Self, RemoteError> {
        let n = usize::from(self.u8()?);
        self.take(n).map(Self::new)
    }

    /// A vector with a two-byte length.
    ///
    /// # Errors
    /// As [`Reader::take`].
    pub fn vec16(&mut self) -> Result<Self, RemoteError> {
        let n = usize::from(self.u16()?);
        self.take(n).map(Self::new)
    }

    /// A vector with a three-byte length.
    ///
    /// # Errors
    /// As [`Reader::take`].
    pub fn vec24(&mut self) -> Result<Self, RemoteError> {
        let n = self.u24()?;
        self.take(n).map(Self::new)
    }

    /// Every two bytes that are left, as numbers.
    ///
    /// # Errors
    /// `decode_error` for an odd length.
    pub fn u16s(mut self) -> Result<Vec<u16>, RemoteError> {
        let mut all = Vec::with_capacity(self.rest.len() / 2);
        while !self.is_empty() {
            all.push(self.u16()?);
        }
        Ok(all)
    }

    /// Asserts the end (RFC 8446 section 6.2: a message whose length is incorrect is a `decode_error`).
    ///
    /// # Errors
    /// `decode_error` where bytes are left.
    pub const fn end(self) -> Result<(), RemoteError> {
        if self.rest.is_empty() { Ok(()) } else { Err(RemoteError::decode("bytes behind the end")) }
    }

    /// `self`, unless it is empty.
    ///
    /// # Errors
    /// `decode_error` where nothing is left: vectors with a lower bound of one.
    pub const fn some(self) -> Result<Self, RemoteError> {
        if self.rest.is_empty() { Err(RemoteError::decode("an empty vector")) } else { Ok(self) }
    }
}

/// Appends to a byte vector.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
    overflow: bool,
}

impl Writer {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub fn u16(&mut self, value: u16) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn vector(&mut self, width: usize, body: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.bytes.extend(std::iter::repeat_n(0, width));
        body(self);
        let from = start.saturating_add(width);
        let length = self.bytes.len().saturating_sub(from);
        if length >> (8 * width.min(4)) != 0 {
            self.overflow = true;
        }
        let be = length.to_be_bytes();
        let low = be.get(be.len().saturating_sub(width)..).unwrap_or_default();
        if let Some(field) = self.bytes.get_mut(start..from) {
            field.copy_from_slice(low);
        }
    }

    pub fn vec8(&mut self, body: impl FnOnce(&mut Self)) {
        self.vector(1, body);
    }

    pub fn vec16(&mut self, body: impl FnOnce(&mut Self)) {
        self.vector(2, body);
    }

    pub fn vec24(&mut self, body: impl FnOnce(&mut Self)) {
        self.vector(3, body);
    }

    /// One extension: its type, and its data with a length (RFC 8446 section 4.2).
    pub fn extension(&mut self, kind: u16, body: impl FnOnce(&mut Self)) {
        self.u16(kind);
        self.vec16(body);
    }

    /// # Errors
    /// [`LocalError::Config`] where a vector was too long for its length field.
    pub fn done(self) -> Result<Vec<u8>, LocalError> {
        if self.overflow { Err(LocalError::Config("a vector is too long")) } else { Ok(self.bytes) }
    }
}

/// A handshake message: type, three-byte length, body (RFC 8446 section 4).
///
/// # Errors
/// [`LocalError::Config`] where something in it is too long.
pub fn message(kind: u8, body: impl FnOnce(&mut Writer)) -> Result<Vec<u8>, LocalError> {
    let mut writer = Writer::new();
    writer.u8(kind);
    writer.vec24(body);
    writer.done()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_vectors_round_trip() {
        let mut w = Writer::new();
        w.u8(1);
        w.u16(0x0203);
        w.u32(0x0405_0607);
        w.vec8(|w| w.put(b"a"));
        w.vec16(|w| w.vec24(|w| w.put(b"bc")));
        let bytes = w.done().unwrap();
        assert_eq!(bytes, [1, 2, 3, 4, 5, 6, 7, 1, b'a', 0, 5, 0, 0, 2, b'b', b'c']);
        let mut r = Reader::new(&bytes);
        assert_eq!((r.u8().unwrap(), r.u16().unwrap(), r.u32().unwrap()), (1, 0x0203, 0x0405_0607));
        assert_eq!(r.vec8().unwrap().rest(), b"a");
        let mut inner = r.vec16().unwrap();
        assert_eq!(inner.vec24().unwrap().rest(), b"bc");
        inner.end().unwrap();
        r.end().unwrap();
    }

    #[test]
    fn what_does_not_fit_is_a_decode_error() {
        for bytes in [&[][..], &[5], &[2, 0]] {
            assert_eq!(Reader::new(bytes).vec8().unwrap_err().alert.name(), "decode_error");
        }
        assert!(Reader::new(&[0]).u16().is_err());
        assert!(Reader::new(&[0, 0, 1]).vec24().is_err());
        assert!(Reader::new(&[0, 0, 1]).u16s().is_err());
        assert!(Reader::new(&[0]).end().is_err());
        assert!(Reader::new(&[]).some().is_err());
    }

    #[test]
    fn overflow_is_told_at_the_end() {
        let mut w = Writer::new();
        w.vec8(|w| w.put(&[0; 256]));
        assert!(w.done().is_err());
    }
}
