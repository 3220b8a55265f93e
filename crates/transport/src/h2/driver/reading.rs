//! What comes in: records opened where they were read, frames told to the connection, payload handed to its stream.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rozaneh_net::pool::{Buf, Slice};
use rozaneh_wire::h2::{Event, StreamId};
use tokio::time::Instant;

use super::super::carrier::{Broken, Closing, Ending, Entry};
use super::{Driver, Incoming, Requests};
use crate::tls::{Opened, TlsError};

/// How often flood counters fade (`rozaneh_wire::h2::limits`).
const CALM: Duration = Duration::from_secs(1);
/// Chunks up to this size are copied out, so that a small message does not pin the large buffer it was read in.
const COPY_BELOW: usize = 2_048;
/// A partial record above this needs a larger buffer for its rest (a small one holds one TLS 1.3 record).
const SMALL_REST: usize = 8_192;

impl<R: Requests> Driver<R> {
    /// One read and what it brings. `true` if anything came.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        if self.read_closed {
            return Ok(false);
        }
        match self.tcp.poll_read_ready(cx) {
            Poll::Ready(ready) => ready?,
            Poll::Pending => return Ok(false),
        }
        let mut buf = match self.appetite {
            0 if self.partial.len() <= SMALL_REST => Buf::small(),
            0 | 1 => Buf::large(),
            _ => Buf::huge(),
        };
        let kept = self.partial.len();
        if let Some(place) = buf.get_mut(..kept) {
            place.copy_from_slice(&self.partial);
        }
        let room = buf.get_mut(kept..).unwrap_or_default();
        let size = room.len();
        let n = match self.tcp.try_read(room) {
            Ok(n) => n,
            // Readiness was stale; asking again registers for the next.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return match self.tcp.poll_read_ready(cx) {
                    Poll::Ready(ready) => ready.map(|()| true),
                    Poll::Pending => Ok(false),
                };
            }
            Err(error) => return Err(error),
        };
        self.appetite = match (self.appetite, n == size) {
            (0 | 1, true) => self.appetite + 1,
            (1 | 2, false) if n < size / 4 => self.appetite - 1,
            (same, _) => same,
        };
        if n == 0 {
            self.end_of_input();
            return Ok(true);
        }
        self.heard = Instant::now();
        self.expecting = false;
        self.pinged = None;
        self.partial.clear();
        self.open(buf, kept + n)?;
        Ok(true)
    }

    /// The peer sends nothing more: streams that wait for it are broken, those that only send go on.
    pub(super) fn end_of_input(&mut self) {
        self.read_closed = true;
        let wakers = self.carrier.lock().break_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// What came with the handshake.
    pub(super) fn open_rest(&mut self) -> io::Result<()> {
        let rest = std::mem::take(&mut self.partial);
        for part in rest.chunks(16 * 1024) {
            let mut buf = Buf::large();
            let kept = self.partial.len();
            if let Some(place) = buf.get_mut(..kept) {
                place.copy_from_slice(&self.partial);
            }
            if let Some(place) = buf.get_mut(kept..kept + part.len()) {
                place.copy_from_slice(part);
            }
            self.partial.clear();
            self.open(buf, kept + part.len())?;
        }
        Ok(())
    }

    /// Opens all whole records of `buf[..len]` in place and hands them on; the rest is kept.
    pub(super) fn open(&mut self, mut buf: Buf, len: usize) -> io::Result<()> {
        let mut at = 0;
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let mut failed: Option<TlsError> = None;
        let mut closed = false;
        while at < len && !closed {
            match self.traffic.open(buf.get_mut(at..len).unwrap_or_default()) {
                Ok(Opened::Data { wire, plain }) => {
                    ranges.push(at + plain.start..at + plain.end);
                    at += wire;
                }
                Ok(Opened::Quiet { wire }) => at += wire,
                Ok(Opened::Closed { wire }) => {
                    at += wire;
                    closed = true;
                }
                Ok(Opened::Partial) => break,
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        if failed.is_none() && !closed {
            self.partial.extend_from_slice(buf.get(at..len).unwrap_or_default());
        }
        if self.partial.is_empty() && self.partial.capacity() > 0 {
            self.partial = Vec::new();
        }
        if !ranges.is_empty() {
            let whole = buf.freeze(0..len);
            self.deliver(&whole, &ranges)?;
        }
        if closed {
            self.end_of_input();
        }
        match failed {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    /// Feeds plaintext to the protocol and gives the streams their share. An empty `ranges` means all of `slice`.
    pub(super) fn deliver(&mut self, slice: &Slice, ranges: &[Range<usize>]) -> io::Result<()> {
        let whole = 0..slice.len();
        let ranges = if ranges.is_empty() { std::slice::from_ref(&whole) } else { ranges };
        let mut wakers: Vec<Waker> = Vec::new();
        let mut incoming: Vec<Incoming> = Vec::new();
        let mut windows: Vec<StreamId> = Vec::new();
        let mut lost: Vec<(StreamId, usize)> = Vec::new();
        let mut broken: Vec<StreamId> = Vec::new();
        let carrier = Arc::clone(&self.carrier);
        let mut guard = carrier.lock();
        let shared = &mut *guard;
        if self.heard.saturating_duration_since(self.calmed) >= CALM {
            self.calmed = self.heard;
            shared.conn.calm();
        }
        let mut outcome = Ok(());
        for range in ranges {
            let base = range.start;
            let streams = &mut shared.streams;
            let (ending, closing) = (&mut shared.ending, &mut shared.closing);
            let settings = &mut shared.settings_wakers;
            let fed = shared.conn.feed(slice.get(range.clone()).unwrap_or_default(), &mut |event| match event {
                Event::Data { id, bytes, offset, end } => match streams.get_mut(&id) {
                    Some(entry) if !entry.orphan && entry.broken.is_none() => {
                        if !bytes.is_empty() {
                            let chunk = if bytes.len() < COPY_BELOW {
                                Slice::copy_from(bytes)
                            } else {
                                slice.sub(base + offset..base + offset + bytes.len())
                            };
                            entry.received.push_back(chunk);
                        }
                        entry.recv_end |= end;
                        wakers.extend(entry.recv_waker.take());
                    }
                    other => {
                        if let Some(entry) = other {
                            entry.recv_end |= end;
                        }
                        if !bytes.is_empty() {
                            lost.push((id, bytes.len()));
                        }
                    }
                },
                Event::Headers { id, fields, end } => match streams.get_mut(&id) {
                    // The response to a stream of ours.
                    Some(entry) => {
                        entry.head = Some(fields.into_boxed_slice());
                        entry.recv_end |= end;
                        wakers.extend(entry.recv_waker.take());
                    }
                    None if R::SERVER => {
                        // The entry must be there before the DATA right behind it (Fast CONNECT).
                        streams.insert(id, request_entry(end));
                        incoming.push(Incoming::Request { id, fields, end });
                    }
                    None => {}
                },
                Event::Trailers { id, .. } => {
                    if let Some(entry) = streams.get_mut(&id) {
                        entry.recv_end = true;
                        wakers.extend(entry.recv_waker.take());
                    }
                }
                Event::Reset { id, .. } => broken.push(id),
                Event::HeadersTooLarge { id, end } => {
                    streams.insert(id, request_entry(end));
                    incoming.push(Incoming::HeadersTooLarge);
                }
                Event::Malformed { id, fields, end, .. } => {
                    streams.insert(id, request_entry(end));
                    incoming.push(Incoming::Malformed { id, fields, end });
                }
                Event::WindowOpen { id } => windows.push(id),
                Event::Settings => {
                    windows.push(0);
                    wakers.append(settings);
                }
                Event::GoAway { .. } => {
                    if *ending == Ending::No {
                        *ending = Ending::Draining;
                    }
                    if !R::SERVER && *closing == Closing::No {
                        // A browser does not wait for the server to hang up.
                        *closing = Closing::WhenIdle;
                    }
                    wakers.append(settings);
                }
                Event::Informational { .. } | Event::SettingsAck | Event::Pong(_) => {}
            });
            for id in broken.drain(..) {
                shared.break_stream(id, Broken::Reset, &mut wakers);
                if shared.streams.get(&id).is_some_and(|entry| entry.orphan) {
                    shared.streams.remove(&id);
                }
            }
            if let Err(error) = fed {
                outcome = Err(io::Error::new(io::ErrorKind::InvalidData, error.reason));
                break;
            }
        }
        for (id, bytes) in lost {
            shared.conn.consumed(id, bytes);
        }
        for id in windows {
            if id == 0 {
                let blocked: Vec<_> = shared.streams.keys().copied().collect();
                blocked.into_iter().for_each(|id| shared.enqueue(id));
            } else {
                shared.enqueue(id);
            }
        }
        wakers.extend(shared.room());
        drop(guard);
        wakers.into_iter().for_each(Waker::wake);
        self.asked |= !incoming.is_empty();
        for request in incoming {
            self.requests.incoming(request);
        }
        outcome
    }
}

/// Window of a request's stream at first: what the nginx look announces.
const FIRST_WINDOW: u32 = 65_536;

fn request_entry(end: bool) -> Box<Entry> {
    Box::new(Entry { recv_end: end, window: FIRST_WINDOW, ..Entry::default() })
}
