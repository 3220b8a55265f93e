//! A token bucket that many streams share without a lock.
//!
//! The bucket is one number: how many bytes were ever handed out. What has been earned follows from the clock, so
//! taking is one compare-and-swap. Whoever comes when nothing is left reserves the next small turn and waits for
//! its own moment: turns are given in the order of asking, whatever their number.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// Slowest and fastest rate a bucket can have, in bytes per second.
const RATE: std::ops::RangeInclusive<u64> = 1..=1_000_000_000_000;
/// The burst is at least this much of the rate: timers are exact to a millisecond, and what was earned while one
/// overslept must not be lost.
const MIN_BURST: Duration = Duration::from_millis(10);
/// A turn is this much of the rate, but within the bounds below, so that neither many waiters nor a slow rate
/// make anybody wait long for its turn.
const TURN: Duration = Duration::from_millis(10);
const MIN_TURN: u64 = 256;
const MAX_TURN: u64 = 256 * 1024;

/// Bytes per second with a burst, shared by everything that moves bytes for one user.
#[derive(Debug)]
pub struct Bucket {
    rate: u64,
    burst: u64,
    turn: u64,
    start: Instant,
    /// Bytes handed out or reserved, counted on the same axis as [`Bucket::earned`].
    spent: AtomicU64,
}

impl Bucket {
    /// A full bucket that earns `bytes_per_second` and keeps at most `burst` bytes (raised to 10 ms of the rate).
    #[must_use]
    pub fn new(bytes_per_second: u64, burst: u64) -> Self {
        let rate = bytes_per_second.clamp(*RATE.start(), *RATE.end());
        let burst = burst.max(share(rate, MIN_BURST)).max(1);
        let turn = share(rate, TURN).clamp(MIN_TURN, MAX_TURN);
        Self { rate, burst, turn, start: Instant::now(), spent: AtomicU64::new(0) }
    }

    /// The rate in bytes per second.
    #[must_use]
    pub fn rate(&self) -> u64 {
        self.rate
    }

    /// Bytes that could be taken right now.
    #[must_use]
    pub fn available(&self) -> u64 {
        let earned = self.earned(Instant::now());
        earned - self.spent.load(Ordering::Relaxed).max(earned.saturating_sub(self.burst)).min(earned)
    }

    /// Bytes earned since the start; it begins with one burst.
    fn earned(&self, now: Instant) -> u64 {
        let nanos = now.saturating_duration_since(self.start).as_nanos();
        let bytes = nanos.saturating_mul(u128::from(self.rate)) / 1_000_000_000;
        u64::try_from(bytes).unwrap_or(u64::MAX).saturating_add(self.burst)
    }

    /// The moment at which `position` bytes will have been earned.
    fn moment(&self, position: u64) -> Instant {
        let nanos = u128::from(position.saturating_sub(self.burst)) * 1_000_000_000;
        let nanos = nanos.div_ceil(u128::from(self.rate));
        self.start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX >> 1))
    }

    /// Takes up to `want` now, or reserves a turn for later.
    fn reserve(&self, want: u64) -> (u64, Option<Instant>) {
        let earned = self.earned(Instant::now());
        let floor = earned.saturating_sub(self.burst);
        let mut spent = self.spent.load(Ordering::Relaxed);
        loop {
            let base = spent.max(floor);
            let ready = earned.saturating_sub(base);
            let granted = if ready > 0 { want.min(ready) } else { want.min(self.turn) };
            let next = base.saturating_add(granted);
            // Relaxed is enough: nothing but this number is shared, and the swap itself is atomic.
            match self.spent.compare_exchange_weak(spent, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return (granted, if ready > 0 { None } else { Some(self.moment(next)) }),
                Err(current) => spent = current,
            }
        }
    }

    fn refund(&self, bytes: u64) {
        // Never below zero, even if somebody gave back more than was taken.
        let _ =
            self.spent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |spent| Some(spent.saturating_sub(bytes)));
    }
}

/// `rate` times `time`, in bytes.
fn share(rate: u64, time: Duration) -> u64 {
    let bytes = u128::from(rate) * time.as_nanos() / 1_000_000_000;
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// One stream's place at a [`Bucket`]: what it was granted and has not used, and its turn if it waits for one.
pub struct Claim {
    bucket: Arc<Bucket>,
    held: u64,
    /// Granted for the moment the timer stands for.
    reserved: u64,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Claim {
    /// A place at `bucket`, with nothing granted yet.
    #[must_use]
    pub fn new(bucket: Arc<Bucket>) -> Self {
        Self { bucket, held: 0, reserved: 0, timer: None }
    }

    /// Waits until something may move and says how much: between 1 and `want` bytes (`want` is at least 1). It
    /// stays granted until [`Claim::spend`] takes it.
    pub fn poll_take(&mut self, cx: &mut Context<'_>, want: usize) -> Poll<usize> {
        let want = u64::try_from(want).unwrap_or(u64::MAX).max(1);
        if self.reserved > 0 {
            if let Some(timer) = &mut self.timer {
                if timer.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
            }
            // An idle stream keeps no timer.
            self.timer = None;
            self.held += std::mem::take(&mut self.reserved);
        }
        if self.held == 0 {
            let (granted, moment) = self.bucket.reserve(want);
            if let Some(moment) = moment {
                self.reserved = granted;
                self.timer = Some(Box::pin(tokio::time::sleep_until(moment)));
                return self.poll_take(cx, usize::try_from(want).unwrap_or(usize::MAX));
            }
            self.held = granted;
        }
        Poll::Ready(usize::try_from(self.held.min(want)).unwrap_or(usize::MAX))
    }

    /// Says that `bytes` of the grant moved.
    pub fn spend(&mut self, bytes: usize) {
        self.held = self.held.saturating_sub(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// Gives back what is granted and unused, for instance while nothing is there to be moved.
    pub fn give_back(&mut self) {
        let unused = std::mem::take(&mut self.held);
        if unused > 0 {
            self.bucket.refund(unused);
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.held += std::mem::take(&mut self.reserved);
        self.give_back();
    }
}

#[cfg(test)]
#[path = "bucket_tests.rs"]
mod tests;
