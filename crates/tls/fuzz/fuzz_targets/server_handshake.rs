//! See `rozaneh_tls::fuzzing::server_handshake`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rozaneh_tls::fuzzing::server_handshake(data));
