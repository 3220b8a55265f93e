use super::*;
use proptest::prelude::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn net(text: &str) -> Net {
    text.parse().unwrap()
}

fn nets(texts: &[&str]) -> Vec<Net> {
    texts.iter().map(|text| net(text)).collect()
}

fn reason(policy: &Policy, text: &str) -> &'static str {
    match policy.check_ip(ip(text)) {
        Ok(()) => "",
        Err(denied) => denied.name(),
    }
}

#[test]
fn networks_are_read_strictly() {
    for good in ["10.0.0.0/8", "0.0.0.0/0", "192.0.2.1/32", "2001:db8::/32", "::/0", "::1/128"] {
        assert_eq!(net(good).to_string(), good);
    }
    assert_eq!(net("192.0.2.1"), net("192.0.2.1/32"));
    assert_eq!(net("::1"), net("::1/128"));
    for (bad, why) in [
        ("", NetError::Address),
        ("10.0.0/8", NetError::Address),
        ("10/8", NetError::Address),
        ("010.0.0.0/8", NetError::Address),
        ("0x0a.0.0.0/8", NetError::Address),
        (" 10.0.0.0/8", NetError::Address),
        ("fe80::%1/10", NetError::Address),
        ("10.0.0.0/", NetError::Prefix),
        ("10.0.0.0/33", NetError::Prefix),
        ("::/129", NetError::Prefix),
        ("10.0.0.0/08", NetError::Prefix),
        ("10.0.0.0/+8", NetError::Prefix),
        ("10.0.0.0/8/8", NetError::Prefix),
        ("10.0.0.0/256", NetError::Prefix),
        ("10.0.0.1/8", NetError::HostBits),
        ("2001:db8::1/32", NetError::HostBits),
        ("128.0.0.0/0", NetError::HostBits),
    ] {
        assert_eq!(bad.parse::<Net>(), Err(why), "{bad}");
    }
}

#[test]
fn every_row_is_canonical_and_reached() {
    for row in &ranges::DENIED {
        assert_eq!(Net::new(row.net.addr, row.net.prefix), Some(row.net), "host bits in {}", row.net);
        let last = match row.net.addr {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from_bits((row.net.bits() | !row.net.mask()) as u32)),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(row.net.bits() | !row.net.mask())),
        };
        assert!(row.net.contains(row.net.addr) && row.net.contains(last));
        assert!(ranges::find(row.net.addr).is_some() && ranges::find(last).is_some());
        // No row hides another one of the same size.
        assert_eq!(ranges::DENIED.iter().filter(|other| other.net == row.net).count(), 1, "{}", row.net);
    }
}

#[test]
fn order_of_the_rules() {
    let policy = Policy::new(
        nets(&["10.1.0.0/16", "9.9.9.9/32", "1.1.1.1"]),
        nets(&["10.1.2.0/24", "8.8.0.0/16"]),
        vec![587, 25, 465, 25],
        vec![ip("45.0.0.1"), ip("2a00::1"), ip("::ffff:45.0.0.2"), ip("1.1.1.1")],
    );
    for (address, why) in [
        ("10.1.0.1", ""),
        ("10.2.0.1", "range"),
        ("10.1.2.3", "listed"),
        ("8.8.8.8", "listed"),
        ("64:ff9b::8.8.8.8", "listed"),
        ("45.0.0.1", "own"),
        ("45.0.0.2", "own"),
        ("::ffff:45.0.0.1", "own"),
        ("2002:2d00:1::", "own"),
        ("2a00::1", "own"),
        ("2a00::2", ""),
        ("1.1.1.1", ""),
        ("::ffff:10.1.0.1", ""),
        ("::ffff:9.9.9.9", ""),
        ("::ffff:9.9.9.8", "range"),
        ("64:ff9b::9.9.9.9", "range"),
    ] {
        assert_eq!(reason(&policy, address), why, "{address}");
    }
    let port = |text: &str| policy.check(text.parse().unwrap(), Transport::Tcp);
    assert_eq!(port("9.9.9.9:25"), Err(Denied::Port));
    assert_eq!(port("[2a00::2]:587"), Err(Denied::Port));
    assert_eq!(port("9.9.9.9:0"), Err(Denied::Port), "an exception for a network opens no port");
    assert_eq!(port("9.9.9.9:26"), Ok(()));
    assert_eq!(policy.check("9.9.9.9:465".parse().unwrap(), Transport::Udp), Err(Denied::Port));
    assert!(
        matches!(policy.check("127.0.0.1:80".parse().unwrap(), Transport::Udp), Err(Denied::Range(row)) if row.why == "loopback")
    );
}

#[test]
fn an_open_translator_does_not_open_what_lies_behind() {
    let policy = Policy::new(
        nets(&["64:ff9b::/96", "2002::/16", "2001::/32", "::ffff:0:0/96", "::/96"]),
        vec![],
        vec![],
        vec![ip("45.0.0.1")],
    );
    for (address, why) in [
        ("64:ff9b::9.9.9.9", ""),
        ("64:ff9b::127.0.0.1", "range"),
        ("64:ff9b::10.0.0.1", "range"),
        ("64:ff9b::45.0.0.1", "own"),
        ("::ffff:9.9.9.9", ""),
        ("::ffff:127.0.0.1", "range"),
        ("::127.0.0.1", "range"),
        ("::9.9.9.9", ""),
        ("2002:909:909::1", ""),
        ("2002:7f00:1::1", "range"),
        // Teredo: server 9.9.9.9, client 8.8.8.8 and then 10.0.0.1, both flipped; then a server that is private.
        ("2001:0:909:909:0:0:f7f7:f7f7", ""),
        ("2001:0:909:909:0:0:f5ff:fffe", "range"),
        ("2001:0:a00:1:0:0:f7f7:f7f7", "range"),
    ] {
        assert_eq!(reason(&policy, address), why, "{address}");
    }
    let all = Policy::new(nets(&["::/0"]), vec![], vec![], vec![]);
    assert_eq!(reason(&all, "::ffff:127.0.0.1"), "range", "an exception for IPv6 is none for IPv4");
    assert_eq!(reason(&all, "fe80::1"), "");
}

fn any_ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![any::<[u8; 4]>().prop_map(IpAddr::from), any::<[u8; 16]>().prop_map(IpAddr::from)]
}

proptest! {
    #[test]
    fn networks_round_trip(addr in any_ip(), prefix in 0u8..=128) {
        let width = if addr.is_ipv4() { 32 } else { 128 };
        match Net::new(addr, prefix) {
            Some(net) => {
                prop_assert!(prefix <= width && net.contains(addr));
                prop_assert_eq!(net.to_string().parse(), Ok(net));
            }
            None => {
                let raw = Net { addr, prefix };
                let host_bits = raw.bits() & !raw.mask() != 0;
                prop_assert!(prefix > width || host_bits);
            }
        }
    }

    /// Containment, bit by bit.
    #[test]
    fn contains_is_what_it_says(addr in any::<u32>(), other in any::<u32>(), prefix in 0u32..=32) {
        let base = (u64::from(addr) >> (32 - prefix)) << (32 - prefix);
        let net = Net::new(IpAddr::V4(Ipv4Addr::from_bits(base as u32)), prefix as u8).unwrap();
        let same = (0..prefix).all(|bit| (base as u32) >> (31 - bit) & 1 == other >> (31 - bit) & 1);
        prop_assert_eq!(net.contains(Ipv4Addr::from_bits(other).into()), same);
        prop_assert!(!net.contains(IpAddr::V6(Ipv6Addr::from_bits(u128::from(other)))));
    }

    /// No spelling of a closed IPv4 address inside an IPv6 address is open, with translators open or not.
    #[test]
    fn no_spelling_opens_a_closed_address(bits in any::<u32>(), low in any::<u64>(), open in any::<bool>()) {
        let v4 = Ipv4Addr::from_bits(bits);
        let allow = if open { nets(&["64:ff9b::/96", "2002::/16", "2001::/32", "::ffff:0:0/96", "::ffff:0:0:0/96", "::/96"]) } else { vec![] };
        let policy = Policy::new(allow, vec![], vec![], vec![]);
        let closed = policy.check_ip(v4.into()).is_err();
        let wide = u128::from(bits);
        let flipped = u128::from(!bits);
        for other in [
            wide, wide | 0xffff << 32, wide | 0xffff << 48, wide | 0x64_ff9b << 96, 0x2002 << 112 | wide << 80 | u128::from(low),
            0x2001 << 112 | wide << 64 | u128::from(low), 0x2001 << 112 | u128::from(low) << 32 | flipped,
        ] {
            let judged = policy.check_ip(Ipv6Addr::from_bits(other).into());
            prop_assert!(judged.is_err() || (open && !closed), "{}", Ipv6Addr::from_bits(other));
        }
    }

    /// Outside 2000::/3 nothing is open by default, and every verdict names a row that holds the address.
    #[test]
    fn only_global_unicast_is_open(bits in any::<u128>()) {
        let ip = IpAddr::V6(Ipv6Addr::from_bits(bits));
        match Policy::default().check_ip(ip) {
            Ok(()) => prop_assert_eq!(bits >> 125, 1),
            Err(Denied::Range(row)) => prop_assert!(row.net.contains(ip)),
            Err(other) => prop_assert!(false, "{:?}", other),
        }
    }
}
