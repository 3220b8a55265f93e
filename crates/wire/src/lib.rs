//! Wire formats: pure codecs and sans-IO state machines.
//!
//! Nothing here knows a socket, a clock or a runtime: bytes go in, events come out, and the bytes to send are
//! asked for. That is what makes every parser fuzzable and every conversation replayable from a test vector.
#![forbid(unsafe_code)]

pub mod capsule;
pub mod error;
pub mod fuzzing;
pub mod h2;
pub mod http1;
pub mod padding;
pub mod socks5;
pub mod varint;
pub mod vless;
