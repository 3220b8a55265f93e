//! Kernel pipes on loan, for splice: a flow holds one only while bytes are inside it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

/// A pipe is two descriptors; this many leave most of a limit of 20,000 to sockets, and 256 flows that have bytes
/// in flight at one instant are more than any machine's cores can move.
const MOST: usize = 256;
/// Pipes kept for the next flow.
const KEPT: usize = 64;
/// What the kernel allows everybody unless configured otherwise (pipe(7), /proc/sys/fs/pipe-max-size).
pub(crate) const WANTED: usize = 1024 * 1024;
/// Smaller than this, splicing costs more than copying.
const LEAST: usize = 64 * 1024;

static STORE: Mutex<Vec<Pipe>> = Mutex::new(Vec::new());
static EXISTING: AtomicUsize = AtomicUsize::new(0);

/// A pipe, empty unless its holder filled it.
pub(crate) struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    inside: usize,
    capacity: usize,
}

/// Lends a pipe; `None` when too many are out or the system gives no useful one, in which case bytes are copied.
pub(crate) fn lend() -> Option<Pipe> {
    if let Some(pipe) = STORE.lock().pop() {
        return Some(pipe);
    }
    if EXISTING.fetch_add(1, Ordering::Relaxed) >= MOST {
        EXISTING.fetch_sub(1, Ordering::Relaxed);
        return None;
    }
    match Pipe::open() {
        Ok(pipe) if pipe.capacity >= LEAST => Some(pipe),
        // Dropping a pipe takes it out of the count; where none was made, that is done here.
        Ok(_) => None,
        Err(_) => {
            EXISTING.fetch_sub(1, Ordering::Relaxed);
            None
        }
    }
}

/// Takes a pipe back. One with bytes inside is closed, so that no flow ever sees another's.
pub(crate) fn give_back(pipe: Pipe) {
    if pipe.inside > 0 {
        return;
    }
    let mut store = STORE.lock();
    if store.len() < KEPT {
        store.push(pipe);
    } else {
        // Closing is done outside the lock.
        drop(store);
        drop(pipe);
    }
}

/// How many pipes exist, lent or kept.
#[cfg(test)]
pub(crate) fn existing() -> usize {
    EXISTING.load(Ordering::Relaxed)
}

impl Drop for Pipe {
    fn drop(&mut self) {
        EXISTING.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pipe {
    fn open() -> io::Result<Self> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let mut capacity = 0;
        let mut size = WANTED;
        // An unprivileged user who holds many pipes is allowed smaller ones only (pipe(7), pipe-user-pages-soft).
        while size >= LEAST {
            if let Ok(got) = fcntl_setpipe_size(&write, size) {
                capacity = got;
                break;
            }
            size /= 2;
        }
        Ok(Self { read, write, inside: 0, capacity })
    }

    /// Bytes inside.
    pub(crate) fn inside(&self) -> usize {
        self.inside
    }

    /// Moves up to `most` bytes from `source` into the pipe; 0 is the end of the stream. Only an empty pipe may be
    /// filled: then `WouldBlock` can mean one thing only, that the source has nothing.
    pub(crate) fn fill(&mut self, source: impl AsFd, most: usize) -> io::Result<usize> {
        debug_assert_eq!(self.inside, 0);
        let moved = splice(source, None, &self.write, None, most.min(self.capacity), flags())?;
        self.inside += moved;
        Ok(moved)
    }

    /// Moves what is inside to `sink`; `WouldBlock` means that the sink has no room.
    pub(crate) fn drain(&mut self, sink: impl AsFd) -> io::Result<usize> {
        // SIGPIPE, which splice would raise for a sink that is gone, is ignored by the Rust and the Python runtimes.
        let moved = splice(&self.read, None, sink, None, self.inside, flags())?;
        self.inside -= moved.min(self.inside);
        Ok(moved)
    }
}

fn flags() -> SpliceFlags {
    SpliceFlags::MOVE | SpliceFlags::NONBLOCK
}
