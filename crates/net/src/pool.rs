//! Buffers on loan: idle streams hold none, busy ones reuse the same few.
//!
//! Three sizes are kept, each first in the thread that last used it and then in one shared, bounded store. Fresh
//! memory is zeroed once, when it is allocated; a reused buffer keeps whatever was left in it, which is why only
//! what was written is ever frozen into a [`Slice`].

use std::cell::RefCell;
use std::fmt;
use std::ops::{Deref, DerefMut, Range};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

/// One TLS record: 2^14 bytes of plaintext (RFC 8446 section 5.1) and room for header, padding and tag, which
/// section 5.2 limits to 256 bytes over the plaintext.
pub const SMALL: usize = 16 * 1024 + 512;
/// A read under load.
pub const LARGE: usize = 64 * 1024;
/// A read of a bulk flow.
pub const HUGE: usize = 256 * 1024;

const SIZES: [usize; 3] = [SMALL, LARGE, HUGE];
/// Buffers of each size a thread keeps for itself: enough for one task's work, 1.3 MiB in all.
const FRONT: [usize; 3] = [16, 8, 2];
/// Buffers of each size the shared store keeps: 14 MiB in all. What comes back beyond that is freed.
const BACK: [usize; 3] = [256, 64, 24];

#[derive(Clone, Copy)]
enum Class {
    Small = 0,
    Large = 1,
    Huge = 2,
}

struct Back {
    store: Mutex<Vec<Box<[u8]>>>,
    out: AtomicUsize,
}

impl Back {
    const fn new() -> Self {
        Self { store: Mutex::new(Vec::new()), out: AtomicUsize::new(0) }
    }
}

static BACKS: [Back; 3] = [const { Back::new() }; 3];
/// Raised by [`trim`]; a thread's front notices at its next use.
static EPOCH: AtomicUsize = AtomicUsize::new(0);

struct Front {
    epoch: usize,
    stacks: [Vec<Box<[u8]>>; 3],
}

impl Front {
    fn refresh(&mut self) {
        let epoch = EPOCH.load(Ordering::Relaxed);
        if self.epoch != epoch {
            self.epoch = epoch;
            for stack in &mut self.stacks {
                *stack = Vec::new();
            }
        }
    }
}

thread_local! {
    static LOCAL: RefCell<Front> = const { RefCell::new(Front { epoch: 0, stacks: [Vec::new(), Vec::new(), Vec::new()] }) };
}

fn take(class: Class) -> Box<[u8]> {
    let index = class as usize;
    let back = &BACKS[index];
    back.out.fetch_add(1, Ordering::Relaxed);
    let local = LOCAL.try_with(|front| {
        let mut front = front.try_borrow_mut().ok()?;
        front.refresh();
        front.stacks[index].pop()
    });
    if let Ok(Some(data)) = local {
        return data;
    }
    let stored = back.store.lock().pop();
    stored.unwrap_or_else(|| vec![0; SIZES[index]].into_boxed_slice())
}

fn give(class: Class, data: Box<[u8]>) {
    let index = class as usize;
    let back = &BACKS[index];
    back.out.fetch_sub(1, Ordering::Relaxed);
    let mut spare = Some(data);
    // A thread that is ending has no front any more; its buffers go to the shared store.
    let _ = LOCAL.try_with(|front| {
        let Ok(mut front) = front.try_borrow_mut() else { return };
        front.refresh();
        let stack = &mut front.stacks[index];
        if stack.len() < FRONT[index] {
            stack.extend(spare.take());
        }
    });
    if spare.is_some() {
        let mut store = back.store.lock();
        if store.len() < BACK[index] {
            store.extend(spare.take());
        }
    }
    // Whatever found no place is freed here, outside the lock.
    drop(spare);
}

/// How many buffers are on loan, by size, and how many bytes the shared store keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub small_out: usize,
    pub large_out: usize,
    pub huge_out: usize,
    pub stored_bytes: usize,
}

/// A snapshot of the pool's counters.
#[must_use]
pub fn stats() -> Stats {
    let out = |class: Class| BACKS[class as usize].out.load(Ordering::Relaxed);
    Stats {
        small_out: out(Class::Small),
        large_out: out(Class::Large),
        huge_out: out(Class::Huge),
        stored_bytes: BACKS.iter().zip(SIZES).map(|(back, size)| back.store.lock().len() * size).sum(),
    }
}

/// Frees what the pool keeps: the shared store now, each thread's front when that thread next uses it.
pub fn trim() {
    EPOCH.fetch_add(1, Ordering::Relaxed);
    for back in &BACKS {
        let kept = std::mem::take(&mut *back.store.lock());
        drop(kept);
    }
}

/// Owned memory that goes back where it came from.
struct Chunk {
    data: Box<[u8]>,
    class: Option<Class>,
}

impl Drop for Chunk {
    fn drop(&mut self) {
        if let Some(class) = self.class {
            give(class, std::mem::take(&mut self.data));
        }
    }
}

/// A buffer on loan. Exclusive; its bytes are whatever its last user left there.
pub struct Buf {
    chunk: Chunk,
}

impl Buf {
    fn of(class: Class) -> Self {
        Self { chunk: Chunk { data: take(class), class: Some(class) } }
    }

    /// One of [`SMALL`] bytes.
    #[must_use]
    pub fn small() -> Self {
        Self::of(Class::Small)
    }

    /// One of [`LARGE`] bytes.
    #[must_use]
    pub fn large() -> Self {
        Self::of(Class::Large)
    }

    /// One of [`HUGE`] bytes.
    #[must_use]
    pub fn huge() -> Self {
        Self::of(Class::Huge)
    }

    /// Ends the exclusive use: `range` of it can now be read and shared. A range beyond the end is cut to it.
    #[must_use]
    pub fn freeze(self, range: Range<usize>) -> Slice {
        let end = range.end.min(self.chunk.data.len());
        let start = range.start.min(end);
        if start == end {
            return Slice::default();
        }
        Slice { chunk: Some(Arc::new(self.chunk)), start, end }
    }
}

impl Deref for Buf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.chunk.data
    }
}

impl DerefMut for Buf {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.chunk.data
    }
}

impl fmt::Debug for Buf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buf({})", self.len())
    }
}

/// A read-only view of a frozen buffer or of a vector. Clones share the memory; the last view gives it back.
#[derive(Clone, Default)]
pub struct Slice {
    chunk: Option<Arc<Chunk>>,
    start: usize,
    end: usize,
}

impl Slice {
    /// The empty view; owns nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { chunk: None, start: 0, end: 0 }
    }

    /// A copy of its own, exactly as large as `bytes`.
    #[must_use]
    pub fn copy_from(bytes: &[u8]) -> Self {
        Self::from_boxed(bytes.into())
    }

    /// Takes the vector over without copying it; its spare capacity is given up.
    #[must_use]
    pub fn from_vec(bytes: Vec<u8>) -> Self {
        Self::from_boxed(bytes.into_boxed_slice())
    }

    fn from_boxed(data: Box<[u8]>) -> Self {
        let end = data.len();
        if end == 0 {
            return Self::new();
        }
        Self { chunk: Some(Arc::new(Chunk { data, class: None })), start: 0, end }
    }

    /// A view of part of this view; what lies beyond the end is cut off.
    #[must_use]
    pub fn sub(&self, range: Range<usize>) -> Self {
        let end = range.end.min(self.len());
        let start = range.start.min(end);
        if start == end {
            return Self::new();
        }
        Self { chunk: self.chunk.clone(), start: self.start + start, end: self.start + end }
    }

    /// Splits off the first `n` bytes (all of them where there are fewer); this view keeps the rest.
    #[must_use]
    pub fn split_to(&mut self, n: usize) -> Self {
        if n >= self.len() {
            return std::mem::take(self);
        }
        let head = self.sub(0..n);
        self.start += n;
        head
    }

    /// Drops the first `n` bytes from the view (all of them where there are fewer).
    pub fn advance(&mut self, n: usize) {
        if n >= self.len() {
            // Gives the memory back at once: an empty view must not hold a buffer.
            *self = Self::new();
        } else {
            self.start += n;
        }
    }

    /// Number of bytes in view.
    #[must_use]
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether nothing is in view.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }
}

impl Deref for Slice {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.chunk {
            Some(chunk) => &chunk.data[self.start..self.end],
            None => &[],
        }
    }
}

impl AsRef<[u8]> for Slice {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl From<Vec<u8>> for Slice {
    fn from(bytes: Vec<u8>) -> Self {
        Self::from_vec(bytes)
    }
}

impl PartialEq for Slice {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Slice {}

/// Shows the length only: payload never reaches a log.
impl fmt::Debug for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slice({})", self.len())
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
pub(crate) mod tests;
