//! VLESS 0 over TLS or REALITY, both ends: one connection a stream, as the phones' apps speak it.
//!
//! Without a flow and without multiplexing. The inner handshake of an HTTPS page is therefore a handshake inside a
//! connection of its own, which is what classifiers of flows look for: our own client prefers its carriers
//! ([`crate::h2`]); this is the language that others understand.

pub mod client;
pub mod packets;
pub mod server;

use rozaneh_wire::vless::Address;

use crate::target::Target;

/// The destination that a header names; `None` for a name that cannot be one.
fn target(address: Address) -> Option<Target> {
    match address {
        Address::Ip(addr) => Some(Target::Addr(addr)),
        Address::Name(name, port) => Target::host(std::str::from_utf8(&name).ok()?, port),
    }
}

/// The same, the other way round.
fn address(target: &Target) -> Address {
    match target {
        Target::Addr(addr) => Address::Ip(*addr),
        Target::Name(name, port) => Address::Name(name.as_bytes().to_vec(), *port),
    }
}
