//! Any symbols, in any order, as soon as there are enough.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek};
use std::path::PathBuf;

use proptest::prelude::*;
use rozaneh_fec::{Added, Decoder, Plan, encode};

/// A file that has no name any more, so nothing is left behind.
fn scratch() -> File {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("rozaneh-fec-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
    let path: PathBuf = std::env::temp_dir().join(name);
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    file
}

fn content(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_be_bytes()[0]
        })
        .collect()
}

fn symbols(plan: &Plan, data: &[u8], share: f64) -> Vec<(u32, u32, Vec<u8>)> {
    let mut all = Vec::new();
    for index in 0..plan.blocks() {
        let block = plan.block(index).unwrap();
        let part = &data[block.offset as usize..][..block.length as usize];
        let count = (f64::from(block.symbols) * share).ceil() as u32 + 3;
        for (esi, symbol) in encode(plan, index, part, 0, count).unwrap().into_iter().enumerate() {
            all.push((index, esi as u32, symbol));
        }
    }
    all
}

fn shuffled<T>(mut all: Vec<T>, seed: u64) -> Vec<T> {
    let mut state = seed | 1;
    for at in (1..all.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        all.swap(at, (state >> 33) as usize % (at + 1));
    }
    all
}

fn gather(plan: Plan, parts: impl IntoIterator<Item = (u32, u32, Vec<u8>)>) -> (Option<Vec<u8>>, usize) {
    let mut out = scratch();
    let mut decoder = Decoder::new(plan, out.try_clone().unwrap(), scratch());
    let mut used = 0;
    for (index, esi, symbol) in parts {
        if decoder.complete() {
            break;
        }
        used += usize::from(decoder.add(index, esi, &symbol).unwrap() != Added::Known);
    }
    if !decoder.complete() {
        return (None, used);
    }
    let mut found = Vec::new();
    out.rewind().unwrap();
    out.read_to_end(&mut found).unwrap();
    (Some(found), used)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn any_order_with_losses_and_twice(length in 1usize..200_000, symbol in 40u16..4_000, seed: u64) {
        let plan = Plan::new(length as u64, symbol).unwrap();
        let data = content(length);
        let all = symbols(&plan, &data, 1.3);
        // A tenth is lost, and a tenth of the rest comes twice.
        let kept: Vec<_> = shuffled(all, seed).into_iter().enumerate().filter(|(at, _)| at % 10 != 3).map(|(_, s)| s).collect();
        let twice = kept.iter().step_by(10).cloned().collect::<Vec<_>>();
        let (found, _) = gather(plan, shuffled([kept, twice].concat(), seed ^ 1));
        // A small block may by chance lose more than its repair: then nothing is given, and never something else.
        if let Some(found) = found {
            prop_assert!(found == data);
        }
    }
}

#[test]
fn repair_alone_is_enough() {
    let data = content(500_000);
    let plan = Plan::new(500_000, 1_000).unwrap();
    let repair: Vec<_> = symbols(&plan, &data, 2.1).into_iter().filter(|(_, esi, _)| *esi >= 500).collect();
    let (found, used) = gather(plan, repair);
    assert!(found.unwrap() == data);
    assert!(used <= 505, "{used}");
}

#[test]
fn the_same_file_gives_the_same_symbols_from_any_place() {
    let data = content(70_001);
    let plan = Plan::new(70_001, 160).unwrap();
    let block = plan.block(0).unwrap();
    let all = encode(&plan, 0, &data[..block.length as usize], 0, block.symbols + 60).unwrap();
    for first in [0, 1, block.symbols - 1, block.symbols, block.symbols + 1, block.symbols + 59] {
        let one = encode(&plan, 0, &data[..block.length as usize], first, 1).unwrap();
        assert_eq!(one[0], all[first as usize]);
    }
}

#[test]
fn too_few_give_nothing_and_say_so() {
    let data = content(100_000);
    let plan = Plan::new(100_000, 1_000).unwrap();
    let mut decoder = Decoder::new(plan, scratch(), scratch());
    for (index, esi, symbol) in symbols(&plan, &data, 1.0).into_iter().skip(4).take(99) {
        decoder.add(index, esi, &symbol).unwrap();
    }
    assert!(!decoder.complete());
    assert_eq!((decoder.whole(), decoder.have(0), decoder.is_whole(0)), (0, 99, false));
}

#[test]
fn what_the_plan_does_not_have_is_refused() {
    let plan = Plan::new(10_000, 100).unwrap();
    let mut decoder = Decoder::new(plan, scratch(), scratch());
    assert!(decoder.add(1, 0, &[0; 100]).is_err());
    assert!(decoder.add(0, 0, &[0; 99]).is_err());
    assert!(decoder.add(0, 1 << 24, &[0; 100]).is_err());
    assert_eq!(encode(&plan, 0, &[0; 9_999], 0, 1), None);
    assert_eq!(encode(&plan, 1, &[0; 10_000], 0, 1), None);
    assert_eq!(encode(&plan, 0, &[0; 10_000], u32::MAX, 1), None);
}

#[test]
fn the_second_file_does_not_grow_with_blocks_that_are_whole() {
    let data = content(3_000_000);
    let plan = Plan::new(3_000_000, 1_000).unwrap();
    let waiting = scratch();
    let mut decoder = Decoder::new(plan, scratch(), waiting.try_clone().unwrap());
    for (index, esi, symbol) in symbols(&plan, &data, 2.1) {
        if esi >= 1_000 {
            decoder.add(index, esi, &symbol).unwrap();
        }
    }
    assert!(decoder.complete());
    assert!(waiting.metadata().unwrap().len() <= 1_010_000);
}
