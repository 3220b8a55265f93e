//! Flow-control windows (RFC 9113 sections 5.2 and 6.9): two directions, the same for a stream and the connection.

/// The largest window there can be (RFC 9113 section 6.9.1).
pub(super) const MAX_WINDOW: i32 = i32::MAX;

/// The window before any SETTINGS (RFC 9113 section 6.9.2).
pub(super) const DEFAULT_WINDOW: i32 = 65_535;

/// What we may still send. May be negative after the peer lowered INITIAL_WINDOW_SIZE (RFC 9113 section 6.9.2).
#[derive(Clone, Copy, Debug)]
pub(super) struct SendWindow(i32);

impl SendWindow {
    pub fn new(size: i32) -> Self {
        Self(size)
    }

    /// How many bytes may go now.
    pub fn room(self) -> usize {
        usize::try_from(self.0).unwrap_or(0)
    }

    /// `len` bytes go; the caller has asked `room` before.
    pub fn take(&mut self, len: usize) {
        self.0 = self.0.saturating_sub(i32::try_from(len).unwrap_or(MAX_WINDOW));
    }

    /// The peer opened the window; `None` = beyond 2^31-1.
    #[must_use]
    pub fn open(&mut self, increment: u32) -> Option<()> {
        let sum = i64::from(self.0) + i64::from(increment);
        self.0 = i32::try_from(sum).ok()?;
        Some(())
    }

    /// INITIAL_WINDOW_SIZE changed by `delta`; `None` = beyond 2^31-1.
    #[must_use]
    pub fn shift(&mut self, delta: i64) -> Option<()> {
        let sum = i64::from(self.0) + delta;
        self.0 = i32::try_from(sum).ok()?;
        Some(())
    }
}

/// What the peer may still send, and when to let it send more.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecvWindow {
    /// Bytes the peer may still send by what we have told it.
    window: i32,
    /// The window we want it to have when nothing is waiting here.
    target: i32,
    /// Bytes consumed and not yet given back.
    pending: i32,
}

impl RecvWindow {
    pub fn new(size: i32) -> Self {
        Self { window: size, target: size, pending: 0 }
    }

    /// `len` bytes arrived; `None` = more than the window.
    #[must_use]
    pub fn take(&mut self, len: u32) -> Option<()> {
        let len = i32::try_from(len).ok()?;
        if len > self.window {
            return None;
        }
        self.window -= len;
        Some(())
    }

    /// `n` bytes were consumed. Some(increment) when half of the target has gathered: send WINDOW_UPDATE.
    ///
    /// Never gives back more than was taken, so no caller can push a window beyond its target.
    #[must_use]
    pub fn give(&mut self, n: usize) -> Option<u32> {
        let owed = i64::from(self.target) - i64::from(self.window);
        let n = i64::try_from(n).unwrap_or(i64::MAX);
        let pending = i64::from(self.pending).saturating_add(n).min(owed).max(0);
        self.pending = i32::try_from(pending).unwrap_or(MAX_WINDOW);
        if self.pending == 0 || self.pending < self.target / 2 {
            return None;
        }
        let increment = self.pending;
        self.window = self.window.saturating_add(increment);
        self.pending = 0;
        u32::try_from(increment).ok()
    }

    /// Raises the target. Some(increment) to announce now; lower targets are left as they are.
    #[must_use]
    pub fn grow(&mut self, target: u32) -> Option<u32> {
        let target = i32::try_from(target).unwrap_or(MAX_WINDOW);
        if target <= self.target {
            return None;
        }
        let increment = target - self.target;
        self.target = target;
        // A window may have been shifted below nought by SETTINGS: the sum stays in range since window <= old target.
        self.window = self.window.saturating_add(increment);
        u32::try_from(increment).ok()
    }

    /// Our INITIAL_WINDOW_SIZE changed by `delta` (RFC 9113 section 6.9.2).
    pub fn shift(&mut self, delta: i64) {
        let clamp = |value: i64| i32::try_from(value.clamp(i64::from(i32::MIN), i64::from(MAX_WINDOW))).unwrap_or(0);
        self.window = clamp(i64::from(self.window) + delta);
        self.target = clamp((i64::from(self.target) + delta).max(0));
    }

    /// Bytes the peer may still send.
    pub fn left(self) -> usize {
        usize::try_from(self.window).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_back_in_halves() {
        let mut window = RecvWindow::new(100);
        assert_eq!(window.take(60), Some(()));
        assert_eq!(window.give(49), None);
        assert_eq!(window.give(1), Some(50));
        assert_eq!(window.left(), 90);
        assert_eq!(window.take(91), None);
        assert_eq!(window.left(), 90, "a refused frame changes nothing");
    }

    #[test]
    fn never_gives_back_more_than_taken() {
        let mut window = RecvWindow::new(100);
        assert_eq!(window.take(70), Some(()));
        assert_eq!(window.give(usize::MAX), Some(70));
        assert_eq!(window.left(), 100);
        assert_eq!(window.give(usize::MAX), None);
        assert_eq!(window.left(), 100);
    }

    #[test]
    fn a_zero_target_stays_silent() {
        let mut window = RecvWindow::new(0);
        assert_eq!(window.give(5), None);
        assert_eq!(window.take(0), Some(()));
        assert_eq!(window.take(1), None);
    }

    #[test]
    fn grows_once() {
        let mut window = RecvWindow::new(100);
        assert_eq!(window.grow(250), Some(150));
        assert_eq!(window.grow(250), None);
        assert_eq!(window.left(), 250);
        assert_eq!(window.grow(u32::MAX), Some(2_147_483_647 - 250));
    }

    #[test]
    fn shifts_below_nought_and_back() {
        let mut window = RecvWindow::new(100);
        assert_eq!(window.take(80), Some(()));
        window.shift(-90);
        assert_eq!(window.left(), 0);
        // 80 bytes were taken under the old window: giving them back leads to the new target and no further.
        assert_eq!(window.give(80), Some(80));
        assert_eq!(window.left(), 10);
        assert_eq!(window.give(80), None);
    }

    #[test]
    fn send_window_refuses_overflow() {
        let mut window = SendWindow::new(DEFAULT_WINDOW);
        assert_eq!(window.open(u32::try_from(MAX_WINDOW - DEFAULT_WINDOW).unwrap()), Some(()));
        assert_eq!(window.open(1), None);
        assert_eq!(window.shift(-i64::from(MAX_WINDOW) - 5), Some(()));
        assert_eq!(window.room(), 0);
        assert_eq!(window.open(6), Some(()));
        assert_eq!(window.room(), 1);
    }
}
