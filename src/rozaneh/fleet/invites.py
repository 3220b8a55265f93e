r"""The invite: a ``rozaneh:`` link of at most 300 characters that a person carries.

The link is ``rozaneh:`` and the base64url (no padding) of::

    u8 version = 1 | u8 flags (bit 0: local) | 32 issuer's Ed25519 key | 16 secret
    u8 number of sources | per source: u8 kind = 1 | u8 length | compartment
    u8 number of ways    | per way:    u8 kind | u8 4 or 6 | address | u16 port | u8 length | name
                                       | kind 1 (h2+tls): u8 0 or 1 | [32 pin]
                                       | kind 2 (h2+reality): 32 X25519 public key | 8 short id
    4 checksum = first bytes of SHA-256("rozaneh invite v1\0" | all of the above)

Source kind 1 asks for the compartment's roster through the first way, at a name that only an edge answers. The invite
is the root of trust and carries no signature: the channel by which it came authenticates it, which is why the
issuer's words are shown. It is data only: closed kinds, fixed sizes, no program, path, script or address to fetch
from. Every invite has exactly one text, and everything else is refused: a second spelling would be a second meaning
waiting for a parser to disagree. What is too large for a link that people carry, an edge's ML-DSA key, comes with the
first roster and never in an invite.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import ipaddress
import re
import struct
from dataclasses import dataclass

from rozaneh.core.addresses import Address, Endpoint, check_host, is_global, is_usable
from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.keys import PUBLIC_KEY_BYTES, fingerprint
from rozaneh.core.redact import Sensitive
from rozaneh.fleet.credentials import SECRET_BYTES, Credentials, derive
from rozaneh.ways.catalogue import (
    PIN_BYTES,
    REALITY_KEY_BYTES,
    SHORT_ID_BYTES,
    decode_key,
    decode_pin,
    encode_key,
    encode_pin,
)
from rozaneh.ways.grammar import Way, make

SCHEME = "rozaneh:"
MAX_LINK = 300  # the limit; a QR code of version 13 at level M holds 331 bytes (ISO/IEC 18004 table 7)
MAX_WAYS = 2
MAX_SOURCES = 2
VERSION = 1

_CONTEXT = b"rozaneh invite v1\x00"
_CHECKSUM_BYTES = 4
_FLAG_LOCAL = 1
_SOURCE_FIRST_WAY = 1
_WAY_H2_TLS = 1
_WAY_H2_REALITY = 2
_KINDS = {"h2+tls": _WAY_H2_TLS, "h2+reality": _WAY_H2_REALITY}
_IN_AN_INVITE = frozenset({"address", "name", "pin", "key", "short"})  # everything else has its default, or no room
_MAX_TEXT_IN = 4096  # a link with blanks and line ends around it; anything longer is not read at all
_COMPARTMENT = re.compile(r"[a-z0-9][a-z0-9-]{0,31}\Z")


def check_compartment(name: str) -> str:
    """A compartment's name.

    Raises:
        ValueError: not 1 to 32 lower-case letters, digits and hyphens.
    """
    if not _COMPARTMENT.match(name):
        raise ValueError("a compartment's name has 1 to 32 lower-case letters, digits and hyphens")
    return name


@dataclass(frozen=True, slots=True)
class Invite:
    """What a person holds.

    Attributes:
        issuer: the Ed25519 key every roster must be signed with.
        secret: what the reader's credentials are derived from.
        compartments: whose rosters to ask for through the first way; today the first is used.
        ways: one or two ways to begin with.
        local: the issuer marked the edge as standing at an address that is not global.
    """

    issuer: bytes
    secret: Sensitive[bytes]
    compartments: tuple[str, ...]
    ways: tuple[Way, ...]
    local: bool = False

    @property
    def compartment(self) -> str:
        """The compartment whose roster is asked for."""
        return self.compartments[0]

    def credentials(self) -> Credentials:
        """The user name and password for the edges of this issuer."""
        return derive(self.secret.reveal(), self.issuer)

    def words(self) -> str:
        """The issuer's fingerprint in words, to compare by voice."""
        return fingerprint(self.issuer)


def needs_local_mark(ways: tuple[Way, ...]) -> bool:
    """Whether an edge among ``ways`` stands at an address that is not global."""
    return any(not is_global(_endpoint(way).address) for way in ways)


def encode(invite: Invite) -> str:
    """The link.

    Raises:
        Fault: CONFIG when something does not fit an invite or the link would be too long.
    """
    secret = invite.secret.reveal()
    if len(invite.issuer) != PUBLIC_KEY_BYTES or len(secret) != SECRET_BYTES:
        raise Fault(FaultKind.CONFIG, "An invite needs a whole key and a whole secret")
    if not 1 <= len(invite.ways) <= MAX_WAYS or not 1 <= len(invite.compartments) <= MAX_SOURCES:
        raise Fault(FaultKind.CONFIG, "An invite has one or two ways and one or two sources of rosters")
    if invite.local != needs_local_mark(invite.ways):
        raise Fault(FaultKind.CONFIG, "The local mark does not fit the edge's address")
    body = bytearray(struct.pack(">BB", VERSION, _FLAG_LOCAL if invite.local else 0))
    body += invite.issuer + secret
    body.append(len(invite.compartments))
    for name in invite.compartments:
        body += struct.pack(">BB", _SOURCE_FIRST_WAY, len(name)) + check_compartment(name).encode("ascii")
    body.append(len(invite.ways))
    for way in invite.ways:
        body += _encode_way(way)
    body += _checksum(bytes(body))
    link = SCHEME + base64.urlsafe_b64encode(bytes(body)).rstrip(b"=").decode("ascii")
    if len(link) > MAX_LINK:
        raise Fault(
            FaultKind.CONFIG, f"The invite would be longer than {MAX_LINK} characters", hint="use a shorter host name"
        )
    return link


def decode(text: str) -> Invite:
    """The invite of a link, with blanks and line ends around it forgiven and nothing else.

    Raises:
        Fault: INTEGRITY when it is damaged or no invite; UNSUPPORTED when a newer version made it; POLICY_DENIED when
        it leads to an
            address no honest edge has.
    """
    if len(text) > _MAX_TEXT_IN:
        raise _damaged("it is far too long")
    link = text.strip(" \t\r\n")
    if not link.startswith(SCHEME):
        raise _damaged("it does not begin with `rozaneh:`")
    if len(link) > MAX_LINK:
        raise _damaged(f"it has more than {MAX_LINK} characters")
    body = _unbase64(link[len(SCHEME) :])
    if not body:
        raise _damaged("it is empty")
    if body[0] != VERSION:
        raise Fault(
            FaultKind.UNSUPPORTED,
            "The invite was made by another version",
            hint="install a newer version, or ask for a new invite",
        )
    if len(body) <= _CHECKSUM_BYTES or _checksum(body[:-_CHECKSUM_BYTES]) != body[-_CHECKSUM_BYTES:]:
        raise _damaged("its checksum does not fit, a character may be missing or wrong")
    try:
        invite = _parse(_Reader(body[1:-_CHECKSUM_BYTES]))
    except ValueError as error:
        raise _damaged(str(error)) from None
    _judge_addresses(invite)
    return invite


class _Reader:
    """Takes fixed pieces from bytes; running out is an error, and so is anything left."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def take(self, count: int) -> bytes:
        piece = self._content[self._at : self._at + count]
        if len(piece) != count:
            raise ValueError("it ends too early")
        self._at += count
        return piece

    def byte(self) -> int:
        return self.take(1)[0]

    def text(self) -> str:
        return self.take(self.byte()).decode("ascii")

    def end(self) -> None:
        if self._at != len(self._content):
            raise ValueError("something is appended to it")


def _parse(reader: _Reader) -> Invite:
    flags = reader.byte()
    if flags & ~_FLAG_LOCAL:
        raise ValueError("it has an unknown flag")
    issuer = reader.take(PUBLIC_KEY_BYTES)
    secret = reader.take(SECRET_BYTES)
    compartments = tuple(_source(reader) for _ in range(_count(reader, MAX_SOURCES)))
    ways = tuple(_way(reader) for _ in range(_count(reader, MAX_WAYS)))
    reader.end()
    if len(set(compartments)) != len(compartments) or len(set(ways)) != len(ways):
        raise ValueError("it says the same thing twice")
    return Invite(issuer, Sensitive(secret), compartments, ways, bool(flags & _FLAG_LOCAL))


def _count(reader: _Reader, most: int) -> int:
    count = reader.byte()
    if not 1 <= count <= most:
        raise ValueError("it holds too many or too few parts")
    return count


def _source(reader: _Reader) -> str:
    if reader.byte() != _SOURCE_FIRST_WAY:
        raise ValueError("it names an unknown source of rosters")
    return check_compartment(reader.text())


def _way(reader: _Reader) -> Way:
    kind = reader.byte()
    if kind not in (_WAY_H2_TLS, _WAY_H2_REALITY):
        raise ValueError("it names an unknown way")
    family = reader.byte()
    address: Address
    if family == 4:
        address = ipaddress.IPv4Address(reader.take(4))
    elif family == 6:
        address = ipaddress.IPv6Address(reader.take(16))
        if address.ipv4_mapped is not None:
            raise ValueError("it holds an address in disguise")
    else:
        raise ValueError("it holds an unknown kind of address")
    (port,) = struct.unpack(">H", reader.take(2))
    if port == 0:
        raise ValueError("it names port 0")
    edge = {"address": str(Endpoint(address, port)), "name": check_host(reader.text())}
    try:
        if kind == _WAY_H2_REALITY:
            key, short = reader.take(REALITY_KEY_BYTES), reader.take(SHORT_ID_BYTES)
            return make("h2+reality", **edge, key=encode_key(key), short=short.hex())
        pinned = reader.byte()
        if pinned > 1:
            raise ValueError("it has an unknown kind of pin")
        pin = encode_pin(reader.take(PIN_BYTES)) if pinned else None
        return make("h2+tls", **edge, pin=pin)
    except Fault as fault:
        raise ValueError(fault.why) from None


def _encode_way(way: Way) -> bytes:
    layer = way.last
    kind = _KINDS.get(layer.transport.name)
    if kind is None or not way.shareable or len(way.layers) != 1 or layer.values.keys() - _IN_AN_INVITE:
        raise Fault(FaultKind.CONFIG, "This way cannot stand in an invite")
    endpoint = _endpoint(way)
    name = (layer.get("name") or "").encode("ascii")
    head = (
        struct.pack(">BB", kind, endpoint.address.version)
        + endpoint.address.packed
        + struct.pack(">HB", endpoint.port, len(name))
        + name
    )
    if kind == _WAY_H2_REALITY:
        return head + decode_key(layer.values["key"], REALITY_KEY_BYTES) + bytes.fromhex(layer.values["short"])
    pin = layer.get("pin")
    return head + (b"\x01" + decode_pin(pin) if pin else b"\x00")


def _endpoint(way: Way) -> Endpoint:
    return Endpoint.parse(way.last.get("address") or "")


def _judge_addresses(invite: Invite) -> None:
    if any(not is_usable(_endpoint(way).address) for way in invite.ways):
        raise Fault(
            FaultKind.POLICY_DENIED, "The invite leads to an address where no edge can be", hint="do not use it"
        )
    if invite.local != needs_local_mark(invite.ways):
        raise Fault(
            FaultKind.POLICY_DENIED,
            "The invite leads into a private network without saying so",
            why="its maker may want your device to talk to something near you",
            hint="ask whoever gave it to you, by another channel",
        )


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(_CONTEXT + body).digest()[:_CHECKSUM_BYTES]


def _unbase64(text: str) -> bytes:
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _damaged("a character is missing or wrong") from None
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii") != text:
        raise _damaged("a character is missing or wrong")
    return raw


def _damaged(why: str) -> Fault:
    return Fault(
        FaultKind.INTEGRITY,
        "This is not a whole invite",
        why=why,
        hint="copy the link again, from `rozaneh:` to its last character",
    )
