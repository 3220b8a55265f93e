//! An erasure code for files that travel in pieces: any pieces, as soon as there are enough of them.
//!
//! ```text
//!   file ── Plan ──▶ blocks of at most 1,024 symbols ── encode ──▶ symbols: 0..k are the file itself, k.. repair it
//!   symbols, in any order, from anywhere ── Decoder ──▶ file, each block as soon as it has k of its symbols
//! ```
//!
//! The code is RaptorQ (RFC 6330) with one source block of its own for each of ours, so there may be more than the 256
//! that its payload ids can count. A file and a symbol size give everything else: two people who split the same file
//! make the same symbols, and pieces from both fit together.
//!
//! Who made a symbol is not known here: callers let only those in that they have checked.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::unreachable)
)]

mod decode;
mod encode;
mod plan;

pub use decode::{Added, Decoder};
pub use encode::encode;
pub use plan::{Block, MAX_ESI, MAX_SYMBOLS, Plan};
