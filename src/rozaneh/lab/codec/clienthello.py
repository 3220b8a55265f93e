"""Reads a TLS or DTLS ClientHello whole: names, ciphers, extensions; malformed bytes give None, never an exception.

Three framings: `parse` for TLS records over TCP (RFC 8446 5.1), `parse_handshake` for the bare message (QUIC's CRYPTO
stream, RFC 9001 4.1), `parse_dtls` for DTLS records (RFC 6347 4.1 and 4.2.2, RFC 9147 5.2). Each returns a
`ClientHello`, `MORE` when the bytes are the true beginning of one that has not ended, or None. With `partial` a cut
message gives what could be read so far (`whole` is False then): a box that puts no segments together reads a name that
stands in the first segment, however long the message is (catalogue RU-01..04: a name before a large padding is read).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

__all__ = ["MORE", "ClientHello", "More", "is_grease", "parse", "parse_dtls", "parse_handshake"]

HANDSHAKE = 22
CLIENT_HELLO = 1
MAX_RECORD = 16_384  # RFC 8446 5.1: 2^14 bytes of plaintext
MAX_MESSAGE = 65_536  # far above any real hello, and a bound on what is put together

# Extension numbers (IANA "TLS ExtensionType Values").
SERVER_NAME = 0
SUPPORTED_GROUPS = 10
POINT_FORMATS = 11
SIGNATURE_ALGORITHMS = 13
ALPN = 16
PADDING = 21
PRE_SHARED_KEY = 41
SUPPORTED_VERSIONS = 43
KEY_SHARE = 51
ECH = 0xFE0D
ESNI = 0xFFCE


@dataclass(frozen=True, slots=True)
class More:
    """The bytes so far are how a ClientHello begins."""


MORE = More()


def is_grease(value: int) -> bool:
    """Whether a cipher, extension, group or version number is one of RFC 8701's reserved sixteen."""
    return value & 0x0F0F == 0x0A0A and value >> 8 == value & 0xFF


@dataclass(frozen=True)
class ClientHello:
    """One ClientHello's fields as sent, GREASE and order included; a list inside that does not parse reads as empty."""

    version: int
    random: bytes = field(repr=False)
    session_id: bytes = field(repr=False)
    ciphers: tuple[int, ...]
    compression: bytes = field(repr=False)
    extensions: tuple[tuple[int, bytes], ...] = field(repr=False)
    cookie: bytes = field(default=b"", repr=False)  # DTLS only
    whole: bool = True

    @cached_property
    def _bodies(self) -> dict[int, bytes]:
        return dict(reversed(self.extensions))  # the first of a repeated extension counts

    def extension(self, kind: int) -> bytes | None:
        """The body of the extension `kind`, or None where it is not there."""
        return self._bodies.get(kind)

    @cached_property
    def server_name_as_sent(self) -> str | None:
        """The host name in the letter case it was sent in (RFC 6066 section 3); None without one."""
        names = _Reader(_one_vector(self.extension(SERVER_NAME), 2))
        while names.left():
            kind, name = names.number(1), names.vector(2)
            if kind is None or name is None:
                return None
            if kind == 0:
                return name.decode("ascii", errors="replace") or None
        return None

    @cached_property
    def server_name(self) -> str | None:
        """The host name in lower case; None without one."""
        name = self.server_name_as_sent
        return name.lower() if name is not None else None

    @cached_property
    def groups(self) -> tuple[int, ...]:
        """Supported groups (RFC 8446 4.2.7), in order."""
        return _numbers(_one_vector(self.extension(SUPPORTED_GROUPS), 2))

    @cached_property
    def point_formats(self) -> tuple[int, ...]:
        """Elliptic curve point formats (RFC 8422 5.1.2)."""
        return tuple(_one_vector(self.extension(POINT_FORMATS), 1))

    @cached_property
    def sig_algs(self) -> tuple[int, ...]:
        """Signature algorithms (RFC 8446 4.2.3), in order."""
        return _numbers(_one_vector(self.extension(SIGNATURE_ALGORITHMS), 2))

    @cached_property
    def versions(self) -> tuple[int, ...]:
        """Supported versions (RFC 8446 4.2.1), in order; empty in a hello from before TLS 1.3."""
        return _numbers(_one_vector(self.extension(SUPPORTED_VERSIONS), 1))

    @cached_property
    def alpn(self) -> tuple[bytes, ...]:
        """Application protocols (RFC 7301), in order."""
        return _vectors(_one_vector(self.extension(ALPN), 2), 1)

    @cached_property
    def key_shares(self) -> tuple[int, ...]:
        """The groups key shares were sent for (RFC 8446 4.2.8), in order."""
        reader = _Reader(_one_vector(self.extension(KEY_SHARE), 2))
        groups: list[int] = []
        while reader.left():
            group, share = reader.number(2), reader.vector(2)
            if group is None or share is None:
                return ()
            groups.append(group)
        return tuple(groups)

    @property
    def padding(self) -> int | None:
        """How many bytes of padding there are (RFC 7685); None without the extension."""
        body = self.extension(PADDING)
        return None if body is None else len(body)

    @property
    def has_ech(self) -> bool:
        """Whether there is an encrypted_client_hello extension, real or GREASE (RFC 9849)."""
        return ECH in self._bodies

    @property
    def has_esni(self) -> bool:
        """Whether there is an encrypted_server_name extension (draft-ietf-tls-esni-01 to -06)."""
        return ESNI in self._bodies

    @property
    def has_psk(self) -> bool:
        """Whether there is a pre_shared_key extension (RFC 8446 4.2.11)."""
        return PRE_SHARED_KEY in self._bodies


def parse(data: bytes, *, join_records: bool = True, partial: bool = False) -> ClientHello | More | None:
    """The ClientHello in the first bytes of a TCP stream; without `join_records` only the first record is read."""
    message = bytearray()
    at = 0
    while True:
        head = data[at : at + 5]
        if (head[:1] or b"\x16") != b"\x16" or (head[1:2] or b"\x03") != b"\x03":
            return None
        if len(head) < 5:
            return _cut(bytes(message), partial)
        size = int.from_bytes(head[3:5], "big")
        if not 0 < size <= MAX_RECORD:
            return None
        part = data[at + 5 : at + 5 + size]
        message += part
        if len(message) > MAX_MESSAGE:
            return None
        found = parse_handshake(bytes(message))
        if not isinstance(found, More):
            return found
        if len(part) < size:
            return _cut(bytes(message), partial)
        if not join_records:
            # This box takes the record's end for the message's: it will never see the rest.
            return parse_handshake(bytes(message), partial=True) if partial else None
        at += 5 + size


def _cut(message: bytes, partial: bool) -> ClientHello | More | None:
    return parse_handshake(message, partial=True) if partial else MORE


def parse_handshake(message: bytes, *, partial: bool = False) -> ClientHello | More | None:
    """The ClientHello at the start of a handshake stream; what follows it is not looked at."""
    if message[:1] not in (b"", b"\x01"):
        return None
    size = int.from_bytes(message[1:4], "big")
    if size > MAX_MESSAGE:
        return None
    if len(message) < 4:
        return MORE
    body = message[4 : 4 + size]
    if len(body) == size:
        return _body(body, dtls=False, partial=False)
    return _body(body, dtls=False, partial=True) if partial else MORE


def parse_dtls(data: bytes, *, partial: bool = False) -> ClientHello | More | None:
    """The ClientHello in one datagram or in several put one behind the other; its fragments may be in any order."""
    pieces: dict[int, bytes] = {}
    size = -1
    at = 0
    while at < len(data):
        head = data[at : at + 13]
        if len(head) < 13 or head[0] != HANDSHAKE or head[1] != 0xFE or head[3:5] != b"\0\0":
            return None  # a hello is never encrypted: epoch 0
        length = int.from_bytes(head[11:13], "big")
        record = data[at + 13 : at + 13 + length]
        if len(record) < length or len(record) < 12:
            return None
        at += 13 + length
        if record[0] != CLIENT_HELLO:
            return None
        whole, start = int.from_bytes(record[1:4], "big"), int.from_bytes(record[6:9], "big")
        fragment = record[12 : 12 + int.from_bytes(record[9:12], "big")]
        if len(fragment) != int.from_bytes(record[9:12], "big") or start + len(fragment) > whole:
            return None
        if size not in (-1, whole) or whole > MAX_MESSAGE:
            return None
        size = whole
        pieces.setdefault(start, fragment)
    if size < 0:
        return MORE
    body = b""
    for start in sorted(pieces):
        if start > len(body):
            break
        body += pieces[start][len(body) - start :]
    if len(body) >= size:
        return _body(body[:size], dtls=True, partial=False)
    return _body(body, dtls=True, partial=True) if partial else MORE


def _body(body: bytes, *, dtls: bool, partial: bool) -> ClientHello | More | None:
    """The message's fields; a cut one (`partial`) needs at least its ciphers whole, the strict one must fit exactly."""
    short = MORE if partial else None
    reader = _Reader(body)
    version, random, session = reader.number(2), reader.take(32), reader.vector(1)
    if version is None or random is None or session is None:
        return short
    if version >> 8 != (0xFE if dtls else 0x03) or len(session) > 32:
        return None
    cookie = reader.vector(1) if dtls else b""
    ciphers, compression = reader.vector(2), reader.vector(1)
    if cookie is None or ciphers is None or compression is None:
        return short
    if len(ciphers) % 2 or not ciphers or not compression:
        return None
    extensions: list[tuple[int, bytes]] = []
    whole = True
    if reader.left() or partial:
        declared = reader.number(2)
        if declared is None:
            if not partial:
                return None
        elif not partial and declared != reader.left():
            return None
        while reader.left():
            kind, content = reader.number(2), reader.vector(2)
            if kind is None or content is None:
                if not partial:
                    return None
                break
            extensions.append((kind, content))
        whole = not partial
    return ClientHello(
        version, random, session, _numbers(ciphers), compression, tuple(extensions), cookie=cookie, whole=whole
    )


class _Reader:
    """Takes pieces off the front; None, and nothing more, once there is not enough."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, count: int) -> bytes | None:
        piece = self._data[self._at : self._at + count]
        if len(piece) < count:
            self._at = len(self._data)
            return None
        self._at += count
        return piece

    def number(self, count: int) -> int | None:
        piece = self.take(count)
        return None if piece is None else int.from_bytes(piece, "big")

    def vector(self, count: int) -> bytes | None:
        size = self.number(count)
        return None if size is None else self.take(size)


def _one_vector(body: bytes | None, count: int) -> bytes:
    """What a body that is one vector holds; empty when it is anything else."""
    if body is None:
        return b""
    reader = _Reader(body)
    inner = reader.vector(count)
    return b"" if inner is None or reader.left() else inner


def _numbers(data: bytes) -> tuple[int, ...]:
    """Sixteen-bit numbers; none when the length is odd."""
    if len(data) % 2:
        return ()
    return tuple(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))


def _vectors(data: bytes, count: int) -> tuple[bytes, ...]:
    """Vectors one behind the other; none when they do not end with the data."""
    reader = _Reader(data)
    found: list[bytes] = []
    while reader.left():
        piece = reader.vector(count)
        if piece is None:
            return ()
        found.append(piece)
    return tuple(found)
