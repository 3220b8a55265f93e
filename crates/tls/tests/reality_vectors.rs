//! REALITY against vectors of an encoder that shares nothing with the engine: `vectors/reality.py`.

use rozaneh_tls::groups::Offer;
use rozaneh_tls::names::group;
use rozaneh_tls::reality::certificate::{is_bound, is_ours, mldsa65_public};
use rozaneh_tls::reality::server::{Keys, Verdict, judge};
use rozaneh_tls::reality::{AuthKey, Stamp, auth};
use rozaneh_tls::record;
use serde_json::Value;

struct Case(Value);

impl Case {
    fn hex(&self, name: &str) -> Vec<u8> {
        let text = self.0[name].as_str().unwrap();
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    fn array<const N: usize>(&self, name: &str) -> [u8; N] {
        self.hex(name).try_into().unwrap()
    }

    fn stamp(&self) -> Stamp {
        let time = u32::try_from(self.0["time"].as_u64().unwrap()).unwrap();
        Stamp { version: [26, 7, 28], time, short_id: self.array("short_id") }
    }

    fn keys(&self) -> Keys {
        let (names, shorts) = (vec!["cover.example".to_owned()], vec![self.array("short_id")]);
        Keys::new(&self.array("server_private"), names, shorts, 0).unwrap()
    }
}

fn cases() -> Vec<Case> {
    let all: Vec<Value> = serde_json::from_str(include_str!("vectors/reality.json")).unwrap();
    assert_eq!(all.len(), 4);
    all.into_iter().map(Case).collect()
}

#[test]
fn secrets_keys_and_session_ids() {
    for case in cases() {
        let server_public = case.keys().public().unwrap();
        let offer = Offer::from_private(group::X25519, &case.hex("client_private")).unwrap();
        let shared = offer.agree_x25519(&server_public).unwrap();
        assert_eq!(*shared, case.hex("secret"));
        let mut hello = case.hex("blank");
        let key = AuthKey::derive(&shared, auth::random(&hello).unwrap()).unwrap();
        key.seal(&mut hello, &case.stamp()).unwrap();
        assert_eq!(hello, case.hex("hello"));
        assert_eq!(AuthKey::from_bytes(case.array("auth_key")).open(&hello), Some(case.stamp()));
    }
}

#[test]
fn the_server_takes_their_hellos() {
    for case in cases() {
        let mut wire = Vec::new();
        record::plain(22, 0x0301, &case.hex("hello"), &mut wire);
        let now = u64::from(case.stamp().time);
        let Verdict::Friend(friend) = judge(&wire, &case.keys(), now) else { panic!("{}", case.0["name"]) };
        assert_eq!(
            (friend.stamp, friend.server_name.as_str(), friend.taken),
            (case.stamp(), "cover.example", wire.len())
        );
        assert!(matches!(judge(&wire, &case.keys(), now + 1), Verdict::Stranger));
    }
}

#[test]
fn leaves_with_and_without_ml_dsa() {
    for case in cases() {
        let key = AuthKey::from_bytes(case.array("auth_key"));
        let (leaf, bound) = (case.hex("leaf"), case.hex("bound_leaf"));
        assert!(is_ours(&leaf, &key) && is_ours(&bound, &key));
        let public = case.hex("ml_dsa_public");
        assert_eq!(mldsa65_public(&case.array("ml_dsa_seed")).unwrap(), public);
        let (client, server) = (case.hex("hello"), case.hex("server_hello"));
        let own = rozaneh_tls::certificate::public_key(&bound).unwrap().key;
        assert_eq!(key.bound(own, &client, &server).as_ref(), case.hex("bound"));
        assert!(is_bound(&bound, &key, &public, &client, &server));
        assert!(!is_bound(&leaf, &key, &public, &client, &server));
        assert!(!is_bound(&bound, &key, &public, &server, &client));
    }
}
