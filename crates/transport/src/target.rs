//! Where a stream wants to go: a name that somebody else resolves, or an address.

use std::fmt;
use std::net::SocketAddr;

/// Destination of one stream or datagram.
///
/// Neither `Debug` nor `Display` shows the content: a destination must never reach a log, an event or a report.
/// Code that really needs the text (a request to the next hop) asks for [`Target::authority`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// A host name as the program gave it, without brackets or a final check; resolved where the dial happens.
    Name(String, u16),
    /// A literal address.
    Addr(SocketAddr),
}

impl Target {
    /// Longest host name that is looked at (RFC 1035 section 2.3.4 allows 253 characters of text).
    pub const MAX_NAME: usize = 255;

    /// `host:port`, with brackets around IPv6 (RFC 9112 section 3.2.3).
    #[must_use]
    pub fn authority(&self) -> String {
        match self {
            Self::Name(name, port) => format!("{name}:{port}"),
            Self::Addr(addr) => addr.to_string(),
        }
    }

    /// The port, in host order.
    #[must_use]
    pub fn port(&self) -> u16 {
        match self {
            Self::Name(_, port) => *port,
            Self::Addr(addr) => addr.port(),
        }
    }

    /// Reads `host:port`, `1.2.3.4:80` or `[::1]:80`; `None` for anything else.
    ///
    /// A host that an address parser takes becomes an address; every other spelling stays a name and meets the
    /// policy after it was resolved, so that odd spellings of addresses (`127.1`, `0x7f000001`) gain nothing.
    #[must_use]
    pub fn parse(authority: &str) -> Option<Self> {
        if let Ok(addr) = authority.parse::<SocketAddr>() {
            // A port needs digits: the standard parser also takes "1.2.3.4:0080", which is harmless.
            return Some(Self::Addr(addr));
        }
        let (host, port) = authority.rsplit_once(':')?;
        if port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let port = port.parse().ok()?;
        Self::host(host, port)
    }

    /// The same from a host and a port that came apart (SOCKS5).
    #[must_use]
    pub fn host(host: &str, port: u16) -> Option<Self> {
        if let Some(inner) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
            return inner.parse().ok().map(|ip| Self::Addr(SocketAddr::new(ip, port)));
        }
        if let Ok(ip) = host.parse() {
            return Some(Self::Addr(SocketAddr::new(ip, port)));
        }
        let plain = |b: u8| b.is_ascii_graphic() && !b"/@:?#[]\\%\"<>{}|^`".contains(&b);
        let fits = !host.is_empty() && host.len() <= Self::MAX_NAME && host.bytes().all(plain);
        fits.then(|| Self::Name(host.to_ascii_lowercase(), port))
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name(..) => "Name(…)",
            Self::Addr(_) => "Addr(…)",
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[destination]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form() {
        assert_eq!(Target::parse("News.Example:443"), Some(Target::Name("news.example".into(), 443)));
        assert!(matches!(Target::parse("[2001:db8::1]:80"), Some(Target::Addr(a)) if a.port() == 80));
        assert!(matches!(Target::parse("192.0.2.1:80"), Some(Target::Addr(_))));
        for bad in ["", "host", "host:", "host:x", "host:65536", ":80", "a b:80", "[::1:80", "u@h:80", "h:+80", "h:80 "]
        {
            assert_eq!(Target::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn shows_nothing() {
        let target = Target::Name("secret.example".into(), 443);
        assert!(!format!("{target:?}{target}").contains("secret"));
    }
}
