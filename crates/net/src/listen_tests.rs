use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::*;

/// A directory that goes away with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("rozaneh-listen-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn both_families_share_a_port() {
    let v4 = tcp("0.0.0.0:0".parse().expect("address")).expect("v4");
    let port = v4.local_addr().expect("bound").port();
    let v6 = tcp(SocketAddr::new("::".parse().expect("address"), port)).expect("v6 on the same port");
    assert_eq!(v6.local_addr().expect("bound").port(), port);
}

#[tokio::test]
async fn a_port_in_use_is_refused() {
    let first = tcp("127.0.0.1:0".parse().expect("address")).expect("bound");
    let error = tcp(first.local_addr().expect("bound")).expect_err("taken");
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
}

#[tokio::test]
async fn a_unix_socket_belongs_to_its_owner_alone() {
    let scratch = Scratch::new("mode");
    let path = scratch.0.join("s");
    let listener = unix(&path).expect("bound");
    assert_eq!(std::fs::metadata(&path).expect("exists").permissions().mode() & 0o777, 0o600);
    let (client, accepted) = tokio::join!(tokio::net::UnixStream::connect(&path), listener.accept());
    client.expect("connected");
    accepted.expect("accepted");
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
    let scratch = Scratch::new("stale");
    let path = scratch.0.join("s");
    let first = unix(&path).expect("bound");
    assert_eq!(unix(&path).expect_err("it answers").kind(), io::ErrorKind::AddrInUse);
    tokio::net::UnixStream::connect(&path).await.expect("the live one still stands");
    drop(first);
    assert!(path.exists(), "closing leaves the file behind");
    let second = unix(&path).expect("replaced");
    tokio::net::UnixStream::connect(&path).await.expect("and answers");
    drop(second);
}

#[tokio::test]
async fn what_is_not_a_socket_is_never_removed() {
    let scratch = Scratch::new("file");
    let path = scratch.0.join("s");
    std::fs::write(&path, "precious").expect("written");
    assert_eq!(unix(&path).expect_err("a file").kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read(&path).expect("still there"), b"precious");
    let link = scratch.0.join("link");
    let live = scratch.0.join("live");
    drop(unix(&live).expect("bound"));
    std::os::unix::fs::symlink(&live, &link).expect("linked");
    assert_eq!(unix(&link).expect_err("a link").kind(), io::ErrorKind::AlreadyExists);
    assert!(live.exists());
}
