r"""Chunks: a bundle in pieces, each of which can be checked by itself.

::

    symbol chunk   "r" | class | 8 id | u16 block | u24 symbol | the symbol
    group chunk    "g" | class | 8 id | u16 block | u24 first symbol | u40 length | u8 count
                       | 4 key's hint | count * 16 hashes | 64 signature

The class is the size of symbols: 160, 400, 1,000 or 20,000 bytes. The id is the first eight bytes of the file's
SHA-256, and `length` is the file's: with the class they give the code (`rozaneh_fec`), so two people who split one file
make the same chunks and pieces of both fit together. A group chunk lists the hashes (SHA-256 of the symbol chunk, the
first 16 bytes) of up to `GROUPS[class]` symbols of one block, and the issuer signs it: whoever joins lets nothing else
into the decoder, where one forged symbol would spoil a block. Group chunks travel `REPEATS` times, for without one
its symbols are worth nothing.

Sixteen bytes are enough: a forger must find a second symbol for a hash that is given (2^128), and not any two that are
alike.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.issuer import HINT_BYTES, hint
from rozaneh.core.keys import SIGNATURE_BYTES, SigningKey, verify
from rozaneh.core.signed import signed_bytes
from rozaneh.engine._native import fec_blocks, fec_encode

LABEL = "rozaneh chunk group v1"
SIZES = (160, 400, 1_000, 20_000)  # for DNS answers, printed codes, codes on screens and packets, files
# Symbols of a group: at most 64, and fewer where their hashes would be much longer than what they belong to.
GROUPS = (16, 32, 64, 64)
REPEATS = 3
ID_BYTES = 8
HASH_BYTES = 16
MAX_LENGTH = (1 << 40) - 1
MAX_BLOCKS = 1 << 16
_HEAD = struct.Struct(">cB8sH3s")
_GROUP = struct.Struct(f">5sB{HINT_BYTES}s")
HEAD_BYTES = _HEAD.size


@dataclass(frozen=True, slots=True)
class Key:
    """Which file, in which code."""

    id: bytes
    kind: int


@dataclass(frozen=True, slots=True)
class Symbol:
    """A symbol chunk."""

    key: Key
    block: int
    number: int
    content: bytes

    def encode(self) -> bytes:
        """Its bytes."""
        return _head(b"r", self.key, self.block, self.number) + self.content


@dataclass(frozen=True, slots=True)
class Group:
    """A group chunk whose signature has not been checked."""

    key: Key
    block: int
    first: int
    length: int
    hint: bytes
    hashes: tuple[bytes, ...]
    signature: bytes

    def message(self) -> bytes:
        """What is signed."""
        return signed_bytes(LABEL, self.encode()[:-SIGNATURE_BYTES])

    def encode(self) -> bytes:
        """Its bytes."""
        counts = _GROUP.pack(self.length.to_bytes(5, "big"), len(self.hashes), self.hint)
        return _head(b"g", self.key, self.block, self.first) + counts + b"".join(self.hashes) + self.signature

    def signed_by(self, public: bytes) -> bool:
        """Whether this key signed it."""
        return hint(public) == self.hint and verify(public, self.signature, self.message())


def hash_of(chunk: bytes) -> bytes:
    """A symbol chunk's hash, as a group lists it."""
    return hashlib.sha256(chunk).digest()[:HASH_BYTES]


def group_size(kind: int) -> int:
    """Bytes of the largest group chunk of a class."""
    return HEAD_BYTES + _GROUP.size + GROUPS[kind] * HASH_BYTES + SIGNATURE_BYTES


def chunk_size(kind: int) -> int:
    """Bytes of a symbol chunk of a class."""
    return HEAD_BYTES + SIZES[kind]


def parse(data: bytes) -> Symbol | Group | None:
    """The chunk in these bytes, exactly; None where there is none."""
    if len(data) < HEAD_BYTES:
        return None
    mark, kind, name, block, number = _HEAD.unpack_from(data)
    if kind >= len(SIZES):
        return None
    key, first = Key(name, kind), int.from_bytes(number, "big")
    body = data[HEAD_BYTES:]
    if mark == b"r":
        return Symbol(key, block, first, body) if len(body) == SIZES[kind] else None
    if mark != b"g" or len(body) < _GROUP.size:
        return None
    length, count, signer = _GROUP.unpack_from(body)
    whole = int.from_bytes(length, "big")
    end = _GROUP.size + count * HASH_BYTES
    if not 1 <= count <= GROUPS[kind] or first % GROUPS[kind] or whole == 0 or len(body) != end + SIGNATURE_BYTES:
        return None
    hashes = tuple(body[at : at + HASH_BYTES] for at in range(_GROUP.size, end, HASH_BYTES))
    return Group(key, block, first, whole, signer, hashes, body[end:])


def size_at(data: bytes, at: int) -> int:
    """Bytes of the chunk that begins at `at`, as its head says; 0 where none does."""
    if len(data) < at + HEAD_BYTES or data[at : at + 1] not in (b"r", b"g") or data[at + 1] >= len(SIZES):
        return 0
    kind = data[at + 1]
    if data[at : at + 1] == b"r":
        return chunk_size(kind)
    if len(data) < at + HEAD_BYTES + _GROUP.size:
        return 0
    return HEAD_BYTES + _GROUP.size + data[at + HEAD_BYTES + 5] * HASH_BYTES + SIGNATURE_BYTES


@dataclass(frozen=True, slots=True)
class Cut:
    """A file and one of its codes."""

    key: Key
    length: int
    blocks: tuple[tuple[int, int, int], ...]

    @property
    def size(self) -> int:
        """Bytes of a symbol."""
        return SIZES[self.key.kind]

    def symbols(self, file: BinaryIO, block: int, first: int, count: int) -> list[Symbol]:
        """Symbols of a block, in order; those past the block's own repair it."""
        offset, length, _ = self.blocks[block]
        file.seek(offset)
        data = file.read(length)
        if len(data) != length:
            raise Fault(FaultKind.INTEGRITY, "The file became shorter while it was read")
        made = fec_encode(self.length, self.size, block, data, first, count)
        return [Symbol(self.key, block, first + place, content) for place, content in enumerate(made)]

    def repair(self, block: int, share: float) -> int:
        """How many symbols of a block go out when `share` of them, rounded up, are added for repair."""
        own = self.blocks[block][2]
        return own + math.ceil(own * share - 1e-9)  # a tenth of 30 is 3, whatever floating point makes of it


def name_of(file: BinaryIO) -> tuple[bytes, int]:
    """The id and the length of a file, which is read to its end.

    Raises:
        Fault: CONFIG when there is nothing in it, or too much for any code.
    """
    file.seek(0)
    mark = hashlib.file_digest(file, "sha256").digest()  # type: ignore[arg-type]
    length = file.seek(0, 2)
    if not 0 < length <= MAX_LENGTH:
        raise Fault(FaultKind.CONFIG, "There is nothing in the file, or far too much")
    return mark[:ID_BYTES], length


def cut(file: BinaryIO, kind: int) -> Cut:
    """A file in the code of this class.

    Raises:
        Fault: CONFIG when it is too large for it.
    """
    name, length = name_of(file)
    return cut_of(Key(name, kind), length)


def cut_of(key: Key, length: int) -> Cut:
    """The code of a file that is not at hand.

    Raises:
        Fault: CONFIG when it is too large for it.
    """
    if -(-length // SIZES[key.kind]) > MAX_BLOCKS * 1_024:
        raise Fault(FaultKind.CONFIG, f"The file is too large for symbols of {SIZES[key.kind]} bytes")
    return Cut(key, length, tuple(fec_blocks(length, SIZES[key.kind])))


def groups(symbols: Sequence[Symbol], length: int, key: SigningKey) -> Iterator[Group]:
    """The signed groups of a block's symbols, which begin with its first; `length` is the file's."""
    signer = hint(key.public())
    step = GROUPS[symbols[0].key.kind] if symbols else 1
    for first in range(0, len(symbols), step):
        part = symbols[first : first + step]
        hashes = tuple(hash_of(one.encode()) for one in part)
        bare = Group(part[0].key, part[0].block, part[0].number, length, signer, hashes, bytes(SIGNATURE_BYTES))
        yield replace(bare, signature=key.sign(bare.message()))


def _head(mark: bytes, key: Key, block: int, number: int) -> bytes:
    return _HEAD.pack(mark, key.kind, key.id, block, number.to_bytes(3, "big"))
