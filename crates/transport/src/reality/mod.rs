//! The REALITY listener: whoever holds the edge's key gets a way, everybody else gets the cover, whole and unaltered.
//!
//! ```text
//!   accept ─▶ dial the cover ─▶ every byte to it, until a hello is judged
//!                                 ├─ stranger, replay, late clock ─▶ relay, for good
//!                                 └─ friend ─▶ the cover's flight ─▶ ours in its shape ─▶ Finished ─▶ h2 or VLESS
//!                                                  └───────────────────┴─ anything unexpected ─▶ relay
//! ```
//!
//! | file | idea |
//! |---|---|
//! | [`accept`] | one connection, from its first byte to what becomes of it |
//! | `pair` | a visitor and the cover, while that is open |
//! | [`learn`] | what the cover does besides answering, from handshakes of our own |
//! | [`seen`], `disk` | no first flight is answered twice |
//! | [`inner`] | what a friend speaks inside: HTTP/2 or VLESS, told apart by the first bytes |
#![forbid(unsafe_code)]

pub mod accept;
mod disk;
pub mod inner;
pub mod learn;
mod pair;
pub mod seen;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use rozaneh_net::dial::{Dialler, Options};
use rozaneh_tls::reality::Identity;
use rozaneh_tls::reality::server::Keys;

use self::inner::Protocols;
use self::learn::Shapes;
use self::seen::Seen;

/// Between two tellings of the same thing: a cover that is down is down for every visitor.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// How long a cover may take to be connected to (nginx's `proxy_connect_timeout`).
const DIAL: Duration = Duration::from_secs(60);

/// Something that the operator should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The cover cannot be connected to: every visitor is hung up on.
    CoverUnreachable,
    /// The cover's habits are known, and it is there (again): friends are let in.
    CoverLearned,
    /// The cover answers in a way that no friend can be answered in.
    CoverUnusable,
    /// The filter of replays is full, or cannot be written: friends meet the cover.
    FilterRefuses,
}

impl Event {
    /// Stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CoverUnreachable => "cover_unreachable",
            Self::CoverLearned => "cover_learned",
            Self::CoverUnusable => "cover_unusable",
            Self::FilterRefuses => "filter_refuses",
        }
    }
}

/// Whom the operator hears from.
pub type Watch = Arc<dyn Fn(Event) + Send + Sync>;

/// What one listener needs.
pub struct Settings {
    pub keys: Keys,
    /// Made once a process and key, not once a listener.
    pub identity: Arc<Identity>,
    pub cover: SocketAddr,
    pub protocols: Protocols,
    pub seen: Arc<Seen>,
    pub shapes: Arc<Shapes>,
    pub watch: Watch,
}

/// One REALITY listener.
pub struct Edge {
    keys: Keys,
    identity: Arc<Identity>,
    cover: SocketAddr,
    dialler: Dialler,
    protocols: Protocols,
    seen: Arc<Seen>,
    shapes: Arc<Shapes>,
    watch: Watch,
    told: Mutex<Vec<(Event, Instant)>>,
    /// The last dial failed.
    down: AtomicBool,
}

impl Edge {
    #[must_use]
    pub fn new(settings: Settings) -> Arc<Self> {
        let Settings { keys, identity, cover, protocols, seen, shapes, watch } = settings;
        let dialler = Dialler::new(Options { timeout: DIAL, ..Options::default() });
        let (told, down) = (Mutex::default(), AtomicBool::new(false));
        Arc::new(Self { keys, identity, cover, dialler, protocols, seen, shapes, watch, told, down })
    }

    /// Takes note of a dial: the operator hears when the cover is away, and when it is back.
    fn dialled(&self, well: bool) {
        if !well {
            self.down.store(true, Ordering::Relaxed);
            self.tell(Event::CoverUnreachable);
        } else if self.down.swap(false, Ordering::Relaxed) {
            self.told.lock().retain(|(event, _)| *event != Event::CoverUnreachable);
            (self.watch)(Event::CoverLearned);
        }
    }

    fn tell(&self, event: Event) {
        let now = Instant::now();
        {
            let mut told = self.told.lock();
            told.retain(|(_, at)| now.duration_since(*at) < TELL_EVERY);
            if told.iter().any(|(known, _)| *known == event) {
                return;
            }
            told.push((event, now));
        }
        (self.watch)(event);
    }
}

/// Milliseconds since 1970, as the engine below wants them.
fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

fn now_s() -> u64 {
    now_ms() / 1_000
}
