//! Chance that is the same on every machine, and what it does to bytes.
#![allow(dead_code, reason = "every test binary uses its own part")]

/// A small generator with a fixed start, so that every run is the same (SplitMix64).
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.roll() % u64::try_from(n.max(1)).unwrap()).unwrap()
    }
}

/// What a mutator does: flips, sets, cuts, inserts, repeats.
pub fn mutate(dice: &mut Dice, bytes: &mut Vec<u8>) {
    for _ in 0..=dice.below(3) {
        let at = dice.below(bytes.len());
        let byte = dice.roll().to_le_bytes()[0];
        match dice.below(6) {
            _ if bytes.is_empty() => bytes.push(byte),
            0 => bytes[at] ^= 1 << (byte % 8),
            1 => bytes[at] = byte,
            2 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][usize::from(byte) % 5],
            3 => bytes.truncate(at),
            4 => bytes.insert(at, byte),
            _ => {
                let end = (at + dice.below(40)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let to = dice.below(bytes.len());
                bytes.splice(to..to, piece);
            }
        }
    }
}
