//! How a file is cut: blocks, and symbols in them.

use raptorq::ObjectTransmissionInformation;

/// Symbols of the largest block. Two more than this many are enough in all but one of a million cases (RFC 6330
/// section 1), so a block of a thousand costs 0.2 % and not the 2 % of one of a hundred; and decoding stays fast,
/// which it is not with the 56,403 that the code allows.
pub const MAX_SYMBOLS: u32 = 1_024;
/// The largest encoding symbol id (RFC 6330 section 3.2: 24 bits).
pub const MAX_ESI: u32 = (1 << 24) - 1;
/// Largest file: 2^32 symbols are more than any carrier moves.
const MAX_LENGTH: u64 = 1 << 40;

/// A file's length and symbol size, and all that follows from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    length: u64,
    symbol: u16,
    blocks: u32,
    /// Symbols of the larger blocks, which come first, and how many of these there are (RFC 6330 section 4.4.1.2).
    large: u32,
    larger: u32,
}

/// One block of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its first byte in the file.
    pub offset: u64,
    /// Its bytes; the last block's last symbol is filled up with zeros.
    pub length: u64,
    /// Its symbols.
    pub symbols: u32,
}

impl Plan {
    /// The plan of a file of `length` bytes in symbols of `symbol` bytes; `None` where either is 0 or too large.
    #[must_use]
    pub fn new(length: u64, symbol: u16) -> Option<Self> {
        if length == 0 || symbol == 0 || length > MAX_LENGTH {
            return None;
        }
        let total = length.div_ceil(u64::from(symbol));
        let blocks = u32::try_from(total.div_ceil(u64::from(MAX_SYMBOLS))).ok()?;
        let large = u32::try_from(total.div_ceil(u64::from(blocks))).ok()?;
        let small = u32::try_from(total / u64::from(blocks)).ok()?;
        let larger = u32::try_from(total - u64::from(small) * u64::from(blocks)).ok()?;
        Some(Self { length, symbol, blocks, large, larger })
    }

    /// The file's bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Bytes of a symbol.
    #[must_use]
    pub fn symbol(&self) -> u16 {
        self.symbol
    }

    /// How many blocks there are.
    #[must_use]
    pub fn blocks(&self) -> u32 {
        self.blocks
    }

    /// Block number `index`.
    #[must_use]
    pub fn block(&self, index: u32) -> Option<Block> {
        if index >= self.blocks {
            return None;
        }
        let symbols = if index < self.larger || self.larger == 0 { self.large } else { self.large - 1 };
        let before = u64::from(index) * u64::from(self.large)
            - if self.larger == 0 { 0 } else { u64::from(index.saturating_sub(self.larger)) };
        let offset = before * u64::from(self.symbol);
        let length = (u64::from(symbols) * u64::from(self.symbol)).min(self.length - offset);
        Some(Block { offset, length, symbols })
    }

    /// The parameters of one block as the code's own object: one source block, no sub-blocks, bytes as symbols' units.
    pub(crate) fn parameters(&self, block: &Block) -> ObjectTransmissionInformation {
        ObjectTransmissionInformation::new(u64::from(block.symbols) * u64::from(self.symbol), self.symbol, 1, 1, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn blocks_cover_the_file_without_gap(length in 1u64..40_000_000, symbol in 1u16..=20_000) {
            let plan = Plan::new(length, symbol).unwrap();
            let mut at = 0;
            let mut sizes = Vec::new();
            for index in 0..plan.blocks() {
                let block = plan.block(index).unwrap();
                prop_assert_eq!(block.offset, at);
                prop_assert!(block.length > 0 && block.symbols <= MAX_SYMBOLS);
                prop_assert_eq!(block.length.div_ceil(u64::from(symbol)), u64::from(block.symbols));
                at += block.length;
                sizes.push(block.symbols);
            }
            prop_assert_eq!(at, length);
            prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1);
            prop_assert_eq!(plan.block(plan.blocks()), None);
        }
    }

    #[test]
    fn what_cannot_be_cut_has_no_plan() {
        assert_eq!(Plan::new(0, 100), None);
        assert_eq!(Plan::new(100, 0), None);
        assert_eq!(Plan::new(u64::MAX, 100), None);
        assert_eq!(Plan::new(1, 1).unwrap().block(0), Some(Block { offset: 0, length: 1, symbols: 1 }));
    }
}
