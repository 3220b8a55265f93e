//! Replays the fuzz corpus, and for each target 20,000 mutations of it that are the same on every machine.

use std::fs;
use std::path::Path;

use rozaneh_wire::fuzzing::{codecs, h2, vless};

/// Name of the target and of its folder in the corpus, and its body.
type Target = (&'static str, fn(&[u8]));

const TARGETS: &[Target] = &[
    ("capsule", codecs::capsule),
    ("h2_client", h2::h2_client),
    ("h2_server", h2::h2_server),
    ("hpack", h2::hpack),
    ("http1", codecs::http1),
    ("padding", codecs::padding),
    ("socks5", codecs::socks5),
    ("vless", vless::vless),
];

const MUTATIONS: usize = 20_000;

/// Mutations grow no input beyond this.
const MAX_LEN: usize = 4_096;

/// SplitMix64: small, seeded, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    /// Below `bound`, which is not zero.
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

const INTERESTING: [u8; 14] = [0, 1, 3, 4, 5, 0x0a, 0x0d, 0x20, 0x3a, 0x3f, 0x40, 0x7f, 0x80, 0xff];

fn mutate(dice: &mut Dice, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut data = seeds[dice.below(seeds.len())].clone();
    for _ in 0..=dice.below(4) {
        let at = dice.below(data.len() + 1);
        match dice.below(7) {
            0 if at < data.len() => data[at] ^= 1 << dice.below(8),
            1 if at < data.len() => data[at] = INTERESTING[dice.below(INTERESTING.len())],
            2 => data.insert(at, dice.next() as u8),
            3 => {
                let end = at + dice.below(data.len() - at + 1).min(16);
                data.drain(at..end);
            }
            4 => {
                let end = at + dice.below(data.len() - at + 1).min(64);
                let copy = data[at..end].to_vec();
                data.splice(at..at, copy);
            }
            5 => {
                let other = &seeds[dice.below(seeds.len())];
                data.truncate(at);
                data.extend_from_slice(&other[dice.below(other.len() + 1)..]);
            }
            _ => data.truncate(at),
        }
    }
    data.truncate(MAX_LEN);
    data
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut paths: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn replay(target: &str) {
    let (_, body) = TARGETS.iter().find(|(name, _)| *name == target).unwrap();
    let seeds = seeds(target);
    assert!(seeds.len() >= 5, "{target} has a corpus");
    for seed in &seeds {
        body(seed);
    }
    let mut dice = Dice(target.bytes().fold(0, |sum, byte| sum * 31 + u64::from(byte)));
    for round in 0..MUTATIONS {
        let input = mutate(&mut dice, &seeds);
        if std::panic::catch_unwind(|| body(&input)).is_err() {
            panic!("{target}, mutation {round}: {input:02x?}");
        }
    }
}

/// One test a target, so that they run side by side and a failure names its target.
macro_rules! targets {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            replay(stringify!($name));
        })*

        #[test]
        fn every_target_is_replayed() {
            let tested: &[&str] = &[$(stringify!($name)),*];
            assert_eq!(tested, TARGETS.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        }
    };
}

targets!(capsule, h2_client, h2_server, hpack, http1, padding, socks5, vless);
