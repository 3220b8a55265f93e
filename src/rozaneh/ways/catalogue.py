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
_SMALL = re.compile(r"[1-9][0-9]{0,2}\Z")


class Maturity(Enum):
    """How far a transport can be trusted."""

    PROVEN = "proven"
    EXPERIMENTAL = "experimental"
    BARE = "bare"  # carries bytes and hides nothing: between programs of one machine, or in measurements


def _endpoint(text: str) -> str:
    return str(Endpoint.parse(text))


def _pin(text: str) -> str:
    try:
        raw = base64.b64decode(text + "=", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("a pin is base64url of 32 bytes") from None
    if len(raw) != PIN_BYTES or encode_pin(raw) != text:
        raise ValueError("a pin is base64url of 32 bytes")
    return text


def encode_pin(digest: bytes) -> str:
    """A pin's text: base64url without padding."""
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def decode_pin(text: str) -> bytes:
    """The 32 bytes of a pin.

    Raises:
        ValueError: the text is not a canonical pin.
    """
    return base64.urlsafe_b64decode(_pin(text) + "=")


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

CATALOGUE: Mapping[str, Transport] = {
    transport.name: transport
    for transport in (
        Transport(
            name="h2",
            maturity=Maturity.EXPERIMENTAL,
            sentence="HTTP/2 CONNECT inside TLS 1.3, all streams over at most two connections",
            cover_story="a visit to an ordinary HTTPS web site; a prober gets that site",
            needs=("TCP to the edge's port", "a path that lets TLS with the edge's name through"),
            shareable=True,
            parameters=(
                Parameter("address", _endpoint, required=True, reveals_edge=True),
                Parameter("name", check_host, required=True, reveals_edge=True),
                Parameter("pin", _pin, reveals_edge=True),
                Parameter("carriers", _carriers, default="2"),
                *_CREDENTIALS,
            ),
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
