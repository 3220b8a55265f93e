//! OpenSSL's command line: keys, and a server that tests of several kinds start.
#![allow(dead_code, reason = "every test binary uses its own part")]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder of its own, gone at the end.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("rozaneh-tls-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A child that is ended by its handle when the test is over.
pub struct Running {
    pub child: Child,
    pub input: Option<ChildStdin>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn openssl(arguments: &[&str]) -> Command {
    let mut command = Command::new("openssl");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Key and certificate made by OpenSSL, so that its formats are tested too.
pub fn make_key(folder: &Folder, kind: &[&str]) {
    let key = folder.path("key.pem");
    let mut arguments = vec!["req", "-x509", "-nodes", "-days", "3650", "-subj", "/CN=example.org"];
    arguments.extend(["-addext", "subjectAltName=DNS:example.org", "-newkey"]);
    arguments.extend(kind);
    let done = openssl(&arguments).arg("-keyout").arg(&key).arg("-out").arg(folder.path("cert.pem")).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    for (verb, from, to) in [("x509", "cert.pem", "cert.der"), ("pkcs8", "key.pem", "key.der")] {
        let mut command = openssl(&[verb, "-outform", "DER"]);
        if verb == "pkcs8" {
            command.args(["-topk8", "-nocrypt"]);
        }
        let done = command.arg("-in").arg(folder.path(from)).arg("-out").arg(folder.path(to)).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

pub const ECDSA: &[&str] = &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];

/// Starts `s_server` on a port of its choice and gives the port: it prints "ACCEPT host:port".
pub fn start(folder: &Folder, arguments: &[&str]) -> (Running, u16) {
    let mut command = Command::new("openssl");
    command.args(["s_server", "-accept", "127.0.0.1:0"]).args(arguments);
    command.arg("-cert").arg(folder.path("cert.pem")).arg("-key").arg(folder.path("key.pem"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let input = child.stdin.take();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut port = None;
    let mut line = String::new();
    while port.is_none() && lines.read_line(&mut line).unwrap() > 0 {
        port = line.trim().strip_prefix("ACCEPT ").and_then(|a| a.rsplit(':').next()?.parse().ok());
        line.clear();
    }
    // Whatever it prints later is drained, so that it never blocks on a full pipe.
    std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
    (Running { child, input }, port.expect("s_server says where it listens"))
}
