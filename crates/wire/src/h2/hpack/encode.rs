//! The encoder: fields in, header block out.

use super::huffman;
use super::integer;
use super::style::{Coding, HpackStyle, Literal, Representation};
use super::table::Table;
use crate::h2::field::Field;

/// The table a decoder has before it says otherwise (RFC 9113 section 6.5.2).
const DEFAULT_TABLE: usize = 4096;

/// The most table we keep for a peer that offers more: a browser keeps as much.
const MAX_TABLE: usize = 65_536;

/// An HPACK encoder.
#[derive(Debug)]
pub struct Encoder {
    style: HpackStyle,
    table: Table,
    /// The smallest table size since the last block, when the size changed (RFC 7541 section 4.2).
    lowest: Option<usize>,
    /// The peer has sent HEADER_TABLE_SIZE since the last block.
    told: bool,
}

impl Encoder {
    /// An encoder of that style.
    #[must_use]
    pub fn new(style: HpackStyle) -> Self {
        Self { style, table: Table::new(DEFAULT_TABLE), lowest: None, told: false }
    }

    /// The peer's HEADER_TABLE_SIZE.
    pub fn set_peer_limit(&mut self, limit: u32) {
        self.told = true;
        let max = usize::try_from(limit).unwrap_or(MAX_TABLE).min(MAX_TABLE);
        if max != self.table.max() {
            self.lowest = Some(self.lowest.unwrap_or(usize::MAX).min(max));
            self.table.resize(max);
        }
    }

    /// Appends the block of `fields`.
    pub fn encode(&mut self, fields: &[Field], out: &mut Vec<u8>) {
        self.size_updates(out);
        for field in fields {
            match self.style.choose(field, &self.table) {
                Representation::Indexed(index) => integer::write(out, 0x80, 7, index),
                Representation::Literal { literal, name, value } => {
                    match literal {
                        Literal::Incremental => integer::write(out, 0x40, 6, name),
                        Literal::Without => integer::write(out, 0x00, 4, name),
                        Literal::Never => integer::write(out, 0x10, 4, name),
                    }
                    if name == 0 {
                        string(out, &field.name, Coding::Shorter);
                    }
                    string(out, &field.value, value);
                    if literal == Literal::Incremental && self.style.keeps_table() {
                        self.table.add(field.name.clone(), field.value.clone());
                    }
                }
            }
        }
    }

    fn size_updates(&mut self, out: &mut Vec<u8>) {
        let (lowest, told) = (self.lowest.take(), std::mem::take(&mut self.told));
        if self.style.announces_zero() {
            if told {
                integer::write(out, 0x20, 5, 0);
            }
            return;
        }
        if let Some(lowest) = lowest {
            if lowest < self.table.max() {
                integer::write(out, 0x20, 5, lowest);
            }
            integer::write(out, 0x20, 5, self.table.max());
        }
    }

    #[cfg(test)]
    pub(super) fn table(&self) -> &Table {
        &self.table
    }
}

fn string(out: &mut Vec<u8>, text: &[u8], coding: Coding) {
    let short = huffman::encoded_len(text);
    if coding == Coding::Shorter && short < text.len() {
        integer::write(out, 0x80, 7, short);
        huffman::encode(text, out);
    } else {
        integer::write(out, 0x00, 7, text.len());
        out.extend_from_slice(text);
    }
}
