//! See `rozaneh_wire::fuzzing::vless::vless`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rozaneh_wire::fuzzing::vless::vless(data));
