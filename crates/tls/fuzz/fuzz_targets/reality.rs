//! See `rozaneh_tls::fuzzing::reality`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rozaneh_tls::fuzzing::reality(data));
