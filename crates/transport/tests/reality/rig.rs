//! An edge, its friends, and what a wire shows.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use rozaneh_net::relay::Control;
use rozaneh_tls::certificate::SignatureOnly;
use rozaneh_tls::hello::plain::Plain;
use rozaneh_tls::names::group;
use rozaneh_tls::reality::client::{self, Client, Outcome, VERSION};
use rozaneh_tls::reality::{Identity, server};
use rozaneh_tls::{Connected, Progress};
use rozaneh_transport::h2::server::Gate;
use rozaneh_transport::next::Next;
use rozaneh_transport::reality::inner::Protocols;
use rozaneh_transport::reality::learn::Shapes;
use rozaneh_transport::reality::seen::Seen;
use rozaneh_transport::reality::{Edge, Event, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

pub const NAME: &str = "news.test";
pub const SHORT: [u8; 8] = [1, 2, 3, 4, 0, 0, 0, 0];
const PRIVATE: [u8; 32] = [0x42; 32];
/// Longest any single step may take on a loaded machine; reached only by a bug.
pub const LIMIT: Duration = Duration::from_secs(30);

pub async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, what).await.expect("this should not take so long")
}

pub fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// Counts who was let in, and who met the cover.
#[derive(Default)]
pub struct Counts {
    pub visits: AtomicUsize,
    pub ids: AtomicUsize,
    pub events: Mutex<Vec<Event>>,
    changed: Notify,
}

impl Counts {
    pub fn visits(&self) -> usize {
        self.visits.load(Ordering::SeqCst)
    }

    /// Waits until something is so.
    pub async fn until(&self, so: impl Fn(&Self) -> bool) {
        within(async {
            loop {
                let changed = self.changed.notified();
                if so(self) {
                    return;
                }
                changed.await;
            }
        })
        .await;
    }
}

impl Gate for Counts {
    fn authenticate(&self, _user: &[u8], _password: &[u8]) -> Option<Arc<str>> {
        None
    }

    fn recognise(&self, _id: &[u8; 16]) -> Option<Arc<str>> {
        self.ids.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_waiters();
        None
    }

    fn next(&self, next: Next) {
        if matches!(next, Next::Fallback) {
            self.visits.fetch_add(1, Ordering::SeqCst);
            self.changed.notify_waiters();
        }
    }
}

/// A folder that goes with its test.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("reality-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub struct Running {
    pub address: SocketAddr,
    pub counts: Arc<Counts>,
    pub shapes: Arc<Shapes>,
    pub seen: Arc<Seen>,
    _folder: Folder,
}

/// An edge in front of this cover. Its filter is as one that ran before.
pub async fn edge(cover: SocketAddr) -> Running {
    let folder = Folder::new();
    let path = folder.0.join("seen");
    drop(Seen::open(&path, 120, now_s() - 1_000).expect("opened"));
    let seen = Arc::new(Seen::open(&path, 120, now_s()).expect("opened").0);
    let shapes = Shapes::new();
    tokio::spawn(Arc::clone(&shapes).study(cover, vec![NAME.into()], Duration::from_secs(3_600), |_| ()));
    let counts = Arc::new(Counts::default());
    let heard = Arc::clone(&counts);
    let edge = Edge::new(Settings {
        keys: server::Keys::new(&PRIVATE, vec![NAME.into()], vec![SHORT], 120).expect("keys"),
        identity: Arc::new(Identity::generate(None).expect("an identity")),
        cover,
        protocols: Protocols { h2: true, vless: true },
        seen: Arc::clone(&seen),
        shapes: Arc::clone(&shapes),
        watch: Arc::new(move |event| {
            heard.events.lock().push(event);
            heard.changed.notify_waiters();
        }),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("bound");
    let gate = Arc::clone(&counts);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let gate = Arc::clone(&gate);
            tokio::spawn(Arc::clone(&edge).serve(tcp, gate, Control::default()));
        }
    });
    Running { address, counts, shapes, seen, _folder: folder }
}

/// Who a client pretends to be.
#[derive(Clone)]
pub struct Who {
    pub name: &'static str,
    pub short: [u8; 8],
    pub private: [u8; 32],
    pub offset_s: i64,
    pub shares: Vec<u16>,
    pub alpn: Vec<Vec<u8>>,
}

impl Default for Who {
    fn default() -> Self {
        Self {
            name: NAME,
            short: SHORT,
            private: PRIVATE,
            offset_s: 0,
            shares: vec![group::X25519MLKEM768, group::X25519],
            alpn: vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        }
    }
}

impl Who {
    /// A hello, and the client that made it.
    pub fn start(&self) -> (Client, Vec<u8>) {
        let public = server::Keys::new(&self.private, vec![], vec![], 0).and_then(|keys| keys.public());
        let keys = client::Keys {
            server_public: public.expect("a key"),
            short_id: self.short,
            mldsa65: None,
            version: VERSION,
        };
        let author = Plain { shares: self.shares.clone(), alpn: self.alpn.clone(), ..Plain::default() };
        let config = Arc::new(client::Config::new(Arc::new(author), Arc::new(SignatureOnly), keys));
        Client::start(&config, self.name, now_s() * 1_000, self.offset_s).expect("started")
    }
}

/// A handshake that ended well.
pub struct Shaken {
    pub tcp: TcpStream,
    pub connected: Connected,
    pub outcome: Outcome,
    /// All that the server sent until our Finished.
    pub flight: Vec<u8>,
    /// Sealed bytes that came too early.
    pub rest: Vec<u8>,
}

/// Ends the handshake whose hello has been sent. Panics where it fails.
pub async fn shake(mut tcp: TcpStream, mut client: Client) -> Shaken {
    let (mut input, mut out, mut flight) = (Vec::new(), Vec::new(), Vec::new());
    let mut room = [0; 8_192];
    loop {
        let n = within(tcp.read(&mut room)).await.expect("read");
        assert!(n > 0, "an end in the middle of a handshake");
        flight.extend_from_slice(&room[..n]);
        input.extend_from_slice(&room[..n]);
        let progress = client.step(&mut input, &mut out).expect("a handshake");
        tcp.write_all(&out).await.expect("written");
        out.clear();
        if progress == Progress::Done {
            break;
        }
    }
    let (connected, outcome) = client.finish().expect("done");
    Shaken { tcp, connected, outcome, flight, rest: input }
}

/// From nothing to a finished handshake.
pub async fn visit(address: SocketAddr, who: &Who) -> Shaken {
    let mut tcp = within(TcpStream::connect(address)).await.expect("connected");
    let (client, hello) = who.start();
    tcp.write_all(&hello).await.expect("written");
    shake(tcp, client).await
}

/// Records of a wire: type and length.
pub fn records(mut bytes: &[u8]) -> Vec<(u8, usize)> {
    let mut all = Vec::new();
    while let Some(&[kind, _, _, high, low]) = bytes.first_chunk::<5>() {
        let wire = 5 + usize::from(u16::from_be_bytes([high, low]));
        all.push((kind, wire));
        bytes = bytes.get(wire..).unwrap_or_default();
    }
    all
}

/// Everything until the end; and whether that was a reset.
pub async fn rest_of(tcp: &mut TcpStream) -> (Vec<u8>, bool) {
    let mut all = Vec::new();
    let mut room = [0; 8_192];
    loop {
        match within(tcp.read(&mut room)).await {
            Ok(0) => return (all, false),
            Ok(n) => all.extend_from_slice(&room[..n]),
            Err(_) => return (all, true),
        }
    }
}

impl Shaken {
    pub async fn say(&mut self, words: &[u8]) {
        let mut room = [vec![0; 5], words.to_vec(), vec![0; 64]].concat();
        let n = self.connected.traffic.seal(&mut room, words.len()).expect("sealed");
        self.tcp.write_all(&room[..n]).await.expect("written");
    }

    /// The next words, and the lengths of the records on the way to them.
    pub async fn hear(&mut self) -> (Vec<u8>, Vec<usize>) {
        use rozaneh_tls::traffic::Opened;
        let mut lengths = Vec::new();
        let mut room = [0; 8_192];
        loop {
            match self.connected.traffic.open(&mut self.rest).expect("a record") {
                Opened::Data { wire, plain } => {
                    lengths.push(wire);
                    let words = self.rest[plain].to_vec();
                    self.rest.drain(..wire);
                    return (words, lengths);
                }
                Opened::Quiet { wire } => {
                    lengths.push(wire);
                    self.rest.drain(..wire);
                }
                Opened::Closed { .. } => return (Vec::new(), lengths),
                Opened::Partial => {
                    let n = within(self.tcp.read(&mut room)).await.expect("read");
                    if n == 0 {
                        return (Vec::new(), lengths);
                    }
                    self.rest.extend_from_slice(&room[..n]);
                }
            }
        }
    }
}
