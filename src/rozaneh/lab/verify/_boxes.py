"""One rule of a profile by itself, and the conversations it is asked about: with these papers fill their tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from random import Random

import msgspec

from rozaneh.lab import profiles, worlds
from rozaneh.lab.api import Inject
from rozaneh.lab.codec.quicbuild import client_hello
from rozaneh.lab.craft import Connection
from rozaneh.lab.offline import Offline
from rozaneh.lab.rules import RuleConfig

LISTED, PLAIN = "blocked-news.example", "open-weather.example"  # on every profile's list, and on none
Sent = tuple[bytes, bool]


def rule(profile: str, rule_id: str, **changes: object) -> RuleConfig:
    """The profile's rule with its gates taken away, so that crafted addresses meet it; `changes` are parameters."""
    world = worlds.load("country")
    found = [each for each in profiles.rules_for(profiles.load(profile), world) if each.id == rule_id]
    if not found:
        raise LookupError(f"profile {profile!r} has no rule {rule_id!r} in force")
    config = found[0]
    return msgspec.structs.replace(
        config, outside=(), outside_not=(), inside=(), share=1.0, hours=(), params={**config.params, **changes}
    )


class Box:
    """A rule with crafted connections through it."""

    def __init__(self, config: RuleConfig, *, seed: int = 0, v6: bool = False) -> None:
        self.lab = Offline([config], seed=seed)
        self.v6 = v6
        self._sport = 40_000
        self.injected: list[Inject] = []

    def connection(self, port: int = 443, **arguments: object) -> Connection:
        """A new connection, from the next source port."""
        self._sport += 1
        made = Connection(v6=self.v6, isn=self._sport * 77, **arguments)  # type: ignore[arg-type]
        made.client = (made.client[0], self._sport)
        made.server = (made.server[0], port)
        return made

    def send(self, packets: Iterable[Sent]) -> list[bool]:
        """For each packet, whether the rule did anything about it."""
        acted = []
        for raw, outbound in packets:
            outcome = self.lab.send(raw, outbound)
            self.injected += outcome.injected
            acted.append(bool(outcome.acts))
        if self.lab.errors:
            raise RuntimeError("a rule failed")
        return acted

    def meets(self, packets: Iterable[Sent]) -> bool:
        """Whether the rule did anything about any of the packets."""
        return any(self.send(packets))

    def drops(self, packets: Iterable[Sent]) -> int:
        """How many of the packets went no further."""
        gone = 0
        for raw, outbound in packets:
            outcome = self.lab.send(raw, outbound)
            gone += outcome.forward is None
        if self.lab.errors:
            raise RuntimeError("a rule failed")
        return gone


def hello(name: str | None, seed: int = 0, *, ech: bytes | None = None, extra: int = 0) -> bytes:
    """A ClientHello in one TLS record; its name is the first extension."""
    message = client_hello(name, Random(seed), alpn=("h2",), ech=ech, extra=extra)  # noqa: S311 - repeatable
    return b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message


def request(host: str, path: str = "/") -> bytes:
    """A plain request as the papers' tests send it."""
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


def middle(data: bytes, name: str) -> int:
    """Where in `data` the name stands, four bytes in: a cut there leaves neither part with the whole name."""
    return data.index(name.encode()) + 4


def opened(connection: Connection, *pieces: bytes) -> list[Sent]:
    """The handshake, and the pieces one after the other."""
    return [*connection.handshake(), *((connection.data(piece), True) for piece in pieces)]


def sends(*pieces: bytes, port: int = 443) -> Callable[[Box], list[Sent]]:
    """A conversation for any box: a new connection to `port`, and the pieces."""
    return lambda box: opened(box.connection(port), *pieces)


def split(data: bytes, *edges: int) -> Sequence[bytes]:
    """`data` cut at these places."""
    places = [0, *edges, len(data)]
    return [data[a:b] for a, b in pairwise(places)]
