r"""Signed groups of all codes of a bundle, beside it: who has them can split it without any key.

The file `BUNDLE.tables` is `"RZT1"` and group chunks as they travel. They cover every class of symbols with as many
symbols for repair as the bundle has itself, so a relayer may choose any size and up to 100 % repair. Bundles of more
than 64 MB get the two larger classes only: the others are for DNS and paper, which never move so much.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.keys import SigningKey
from rozaneh.offline import chunks
from rozaneh.offline.chunks import Cut, Group

MAGIC = b"RZT1"
SHARE = 1.0
SMALL_BYTES = 64 << 20
SUFFIX = ".tables"
_MAX_BYTES = 1 << 30


def make(file: BinaryIO, key: SigningKey) -> Iterator[bytes]:
    """The file of tables, piece by piece."""
    yield MAGIC
    name, length = chunks.name_of(file)
    for kind in range(0 if length <= SMALL_BYTES else 2, len(chunks.SIZES)):
        what = chunks.cut_of(chunks.Key(name, kind), length)
        for block in range(len(what.blocks)):
            symbols = what.symbols(file, block, 0, what.repair(block, SHARE))
            for group in chunks.groups(symbols, what.length, key):
                yield group.encode()


def beside(bundle: Path) -> Path:
    """Where a bundle's tables are looked for."""
    return bundle.with_name(bundle.name + SUFFIX)


def read(path: Path, what: Cut) -> dict[tuple[int, int], Group]:
    """The groups of one code, by block and first symbol. Their signatures are for those who join to check.

    Raises:
        Fault: USAGE when there are none; INTEGRITY when they are no tables.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES)
    except OSError as error:
        raise Fault(
            FaultKind.USAGE,
            f"The bundle's tables `{path}` cannot be read",
            why=error.strerror or "",
            hint="they are made with the bundle; with the issuer's key, `--key` makes do without",
        ) from None
    found: dict[tuple[int, int], Group] = {}
    at = len(MAGIC)
    good = data.startswith(MAGIC)
    while good and at < len(data):
        size = chunks.size_at(data, at)
        chunk = chunks.parse(data[at : at + size]) if size else None
        good = isinstance(chunk, Group)
        if isinstance(chunk, Group) and chunk.key == what.key:
            found[chunk.block, chunk.first] = chunk
        at += size
    if not good:
        raise Fault(FaultKind.INTEGRITY, f"`{path}` holds no tables, or is damaged")
    if not found:
        raise Fault(
            FaultKind.INTEGRITY,
            f"`{path}` belongs to another bundle",
            why="or has no tables for pieces of this size",
            hint="choose a larger size, or sign with `--key`",
        )
    return found
