//! HPACK (RFC 7541), both directions.
//!
//! A header block is a sequence of representations, each of which names a field by its index in a table or literally,
//! and may change the dynamic table. Both ends keep the same table by applying the same changes, so a lost or
//! misread representation spoils all that follow: every decoding fault ends the connection.
//!
//! | first bits | representation (RFC 7541 section 6) | changes the table |
//! |---|---|---|
//! | `1` | indexed field | no |
//! | `01` | literal with incremental indexing | adds the field |
//! | `001` | dynamic table size update, only in front | evicts |
//! | `0001` | literal never indexed | no |
//! | `0000` | literal without indexing | no |
//!
//! The decoder is streaming: fragments of any size go in, and at most one representation is buffered. Which
//! representation an *encoder* chooses is free, and therefore a look: see `style`.

mod decode;
mod encode;
mod huffman;
mod integer;
mod style;
mod table;
#[cfg(test)]
mod tests;

pub use decode::{Decoder, FieldList, HpackError};
pub use encode::Encoder;
pub use style::HpackStyle;

/// Huffman coding of strings, for those who must know how long a string becomes.
pub use huffman::{decode as huffman_decode, encode as huffman_encode, encoded_len as huffman_len};
