//! What every connection of an engine reaches: routing, users, counters, events.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rozaneh_net::relay::{Control, Meter};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::config::Limits;
use crate::counters::Counters;
use crate::events::Events;
use crate::reality;
use crate::upstream::Upstream;
use crate::users::{User, Users};

/// Documents of one listener, by authority and then by compartment.
pub(crate) type Services = HashMap<String, HashMap<String, Vec<u8>>>;

/// What a reload replaces in one step.
#[derive(Default)]
pub(crate) struct Routing {
    pub upstreams: HashMap<String, Arc<Upstream>>,
    pub limits: Limits,
}

/// Shared by everything that runs.
pub(crate) struct Core {
    pub routing: ArcSwap<Routing>,
    pub users: Users,
    pub counters: Counters,
    pub events: Events,
    pub reality: reality::Shared,
    /// Cancelled when the engine stops: every tunnel ends.
    pub cut: CancellationToken,
    /// Connections by source address, for the limit per source.
    sources: Mutex<HashMap<IpAddr, usize>>,
    /// Connections in all: accepting waits here, which a visitor sees as a busy server.
    pub connections: Arc<Semaphore>,
}

impl Core {
    pub fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            routing: ArcSwap::default(),
            users: Users::default(),
            counters: Counters::default(),
            events: Events::default(),
            reality: reality::Shared::default(),
            cut: CancellationToken::new(),
            sources: Mutex::default(),
            connections: Arc::new(Semaphore::new(limits.connections)),
        })
    }

    /// The upstream of this name.
    pub fn upstream(&self, tag: &str) -> Option<Arc<Upstream>> {
        self.routing.load().upstreams.get(tag).cloned()
    }

    /// What the relay counts, limits and listens to.
    pub fn control(&self, user: Option<&User>) -> Control {
        let mut meters: smallvec::SmallVec<[Arc<Meter>; 2]> = smallvec::smallvec![Arc::clone(&self.counters.bytes)];
        let seconds = self.routing.load().limits.idle_tunnel_s;
        let idle = (seconds > 0).then(|| Duration::from_secs(seconds));
        match user {
            Some(user) => {
                meters.push(Arc::clone(&user.tally.meter));
                Control {
                    meters,
                    up: user.up.clone(),
                    down: user.down.clone(),
                    cut: user.cut.clone(),
                    idle,
                    lonely: None,
                }
            }
            None => Control { meters, cut: self.cut.clone(), idle, ..Control::default() },
        }
    }

    /// One more connection of this source, unless there are too many.
    pub fn admit(self: &Arc<Self>, source: IpAddr) -> Option<Admitted> {
        let limit = self.routing.load().limits.connections_per_source;
        let mut sources = self.sources.lock();
        let count = sources.entry(source).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Admitted { core: Arc::clone(self), source })
    }
}

/// A connection that counts against its source until it is dropped.
pub(crate) struct Admitted {
    core: Arc<Core>,
    source: IpAddr,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut sources = self.core.sources.lock();
        if let Some(count) = sources.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                sources.remove(&self.source);
            }
        }
    }
}
