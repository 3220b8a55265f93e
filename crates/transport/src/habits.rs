//! What a browser remembers of a server, and what its manners forbid: one object for each address and name, shared by
//! everything in the process that goes there (carriers, races, probes, rosters).
//!
//! Censors count: several connections to one server within a short time are a habit of proxies, and of no browser that
//! speaks HTTP/2. So a third TLS connection waits until the first of the last two is a minute old, or is not made.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use rozaneh_tls::ticket::Cache;
use smallvec::SmallVec;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// How many TLS connections to one address and name, and in what time: issue 5 section 4, after the rule that counts
/// connections to one server in 60 seconds (`siberian` in the lab's profiles).
pub const CONNECTIONS: usize = 2;
pub const WINDOW: Duration = Duration::from_secs(60);
/// Servers remembered. More than a roster has ways; one that nobody uses makes room.
const SERVERS: usize = 1_024;

/// A place for one more connection that is not to be had in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

/// When connections were opened, and those about to be.
#[derive(Debug, Default)]
struct Recent {
    opened: SmallVec<[Instant; CONNECTIONS]>,
    promised: usize,
}

/// Manners and memory for one address and name.
pub struct Habits {
    recent: Mutex<Recent>,
    returned: Notify,
    most: usize,
    window: Duration,
    tickets: Arc<Cache>,
}

impl fmt::Debug for Habits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Habits({} in {:?})", self.most, self.window)
    }
}

impl Habits {
    /// At most `most` connections in `window`; time is tokio's, so that a test can move it.
    #[must_use]
    pub fn new(most: usize, window: Duration) -> Arc<Self> {
        Arc::new(Self { recent: Mutex::default(), returned: Notify::new(), most, window, tickets: Arc::default() })
    }

    /// Those of this process for a server.
    #[must_use]
    pub fn of(address: SocketAddr, name: &str) -> Arc<Self> {
        type Servers = HashMap<(SocketAddr, String), Arc<Habits>>;
        static ALL: OnceLock<Mutex<Servers>> = OnceLock::new();
        let mut all = ALL.get_or_init(Mutex::default).lock();
        if all.len() >= SERVERS {
            // What is in use, or was a moment ago, still counts.
            all.retain(|_, one| Arc::strong_count(one) > 1 || one.busy(Instant::now()));
        }
        let key = (address, name.to_ascii_lowercase());
        Arc::clone(all.entry(key).or_insert_with(|| Self::new(CONNECTIONS, WINDOW)))
    }

    /// Sessions that may be resumed.
    #[must_use]
    pub fn tickets(&self) -> &Arc<Cache> {
        &self.tickets
    }

    fn busy(&self, now: Instant) -> bool {
        let recent = self.recent.lock();
        recent.promised > 0 || recent.opened.iter().any(|at| now < *at + self.window)
    }

    /// A promise of one more connection, or when there may be one.
    fn promise(&self, now: Instant) -> Result<(), Option<Instant>> {
        let mut recent = self.recent.lock();
        recent.opened.retain(|at| now < *at + self.window);
        if recent.opened.len().saturating_add(recent.promised) < self.most {
            recent.promised = recent.promised.saturating_add(1);
            return Ok(());
        }
        Err(recent.opened.iter().min().map(|at| *at + self.window))
    }

    /// Waits for a place until `until`; says no at once where there can be none by then.
    ///
    /// # Errors
    /// [`Busy`].
    pub async fn place(self: &Arc<Self>, until: Instant) -> Result<Place, Busy> {
        loop {
            // Before looking, so that a place that comes back meanwhile is not missed.
            let returned = self.returned.notified();
            let next = match self.promise(Instant::now()) {
                Ok(()) => return Ok(Place { habits: Arc::clone(self), taken: false }),
                Err(next) => next,
            };
            let limit = match next {
                Some(next) if next <= until => next,
                // Every place is held by a dial that may yet fail, and give it back.
                _ if self.recent.lock().promised > 0 => until,
                _ => return Err(Busy),
            };
            if timeout_at(limit, returned).await.is_err() && limit == until && Some(until) != next {
                return Err(Busy);
            }
        }
    }
}

/// The right to open one connection. Dropped unused, it goes back.
#[derive(Debug)]
pub struct Place {
    habits: Arc<Habits>,
    taken: bool,
}

impl Place {
    /// The connection shows: from now on it counts.
    pub fn take(mut self) {
        self.taken = true;
        let mut recent = self.habits.recent.lock();
        recent.promised = recent.promised.saturating_sub(1);
        recent.opened.push(Instant::now());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.taken {
            let mut recent = self.habits.recent.lock();
            recent.promised = recent.promised.saturating_sub(1);
            drop(recent);
            self.habits.returned.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[tokio::test(start_paused = true)]
    async fn the_third_waits_for_the_first_to_be_a_minute_old() {
        let habits = Habits::new(2, MINUTE);
        let began = Instant::now();
        habits.place(soon()).await.unwrap().take();
        tokio::time::advance(Duration::from_secs(30)).await;
        habits.place(soon()).await.unwrap().take();
        assert_eq!(habits.place(soon()).await.unwrap_err(), Busy);
        assert_eq!(Instant::now(), began + MINUTE / 2, "no is said at once");
        let place = habits.place(Instant::now() + MINUTE).await.unwrap();
        assert_eq!(Instant::now(), began + MINUTE);
        place.take();
        // The second is half a minute old.
        assert_eq!(habits.place(soon()).await.unwrap_err(), Busy);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_used_goes_back_and_wakes_who_waits() {
        let habits = Habits::new(2, MINUTE);
        let (one, two) = (habits.place(soon()).await.unwrap(), habits.place(soon()).await.unwrap());
        let waiting = tokio::spawn({
            let habits = Arc::clone(&habits);
            async move { habits.place(Instant::now() + MINUTE).await }
        });
        tokio::time::advance(Duration::from_secs(1)).await;
        drop(one);
        waiting.await.unwrap().unwrap().take();
        // Both places are held now: one by a connection, one by a dial that never comes to its end.
        let began = Instant::now();
        assert_eq!(habits.place(soon()).await.unwrap_err(), Busy);
        assert_eq!(Instant::now(), began + Duration::from_secs(20));
        drop(two);
    }

    #[tokio::test(start_paused = true)]
    async fn one_server_is_known_by_address_and_name() {
        let address = SocketAddr::from(([192, 0, 2, 1], 443));
        let here = Habits::of(address, "news.example");
        assert!(Arc::ptr_eq(&here, &Habits::of(address, "News.Example")));
        assert!(!Arc::ptr_eq(&here, &Habits::of(address, "other.example")));
        assert!(!Arc::ptr_eq(&here, &Habits::of(SocketAddr::from(([192, 0, 2, 2], 443)), "news.example")));
        // Neither those in use nor those just used are forgotten for others.
        here.place(soon()).await.unwrap().take();
        drop(here);
        for port in 0..3_000 {
            let _ = Habits::of(SocketAddr::from(([192, 0, 2, 3], port)), "n");
        }
        assert!(Habits::of(address, "news.example").busy(Instant::now()));
    }
}
