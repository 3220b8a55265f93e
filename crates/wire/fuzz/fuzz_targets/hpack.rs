//! See `rozaneh_wire::fuzzing::h2::hpack`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rozaneh_wire::fuzzing::h2::hpack(data));
