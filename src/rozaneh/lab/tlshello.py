"""Reads the server name out of the first bytes of a TLS connection (RFC 8446 4.1.2 and 5.1, RFC 6066 section 3)."""

from __future__ import annotations

from enum import Enum


class Hello(Enum):
    """What the bytes are when they hold no name: not a ClientHello, not all of one yet, or one without a name."""

    NOT_TLS = "not_tls"
    MORE = "more"
    NAMELESS = "nameless"


_HANDSHAKE = 22
_CLIENT_HELLO = 1
_SERVER_NAME = 0
_MAX_RECORD = 16_384  # RFC 8446 5.1


def server_name(data: bytes | bytearray, *, join_records: bool = True) -> str | Hello:
    """The name a ClientHello asks for, lower-cased; `join_records` off reads only what is in the first record."""
    message = _handshake(bytes(data), join_records)
    if isinstance(message, Hello):
        return message
    try:
        return _name_in(message)
    except IndexError:
        return Hello.NAMELESS


def _handshake(data: bytes, join_records: bool) -> bytes | Hello:
    """The ClientHello's body, from one or more records."""
    message = b""
    at = 0
    while True:
        head = data[at : at + 5]
        if head[:1] not in (b"", b"\x16") or head[1:2] not in (b"", b"\x03"):
            return Hello.NOT_TLS
        if len(head) < 5:
            return Hello.MORE
        size = int.from_bytes(head[3:5], "big")
        if not 0 < size <= _MAX_RECORD:
            return Hello.NOT_TLS
        part = data[at + 5 : at + 5 + size]
        message += part
        if message and message[0] != _CLIENT_HELLO:
            return Hello.NOT_TLS
        if len(message) >= 4 and len(message) - 4 >= int.from_bytes(message[1:4], "big"):
            return message[4 : 4 + int.from_bytes(message[1:4], "big")]
        if len(part) < size:
            return Hello.MORE
        if not join_records:
            return Hello.NAMELESS
        at += 5 + size


class _Reader:
    """Takes pieces off the front; IndexError when there is not enough."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        piece = self._data[self._at : self._at + count]
        if len(piece) < count:
            raise IndexError
        self._at += count
        return piece

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count), "big")

    def vector(self, count: int) -> bytes:
        return self.take(self.number(count))

    def left(self) -> bool:
        return self._at < len(self._data)


def _name_in(hello: bytes) -> str | Hello:
    reader = _Reader(hello)
    reader.take(2 + 32)  # legacy_version, random
    reader.vector(1)  # legacy_session_id
    reader.vector(2)  # cipher_suites
    reader.vector(1)  # legacy_compression_methods
    if not reader.left():
        return Hello.NAMELESS
    extensions = _Reader(reader.vector(2))
    while extensions.left():
        kind, body = extensions.number(2), extensions.vector(2)
        if kind == _SERVER_NAME:
            names = _Reader(_Reader(body).vector(2))
            while names.left():
                name_kind, name = names.number(1), names.vector(2)
                if name_kind == 0:
                    return name.decode("ascii", errors="replace").lower()
    return Hello.NAMELESS
