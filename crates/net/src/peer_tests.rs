use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream as StdTcp, UdpSocket};
use std::thread;

use super::*;
use crate::sock_diag::{ESTABLISHED, Owner};

const STRANGER: u32 = 12_345;
const NOBODY: u32 = 65_534;

fn root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs `work` in a thread of its own that is user `uid`. Linux keeps credentials by thread, and the system call
/// itself, unlike the C library's function of that name, changes only the caller's.
fn as_user<T: Send + 'static>(uid: u32, work: impl FnOnce() -> T + Send + 'static) -> T {
    thread::spawn(move || {
        // SAFETY: the call takes three integers and touches no memory of ours.
        let result = unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) };
        assert_eq!(result, 0, "root can become anybody");
        work()
    })
    .join()
    .expect("no panic")
}

fn loopbacks() -> [SocketAddr; 2] {
    [SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0), SocketAddr::new(Ipv6Addr::LOCALHOST.into(), 0)]
}

fn tokio_stream(stream: StdTcp) -> TcpStream {
    stream.set_nonblocking(true).expect("set");
    TcpStream::from_std(stream).expect("registered")
}

/// The accepted side of a connection that `connect` makes.
fn accept_from<C>(listener: &TcpListener, connect: impl FnOnce(SocketAddr) -> C) -> (C, TcpStream) {
    let client = connect(listener.local_addr().expect("bound"));
    (client, tokio_stream(listener.accept().expect("accepted").0))
}

fn dial(address: SocketAddr) -> StdTcp {
    StdTcp::connect(address).expect("connected")
}

#[tokio::test]
async fn our_own_connections_are_accepted_on_both_families() {
    for address in loopbacks() {
        let listener = TcpListener::bind(address).expect("bound");
        let (client, accepted) = accept_from(&listener, dial);
        assert!(same_user(&accepted).expect("asked"), "{address}");
        drop(client);
    }
}

#[tokio::test]
async fn an_ipv4_peer_of_an_ipv6_listener_is_found() {
    let socket = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::STREAM, None).expect("socket");
    socket.set_only_v6(false).expect("set");
    socket.bind(&SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0).into()).expect("bound");
    socket.listen(8).expect("listening");
    let listener: TcpListener = socket.into();
    let port = listener.local_addr().expect("bound").port();
    let (client, accepted) = accept_from(&listener, |_| dial(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)));
    assert!(accepted.peer_addr().expect("peer").is_ipv6(), "it shows as a mapped address");
    assert!(same_user(&accepted).expect("asked"));
    drop(client);
    // And a mapped client of an IPv4 listener.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bound");
    let (client, accepted) = accept_from(&listener, |address| {
        dial(SocketAddr::new(Ipv4Addr::LOCALHOST.to_ipv6_mapped().into(), address.port()))
    });
    assert!(same_user(&accepted).expect("asked"));
    drop(client);
}

#[tokio::test]
async fn another_users_connections_are_refused() {
    // Whatever we run as: the decision itself.
    let end = loopbacks()[0];
    let uid = rustix::process::geteuid().as_raw();
    let owner = Owner { state: ESTABLISHED, uid, inode: 7, source: end, destination: end };
    assert_eq!(system::ours(&owner), !stands_for_nobody(uid));
    assert!(!system::ours(&Owner { uid: uid.wrapping_add(1), ..owner }));
    assert!(!system::ours(&Owner { inode: 0, ..owner }));
    if !root() {
        println!("not root, so no second user: only the decision was tested");
        return;
    }
    for address in loopbacks() {
        let listener = TcpListener::bind(address).expect("bound");
        let (client, accepted) = accept_from(&listener, |address| as_user(STRANGER, move || dial(address)));
        assert!(!same_user(&accepted).expect("asked"), "{address}");
        drop(client);
        // The other way round: a listener of the stranger's, asked about by the stranger.
        let (client, accepted) = accept_from(&listener, dial);
        let accepted = accepted.into_std().expect("taken");
        let pair = (accepted.peer_addr().expect("peer"), accepted.local_addr().expect("local"));
        assert!(!as_user(STRANGER, move || system::same_user(pair.0, pair.1).expect("asked")));
        assert!(system::same_user(pair.0, pair.1).expect("asked"));
        drop(client);
    }
}

#[tokio::test]
async fn a_socket_that_has_closed_is_nobodys() {
    for address in loopbacks() {
        for reset in [false, true] {
            let listener = TcpListener::bind(address).expect("bound");
            let client = dial(listener.local_addr().expect("bound"));
            let accepted = tokio_stream(listener.accept().expect("accepted").0);
            let ends = (accepted.peer_addr().expect("peer"), accepted.local_addr().expect("local"));
            if reset {
                socket2::SockRef::from(&client).set_linger(Some(std::time::Duration::ZERO)).expect("set");
            }
            drop(client);
            // After a reset the accepted socket knows no peer any more, so the question itself is asked too.
            assert!(!matches!(same_user(&accepted), Ok(true)), "{address}");
            assert!(!system::same_user(ends.0, ends.1).expect("asked"));
        }
    }
}

#[tokio::test]
async fn a_listening_socket_is_no_peer() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bound");
    let address = listener.local_addr().expect("bound");
    let elsewhere = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 9);
    assert!(!system::same_user(address, elsewhere).expect("asked"));
}

#[tokio::test]
async fn the_overflow_user_is_never_accepted() {
    assert!(stands_for_nobody(NOBODY));
    assert!(!stands_for_nobody(0));
    if !root() {
        println!("not root, so nobody to be: only the decision was tested");
        return;
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bound");
    let (client, accepted) = accept_from(&listener, |address| as_user(NOBODY, move || dial(address)));
    let pair = (accepted.peer_addr().expect("peer"), accepted.local_addr().expect("local"));
    assert!(!as_user(NOBODY, move || system::same_user(pair.0, pair.1).expect("asked")));
    drop(client);
}

#[tokio::test]
async fn datagrams_are_traced_to_their_sender() {
    for address in loopbacks() {
        let ours = UdpSocket::bind(address).expect("bound");
        let local = ours.local_addr().expect("bound");
        let unconnected = UdpSocket::bind(address).expect("bound");
        assert!(same_user_udp(local, unconnected.local_addr().expect("bound")).expect("asked"), "{address}");
        let connected = UdpSocket::bind(address).expect("bound");
        connected.connect(local).expect("connected");
        assert!(same_user_udp(local, connected.local_addr().expect("bound")).expect("asked"), "{address}");
        // Bound to every address, sending from loopback.
        let wildcard = SocketAddr::new(
            if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() },
            0,
        );
        let everywhere = UdpSocket::bind(wildcard).expect("bound");
        let port = everywhere.local_addr().expect("bound").port();
        assert!(same_user_udp(local, SocketAddr::new(address.ip(), port)).expect("asked"), "{address}");
        // One that talks to somebody else cannot have sent it.
        let other = UdpSocket::bind(address).expect("bound");
        other.connect(unconnected.local_addr().expect("bound")).expect("connected");
        assert!(!same_user_udp(local, other.local_addr().expect("bound")).expect("asked"), "{address}");
        let gone = unconnected.local_addr().expect("bound");
        drop(unconnected);
        assert!(!same_user_udp(local, gone).expect("asked"), "{address}");
        if root() {
            let foreign = as_user(STRANGER, move || UdpSocket::bind(address).expect("bound"));
            assert!(!same_user_udp(local, foreign.local_addr().expect("bound")).expect("asked"), "{address}");
            let foreign = as_user(STRANGER, move || {
                let socket = UdpSocket::bind(address).expect("bound");
                socket.connect(local).expect("connected");
                socket
            });
            assert!(!same_user_udp(local, foreign.local_addr().expect("bound")).expect("asked"), "{address}");
        } else {
            println!("not root, so no second user's datagrams");
        }
    }
}

#[tokio::test]
async fn unix_sockets_tell_who_connected() {
    let (one, other) = UnixStream::pair().expect("pair");
    assert_eq!(cred(&one).expect("asked").uid, rustix::process::geteuid().as_raw());
    assert!(same_user_unix(&other).expect("asked"));
    if root() {
        let (theirs, other) = as_user(STRANGER, || std::os::unix::net::UnixStream::pair().expect("pair"));
        theirs.set_nonblocking(true).expect("set");
        let theirs = UnixStream::from_std(theirs).expect("registered");
        assert_eq!(cred(&theirs).expect("asked").uid, STRANGER);
        assert!(!same_user_unix(&theirs).expect("asked"));
        drop(other);
    } else {
        println!("not root, so no second user's socket");
    }
}
