"""A real client's first record, taken apart into fields, each of which can be bent, removed, doubled or cut off.

A server that hides something behind a ClientHello must take every hello but the right one for a stranger's.
"""

from __future__ import annotations

import ssl
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from random import Random

from rozaneh.lab.codec import clienthello

# Within the record: after its header and the message's, the version and the random (RFC 8446 section 4.1.2).
_SESSION = 5 + 4 + 2 + 32
# Points of small order, whose product with any secret is nought (RFC 7748 section 6.1), and two that are not reduced.
_SMALL = (
    bytes(32),
    b"\x01" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
)
_X25519, _X25519_MLKEM768 = 0x001D, 0x11EC


@dataclass(frozen=True, slots=True)
class Field:
    """A part of the record: its name, and where it lies."""

    name: str
    start: int
    end: int


def client_hello(name: str | None, protocols: tuple[str, ...] = ("h2", "http/1.1")) -> bytes:
    """The first record of Python's own TLS client."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(list(protocols))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    connection = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with suppress(ssl.SSLWantReadError):
        connection.do_handshake()
    return outgoing.read()


def parts(hello: bytes) -> tuple[bytes, list[tuple[int, bytes]]]:
    """What stands before the extensions' length in the message's body, and the extensions; `ValueError` if none."""
    found = clienthello.parse(hello)
    if not isinstance(found, clienthello.ClientHello):
        raise ValueError("this is not one whole ClientHello in one record")
    return (
        struct.pack("!H", found.version)
        + found.random
        + bytes([len(found.session_id)])
        + found.session_id
        + struct.pack("!H", 2 * len(found.ciphers))
        + b"".join(struct.pack("!H", one) for one in found.ciphers)
        + bytes([len(found.compression)])
        + found.compression,
        list(found.extensions),
    )


def written(head: bytes, extensions: list[tuple[int, bytes]]) -> bytes:
    """The record of these parts, every length right."""
    body = b"".join(struct.pack("!HH", kind, len(content)) + content for kind, content in extensions)
    message = head + struct.pack("!H", len(body)) + body
    message = b"\x01" + len(message).to_bytes(3, "big") + message
    return b"\x16\x03\x01" + struct.pack("!H", len(message)) + message


def fields(hello: bytes) -> list[Field]:
    """Every field of the record, in order, with nothing between them."""
    _, extensions = parts(hello)
    found: list[Field] = []
    at = 0

    def take(name: str, size: int) -> None:
        nonlocal at
        if size:
            found.append(Field(name, at, at + size))
            at += size

    for name, size in (
        ("record type", 1),
        ("record version", 2),
        ("record length", 2),
        ("message type", 1),
        ("message length", 3),
        ("version", 2),
        ("random", 32),
        ("session id length", 1),
    ):
        take(name, size)
    take("session id", hello[_SESSION])
    take("ciphers length", 2)
    take("ciphers", int.from_bytes(hello[at - 2 : at], "big"))
    take("compressions length", 1)
    take("compressions", hello[at - 1])
    take("extensions length", 2)
    for kind, content in extensions:
        take(f"extension {kind:04x} kind", 2)
        take(f"extension {kind:04x} length", 2)
        take(f"extension {kind:04x}", len(content))
    return found


def bent(hello: bytes, rng: Random) -> Iterator[tuple[str, bytes]]:
    """The hello with every field bent in several ways; each differs from the hello."""
    for field in fields(hello):
        yield from _bent_field(hello, field, rng)
    session = next((field for field in fields(hello) if field.name == "session id"), None)
    if session:
        for at in range(session.start, session.end):
            yield f"session id byte {at - session.start}", _flipped(hello, at, rng)
    yield from _rewritten(hello, rng)


def _bent_field(hello: bytes, field: Field, rng: Random) -> Iterator[tuple[str, bytes]]:
    size = field.end - field.start
    yield f"{field.name} first byte", _flipped(hello, field.start, rng)
    if size > 1:
        yield f"{field.name} last byte", _flipped(hello, field.end - 1, rng)
    for what, value in (("zero", bytes(size)), ("ones", b"\xff" * size)):
        changed = hello[: field.start] + value + hello[field.end :]
        if changed != hello and size <= 64:
            yield f"{field.name} {what}", changed
    if "length" in field.name:
        number = int.from_bytes(hello[field.start : field.end], "big")
        for step in (-1, 1):
            if 0 <= number + step < 256**size:
                value = (number + step).to_bytes(size, "big")
                yield f"{field.name} {step:+d}", hello[: field.start] + value + hello[field.end :]


def _rewritten(hello: bytes, rng: Random) -> Iterator[tuple[str, bytes]]:
    """Hellos whose lengths are right and whose extensions are not."""
    head, extensions = parts(hello)
    for at, (kind, content) in enumerate(extensions):
        rest = [*extensions[:at], *extensions[at + 1 :]]
        yield f"without {kind:04x}", written(head, rest)
        yield f"{kind:04x} twice", written(head, [*extensions, (kind, content)])
        if rest != extensions[:-1]:  # the last one stands there
            yield f"{kind:04x} moved to the end", written(head, [*rest, (kind, content)])
        if content:
            yield f"{kind:04x} empty", written(head, [*extensions[:at], (kind, b""), *extensions[at + 1 :]])
            shorter = [*extensions[:at], (kind, content[:-1]), *extensions[at + 1 :]]
            yield f"{kind:04x} a byte shorter", written(head, shorter)
    yield "no extensions", written(head, [])
    yield "an unknown extension more", written(head, [*extensions, (0x7E57, rng.randbytes(40))])
    yield "session id empty", written(head[:34] + b"\0" + head[35 + head[34] :], extensions)
    yield "session id of 31", written(head[:34] + b"\x1f" + head[35:66] + head[35 + head[34] :], extensions)
    for number, share in enumerate(_shares(extensions, rng)):
        changed = [(kind, share if kind == clienthello.KEY_SHARE else content) for kind, content in extensions]
        if changed != extensions:
            yield f"key share {number}", written(head, changed)


def _shares(extensions: list[tuple[int, bytes]], rng: Random) -> Iterator[bytes]:
    """Key shares a client would not send: points of small order, other people's, groups alone, groups turned round."""
    content = dict(extensions).get(clienthello.KEY_SHARE, b"")
    found: list[tuple[int, bytes]] = []
    at = 2
    while at + 4 <= len(content):
        group, size = struct.unpack_from("!HH", content, at)
        found.append((group, content[at + 4 : at + 4 + size]))
        at += 4 + size
    points = [*_SMALL, rng.randbytes(32)]
    for point in points:
        yield _share([(group, point if group == _X25519 else key) for group, key in found])
        mixed = [(group, key[:-32] + point if group == _X25519_MLKEM768 else key) for group, key in found]
        yield _share(mixed)
    yield _share(found[::-1])
    for group, key in found:
        yield _share([(group, key)])
        yield _share([(group, key[:-1])])
    yield _share([])


def _share(entries: list[tuple[int, bytes]]) -> bytes:
    body = b"".join(struct.pack("!HH", group, len(key)) + key for group, key in entries)
    return struct.pack("!H", len(body)) + body


def lengths(hello: bytes) -> list[int]:
    """Where to cut it off: every byte of its fixed part, each field's edges, and every 24 bytes between."""
    cuts = set(range(1, min(80, len(hello))))
    for field in fields(hello):
        cuts.update((field.start - 1, field.start, field.start + 1))
    cuts.update(range(80, len(hello), 24))
    cuts.add(len(hello) - 1)
    return sorted(cut for cut in cuts if 0 < cut < len(hello))


def named(hello: bytes, name: bytes | None, kind: int = 0) -> bytes:
    """The hello with another name in its server_name extension, or without the extension."""
    head, extensions = parts(hello)
    if name is None:
        return written(head, [one for one in extensions if one[0] != clienthello.SERVER_NAME])
    entry = bytes([kind]) + struct.pack("!H", len(name)) + name
    content = struct.pack("!H", len(entry)) + entry
    rest = [one for one in extensions if one[0] != clienthello.SERVER_NAME]
    return written(head, [(clienthello.SERVER_NAME, content), *rest])


def _flipped(hello: bytes, at: int, rng: Random) -> bytes:
    changed = bytearray(hello)
    changed[at] ^= rng.randrange(1, 256)
    return bytes(changed)
