//! Which addresses and ports the engine may dial. Asked after a name was resolved, for every address that is tried
//! and for every datagram, so that a name that changes its mind gains nothing.
//!
//! In this order: a port that is closed; a network on the operator's deny-list; a network on the allow-list, which
//! opens what follows; the edge's own addresses; the ranges of [`ranges::DENIED`].
//!
//! Many IPv6 addresses are another spelling of an IPv4 address (mapped, translated, 6to4, Teredo). All those ranges
//! are closed. Where the operator opens one, the IPv4 address inside is judged too, so that opening a translator does
//! not open what lies behind the edge.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

pub mod ranges;

pub use ranges::Row;

/// What is to be sent. Today both are judged alike: a closed port is closed for datagrams too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Tcp,
    Udp,
}

/// Why a destination is closed. It names a rule, never the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// It lies in a range that is not the public internet.
    Range(&'static Row),
    /// The port is closed, or is no port.
    Port,
    /// It is the edge itself.
    Own,
    /// The operator's deny-list names it.
    Listed,
}

impl Denied {
    /// Stable name for counters.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Range(_) => "range",
            Self::Port => "port",
            Self::Own => "own",
            Self::Listed => "listed",
        }
    }
}

/// The rules of one engine.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    allow: Vec<Net>,
    deny: Vec<Net>,
    denied_ports: Vec<u16>,
    own: Vec<IpAddr>,
}

impl Policy {
    /// Rules with the operator's exceptions, closed networks and ports, and the edge's own addresses.
    #[must_use]
    pub fn new(allow: Vec<Net>, deny: Vec<Net>, mut denied_ports: Vec<u16>, own: Vec<IpAddr>) -> Self {
        denied_ports.sort_unstable();
        denied_ports.dedup();
        let own = own.iter().map(IpAddr::to_canonical).collect();
        Self { allow, deny, denied_ports, own }
    }

    /// Whether this address may be dialled.
    ///
    /// # Errors
    /// The first rule that forbids it.
    pub fn check(&self, addr: SocketAddr, _transport: Transport) -> Result<(), Denied> {
        // Port 0 is reserved (RFC 6335 section 6) and means "any" to many socket calls.
        if addr.port() == 0 || self.denied_ports.binary_search(&addr.port()).is_ok() {
            return Err(Denied::Port);
        }
        self.check_ip(addr.ip())
    }

    /// The same for an address alone.
    ///
    /// # Errors
    /// The first rule that forbids it.
    pub fn check_ip(&self, ip: IpAddr) -> Result<(), Denied> {
        let inside = Embedded::of(ip);
        if listed(&self.deny, ip) || inside.addresses().any(|v4| listed(&self.deny, v4)) {
            return Err(Denied::Listed);
        }
        if listed(&self.allow, ip) {
            return inside.addresses().try_for_each(|v4| self.check_plain(v4));
        }
        // A mapped address reaches the IPv4 address itself, so an exception for that one is an exception for both.
        if matches!(inside, Embedded::Mapped(v4) if listed(&self.allow, v4.into())) {
            return Ok(());
        }
        if inside.addresses().any(|v4| self.own.contains(&v4)) {
            return Err(Denied::Own);
        }
        self.check_plain(ip)
    }

    /// Own addresses and ranges, for an address on no list.
    fn check_plain(&self, ip: IpAddr) -> Result<(), Denied> {
        if listed(&self.allow, ip) {
            return Ok(());
        }
        if self.own.contains(&ip) {
            return Err(Denied::Own);
        }
        ranges::find(ip).map_or(Ok(()), |row| Err(Denied::Range(row)))
    }
}

fn listed(nets: &[Net], ip: IpAddr) -> bool {
    nets.iter().any(|net| net.contains(ip))
}

/// IPv4 addresses inside an IPv6 address.
#[derive(Clone, Copy)]
enum Embedded {
    Nothing,
    /// `::ffff:a.b.c.d` (RFC 4291 section 2.5.5.2): the IPv4 address itself, to most systems.
    Mapped(Ipv4Addr),
    /// What some translator or tunnel on the path makes of it.
    Translated(Ipv4Addr),
    /// Teredo (RFC 4380 section 4): server and client.
    Two(Ipv4Addr, Ipv4Addr),
}

impl Embedded {
    fn of(ip: IpAddr) -> Self {
        let IpAddr::V6(ip) = ip else { return Self::Nothing };
        let bits = ip.to_bits();
        let v4 = |shift: u32| Ipv4Addr::from_bits(((bits >> shift) & 0xffff_ffff) as u32);
        match ip.segments() {
            [0, 0, 0, 0, 0, 0xffff, ..] => Self::Mapped(v4(0)),
            // IPv4-compatible (RFC 4291 section 2.5.5.1) and IPv4-translated (RFC 2765 section 2.1).
            [0, 0, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0xffff, 0, ..] if bits > 1 => Self::Translated(v4(0)),
            // RFC 6052 section 2.1.
            [0x64, 0xff9b, 0, 0, 0, 0, ..] => Self::Translated(v4(0)),
            // RFC 3056 section 2.
            [0x2002, ..] => Self::Translated(v4(80)),
            // RFC 4380 section 4: the client's address has its bits flipped.
            [0x2001, 0, ..] => Self::Two(v4(64), Ipv4Addr::from_bits(!v4(0).to_bits())),
            _ => Self::Nothing,
        }
    }

    fn addresses(self) -> impl Iterator<Item = IpAddr> {
        let (first, second) = match self {
            Self::Nothing => (None, None),
            Self::Mapped(v4) | Self::Translated(v4) => (Some(v4), None),
            Self::Two(server, client) => (Some(server), Some(client)),
        };
        first.into_iter().chain(second).map(IpAddr::V4)
    }
}

/// A network: an address whose host bits are zero, and the length of its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Net {
    addr: IpAddr,
    prefix: u8,
}

impl Net {
    /// The network of this address and prefix length; `None` where host bits are set or the length is too large.
    #[must_use]
    pub fn new(addr: IpAddr, prefix: u8) -> Option<Self> {
        let net = Self { addr, prefix };
        (u32::from(prefix) <= net.width() && net.bits() & !net.mask() == 0).then_some(net)
    }

    pub(crate) const fn v4(octets: [u8; 4], prefix: u8) -> Self {
        Self { addr: IpAddr::V4(Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3])), prefix }
    }

    pub(crate) const fn v6(s: [u16; 8], prefix: u8) -> Self {
        Self { addr: IpAddr::V6(Ipv6Addr::new(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7])), prefix }
    }

    /// Whether `ip` lies in it. An IPv4 address never lies in an IPv6 network.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        let other = Self { addr: ip, prefix: self.prefix };
        self.addr.is_ipv4() == ip.is_ipv4() && other.bits() & self.mask() == self.bits()
    }

    /// Length of the prefix.
    #[must_use]
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }

    const fn width(&self) -> u32 {
        if self.addr.is_ipv4() { 32 } else { 128 }
    }

    fn bits(&self) -> u128 {
        match self.addr {
            IpAddr::V4(ip) => u128::from(ip.to_bits()),
            IpAddr::V6(ip) => ip.to_bits(),
        }
    }

    fn mask(&self) -> u128 {
        let hosts = self.width().saturating_sub(u32::from(self.prefix));
        // A shift by the whole width would overflow; it means that every bit is a host's.
        u128::MAX.checked_shl(hosts).unwrap_or(0)
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.prefix)
    }
}

/// Why a text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetError {
    /// The part in front of the slash is no address.
    Address,
    /// The part behind it is no length for such an address.
    Prefix,
    /// Bits behind the prefix are set.
    HostBits,
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "not an IPv4 or IPv6 address",
            Self::Prefix => "not a prefix length of that kind of address",
            Self::HostBits => "bits are set behind the prefix: write the network's first address",
        })
    }
}

impl std::error::Error for NetError {}

impl FromStr for Net {
    type Err = NetError;

    /// Reads `a.b.c.d/n` or `x::y/n`, canonical numbers only; an address alone is a network of one.
    fn from_str(text: &str) -> Result<Self, NetError> {
        let (addr, prefix) = match text.split_once('/') {
            None => (text, None),
            Some((addr, prefix)) => (addr, Some(prefix)),
        };
        let addr: IpAddr = addr.parse().map_err(|_| NetError::Address)?;
        let width = if addr.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => width,
            Some(digits) => {
                let canonical =
                    digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
                let value = digits.parse::<u8>().ok().filter(|value| canonical && *value <= width);
                value.ok_or(NetError::Prefix)?
            }
        };
        Self::new(addr, prefix).ok_or(NetError::HostBits)
    }
}

#[cfg(test)]
mod tests;
