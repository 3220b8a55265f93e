//! HTTP/2 carriers: one TLS connection, many streams.
//!
//! Three things, kept apart:
//!
//! * a **carrier** ([`carrier::Carrier`]) is one connection: the sans-IO [`rozaneh_wire::h2::Connection`] and a queue in
//!   each direction for every stream, behind one lock;
//! * its **driver** ([`driver::Driver`]) is the one task that owns the socket and the TLS traffic. It reads as much as
//!   there is, opens the records where they lie, and hands each stream views of the same memory; and it gathers frames
//!   of all streams, round robin, straight into the records it seals;
//! * a **stream** ([`stream::H2Stream`]) is what a tunnel holds: the relay's [`rozaneh_net::stream::Stream`].
//!
//! Payload is copied once on the way out (into the record that is sealed in place) and not at all on the way in. A task
//! is woken once for a whole read, not once a frame. An idle carrier holds no buffer, an idle stream about 400 bytes.
//!
//! [`client`] opens tunnels through carriers, [`server`] accepts them, [`request`] holds the words of the conversation
//! (NaiveProxy's CONNECT, RFC 9298's CONNECT-UDP), [`padded`] the padding of the first frames, [`packets`] datagrams.

pub mod carrier;
pub mod client;
pub mod driver;
pub mod packets;
pub mod padded;
mod rate;
pub mod request;
pub mod server;
pub mod stream;
mod visitor;
