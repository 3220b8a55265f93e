//! See `rozaneh_wire::fuzzing::codecs::padding`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rozaneh_wire::fuzzing::codecs::padding(data));
