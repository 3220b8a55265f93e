//! Replays the fuzz corpus, and for each target 20,000 mutations of it that are the same on every machine.

mod support;

use std::fs;
use std::path::Path;

use rozaneh_tls::fuzzing;
use support::dice::{Dice, mutate};

/// Name of the target and of its folder in the corpus, and its body.
type Target = (&'static str, fn(&[u8]));

const TARGETS: &[Target] = &[
    ("certificates", fuzzing::certificates),
    ("client_handshake", fuzzing::client_handshake),
    ("messages", fuzzing::messages),
    ("reality", fuzzing::reality),
    ("records", fuzzing::records),
    ("server_handshake", fuzzing::server_handshake),
];

const MUTATIONS: usize = 20_000;

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
    let mut dice = Dice(target.bytes().fold(0, |sum: u64, byte| sum.wrapping_mul(31) + u64::from(byte)));
    for round in 0..MUTATIONS {
        let mut input = seeds[dice.below(seeds.len())].clone();
        mutate(&mut dice, &mut input);
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

targets!(certificates, client_handshake, messages, reality, records, server_handshake);
