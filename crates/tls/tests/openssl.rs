//! Interop with OpenSSL's command line: our client against `s_server`, our server against `s_client`.

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rozaneh_tls::certificate::WebPki;
use rozaneh_tls::hello::SystemRandom;
use rozaneh_tls::hello::plain::Plain;
use rozaneh_tls::names::{group, scheme};
use rozaneh_tls::server::TicketKey;
use rozaneh_tls::suite::Suite;
use rozaneh_tls::ticket::Cache;
use support::openssl::*;
use support::*;

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

/// What most tests start: TLS 1.3 alone, each line answered reversed.
const REVERSE: &[&str] = &["-tls1_3", "-rev"];

fn s_server(folder: &Folder, arguments: &[&str]) -> (Running, u16) {
    start(folder, &[REVERSE, arguments].concat())
}

/// One connection; `s_server -rev` answers each line reversed.
fn line(config: &Arc<rozaneh_tls::client::Config>, port: u16, now: u64) -> Socket {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut socket = Socket::client(config, stream, now).unwrap();
    socket.write(b"hello\n");
    assert_eq!(socket.read_exact(6), b"olleh\n");
    socket
}

#[test]
fn every_suite_and_group_and_a_retry() {
    let folder = Folder::new();
    make_key(&folder, ECDSA);
    let suites = [
        (Suite::Aes128GcmSha256, "TLS_AES_128_GCM_SHA256"),
        (Suite::Aes256GcmSha384, "TLS_AES_256_GCM_SHA384"),
        (Suite::Chacha20Poly1305Sha256, "TLS_CHACHA20_POLY1305_SHA256"),
    ];
    for (suite, name) in suites {
        let (_server, port) = s_server(&folder, &["-ciphersuites", name]);
        let socket = line(&Arc::new(client_config(Plain::default())), port, NOW);
        assert_eq!(socket.connected.facts.suite, suite);
        socket.close();
    }
    for (id, name) in [(group::X25519, "X25519"), (group::P256, "P-256"), (group::P384, "P-384")] {
        let (_server, port) = s_server(&folder, &["-groups", name]);
        for shares in [vec![id], vec![group::X25519MLKEM768]] {
            let retried = shares != [id];
            let socket = line(&Arc::new(client_config(Plain { shares, ..Plain::default() })), port, NOW);
            assert_eq!((socket.connected.facts.group, socket.connected.facts.retried), (id, retried));
            socket.close();
        }
    }
}

#[test]
fn every_kind_of_certificate_and_roots() {
    let kinds: [(&[&str], u16); 5] = [
        (ECDSA, scheme::ECDSA_P256_SHA256),
        (&["ec", "-pkeyopt", "ec_paramgen_curve:P-384"], scheme::ECDSA_P384_SHA384),
        (&["rsa:2048"], scheme::RSA_PSS_SHA256),
        (&["rsa:2048"], scheme::RSA_PSS_SHA512),
        (&["ed25519"], scheme::ED25519),
    ];
    for (kind, id) in kinds {
        let folder = Folder::new();
        make_key(&folder, kind);
        let (_server, port) = s_server(&folder, &[]);
        let (roots, bad) = WebPki::from_certificates([read(&folder.path("cert.der")).as_slice()]);
        assert_eq!(bad, 0);
        let plain = Plain { schemes: vec![id], status: true, ..Plain::default() };
        // OpenSSL's self-signed certificates are CAs, which webpki takes for no leaf: so the signature, and the error.
        let socket = line(&Arc::new(client_config(plain.clone())), port, NOW);
        assert_eq!(socket.connected.facts.chain, [read(&folder.path("cert.der"))]);
        socket.close();
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let strict = Arc::new(client_config_with(plain, Arc::new(roots)));
        // The certificate is as old as this test, so its dates are judged by the real clock.
        let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let now = u64::try_from(clock.as_millis()).unwrap() + 60_000;
        let error = Socket::client(&strict, stream, now).err().unwrap();
        assert_eq!(error.due().unwrap().name(), "bad_certificate");
    }
}

#[test]
fn protocols_certificate_requests_and_a_large_transfer() {
    let folder = Folder::new();
    make_key(&folder, ECDSA);
    let (_server, port) = s_server(&folder, &["-alpn", "h2,http/1.1", "-verify", "1"]);
    let plain = Plain { alpn: vec![b"http/1.1".to_vec(), b"h2".to_vec()], ..Plain::default() };
    let mut socket = line(&Arc::new(client_config(plain)), port, NOW);
    assert_eq!(socket.connected.facts.alpn.as_deref(), Some(&b"h2"[..]));
    let mut long = vec![b'a'; 15_000];
    long.push(b'\n');
    for _ in 0..10 {
        socket.write(&long);
        assert_eq!(socket.read_exact(long.len()), long);
    }
    socket.connected.traffic.update_keys(true).unwrap();
    socket.write(b"after\n");
    assert_eq!(socket.read_exact(6), b"retfa\n");
    socket.close();
}

#[test]
fn tickets_resume_a_second_connection() {
    let folder = Folder::new();
    make_key(&folder, ECDSA);
    for arguments in [&["-num_tickets", "2"][..], &["-num_tickets", "1", "-groups", "P-384"]] {
        let (_server, port) = s_server(&folder, arguments);
        let cache = Arc::new(Cache::default());
        let mut config = client_config(Plain::default());
        config.tickets = Some(cache.clone());
        let config = Arc::new(config);
        let mut first = line(&config, port, NOW);
        assert!(!first.connected.facts.resumed);
        first.connected.traffic.tickets(NOW).into_iter().for_each(|t| cache.put(t));
        first.close();
        let second = line(&config, port, NOW + 2_000);
        assert!(second.connected.facts.resumed && second.connected.facts.chain.is_empty());
        second.close();
    }
}

#[test]
fn a_server_of_tls12_is_told_the_version() {
    let folder = Folder::new();
    make_key(&folder, ECDSA);
    let (_server, port) = start(&folder, &["-tls1_2"]);
    // As Chrome offers it: both versions, and suites of both.
    let both = Plain {
        versions: vec![0x0304, 0x0303],
        suites: vec![0x1301, 0xc02b],
        extra: vec![(11, vec![1, 0]), (0xff01, vec![0])],
        ..Plain::default()
    };
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let error = Socket::client(&Arc::new(client_config(both)), stream, NOW).err().unwrap();
    assert_eq!(error.due().unwrap().name(), "protocol_version");
}

/// `s_client` against a server of ours that answers one line and closes; what it printed.
fn s_client(config: &Arc<rozaneh_tls::server::Config>, arguments: &[&str]) -> (bool, bool, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut command = openssl(&["s_client", "-connect", &address, "-tls1_3", "-servername", NAME]);
    let mut child = command.args(arguments).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = child.stdout.take().unwrap();
    let mut running = Running { child, input: None };
    let (stream, _) = listener.accept().unwrap();
    let mut socket = Socket::server(config, stream, NOW).unwrap();
    input.write_all(b"from the client\n").unwrap();
    assert_eq!(socket.read().unwrap().unwrap(), b"from the client\n");
    socket.write(b"from the server\n");
    let (resumed, retried) = (socket.connected.facts.resumed, socket.connected.facts.retried);
    socket.close();
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    running.child.wait().unwrap();
    running.input = Some(input);
    assert!(text.contains("from the server"), "{text}");
    (resumed, retried, text)
}

#[test]
fn our_server_serves_s_client() {
    for kind in [ECDSA, &["rsa:2048"], &["ed25519"]] {
        let folder = Folder::new();
        make_key(&folder, kind);
        let key = rozaneh_tls::server::SigningKey::from_pkcs8(&read(&folder.path("key.der"))).unwrap();
        let mut config = rozaneh_tls::server::Config::new(vec![read(&folder.path("cert.der"))], key);
        config.alpn = vec![b"h2".to_vec()];
        config.ticket_key = Some(TicketKey::generate(&SystemRandom).unwrap());
        config.tickets = 2;
        let config = Arc::new(config);
        for suite in ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"] {
            let (_, _, text) = s_client(&config, &["-ciphersuites", suite, "-alpn", "h2"]);
            assert!(text.contains(suite) && text.contains("ALPN protocol: h2"), "{text}");
        }
        // X448 comes first and its share alone: a retry.
        let (_, retried, _) = s_client(&config, &["-groups", "X448:P-384"]);
        assert!(retried);
        let session = folder.path("session.pem");
        let session = session.to_str().unwrap();
        let (resumed, _, _) = s_client(&config, &["-sess_out", session]);
        assert!(!resumed);
        let (resumed, _, text) = s_client(&config, &["-sess_in", session]);
        assert!(resumed && text.contains("Reused, TLSv1.3"), "{text}");
    }
}
