//! The policy against two tables: the borders of every closed range, and forbidden destinations as programs spell them.

use std::net::{IpAddr, SocketAddr};

use rozaneh_engine::policy::{Denied, Net, Policy, Transport};

fn default_policy() -> Policy {
    Policy::new(vec![], vec![], vec![25, 465, 587], vec![])
}

#[test]
fn borders_of_every_range() {
    let table = include_str!("data/policy_table.txt");
    let policy = default_policy();
    let mut rows = 0;
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let (address, expected) = line.split_once(' ').unwrap();
        let ip: IpAddr = address.parse().unwrap();
        let found = match policy.check(SocketAddr::new(ip, 443), Transport::Tcp) {
            Ok(()) => "open".to_owned(),
            Err(Denied::Range(row)) => row.net.to_string(),
            Err(other) => panic!("{address}: {other:?}"),
        };
        let expected = expected.parse::<Net>().map_or(expected.to_owned(), |net| net.to_string());
        assert_eq!(found, expected, "{address}");
        rows += 1;
    }
    assert!(rows >= 250, "{rows}");
}

#[test]
fn forbidden_destinations_stay_forbidden() {
    let document: serde_json::Value =
        serde_json::from_str(include_str!("../../../tests/data/ssrf_targets.json")).unwrap();
    let rows = document["rows"].as_array().unwrap();
    assert!(rows.len() >= 250, "{}", rows.len());
    let policy = default_policy();
    let closed = |ip: IpAddr| policy.check(SocketAddr::new(ip, 443), Transport::Udp).is_err();
    let mut literals = 0;
    for row in rows {
        let spelling = row["spelling"].as_str().unwrap();
        assert!(row["why"].as_str().is_some_and(|why| !why.is_empty()), "{spelling}");
        let meant: Vec<IpAddr> = match row["resolves_to"].as_array() {
            Some(list) => list.iter().map(|ip| ip.as_str().unwrap().parse().unwrap()).collect(),
            None => vec![],
        };
        match row["kind"].as_str().unwrap() {
            // Most spellings are no address to our parser and go to the resolver; those that are must be closed.
            "literal" => {
                let bare = spelling.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(spelling);
                if let Ok(ip) = bare.parse::<IpAddr>() {
                    assert!(closed(ip), "{spelling}");
                    literals += 1;
                }
            }
            "name" => assert!(meant.iter().any(|ip| closed(*ip)), "{spelling} resolves to nothing forbidden"),
            other => panic!("{spelling}: {other}"),
        }
    }
    assert!(literals >= 120, "{literals} spellings are addresses to the standard parser");
}
