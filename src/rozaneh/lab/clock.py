"""The lab's clock and its time of day: monotonic time plus an offset that only jumps forward.

What censors remember reads `now`: residuals, windows, schedules, the prober's delays. Links, policers and injection
delays read `raw`, as kernels do; it never jumps.
"""

from __future__ import annotations

import time
from collections.abc import Callable

DAY_S = 86_400.0
HOUR_S = 3_600.0


class LabClock:
    """A clock that runs with `raw` and can be sent forward."""

    def __init__(self, time_of_day: float = 12.0, raw: Callable[[], float] = time.monotonic) -> None:
        """`time_of_day` is the hour, 0 to 24, that the lab's day stands at when the clock is made."""
        self.raw = raw
        self._offset = 0.0
        self.start = raw()
        self._midnight = self.start - time_of_day * HOUR_S

    def now(self) -> float:
        """Lab time in seconds."""
        return self.raw() + self._offset

    def jump(self, seconds: float) -> None:
        """Sends lab time `seconds` forward; the raw clock stays where it is."""
        if not seconds >= 0:
            raise ValueError(f"the lab's clock only jumps forward, not by {seconds:g} s")
        self._offset += seconds

    def hour(self, now: float) -> float:
        """The hour of the lab's day at lab time `now`, 0 to 24."""
        return (now - self._midnight) % DAY_S / HOUR_S


class VirtualTime:
    """A raw clock that stands still until it is told to move: for chains without sockets."""

    def __init__(self, start: float = 0.0) -> None:
        self.value = start

    def __call__(self) -> float:
        return self.value
