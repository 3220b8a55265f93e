//! See `rozaneh_wire::fuzzing::codecs::http1`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rozaneh_wire::fuzzing::codecs::http1(data));
