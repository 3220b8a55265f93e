//! Users: looked up by digest, replaced as a whole, cut off at once when they go.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use parking_lot::Mutex;
use rozaneh_net::bucket::Bucket;
use rozaneh_net::relay::Meter;
use tokio_util::sync::CancellationToken;

use crate::config;

/// What outlives a change of the user's settings: counters.
#[derive(Default)]
pub(crate) struct Tally {
    pub meter: Arc<Meter>,
    pub tunnels_open: AtomicU64,
    /// Hours since 1970; coarse on purpose.
    pub last_seen: AtomicU64,
}

impl Tally {
    pub fn seen(&self) {
        let hours = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() / 3_600);
        self.last_seen.store(hours, Relaxed);
    }
}

/// One user as the hot path sees it.
pub(crate) struct User {
    pub id: Arc<str>,
    pub compartment: String,
    password: [u8; 32],
    settings: config::User,
    pub up: Option<Arc<Bucket>>,
    pub down: Option<Arc<Bucket>>,
    pub tally: Arc<Tally>,
    /// Cancelled when the user goes or gets other credentials.
    pub cut: CancellationToken,
}

impl User {
    /// Whether the credentials are those of `other`: what decides over running tunnels when settings change.
    fn same_keys(&self, other: &config::User) -> bool {
        self.settings.user_sha256 == other.user_sha256
            && self.settings.password_sha256 == other.password_sha256
            // A first id takes nothing away from what was opened without one.
            && (self.settings.vless_sha256.is_none() || self.settings.vless_sha256 == other.vless_sha256)
    }
}

struct Table {
    /// Never empty, or an edge without users would answer strangers sooner: an empty map is not even hashed for.
    by_name: HashMap<[u8; 32], Option<Arc<User>>>,
    by_id: HashMap<Arc<str>, Arc<User>>,
    by_vless: HashMap<[u8; 32], Arc<User>>,
}

/// What no name has as its digest; and who found one would find nobody there.
const NOBODY: [u8; 32] = [0; 32];

impl Default for Table {
    fn default() -> Self {
        Self { by_name: HashMap::from([(NOBODY, None)]), by_id: HashMap::new(), by_vless: HashMap::new() }
    }
}

/// All users of an engine.
#[derive(Default)]
pub(crate) struct Users {
    table: ArcSwap<Table>,
    /// Counters of everybody ever seen by this process: they must not go back when somebody is removed.
    tallies: Mutex<HashMap<Arc<str>, Arc<Tally>>>,
}

fn bucket(rate: Option<u64>) -> Option<Arc<Bucket>> {
    // A burst of half a second: pages come at once, films do not.
    rate.map(|rate| Arc::new(Bucket::new(rate, (rate / 2).max(64 * 1024))))
}

impl Users {
    /// Replaces everybody. Users that are gone, or whose credentials changed, lose their running tunnels.
    pub fn set(&self, users: &[config::User]) {
        let mut tallies = self.tallies.lock();
        let old = self.table.load_full();
        let mut next = Table::default();
        for settings in users {
            let id: Arc<str> = settings.id.as_str().into();
            let before = old.by_id.get(&id);
            let user = match before.filter(|user| user.settings == *settings) {
                Some(same) => Arc::clone(same),
                None => {
                    let same_keys = before.filter(|user| user.same_keys(settings));
                    Arc::new(User {
                        id: Arc::clone(&id),
                        compartment: settings.compartment.clone(),
                        password: settings.password_sha256.0,
                        settings: settings.clone(),
                        up: bucket(settings.up_bytes_per_s),
                        down: bucket(settings.down_bytes_per_s),
                        tally: Arc::clone(tallies.entry(Arc::clone(&id)).or_default()),
                        // Other limits hold for new tunnels; running ones stay, and stay revocable.
                        cut: same_keys.map_or_else(CancellationToken::new, |user| user.cut.clone()),
                    })
                }
            };
            next.by_name.insert(settings.user_sha256.0, Some(Arc::clone(&user)));
            if let Some(id) = settings.vless_sha256 {
                next.by_vless.insert(id.0, Arc::clone(&user));
            }
            next.by_id.insert(id, user);
        }
        let next = Arc::new(next);
        self.table.store(Arc::clone(&next));
        for user in old.by_id.values() {
            if !next.by_id.get(&user.id).is_some_and(|now| user.same_keys(&now.settings)) {
                user.cut.cancel();
            }
        }
    }

    /// Who this is. The same work is done for names nobody has.
    pub fn authenticate(&self, name: &[u8], password: &[u8]) -> Option<Arc<User>> {
        let name = digest(&SHA256, name);
        let password = digest(&SHA256, password);
        let name: [u8; 32] = name.as_ref().try_into().ok()?;
        let table = self.table.load();
        let found = table.by_name.get(&name).and_then(Option::as_ref);
        let expected = found.map_or(&NOBODY, |user| &user.password);
        let matches = verify_slices_are_equal(password.as_ref(), expected).is_ok();
        let user = found.filter(|_| matches)?;
        user.tally.seen();
        Some(Arc::clone(user))
    }

    /// Who has this VLESS id, given without its route. Found by digest, so that what is compared byte by byte is nothing
    /// a guesser could steer; and only who passed REALITY gets to ask.
    pub fn recognise(&self, id: &[u8; 16]) -> Option<Arc<User>> {
        let id: [u8; 32] = digest(&SHA256, id).as_ref().try_into().ok()?;
        let user = self.table.load().by_vless.get(&id).cloned()?;
        user.tally.seen();
        Some(user)
    }

    /// The user of this id, if still there.
    pub fn get(&self, id: &str) -> Option<Arc<User>> {
        self.table.load().by_id.get(id).cloned()
    }

    /// Everybody's counters, by id.
    pub fn tallies(&self) -> Vec<(Arc<str>, Arc<Tally>)> {
        self.tallies.lock().iter().map(|(id, tally)| (Arc::clone(id), Arc::clone(tally))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Digest;

    fn user(id: &str, name: &str, password: &str) -> config::User {
        let sha = |text: &str| Digest(digest(&SHA256, text.as_bytes()).as_ref().try_into().unwrap());
        config::User {
            id: id.into(),
            user_sha256: sha(name),
            password_sha256: sha(password),
            vless_sha256: None,
            compartment: "default".into(),
            up_bytes_per_s: None,
            down_bytes_per_s: None,
        }
    }

    #[test]
    fn finds_refuses_and_cuts() {
        let users = Users::default();
        users.set(&[user("a", "alice", "1"), user("b", "bob", "2")]);
        let alice = users.authenticate(b"alice", b"1").expect("known");
        let bob = users.authenticate(b"bob", b"2").expect("known");
        for (name, password) in [("alice", "2"), ("carol", "1"), ("", ""), ("ALICE", "1")] {
            assert!(users.authenticate(name.as_bytes(), password.as_bytes()).is_none());
        }
        let faster = config::User { up_bytes_per_s: Some(1), ..user("b", "bob", "2") };
        users.set(&[faster]);
        assert!(alice.cut.is_cancelled() && !bob.cut.is_cancelled());
        assert!(users.authenticate(b"alice", b"1").is_none());
        users.set(&[user("b", "bob", "3")]);
        assert!(bob.cut.is_cancelled());
        assert!(users.authenticate(b"bob", b"3").is_some_and(|b| !b.cut.is_cancelled()));
        assert_eq!(users.tallies().len(), 2);
    }

    #[test]
    fn an_id_is_a_credential_of_its_own() {
        let with = |id: &[u8; 16]| config::User {
            vless_sha256: Some(Digest(digest(&SHA256, id).as_ref().try_into().unwrap())),
            ..user("a", "alice", "1")
        };
        let users = Users::default();
        users.set(&[with(&[7; 16]), user("b", "bob", "2")]);
        let alice = users.recognise(&[7; 16]).expect("known");
        assert_eq!(&*alice.id, "a");
        assert!(users.recognise(&[0; 16]).is_none() && users.recognise(&[8; 16]).is_none());
        // Another id cuts what the old one opened; the same id with other limits does not.
        users.set(&[config::User { up_bytes_per_s: Some(1), ..with(&[7; 16]) }]);
        assert!(!alice.cut.is_cancelled());
        users.set(&[with(&[9; 16])]);
        assert!(alice.cut.is_cancelled() && users.recognise(&[7; 16]).is_none());
        assert!(users.recognise(&[9; 16]).is_some_and(|now| !now.cut.is_cancelled()));
        users.set(&[user("a", "alice", "1")]);
        assert!(users.recognise(&[9; 16]).is_none());
    }
}
