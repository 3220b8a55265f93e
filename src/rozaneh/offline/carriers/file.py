r"""Files of any size: memory cards, attachments, messengers.

A piece is `"RZP1"` and chunks, one behind the other. Each holds the groups of its own symbols, so a piece that arrives
is of use whatever became of the others, and any that are enough make the bundle.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rozaneh.offline import chunks
from rozaneh.offline.split import Run

MAGIC = b"RZP1"
MAX_PIECE = 1 << 30


def pieces(runs: Iterable[Run], size: int) -> Iterator[bytes]:
    """The contents of files of at most `size` bytes."""
    piece = bytearray(MAGIC)
    for run in runs:
        group = run.group.encode()
        listed = False
        for symbol in run.symbols:
            encoded = symbol.encode()
            needed = len(encoded) + (0 if listed else len(group))
            if len(piece) + needed > size:
                yield bytes(piece)
                piece, listed = bytearray(MAGIC), False
            if not listed:
                piece += group
                listed = True
            piece += encoded
    if len(piece) > len(MAGIC):
        yield bytes(piece)


def scan(data: bytes, at: int = 0) -> Iterator[bytes]:
    """What may be chunks in bytes that may be damaged: behind a hole the search goes on."""
    while at < len(data):
        size = chunks.size_at(data, at)
        if size and at + size <= len(data):
            yield data[at : at + size]
            at += size
        else:
            at += 1
