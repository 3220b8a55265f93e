//! Layers: each turns a connection into what comes next, and never relays bytes itself.
#![forbid(unsafe_code)]

pub mod cover;
pub mod h2;
pub mod habits;
pub mod local;
pub mod look;
pub mod next;
pub mod outer;
pub mod reality;
pub mod target;
pub mod tls;
mod visit;
pub mod vless;
