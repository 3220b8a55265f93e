"""Invites and rosters for tests, honest ones and raw ones that no encoder of ours would make."""

from __future__ import annotations

import base64
import hashlib
import struct

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from rozaneh.core.keys import SigningKey
from rozaneh.core.redact import Sensitive
from rozaneh.fleet.invites import Invite
from rozaneh.ways.catalogue import encode_key, encode_pin
from rozaneh.ways.grammar import Way, make

KEY = SigningKey.from_seed(bytes(range(32)))
OTHER_KEY = SigningKey.from_seed(bytes(range(1, 33)))
SECRET = bytes(range(100, 116))
PIN = bytes(range(32, 64))
REALITY_PRIVATE = bytes(range(64, 96))
REALITY_KEY = X25519PrivateKey.from_private_bytes(REALITY_PRIVATE).public_key().public_bytes_raw()
SHORT_ID = bytes(range(8))
MLDSA = bytes(range(244)) * 8  # 1,952 bytes that look like a key
NOW = 1_800_000_000


def way(address: str = "93.184.215.14:443", name: str = "news.example", pin: bytes | None = PIN) -> Way:
    """An h2+tls way."""
    return make("h2+tls", address=address, name=name, pin=encode_pin(pin) if pin else None)


def reality(address: str = "93.184.215.14:443", name: str = "news.example", mldsa: bytes | None = None) -> Way:
    """An h2+reality way."""
    keys = {"key": encode_key(REALITY_KEY), "short": SHORT_ID.hex(), "mldsa": encode_key(mldsa) if mldsa else None}
    return make("h2+reality", address=address, name=name, **keys)


def invite(*ways: Way, local: bool = False) -> Invite:
    """An honest invite."""
    return Invite(KEY.public(), Sensitive(SECRET), ("default",), ways or (way(),), local)


def raw_way(
    *,
    kind: int = 1,
    family: int = 4,
    address: bytes = bytes([93, 184, 215, 14]),
    port: int = 443,
    name: bytes = b"news.example",
    pinned: int = 1,
    pin: bytes = PIN,
) -> bytes:
    """A way's bytes, whatever they say."""
    head = struct.pack(">BB", kind, family) + address + struct.pack(">HB", port, len(name)) + name
    return head + bytes([pinned]) + (pin if pinned else b"")


def raw_reality(
    *,
    family: int = 4,
    address: bytes = bytes([93, 184, 215, 14]),
    port: int = 443,
    name: bytes = b"news.example",
    key: bytes = REALITY_KEY,
    short: bytes = SHORT_ID,
) -> bytes:
    """An h2+reality way's bytes, whatever they say."""
    return struct.pack(">BB", 2, family) + address + struct.pack(">HB", port, len(name)) + name + key + short


def raw_source(name: bytes = b"default", kind: int = 1) -> bytes:
    """A source's bytes, whatever they say."""
    return struct.pack(">BB", kind, len(name)) + name


def raw_body(
    *,
    version: int = 1,
    flags: int = 0,
    sources: list[bytes] | None = None,
    ways: list[bytes] | None = None,
    source_count: int | None = None,
    way_count: int | None = None,
    tail: bytes = b"",
) -> bytes:
    """An invite's bytes without the checksum."""
    sources = [raw_source()] if sources is None else sources
    ways = [raw_way()] if ways is None else ways
    return (
        bytes([version, flags])
        + KEY.public()
        + SECRET
        + bytes([len(sources) if source_count is None else source_count])
        + b"".join(sources)
        + bytes([len(ways) if way_count is None else way_count])
        + b"".join(ways)
        + tail
    )


def link(body: bytes, checksum: bytes | None = None) -> str:
    """A link around a body, with the right checksum unless told otherwise."""
    if checksum is None:
        checksum = hashlib.sha256(b"rozaneh invite v1\x00" + body).digest()[:4]
    return "rozaneh:" + base64.urlsafe_b64encode(body + checksum).rstrip(b"=").decode("ascii")
