"""First flights by a profile, from a seed: what tests derive from and compare with (the product's writer is Rust)."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence

from rozaneh.data.browsers import schema
from rozaneh.lab.browser.capture import name


def flights(hello: schema.Hello, count: int, seed: int = 0) -> list[bytes]:
    """So many first flights, for the names a capture uses."""
    rng = random.Random(seed)  # noqa: S311 - repeatability is the point
    return [flight(hello, name(index), rng) for index in range(count)]


def flight(hello: schema.Hello, server: str, rng: random.Random) -> bytes:
    """One first flight."""
    grease: dict[str, int] = {}
    for variable in hello.grease:
        value = _grease(rng)
        while variable.unlike is not None and value == grease[variable.unlike]:
            value = value ^ variable.flip if variable.flip else _grease(rng)
        grease[variable.name] = value

    def number(value: schema.Number) -> bytes:
        return struct.pack(">H", grease[value] if isinstance(value, str) else value)

    def body(one: schema.Extension) -> bytes:
        match one:
            case schema.Fixed():
                return bytes.fromhex(one.body)
            case schema.Choice():
                return bytes.fromhex(rng.choices(one.bodies, [each.weight for each in one.bodies])[0].body)
            case schema.ServerName():
                return vector(2, b"\0" + vector(2, server.encode()))
            case schema.Numbers():
                return vector(one.prefix, b"".join(map(number, one.values)))
            case schema.KeyShare():
                key = rng.randbytes(31) + b"\1"
                return vector(2, b"".join(number(s.group) + vector(2, _share(s, one, key, rng)) for s in one.shares))
            case schema.EchGrease():
                suite = rng.choices(one.suites, [each.weight for each in one.suites])[0]
                payload = rng.choices(one.payloads, [each.weight for each in one.payloads])[0]
                head = struct.pack(">BHHB", 0, suite.kdf, suite.aead, rng.randrange(256))
                return head + vector(2, _key(one, rng)) + vector(2, rng.randbytes(payload.length))
            case schema.Padding():
                return b""

    parts = [
        (one, number(one.type) + vector(2, body(one)))
        for one in _order(hello.extensions, rng)
        if one.share is None or rng.random() < one.share
    ]
    front = struct.pack(">H", hello.version) + rng.randbytes(32) + vector(1, rng.randbytes(hello.session_id))
    front += vector(2, b"".join(map(number, hello.ciphers))) + vector(1, bytes.fromhex(hello.compression))
    bare = 4 + len(front) + 2 + sum(len(part) for one, part in parts if not isinstance(one, schema.Padding))
    extensions = b""
    for one, part in parts:
        if not isinstance(one, schema.Padding):
            extensions += part
        elif one.above < bare < one.to:
            extensions += number(one.type) + vector(2, bytes(max(1, one.to - bare - 4)))
    message = b"\1" + vector(3, front + vector(2, extensions))
    out = b""
    for size in (*hello.records, len(message)):
        piece, message = message[:size], message[size:]
        if piece:
            out += b"\x16" + struct.pack(">H", hello.record_version) + vector(2, piece)
    return out


def vector(width: int, content: bytes) -> bytes:
    """A vector with its length in front."""
    return len(content).to_bytes(width, "big") + content


def _grease(rng: random.Random) -> int:
    return 0x0A0A + 0x1010 * rng.randrange(16)


def _key(one: schema.EchGrease, rng: random.Random) -> bytes:
    key = rng.randbytes(one.key)
    return key[:-1] + bytes([key[-1] & 0x7F]) if one.x25519 else key


def _share(share: schema.Share, one: schema.KeyShare, key: bytes, rng: random.Random) -> bytes:
    if share.body is not None:
        return bytes.fromhex(share.body)
    if share.group == 0x11EC:
        return rng.randbytes(1184) + (key if one.one_x25519 else rng.randbytes(31) + b"\3")
    return key


def _order(extensions: Sequence[schema.Extension], rng: random.Random) -> list[schema.Extension]:
    made: list[schema.Extension] = []
    run: list[schema.Extension] = []
    for one in extensions:
        if one.shuffle:
            run.append(one)
            continue
        rng.shuffle(run)
        made += [*run, one]
        run = []
    rng.shuffle(run)
    return made + run
