//! What the driver and the streams of one carrier share.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::hash::{BuildHasherDefault, Hasher};
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::{Mutex, MutexGuard};
use rozaneh_net::pool::Slice;
use rozaneh_wire::h2::{Code, Connection, Field, Limits, LocalProtocolError, StreamId, setting};

use super::driver::{FLIGHTS, Manners};
use super::stream::{H2Stream, MAX_WINDOW};
use crate::look::Look;

/// Bytes of one stream that may wait for the carrier. Two of the relay's largest chunks: one being sealed while the
/// next is read.
pub(crate) const SEND_QUEUE: usize = 512 * 1024;

/// Stream ids are small, sequential and ours: they need spreading, not protection.
#[derive(Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.0 = (self.0 << 8) | u64::from(*b);
        }
    }
    fn write_u32(&mut self, id: u32) {
        // Fibonacci hashing: the map looks at the top seven bits too.
        self.0 = u64::from(id).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

/// How a stream ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The peer, or the protocol, reset this stream.
    Reset,
    /// The carrier under it is gone.
    Carrier,
}

impl From<Broken> for io::Error {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Reset => io::ErrorKind::ConnectionReset.into(),
            Broken::Carrier => io::ErrorKind::ConnectionAborted.into(),
        }
    }
}

/// The carrier's side of one stream.
#[derive(Default)]
pub(crate) struct Entry {
    pub received: VecDeque<Slice>,
    /// The response, on the client, until it is asked for.
    pub head: Option<Box<[Field]>>,
    pub recv_waker: Option<Waker>,
    pub to_send: VecDeque<Slice>,
    pub to_send_bytes: usize,
    pub send_waker: Option<Waker>,
    /// Longest DATA frame of this stream; 0 is whatever the carrier's rate allows.
    pub frame: usize,
    /// Bytes handed to the stream's owner so far; what a growing window is decided by.
    pub delivered: u64,
    /// Our receive window, and how much of it was granted above the first one.
    pub window: u32,
    pub granted: u64,
    pub broken: Option<Broken>,
    pub recv_end: bool,
    pub finish: bool,
    pub end_sent: bool,
    /// In `Shared::queue`.
    pub queued: bool,
    /// The handle is gone; what is queued is still sent.
    pub orphan: bool,
    /// RST_STREAM follows our END_STREAM whatever the peer sent: what nginx does when it did not want the body.
    pub stop: bool,
}

impl Entry {
    fn wants_to_send(&self) -> bool {
        !self.end_sent && (self.to_send_bytes > 0 || self.finish)
    }
}

/// Why a carrier takes no new streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Not ending.
    No,
    /// GOAWAY came or went: running streams go on.
    Draining,
    /// The connection is gone.
    Closed,
}

/// Whether the driver shall say goodbye.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closing {
    No,
    /// Once no stream is left.
    WhenIdle,
    /// Once what is queued is out.
    Now,
}

/// Everything behind the lock.
pub(crate) struct Shared {
    pub conn: Connection,
    pub streams: HashMap<StreamId, Box<Entry>, BuildHasherDefault<IdHasher>>,
    /// Streams with something to send and, as far as known, a window for it.
    pub queue: VecDeque<StreamId>,
    pub driver: Option<Waker>,
    pub ending: Ending,
    pub closing: Closing,
    /// Receive window granted to streams beyond their first one: bounded over all streams of the carrier.
    pub granted: u64,
    /// Waiting for ENABLE_CONNECT_PROTOCOL, a free stream or the end.
    pub settings_wakers: Vec<Waker>,
    /// How a client behaves on it; a server has no such manners.
    pub manners: Option<Manners>,
}

impl Shared {
    /// Who waits for a free stream, if there is one now.
    pub fn room(&mut self) -> Vec<Waker> {
        let free = !self.settings_wakers.is_empty() && self.conn.can_open().is_ok();
        if free { std::mem::take(&mut self.settings_wakers) } else { Vec::new() }
    }

    /// Puts a stream at the end of the round robin, if it has something to say.
    pub fn enqueue(&mut self, id: StreamId) {
        if let Some(entry) = self.streams.get_mut(&id) {
            if !entry.queued && entry.wants_to_send() {
                entry.queued = true;
                self.queue.push_back(id);
            }
        }
    }

    /// Whether it is time to say goodbye.
    pub fn may_close(&self) -> bool {
        match self.closing {
            Closing::No => false,
            Closing::WhenIdle => self.streams.is_empty(),
            Closing::Now => self.queue.is_empty(),
        }
    }

    /// The waker of the driver, if there is something for it to do.
    pub fn kick(&mut self) -> Option<Waker> {
        self.driver.take()
    }

    /// Breaks one stream and collects whom to tell.
    pub fn break_stream(&mut self, id: StreamId, broken: Broken, wakers: &mut Vec<Waker>) {
        if let Some(entry) = self.streams.get_mut(&id) {
            entry.broken.get_or_insert(broken);
            entry.to_send.clear();
            entry.to_send_bytes = 0;
            wakers.extend(entry.recv_waker.take());
            wakers.extend(entry.send_waker.take());
        }
    }

    /// The carrier is gone: every stream hears of it.
    pub fn break_all(&mut self) -> Vec<Waker> {
        self.ending = Ending::Closed;
        let ids: Vec<_> = self.streams.keys().copied().collect();
        let mut wakers = std::mem::take(&mut self.settings_wakers);
        self.streams.retain(|_, entry| !entry.orphan);
        for id in ids {
            self.break_stream(id, Broken::Carrier, &mut wakers);
        }
        wakers
    }
}

/// One HTTP/2 connection, shared by its driver and its streams.
pub struct Carrier {
    shared: Mutex<Shared>,
}

impl Carrier {
    pub(crate) fn new(conn: Connection) -> Arc<Self> {
        Self::with(conn, None)
    }

    /// A client's carrier that looks like this. Its first flights are filled up where tunnels run in it, and never where
    /// the other end is a cover.
    pub(crate) fn client(look: &Look, tunnels: bool) -> Arc<Self> {
        let http2 = look.http2();
        // RFC 9113 section 6.5.2: 65,535 where nothing else is said.
        let window = http2.settings.iter().rev().find(|(id, _)| *id == setting::INITIAL_WINDOW_SIZE);
        let window = window.map_or(65_535, |(_, value)| *value);
        let window = window.saturating_add(look.stream_update());
        let mut conn = Connection::client(http2, Limits::default());
        let opening = conn.out().len();
        let flights = if tunnels { FLIGHTS } else { 0 };
        Self::with(conn, Some(Manners { opening, window, idle: look.idle(), flights }))
    }

    fn with(conn: Connection, manners: Option<Manners>) -> Arc<Self> {
        Arc::new(Self {
            shared: Mutex::new(Shared {
                conn,
                streams: HashMap::default(),
                queue: VecDeque::new(),
                driver: None,
                ending: Ending::No,
                closing: Closing::No,
                granted: 0,
                settings_wakers: Vec::new(),
                manners,
            }),
        })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock()
    }

    /// Runs `change` under the lock, then wakes the driver.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Shared) -> T) -> T {
        let mut shared = self.shared.lock();
        let result = change(&mut shared);
        let driver = shared.kick();
        let waiting = shared.room();
        drop(shared);
        waiting.into_iter().for_each(Waker::wake);
        if let Some(waker) = driver {
            waker.wake();
        }
        result
    }

    /// Streams that are open on it.
    #[must_use]
    pub fn open_streams(&self) -> usize {
        self.shared.lock().streams.len()
    }

    /// Whether and how it is ending.
    #[must_use]
    pub fn ending(&self) -> Ending {
        self.shared.lock().ending
    }

    /// Ends the carrier once its streams have ended: GOAWAY now, `close_notify` and FIN then; from a client, as browsers
    /// do it, FIN alone.
    pub fn close(&self) {
        self.end(Code::NO_ERROR, Closing::WhenIdle);
    }

    /// Ends the carrier for this reason: the GOAWAY is its last word, and its streams end with it.
    pub(crate) fn fail(&self, code: Code) {
        self.end(code, Closing::Now);
    }

    fn end(&self, code: Code, closing: Closing) {
        self.change(|shared| {
            if shared.manners.is_none() || code != Code::NO_ERROR {
                shared.conn.goaway(code);
            }
            if shared.ending == Ending::No {
                shared.ending = Ending::Draining;
            }
            shared.closing = closing;
            if closing == Closing::Now {
                // Nothing is said behind the GOAWAY, not even about the streams that end with it; whoever waits for one of
                // them hears of it when the driver has said it.
                let wakers = shared.break_all();
                shared.queue.clear();
                shared.settings_wakers.extend(wakers);
            }
        });
    }

    /// Until a stream may be opened, or never again.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut shared = self.lock();
        if shared.ending != Ending::No || shared.conn.can_open() != Err(LocalProtocolError::Busy) {
            return Poll::Ready(());
        }
        if !shared.settings_wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            shared.settings_wakers.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Opens a stream (client) as soon as there is a place for it: a burst at the start meets the few streams that an
    /// edge grants to strangers, and is granted more as soon as it is known.
    pub(crate) async fn open_when_free(
        self: &Arc<Self>,
        fields: &[Field],
        end: bool,
        until: tokio::time::Instant,
    ) -> Result<H2Stream, LocalProtocolError> {
        loop {
            match self.open(fields, end) {
                Err(LocalProtocolError::Busy) => {
                    let room = poll_fn(|cx| self.poll_room(cx));
                    tokio::time::timeout_at(until, room).await.map_err(|_| LocalProtocolError::Busy)?;
                }
                done => return done,
            }
        }
    }

    /// Opens a stream (client).
    pub(crate) fn open(self: &Arc<Self>, fields: &[Field], end: bool) -> Result<H2Stream, LocalProtocolError> {
        self.change(|shared| {
            if shared.ending != Ending::No {
                return Err(LocalProtocolError::GoingAway);
            }
            let id = shared.conn.open(fields, end)?;
            let window = shared.manners.map_or(MAX_WINDOW, |manners| {
                shared.conn.grow(id, manners.window);
                manners.window
            });
            let entry = Entry { finish: end, end_sent: end, window, ..Entry::default() };
            shared.streams.insert(id, Box::new(entry));
            Ok(H2Stream::new(Arc::clone(self), id))
        })
    }
}
