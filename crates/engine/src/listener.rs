//! Listeners: a socket that stays, and settings that may change under it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use arc_swap::ArcSwap;
use rozaneh_net::relay::Control;
use rozaneh_net::{listen, peer};
use rozaneh_transport::h2::server::{Edge, Gate};
use rozaneh_transport::local::{self, LocalIo};
use rozaneh_transport::next::Next;
use rozaneh_transport::reality;
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use crate::config::{self, Bind};
use crate::core::{Admitted, Core};
use crate::counters::Open;
use crate::dispatch::{Route, dispatch};

/// Pause after the system refused to accept (no descriptors left): it will refuse at once again.
const BREATH: Duration = Duration::from_millis(50);

/// How connections of a listener are served; replaced by a reload.
pub(crate) struct Serving {
    pub route: Route,
    pub kind: Kind,
}

pub(crate) enum Kind {
    Proxy { auth: local::Auth, limits: local::Limits, same_user: bool, peer_cred: bool },
    H2(Arc<Edge>),
    Reality(Arc<reality::Edge>),
}

/// A bound socket.
pub(crate) enum Bound {
    Tcp(tokio::net::TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

impl Bound {
    /// Binds as the configuration says. Must be called inside the runtime.
    pub fn new(bind: &Bind) -> io::Result<Self> {
        match bind {
            Bind::Tcp(addr) => listen::tcp(*addr).map(Self::Tcp),
            #[cfg(unix)]
            Bind::Unix(path) => listen::unix(path).map(Self::Unix),
            #[cfg(not(unix))]
            Bind::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Where it really listens.
    pub fn address(&self, bind: &Bind) -> String {
        match (self, bind) {
            (Self::Tcp(socket), _) => socket.local_addr().map_or_else(|_| String::new(), |addr| addr.to_string()),
            #[cfg(unix)]
            (Self::Unix(_), Bind::Unix(path)) => format!("unix:{}", path.display()),
            #[cfg(unix)]
            (Self::Unix(_), Bind::Tcp(_)) => String::new(),
        }
    }
}

/// A listener that runs.
pub(crate) struct Running {
    pub config: config::Listener,
    pub address: String,
    pub serving: Arc<ArcSwap<Serving>>,
    pub stop: CancellationToken,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Starts accepting.
pub(crate) fn run(core: &Arc<Core>, config: config::Listener, bound: Bound, serving: Serving) -> Running {
    let address = bound.address(config.bind());
    let serving = Arc::new(ArcSwap::from_pointee(serving));
    let stop = CancellationToken::new();
    let task = accept_all(Arc::clone(core), bound, Arc::clone(&serving), stop.clone());
    let name = match config.bind() {
        Bind::Unix(path) => Some(Name(path.clone())),
        Bind::Tcp(_) => None,
    };
    tokio::spawn(async move {
        // Dropped with the task, also where the runtime ends before the task does.
        let _name = name;
        task.await;
    });
    Running { config, address, serving, stop }
}

/// The name of a Unix socket: ours as long as we listen; left behind it would be a dead one.
struct Name(std::path::PathBuf);

impl Drop for Name {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn accept_all(core: Arc<Core>, bound: Bound, serving: Arc<ArcSwap<Serving>>, stop: CancellationToken) {
    loop {
        let accepting = async {
            let permit = Arc::clone(&core.connections).acquire_owned().await;
            (accept(&bound).await, permit)
        };
        let (accepted, permit) = tokio::select! {
            () = stop.cancelled() => return,
            accepted = accepting => accepted,
        };
        let Ok(permit) = permit else { return };
        let connection = match accepted {
            Ok(connection) => connection,
            Err(_) => {
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        let Some(admitted) = connection.admit(&core) else { continue };
        let core = Arc::clone(&core);
        let serving = serving.load_full();
        tokio::spawn(async move {
            let open = Open::new(&core.counters.connections_open);
            serve(&core, &serving, connection).await;
            drop((permit, admitted, open));
        });
    }
}

enum Connection {
    Tcp(TcpStream, std::net::SocketAddr),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Connection {
    /// `None` = one too many of this source. Programs of this machine share one address and are not counted.
    fn admit(&self, core: &Arc<Core>) -> Option<Option<Admitted>> {
        match self {
            Self::Tcp(_, peer) if !peer.ip().is_loopback() => core.admit(peer.ip()).map(Some),
            _ => Some(None),
        }
    }
}

async fn accept(bound: &Bound) -> io::Result<Connection> {
    match bound {
        Bound::Tcp(socket) => {
            let (tcp, peer) = socket.accept().await?;
            // A socket that is gone already shows itself at its first read.
            let _ = rozaneh_net::dial::prepare((&tcp).into());
            Ok(Connection::Tcp(tcp, peer))
        }
        #[cfg(unix)]
        Bound::Unix(socket) => Ok(Connection::Unix(socket.accept().await?.0)),
    }
}

async fn serve(core: &Arc<Core>, serving: &Arc<Serving>, connection: Connection) {
    let next = match (&serving.kind, connection) {
        (Kind::H2(edge), Connection::Tcp(tcp, _)) => {
            let gate = Arc::new(EdgeGate { core: Arc::clone(core), route: serving.route.clone() });
            Box::pin(Arc::clone(edge).serve(tcp, gate)).await;
            return;
        }
        (Kind::Reality(edge), Connection::Tcp(tcp, _)) => {
            let gate = Arc::new(EdgeGate { core: Arc::clone(core), route: serving.route.clone() });
            // A visit to the cover is nobody's tunnel: neither billed nor limited.
            let control = Control { cut: core.cut.clone(), ..Control::default() };
            Box::pin(Arc::clone(edge).serve(tcp, gate, control)).await;
            return;
        }
        (Kind::Proxy { auth, limits, same_user, .. }, Connection::Tcp(tcp, _)) => {
            // Before a byte is read: another user's program gets nothing but an end.
            if *same_user && !peer::same_user(&tcp).unwrap_or(false) {
                core.counters.turned_away.fetch_add(1, Relaxed);
                return;
            }
            Box::pin(local::accept(LocalIo::Tcp(tcp), auth, limits)).await
        }
        #[cfg(unix)]
        (Kind::Proxy { auth, limits, peer_cred, .. }, Connection::Unix(unix)) => {
            if *peer_cred && !peer::same_user_unix(&unix).unwrap_or(false) {
                core.counters.turned_away.fetch_add(1, Relaxed);
                return;
            }
            Box::pin(local::accept(LocalIo::Unix(unix), auth, limits)).await
        }
        #[cfg(unix)]
        (Kind::H2(_) | Kind::Reality(_), Connection::Unix(_)) => return,
    };
    if let Ok(next) = next {
        dispatch(Arc::clone(core), serving.route.clone(), next).await;
    }
}

/// The engine's answers to an edge's questions.
struct EdgeGate {
    core: Arc<Core>,
    route: Route,
}

impl Gate for EdgeGate {
    fn authenticate(&self, user: &[u8], password: &[u8]) -> Option<Arc<str>> {
        self.core.users.authenticate(user, password).map(|user| Arc::clone(&user.id))
    }

    fn recognise(&self, id: &[u8; 16]) -> Option<Arc<str>> {
        self.core.users.recognise(id).map(|user| Arc::clone(&user.id))
    }

    fn next(&self, next: Next) {
        tokio::spawn(dispatch(Arc::clone(&self.core), self.route.clone(), next));
    }
}
