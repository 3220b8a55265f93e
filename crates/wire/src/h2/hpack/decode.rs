//! The decoder: fragments of a header block in, fields out. At most one representation is ever buffered.

use std::borrow::Cow;

use super::huffman;
use super::integer;
use super::table::Table;
use crate::h2::field::{Field, Name};

/// The table before we say otherwise (RFC 9113 section 6.5.2).
const DEFAULT_TABLE: usize = 4096;

/// How much of a fragment is looked at while one representation is being put together.
const SPOON: usize = 512;

/// Why a block cannot be decoded. Both end the connection: the shared state is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HpackError {
    /// Not HPACK: COMPRESSION_ERROR.
    Broken(&'static str),
    /// A string beyond `max_string`: ENHANCE_YOUR_CALM.
    TooLong,
}

/// Where decoded fields go.
#[derive(Debug, Default)]
pub struct FieldList {
    /// What was decoded, up to the limit.
    pub fields: Vec<Field>,
    /// The whole list by the measure of RFC 9113 section 6.5.2, the part beyond the limit included.
    pub size: usize,
    /// Beyond this size fields are decoded for the table's sake and dropped; 0 keeps none.
    pub limit: usize,
}

impl FieldList {
    /// An empty list that keeps up to `limit`.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { fields: Vec::new(), size: 0, limit }
    }

    /// Whether fields are missing.
    #[must_use]
    pub fn overflowed(&self) -> bool {
        self.size > self.limit
    }

    fn push(&mut self, field: Field) {
        self.size = self.size.saturating_add(field.size());
        if self.size <= self.limit {
            if self.fields.capacity() == 0 {
                self.fields.reserve_exact(8);
            }
            self.fields.push(field);
        } else {
            // Nothing of an oversized list is used: give the memory back at once.
            self.fields = Vec::new();
        }
    }
}

/// An HPACK decoder.
#[derive(Debug)]
pub struct Decoder {
    table: Table,
    /// What the peer's size updates may not exceed: the largest of our announcements still in force.
    limit: usize,
    /// The next block must begin with a size update of at most this (RFC 7541 section 4.2).
    shrink: Option<usize>,
    /// A field was seen in this block: no more size updates.
    fields_seen: bool,
    max_string: usize,
    /// The beginning of a representation that is not complete.
    partial: Vec<u8>,
}

impl Decoder {
    /// A decoder with the default table. `max_string` bounds a name or value as encoded.
    #[must_use]
    pub fn new(max_string: usize) -> Self {
        Self {
            table: Table::new(DEFAULT_TABLE),
            limit: DEFAULT_TABLE,
            shrink: None,
            fields_seen: false,
            max_string,
            partial: Vec::new(),
        }
    }

    /// We announced a larger HEADER_TABLE_SIZE: the peer may use it as soon as it has read it.
    pub fn raise_limit(&mut self, limit: u32) {
        self.limit = self.limit.max(usize::try_from(limit).unwrap_or(usize::MAX));
    }

    /// The peer acknowledged our HEADER_TABLE_SIZE: this is the limit now. Where it is below the table's present size
    /// the next block has to say so itself.
    pub fn settle_limit(&mut self, limit: u32) {
        self.limit = usize::try_from(limit).unwrap_or(usize::MAX);
        if self.limit < self.table.max() {
            self.shrink = Some(self.limit);
        }
    }

    /// Decodes a fragment.
    ///
    /// # Errors
    /// The connection is over: the decoder's state is lost.
    pub fn feed(&mut self, fragment: &[u8], list: &mut FieldList) -> Result<(), HpackError> {
        let mut rest = fragment;
        while !self.partial.is_empty() && !rest.is_empty() {
            let had = self.partial.len();
            let (spoon, after) = rest.split_at_checked(SPOON).unwrap_or((rest, &[]));
            self.partial.extend_from_slice(spoon);
            let partial = std::mem::take(&mut self.partial);
            match self.one(&partial, list)? {
                // It was incomplete without the spoon, so it ends within the spoon.
                Some(used) => rest = rest.get(used.saturating_sub(had)..).unwrap_or(&[]),
                None => {
                    self.partial = partial;
                    rest = after;
                }
            }
        }
        while !rest.is_empty() {
            match self.one(rest, list)? {
                Some(used) => rest = rest.get(used..).unwrap_or(&[]),
                None => {
                    self.partial.extend_from_slice(rest);
                    break;
                }
            }
        }
        Ok(())
    }

    /// The block is complete.
    ///
    /// # Errors
    /// It was not.
    pub fn finish(&mut self) -> Result<(), HpackError> {
        self.fields_seen = false;
        if !self.partial.is_empty() {
            self.partial = Vec::new();
            return Err(HpackError::Broken("a header block ends within a representation"));
        }
        Ok(())
    }

    /// One representation from the front of `buf`: how long it is, or None when it is not complete. Nothing changes
    /// unless it is.
    fn one(&mut self, buf: &[u8], list: &mut FieldList) -> Result<Option<usize>, HpackError> {
        let Some(first) = buf.first() else { return Ok(None) };
        match first {
            0x80.. => {
                let Some((index, used)) = int(buf, 7)? else { return Ok(None) };
                let (name, value) = self.table.get(index).ok_or(HpackError::Broken("an index outside the tables"))?;
                self.field()?;
                list.push(Field { name, value, sensitive: false });
                Ok(Some(used))
            }
            0x40..=0x7f => self.literal(buf, 6, true, false, list),
            0x20..=0x3f => {
                let Some((size, used)) = int(buf, 5)? else { return Ok(None) };
                self.update(size)?;
                Ok(Some(used))
            }
            0x10..=0x1f => self.literal(buf, 4, false, true, list),
            0x00..=0x0f => self.literal(buf, 4, false, false, list),
        }
    }

    fn literal(
        &mut self,
        buf: &[u8],
        bits: u8,
        index: bool,
        sensitive: bool,
        list: &mut FieldList,
    ) -> Result<Option<usize>, HpackError> {
        let Some((name_index, mut used)) = int(buf, bits)? else { return Ok(None) };
        // Both strings are measured before either is decoded: an attempt that fails for want of bytes costs nothing.
        let mut coded_name = None;
        if name_index == 0 {
            let Some((string, len)) = self.string(buf.get(used..).unwrap_or(&[]))? else { return Ok(None) };
            coded_name = Some(string);
            used += len;
        }
        let Some((coded_value, len)) = self.string(buf.get(used..).unwrap_or(&[]))? else { return Ok(None) };
        used += len;

        self.field()?;
        let name = match coded_name {
            Some(string) => Name(Cow::Owned(string.decode()?)),
            None => self.table.get_name(name_index).ok_or(HpackError::Broken("an index outside the tables"))?,
        };
        let value: Cow<'static, [u8]> = Cow::Owned(coded_value.decode()?);
        if index {
            self.table.add(name.clone(), value.clone());
        }
        list.push(Field { name, value, sensitive });
        Ok(Some(used))
    }

    /// A string's place within `buf`, and how many bytes it takes with its length in front.
    fn string<'b>(&self, buf: &'b [u8]) -> Result<Option<(Coded<'b>, usize)>, HpackError> {
        let Some((len, used)) = int(buf, 7)? else { return Ok(None) };
        if len > self.max_string {
            return Err(HpackError::TooLong);
        }
        let Some(bytes) = buf.get(used..used + len) else { return Ok(None) };
        let huffman = buf.first().is_some_and(|first| first & 0x80 != 0);
        Ok(Some((Coded { bytes, huffman }, used + len)))
    }

    /// A field is about to be decoded: size updates may only stand in front (RFC 7541 section 4.2).
    fn field(&mut self) -> Result<(), HpackError> {
        self.fields_seen = true;
        match self.shrink {
            None => Ok(()),
            Some(_) => Err(HpackError::Broken("a table size update is missing")),
        }
    }

    fn update(&mut self, size: usize) -> Result<(), HpackError> {
        if self.fields_seen {
            return Err(HpackError::Broken("a table size update behind a field"));
        }
        if size > self.limit {
            return Err(HpackError::Broken("a table size update above what was announced"));
        }
        self.shrink = None;
        self.table.resize(size);
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn table(&self) -> &Table {
        &self.table
    }
}

/// A string as it travelled.
#[derive(Clone, Copy)]
struct Coded<'b> {
    bytes: &'b [u8],
    huffman: bool,
}

impl Coded<'_> {
    fn decode(self) -> Result<Vec<u8>, HpackError> {
        if !self.huffman {
            return Ok(self.bytes.to_vec());
        }
        // The shortest code has five bits, so eight fifths is the most a string can grow.
        let mut text = Vec::with_capacity(self.bytes.len().saturating_mul(8) / 5);
        huffman::decode(self.bytes, &mut text)?;
        Ok(text)
    }
}

fn int(buf: &[u8], bits: u8) -> Result<Option<(usize, usize)>, HpackError> {
    integer::read(buf, bits).map_err(|()| HpackError::Broken("an integer without end"))
}
