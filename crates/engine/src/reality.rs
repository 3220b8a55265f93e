//! REALITY listeners: keys out of the document, and what outlives a reload (the filter, and what is known of covers).

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use rozaneh_tls::reality::Identity;
use rozaneh_tls::reality::server::Keys;
use rozaneh_transport::reality::inner::Protocols;
use rozaneh_transport::reality::learn::Shapes;
use rozaneh_transport::reality::seen::{Found, Seen};
use rozaneh_transport::reality::{Edge, Event, Settings};
use serde_json::json;

use crate::config::{Bind, ConfigError, Listener, Protocol, RealityCover};
use crate::core::Core;
use crate::lifecycle::EngineError;

/// Between two rounds of learning: tickets change their length when a cover's software does, which is seldom.
const LEARN_EVERY: Duration = Duration::from_secs(3_600);

type Covers = HashMap<(SocketAddr, Vec<String>), Weak<Shapes>>;

/// What several listeners, and several configurations, share.
#[derive(Default)]
pub(crate) struct Shared {
    filters: Mutex<HashMap<PathBuf, Arc<Seen>>>,
    covers: Mutex<Covers>,
}

impl Shared {
    fn filter(&self, path: &Path, skew: u64) -> io::Result<(Arc<Seen>, Found)> {
        let mut filters = self.filters.lock();
        if let Some(seen) = filters.get(path) {
            return Ok((Arc::clone(seen), Found::Whole));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (seen, found) = Seen::open(path, skew, now.as_secs())?;
        if found == Found::Lost {
            // Hellos of the second that runs are refused: whoever was told that we are up must not make one in it.
            std::thread::sleep(Duration::from_secs(1).saturating_sub(Duration::from_nanos(now.subsec_nanos().into())));
        }
        let seen = Arc::new(seen);
        filters.insert(path.to_owned(), Arc::clone(&seen));
        Ok((seen, found))
    }

    /// Ends the filters that none of these listeners uses, in order.
    pub fn keep(&self, listeners: &[Listener]) {
        let used = |path: &Path| {
            listeners
                .iter()
                .any(|listener| matches!(listener, Listener::Reality { replay_file, .. } if replay_file == path))
        };
        self.filters.lock().retain(|path, seen| {
            let keep = used(path);
            if !keep {
                // Where the disk refuses the mark, the next start decides by the system's boot.
                let _ = seen.close();
            }
            keep
        });
    }

    fn shapes(&self, core: &Arc<Core>, cover: SocketAddr, names: &[String], tag: &str) -> Arc<Shapes> {
        let mut covers = self.covers.lock();
        covers.retain(|_, shapes| shapes.strong_count() > 0);
        let key = (cover, names.to_vec());
        if let Some(shapes) = covers.get(&key).and_then(Weak::upgrade) {
            return shapes;
        }
        let shapes = Shapes::new();
        covers.insert(key, Arc::downgrade(&shapes));
        let watch = watch(core, tag);
        tokio::spawn(Arc::clone(&shapes).study(cover, names.to_vec(), LEARN_EVERY, watch));
        shapes
    }
}

/// What can be wrong with REALITY listeners, each alone and all together.
pub(crate) fn check(listeners: &[Listener]) -> Result<(), ConfigError> {
    let mut owners: Vec<(&PathBuf, &crate::config::Key, u64)> = Vec::new();
    for (i, listener) in listeners.iter().enumerate() {
        let wrong = |field: &str, why: &str| Err(ConfigError::new(format!("listeners[{i}].{field}"), why));
        let Listener::Reality {
            bind,
            private_key,
            server_names,
            short_ids,
            cover,
            max_skew_s,
            replay_file,
            protocols,
            ..
        } = listener
        else {
            continue;
        };
        if server_names.is_empty() || server_names.iter().any(|name| name.is_empty() || name.len() > 253) {
            return wrong("server_names", "at least one host name");
        }
        if short_ids.is_empty() {
            return wrong("short_ids", "at least one");
        }
        if !(1..=600).contains(max_skew_s) {
            // Longer, and the filter of replays would have to remember more than it has room for.
            return wrong("max_skew_s", "1 to 600");
        }
        if protocols.is_empty() {
            return wrong("protocols", "at least one");
        }
        match cover {
            RealityCover::Address(cover) => {
                let own = |bind: &SocketAddr| {
                    bind.port() == cover.port()
                        && bind.port() != 0
                        && (bind.ip() == cover.ip() || (bind.ip().is_unspecified() && cover.ip().is_loopback()))
                };
                if matches!(bind, Bind::Tcp(bind) if own(bind)) {
                    return wrong("cover.address", "that is this listener itself");
                }
            }
            RealityCover::Listener(tag) => {
                let cover = listeners.iter().find(|listener| listener.tag() == tag);
                let fits = matches!(cover, Some(Listener::H2 { bind: Bind::Tcp(bind), .. }) if bind.ip().is_loopback());
                if !fits {
                    return wrong("cover.listener", "the tag of an `h2` listener on loopback is expected");
                }
            }
        }
        // One key, one filter: with two, every first flight would be answered twice.
        let same = |(path, key, skew): &(&PathBuf, &crate::config::Key, u64)| {
            ((*path == replay_file) != (*key == private_key)) || (*path == replay_file && *skew != *max_skew_s)
        };
        if owners.iter().any(same) {
            let why = "listeners of one key share one file and one skew; listeners of different keys share none";
            return wrong("replay_file", why);
        }
        owners.push((replay_file, private_key, *max_skew_s));
    }
    Ok(())
}

fn watch(core: &Arc<Core>, tag: &str) -> impl Fn(Event) + Send + Sync + 'static {
    let (core, tag) = (Arc::downgrade(core), tag.to_owned());
    move |event| {
        if let Some(core) = core.upgrade() {
            core.events.emit(&json!({"kind": event.name(), "listener": tag}));
        }
    }
}

/// The listener `i` of the document, whose cover is at `cover`. Must be called inside the runtime.
pub(crate) fn edge(core: &Arc<Core>, i: usize, wanted: &Listener, cover: SocketAddr) -> Result<Arc<Edge>, EngineError> {
    let at = |field: &str| format!("listeners[{i}].{field}");
    let Listener::Reality {
        tag,
        private_key,
        server_names,
        short_ids,
        max_skew_s,
        replay_file,
        mldsa65_seed,
        protocols,
        ..
    } = wanted
    else {
        return Err(EngineError::State("not a REALITY listener"));
    };
    let wrong = |field: &str, why: rozaneh_tls::LocalError| ConfigError::new(at(field), why.to_string());
    let short_ids = short_ids.iter().map(|id| id.0).collect();
    let keys = Keys::new(&private_key.0, server_names.clone(), short_ids, *max_skew_s)
        .map_err(|why| wrong("private_key", why))?;
    let seed = mldsa65_seed.as_ref().map(|seed| &*seed.0);
    let identity = Identity::generate(seed).map_err(|why| wrong("mldsa65_seed", why))?;
    let (seen, found) = core.reality.filter(replay_file, *max_skew_s).map_err(|error| {
        let at = at("replay_file");
        let held = error.kind() == io::ErrorKind::WouldBlock;
        EngineError::Io(if held { format!("{at}: another engine writes it; each needs its own") } else { at }, error)
    })?;
    if found == Found::Lost {
        core.events.emit(&json!({"kind": "filter_lost", "listener": tag}));
    }
    Ok(Edge::new(Settings {
        keys,
        identity: Arc::new(identity),
        cover,
        protocols: Protocols { h2: protocols.contains(&Protocol::H2), vless: protocols.contains(&Protocol::Vless) },
        seen,
        shapes: core.reality.shapes(core, cover, server_names, tag),
        watch: Arc::new(watch(core, tag)),
    }))
}
