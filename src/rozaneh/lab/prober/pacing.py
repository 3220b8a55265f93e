"""Keeps a prober polite outside the lab: so many connections a second, so many in all, and never one more."""

from __future__ import annotations

import time
from collections.abc import Callable

# The rules of the lab for servers outside it.
PER_SECOND = 5.0
IN_ALL = 300


class Exhausted(Exception):
    """All probes that were allowed have been sent."""


class Pace:
    """Hands out start times at least 1/`per_second` apart, `in_all` of them at most; None allows any number."""

    def __init__(
        self,
        per_second: float | None = PER_SECOND,
        in_all: int | None = IN_ALL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gap = 1.0 / per_second if per_second else 0.0
        self._left = in_all
        self._clock = clock
        self._next = float("-inf")

    @property
    def left(self) -> int | None:
        """How many more may be sent; None without a bound."""
        return self._left

    def wait_s(self) -> float:
        """Seconds until the next may start."""
        return max(0.0, self._next - self._clock())

    def take(self) -> None:
        """Counts one that starts now; `Exhausted` when none is left, `ValueError` when it is too early."""
        now = self._clock()
        if self._left == 0:
            raise Exhausted(f"the {IN_ALL} probes allowed for servers outside the lab have been sent")
        if now < self._next:
            raise ValueError("too early for the next probe")
        if self._left is not None:
            self._left -= 1
        self._next = now + self._gap
