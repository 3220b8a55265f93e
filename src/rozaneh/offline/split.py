"""A bundle's chunks in the order they go out, each with what its group needs to be believed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.keys import SigningKey
from rozaneh.offline import chunks, tables
from rozaneh.offline.chunks import GROUPS, Cut, Group, Symbol

_FEW = 10  # symbols below which a smaller class is taken: two symbols cannot be repaired by a fifth of a symbol


@dataclass(frozen=True, slots=True)
class Run:
    """The symbols of one group, and the group."""

    group: Group
    symbols: tuple[Symbol, ...]


def kind_for(piece: int, length: int) -> int:
    """The class whose symbol and group fit in a piece of so many bytes, the largest that leaves enough symbols.

    Raises:
        Fault: CONFIG when not even the smallest fits.
    """
    fitting = [kind for kind in range(len(chunks.SIZES)) if chunks.chunk_size(kind) + chunks.group_size(kind) <= piece]
    if not fitting:
        least = chunks.chunk_size(0) + chunks.group_size(0)
        raise Fault(FaultKind.CONFIG, "The pieces are too small", hint=f"they need at least {least} bytes")
    enough = [kind for kind in fitting if length >= _FEW * chunks.SIZES[kind]]
    return max(enough, default=min(fitting))


def runs(bundle: Path, kind: int, share: float, key: SigningKey | None) -> Iterator[Run]:
    """The symbols of a bundle, `share` of them added for repair, with groups from its tables or signed by `key`.

    Raises:
        Fault: CONFIG, USAGE or INTEGRITY for a bundle or tables that do not serve.
    """
    try:
        with bundle.open("rb") as file:
            what = chunks.cut(file, kind)
            known = tables.read(tables.beside(bundle), what) if key is None else {}
            for block in range(len(what.blocks)):
                yield from _runs(what, file, block, share, key, known)
    except OSError as error:
        raise Fault(FaultKind.USAGE, f"`{bundle}` cannot be read", why=error.strerror or "") from None


def _runs(
    what: Cut, file: BinaryIO, block: int, share: float, key: SigningKey | None, known: dict[tuple[int, int], Group]
) -> Iterator[Run]:
    symbols = what.symbols(file, block, 0, what.repair(block, share))
    signed = known
    if key is not None:
        signed = {(one.block, one.first): one for one in chunks.groups(symbols, what.length, key)}
    step = GROUPS[what.key.kind]
    for first in range(0, len(symbols), step):
        group = signed.get((block, first))
        part = tuple(symbols[first : first + step])
        if group is None or len(group.hashes) < len(part):
            raise Fault(
                FaultKind.CONFIG,
                "The bundle's tables do not reach so far",
                why="they cover 100 % of repair",
                hint="ask for less with `--fec`, or sign with `--key`",
            )
        yield Run(group, part)
