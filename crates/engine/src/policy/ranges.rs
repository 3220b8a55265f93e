//! Ranges that are not the public internet: IANA's special-purpose registries (RFC 6890 and its successors) wherever
//! they do not say "globally reachable", multicast, and every way of writing an IPv4 address inside an IPv6 address.

use std::net::IpAddr;

use super::Net;

/// One closed range.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// The range.
    pub net: Net,
    /// What it is for.
    pub why: &'static str,
    /// Where that is said.
    pub source: &'static str,
}

const fn v4(octets: [u8; 4], prefix: u8, why: &'static str, source: &'static str) -> Row {
    Row { net: Net::v4(octets, prefix), why, source }
}

const fn v6(segments: [u16; 8], prefix: u8, why: &'static str, source: &'static str) -> Row {
    Row { net: Net::v6(segments, prefix), why, source }
}

/// The row that closes this address, the narrowest one of several.
#[must_use]
pub fn find(ip: IpAddr) -> Option<&'static Row> {
    DENIED.iter().filter(|row| row.net.contains(ip)).max_by_key(|row| row.net.prefix())
}

/// Everything that is closed unless the operator opens it.
///
/// Not in it, because the registries call them globally reachable: 192.31.196.0/24 and 192.175.48.0/24 (AS112),
/// 192.52.193.0/24 (AMT), 2620:4f:8000::/48 (AS112).
pub static DENIED: [Row; 46] = [
    v4([0, 0, 0, 0], 8, "this network", "RFC 791 section 3.2"),
    v4([10, 0, 0, 0], 8, "private use", "RFC 1918"),
    v4([100, 64, 0, 0], 10, "shared by carriers (CGNAT)", "RFC 6598"),
    v4([127, 0, 0, 0], 8, "loopback", "RFC 1122 section 3.2.1.3"),
    v4([169, 254, 0, 0], 16, "link-local; clouds serve their metadata there", "RFC 3927"),
    v4([172, 16, 0, 0], 12, "private use", "RFC 1918"),
    v4([192, 0, 0, 0], 24, "protocol assignments (DS-Lite, NAT64 discovery, PCP)", "RFC 6890 section 2.1"),
    v4([192, 0, 2, 0], 24, "documentation", "RFC 5737"),
    v4([192, 88, 99, 0], 24, "6to4 relays, deprecated", "RFC 7526"),
    v4([192, 168, 0, 0], 16, "private use", "RFC 1918"),
    v4([198, 18, 0, 0], 15, "benchmarking", "RFC 2544"),
    v4([198, 51, 100, 0], 24, "documentation", "RFC 5737"),
    v4([203, 0, 113, 0], 24, "documentation", "RFC 5737"),
    v4([224, 0, 0, 0], 4, "multicast", "RFC 5771"),
    v4([240, 0, 0, 0], 4, "reserved", "RFC 1112 section 4"),
    v4([255, 255, 255, 255], 32, "broadcast", "RFC 919 section 7"),
    // Only 2000::/3 is global unicast; these three are the rest of the space, the rows below say more of some of it.
    v6([0, 0, 0, 0, 0, 0, 0, 0], 3, "not global unicast", "RFC 4291 section 2.4"),
    v6([0x4000, 0, 0, 0, 0, 0, 0, 0], 2, "not global unicast", "RFC 4291 section 2.4"),
    v6([0x8000, 0, 0, 0, 0, 0, 0, 0], 1, "not global unicast", "RFC 4291 section 2.4"),
    v6([0, 0, 0, 0, 0, 0, 0, 0], 96, "IPv4-compatible, deprecated", "RFC 4291 section 2.5.5.1"),
    v6([0, 0, 0, 0, 0, 0, 0, 0], 128, "unspecified", "RFC 4291 section 2.5.2"),
    v6([0, 0, 0, 0, 0, 0, 0, 1], 128, "loopback", "RFC 4291 section 2.5.3"),
    v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96, "IPv4-mapped", "RFC 4291 section 2.5.5.2"),
    v6([0, 0, 0, 0, 0xffff, 0, 0, 0], 96, "IPv4-translated", "RFC 2765 section 2.1"),
    v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96, "NAT64", "RFC 6052 section 2.1"),
    v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, "NAT64, local use", "RFC 8215"),
    v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64, "discard only", "RFC 6666"),
    v6([0x100, 0, 0, 1, 0, 0, 0, 0], 64, "dummy prefix", "RFC 9780"),
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, "protocol assignments", "RFC 2928"),
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32, "Teredo", "RFC 4380"),
    v6([0x2001, 1, 0, 0, 0, 0, 0, 0], 32, "anycast of PCP, TURN and service registration", "RFC 7723"),
    v6([0x2001, 2, 0, 0, 0, 0, 0, 0], 48, "benchmarking", "RFC 5180"),
    v6([0x2001, 3, 0, 0, 0, 0, 0, 0], 32, "AMT: a tunnel to multicast", "RFC 7450"),
    v6([0x2001, 4, 0x112, 0, 0, 0, 0, 0], 48, "AS112: names of private addresses", "RFC 7535"),
    v6([0x2001, 0x10, 0, 0, 0, 0, 0, 0], 28, "ORCHID, deprecated: no location", "RFC 4843"),
    v6([0x2001, 0x20, 0, 0, 0, 0, 0, 0], 28, "ORCHIDv2: no location", "RFC 7343"),
    v6([0x2001, 0x30, 0, 0, 0, 0, 0, 0], 28, "drone identities: no location", "RFC 9374"),
    v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, "documentation", "RFC 3849"),
    v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, "6to4", "RFC 3056"),
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, "documentation", "RFC 9637"),
    v6([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16, "SRv6 segment identifiers", "RFC 9602"),
    v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, "unique local", "RFC 4193"),
    v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, "link-local", "RFC 4291 section 2.5.6"),
    v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, "site-local, deprecated", "RFC 3879"),
    v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, "multicast", "RFC 4291 section 2.7"),
    v6([0x3ffe, 0, 0, 0, 0, 0, 0, 0], 16, "6bone, handed back", "RFC 3701"),
];
