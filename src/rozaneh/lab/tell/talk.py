"""One conversation of a prober as a state machine: told what came and what time it is, it knows what to say next.

There is no socket in here. `Plain` speaks bytes on the bare connection, `Inside` finishes a TLS handshake with OpenSSL
and speaks inside it. Both follow steps: say this, wait so long, wait for an answer, end your direction.
"""

from __future__ import annotations

import contextlib
import ssl
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

# What is kept of an answer: enough for every page and handshake that a probe here asks for.
KEPT = 65_536


@dataclass(frozen=True, slots=True)
class Say:
    """Sends bytes."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Pause:
    """Says nothing for so long."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Hear:
    """Waits until the server says something more, and no longer than this."""

    seconds: float = 2.0


@dataclass(frozen=True, slots=True)
class Finish:
    """Ends the prober's direction (FIN) and listens on."""


@dataclass(frozen=True, slots=True)
class Goodbye:
    """Ends TLS in order (`close_notify`); nothing on a bare connection."""


@dataclass(frozen=True, slots=True)
class Leave:
    """Hangs up: how the connection would have ended is not the question."""


Step = Say | Pause | Hear | Finish | Goodbye | Leave


class Talk(Protocol):
    """A conversation. A driver sends what `out` gives, and calls `tick` when `wake` has come."""

    wake: float | None
    finished: bool
    left: bool

    def opened(self, now: float) -> None:
        """The connection stands."""
        ...

    def heard(self, now: float, piece: bytes) -> None:
        """The server said something."""
        ...

    def tick(self, now: float) -> None:
        """Time passed."""
        ...

    def out(self) -> bytes:
        """What is to be sent now; given once."""
        ...

    @property
    def raw(self) -> bytes:
        """What came, as it lay on the wire."""
        ...

    @property
    def inner(self) -> bytes:
        """What could be read inside TLS; nothing on a bare connection."""
        ...

    @property
    def tls(self) -> str:
        """How a TLS handshake of the prober ended; empty where it made none."""
        ...


class Plain:
    """Steps on the bare connection."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.wake: float | None = None
        self.finished = False
        self.left = False
        self._steps = list(steps)
        self._hearing = False
        self._outgoing = bytearray()
        self._raw = bytearray()

    def opened(self, now: float) -> None:
        """The connection stands: the first steps are taken."""
        self._go(now)

    def heard(self, now: float, piece: bytes) -> None:
        """Keeps what came, and goes on when that was waited for."""
        self._keep(piece)
        self._go_on(now)

    def tick(self, now: float) -> None:
        """Goes on when a pause is over."""
        if self.wake is not None and now >= self.wake:
            self.wake, self._hearing = None, False
            self._go(now)

    def out(self) -> bytes:
        """What is to be sent now."""
        data = bytes(self._outgoing)
        self._outgoing.clear()
        return data

    @property
    def raw(self) -> bytes:
        """What came."""
        return bytes(self._raw)

    @property
    def inner(self) -> bytes:
        """Nothing: there is no TLS of ours."""
        return b""

    @property
    def tls(self) -> str:
        """Nothing."""
        return ""

    def _keep(self, piece: bytes) -> None:
        if len(self._raw) < KEPT:
            self._raw += piece[: KEPT - len(self._raw)]

    def _go_on(self, now: float) -> None:
        if self._hearing:
            self.wake, self._hearing = None, False
            self._go(now)

    def _go(self, now: float) -> None:
        while self._steps and self.wake is None and not (self.finished or self.left):
            step = self._steps.pop(0)
            match step:
                case Say(data):
                    self._say(data)
                case Pause(seconds):
                    self.wake = now + seconds
                case Hear(seconds):
                    self.wake, self._hearing = now + seconds, True
                case Finish():
                    self.finished = True
                case Goodbye():
                    self._goodbye()
                case Leave():
                    self.left = True

    def _say(self, data: bytes) -> None:
        self._outgoing += data

    def _goodbye(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Offer:
    """What the prober's OpenSSL offers: a name (None: no SNI), protocols, versions, ciphers of TLS 1.2."""

    name: str | None = None
    protocols: tuple[str, ...] = ("h2", "http/1.1")
    least: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    most: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    ciphers: str = "DEFAULT:@SECLEVEL=0"


class Inside(Plain):
    """Finishes a TLS handshake, then takes its steps inside it. Certificates are nobody's concern here."""

    def __init__(self, offer: Offer, steps: Sequence[Step]) -> None:
        super().__init__(steps)
        self._in, self._away = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = _context(offer).wrap_bio(self._in, self._away, server_hostname=offer.name)
        self._up = False
        self._over = False
        self._tls = "unfinished"
        self._inner = bytearray()

    def opened(self, now: float) -> None:
        """The connection stands: the hello goes out."""
        self._shake(now)

    def heard(self, now: float, piece: bytes) -> None:
        """Goes on with the handshake, or reads what is inside."""
        self._keep(piece)
        if self._over:
            return
        self._in.write(piece)
        if not self._up:
            self._shake(now)
        if self._up and not self._over and self._read():
            self._go_on(now)

    @property
    def inner(self) -> bytes:
        """What came inside."""
        return bytes(self._inner)

    @property
    def tls(self) -> str:
        """Version, cipher, protocol and certificate, or what OpenSSL called the failure."""
        return self._tls

    def _shake(self, now: float) -> None:
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return
        except ssl.SSLError as error:
            self._failed(error)
            return
        self._up = True
        cipher = self._object.cipher()
        certificate = self._object.getpeercert(binary_form=True) or b""
        self._tls = " ".join(
            (
                self._object.version() or "?",
                cipher[0] if cipher else "?",
                self._object.selected_alpn_protocol() or "-",
                f"{len(certificate)}B",
            )
        )
        self._flush()
        self._go(now)

    def _read(self) -> bool:
        """Takes what is inside; whether anything was."""
        before = len(self._inner)
        try:
            while piece := self._object.read(16_384):
                if len(self._inner) < KEPT:
                    self._inner += piece
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._tls += " closed"
            self._over = True
        except ssl.SSLError as error:
            self._failed(error)
        self._flush()
        return len(self._inner) > before

    def _say(self, data: bytes) -> None:
        if self._over:
            return
        try:
            if data:  # OpenSSL writes no empty record
                self._object.write(data)
        except ssl.SSLError as error:
            self._failed(error)
        self._flush()

    def _goodbye(self) -> None:
        # It waits for the other's word, which is read like everything else.
        with contextlib.suppress(ssl.SSLError):
            self._object.unwrap()
        self._flush()

    def _failed(self, error: ssl.SSLError) -> None:
        self._over = True
        self._tls += f" {error.reason or type(error).__name__}"
        self._flush()

    def _flush(self) -> None:
        self._outgoing += self._away.read()


@cache
def _context(offer: Offer) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # whoever answers is who is asked
    with warnings.catch_warnings():
        # Old versions are offered on purpose: what a server answers to them is the question.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = offer.least, offer.most
    context.set_ciphers(offer.ciphers)
    if offer.protocols:
        context.set_alpn_protocols(list(offer.protocols))
    return context
