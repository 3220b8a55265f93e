"""What the first bytes of a connection look like: how many bits are set, how printable they are, how random.

These are the features that detectors of fully encrypted traffic and of Shadowsocks read (catalogue CN-05, CN-07). All
take any bytes, also none at all, and cost time linear in their length.
"""

from __future__ import annotations

import math
import re
from collections import Counter

PRINTABLE_FIRST, PRINTABLE_LAST = 0x20, 0x7E  # CN-05: the range that counts as text [P]

_NOT_PRINTABLE = bytes(byte for byte in range(256) if not PRINTABLE_FIRST <= byte <= PRINTABLE_LAST)
_RUN = re.compile(rb"[\x20-\x7e]+")


def popcount(data: bytes) -> float:
    """Bits set in a byte, on average; 0.0 of nothing (random bytes: 4)."""
    return int.from_bytes(data, "big").bit_count() / len(data) if data else 0.0


def printable(data: bytes) -> int:
    """How many bytes are printable ASCII."""
    return len(data.translate(None, _NOT_PRINTABLE))


def printable_fraction(data: bytes) -> float:
    """The share of printable bytes; 0.0 of nothing."""
    return printable(data) / len(data) if data else 0.0


def printable_run(data: bytes) -> int:
    """The length of the longest run of printable bytes."""
    return max((len(run) for run in _RUN.findall(data)), default=0)


def printable_prefix(data: bytes) -> int:
    """How many printable bytes `data` begins with."""
    found = _RUN.match(data)
    return found.end() if found else 0


def entropy(data: bytes) -> float:
    """Shannon's entropy of the bytes' frequencies, in bits a byte: 0.0 to 8.0, and never above log2 of the length."""
    size = len(data)
    if not size:
        return 0.0
    # Sorted, so that the sum of floats is the same whatever order the bytes came in.
    return max(0.0, -sum(n / size * math.log2(n / size) for n in sorted(Counter(data).values())))
