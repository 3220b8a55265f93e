//! The engine behind a browser's first message: a profile shakes hands as the plain author does.

mod support;

use std::sync::Arc;

use rozaneh_tls::certificate::SignatureOnly;
use rozaneh_tls::client::{self, Client};
use rozaneh_tls::hello::SystemRandom;
use rozaneh_tls::names::group;
use rozaneh_tls::profile::Browser;
use rozaneh_tls::server::TicketKey;
use rozaneh_tls::suite::Suite;
use rozaneh_tls::ticket::Cache;
use support::*;

const CHROMIUM: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../src/rozaneh/data/browsers/chromium.json"));

fn chromium() -> client::Config {
    client::Config::new(Arc::new(Browser::from_json(CHROMIUM.as_bytes()).unwrap()), Arc::new(SignatureOnly))
}

#[test]
fn every_suite_and_group_it_offers_with_a_retry_where_it_sent_no_share() {
    for suite in Suite::ALL {
        for (id, retried) in
            [(group::X25519MLKEM768, false), (group::X25519, false), (group::P256, true), (group::P384, true)]
        {
            let mut server = server_config();
            server.suites = vec![suite];
            server.groups = vec![id];
            server.alpn = vec![b"h2".to_vec()];
            let (mut c, mut s) = meet(chromium(), server).unwrap();
            for facts in [&c.facts, &s.facts] {
                assert_eq!((facts.suite, facts.group, facts.retried), (suite, id, retried));
                assert_eq!(facts.alpn.as_deref(), Some(&b"h2"[..]));
            }
            talk(&mut c.traffic, &mut s.traffic);
        }
    }
}

#[test]
fn the_other_chromes_shake_hands_too() {
    macro_rules! profile {
        ($name:literal) => {
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../src/rozaneh/data/browsers/", $name))
        };
    }
    for document in [&profile!("chrome-150.json")[..], profile!("chrome-151.json")] {
        let browser = Browser::from_json(document).unwrap();
        let client = client::Config::new(Arc::new(browser), Arc::new(SignatureOnly));
        let (mut c, mut s) = meet(client, server_config()).unwrap();
        talk(&mut c.traffic, &mut s.traffic);
    }
}

#[test]
fn application_settings_are_agreed_on_as_the_profile_offers_them() {
    let mut server = server_config();
    server.alpn = vec![b"h2".to_vec()];
    server.settings = vec![(b"h2".to_vec(), b"theirs".to_vec())];
    let mut client = chromium();
    client.settings = vec![(b"h2".to_vec(), b"ours".to_vec())];
    let (c, s) = meet(client, server).unwrap();
    assert_eq!(c.facts.alps.as_deref(), Some(&b"theirs"[..]));
    assert_eq!(s.facts.alps.as_deref(), Some(&b"ours"[..]));
}

#[test]
fn tickets_are_resumed_with_and_without_a_retry() {
    for groups in [vec![group::X25519MLKEM768], vec![group::P384]] {
        let cache = Arc::new(Cache::default());
        let mut client = chromium();
        client.tickets = Some(cache.clone());
        let client = Arc::new(client);
        let mut server = server_config();
        server.ticket_key = Some(TicketKey::generate(&SystemRandom).unwrap());
        server.tickets = 2;
        server.groups.clone_from(&groups);
        let server = Arc::new(server);
        let (mut c, _) = meet_shared(&client, &server, NOW).unwrap();
        assert!(!c.facts.resumed);
        c.traffic.tickets(NOW).into_iter().for_each(|ticket| cache.put(ticket));
        let (mut c, mut s) = meet_shared(&client, &server, NOW + 1_000).unwrap();
        assert!(c.facts.resumed && s.facts.resumed);
        assert_eq!(c.facts.retried, groups == [group::P384]);
        talk(&mut c.traffic, &mut s.traffic);
    }
}

#[test]
fn the_first_record_bears_the_profile_s_version() {
    let version = Browser::from_json(CHROMIUM.as_bytes()).unwrap().hello.record_version;
    let (_, first) = Client::start(Arc::new(chromium()), NAME, NOW).unwrap();
    assert_eq!((first[0], u16::from_be_bytes([first[1], first[2]])), (22, version));
    assert_eq!(usize::from(u16::from_be_bytes([first[3], first[4]])) + 5, first.len());
}
