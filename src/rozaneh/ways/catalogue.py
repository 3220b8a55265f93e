"""Every transport there is: what it needs, what it looks like to a stranger, and how far it can be trusted.

A transport counts as ``proven`` only with a lab result (see ``docs/evidence``); until then it says ``experimental``,
whatever we believe of it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from rozaneh.core.addresses import Endpoint, check_host

PIN_BYTES = 32  # SHA-256 of the SubjectPublicKeyInfo (RFC 7469 section 2.4)
REALITY_KEY_BYTES = 32  # X25519 (RFC 7748 section 5)
SHORT_ID_BYTES = 8  # the field REALITY seals into the session id
MLDSA_KEY_BYTES = 1952  # ML-DSA-65's public key (FIPS 204 table 2)
DEFAULT_LOOK = "chromium"  # the browser most people have; a profile's name in ``rozaneh.data.browsers``
_SMALL = re.compile(r"[1-9][0-9]{0,2}\Z")
_SHORT_ID = re.compile(rf"[0-9a-f]{{{2 * SHORT_ID_BYTES}}}\Z")
_LOOK = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}\Z")  # what names a profile; a path is none
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")


class Maturity(Enum):
    """How far a transport can be trusted."""

    PROVEN = "proven"
    EXPERIMENTAL = "experimental"
    BARE = "bare"  # carries bytes and hides nothing: between programs of one machine, or in measurements


def _endpoint(text: str) -> str:
    return str(Endpoint.parse(text))


def encode_key(raw: bytes) -> str:
    """A key's or pin's text: base64url without padding (RFC 4648 section 5)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def decode_key(text: str, size: int, what: str = "a key") -> bytes:
    """The ``size`` bytes of a key's or pin's one canonical text.

    Raises:
        ValueError: the text is not canonical or has another length.
    """
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"{what} is base64url of {size} bytes") from None
    if len(raw) != size or encode_key(raw) != text:
        raise ValueError(f"{what} is base64url of {size} bytes")
    return raw


def encode_pin(digest: bytes) -> str:
    """A pin's text."""
    return encode_key(digest)


def decode_pin(text: str) -> bytes:
    """The 32 bytes of a pin.

    Raises:
        ValueError: the text is not a canonical pin.
    """
    return decode_key(text, PIN_BYTES, "a pin")


def _pin(text: str) -> str:
    decode_pin(text)
    return text


def _reality_key(text: str) -> str:
    decode_key(text, REALITY_KEY_BYTES)
    return text


def _mldsa_key(text: str) -> str:
    decode_key(text, MLDSA_KEY_BYTES, "an ML-DSA-65 key")
    return text


def _short_id(text: str) -> str:
    if not _SHORT_ID.match(text):
        raise ValueError("a short id has 16 lower-case hexadecimal digits")
    return text


def _look(text: str) -> str:
    if not _LOOK.match(text):
        raise ValueError("a look is the name of a browser profile")
    return text


def _uuid(text: str) -> str:
    if not _UUID.match(text):
        raise ValueError("an id is a UUID in lower case")
    return text


def _credential(text: str) -> str:
    # RFC 7617 section 2 forbids control characters, and a colon in the user; 255 bytes is the limit of RFC 1929.
    if not 0 < len(text) <= 255 or not text.isascii() or not text.isprintable():
        raise ValueError("a credential has 1 to 255 printable ASCII characters")
    return text


def _user(text: str) -> str:
    if ":" in _credential(text):
        raise ValueError("a user name holds no colon")
    return text


def _carriers(text: str) -> str:
    if not _SMALL.match(text) or int(text) > 2:
        raise ValueError("at most two connections go to one edge")
    return text


@dataclass(frozen=True, slots=True)
class Parameter:
    """One named value of a transport: how its text is checked, whether it must be there, whether it is hidden."""

    name: str
    check: Callable[[str], str]
    required: bool = False
    secret: bool = False
    reveals_edge: bool = False
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Transport:
    """One transport.

    Attributes:
        name: its word in the grammar.
        maturity: how far it can be trusted.
        sentence: what it is.
        cover_story: what a stranger or a censor sees.
        needs: what must be true for it to work.
        shareable: whether it may stand in an invite or a roster.
        parameters: in the order they are printed.
    """

    name: str
    maturity: Maturity
    sentence: str
    cover_story: str
    needs: tuple[str, ...]
    shareable: bool
    parameters: tuple[Parameter, ...]

    def parameter(self, name: str) -> Parameter | None:
        """The parameter of that name, or None."""
        return next((p for p in self.parameters if p.name == name), None)


_CREDENTIALS = (Parameter("user", _user, secret=True), Parameter("password", _credential, secret=True))
_EDGE = (
    Parameter("address", _endpoint, required=True, reveals_edge=True),
    Parameter("name", check_host, required=True, reveals_edge=True),
)
# The REALITY key and the short id are no secrets between readers of one edge, but whoever has both can tell the edge
# from its cover: they lead to it.
_REALITY = (
    Parameter("key", _reality_key, required=True, reveals_edge=True),
    Parameter("short", _short_id, required=True, reveals_edge=True),
)
_LOOKS = Parameter("look", _look, default=DEFAULT_LOOK)
_PATH_NEEDS = ("TCP to the edge's port", "a path that lets TLS with the edge's name through")

CATALOGUE: Mapping[str, Transport] = {
    transport.name: transport
    for transport in (
        Transport(
            name="h2+tls",
            maturity=Maturity.EXPERIMENTAL,
            sentence="HTTP/2 CONNECT inside a browser's TLS 1.3, all streams over at most two connections",
            cover_story="a browser's visit to an ordinary HTTPS web site; a prober gets that site",
            needs=_PATH_NEEDS,
            shareable=True,
            parameters=(
                *_EDGE,
                Parameter("pin", _pin, reveals_edge=True),
                Parameter("carriers", _carriers, default="2"),
                _LOOKS,
                *_CREDENTIALS,
            ),
        ),
        Transport(
            name="h2+reality",
            maturity=Maturity.EXPERIMENTAL,
            sentence="HTTP/2 CONNECT inside REALITY, all streams over one long-lived connection",
            cover_story="a browser's visit to the cover; a prober talks to the cover itself, certificate and all",
            needs=(*_PATH_NEEDS, "a clock within two minutes, or the cover's date to correct it by"),
            shareable=True,
            parameters=(
                *_EDGE,
                *_REALITY,
                Parameter("mldsa", _mldsa_key, reveals_edge=True),
                # The authenticated side gives no tickets, so a second connection would be a second full handshake.
                Parameter("carriers", _carriers, default="1"),
                _LOOKS,
                *_CREDENTIALS,
            ),
        ),
        Transport(
            name="vless+reality",
            maturity=Maturity.EXPERIMENTAL,
            sentence="VLESS 0 inside REALITY, one connection a stream: what many phones' programs speak",
            cover_story="a browser's visits to the cover; each stream is a connection of its own, which can be counted",
            needs=(*_PATH_NEEDS, "a clock within two minutes"),
            shareable=True,
            parameters=(*_EDGE, *_REALITY, _LOOKS, Parameter("id", _uuid, secret=True)),
        ),
        Transport(
            name="socks5",
            maturity=Maturity.BARE,
            sentence="another SOCKS5 proxy, in the clear",
            cover_story="none: anybody on the path sees what it is",
            needs=("a proxy on this machine or in a network you trust",),
            shareable=False,
            parameters=(Parameter("address", _endpoint, required=True, reveals_edge=True), *_CREDENTIALS),
        ),
    )
}
