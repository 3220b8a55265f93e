//! REALITY from one configuration document to another: an edge whose cover is its own listener, and ways to it.

use std::path::PathBuf;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rozaneh_engine::Engine;
use rozaneh_tls::reality::server::Keys;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(30);
const PRIVATE: [u8; 32] = [0x42; 32];
const ID: [u8; 16] = [0x11; 16];
const CHROMIUM: &str = include_str!("../../../src/rozaneh/data/browsers/chromium.json");

/// A folder that goes with its test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("engine-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

/// A root, and a certificate of its making for one of the edge's names.
fn certificates(folder: &Folder) {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256};
    let key = || KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
    let (root_key, key) = (key(), key());
    let mut root = CertificateParams::new(vec![]).expect("parameters");
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = root.self_signed(&root_key).expect("signed");
    let issuer = Issuer::new(root, root_key);
    let leaf = CertificateParams::new(vec!["news.test".into()]).expect("parameters");
    let leaf = leaf.signed_by(&key, &issuer).expect("signed");
    let write = |name: &str, text: String| std::fs::write(folder.0.join(name), text).expect("written");
    write("root.pem", pem("CERTIFICATE", certificate.der()));
    write("cert.pem", pem("CERTIFICATE", leaf.der()));
    write("key.pem", pem("PRIVATE KEY", &key.serialize_der()));
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn sha(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn masked() -> [u8; 16] {
    let mut id = ID;
    (id[6], id[7]) = (0, 0);
    id
}

fn edge(folder: &Folder) -> Value {
    json!({
        "schema": "rozaneh.engine/1",
        "upstreams": [{"type": "direct", "tag": "direct"}],
        "listeners": [
            // First, so that the order of the document is no order of binding.
            {"type": "reality", "tag": "edge", "bind": "127.0.0.1:0", "upstream": "direct",
             "private_key": URL_SAFE_NO_PAD.encode(PRIVATE), "server_names": ["a.test", "b.test", "c.test", "d.test", "news.test"],
             "short_ids": ["0102030400000000"], "cover": {"listener": "cover"},
             "replay_file": folder.0.join("seen"),
             "services": [{"authority": "roster.rozaneh.invalid:443", "documents": {"one": STANDARD.encode("a roster")}}]},
            {"type": "h2", "tag": "cover", "bind": "127.0.0.1:0", "upstream": "direct", "cover": {"type": "stock"},
             "cert_file": folder.0.join("cert.pem"), "key_file": folder.0.join("key.pem")},
        ],
        "users": [{"id": "r", "user_sha256": sha(b"reader"), "password_sha256": sha(b"secret"), "compartment": "one",
                   "vless_sha256": sha(&masked())}],
    })
}

/// Each way has a name of its own: to one name a process opens two connections a minute, as a browser does.
fn ways(folder: &Folder, address: &str) -> Value {
    let key = |private: [u8; 32]| {
        let keys = Keys::new(&private, vec![], vec![], 0).expect("keys");
        URL_SAFE_NO_PAD.encode(keys.public().expect("a key"))
    };
    let security = |private, short: &str| json!({"type": "reality", "public_key": key(private), "short_id": short, "ca_file": folder.0.join("root.pem")});
    let h2 = |tag: &str, name: &str, password: &str, security: Value| {
        json!({"type": "h2", "tag": tag, "address": address, "server_name": name, "user": "reader",
               "password": password, "carriers": 1, "look": "chromium", "security": security})
    };
    json!({
        "schema": "rozaneh.engine/1",
        "looks": {"chromium": serde_json::from_str::<Value>(CHROMIUM).expect("a profile")},
        "upstreams": [
            h2("good", "a.test", "secret", security(PRIVATE, "0102030400000000")),
            h2("stranger", "news.test", "secret", security([0x43; 32], "0102030400000000")),
            h2("no account", "b.test", "wrong", security(PRIVATE, "0102030400000000")),
            h2("later", "d.test", "secret", security(PRIVATE, "ffffffffffffffff")),
            {"type": "vless", "tag": "vless", "address": address, "server_name": "c.test", "look": "chromium",
             "id": "11111111-1111-1111-1111-111111111111", "security": security(PRIVATE, "0102030400000000")},
        ],
    })
}

fn started(document: &Value) -> Engine {
    let engine = Engine::new(&document.to_string()).expect("a document");
    engine.start().expect("started");
    engine
}

fn address(engine: &Engine, tag: &str) -> String {
    let list: Value = serde_json::from_str(&engine.listeners()).expect("a list");
    let listener = list.as_array().expect("a list").iter().find(|listener| listener["tag"] == tag);
    listener.expect("there")["address"].as_str().expect("text").to_owned()
}

fn stage(engine: &Engine, way: &str) -> String {
    let answer: Value = serde_json::from_str(&engine.probe(way, LIMIT).expect("probed")).expect("an answer");
    answer["stage"].as_str().expect("text").to_owned()
}

/// Kinds of the events so far.
fn kinds(engine: &Engine) -> Vec<String> {
    let all = engine.events(1_000, Duration::ZERO);
    all.iter().map(|event| serde_json::from_str::<Value>(event).expect("an event")["kind"].to_string()).collect()
}

#[test]
fn an_edge_with_its_own_cover_lets_friends_in_and_outlives_reloads_and_restarts() {
    let folder = Folder::new("reality");
    certificates(&folder);
    let document = edge(&folder);
    let engine = started(&document);
    assert!(kinds(&engine).contains(&"\"filter_lost\"".to_owned()), "a key's first start remembers nothing");
    let place = address(&engine, "edge");
    let client = started(&ways(&folder, &place));
    assert_eq!(stage(&client, "good"), "ok");
    assert_eq!(client.fetch("good", "roster.rozaneh.invalid:443", 1_000, LIMIT).expect("fetched"), b"a roster");
    assert_eq!(client.fetch("vless", "roster.rozaneh.invalid:443", 1_000, LIMIT).expect("fetched"), b"a roster");
    assert_eq!(stage(&client, "no account"), "auth");
    assert_eq!(stage(&client, "stranger"), "cover");
    let visits = |engine: &Engine| {
        serde_json::from_str::<Value>(&engine.counters()).expect("counters")["visits"].as_u64().expect("a number")
    };
    assert!(visits(&engine) >= 1);

    // A reload keeps the socket, the filter and what is known of the cover.
    let mut other = document.clone();
    other["listeners"][0]["short_ids"] = json!(["0102030400000000", "ffffffffffffffff"]);
    engine.reload(&other.to_string()).expect("reloaded");
    assert_eq!(address(&engine, "edge"), place);
    // A second engine on the same file would answer every replay once more.
    let second = Engine::new(&document.to_string()).expect("a document");
    let refused = second.start().expect_err("one file, one engine").to_string();
    assert!(refused.contains("replay_file") && refused.contains("another engine"), "{refused}");
    drop(second);
    let again = started(&ways(&folder, &place));
    assert_eq!(stage(&again, "later"), "ok");
    again.stop(Duration::ZERO);
    client.stop(Duration::ZERO);
    engine.stop(Duration::ZERO);

    let engine = started(&document);
    assert!(!kinds(&engine).contains(&"\"filter_lost\"".to_owned()), "ended in order, begun in order");
    engine.stop(Duration::ZERO);
}

#[test]
fn a_document_with_a_listener_that_cannot_be_is_refused() {
    let folder = Folder::new("reality-refused");
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut document = edge(&folder);
        change(&mut document["listeners"]);
        match Engine::new(&document.to_string()) {
            Ok(_) => panic!("{document} was taken"),
            Err(error) => error.to_string(),
        }
    };
    let cases: [(&str, Value, &str); 13] = [
        ("private_key", json!("AAAA"), "base64url of 32 bytes"),
        ("private_key", json!(STANDARD.encode([255; 32])), "base64url of 32 bytes"),
        ("mldsa65_seed", json!("x"), "base64url of 32 bytes"),
        ("server_names", json!([]), "at least one"),
        ("server_names", json!([""]), "at least one"),
        ("short_ids", json!([]), "at least one"),
        ("short_ids", json!(["0102"]), "16 hexadecimal digits"),
        ("short_ids", json!(["+102030400000000"]), "16 hexadecimal digits"),
        ("max_skew_s", json!(0), "1 to 600"),
        ("protocols", json!([]), "at least one"),
        ("protocols", json!(["trojan"]), "unknown variant"),
        ("cover", json!({"listener": "edge"}), "an `h2` listener on loopback"),
        ("bind", json!("unix:/x"), "a way listens on TCP"),
    ];
    for (field, value, why) in cases {
        let text = refused(&|listeners| listeners[0][field] = value.clone());
        assert!(text.starts_with("listeners[0]") && text.contains(why), "{field}: {text}");
    }
    let text = refused(&|listeners| {
        listeners[0]["bind"] = json!("0.0.0.0:443");
        listeners[0]["cover"] = json!({"address": "127.0.0.1:443"});
    });
    assert!(text.contains("this listener itself"), "{text}");
    // Two listeners of one key and two filters would answer each replay once.
    for (field, value) in [("replay_file", json!("/another")), ("private_key", json!(URL_SAFE_NO_PAD.encode([9; 32])))]
    {
        let text = refused(&|listeners| {
            let mut twin = listeners[0].clone();
            twin["tag"] = json!("twin");
            twin[field] = value.clone();
            listeners.as_array_mut().expect("a list").push(twin);
        });
        assert!(text.starts_with("listeners[2].replay_file"), "{text}");
    }
    let secret = URL_SAFE_NO_PAD.encode(PRIVATE);
    let config = rozaneh_engine::config::Config::parse(&edge(&folder).to_string()).expect("a document");
    assert!(!format!("{config:?}").contains(&secret) && !format!("{config:?}").contains("66, 66"));
}
