//! See `rozaneh_wire::fuzzing::codecs::capsule`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rozaneh_wire::fuzzing::codecs::capsule(data));
