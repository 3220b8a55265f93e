//! One stream of a carrier, as the relay sees streams.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use rozaneh_net::pool::Slice;
use rozaneh_net::stream::Stream;
use rozaneh_wire::h2::{Code, Field, LocalProtocolError, StreamId};

use super::carrier::{Broken, Carrier, SEND_QUEUE, Shared};

/// Window a stream may grow to: Chrome's (6 MiB), enough for 250 Mbit/s at 200 ms.
pub(crate) const MAX_WINDOW: u32 = 6 * 1024 * 1024;
/// Sum of what the streams of one carrier may be granted above their first window: bounds what a peer can make us
/// hold for receivers that do not read.
const MAX_GRANTED: u64 = 32 * 1024 * 1024;

/// A stream of a carrier. Dropping it before both directions ended resets it.
pub struct H2Stream {
    carrier: Arc<Carrier>,
    id: StreamId,
}

impl H2Stream {
    pub(crate) fn new(carrier: Arc<Carrier>, id: StreamId) -> Self {
        Self { carrier, id }
    }

    /// The carrier it runs on.
    #[must_use]
    pub fn carrier(&self) -> &Arc<Carrier> {
        &self.carrier
    }

    /// The response's header fields (client), once; waits for them.
    pub(crate) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Box<[Field]>>> {
        let mut shared = self.carrier.lock();
        let Some(entry) = shared.streams.get_mut(&self.id) else {
            return Poll::Ready(Err(Broken::Carrier.into()));
        };
        if let Some(head) = entry.head.take() {
            return Poll::Ready(Ok(head));
        }
        if let Some(broken) = entry.broken {
            return Poll::Ready(Err(broken.into()));
        }
        register(&mut entry.recv_waker, cx);
        Poll::Pending
    }

    /// Sends response header fields (server).
    pub(crate) fn respond(&self, fields: &[Field], end: bool) -> Result<(), LocalProtocolError> {
        self.carrier.change(|shared| {
            shared.conn.headers(self.id, fields, end)?;
            if let Some(entry) = shared.streams.get_mut(&self.id) {
                if end {
                    entry.finish = true;
                    entry.end_sent = true;
                }
            }
            Ok(())
        })
    }

    /// From now on no DATA frame of this stream is longer.
    pub(crate) fn limit_frames(&self, longest: usize) {
        if let Some(entry) = self.carrier.lock().streams.get_mut(&self.id) {
            entry.frame = longest;
        }
    }

    /// The rest of the request is not wanted: RST_STREAM follows our END_STREAM in any case.
    pub(crate) fn unwanted(&self) {
        self.carrier.change(|shared| {
            let Some(entry) = shared.streams.get_mut(&self.id) else { return };
            if entry.end_sent {
                shared.conn.stop(self.id, Code::NO_ERROR);
            } else {
                entry.stop = true;
            }
        });
    }

    /// The last chunk: END_STREAM travels on its last frame, never on an empty one of its own.
    pub(crate) fn send_last(&mut self, chunk: Slice) {
        self.carrier.change(|shared| {
            if let Some(entry) = shared.streams.get_mut(&self.id) {
                if entry.broken.is_none() && !entry.finish {
                    entry.to_send_bytes += chunk.len();
                    entry.to_send.push_back(chunk);
                    entry.finish = true;
                }
            }
            shared.enqueue(self.id);
        });
    }

    /// Resets the stream with this code. Idempotent.
    pub(crate) fn reset(&self, code: Code) {
        self.carrier.change(|shared| {
            shared.conn.reset(self.id, code);
            let mut wakers = Vec::new();
            shared.break_stream(self.id, Broken::Reset, &mut wakers);
            // Only the owner of this handle waits here, and it is the one calling.
            drop(wakers);
        });
    }
}

fn register(place: &mut Option<std::task::Waker>, cx: &Context<'_>) {
    match place {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *place = Some(cx.waker().clone()),
    }
}

/// Raises the window of a stream that keeps draining it: doubling each time a whole window went through.
fn grow(shared: &mut Shared, id: StreamId) {
    let Some(entry) = shared.streams.get_mut(&id) else { return };
    let window = entry.window;
    if window >= MAX_WINDOW || entry.delivered < u64::from(window) * 2 {
        return;
    }
    let wider = window.saturating_mul(4).min(MAX_WINDOW);
    let more = u64::from(wider - window);
    if shared.granted + more <= MAX_GRANTED {
        shared.granted += more;
        entry.window = wider;
        entry.granted += more;
        shared.conn.grow(id, wider);
    }
}

impl Stream for H2Stream {
    fn poll_recv(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<io::Result<Option<Slice>>> {
        let mut guard = self.carrier.lock();
        let shared = &mut *guard;
        let Some(entry) = shared.streams.get_mut(&self.id) else {
            return Poll::Ready(Err(Broken::Carrier.into()));
        };
        let Some(front) = entry.received.front_mut() else {
            if entry.recv_end {
                return Poll::Ready(Ok(None));
            }
            if let Some(broken) = entry.broken {
                return Poll::Ready(Err(broken.into()));
            }
            register(&mut entry.recv_waker, cx);
            return Poll::Pending;
        };
        let chunk = front.split_to(max.max(1));
        if front.is_empty() {
            entry.received.pop_front();
            if entry.received.is_empty() && entry.received.capacity() > 16 {
                // A long queue was the exception; an idle stream should not keep its memory.
                entry.received.shrink_to(0);
            }
        }
        entry.delivered = entry.delivered.saturating_add(chunk.len() as u64);
        shared.conn.consumed(self.id, chunk.len());
        grow(shared, self.id);
        let driver = if shared.conn.out().is_empty() { None } else { shared.kick() };
        drop(guard);
        if let Some(waker) = driver {
            waker.wake();
        }
        Poll::Ready(Ok(Some(chunk)))
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut shared = self.carrier.lock();
        let Some(entry) = shared.streams.get_mut(&self.id) else {
            return Poll::Ready(Err(Broken::Carrier.into()));
        };
        if let Some(broken) = entry.broken {
            return Poll::Ready(Err(broken.into()));
        }
        if entry.to_send_bytes < SEND_QUEUE / 2 {
            return Poll::Ready(Ok(()));
        }
        register(&mut entry.send_waker, cx);
        Poll::Pending
    }

    fn send(&mut self, chunk: Slice) {
        if chunk.is_empty() {
            return;
        }
        self.carrier.change(|shared| {
            if let Some(entry) = shared.streams.get_mut(&self.id) {
                if entry.broken.is_none() && !entry.finish {
                    entry.to_send_bytes += chunk.len();
                    entry.to_send.push_back(chunk);
                }
            }
            shared.enqueue(self.id);
        });
    }

    fn poll_flush(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Handed to the carrier already; its queue is bounded by poll_ready.
        Poll::Ready(Ok(()))
    }

    fn poll_finish(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.carrier.change(|shared| {
            if let Some(entry) = shared.streams.get_mut(&self.id) {
                entry.finish = true;
            }
            shared.enqueue(self.id);
        });
        Poll::Ready(Ok(()))
    }

    fn abort(&mut self) {
        self.reset(Code::CANCEL);
    }
}

impl Drop for H2Stream {
    fn drop(&mut self) {
        let id = self.id;
        self.carrier.change(|shared| {
            let Some(mut entry) = shared.streams.remove(&id) else { return };
            shared.granted = shared.granted.saturating_sub(entry.granted);
            let unread: usize = entry.received.iter().map(|chunk| chunk.len()).sum();
            if unread > 0 {
                // The connection's window is everybody's: bytes nobody will read are given back.
                shared.conn.consumed(id, unread);
            }
            if entry.broken.is_some() {
                return;
            }
            match (entry.finish, entry.end_sent, entry.recv_end) {
                // Everything was said and only waits for its turn: the driver finishes it without an owner.
                (true, false, _) => {
                    entry.received.clear();
                    entry.orphan = true;
                    shared.streams.insert(id, entry);
                }
                (true, true, true) => {}
                // Our half is complete; the rest of the peer's is not wanted (RFC 9113 section 8.1).
                (true, true, false) => shared.conn.reset(id, Code::NO_ERROR),
                (false, ..) => shared.conn.reset(id, Code::CANCEL),
            }
        });
    }
}
