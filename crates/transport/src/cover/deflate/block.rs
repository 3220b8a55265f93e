//! One block: symbols collected, then written in the cheapest of the three ways (RFC 1951 section 3.2.3).

use super::Bits;
use super::tree::{MAX_BITS, MAX_LENGTH_BITS, Tree};

const LITERALS: usize = 286;
const DISTANCES: usize = 30;
const END: usize = 256;

/// The order in which lengths of the describing code are sent (RFC 1951 section 3.2.7).
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

enum Symbol {
    Literal(u8),
    /// Distance and length.
    Pair(u16, u16),
}

/// Symbols until there are too many.
pub(super) struct Block {
    symbols: Vec<Symbol>,
    capacity: usize,
    literals: Vec<u32>,
    distances: Vec<u32>,
}

fn count(list: &mut [u32], at: usize) {
    if let Some(entry) = list.get_mut(at) {
        *entry += 1;
    }
}

/// Symbol, number of extra bits and their value for a length (RFC 1951 section 3.2.5).
fn length_symbol(length: usize) -> (usize, u32, u32) {
    if length == 258 {
        return (285, 0, 0);
    }
    let (group, extra, rest) = grouped(length - 3, 2);
    (257 + group, extra, rest)
}

/// The same for a distance.
fn distance_symbol(distance: usize) -> (usize, u32, u32) {
    grouped(distance - 1, 1)
}

/// Groups whose width doubles every `2^order` symbols.
fn grouped(value: usize, order: u32) -> (usize, u32, u32) {
    let bits = usize::BITS - value.leading_zeros();
    if bits <= order + 1 {
        return (value, 0, 0);
    }
    let extra = bits - order - 1;
    let group = ((extra as usize) << order) + (value >> extra);
    (group, extra, (value & ((1 << extra) - 1)) as u32)
}

fn length_extra(symbol: usize) -> u32 {
    match symbol {
        265..=284 => (symbol as u32 - 261) / 4,
        _ => 0,
    }
}

fn distance_extra(symbol: usize) -> u32 {
    (symbol as u32 / 2).saturating_sub(1)
}

fn fixed_literals() -> Vec<u8> {
    (0..288)
        .map(|symbol| match symbol {
            0..=143 => 8,
            144..=255 => 9,
            256..=279 => 7,
            _ => 8,
        })
        .collect()
}

impl Block {
    pub(super) fn new(capacity: usize) -> Self {
        let mut literals = vec![0; LITERALS];
        count(&mut literals, END);
        Self { symbols: Vec::new(), capacity, literals, distances: vec![0; DISTANCES] }
    }

    pub(super) fn is_full(&self) -> bool {
        self.symbols.len() >= self.capacity
    }

    pub(super) fn literal(&mut self, byte: u8) {
        count(&mut self.literals, usize::from(byte));
        self.symbols.push(Symbol::Literal(byte));
    }

    pub(super) fn pair(&mut self, distance: usize, length: usize) {
        count(&mut self.literals, length_symbol(length).0);
        count(&mut self.distances, distance_symbol(distance).0);
        self.symbols.push(Symbol::Pair(distance as u16, length as u16));
    }

    /// Writes the block; `raw` is what it stands for.
    pub(super) fn flush(self, raw: &[u8], last: bool, out: &mut Bits) {
        let literals = Tree::build(self.literals, MAX_BITS);
        let distances = Tree::build(self.distances, MAX_BITS);
        let runs = runs(&literals, &distances);
        let mut used = vec![0; ORDER.len()];
        for run in &runs {
            count(&mut used, run.0);
        }
        let describing = Tree::build(used, MAX_LENGTH_BITS);
        let length_of = |symbol: &usize| describing.code(*symbol).1;
        let described = ORDER.iter().rposition(|symbol| length_of(symbol) > 0).unwrap_or(0).max(3) + 1;
        let fixed = Tree::fixed(fixed_literals());
        let fixed_distances = Tree::fixed(vec![5; DISTANCES]);
        // zlib takes what it added only to have two symbols out of the price again.
        let price = |l: &Tree, d: &Tree| {
            literals.cost(&l.lengths, length_extra) + distances.cost(&d.lengths, distance_extra)
                - literals.unasked(&l.lengths)
                - distances.unasked(&d.lengths)
        };
        let run_extra = |symbol: usize| match symbol {
            16 => 2,
            17 => 3,
            18 => 7,
            _ => 0,
        };
        let head = describing.cost(&describing.lengths, run_extra) - describing.unasked(&describing.lengths)
            + 3 * described as u32
            + 14;
        let dynamic = (price(&literals, &distances) + head + 3 + 7) >> 3;
        let plain = (price(&fixed, &fixed_distances) + 3 + 7) >> 3;
        let best = dynamic.min(plain);
        let last = u32::from(last);
        if raw.len() as u32 + 4 <= best {
            out.put(last, 3);
            out.align();
            let length = raw.len() as u32;
            out.put(length, 16);
            out.put(!length & 0xffff, 16);
            out.bytes.extend_from_slice(raw);
        } else if plain == best {
            out.put((1 << 1) + last, 3);
            write(&self.symbols, &fixed, &fixed_distances, out);
        } else {
            out.put((2 << 1) + last, 3);
            out.put(literals.max_code as u32 + 1 - 257, 5);
            out.put(distances.max_code as u32, 5);
            out.put(described as u32 - 4, 4);
            for symbol in ORDER.iter().take(described) {
                out.put(length_of(symbol), 3);
            }
            for (symbol, value, bits) in runs {
                let (code, length) = describing.code(symbol);
                out.put(code, length);
                out.put(value, bits);
            }
            write(&self.symbols, &literals, &distances, out);
        }
        if last == 1 {
            out.align();
        }
    }
}

fn write(symbols: &[Symbol], literals: &Tree, distances: &Tree, out: &mut Bits) {
    for symbol in symbols {
        match *symbol {
            Symbol::Literal(byte) => {
                let (code, length) = literals.code(usize::from(byte));
                out.put(code, length);
            }
            Symbol::Pair(distance, length) => {
                for (tree, (symbol, bits, rest)) in [
                    (literals, length_symbol(usize::from(length))),
                    (distances, distance_symbol(usize::from(distance))),
                ] {
                    let (code, length) = tree.code(symbol);
                    out.put(code, length);
                    out.put(rest, bits);
                }
            }
        }
    }
    let (code, length) = literals.code(END);
    out.put(code, length);
}

/// Both codes' lengths as symbols of the describing code, with their extra bits (value, number of bits).
fn runs(literals: &Tree, distances: &Tree) -> Vec<(usize, u32, u32)> {
    let mut out = Vec::new();
    for tree in [literals, distances] {
        let lengths = tree.lengths.get(..=tree.max_code).unwrap_or_default();
        let mut before = None;
        let mut at = 0;
        while let Some(&length) = lengths.get(at) {
            let most = match length {
                0 => 138,
                _ if before == Some(length) => 6,
                _ => 7,
            };
            let same = lengths.iter().skip(at).take(most).take_while(|&&l| l == length).count();
            let least = if length == 0 || before == Some(length) { 3 } else { 4 };
            let symbol = usize::from(length);
            match same {
                _ if same < least => out.extend(std::iter::repeat_n((symbol, 0, 0), same)),
                _ if length > 0 && before == Some(length) => out.push((16, same as u32 - 3, 2)),
                _ if length > 0 => out.extend([(symbol, 0, 0), (16, same as u32 - 4, 2)]),
                ..=10 => out.push((17, same as u32 - 3, 3)),
                _ => out.push((18, same as u32 - 11, 7)),
            }
            before = Some(length);
            at += same;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols() {
        for (length, want) in [
            (3, (257, 0, 0)),
            (10, (264, 0, 0)),
            (11, (265, 1, 0)),
            (12, (265, 1, 1)),
            (257, (284, 5, 30)),
            (258, (285, 0, 0)),
        ] {
            assert_eq!(length_symbol(length), want, "{length}");
        }
        for (distance, want) in [(1, (0, 0, 0)), (4, (3, 0, 0)), (5, (4, 1, 0)), (8, (5, 1, 1)), (24577, (29, 13, 0))] {
            assert_eq!(distance_symbol(distance), want, "{distance}");
        }
        assert!((257..286).all(|s| (3..259).any(|l| length_symbol(l).0 == s && length_symbol(l).1 == length_extra(s))));
        assert!(
            (0..30).all(|s| (1..32769).any(|d| distance_symbol(d).0 == s && distance_symbol(d).1 == distance_extra(s)))
        );
    }
}
