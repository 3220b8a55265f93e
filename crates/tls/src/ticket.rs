//! What a client keeps of a session to resume it (RFC 8446 sections 2.2 and 4.6.1), and a place to keep it.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use crate::messages::ticket::NewSessionTicket;
use crate::schedule::Secret;
use crate::suite::Suite;

/// Longest time a ticket may be used: seven days in milliseconds (RFC 8446 section 4.6.1).
const LONGEST: u64 = 604_800_000;

/// A ticket and the PSK that belongs to it.
#[derive(Clone, Debug)]
pub struct Ticket {
    pub(crate) identity: Vec<u8>,
    pub(crate) psk: Secret,
    pub(crate) suite: Suite,
    age_add: u32,
    received: u64,
    lifetime: u64,
    name: String,
    alpn: Option<Vec<u8>>,
}

impl Ticket {
    pub(crate) fn new(
        message: NewSessionTicket,
        psk: Secret,
        suite: Suite,
        name: String,
        alpn: Option<Vec<u8>>,
        now: u64,
    ) -> Self {
        let lifetime = u64::from(message.lifetime).saturating_mul(1_000).min(LONGEST);
        Self { identity: message.ticket, psk, suite, age_add: message.age_add, received: now, lifetime, name, alpn }
    }

    /// The name it was given under; it is never offered to another (RFC 8446 section 4.6.1).
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The suite of its session; the resumed one must have the same hash (RFC 8446 section 4.2.11).
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// The application protocol of its session.
    #[must_use]
    pub fn alpn(&self) -> Option<&[u8]> {
        self.alpn.as_deref()
    }

    /// The identity, as it stands in a hello.
    #[must_use]
    pub fn identity(&self) -> &[u8] {
        &self.identity
    }

    /// Length of its binder.
    #[must_use]
    pub const fn binder_len(&self) -> usize {
        self.suite.hash().size()
    }

    /// `obfuscated_ticket_age` (RFC 8446 section 4.2.11.1): age in milliseconds plus the ticket's number, modulo 2^32.
    #[must_use]
    pub fn obfuscated_age(&self, now: u64) -> u32 {
        let age = now.saturating_sub(self.received) & u64::from(u32::MAX);
        u32::try_from(age).unwrap_or_default().wrapping_add(self.age_add)
    }

    /// Whether it is still good, and for this name.
    #[must_use]
    pub fn fits(&self, name: &str, now: u64) -> bool {
        self.name == name && now >= self.received && now.saturating_sub(self.received) < self.lifetime
    }
}

/// Where a client takes tickets from. Each is offered once (RFC 8446 appendix C.4: reuse links connections).
pub trait Tickets: Send + Sync {
    fn take(&self, name: &str, now: u64) -> Option<Ticket>;
}

/// Tickets in memory: at most two a name, as Chrome keeps them, and at most 256 names.
#[derive(Debug, Default)]
pub struct Cache {
    names: Mutex<HashMap<String, VecDeque<Ticket>>>,
}

impl Cache {
    const PER_NAME: usize = 2;
    const NAMES: usize = 256;

    /// Keeps a ticket; the oldest of its name makes room.
    pub fn put(&self, ticket: Ticket) {
        let Ok(mut names) = self.names.lock() else { return };
        if names.len() >= Self::NAMES && !names.contains_key(ticket.name()) {
            names.clear();
        }
        let of_name = names.entry(ticket.name.clone()).or_default();
        if of_name.len() >= Self::PER_NAME {
            of_name.pop_front();
        }
        of_name.push_back(ticket);
    }
}

impl Tickets for Cache {
    fn take(&self, name: &str, now: u64) -> Option<Ticket> {
        let mut names = self.names.lock().ok()?;
        let of_name = names.get_mut(name)?;
        while let Some(ticket) = of_name.pop_back() {
            if ticket.fits(name, now) {
                return Some(ticket);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::Hash;

    fn ticket(name: &str, lifetime: u32) -> Ticket {
        let message =
            NewSessionTicket { lifetime, age_add: u32::MAX, nonce: vec![], ticket: vec![1], max_early_data: None };
        let psk = Secret::from_bytes(Hash::Sha256, &[0; 32]).unwrap();
        Ticket::new(message, psk, Suite::Aes128GcmSha256, name.into(), None, 1_000)
    }

    #[test]
    fn age_is_obfuscated_and_lifetime_bounded() {
        let one = ticket("a", 10);
        assert_eq!(one.obfuscated_age(1_005), 4);
        assert!(one.fits("a", 10_999) && !one.fits("a", 11_000) && !one.fits("b", 1_000) && !one.fits("a", 999));
        assert!(!ticket("a", u32::MAX).fits("a", 1_000 + LONGEST));
    }

    #[test]
    fn each_is_given_once() {
        let cache = Cache::default();
        for _ in 0..5 {
            cache.put(ticket("a", 10));
        }
        assert!(cache.take("b", 1_000).is_none());
        assert!(cache.take("a", 1_000).is_some());
        assert!(cache.take("a", 1_000).is_some());
        assert!(cache.take("a", 1_000).is_none());
        cache.put(ticket("a", 1));
        assert!(cache.take("a", 5_000).is_none());
    }
}
