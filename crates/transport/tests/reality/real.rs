//! A cover that nobody here wrote: Debian's nginx, whose TLS is OpenSSL's.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rozaneh_tls::reality::client::Outcome;
use rozaneh_tls::reality::shape::Alpn;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::rig::*;

/// The client's connection preface and empty SETTINGS (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// A private nginx; ended by its number, and its folder removed, when the test is over.
struct Nginx {
    child: Child,
    address: SocketAddr,
    folder: Folder,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn nginx() -> Nginx {
    let folder = Folder::new();
    let base = folder.0.display();
    // A signature of one length, so that two flights have the same: ECDSA's vary by two bytes.
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).expect("a key");
    let params = rcgen::CertificateParams::new(vec![NAME.into()]).expect("parameters");
    let certificate = params.self_signed(&key).expect("signed");
    for (name, label, der) in
        [("cert.pem", "CERTIFICATE", certificate.der().to_vec()), ("key.pem", "PRIVATE KEY", key.serialize_der())]
    {
        // OpenSSL reads lines of 64 characters (RFC 7468 section 2).
        let mut text = format!("-----BEGIN {label}-----\n");
        for line in STANDARD.encode(der).as_bytes().chunks(64) {
            text.push_str(std::str::from_utf8(line).expect("ASCII"));
            text.push('\n');
        }
        text.push_str(&format!("-----END {label}-----\n"));
        std::fs::write(folder.0.join(name), text).expect("written");
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let config = format!(
        "daemon off; master_process off; worker_processes 1; pid {base}/pid; error_log {base}/error.log info;
         events {{ worker_connections 256; }}
         http {{
           access_log off; client_body_temp_path {base}/b; proxy_temp_path {base}/p; fastcgi_temp_path {base}/f;
           uwsgi_temp_path {base}/u; scgi_temp_path {base}/s; client_header_timeout 2s;
           server {{ listen {address} ssl http2; ssl_certificate {base}/cert.pem; ssl_certificate_key {base}/key.pem;
                     ssl_protocols TLSv1.2 TLSv1.3; location / {{ return 200 'the cover'; }} }}
         }}"
    );
    let path = folder.0.join("nginx.conf");
    std::fs::File::create(&path).expect("made").write_all(config.as_bytes()).expect("written");
    let child = Command::new("nginx")
        .args(["-p", &base.to_string(), "-e", &format!("{base}/error.log"), "-c", &path.display().to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("nginx, which `make setup` installs");
    let mut nginx = Nginx { child, address, folder };
    within(async {
        while TcpStream::connect(address).await.is_err() {
            let log = || std::fs::read_to_string(nginx.folder.0.join("error.log"));
            assert!(nginx.child.try_wait().expect("asked").is_none(), "nginx ended: {:?}", log());
            tokio::task::yield_now().await;
        }
    })
    .await;
    nginx
}

#[tokio::test]
async fn friends_of_nginx_see_its_records_and_strangers_see_itself() {
    let nginx = nginx().await;
    let running = edge(nginx.address).await;
    let lesson = running.shapes.get(NAME, Alpn::H2, LIMIT).await.expect("learned");
    // OpenSSL: one message a record, two tickets. nginx: SETTINGS and WINDOW_UPDATE in one record, unasked.
    assert_eq!((lesson.flight, lesson.behind, lesson.tickets.len(), lesson.greeting.len()), (4, 0, 2, 1));
    assert_eq!(lesson.greeting, [5 + 27 + 13 + 17]);
    for kind in Alpn::ALL {
        let h2 = kind == Alpn::H2;
        let who = Who { alpn: kind.protocols(), ..Who::default() };
        let (mut ours, mut real) = (visit(running.address, &who).await, visit(nginx.address, &who).await);
        assert_eq!((ours.outcome, real.outcome), (Outcome::Verified, Outcome::Real));
        // EncryptedExtensions names the protocol at nginx and not with us; the record has nginx's length.
        assert_eq!(records(&ours.flight), records(&real.flight));
        ours.say(PREFACE).await;
        real.say(if h2 { PREFACE } else { b"GET / HTTP/1.1\r\nHost: news.test\r\n\r\n" }).await;
        let (settings, by_us) = ours.hear().await;
        let (_, by_nginx) = real.hear().await;
        assert_eq!(settings.get(3), Some(&4));
        assert_eq!(by_us[..2], by_nginx[..2]);
        // What we say unasked is not shorter than what nginx says; like nginx's it is longer where the preface was there
        // to be answered, too.
        let lesson = running.shapes.get(NAME, kind, LIMIT).await.expect("learned");
        assert_eq!(by_nginx.len() - 2, lesson.greeting.len().max(1));
        assert!(lesson.greeting.iter().all(|wire| by_us[2] >= *wire && by_nginx[2] >= *wire), "{by_us:?} {by_nginx:?}");
        // VLESS says nothing unasked: there the greeting is an empty record of nginx's length.
        let mut ours = visit(running.address, &who).await;
        ours.say(&[&[0][..], &[9; 16], &[0, 1, 0, 80, 2, 4], b"a.test"].concat()).await;
        assert_eq!(ours.hear().await.1, [&by_nginx[..2], &lesson.greeting].concat());
    }
    assert_eq!(running.counts.visits(), 0);
    let stranger = Who { private: [0x43; 32], alpn: vec![], ..Who::default() };
    let mut visit = visit(running.address, &stranger).await;
    visit.say(b"GET / HTTP/1.1\r\nHost: news.test\r\n\r\n").await;
    let (answer, _) = visit.hear().await;
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\nServer: nginx"), "{:?}", String::from_utf8_lossy(&answer));
    assert_eq!((visit.outcome, running.counts.visits()), (Outcome::Real, 1));
}

#[tokio::test]
async fn nginx_tires_of_a_friend_who_does_not_finish_as_of_anybody() {
    let nginx = nginx().await;
    let running = edge(nginx.address).await;
    running.shapes.get(NAME, Alpn::H2, LIMIT).await.expect("learned");
    for sent in [0, 100, usize::MAX] {
        let wait = async |address: SocketAddr| {
            let mut tcp = TcpStream::connect(address).await.expect("connected");
            let hello = Who::default().start().1;
            tcp.write_all(&hello[..sent.min(hello.len())]).await.expect("written");
            let began = std::time::Instant::now();
            let (bytes, reset) = rest_of(&mut tcp).await;
            (records(&bytes), reset, began.elapsed())
        };
        let (straight, through) = tokio::join!(wait(nginx.address), wait(running.address));
        assert_eq!((&straight.0, straight.1), (&through.0, through.1), "{sent}");
        for took in [straight.2, through.2] {
            assert!(took > Duration::from_millis(1_500) && took < Duration::from_secs(10), "{sent}: {took:?}");
        }
    }
}

#[tokio::test]
async fn every_byte_that_a_stranger_gets_is_nginxs() {
    let nginx = nginx().await;
    let running = edge(nginx.address).await;
    let hello = Who { private: [0x43; 32], ..Who::default() }.start().1;
    let mut bent = hello.clone();
    // Another version of the record, a length that lies, a message that is no hello.
    (bent[1], bent[3]) = (4, bent[3] ^ 0x40);
    let mut other = hello.clone();
    other[5] = 2;
    let cases: [(&str, Vec<u8>); 9] = [
        ("HTTP without TLS", b"GET / HTTP/1.1\r\nHost: news.test\r\n\r\n".to_vec()),
        ("HTTP/0.9", b"GET /\r\n".to_vec()),
        ("nothing", vec![]),
        ("one byte", vec![0x16]),
        ("a record of another version", bent),
        ("another message", other),
        ("an alert", vec![21, 3, 1, 0, 2, 1, 0]),
        ("the old form of a hello", vec![0x80, 0x2e, 1, 3, 1]),
        ("SSH", b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
    ];
    let told = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        text.split_inclusive("\r\n").filter(|line| !line.starts_with("Date: ")).collect::<String>()
    };
    for (what, bytes) in &cases {
        let ask = async |address: SocketAddr| {
            let mut tcp = TcpStream::connect(address).await.expect("connected");
            tcp.write_all(bytes).await.expect("written");
            tcp.shutdown().await.expect("shut down");
            rest_of(&mut tcp).await
        };
        let (straight, through) = (ask(nginx.address).await, ask(running.address).await);
        assert_eq!((told(&straight.0), straight.1), (told(&through.0), through.1), "{what}");
    }
    running.counts.until(|counts| counts.visits() == cases.len()).await;
}
