//! Browsers as data: reads a profile (`rozaneh.browser/1`) and writes the first message its browser would write.
//!
//! A profile says what a browser's hellos have in common and has a generator for all that varies; its schema is
//! described in `docs/reference/browser-profile.md`. Whoever hands a document in has checked its signature. Here it is
//! read strictly (`schema`), and its values are checked once, so that writing fails only where the machine does.
//!
//! A hello is made in two steps. `draw` decides everything random: GREASE values, the order of extensions, key shares,
//! the random bytes. `write` turns the decisions into bytes and draws nothing, so one draw gives one message.

mod draw;
mod random;
pub mod schema;
mod write;

use crate::error::{LocalError, RemoteError};
use crate::hello::{Ask, Author, Hello, second};
use crate::messages::HelloRetryRequest;

pub use draw::Drawn;
pub use schema::Browser;

impl Author for Browser {
    fn hello(&self, ask: &Ask<'_>) -> Result<Hello, LocalError> {
        let drawn = self.draw(ask.random)?;
        let message = drawn.message(ask)?;
        let mut hello = Hello::new(message, drawn.shares)?;
        hello.records = self.hello.records.iter().map(|size| usize::from(*size)).collect();
        Ok(hello)
    }

    /// What the captured browsers change is what RFC 8446 section 4.1.2 allows and no more: order, GREASE values and
    /// the ECH extension stay.
    fn second(&self, first: &Hello, retry: &HelloRetryRequest, ask: &Ask<'_>) -> Result<Hello, RemoteError> {
        second::second(first, retry, ask)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::random::Counted;
    use super::*;
    use crate::hello::{ClientHello, Random};
    use crate::messages::ticket::NewSessionTicket;
    use crate::names::{extension, group};
    use crate::schedule::Secret;
    use crate::suite::{Hash, Suite};
    use crate::ticket::Ticket;

    pub(super) const CHROMIUM: &str =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../src/rozaneh/data/browsers/chromium.json"));

    fn chromium() -> Browser {
        Browser::from_json(CHROMIUM.as_bytes()).unwrap()
    }

    /// Chromium's profile with one piece of text changed.
    fn changed(from: &str, to: &str) -> Browser {
        assert!(CHROMIUM.contains(from), "{from}");
        Browser::from_json(CHROMIUM.replacen(from, to, 1).as_bytes()).unwrap()
    }

    fn ask<'a>(name: &'a str, random: &'a dyn Random) -> Ask<'a> {
        Ask { name, now: 0, ticket: None, random }
    }

    fn grease(value: u16) -> bool {
        value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
    }

    #[test]
    fn a_hello_has_what_the_profile_says_and_the_keys_that_belong_to_it() {
        let random = Counted::new(1);
        let hello = chromium().hello(&ask("h.example", &random)).unwrap();
        let parsed = ClientHello::parse(&hello.message).unwrap();
        assert_eq!(parsed.server_name().unwrap(), Some(&b"h.example"[..]));
        assert_eq!((parsed.legacy_version, parsed.session_id.len(), parsed.compressions), (0x0303, 32, &[0][..]));
        assert!(grease(parsed.suites[0]));
        assert_eq!(parsed.suites[1..4], [0x1301, 0x1302, 0x1303]);
        assert_eq!(hello.offered.alpn, [b"h2".to_vec(), b"http/1.1".to_vec()]);
        let shares = parsed.shares().unwrap().unwrap();
        assert!(grease(shares[0].0) && shares[0].1 == [0] && shares[0].0 == hello.offered.groups[0]);
        let real: Vec<_> = hello.shares.iter().map(|offer| (offer.group(), offer.public())).collect();
        assert_eq!(shares[1..], real[..]);
        assert_eq!(real.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [group::X25519MLKEM768, group::X25519]);
        let mut kinds: Vec<u16> = parsed.extensions.iter().map(|(kind, _)| *kind).collect();
        assert!(grease(kinds[0]) && grease(kinds[18]) && kinds[0] != kinds[18]);
        kinds.retain(|kind| !grease(*kind));
        kinds.sort_unstable();
        assert_eq!(kinds, [0, 5, 10, 11, 13, 16, 18, 23, 27, 35, 43, 45, 51, 17_613, 51_764, 65_037, 65_281]);
    }

    #[test]
    fn what_varies_varies_evenly_and_what_must_differ_differs() {
        let random = Counted::new(2);
        let browser = chromium();
        let mut positions: BTreeMap<u16, BTreeSet<usize>> = BTreeMap::new();
        let mut payloads: BTreeMap<usize, usize> = BTreeMap::new();
        let mut flipped = 0;
        let mut seen = BTreeSet::new();
        for _ in 0..600 {
            let hello = browser.hello(&ask("h.example", &random)).unwrap();
            let parsed = ClientHello::parse(&hello.message).unwrap();
            assert!(seen.insert(parsed.random) && seen.insert(parsed.session_id.try_into().unwrap()));
            let (first, last) = (parsed.extensions[0].0, parsed.extensions[18].0);
            assert_ne!(first, last);
            flipped += usize::from(first ^ last == 0x1010);
            for (position, (kind, data)) in parsed.extensions.iter().enumerate() {
                if !grease(*kind) {
                    positions.entry(*kind).or_default().insert(position);
                }
                if *kind == 65_037 {
                    *payloads.entry(data.len()).or_default() += 1;
                    assert_eq!((data[..5].to_vec(), data[6..8].to_vec()), (vec![0, 0, 1, 0, 1], vec![0, 32]));
                }
            }
        }
        assert!(positions.values().all(|at| *at == (1..=17).collect()), "{positions:?}");
        assert_eq!(payloads.keys().copied().collect::<Vec<_>>(), [186, 218, 250, 282]);
        assert!(payloads.values().all(|count| (110..190).contains(count)), "{payloads:?}");
        // Two in sixteen, where a value drawn again would give one in fifteen.
        assert!((55..95).contains(&flipped), "{flipped}");
    }

    #[test]
    fn addresses_have_no_name_and_one_draw_gives_one_message() {
        let random = Counted::new(3);
        let hello = chromium().hello(&ask("192.0.2.1", &random)).unwrap();
        assert!(ClientHello::parse(&hello.message).unwrap().extension(extension::SERVER_NAME).is_none());
        let drawn = chromium().draw(&random).unwrap();
        let asked = ask("h.example", &random);
        assert_eq!(drawn.message(&asked).unwrap(), drawn.message(&asked).unwrap());
    }

    #[test]
    fn chance_decides_what_stands_in_some_hellos_only() {
        let random = Counted::new(4);
        let browser = changed("\"type\": 18,", "\"type\": 18, \"share\": 0.25,");
        let with = (0..400).filter(|_| {
            let hello = browser.hello(&ask("h.example", &random)).unwrap();
            ClientHello::parse(&hello.message).unwrap().extension(18).is_some()
        });
        let with = with.count();
        assert!((70..130).contains(&with), "{with}");
    }

    #[test]
    fn one_of_several_bodies_is_chosen() {
        let random = Counted::new(5);
        let from = "\"kind\": \"fixed\",\n    \"type\": 23,\n    \"shuffle\": true";
        let to = "\"kind\": \"choice\", \"type\": 23, \
                  \"bodies\": [{\"body\": \"00\", \"weight\": 1}, {\"body\": \"Ff01\", \"weight\": 3}]";
        let browser = changed(from, to);
        let mut counts = BTreeMap::new();
        for _ in 0..400 {
            let hello = browser.hello(&ask("h.example", &random)).unwrap();
            let body = ClientHello::parse(&hello.message).unwrap().extension(23).unwrap().rest().to_vec();
            *counts.entry(body).or_insert(0) += 1;
        }
        assert_eq!(counts.keys().cloned().collect::<Vec<_>>(), [vec![0], vec![0xff, 1]]);
        assert!((70..130).contains(&counts[&vec![0]]), "{counts:?}");
    }

    #[test]
    fn padding_fills_up_to_its_length_and_leaves_what_is_outside_alone() {
        let random = Counted::new(6);
        let size = |browser: &Browser, name: &str| browser.hello(&ask(name, &random)).unwrap().message.len();
        let (fixed, one_size) = ("\"kind\": \"fixed\",\n    \"type\": 23,\n    \"shuffle\": true", "\"payloads\": [");
        assert!(CHROMIUM.contains(one_size));
        let text = |above: usize, to: usize| {
            let padding = format!("\"kind\": \"padding\", \"type\": 21, \"above\": {above}, \"to\": {to}");
            let text = CHROMIUM.replacen(fixed, &padding, 1);
            let start = text.find(one_size).unwrap();
            let end = start + text[start..].find(']').unwrap();
            let text = format!("{}\"payloads\": [{{\"length\": 144, \"weight\": 1}}{}", &text[..start], &text[end..]);
            Browser::from_json(text.as_bytes()).unwrap()
        };
        // The ECH payload has one length here, so all that varies is the padding.
        let bare = size(&text(0, 0), "h.example");
        assert_eq!(size(&text(0, 0), "longer.example"), bare + 5);
        assert_eq!(size(&text(bare - 1, bare + 100), "h.example"), bare + 100);
        assert_eq!(size(&text(bare, bare + 100), "h.example"), bare);
        assert_eq!(size(&text(0, bare), "h.example"), bare);
        assert_eq!(size(&text(0, bare + 2), "h.example"), bare + 5, "a head and one byte at least");
    }

    #[test]
    fn a_profile_that_wants_what_the_engine_cannot_do_is_refused_when_drawn() {
        let random = Counted::new(7);
        let wanted = changed("\"group\": 29\n", "\"group\": 256\n");
        assert!(matches!(wanted.draw(&random), Err(LocalError::Config(_))));
    }

    #[test]
    fn a_ticket_comes_last_and_changes_nothing_else() {
        let (identity, lifetime) = (b"ticket".to_vec(), 7_200);
        let message = NewSessionTicket { lifetime, age_add: 5, nonce: vec![], ticket: identity, max_early_data: None };
        let psk = Secret::from_bytes(Hash::Sha256, &[7; 32]).unwrap();
        let ticket = Ticket::new(message, psk, Suite::Aes128GcmSha256, "h.example".into(), None, 1_000);
        let random = Counted::new(9);
        let drawn = chromium().draw(&random).unwrap();
        let plain = drawn.message(&ask("h.example", &random)).unwrap();
        let resuming = Ask { name: "h.example", now: 1_010, ticket: Some(&ticket), random: &random };
        let with = drawn.message(&resuming).unwrap();
        let (plain, with) = (ClientHello::parse(&plain).unwrap(), ClientHello::parse(&with).unwrap());
        let psk = with.psk().unwrap().unwrap();
        assert_eq!((psk.identity, psk.age, psk.binder), (&b"ticket"[..], 15, &[0; 32][..]));
        assert_eq!(with.extensions[..19], plain.extensions[..]);
        assert_eq!((with.extensions.len(), with.random), (20, plain.random));
        // As Firefox does it: no session_ticket beside a PSK. And a browser that never resumes leaves the ticket alone.
        for (from, to, gone, last) in [
            ("\"removed\": []", "\"removed\": [35]", true, true),
            ("\"identities\": 1", "\"identities\": 0", false, false),
        ] {
            let message = changed(from, to).hello(&resuming).unwrap().message;
            let parsed = ClientHello::parse(&message).unwrap();
            assert_eq!(parsed.extension(35).is_none(), gone);
            assert_eq!(parsed.extension(extension::PRE_SHARED_KEY).is_some(), last);
        }
    }

    #[test]
    fn the_second_hello_keeps_all_but_the_shares() {
        let random = Counted::new(8);
        let browser = chromium();
        let asked = ask("h.example", &random);
        let first = browser.hello(&asked).unwrap();
        let session_id = first.offered.session_id.clone();
        let retry = HelloRetryRequest { session_id, suite: 0x1301, group: Some(group::P384), cookie: None };
        let second = browser.second(&first, &retry, &asked).unwrap();
        let (one, two) = (ClientHello::parse(&first.message).unwrap(), ClientHello::parse(&second.message).unwrap());
        assert_eq!((one.random, one.session_id, one.suites), (two.random, two.session_id, two.suites));
        for (before, after) in one.extensions.iter().zip(&two.extensions) {
            assert_eq!(before.0, after.0);
            assert!(before.1 == after.1 || before.0 == extension::KEY_SHARE);
        }
        assert_eq!(second.offered.shares, [group::P384]);
    }
}
