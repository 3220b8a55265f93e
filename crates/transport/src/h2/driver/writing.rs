//! What goes out: frames gathered under one lock, sealed into records, written until the socket is full.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use rozaneh_net::pool::Buf;
use rozaneh_wire::h2::Code;
use tokio::time::Instant;

use super::manners::{FRAME_HEAD, RECORD};
use super::{Driver, Out, Piece, Requests};
use crate::tls::{HEAD, TAIL};

/// Payload gathered under one lock: what the largest out buffer holds.
const GATHER: usize = 240 * 1024;

impl<R: Requests> Driver<R> {
    /// Seals and writes until there is nothing left or the socket is full. `true` if anything moved.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut moved = false;
        loop {
            if self.out.is_none() && !self.fill()? {
                self.rate.idle();
                return Ok(moved);
            }
            let Some(out) = &mut self.out else { return Ok(moved) };
            let bytes = out.buf.get(out.start..out.end).unwrap_or_default();
            match self.tcp.try_write(bytes) {
                Ok(n) => {
                    out.start += n;
                    let done = out.start >= out.end;
                    self.said = Instant::now();
                    self.rate.sent(n, self.said.into_std());
                    self.expecting = true;
                    moved = true;
                    if done {
                        self.out = None;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => match self.tcp.poll_write_ready(cx) {
                    Poll::Ready(ready) => ready?,
                    Poll::Pending => return Ok(moved),
                },
                Err(error) => return Err(error),
            }
        }
    }

    /// Fills the out buffer with sealed records. `false` if there is nothing to say.
    pub(super) fn fill(&mut self) -> io::Result<bool> {
        if self.plan.len() == self.piece_at {
            self.gather();
        }
        if self.plan.is_empty() && self.traffic.pending().is_empty() {
            return Ok(false);
        }
        let mut buf = match self.planned {
            0..=16_000 => Buf::small(),
            16_001..=60_000 => Buf::large(),
            _ => Buf::huge(),
        };
        let mut at = 0;
        loop {
            // Alerts and key updates go between records, sealed with the key of their time.
            let pending = self.traffic.pending();
            if !pending.is_empty() {
                let Some(place) = buf.get_mut(at..at + pending.len()) else { break };
                place.copy_from_slice(pending);
                at += pending.len();
                pending.clear();
                if pending.capacity() > 1_024 {
                    *pending = Vec::new();
                }
            }
            let Some(room) = buf.len().checked_sub(at + HEAD + TAIL).filter(|room| *room > 0) else { break };
            let Some(record) = buf.get_mut(at..) else { break };
            let len = self.pour(record.get_mut(HEAD..).unwrap_or_default(), room.min(self.traffic.max_plain()));
            if len == 0 {
                break;
            }
            at += self.traffic.seal(record, len)?;
        }
        if self.plan.len() == self.piece_at {
            self.plan.clear();
            self.piece_at = 0;
            self.planned = 0;
            if self.plan.capacity() > 64 {
                self.plan = Vec::new();
            }
        }
        if at == 0 {
            return Ok(false);
        }
        self.out = Some(Out { buf, start: 0, end: at });
        Ok(true)
    }

    /// Copies planned plaintext into a record. The only copy payload sees on its way out.
    pub(super) fn pour(&mut self, record: &mut [u8], room: usize) -> usize {
        let mut len = 0;
        while len < room {
            let Some(piece) = self.plan.get_mut(self.piece_at) else { break };
            // A browser's frames have records of their own.
            if len > 0 && self.manners.is_some() && !matches!(piece, Piece::Payload(_)) {
                break;
            }
            let bytes = piece.bytes();
            let n = bytes.len().min(room - len);
            if let (Some(to), Some(from)) = (record.get_mut(len..len + n), bytes.get(..n)) {
                to.copy_from_slice(from);
            }
            len += n;
            if n == bytes.len() {
                *piece = Piece::Head([0; 9]);
                self.piece_at += 1;
            } else {
                match piece {
                    Piece::Control(rest) => {
                        rest.drain(..n);
                    }
                    Piece::Head(rest) => *piece = Piece::Control(rest.get(n..).unwrap_or_default().to_vec()),
                    Piece::Payload(rest) => rest.advance(n),
                }
            }
        }
        len
    }

    /// Takes what the streams want to send: control frames first, then DATA, one frame a stream, round robin.
    pub(super) fn gather(&mut self) {
        self.plan.clear();
        self.piece_at = 0;
        self.planned = 0;
        let mut wakers: Vec<Waker> = Vec::new();
        let longest = self.rate.frame();
        let carrier = Arc::clone(&self.carrier);
        let mut guard = carrier.lock();
        let shared = &mut *guard;
        self.ask_whether_it_lives(shared);
        if !shared.conn.out().is_empty() {
            let control = std::mem::take(shared.conn.out());
            self.planned += control.len();
            self.plan_control(control);
        }
        let mut turns = shared.queue.len().saturating_mul(16).saturating_add(16);
        while self.planned < GATHER && turns > 0 {
            turns -= 1;
            let Some(id) = shared.queue.pop_front() else { break };
            let window = shared.conn.sendable(id);
            let largest = shared.conn.max_frame();
            let Some(entry) = shared.streams.get_mut(&id) else { continue };
            entry.queued = false;
            if entry.broken.is_some() || entry.end_sent {
                continue;
            }
            let own = if entry.frame == 0 { longest } else { entry.frame };
            let mut n = entry.to_send_bytes.min(window).min(largest).min(own).min(GATHER);
            if self.manners.is_some() && n > RECORD {
                // Whole records, so that none is left with the last bytes of a frame.
                n -= (n + FRAME_HEAD) % RECORD;
            }
            let end = entry.finish && n == entry.to_send_bytes;
            if n == 0 && !end {
                // No window: WINDOW_UPDATE brings it back.
                continue;
            }
            let Ok(head) = shared.conn.data(id, n, end) else { continue };
            self.plan.push(Piece::Head(head));
            let mut left = n;
            while left > 0 {
                let Some(front) = entry.to_send.front_mut() else { break };
                let part = front.split_to(left);
                if front.is_empty() {
                    entry.to_send.pop_front();
                }
                left -= part.len();
                self.plan.push(Piece::Payload(part));
            }
            entry.to_send_bytes -= n;
            self.planned += n + 9;
            if entry.to_send.is_empty() && entry.to_send.capacity() > 16 {
                entry.to_send.shrink_to(0);
            }
            wakers.extend(entry.send_waker.take());
            if end {
                entry.end_sent = true;
                if entry.stop {
                    shared.conn.stop(id, Code::NO_ERROR);
                } else if entry.orphan && !entry.recv_end {
                    shared.conn.reset(id, Code::NO_ERROR);
                }
                if entry.orphan {
                    shared.streams.remove(&id);
                }
            } else {
                shared.enqueue(id);
            }
        }
        self.fill_up(shared);
        if self.plan.is_empty() && shared.may_close() && !self.goodbye {
            self.goodbye = true;
            if self.manners.is_none() {
                self.traffic.close();
            }
        }
        wakers.extend(shared.room());
        drop(guard);
        wakers.into_iter().for_each(Waker::wake);
    }
}
