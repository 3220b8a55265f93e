//! See `rozaneh_wire::fuzzing::h2::h2_client`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rozaneh_wire::fuzzing::h2::h2_client(data));
