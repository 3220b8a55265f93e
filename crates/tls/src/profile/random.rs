//! Draws from a source of random bytes: bounded numbers, orders, weighted choices.

use crate::error::LocalError;
use crate::hello::Random;

/// So many random bytes.
pub(super) fn bytes(random: &dyn Random, count: usize) -> Result<Vec<u8>, LocalError> {
    let mut made = vec![0; count];
    random.fill(&mut made)?;
    Ok(made)
}

pub(super) fn number(random: &dyn Random) -> Result<u32, LocalError> {
    let mut raw = [0; 4];
    random.fill(&mut raw)?;
    Ok(u32::from_be_bytes(raw))
}

/// A uniform number below `bound`; 0 where that is 0.
pub(super) fn below(random: &dyn Random, bound: u32) -> Result<u32, LocalError> {
    // Numbers of the last, incomplete round of `bound` would make the first ones more frequent: drawn again.
    let Some(unfair) = bound.wrapping_neg().checked_rem(bound) else { return Ok(0) };
    loop {
        let drawn = number(random)?;
        if drawn >= unfair {
            return Ok(drawn.checked_rem(bound).unwrap_or(0));
        }
    }
}

/// Fisher and Yates: every order equally often.
pub(super) fn shuffle<T>(random: &dyn Random, items: &mut [T]) -> Result<(), LocalError> {
    for last in (1..items.len()).rev() {
        let other = below(random, u32::try_from(last).unwrap_or(u32::MAX).saturating_add(1))?;
        items.swap(last, usize::try_from(other).unwrap_or(0));
    }
    Ok(())
}

/// The index of one of these weights, each as often as it weighs.
pub(super) fn weighted(random: &dyn Random, weights: impl Iterator<Item = u32> + Clone) -> Result<usize, LocalError> {
    let total = weights.clone().fold(0_u32, u32::saturating_add);
    let mut left = below(random, total)?;
    for (index, weight) in weights.enumerate() {
        match left.checked_sub(weight) {
            Some(rest) => left = rest,
            None => return Ok(index),
        }
    }
    Ok(0)
}

/// Tests: the same bytes every time (a 64-bit xorshift, Marsaglia 2003).
#[cfg(test)]
pub(super) struct Counted(std::sync::atomic::AtomicU64);

#[cfg(test)]
impl Counted {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.into())
    }
}

#[cfg(test)]
impl Random for Counted {
    fn fill(&self, into: &mut [u8]) -> Result<(), LocalError> {
        use std::sync::atomic::Ordering::Relaxed;
        let mut state = self.0.load(Relaxed);
        for byte in into {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *byte = (state >> 32) as u8;
        }
        self.0.store(state, Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_uniform_and_bounded() {
        let random = Counted::new(88);
        let mut counts = [0_u32; 6];
        for _ in 0..6_000 {
            counts[below(&random, 6).unwrap() as usize] += 1;
        }
        assert!(counts.iter().all(|&count| (850..1_150).contains(&count)), "{counts:?}");
        assert_eq!(below(&random, 0).unwrap(), 0);
        assert_eq!(below(&random, 1).unwrap(), 0);
    }

    #[test]
    fn unfair_draws_are_made_again() {
        struct Given(std::sync::Mutex<Vec<u32>>);
        impl Random for Given {
            fn fill(&self, into: &mut [u8]) -> Result<(), LocalError> {
                into.copy_from_slice(&self.0.lock().unwrap().remove(0).to_be_bytes());
                Ok(())
            }
        }
        // 2^32 is one more than a multiple of 3: the first of all numbers is one too many.
        let given = Given(vec![0, 4].into());
        assert_eq!(below(&given, 3).unwrap(), 1);
        assert!(given.0.lock().unwrap().is_empty());
    }

    #[test]
    fn every_order_and_every_weight_comes_up() {
        let random = Counted::new(7);
        let mut orders = std::collections::BTreeMap::new();
        let mut heavy = 0;
        for _ in 0..1_200 {
            let mut items = [1, 2, 3];
            shuffle(&random, &mut items).unwrap();
            *orders.entry(items).or_insert(0) += 1;
            heavy += weighted(&random, [1, 3].into_iter()).unwrap();
        }
        assert!(orders.len() == 6 && orders.values().all(|count| (140..260).contains(count)), "{orders:?}");
        assert!((840..960).contains(&heavy), "{heavy}");
    }
}
