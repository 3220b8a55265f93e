//! The REALITY listener: whoever holds the edge's key gets a way, everybody else gets the cover, whole and unaltered.
//!
//! | file | idea |
//! |---|---|
//! | [`seen`], `disk` | no first flight is answered twice |
//! | [`inner`] | what a friend speaks inside: HTTP/2 or VLESS, told apart by the first bytes |
#![forbid(unsafe_code)]

mod disk;
pub mod inner;
pub mod seen;
