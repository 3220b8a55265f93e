"""The first bytes one side of a TCP connection sends, put together from its segments as a censor would."""

from __future__ import annotations

_HALF = 1 << 31
_MAX_HELD = 32  # segments waiting for one that is missing


class FirstBytes:
    """Collects up to `limit` bytes in order. Where segments overlap, the byte that came first stays."""

    __slots__ = ("_held", "_limit", "_next", "data")

    def __init__(self, next_seq: int, limit: int = 16_384) -> None:
        self._next = next_seq % 2**32
        self._limit = limit
        self._held: dict[int, bytes] = {}
        self.data = bytearray()

    def add(self, seq: int, payload: bytes) -> bool:
        """Takes one segment; True when `data` has grown."""
        before = len(self.data)
        self._take(seq, payload)
        while self._held:
            ready = [start for start in self._held if (self._next - start) % 2**32 < _HALF]
            if not ready:
                break
            for start in ready:
                self._take(start, self._held.pop(start))
        return len(self.data) > before

    @property
    def full(self) -> bool:
        """Whether no more will be collected."""
        return len(self.data) >= self._limit

    def _take(self, seq: int, payload: bytes) -> None:
        ahead = (seq - self._next) % 2**32
        if ahead == 0:
            fresh = payload
        elif ahead < _HALF:
            if ahead < self._limit and len(self._held) < _MAX_HELD:
                self._held.setdefault(seq % 2**32, payload)
            return
        else:
            fresh = payload[2**32 - ahead :]
        self._next = (self._next + len(fresh)) % 2**32
        self.data += fresh[: self._limit - len(self.data)]
