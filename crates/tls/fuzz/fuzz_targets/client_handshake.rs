//! See `rozaneh_tls::fuzzing::client_handshake`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rozaneh_tls::fuzzing::client_handshake(data));
