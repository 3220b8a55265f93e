//! How long a DATA frame may be: 16 KiB at first, then as much as the carrier moves in 20 ms, so that nobody waits
//! longer than that behind somebody else's frame.

use std::time::{Duration, Instant};

/// RFC 9113's default, and one TLS record.
pub(crate) const MIN_FRAME: usize = 16_384;
/// Above this nothing is gained: the frame's header is 9 bytes in 256 KiB, and a record's 22 in 16 KiB.
pub(crate) const MAX_FRAME: usize = 256 * 1024;
/// The longest wait a frame may cause.
const SHARE: Duration = Duration::from_millis(20);
/// Shorter spans say more about buffers than about the path.
const SPAN: Duration = Duration::from_millis(20);

/// Measures what the socket takes while it is kept busy.
pub(crate) struct Rate {
    since: Option<Instant>,
    bytes: u64,
    per_second: f64,
}

impl Rate {
    pub fn new() -> Self {
        Self { since: None, bytes: 0, per_second: 0.0 }
    }

    /// The socket took `bytes`.
    pub fn sent(&mut self, bytes: usize, now: Instant) {
        let since = *self.since.get_or_insert(now);
        self.bytes += bytes as u64;
        let span = now.saturating_duration_since(since);
        if span >= SPAN {
            let measured = self.bytes as f64 / span.as_secs_f64();
            // Half of the old value: four spans forget a burst that only filled the kernel's buffer.
            self.per_second = if self.per_second == 0.0 { measured } else { (self.per_second + measured) / 2.0 };
            self.since = Some(now);
            self.bytes = 0;
        }
    }

    /// Nothing is left to send: the time until the next byte does not count against the path.
    pub fn idle(&mut self) {
        self.since = None;
        self.bytes = 0;
    }

    /// Longest frame now.
    pub fn frame(&self) -> usize {
        let share = self.per_second * SHARE.as_secs_f64();
        if share >= MAX_FRAME as f64 { MAX_FRAME } else { (share as usize).max(MIN_FRAME) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(rate: &mut Rate, bytes_per_span: usize) -> usize {
        let start = Instant::now();
        for step in 0..20 {
            rate.sent(bytes_per_span, start + SPAN * step);
        }
        rate.frame()
    }

    #[test]
    fn grows_and_shrinks_with_the_path() {
        assert_eq!(Rate::new().frame(), MIN_FRAME);
        // 5 Mbit/s: 12,500 bytes in 20 ms.
        assert_eq!(at(&mut Rate::new(), 12_500), MIN_FRAME);
        let middle = at(&mut Rate::new(), 100_000);
        assert!((90_000..=110_000).contains(&middle), "{middle}");
        let mut rate = Rate::new();
        assert_eq!(at(&mut rate, 10_000_000), MAX_FRAME);
        rate.idle();
        assert_eq!(at(&mut rate, 12_500), MIN_FRAME);
    }
}
