"""What leaves the client: the hellos and openings the engine sends for a way, held against the browser's.

`compare` judges what a profile's generators write; here the whole client stands behind them. Ways are written as a
roster writes them and become upstreams as `rozaneh connect` makes them; the engine dials each, and a listener on
loopback takes what comes. Every way has a name of its own, for a client makes few connections to one name.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from rozaneh.client import upstreams
from rozaneh.data.browsers import schema
from rozaneh.engine.config import EngineConfig
from rozaneh.engine.engine import Engine
from rozaneh.fleet import credentials
from rozaneh.lab.browser import capture, compare, derive, opening
from rozaneh.lab.browser.compare import Side
from rozaneh.lab.browser.handshakes import Server
from rozaneh.lab.browser.listener import Listener
from rozaneh.lab.services.pki import Authority
from rozaneh.ways import catalogue, grammar
from rozaneh.ways.grammar import Way

__all__ = ["WAYS", "Found", "Opening", "flights", "held", "opened"]

WAYS = ("h2+tls", "h2+reality")

# Ways in one engine, and how many of them are dialled at once.
_BATCH, _AT_ONCE = 200, 16
_DIAL_S = 30.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Opening:
    """How HTTP/2 was opened on one side and on the other: what was compared, and where it differs."""

    way: str
    request: str
    compared: tuple[str, ...]
    differences: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether nothing differs."""
        return not self.differences


@dataclass(frozen=True, slots=True)
class Found:
    """One browser: each way's hellos and opening against its own, and the browser against itself."""

    browser: str
    version: str
    profile: str
    hellos: int
    rule: str
    ways: dict[str, Side]
    control: Side
    openings: tuple[Opening, ...]

    @property
    def good(self) -> bool:
        """Whether every way looks like the browser, with a control that passes."""
        return (
            self.control.good and all(side.good for side in self.ways.values()) and all(o.good for o in self.openings)
        )

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "ok": self.good,
            "browser": {"name": self.browser, "version": self.version},
            "profile": self.profile,
            "hellos": self.hellos,
            "rule": self.rule,
            "ways": {name: side.as_json() for name, side in self.ways.items()},
            "control": self.control.as_json(),
            "openings": [
                {"way": one.way, "request": one.request, "compared": one.compared, "differences": one.differences}
                for one in self.openings
            ],
        }


def way(transport: str, look: str, port: int, name: str) -> Way:
    """A way to a listener on loopback, with keys that are nobody's."""
    values: dict[str, str] = {}
    if transport == "h2+reality":
        values = {"key": catalogue.encode_key(_public_key()), "short": os.urandom(catalogue.SHORT_ID_BYTES).hex()}
    return grammar.make(transport, address=f"127.0.0.1:{port}", name=name, look=look, **values)


def flights(transport: str, look: str, count: int, say: Say = lambda _: None) -> list[bytes]:
    """The first flights of `count` carriers of that transport, for the names `capture.name(0)` and so on.

    Raises:
        CaptureError: A carrier was not dialled.
    """
    found: dict[str, bytes] = {}
    with Listener() as listener:
        for start in range(0, count, _BATCH):
            names = [capture.name(index) for index in range(start, min(start + _BATCH, count))]
            _dial([way(transport, look, listener.port, name) for name in names])
            # A port of loopback may be somebody else's idea too: only our names count.
            for flight in listener.flights():
                if (name := derive.parsed(flight).server_name) in names:
                    found.setdefault(name, flight)
        say(f"{len(found)} of {count} hellos of {transport}")
    missing = [capture.name(index) for index in range(count) if capture.name(index) not in found]
    if missing:
        raise capture.CaptureError(f"{len(missing)} of {count} carriers of {transport} were never dialled")
    return [found[capture.name(index)] for index in range(count)]


def _dial(ways: Sequence[Way], authority: Path | None = None) -> None:
    """Has a fresh engine dial every way once; what comes of it is the listener's to know."""
    known = credentials.derive(os.urandom(credentials.SECRET_BYTES), os.urandom(32))
    ca_file = str(authority) if authority else None
    made = [upstreams.to_upstream(one, f"way{index}", known, ca_file) for index, one in enumerate(ways)]
    engine = Engine(EngineConfig(looks=upstreams.looks(made), upstreams=made))
    engine.start()
    try:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(lambda one: engine.probe(one.tag, _DIAL_S), made))
    finally:
        engine.stop()


def opened(transport: str, look: str, what: str) -> Opening:
    """How the engine opens HTTP/2 by `look` on a carrier of that transport, against the browser `what`.

    The listener is no edge: REALITY's client meets it as a browser meets a site, and asks for its page, or for nothing,
    as a browser does that connected early; the other one takes it for an edge and asks for its roster by CONNECT, whose
    header fields no browser's page has.
    """
    with tempfile.TemporaryDirectory(prefix="sent-") as folder:
        authority = Authority(Path(folder), "Openings")
        files = authority.issue(f"*.{capture.name(0).partition('.')[2]}")
        with Server(files) as server:
            with _trusting(authority.trusted):
                _dial([way(transport, look, server.port, capture.name(0))], authority.trusted)
            talked = [one for one in server.conversations() if one.protocol]
            ours = _opening(server)
        if not talked:
            raise capture.CaptureError(f"no handshake of {transport} was finished")
        if ours is None and transport == "h2+reality":
            return Opening(transport, "none", (), ())
        with Server(files) as server, capture.BROWSERS[what](server.port, authority.trusted) as browser:
            browser.open(f"https://{capture.name(0)}:{server.port}/")
            theirs = _opening(server)
    if ours is None or theirs is None:
        raise capture.CaptureError("HTTP/2 was not opened")
    page = transport == "h2+reality"
    compared = ("settings", "window_update", "first_stream", "priority", "opening", *(("pseudo", "headers") * page))
    ours, theirs = unprompted(ours), unprompted(theirs)
    differences = tuple(
        f"{name}: {getattr(ours, name)} instead of {getattr(theirs, name)}"
        for name in compared
        if getattr(ours, name) != getattr(theirs, name)
    )
    return Opening(transport, "GET" if page else "CONNECT", compared, differences)


def unprompted(seen: schema.Http2) -> schema.Http2:
    """The same opening without the acknowledgement of the server's settings: it comes whenever those came."""
    first, *rest = seen.opening
    kept = [tuple(frame for frame in record if frame != "SETTINGS") for record in rest]
    return msgspec.structs.replace(seen, opening=(first, *(record for record in kept if record)))


def _opening(server: Server) -> schema.Http2 | None:
    """The first whole opening a server has seen."""
    return next(filter(None, (opening.read(one.plain) for one in server.conversations())), None)


@contextlib.contextmanager
def _trusting(authority: Path) -> Iterator[None]:
    """Has engines made meanwhile take this root for the system's only one (`SSL_CERT_FILE`, as OpenSSL has it)."""
    before = os.environ.get("SSL_CERT_FILE")
    os.environ["SSL_CERT_FILE"] = str(authority)
    try:
        yield
    finally:
        del os.environ["SSL_CERT_FILE"]
        if before is not None:
            os.environ["SSL_CERT_FILE"] = before


def held(what: str, look: str, count: int, say: Say = lambda _: None, ways: Sequence[str] = WAYS) -> Found:
    """Each way's hellos and opening by `look` against the browser `what`; the browser gives twice as many hellos.

    Raises:
        CaptureError, DeriveError: One of them did not do what it must.
    """
    claimed = {name: flights(name, look, count, say) for name in ways}
    real, version = capture.first_flights(what, 2 * count, say)
    first, second = real[::2], real[1::2]
    return Found(
        browser=what,
        version=version,
        profile=look,
        hellos=count,
        rule=compare.rule(count),
        ways={name: compare.sides(hellos, first) for name, hellos in claimed.items()},
        control=compare.sides(second, first),
        openings=tuple(opened(name, look, what) for name in ways),
    )


def _public_key() -> bytes:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    return X25519PrivateKey.generate().public_key().public_bytes_raw()
