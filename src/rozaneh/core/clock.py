"""Time as a parameter: nothing of ours reads the system's clock except through a ``Clock``.

Wall time (``now``) judges signatures and expiry and may be wrong; it is never moved by us. Monotonic time
(``monotonic``) measures waits. Tests hand in a ``FakeClock`` and move it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Protocol


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> int:
        """Seconds since 1970-01-01 UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes back."""
        ...


class SystemClock:
    """The operating system's clocks."""

    def now(self) -> int:
        """Seconds since 1970-01-01 UTC, as the system believes."""
        return int(time.time())

    def monotonic(self) -> float:
        """The system's monotonic clock."""
        return time.monotonic()


@dataclass
class FakeClock:
    """A clock that stands still until it is told otherwise."""

    wall: int = 1_800_000_000
    steady: float = field(default=0.0)

    def now(self) -> int:
        """The wall time that was set."""
        return self.wall

    def monotonic(self) -> float:
        """The steady time that was set."""
        return self.steady

    def advance(self, seconds: float) -> None:
        """Move both clocks forward.

        Raises:
            ValueError: ``seconds`` is negative; a steady clock never goes back.
        """
        if seconds < 0:
            raise ValueError("a clock moves forward only")
        self.steady += seconds
        self.wall += int(seconds)
