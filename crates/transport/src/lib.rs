//! Layers: each turns a connection into what comes next, and never relays bytes itself.
#![forbid(unsafe_code)]

pub mod cover;
pub mod h2;
pub mod local;
pub mod next;
pub mod reality;
pub mod target;
pub mod tls;
pub mod vless;
