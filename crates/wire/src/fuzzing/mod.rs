//! Bodies of the fuzz targets, as ordinary functions: `fuzz/` runs them under a fuzzer, `tests/corpus.rs` replays the
//! corpus and mutations of it on every machine. A body panics where a promise of its codec is broken.

pub mod codecs;
pub mod h2;
pub mod vless;
