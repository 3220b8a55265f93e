"""A set whose members leave it after a while: what a censor goes on punishing after a match (primitive E2)."""

from __future__ import annotations

from collections.abc import Hashable

MAX_MEMBERS = 65_536


class Residual:
    """Keys that count as blocked for `seconds` of lab time; with `restarts`, each hit begins the time again."""

    def __init__(self, seconds: float, *, restarts: bool = False, limit: int = MAX_MEMBERS) -> None:
        self._seconds = seconds
        self._restarts = restarts
        self._limit = limit
        self._until: dict[Hashable, float] = {}

    def __len__(self) -> int:
        return len(self._until)

    def add(self, key: Hashable, now: float) -> None:
        """Blocks `key` from now on."""
        if self._seconds <= 0:
            return
        self._until.pop(key, None)  # so that the oldest stays first
        if len(self._until) >= self._limit:
            del self._until[next(iter(self._until))]
        self._until[key] = now + self._seconds

    def hit(self, key: Hashable, now: float) -> bool:
        """Whether `key` is blocked at `now`."""
        until = self._until.get(key)
        if until is None:
            return False
        if now >= until:
            del self._until[key]
            return False
        if self._restarts:
            self.add(key, now)
        return True
