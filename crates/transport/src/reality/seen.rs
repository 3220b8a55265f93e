//! First flights that were answered: none is answered twice.
//!
//! A hello holds the time at which it was made, and counts within `skew` seconds of ours. So its session id has to be
//! remembered until that time is over, and no longer. What is remembered is on disk before the answer leaves.
//!
//! ```text
//! file    magic[8] | boot[16] | horizon u64 | entry…
//! entry   session id[32] | expiry u64       expiry 2^64-1 is the mark of an orderly end, always the last
//! ```
//!
//! * **kill -9** loses nothing: what `write` took is the kernel's. The file is of this boot (`boot`), so it is whole.
//! * **Power loss** may lose anything that was not synced, and only the head and the mark are. A file of another boot
//!   without the mark, and a file that is missing or unreadable, count as lost: then hellos made before now are refused
//!   from here on, and those of the second that runs: it may have begun before the loss, and stamps know no less. A hello
//!   whose maker's clock runs ahead of ours is the gap that this leaves (docs/threat-model).
//! * **The horizon** says which hellos may have been forgotten: everything whose time was over then. It moves with
//!   every entry that is dropped, so that a clock that is set back revives none.
//! * **Full** means that nobody else is let in, not that somebody is forgotten.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::Path;

use parking_lot::Mutex;

use super::disk::{Disk, FileDisk, boot};

/// A hello's session id: sealed by who made it, and so never the same twice.
pub type Id = [u8; 32];

const MAGIC: &[u8; 8] = b"RZSEEN1\n";
const HEAD: usize = 32;
const ENTRY: usize = 40;
/// The expiry that marks an orderly end.
const MARK: u64 = u64::MAX;
/// Entries at most: some 270 handshakes a second for four minutes, more than one core can answer. About 6 MiB.
const CAPACITY: usize = 65_536;
/// The file is written anew when it holds this many entries, and twice as many as are alive.
const COMPACT: usize = 1_024;

/// What becomes of a hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Never seen, and now remembered: it may be answered.
    Fresh,
    /// Answered before.
    Replayed,
    /// Made at a time of which nothing is remembered.
    Forgotten,
    /// No room to remember it.
    Full,
    /// It could not be written down.
    Broken(io::ErrorKind),
}

/// What was found at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// All that was remembered.
    Whole,
    /// Nothing that can be trusted: hellos made before the next second begins are refused.
    Lost,
}

/// The filter of one key.
pub struct Seen {
    skew: u64,
    state: Mutex<State>,
}

struct State {
    disk: Box<dyn Disk>,
    boot: [u8; 16],
    ids: HashSet<Id>,
    by_expiry: BTreeMap<u64, Vec<Id>>,
    horizon: u64,
    capacity: usize,
    /// Entries in the file.
    written: usize,
    /// The file's end is not what we think, after a failed write.
    torn: bool,
    closed: bool,
}

impl Seen {
    /// Reads what is remembered at `path`, for hellos within `skew` seconds. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// `WouldBlock` where another process holds the file; what the system says otherwise.
    pub fn open(path: &Path, skew: u64, now: u64) -> io::Result<(Self, Found)> {
        Self::on(Box::new(FileDisk::open(path)?), boot(), skew, CAPACITY, now)
    }

    fn on(
        mut disk: Box<dyn Disk>,
        boot: Option<[u8; 16]>,
        skew: u64,
        capacity: usize,
        now: u64,
    ) -> io::Result<(Self, Found)> {
        let parsed = disk.read()?.as_deref().and_then(Parsed::read);
        let whole = parsed.filter(|file| file.marked || boot.is_some_and(|boot| boot == file.boot));
        let found = if whole.is_some() { Found::Whole } else { Found::Lost };
        let Parsed { horizon, entries, .. } = whole.unwrap_or_default();
        let mut state = State {
            disk,
            // Where the system does not tell its boots apart, every end without a mark is a loss.
            boot: boot.unwrap_or_default(),
            ids: HashSet::new(),
            by_expiry: BTreeMap::new(),
            horizon: if found == Found::Lost { now.saturating_add(skew).saturating_add(1) } else { horizon },
            capacity,
            written: 0,
            torn: false,
            closed: false,
        };
        for (id, expiry) in entries {
            state.remember(id, expiry);
        }
        state.drop_expired(now);
        // Without the mark, and on disk before anything is let in: the next start must not take this file for one that
        // was ended in order.
        state.rewrite(true)?;
        Ok((Self { skew, state: Mutex::new(state) }, found))
    }

    /// Whether a hello made at `stamp` may be answered at `now`; if so, it is remembered. The caller has checked that
    /// both lie within the skew.
    pub fn admit(&self, id: &Id, stamp: u64, now: u64) -> Verdict {
        let mut state = self.state.lock();
        if state.closed {
            return Verdict::Broken(io::ErrorKind::BrokenPipe);
        }
        state.drop_expired(now);
        let expiry = stamp.saturating_add(self.skew);
        if state.ids.contains(id) {
            return Verdict::Replayed;
        }
        if expiry < state.horizon || expiry == MARK {
            return Verdict::Forgotten;
        }
        if state.ids.len() >= state.capacity {
            return Verdict::Full;
        }
        match state.write(id, expiry) {
            Ok(()) => {
                state.remember(*id, expiry);
                Verdict::Fresh
            }
            Err(error) => Verdict::Broken(error.kind()),
        }
    }

    /// Ends in order: the next start trusts the file even after a power loss. Nothing is let in afterwards.
    ///
    /// # Errors
    /// What the disk says; the next start then depends on whether the system stays up.
    pub fn close(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        if std::mem::replace(&mut state.closed, true) {
            return Ok(());
        }
        if state.torn {
            state.rewrite(false)?;
        }
        state.disk.append(&entry(&[0; 32], MARK))?;
        state.disk.sync()
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        // Where it fails, the next start decides by the boot.
        let _ = self.close();
    }
}

impl State {
    fn remember(&mut self, id: Id, expiry: u64) {
        if self.ids.insert(id) {
            self.by_expiry.entry(expiry).or_default().push(id);
        }
    }

    fn drop_expired(&mut self, now: u64) {
        while let Some(first) = self.by_expiry.first_entry().filter(|first| *first.key() < now) {
            self.horizon = self.horizon.max(first.key().saturating_add(1));
            for id in first.remove() {
                self.ids.remove(&id);
            }
        }
        if self.ids.is_empty() && self.ids.capacity() > COMPACT {
            self.ids = HashSet::new();
        }
    }

    /// Appends an entry; the whole file where that is due.
    fn write(&mut self, id: &Id, expiry: u64) -> io::Result<()> {
        let due = self.written >= COMPACT.max(self.ids.len().saturating_mul(2));
        if due || self.torn {
            let rewritten = self.rewrite(false);
            // A file that could not be made smaller may grow for a while, but not for ever.
            if self.torn || self.written >= self.capacity.saturating_mul(4) {
                rewritten?;
            }
        }
        let appended = self.disk.append(&entry(id, expiry));
        match appended {
            Ok(()) => self.written += 1,
            Err(_) => self.torn = true,
        }
        appended
    }

    fn rewrite(&mut self, durable: bool) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(HEAD.saturating_add(self.ids.len().saturating_mul(ENTRY)));
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&self.boot);
        bytes.extend_from_slice(&self.horizon.to_be_bytes());
        for (expiry, ids) in &self.by_expiry {
            for id in ids {
                bytes.extend_from_slice(&entry(id, *expiry));
            }
        }
        self.disk.replace(&bytes)?;
        self.torn = false;
        self.written = self.ids.len();
        if durable { self.disk.sync() } else { Ok(()) }
    }
}

fn entry(id: &Id, expiry: u64) -> [u8; ENTRY] {
    let mut bytes = [0; ENTRY];
    let (head, tail) = bytes.split_at_mut(32);
    head.copy_from_slice(id);
    tail.copy_from_slice(&expiry.to_be_bytes());
    bytes
}

#[derive(Default)]
struct Parsed {
    boot: [u8; 16],
    horizon: u64,
    entries: Vec<(Id, u64)>,
    marked: bool,
}

impl Parsed {
    fn read(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (boot, rest) = rest.split_first_chunk()?;
        let (horizon, rest) = rest.split_first_chunk()?;
        let mut parsed = Self { boot: *boot, horizon: u64::from_be_bytes(*horizon), ..Self::default() };
        // An entry that was cut off was never answered.
        for bytes in rest.chunks_exact(ENTRY) {
            let (id, expiry) = bytes.split_first_chunk()?;
            let expiry = u64::from_be_bytes(expiry.try_into().ok()?);
            parsed.marked = expiry == MARK;
            if !parsed.marked {
                parsed.entries.push((*id, expiry));
            }
        }
        Some(parsed)
    }
}

#[cfg(test)]
#[path = "seen_tests.rs"]
mod tests;
