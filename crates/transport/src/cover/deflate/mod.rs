//! Deflate (RFC 1951) for short bodies, bit for bit as zlib 1.2.13 makes it at level 1.
//!
//! nginx shrinks zlib's window and memory level with the body, and the memory level decides the hash and the size of a
//! block, so it shows in the output; no safe binding lets one set it. Bodies that fit half a window need neither a
//! sliding window nor input in pieces, which leaves little of the algorithm: a hash chain four links deep, the first
//! good match, blocks of a fixed number of symbols. Longer bodies get the default memory level and zlib itself.

mod block;
mod tree;

use self::block::Block;

const MIN_MATCH: usize = 3;
const MAX_MATCH: usize = 258;
/// Level 1: how many earlier places are looked at, from which length on a match is good enough, and up to which length
/// the inside of a match is remembered too.
const CHAIN: usize = 4;
const NICE: usize = 8;
const INSERT: usize = 4;

/// Symbols and bits on their way out.
pub(super) struct Bits {
    pub bytes: Vec<u8>,
    held: u64,
    count: u32,
}

impl Bits {
    pub(super) fn put(&mut self, value: u32, count: u32) {
        self.held |= u64::from(value) << self.count;
        self.count += count;
        while self.count >= 8 {
            self.bytes.push((self.held & 0xff) as u8);
            self.held >>= 8;
            self.count -= 8;
        }
    }

    /// Fills the last byte with zeros.
    pub(super) fn align(&mut self) {
        if self.count > 0 {
            self.put(0, 8 - self.count);
        }
    }
}

/// The input with what matching needs around it.
struct Search {
    /// The input and a match's length of zeros behind it: zlib compares past the end and cuts afterwards.
    window: Vec<u8>,
    length: usize,
    head: Vec<u16>,
    prev: Vec<u16>,
    shift: u32,
}

impl Search {
    fn byte(&self, at: usize) -> u8 {
        self.window.get(at).copied().unwrap_or(0)
    }

    /// Remembers the three bytes at `at`; returns where their like was last, 0 for nowhere (or the very start, which
    /// zlib cannot tell from nowhere).
    fn insert(&mut self, at: usize) -> usize {
        let value = |n: usize| u32::from(self.byte(at + n));
        let hash = (value(0) << (2 * self.shift)) ^ (value(1) << self.shift) ^ value(2);
        let hash = hash as usize & (self.head.len() - 1);
        let Some(head) = self.head.get_mut(hash) else { return 0 };
        let before = *head;
        // Positions stay below 16 KiB.
        *head = u16::try_from(at).unwrap_or(0);
        if let Some(prev) = self.prev.get_mut(at) {
            *prev = before;
        }
        usize::from(before)
    }

    /// The best match for `at` among the chain from `candidate` on: (start, length).
    fn longest(&self, at: usize, mut candidate: usize) -> (usize, usize) {
        let ahead = self.length - at;
        let nice = NICE.min(ahead);
        let (mut start, mut best) = (0, MIN_MATCH - 1);
        let here = self.window.get(at..at + MAX_MATCH).unwrap_or_default();
        for _ in 0..CHAIN {
            let there = self.window.get(candidate..candidate + MAX_MATCH).unwrap_or_default();
            // The end of the best match so far is the likeliest place to differ.
            if there.get(best) == here.get(best) && there.get(best - 1) == here.get(best - 1) {
                let length = here.iter().zip(there).take_while(|(a, b)| a == b).count();
                if length > best {
                    (start, best) = (candidate, length);
                    if length >= nice {
                        break;
                    }
                }
            }
            candidate = usize::from(self.prev.get(candidate).copied().unwrap_or(0));
            if candidate == 0 {
                break;
            }
        }
        (start, best.min(ahead))
    }
}

/// Compresses `input` (less than 16 KiB) with the hash and the blocks of memory level `bits - 7`, as one final stream.
pub(super) fn compress(input: &[u8], bits: u32) -> Vec<u8> {
    let mut window = input.to_vec();
    window.resize(input.len() + 2 * MAX_MATCH, 0);
    let mut search = Search {
        window,
        length: input.len(),
        head: vec![0; 1 << bits],
        prev: vec![0; input.len()],
        shift: bits.div_ceil(3),
    };
    let mut out = Bits { bytes: Vec::with_capacity(input.len() / 2 + 32), held: 0, count: 0 };
    let capacity = (1 << (bits - 1)) - 1;
    let mut block = Block::new(capacity);
    let mut at = 0;
    let mut block_start = 0;
    while at < input.len() {
        let ahead = input.len() - at;
        let candidate = if ahead >= MIN_MATCH { search.insert(at) } else { 0 };
        let (start, length) = if candidate == 0 { (0, 0) } else { search.longest(at, candidate) };
        if length >= MIN_MATCH {
            block.pair(at - start, length);
            if length <= INSERT && ahead - length >= MIN_MATCH {
                for inner in at + 1..at + length {
                    search.insert(inner);
                }
            }
            at += length;
        } else {
            block.literal(search.byte(at));
            at += 1;
        }
        if block.is_full() {
            block.flush(input.get(block_start..at).unwrap_or_default(), false, &mut out);
            block = Block::new(capacity);
            block_start = at;
        }
    }
    block.flush(input.get(block_start..).unwrap_or_default(), true, &mut out);
    out.bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Read as _;

    fn back(packed: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        flate2::read::DeflateDecoder::new(packed).read_to_end(&mut out).expect("a deflate stream");
        out
    }

    #[test]
    fn as_zlib_1_2_13() {
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        // Python's `zlib.compressobj(1, DEFLATED, -bits, bits - 7)` over zlib 1.2.13.
        assert_eq!(hex(&compress(b"", 9)), "0300");
        assert_eq!(
            hex(&compress(&b"<p>Front page of the site.</p>\n".repeat(3), 9)),
            "b329b0732bcacf2b5128484c4f55c84f5328c9485528ce2c49d5b3d12fb0e3b2a1481a00"
        );
        let numbers: Vec<u8> = (0..200_u32).flat_map(|i| format!("{} ", i * i % 97).into_bytes()).collect();
        assert_eq!(
            hex(&compress(&numbers, 10)),
            "ed90db1103210c035bd912b03106fa6f2c4bfed341666eeec1592bc983a0b844938bd9d4a58b134cb2a8cd4e921974729d98ec41246b729d562bc0f7620d0ebdc8cd39ac2293234dd42282d3b48ac34cc249eee42cf6657b97ebf5fdf4d05ffd861c55a04cb10841e2848ad6401bcdb4d46ebc082f88710cd52fa0310d6b64831bdf121e48dcaf9ae69652735f6dcbbb824bb90ffbf9fcefe4f74e3e"
        );
    }

    proptest! {
        #[test]
        fn whole_again(text in proptest::collection::vec(prop::sample::select(b"abcd <>\n\0\xff".to_vec()), 0..3000)) {
            for bits in [9, 12, 14] {
                prop_assert_eq!(back(&compress(&text, bits)), text.clone());
            }
        }

        #[test]
        fn whole_again_random(text in proptest::collection::vec(any::<u8>(), 0..3000)) {
            prop_assert_eq!(back(&compress(&text, 10)), text);
        }
    }
}
