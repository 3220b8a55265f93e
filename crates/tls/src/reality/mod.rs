//! REALITY, both sides, sans-IO: who knows the server's key and a short id is answered by us, everybody else by the
//! cover, a real web server that the whole connection is relayed to.
//!
//! ```text
//!   client                                    edge                                         cover
//!     │ ClientHello, session id sealed ───────▶ │ every byte as it comes ──────────────────▶ │
//!     │                                         │ judge ─▶ Stranger: raw relay, for ever     │
//!     │                                         │      └▶ Friend                             │
//!     │                                         │ ◀──── ServerHello, CCS, flight ─ Flight::read
//!     │ ◀─ the same lengths, our key and leaf ─ │ Server::new                          (dropped)
//!     │ Finished ─────────────────────────────▶ │ Server::step: records as the cover sends after a handshake
//! ```
//!
//! | file | idea |
//! |---|---|
//! | [`auth`] | the sealed session id, and the key that both sides derive from it |
//! | [`certificate`] | the leaf that only a friend recognises |
//! | [`client`] | wraps any author of hellos and any verifier |
//! | [`server`] | judges a hello |
//! | [`flight`] | what the cover answered, and whether our answer can have its shape |
//! | [`answer`] | our handshake inside that shape |
//! | [`shape`] | what the cover sends after a handshake, learned from real ones |
//!
//! The protocol is XTLS's; its wire is described in the note the file comments cite as "the note" (section 3.1 of the
//! data plane's research), and proven by interop, not by a document of its authors.

pub mod answer;
pub mod auth;
pub mod certificate;
pub mod client;
pub mod flight;
pub mod server;
pub mod shape;

pub use auth::{AuthKey, Stamp};
pub use certificate::Identity;
