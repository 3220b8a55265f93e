"""Probes that begin with a client's first flight which the server has never seen: the censor kept it from arriving.

A replay filter cannot know it, so an edge by REALITY takes it for its reader's. The censor does not have the keys to go
on, and must learn nothing from how the edge answers what does not fit: it has to be the cover's answer.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from random import Random

from rozaneh.lab import records
from rozaneh.lab.tell.battery import CHANGE_CIPHER, CHANGES, Probe
from rozaneh.lab.tell.talk import Finish, Hear, Pause, Plain, Say, Step

# Sizes of a record in place of the client's Finished: nothing, its tag alone, Finished with SHA-256 and SHA-384 and
# their tags and content kind, more, the largest there may be and one byte beyond (RFC 8446 section 5.2).
_LENGTHS = (0, 1, 16, 17, 53, 69, 200, 1_000, 16_384, 16_640, 16_641, 20_000)
_WORD_S = 3.0


class Stolen:
    """First flights, each for one visit to each of so many servers; all but one of them are nobody's edge."""

    def __init__(self, servers: int) -> None:
        self._servers = servers
        self._left: list[bytes] = []

    def fill(self, flights: Sequence[bytes]) -> None:
        """Throws away what is left, which is old by now, and takes these."""
        self._left = [flight for flight in flights for _ in range(self._servers)]

    def take(self) -> bytes:
        """The next one; `LookupError` when all are used up."""
        if not self._left:
            raise LookupError("all stolen first flights are used up")
        return self._left.pop()


def battery(stolen: Stolen, seed: int = 0, every: int = 1) -> list[Probe]:
    """The probes, or every so manieth; each visit uses up one first flight."""
    rng = Random(f"{seed}/stolen")  # noqa: S311 - the same seed sends the same bytes
    return [_probe(name, stolen, steps) for name, steps in list(_endings(rng))[::every]]


def _probe(name: str, stolen: Stolen, steps: list[Step]) -> Probe:
    family = "changes" if "changes" in name else "unfinished"
    return Probe(f"stolen: {name}", family, lambda: Plain([Say(stolen.take()), *steps]))


def _endings(rng: Random) -> Iterator[tuple[str, list[Step]]]:
    heard = Hear(_WORD_S)
    yield "nothing more", []
    yield "the end", [heard, Finish()]
    yield "the end at once", [Finish()]
    for count in range(1, CHANGES + 1):
        yield f"{count} changes", [heard, Say(CHANGE_CIPHER * count)]
    for length in _LENGTHS:
        record = b"\x17\x03\x03" + struct.pack("!H", length) + rng.randbytes(length)
        yield f"data of {length}", [heard, Say(record)]
        yield f"a change, data of {length}", [heard, Say(CHANGE_CIPHER + record)]
        yield f"a change, half of {length}", [heard, Say((CHANGE_CIPHER + record)[: 6 + (5 + length) // 2])]
    for kind in (0, 0x13, 0x15, 0x16, 0x18, 0x19, 0xFF):
        for body in (b"", b"\x02\x28", b"\x01\x00", rng.randbytes(40)):
            record = bytes([kind]) + b"\x03\x03" + struct.pack("!H", len(body)) + body
            yield f"record {kind:02x} of {len(body)} ({body[:2].hex()})", [heard, Say(record)]
    for name, text in (
        ("a change of nought", b"\x14\x03\x03\x00\x01\x00"),
        ("a change of two", b"\x14\x03\x03\x00\x02\x01\x01"),
        ("an empty change", b"\x14\x03\x03\x00\x00"),
        ("a change of version 0301", b"\x14\x03\x01\x00\x01\x01"),
        ("data of version 0301", b"\x17\x03\x01\x00\x35" + rng.randbytes(53)),
        ("data of version 0505", b"\x17\x05\x05\x00\x35" + rng.randbytes(53)),
        ("plain text", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("junk", rng.randbytes(500)),
        ("a changed hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" + rng.randbytes(508)),
    ):
        yield name, [heard, Say(text)]
    yield "a change, a pause, junk", [heard, Say(CHANGE_CIPHER), Pause(0.3), Say(rng.randbytes(64))]
    yield "a change, the end", [heard, Say(CHANGE_CIPHER), Finish()]
    yield "ten large records", [heard, Say(b"".join(_large(rng) for _ in range(10)))]


def _large(rng: Random) -> bytes:
    return b"\x17\x03\x03" + struct.pack("!H", records.MAX_RECORD) + rng.randbytes(records.MAX_RECORD)
