//! The Huffman code of RFC 7541 section 5.2.
//!
//! The code of appendix B is canonical: codes of one length are consecutive numbers in the order of their symbols, and
//! lengths ascend. The 257 lengths are therefore the whole table; codes, and the decoder's automaton, are computed from
//! them when this crate is compiled.

use super::HpackError;

/// Length in bits of the code of every byte, and of the end-of-string symbol (RFC 7541 appendix B).
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

/// The end-of-string symbol: its bits are the padding, itself it may not occur (RFC 7541 section 5.2).
const EOS: usize = 256;

/// The code of every symbol, right-aligned.
const CODES: [u32; 257] = {
    let mut codes = [0_u32; 257];
    let mut code = 0_u32;
    let mut length = 1;
    while length <= 30 {
        let mut symbol = 0;
        while symbol < 257 {
            if LENGTHS[symbol] == length {
                codes[symbol] = code;
                code += 1;
            }
            symbol += 1;
        }
        code <<= 1;
        length += 1;
    }
    codes
};

/// A child that is a symbol and not a node.
const LEAF: u16 = 0x8000;

/// The code as a binary tree: 257 leaves under 256 inner nodes, of which node 0 is the root.
const TREE: [[u16; 2]; 256] = {
    let mut tree = [[0_u16; 2]; 256];
    let mut nodes = 1;
    let mut symbol = 0;
    while symbol < 257 {
        let mut node = 0;
        let mut bit = LENGTHS[symbol];
        while bit > 0 {
            bit -= 1;
            let side = ((CODES[symbol] >> bit) & 1) as usize;
            if bit == 0 {
                tree[node][side] = LEAF | symbol as u16;
            } else {
                if tree[node][side] == 0 {
                    tree[node][side] = nodes;
                    nodes += 1;
                }
                node = tree[node][side] as usize;
            }
        }
        symbol += 1;
    }
    tree
};

/// One step of the automaton: four bits in, at most one symbol out (no code is shorter than five bits).
#[derive(Clone, Copy)]
struct Step {
    next: u8,
    symbol: u8,
    what: u8,
}

const QUIET: u8 = 0;
const EMITS: u8 = 1;
const FAILS: u8 = 2;

const STEPS: [[Step; 16]; 256] = {
    let mut steps = [[Step { next: 0, symbol: 0, what: QUIET }; 16]; 256];
    let mut state = 0;
    while state < 256 {
        let mut nibble = 0;
        while nibble < 16 {
            let mut step = Step { next: 0, symbol: 0, what: QUIET };
            let mut node = state;
            let mut bit = 4;
            while bit > 0 {
                bit -= 1;
                let child = TREE[node][(nibble >> bit) & 1];
                if child & LEAF == 0 {
                    node = child as usize;
                } else if child == LEAF | EOS as u16 {
                    step.what = FAILS;
                    node = 0;
                } else if step.what != FAILS {
                    step.what = EMITS;
                    step.symbol = (child & 0xff) as u8;
                    node = 0;
                } else {
                    node = 0;
                }
            }
            step.next = node as u8;
            steps[state][nibble] = step;
            nibble += 1;
        }
        state += 1;
    }
    steps
};

/// States a string may end in: up to seven bits of padding, all ones (RFC 7541 section 5.2).
const FINAL: [bool; 256] = {
    let mut finals = [false; 256];
    let mut node = 0;
    let mut depth = 0;
    while depth <= 7 {
        finals[node] = true;
        node = TREE[node][1] as usize;
        depth += 1;
    }
    finals
};

/// Bytes that `text` takes when encoded.
#[must_use]
pub fn encoded_len(text: &[u8]) -> usize {
    let bits: usize = text.iter().map(|byte| usize::from(LENGTHS[usize::from(*byte)])).sum();
    bits.div_ceil(8)
}

/// Appends `text` encoded.
pub fn encode(text: &[u8], out: &mut Vec<u8>) {
    let mut bits = 0_u64;
    let mut have = 0_u32;
    for byte in text {
        let symbol = usize::from(*byte);
        let length = u32::from(LENGTHS[symbol]);
        bits = bits << length | u64::from(CODES[symbol]);
        have += length;
        while have >= 8 {
            have -= 8;
            out.push((bits >> have).to_le_bytes()[0]);
        }
    }
    if have > 0 {
        let padding = 8 - have;
        out.push((bits << padding | ((1 << padding) - 1)).to_le_bytes()[0]);
    }
}

/// Appends `code` decoded; `Err` when it holds the end-of-string symbol or ends in wrong padding, in which case `out`
/// may have grown.
///
/// # Errors
/// `HpackError::Broken`.
pub fn decode(code: &[u8], out: &mut Vec<u8>) -> Result<(), HpackError> {
    const BROKEN: HpackError = HpackError::Broken("a broken Huffman code");
    let mut state = 0_u8;
    for byte in code {
        for nibble in [byte >> 4, byte & 0xf] {
            let step = STEPS[usize::from(state)][usize::from(nibble)];
            match step.what {
                QUIET => {}
                EMITS => out.push(step.symbol),
                _ => return Err(BROKEN),
            }
            state = step.next;
        }
    }
    if FINAL[usize::from(state)] { Ok(()) } else { Err(BROKEN) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(text: &[u8]) {
        let mut code = Vec::new();
        encode(text, &mut code);
        assert_eq!(code.len(), encoded_len(text));
        let mut back = Vec::new();
        assert_eq!(decode(&code, &mut back), Ok(()));
        assert_eq!(back, text);
    }

    /// Spot checks against appendix B itself, from the short, the middle and the long end of the table.
    #[test]
    fn codes_of_appendix_b() {
        for (symbol, code, length) in [
            (usize::from(b'0'), 0x0, 5),
            (usize::from(b't'), 0x9, 5),
            (usize::from(b' '), 0x14, 6),
            (usize::from(b':'), 0x5c, 7),
            (usize::from(b'X'), 0xfc, 8),
            (usize::from(b'!'), 0x3f8, 10),
            (usize::from(b'|'), 0x7fc, 11),
            (usize::from(b'\\'), 0x7fff0, 19),
            (0, 0x1ff8, 13),
            (1, 0x7fffd8, 23),
            (249, 0xffffffe, 28),
            (255, 0x3ffffee, 26),
            (22, 0x3ffffffe, 30),
            (EOS, 0x3fffffff, 30),
        ] {
            assert_eq!((CODES[symbol], LENGTHS[symbol]), (code, length), "symbol {symbol}");
        }
    }

    #[test]
    fn the_code_is_complete() {
        let sum: u64 = LENGTHS.iter().map(|length| 1_u64 << (30 - length)).sum();
        assert_eq!(sum, 1 << 30, "Kraft's sum of a complete code is one");
        for node in TREE {
            assert!(node.iter().all(|child| *child != 0), "a node without a child");
        }
    }

    #[test]
    fn every_byte_pair_and_triple_of_edges() {
        for a in 0..=255_u8 {
            there_and_back(&[a]);
            for b in 0..=255_u8 {
                there_and_back(&[a, b]);
            }
        }
        for a in (0..=255_u8).step_by(5) {
            for b in (0..=255_u8).step_by(3) {
                for c in (0..=255_u8).step_by(7) {
                    there_and_back(&[a, b, c]);
                }
            }
        }
    }

    /// All strings of two bytes are either refused or the one encoding of what they decode to.
    #[test]
    fn every_code_of_two_bytes_is_canonical_or_refused() {
        let mut good = 0;
        for code in 0..=u16::MAX {
            let code = code.to_be_bytes();
            let mut text = Vec::new();
            if decode(&code, &mut text).is_ok() {
                let mut again = Vec::new();
                encode(&text, &mut again);
                assert_eq!(again, code);
                good += 1;
            }
        }
        assert!(good > 1000 && good < 65_536, "{good}");
    }

    #[test]
    fn padding_rules() {
        let mut out = Vec::new();
        assert_eq!(decode(&[], &mut out), Ok(()));
        assert!(decode(&[0xff], &mut out).is_err(), "eight bits of padding");
        assert_eq!(decode(&[0b0000_0111], &mut out), Ok(()), "'0' and three ones");
        assert!(decode(&[0b0000_0110], &mut out).is_err(), "padding with a zero");
        assert!(decode(&[0xff, 0xff, 0xff, 0xff], &mut out).is_err(), "end of string");
        assert!(decode(&[0xff, 0xff, 0xff, 0xfc, 0x07], &mut out).is_err(), "end of string inside");
    }
}
