"""Finds after how many bytes of junk a server closes, and from which count on it resets: NDSS'20 IV-C.1 [P].

4,096 bytes first, halved while the server closes within three seconds, else doubled up to 1 MB; then the exact count
by bisection, and one byte below and at it again with three seeds: a count that does not hold for all is `unstable`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rozaneh.lab.prober.attempt import Reaction

START = 4_096
LIMIT = 1 << 20
SEEDS = 3
# "closed (FIN or RST) within 3 seconds"
WITHIN_S = 3.0

# Sends that many random bytes made from that seed and reports what came within WITHIN_S.
Send = Callable[[int, int], Reaction]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Byte counts from which on a server closes.

    Attributes:
        close: The smallest count it closes at once for; None when it does not up to the limit.
        end: How it closes there (`fin`, `rst`, or `data`: it answers).
        reset: The smallest count it resets for; None when it never does.
        stable: Whether three seeds agree.
        sent: Connections used.
    """

    close: int | None
    end: str = ""
    reset: int | None = None
    stable: bool = True
    sent: int = 0


def find(send: Send, *, limit: int = LIMIT) -> Thresholds:
    """The thresholds of the server behind `send`."""
    search = _Search(send)
    high: int | None = None
    low = 0
    count = START
    if search.closes(count):
        while count > 1 and search.closes(count):
            high, count = count, count // 2
        low = 0 if count == 1 and search.closes(1) else count
        if low == 0:
            high = 1
    else:
        low = count
        while count < limit:
            count = min(limit, count * 2)
            if search.closes(count):
                high = count
                break
            low = count
    if high is None:
        return Thresholds(None, sent=search.sent)
    close = search.bisect(low, high, search.closes)
    end = search.react(close).closed
    answered = search.react(close).kind == "data"
    reset: int | None = None
    if end == "rst":
        reset = close
    else:
        count = close
        while count < limit and not search.resets(count):
            count = min(limit, count * 2)
        if search.resets(count):
            reset = search.bisect(close, count, search.resets)
    stable = all(
        (close == 1 or not search.closes(close - 1, seed)) and search.closes(close, seed)
        for seed in range(1, SEEDS + 1)
    )
    return Thresholds(close, "data" if answered else end, reset, stable, search.sent)


class _Search:
    """Remembers what was sent, so that no count is tried twice with the same seed."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._seen: dict[tuple[int, int], Reaction] = {}

    @property
    def sent(self) -> int:
        return len(self._seen)

    def react(self, count: int, seed: int = 0) -> Reaction:
        key = (count, seed)
        if key not in self._seen:
            self._seen[key] = self._send(count, seed)
        return self._seen[key]

    def closes(self, count: int, seed: int = 0) -> bool:
        return self.react(count, seed).closed in ("fin", "rst")

    def resets(self, count: int) -> bool:
        return self.react(count).closed == "rst"

    def bisect(self, low: int, high: int, holds: Callable[[int], bool]) -> int:
        """The smallest count in (low, high] for which `holds`, given that it does for `high`."""
        while high - low > 1:
            middle = (low + high) // 2
            if holds(middle):
                high = middle
            else:
                low = middle
        return high
