//! Events: what happened, batched and bounded. An event never names a destination, a reader's address or a secret.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use serde_json::Value;

/// Events that wait for their reader; older ones stay, newer ones are dropped and counted.
const CAPACITY: usize = 4_096;

/// The queue between the runtime's threads and whoever reads.
#[derive(Default)]
pub(crate) struct Events {
    queue: Mutex<VecDeque<String>>,
    arrived: Condvar,
    lost: AtomicU64,
}

impl Events {
    /// Queues an event; never waits.
    pub fn emit(&self, event: &Value) {
        let mut queue = self.queue.lock();
        if queue.len() >= CAPACITY {
            self.lost.fetch_add(1, Relaxed);
            return;
        }
        queue.push_back(event.to_string());
        drop(queue);
        self.arrived.notify_one();
    }

    /// Up to `max` events; waits at most `timeout` for the first.
    pub fn take(&self, max: usize, timeout: Duration) -> Vec<String> {
        let until = Instant::now().checked_add(timeout);
        let mut queue = self.queue.lock();
        while queue.is_empty() {
            let waited = match until {
                Some(until) => self.arrived.wait_until(&mut queue, until).timed_out(),
                None => {
                    self.arrived.wait(&mut queue);
                    false
                }
            };
            if waited {
                break;
            }
        }
        let n = max.min(queue.len());
        queue.drain(..n).collect()
    }

    /// Events dropped so far.
    pub fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bounded_and_counted() {
        let events = Events::default();
        for n in 0..CAPACITY + 7 {
            events.emit(&json!({ "kind": "test", "n": n }));
        }
        assert_eq!(events.lost(), 7);
        assert_eq!(events.take(2, Duration::ZERO), [r#"{"kind":"test","n":0}"#, r#"{"kind":"test","n":1}"#]);
        assert_eq!(events.take(usize::MAX, Duration::ZERO).len(), CAPACITY - 2);
        assert!(events.take(1, Duration::ZERO).is_empty());
    }
}
