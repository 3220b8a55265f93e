//! One engine for every role: a configuration document in, bytes moved, counters and events out.
//!
//! A client is an engine whose listeners are local proxies and whose upstream is a way; an edge is one whose listeners
//! accept ways and whose upstream is the open internet; a hop is both. Nothing here knows readers or operators.
//!
//! ```text
//! listener ─▶ layer ─▶ Next ─▶ dispatch: users, policy, resolver ─▶ upstream ─▶ relay
//! ```
#![forbid(unsafe_code)]

pub mod config;
mod core;
mod counters;
mod datagrams;
mod direct;
mod dispatch;
mod events;
mod lifecycle;
mod listener;
mod outer;
pub mod policy;
mod reality;
mod resolver;
mod serving;
mod socks_upstream;
mod upstream;
mod users;

pub use config::{Config, ConfigError};
pub use lifecycle::{Engine, EngineError};
