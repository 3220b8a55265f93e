"""A token bucket: how much of a flow passes a policer at once and over time (X-01), on the raw clock as kernels count.

`take` is a policer: what finds too few tokens is to be dropped. `wait` is a shaper: it says how much later a packet
goes on, and None when the queue is full.
"""

from __future__ import annotations


class Bucket:
    """`rate` in bytes a second, `burst` in bytes; full at first."""

    __slots__ = ("_burst", "_last", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float) -> None:
        if not rate > 0 or not burst > 0:
            raise ValueError(f"a bucket has a rate and a burst above 0, not {rate:g} and {burst:g}")
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._last: float | None = None

    def take(self, size: int, raw_time: float) -> bool:
        """Takes `size` bytes if they are there; a packet larger than the whole burst never is."""
        self._fill(raw_time)
        if self._tokens < size:
            return False
        self._tokens -= size
        return True

    def wait(self, size: int, raw_time: float, queue: float) -> float | None:
        """Takes `size` bytes, in debt if need be: the seconds until they are paid; None with `queue` bytes owed."""
        self._fill(raw_time)
        if self._tokens - size < -queue:
            return None
        self._tokens -= size
        return max(0.0, -self._tokens / self._rate)

    def _fill(self, raw_time: float) -> None:
        if self._last is not None and raw_time > self._last:
            self._tokens = min(self._burst, self._tokens + (raw_time - self._last) * self._rate)
        self._last = raw_time
