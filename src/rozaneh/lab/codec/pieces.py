"""A byte stream put together from pieces at offsets, bounded in bytes and pieces; of two readings the first stays."""

from __future__ import annotations

MAX_STREAM = 16_384  # bytes of a stream's beginning that are kept
MAX_PIECES = 64  # that wait for what is before them


class Pieces:
    """A stream put together from pieces at offsets; bounded in bytes and in pieces."""

    def __init__(self, limit: int = MAX_STREAM, *, in_order: bool = False) -> None:
        self._limit = limit
        self._in_order = in_order
        self._waiting: dict[int, bytes] = {}
        self.data = b""

    def add(self, offset: int, data: bytes) -> None:
        """Adds a piece; what was there first stays, what lies beyond the limit is forgotten."""
        if not data or offset + len(data) > self._limit:
            return
        if offset > len(self.data):
            if not self._in_order and len(self._waiting) < MAX_PIECES:
                held = self._waiting.get(offset, b"")
                self._waiting[offset] = max(held, data, key=len)
            return
        self.data += data[len(self.data) - offset :]
        for start in sorted(self._waiting):
            if start > len(self.data):
                break
            self.data += self._waiting.pop(start)[len(self.data) - start :]
