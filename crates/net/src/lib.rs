//! What touches the operating system: sockets, buffers, the one relay loop, UDP batches, token buckets.
//!
//! The only crate of the workspace that may contain `unsafe`, and the only one that may use what a single
//! operating system has; elsewhere a portable path does the same job more slowly.

pub mod bucket;
pub mod dial;
mod flow;
pub mod listen;
pub mod peer;
#[cfg(target_os = "linux")]
mod pipes;
pub mod pool;
pub mod relay;
#[cfg(target_os = "linux")]
mod sock_diag;
pub mod stream;
#[cfg(target_os = "linux")]
mod sys;
pub mod udp;
