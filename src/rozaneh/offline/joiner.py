"""Puts bundles together out of chunks that come in any order, from several sources, with losses, doubles and forgeries.

Only what a signed group lists gets into a decoder. A symbol that comes before its group waits; what waits is bounded,
and the oldest goes first, so a flood of forgeries costs an attacker more than it costs the reader.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from rozaneh.core.errors import Fault
from rozaneh.core.files import TEMPORARY
from rozaneh.core.issuer import Issuer, hint
from rozaneh.engine._native import FecDecoder
from rozaneh.offline import chunks
from rozaneh.offline.chunks import GROUPS, HASH_BYTES, Cut, Group, Key, Symbol

WAITING_BYTES = 4 << 20  # the bound
MAX_FILES = 8  # that are gathered at a time; each was announced by the issuer


@dataclass(slots=True)
class Gathering:
    """One file so far."""

    cut: Cut
    decoder: FecDecoder
    path: Path
    listed: dict[tuple[int, int], tuple[bytes, ...]] = field(default_factory=dict)
    used: int = 0

    def missing(self) -> list[tuple[int, int, int]]:
        """Blocks that are not whole: number, symbols here, symbols needed at least."""
        return [
            (block, self.decoder.have(block), needed)
            for block, (_, _, needed) in enumerate(self.cut.blocks)
            if not self.decoder.is_whole(block)
        ]


@dataclass(slots=True)
class Tally:
    """What came, by what became of it."""

    accepted: int = 0
    known: int = 0
    waiting: int = 0
    refused: int = 0


class Joiner:
    """Gathers files in a folder.

    Args:
        issuer: Whose groups count. One member's signature lets chunks in; that enough have signed is asked of the
            bundle when it is whole.
        folder: For files in the making; they are removed at the end.
    """

    def __init__(self, issuer: Issuer, folder: Path) -> None:
        self._keys = {hint(member.key): member.key for member in issuer.members}
        self._folder = folder
        self._files: dict[Key, Gathering] = {}
        self._waiting: OrderedDict[bytes, Symbol] = OrderedDict()
        self._wanted: defaultdict[tuple[Key, int, int], set[bytes]] = defaultdict(set)
        self._waiting_bytes = 0
        self._whole: dict[Key, Path] = {}
        self._stack = ExitStack()
        self.tally = Tally()

    def __enter__(self) -> Joiner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.clear()
        self._stack.close()

    def add_all(self, found: Iterable[bytes]) -> None:
        """Takes chunks until there are no more."""
        for one in found:
            self.add(one)

    def add(self, data: bytes) -> bool:
        """Takes one chunk; whether a file became whole with it."""
        chunk = chunks.parse(data)
        if isinstance(chunk, Group):
            return self._group(chunk)
        if chunk is None:
            self.tally.refused += 1
            return False
        return self._symbol(chunk, chunks.hash_of(data))

    @property
    def whole(self) -> tuple[Path, ...]:
        """The files that are whole."""
        return tuple(self._whole.values())

    @property
    def gathering(self) -> tuple[Gathering, ...]:
        """The files that are not."""
        return tuple(one for key, one in self._files.items() if key not in self._whole)

    def _group(self, group: Group) -> bool:
        gathering = self._files.get(group.key)
        if gathering is not None and (group.block, group.first) in gathering.listed:
            self.tally.known += 1
            return False
        public = self._keys.get(group.hint)
        if public is None or not group.signed_by(public):
            self.tally.refused += 1
            return False
        if gathering is None:
            gathering = self._begin(group)
        fits = (
            gathering is not None and gathering.cut.length == group.length and group.block < len(gathering.cut.blocks)
        )
        if gathering is None or not fits:
            self.tally.refused += 1
            return False
        gathering.listed[group.block, group.first] = group.hashes
        self.tally.accepted += 1
        done = False
        for mark in self._wanted.pop((group.key, group.block, group.first), set()):
            symbol = self._waiting.pop(mark)
            self._waiting_bytes -= len(symbol.content)
            self.tally.waiting -= 1
            done |= self._symbol(symbol, mark)
        return done

    def _begin(self, group: Group) -> Gathering | None:
        if len(self._files) >= MAX_FILES:
            return None
        try:
            cut = chunks.cut_of(group.key, group.length)
        except Fault:
            return None
        name = f"{TEMPORARY}{secrets.token_hex(8)}"
        out, scratch = self._folder / name, self._folder / f"{name}.waiting"
        for path in (out, scratch):
            self._stack.callback(path.unlink, missing_ok=True)
        gathering = Gathering(cut, FecDecoder(cut.length, cut.size, out, scratch), out)
        self._files[group.key] = gathering
        return gathering

    def _symbol(self, symbol: Symbol, mark: bytes) -> bool:
        gathering = self._files.get(symbol.key)
        first = symbol.number - symbol.number % GROUPS[symbol.key.kind]
        listed = gathering.listed.get((symbol.block, first)) if gathering is not None else None
        if gathering is None or listed is None:
            self._wait(symbol, mark, first)
            return False
        place = symbol.number - first
        if place >= len(listed) or listed[place] != mark:
            self.tally.refused += 1
            return False
        became = gathering.decoder.add(symbol.block, symbol.number, symbol.content)
        self.tally.accepted += became > 0
        self.tally.known += became == 0
        gathering.used += became > 0
        if became != 2 or not gathering.decoder.complete or symbol.key in self._whole:
            return False
        gathering.decoder.sync()
        with gathering.path.open("rb") as file:
            name = hashlib.file_digest(file, "sha256").digest()[: chunks.ID_BYTES]
        if name != symbol.key.id:
            # Groups by one issuer for two different files under one name: nothing can be made of either.
            self.tally.refused += 1
            return False
        self._whole[symbol.key] = gathering.path
        return True

    def _wait(self, symbol: Symbol, mark: bytes, first: int) -> None:
        mark = mark[:HASH_BYTES]
        if mark in self._waiting:
            self.tally.known += 1
            return
        self._waiting[mark] = symbol
        self._wanted[symbol.key, symbol.block, first].add(mark)
        self._waiting_bytes += len(symbol.content)
        self.tally.waiting += 1
        while self._waiting_bytes > WAITING_BYTES:
            gone, oldest = self._waiting.popitem(last=False)
            place = (oldest.key, oldest.block, oldest.number - oldest.number % GROUPS[oldest.key.kind])
            self._wanted[place].discard(gone)
            if not self._wanted[place]:
                del self._wanted[place]
            self._waiting_bytes -= len(oldest.content)
            self.tally.waiting -= 1
            self.tally.refused += 1
