//! What a local HTTP proxy reads and writes (RFC 9112): a request head in, one for the next hop out, plain error pages.
//!
//! Two forms are taken: CONNECT (authority-form), after which the connection is the stream, and absolute-form
//! (`GET http://host/path`), which is rewritten to origin-form. Everything else gets an answer that says what to do.
//!
//! One absolute-form request a connection. The rewritten request says `Connection: close`, and so does the response on
//! its way back ([`response::Rewriter`]), so neither side sends a second message. A proxy that let a second request
//! through without reading it would send it to the first one's server, cookies and all; so the end of the request's
//! body is found ([`body::Tracker`]) and nothing behind it passes. Browsers lose nothing: they use CONNECT for all but
//! the rare plain page.
//!
//! Requests are read strictly (RFC 9112 sections 2.2, 3, 5 and 6.3): the program is local, and strictness is what
//! keeps two readers of one request from disagreeing. Responses are read leniently: servers are what they are.
//!
//! What a proxy should do and this one does not: `Via` (RFC 9110 section 7.6.3) and `Max-Forwards` (section 7.6.2) would
//! tell the server that a proxy is there.

pub mod body;
pub mod head;
pub mod problem;
pub mod request;
pub mod response;

pub use problem::Problem;
pub use request::{Credentials, Form, Request, RequestReader};

/// What is said after a CONNECT that succeeded (RFC 9110 section 9.3.6). No field may follow that frames a body.
pub const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

/// Longest request head. Browsers send below 16 KiB, also with many cookies; servers allow 8 to 64 KiB.
pub const MAX_HEAD: usize = 64 * 1024;

/// Most fields in a request head. Browsers send below forty.
pub const MAX_FIELDS: usize = 100;

#[cfg(test)]
#[path = "http1/tests.rs"]
mod tests;
