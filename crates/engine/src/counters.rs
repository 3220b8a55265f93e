//! Monotonic counters. A reader keeps the last value seen; nothing is ever reset.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;
use rozaneh_net::relay::Meter;
use rozaneh_transport::next::Refusal;

/// Counters of one engine.
#[derive(Default)]
pub(crate) struct Counters {
    pub tunnels_open: AtomicU64,
    pub tunnels_total: AtomicU64,
    /// Connections that ended in the cover.
    pub visits: AtomicU64,
    /// Programs that a local listener turned away.
    pub turned_away: AtomicU64,
    pub connections_open: AtomicU64,
    pub bytes: Arc<Meter>,
    refused: Mutex<BTreeMap<&'static str, u64>>,
}

impl Counters {
    pub fn refused(&self, why: Refusal) {
        *self.refused.lock().entry(why.name()).or_default() += 1;
    }

    pub fn refusals(&self) -> BTreeMap<&'static str, u64> {
        self.refused.lock().clone()
    }
}

/// Counts something that is open, until dropped.
pub(crate) struct Open<'a>(&'a AtomicU64);

impl<'a> Open<'a> {
    pub fn new(place: &'a AtomicU64) -> Self {
        place.fetch_add(1, Relaxed);
        Self(place)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
