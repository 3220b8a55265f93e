r"""The file: signatures, then what is signed, then bytes whose hashes are already known.

::

    "\x89RZB1\r\n\x1a"  u8 number of editions
    per edition:   u16 length | u8 number of signatures | per signature: 32 key | 64 signature      (keys ascending)
                   u32 length | manifest
    blobs, without gaps: those of the first edition that are in the file, then those of the second that are not yet, …

Read from front to back in one pass: nothing is believed before its signature or its hash was checked, nothing is held
but the manifests, and a file that ends too early still gives what came whole. The magic's odd bytes show a file that
was sent as text (as PNG's do, RFC 2083 section 3.1). One file is made of one edition; merged ones hold several, each
as it was signed.

A signature covers `signed_bytes("rozaneh bundle v1", manifest)`. Keys named in the file are no more than a hint which
signature is whose; whether they count is the issuer's policy, which the reader has from elsewhere. Each signature in a
file must be good, also of keys that do not count, so that no byte of a file can be changed unseen.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.issuer import Issuer
from rozaneh.core.keys import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, SigningKey, verify
from rozaneh.core.signed import signed_bytes
from rozaneh.offline.manifest import MAX_BYTES, Blob, Manifest, Type, decode, digest
from rozaneh.offline.manifest import inflate as inflate_to

MAGIC = b"\x89RZB1\r\n\x1a"
LABEL = "rozaneh bundle v1"
MAX_EDITIONS = 32  # a month of days, merged
MAX_SIGNATURES = 16
_ENTRY = PUBLIC_KEY_BYTES + SIGNATURE_BYTES
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Edition:
    """One signed manifest, its signatures as they stand in the file."""

    manifest: Manifest
    encoded: bytes
    signatures: tuple[tuple[bytes, bytes], ...]

    @property
    def digest(self) -> str:
        """What machines call it."""
        return digest(self.encoded)

    @property
    def signers(self) -> tuple[bytes, ...]:
        """The keys whose signatures are good."""
        return tuple(key for key, _ in self.signatures)


@dataclass(slots=True)
class Head:
    """All of a file that stands before its blobs."""

    editions: tuple[Edition, ...]
    order: tuple[Blob, ...] = field(default=())

    def __post_init__(self) -> None:
        self.order = tuple(stored(edition.manifest for edition in self.editions))


def stored(manifests: Iterable[Manifest]) -> Iterator[Blob]:
    """The blobs of a file with these editions, in the order they stand in it."""
    seen: set[str] = set()
    for manifest in manifests:
        for blob in manifest.blobs:
            if not blob.base and blob.hash not in seen:
                seen.add(blob.hash)
                yield blob


def sign(manifest: Manifest, keys: Sequence[SigningKey]) -> Edition:
    """The edition, signed by every one of `keys`.

    Raises:
        Fault: CONFIG when a bound is broken, or there are no keys, too many, or one twice.
    """
    try:
        encoded = manifest.encode()
    except ValueError as error:
        raise Fault(FaultKind.CONFIG, "The bundle cannot be made", why=str(error)) from None
    publics = [key.public() for key in keys]
    if not 1 <= len(keys) <= MAX_SIGNATURES or len(set(publics)) != len(publics):
        raise Fault(FaultKind.CONFIG, f"A bundle is signed by 1 to {MAX_SIGNATURES} different keys")
    message = signed_bytes(LABEL, encoded)
    return Edition(manifest, encoded, tuple(sorted((key.public(), key.sign(message)) for key in keys)))


def write(file: BinaryIO, editions: Sequence[Edition], blobs: Mapping[str, bytes]) -> None:
    """Writes the file of these editions; `blobs` has the bytes of each blob that stands in it, by hash.

    Raises:
        Fault: CONFIG when there are too many editions; BUG when bytes are missing or are others.
    """
    if not 1 <= len(editions) <= MAX_EDITIONS:
        raise Fault(FaultKind.CONFIG, f"A bundle holds 1 to {MAX_EDITIONS} editions")
    file.write(MAGIC + struct.pack(">B", len(editions)))
    for edition in editions:
        block = struct.pack(">B", len(edition.signatures)) + b"".join(key + mark for key, mark in edition.signatures)
        file.write(struct.pack(">H", len(block)) + block)
        file.write(struct.pack(">I", len(edition.encoded)) + edition.encoded)
    for blob in stored(edition.manifest for edition in editions):
        content = blobs.get(blob.hash, b"")
        if len(content) != blob.size or hashlib.sha256(content).hexdigest() != blob.hash:
            raise Fault(FaultKind.BUG, "A part of the bundle is not what its contents say")
        file.write(content)


def read_head(file: BinaryIO, issuer: Issuer | None) -> Head:
    """Everything before the blobs; with an `issuer`, each edition's signatures are checked before it is parsed.

    Raises:
        Fault: INTEGRITY when it is no bundle, is damaged, or was signed by others.
    """
    if _take(file, len(MAGIC), "it does not begin like one") != MAGIC:
        raise _no_bundle("it does not begin like one")
    (count,) = struct.unpack(">B", _take(file, 1))
    if not 1 <= count <= MAX_EDITIONS:
        raise _no_bundle("it holds no edition, or too many")
    editions = tuple(_edition(file, issuer) for _ in range(count))
    if len({edition.encoded for edition in editions}) != count:
        raise _no_bundle("it holds an edition twice")
    return Head(editions)


def read_blobs(file: BinaryIO, head: Head) -> Iterator[tuple[Blob, bytes | None]]:
    """The blobs behind `head`, each with its bytes, or None where they are missing or are not those that were signed.

    Nothing behind a damaged blob is lost: sizes are known. Whether anything is appended, `at_end` tells afterwards.
    """
    for blob in head.order:
        content = file.read(blob.size)
        whole = len(content) == blob.size and hashlib.sha256(content).hexdigest() == blob.hash
        yield blob, content if whole else None


def at_end(file: BinaryIO) -> bool:
    """Whether nothing stands behind the last blob."""
    return not file.read(1)


def deflate(text: bytes) -> bytes:
    """Text as it is stored. The bytes are the same for one version of zlib."""
    return zlib.compress(text, 9)


def inflate(blob: Blob, content: bytes) -> bytes:
    """What a blob says, at most as long as its manifest promised.

    Raises:
        Fault: INTEGRITY when it is longer, shorter, or no such stream.
    """
    if blob.type is not Type.TEXT:
        return content
    try:
        text = inflate_to(content, blob.plain)
    except ValueError:
        text = b""
    if len(text) != blob.plain:
        raise Fault(FaultKind.INTEGRITY, "A text in the bundle is longer or shorter than it says")
    return text


def _edition(file: BinaryIO, issuer: Issuer | None) -> Edition:
    (length,) = struct.unpack(">H", _take(file, 2))
    if not 1 + _ENTRY <= length <= 1 + MAX_SIGNATURES * _ENTRY or (length - 1) % _ENTRY:
        raise _no_bundle("its signatures are not written as they must be")
    block = _take(file, length)
    if block[0] != (length - 1) // _ENTRY:
        raise _no_bundle("its signatures are not as many as it says")
    signatures = tuple(
        (block[at : at + PUBLIC_KEY_BYTES], block[at + PUBLIC_KEY_BYTES : at + _ENTRY])
        for at in range(1, length, _ENTRY)
    )
    keys = [key for key, _ in signatures]
    if keys != sorted(set(keys)):
        raise _no_bundle("its signatures are out of order")
    (size,) = struct.unpack(">I", _take(file, 4))
    if not 1 <= size <= MAX_BYTES:
        raise _no_bundle("its contents are longer than any bundle's may be")
    encoded = _take(file, size)
    message = signed_bytes(LABEL, encoded)
    if not all(verify(key, mark, message) for key, mark in signatures):
        raise Fault(
            FaultKind.INTEGRITY, "The bundle's signature does not fit", why="it was damaged on its way, or forged"
        )
    if issuer is not None and not issuer.accepts(keys):
        raise Fault(
            FaultKind.INTEGRITY,
            "The bundle was not signed by its issuer",
            why="the key that signed it was replaced by a newer one"
            if issuer.retired(keys)
            else f"too few of the keys of `{issuer.words}` have signed it",
        )
    return Edition(decode(encoded), encoded, signatures)


def _take(file: BinaryIO, size: int, why: str = "it ends before its contents do") -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = file.read(min(_CHUNK, size - len(parts)))
        if not part:
            raise _no_bundle(why)
        parts += part
    return bytes(parts)


def _no_bundle(why: str) -> Fault:
    return Fault(FaultKind.INTEGRITY, "This is not a whole bundle", why=why)
