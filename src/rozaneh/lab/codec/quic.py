"""Takes QUIC's Initial packets apart as a censor can: their keys follow from the packet itself (RFC 9001 section 5).

`initials` gives every Initial packet of a datagram with its frames' bytes in the clear. Two readings are a matter of
the box that reads: whether the AEAD's tag is verified (an early GFW row passes when a byte is missing, a TSPU row does
not: catalogue CN-06, RU-07), and whether a packet that claims to be longer than its datagram is read all the same.
Nothing raises on malformed bytes, and the work is bounded: `MAX_PACKETS` packets, each decrypted once.

Numbers: RFC 9000 section 17 (headers) and 16 (integers), RFC 9001 section 5.2 and 5.4 (keys), RFC 9369 (version 2).
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = ["DRAFT_29", "V1", "V2", "Header", "Initial", "Keys", "header", "initials", "keys", "varint"]

V1 = 0x0000_0001
V2 = 0x6B33_43CF
DRAFT_29 = 0xFF00_001D

MAX_PACKETS = 4  # coalesced in one datagram: a real client's first flight has one or two
MAX_CID = 20  # RFC 9000 17.2: longer ones are not valid in version 1
TAG = 16
_SAMPLE = 16

INITIAL, ZERO_RTT, HANDSHAKE, RETRY = range(4)


class _Version(NamedTuple):
    salt: bytes
    label: bytes  # in front of "key", "iv" and "hp"
    initial: int  # the two type bits of an Initial packet


_VERSIONS = {
    V1: _Version(bytes.fromhex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a"), b"quic ", 0),  # RFC 9001 5.2
    V2: _Version(bytes.fromhex("0dede3def700a6db819381be6e269dcbf9bd2ed9"), b"quicv2 ", 1),  # RFC 9369 3
    DRAFT_29: _Version(bytes.fromhex("afbfec289993d24c9e9786f19c6111e04390a899"), b"quic ", 0),
}


@dataclass(frozen=True, slots=True)
class Keys:
    """One direction's protection of Initial packets: AEAD_AES_128_GCM and AES-ECB header protection."""

    key: bytes = field(repr=False)
    iv: bytes = field(repr=False)
    hp: bytes = field(repr=False)

    def nonce(self, number: int) -> bytes:
        """The AEAD's nonce for a packet number (RFC 9001 5.3)."""
        return (int.from_bytes(self.iv, "big") ^ number).to_bytes(12, "big")

    def mask(self, sample: bytes) -> bytes:
        """The header protection's mask (RFC 9001 5.4.3)."""
        # The RFC's header protection is one block of AES-ECB; no other mode can be read.
        encryptor = Cipher(algorithms.AES(self.hp), modes.ECB()).encryptor()  # noqa: S305
        return encryptor.update(sample)[:5]


@dataclass(frozen=True, slots=True)
class Header:
    """A long header as anybody reads it (RFC 8999 5.1 and RFC 9000 17.2): `end` is where the packet says it ends.

    `number` is where the packet number stands, -1 when the header is not that of an Initial packet of a known version.
    """

    first: int
    version: int
    dcid: bytes
    scid: bytes
    kind: int
    token: bytes
    number: int
    end: int


@dataclass(frozen=True, slots=True)
class Initial:
    """One Initial packet: its frames are in `payload`; `verified` says that the AEAD's tag was looked at and right."""

    version: int
    dcid: bytes
    scid: bytes
    token: bytes
    number: int
    number_length: int
    payload: bytes = field(repr=False)
    verified: bool


def varint(data: bytes, at: int) -> tuple[int, int] | None:
    """The variable-length integer at `at` and where it ends (RFC 9000 16); None when it is cut short."""
    if at >= len(data):
        return None
    size = 1 << (data[at] >> 6)
    if at + size > len(data):
        return None
    return int.from_bytes(data[at : at + size], "big") & ((1 << (8 * size - 2)) - 1), at + size


def header(datagram: bytes, at: int = 0) -> Header | None:
    """The long header at `at`; None for a short header, version negotiation's zeroes, or what is cut short.

    Packets of types or versions that are not read end with the datagram.
    """
    if len(datagram) < at + 7 or not datagram[at] & 0x80:
        return None
    first, version = datagram[at], int.from_bytes(datagram[at + 1 : at + 5], "big")
    size = datagram[at + 5]
    where = at + 6 + size
    if where >= len(datagram) or not version:
        return None
    dcid, other = datagram[at + 6 : where], datagram[where]
    after = where + 1 + other
    if after > len(datagram):
        return None
    scid = datagram[where + 1 : after]
    known = _VERSIONS.get(version)
    if known is None or size > MAX_CID or other > MAX_CID:
        return Header(first, version, dcid, scid, -1, b"", -1, len(datagram))
    kind = ((first >> 4 & 3) - known.initial) % 4
    token = b""
    if kind == RETRY:
        return Header(first, version, dcid, scid, kind, b"", -1, len(datagram))
    if kind == INITIAL:
        length = varint(datagram, after)
        if length is None or length[1] + length[0] > len(datagram):
            return None
        token = datagram[length[1] : length[1] + length[0]]
        after = length[1] + length[0]
    rest = varint(datagram, after)
    if rest is None:
        return None
    return Header(first, version, dcid, scid, kind, token, rest[1] if kind == INITIAL else -1, rest[1] + rest[0])


@lru_cache(maxsize=256)
def keys(dcid: bytes, version: int = V1, *, client: bool = True) -> Keys:
    """The Initial keys that follow from the client's first destination connection id (RFC 9001 5.2)."""
    salt, label, _ = _VERSIONS[version]
    secret = hmac.digest(salt, dcid, hashlib.sha256)
    secret = _expand(secret, b"client in" if client else b"server in", 32)
    return Keys(
        _expand(secret, label + b"key", 16), _expand(secret, label + b"iv", 12), _expand(secret, label + b"hp", 16)
    )


def _expand(secret: bytes, label: bytes, size: int) -> bytes:
    """HKDF-Expand-Label of TLS 1.3 (RFC 8446 7.1) with an empty context, for at most one block of SHA-256."""
    whole = b"tls13 " + label
    info = size.to_bytes(2, "big") + bytes((len(whole),)) + whole + b"\0" + b"\1"
    return hmac.digest(secret, info, hashlib.sha256)[:size]


def initials(
    datagram: bytes,
    *,
    versions: tuple[int, ...] = (V1,),
    check_tag: bool = True,
    truncated: bool = False,
    dcid: bytes | None = None,
    client: bool = True,
) -> list[Initial]:
    """The Initial packets in a datagram, in order; empty when there is none that can be read.

    `dcid` is the connection id the keys follow from where it is not the packet's own (a client's later packets, all of
    a server's). With `check_tag` a packet whose tag is wrong is not read; with `truncated` one that says it is longer
    than the datagram is read as far as it goes (which is sensible only without `check_tag`).
    """
    found: list[Initial] = []
    at = 0
    for _ in range(MAX_PACKETS):
        head = header(datagram, at)
        if head is None or head.version not in versions or head.kind < 0:
            break
        if head.end > len(datagram) and not truncated:
            break
        if head.kind == INITIAL:
            opened = _open(datagram, at, head, check_tag=check_tag, dcid=dcid, client=client)
            if opened is not None:
                found.append(opened)
        at = head.end
        if at >= len(datagram):
            break
    return found


def _open(
    datagram: bytes, at: int, head: Header, *, check_tag: bool, dcid: bytes | None, client: bool
) -> Initial | None:
    """Takes header and packet protection off one packet."""
    end = min(head.end, len(datagram))
    sample = datagram[head.number + 4 : head.number + 4 + _SAMPLE]
    if len(sample) < _SAMPLE or head.number + 4 + _SAMPLE > end:
        return None
    protection = keys(head.dcid if dcid is None else dcid, head.version, client=client)
    mask = protection.mask(sample)
    first = head.first ^ (mask[0] & 0x0F)
    size = (first & 3) + 1
    shown = bytes(a ^ b for a, b in zip(datagram[head.number : head.number + size], mask[1:], strict=False))
    number = int.from_bytes(shown, "big")
    sealed = datagram[head.number + size : end]
    if check_tag:
        plain_head = bytes((first,)) + datagram[at + 1 : head.number] + shown
        try:
            payload = AESGCM(protection.key).decrypt(protection.nonce(number), sealed, plain_head)
        except (InvalidTag, ValueError):
            return None
    else:
        # GCM's cipher is counter mode from 2 on (NIST SP 800-38D 7.1: 1 makes the tag).
        missing = max(0, head.end - len(datagram))
        body = sealed[: len(sealed) - max(0, TAG - missing)]
        counter = protection.nonce(number) + b"\0\0\0\2"
        decryptor = Cipher(algorithms.AES(protection.key), modes.CTR(counter)).decryptor()
        payload = decryptor.update(body)
    return Initial(head.version, head.dcid, head.scid, head.token, number, size, payload, check_tag)
