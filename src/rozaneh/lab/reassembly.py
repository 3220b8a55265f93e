"""What a middlebox can read of one direction of a TCP connection by now: nothing put together, in order, or all of it.

The knob is the catalogue's E5. `none` reads each segment by itself (Iran 2020 [C SIGCOMM'20 table 2], Henan [P SP'25
table parsing-logic]), `in_order` joins segments that come one behind the other and forgets those that come early,
`full` keeps early ones until the gap is filled (GFW [P SP'25]). How many segments a box joins at all is a second knob:
the GFW of 2019 read a request cut in two and lost one cut in three [P geneva strategies.md: halves 3 %, 8+4+rest 98 %].
"""

from __future__ import annotations

from typing import Literal

Mode = Literal["none", "in_order", "full"]
Overlap = Literal["first", "last"]

_HALF = 1 << 31
_MASK = (1 << 32) - 1
_MAX_HELD = 32  # early segments that wait for one that is missing
LIMIT = 16_384  # bytes; a ClientHello with post-quantum keys has about 1,800


class Stream:
    """One direction of one connection. Where segments overlap, `overlap` says which byte stays.

    Attributes:
        segments: How many segments brought bytes that were not there before.
    """

    __slots__ = ("_data", "_held", "_limit", "_max", "_mode", "_next", "_overlap", "segments")

    def __init__(
        self, mode: Mode = "full", limit: int = LIMIT, *, max_segments: int = 0, overlap: Overlap = "first"
    ) -> None:
        self._mode = mode
        self._limit = limit
        self._max = max_segments
        self._overlap = overlap
        self._next = -1
        self._data = bytearray()
        self._held: dict[int, bytes] = {}
        self.segments = 0

    def start(self, isn: int) -> None:
        """The stream's first byte comes behind the SYN with this sequence number."""
        self.move(isn + 1)

    def move(self, seq: int) -> None:
        """Forgets everything: the next byte to read is the one at `seq`."""
        self._next = seq & _MASK
        self._data.clear()
        self._held.clear()
        self.segments = 0

    @property
    def started(self) -> bool:
        """Whether a first byte is known."""
        return self._next >= 0

    @property
    def next_seq(self) -> int:
        """The sequence number of the first byte not read yet."""
        return self._next & _MASK

    @property
    def full(self) -> bool:
        """Whether nothing more will be read: as many bytes, or as many segments, as this box takes."""
        return len(self._data) >= self._limit or bool(self._max and self.segments >= self._max)

    def add(self, seq: int, payload: bytes) -> bytes:
        """Takes one segment and returns what can be read from the stream's first byte on (`none`: the segment)."""
        if not self.started:
            self.move(seq)
        if self._mode == "none":
            self.segments += 1
            ahead = (seq - self._next) & _MASK
            if ahead < _HALF:
                self._next = (seq + len(payload)) & _MASK
            return payload[: self._limit]
        self._take(seq & _MASK, payload)
        while self._held:
            ready = [start for start in self._held if (self._next - start) & _MASK < _HALF]
            if not ready:
                break
            for start in ready:
                self._take(start, self._held.pop(start))
        return bytes(self._data)

    def _take(self, seq: int, payload: bytes) -> None:
        ahead = (seq - self._next) & _MASK
        if ahead == 0:
            fresh = payload
        elif ahead < _HALF:
            if self._mode == "full" and ahead < self._limit and len(self._held) < _MAX_HELD:
                if self._overlap == "last":
                    self._held[seq] = payload
                else:
                    self._held.setdefault(seq, payload)
            return
        else:
            behind = _MASK + 1 - ahead
            fresh = payload[behind:]
            if self._overlap == "last":
                self._rewrite(len(self._data) - behind, payload[:behind])
        if not fresh or self.full:
            return
        self.segments += 1
        self._next = (self._next + len(fresh)) & _MASK
        self._data += fresh[: self._limit - len(self._data)]

    def _rewrite(self, at: int, payload: bytes) -> None:
        if at < 0:
            at, payload = 0, payload[-at:]
        payload = payload[: len(self._data) - at]
        self._data[at : at + len(payload)] = payload
