"""How to set off each kind's after-effect with crafted packets, and how to meet it again with harmless ones."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from rozaneh.lab import dnsmessage
from rozaneh.lab.api import Probed
from rozaneh.lab.codec import hellobuild, quicbuild
from rozaneh.lab.craft import Connection
from rozaneh.lab.profiles.explanation import defaults
from rozaneh.lab.rules import RuleConfig
from rozaneh.lab.verify._talk import Talk, disturbed, servers_of

OPEN = "open-weather.example"
# Eight bytes of four bits each, none of them printable: nothing a detector of encrypted traffic exempts.
_OPAQUE = b"\x8b\xd1\xa6\xc5\x9c\xe2\x95\xf0" * 25


class Driver:
    """How to set off one after-effect, and how to meet it."""

    def __init__(self, talk: Talk, config: RuleConfig) -> None:
        self.talk = talk
        self.config = config
        self.server, self.neighbour = servers_of(config, talk.world, talk.version)
        self.settings: Mapping[str, Any] = {**defaults(config.kind), **config.params}
        self.first: Connection | None = None

    def provoke(self) -> None:
        """Sets it off, at this moment."""
        raise LookupError(f"no way to set off {self.config.kind!r} is known")

    def again(self) -> bool:
        """Whether a harmless follow-up meets it."""
        return disturbed(self.talk.ask(self._next(same=True), self.harmless()))

    def control(self) -> bool:
        """Whether the same follow-up meets it where its key differs."""
        return disturbed(self.talk.ask(self._next(same=False), self.harmless()))

    def harmless(self) -> bytes:
        """What a follow-up says."""
        return hellobuild.chrome(OPEN)

    @property
    def restarts(self) -> bool:
        """Whether a hit begins the time again."""
        return bool(self.settings.get("residual_restarts", False))

    def name(self) -> str:
        """A listed name."""
        return str(self.settings["names"][0])

    def port(self) -> int:
        """A port of servers that the rule looks at."""
        ports = self.settings.get("ports") or (443,)
        return int(ports[0])

    def _next(self, *, same: bool) -> Connection:
        """A new connection that the residual's key takes for the first one, or not."""
        talk, first = self.talk, self.first
        if first is None:
            raise LookupError("nothing was set off")
        if self.settings["residual_key"] in ("4-tuple", "5-tuple"):
            return talk.connection(self.server, self.port(), sport=first.client[1] if same else None)
        return talk.connection(self.server if same else self.neighbour, self.port())


class Hello(Driver):
    """Rules on the name in a ClientHello."""

    def provoke(self) -> None:
        self.first = self.talk.connection(
            self.server, self.port(), timestamps="header_length" not in self.config.params
        )
        self.talk.ask(self.first, self.listed())
        for _ in range(10):  # a delayed drop lets some packets pass first
            self.talk.send(self.first.ack())

    def listed(self) -> bytes:
        """What sets it off."""
        return hellobuild.chrome(self.name())


class Request(Hello):
    """Rules on the host of a plain request."""

    def listed(self) -> bytes:
        return f"GET / HTTP/1.1\r\nHost: {self.name()}\r\nAccept: */*\r\n\r\n".encode()

    def harmless(self) -> bytes:
        return f"GET / HTTP/1.1\r\nHost: {OPEN}\r\nAccept: */*\r\n\r\n".encode()

    def port(self) -> int:
        ports = self.settings.get("ports") or (80,)
        return int(ports[0])


class Refused(Driver):
    """Lists of names that pass, where a wrong one closes the whole address."""

    def provoke(self) -> None:
        self.talk.ask(self.talk.connection(self.server), hellobuild.chrome("of-no-list.example"))

    def again(self) -> bool:
        return disturbed(self.talk.ask(self.talk.connection(self.server), self.harmless()))

    def control(self) -> bool:
        return disturbed(self.talk.ask(self.talk.connection(self.neighbour), self.harmless()))

    def harmless(self) -> bytes:
        return hellobuild.chrome(str(self.settings["exact"][0]))


class Opaque(Hello):
    """Detectors of traffic that looks like nothing."""

    def listed(self) -> bytes:
        return _OPAQUE


class Nonconforming(Hello):
    """The protocol filter: it goes on with the same connection, and each packet it drops begins the time again."""

    def provoke(self) -> None:
        self.first = self.talk.connection(self.server, self.port())
        self.talk.ask(self.first, _OPAQUE, _OPAQUE)

    def again(self) -> bool:
        first = self.first
        return first is not None and disturbed(self.talk.send(first.data(_OPAQUE)))

    def control(self) -> bool:
        return disturbed(self.talk.ask(self.talk.connection(self.server, self.port()), self.harmless()))

    @property
    def restarts(self) -> bool:
        return True


class Volume(Driver):
    """Addresses blocked for how many connections go to them."""

    def provoke(self) -> None:
        for _ in range(int(self.settings["limit"]) + 1):
            self.talk.send(self.talk.connection(self.server).syn())

    def again(self) -> bool:
        return disturbed(self.talk.send(self.talk.connection(self.server).syn()))

    def control(self) -> bool:
        return disturbed(self.talk.send(self.talk.connection(self.neighbour).syn()))

    @property
    def restarts(self) -> bool:
        return bool(self.settings["restarts"])


class Zone(Driver):
    """A DNS zone that had too many queries."""

    def provoke(self) -> None:
        self.server = self.talk.at("resolvers-open", "resolver-a")
        for number in range(int(self.settings["zone_burst"]) + 1):
            self._query(f"q{number}.t.garden-photos.example")

    def again(self) -> bool:
        return self._query("once-more.t.garden-photos.example")

    def control(self) -> bool:
        return self._query("t.another-zone.example")

    def _query(self, name: str) -> bool:
        """Whether a query is lost; its letters may change on the way."""
        message = dnsmessage.write_query(7, name)
        return "-" in self.talk.datagram(message, self.server, 53, sport=self.talk.port())


class Datagram(Driver):
    """Rules on the first datagram of a UDP flow."""

    def provoke(self) -> None:
        self.sport = self.talk.port()
        self.talk.datagram(self.listed(), self.server, self.port(), sport=self.sport)

    def listed(self) -> bytes:
        """A long header of QUIC version 1."""
        return b"\xc3\x00\x00\x00\x01" + bytes(1_195)

    def again(self) -> bool:
        wide = self.settings["residual_key"] not in ("4-tuple", "5-tuple")
        return disturbed(self._short(self.server, self.talk.port() if wide else self.sport))

    def control(self) -> bool:
        wide = self.settings["residual_key"] not in ("4-tuple", "5-tuple")
        return disturbed(self._short(self.neighbour if wide else self.server, self.talk.port()))

    def _short(self, server: str, sport: int) -> str:
        """What a datagram meets that no rule reads as QUIC's first one."""
        return self.talk.datagram(b"\x40" + bytes(99), server, self.port(), sport=sport)


class Initial(Datagram):
    """Rules on the name in a QUIC Initial."""

    def listed(self) -> bytes:
        rng = Random(f"{self.config.id}/timers")  # noqa: S311 - repeatability is the point
        hello = quicbuild.client_hello(self.name(), rng)
        return quicbuild.initial(quicbuild.padded(quicbuild.crypto(hello), 1_100), dcid=rng.randbytes(8))


class Frozen(Driver):
    """TLS to a host frozen for too many connections of one browser at once."""

    def provoke(self) -> None:
        for _ in range(int(self.settings["more_than"]) + 1):
            self._hello(self.server, hellobuild.chrome("garden-photos.example"))

    def again(self) -> bool:
        return self._hello(self.server, hellobuild.chrome(f"n{self.talk.port()}.example"))

    def control(self) -> bool:
        return self._hello(self.neighbour, hellobuild.chrome(f"n{self.talk.port()}.example"))

    @property
    def restarts(self) -> bool:
        return False

    def _hello(self, server: str, hello: bytes) -> bool:
        return disturbed(self.talk.ask(self.talk.connection(server), hello))


class Escalated(Frozen):
    """The same once the client came back with another fingerprint."""

    def provoke(self) -> None:
        super().provoke()
        self._hello(self.server, hellobuild.firefox(OPEN))

    def again(self) -> bool:
        return self._hello(self.server, hellobuild.firefox(f"n{self.talk.port()}.example"))


class FoundOut(Driver):
    """A null route for a server that probes found out: what it sends is lost."""

    def provoke(self) -> None:
        rng = Random(f"{self.config.id}/timers")  # noqa: S311 - repeatability is the point
        talk = self.talk
        for _ in range(40):  # what is replayed is drawn
            talk.ask(talk.connection(self.server), rng.randbytes(402))
        for probe in [*talk.lab.probes]:
            if probe.kind == "NR2":
                talk.lab.answer(Probed(probe, "timeout", 10.0, 0))
                break
        for probe in [*talk.lab.probes]:
            if probe.kind == "R1":
                talk.lab.answer(Probed(probe, "data", 0.2, 300))
                break

    def again(self) -> bool:
        return self._answer(self.server)

    def control(self) -> bool:
        return self._answer(self.neighbour)

    @property
    def restarts(self) -> bool:
        return False

    def _answer(self, server: str) -> bool:
        connection = self.talk.connection(server)
        self.talk.send(connection.syn())
        return disturbed(self.talk.send(connection.syn_ack(), False))


DRIVERS: Mapping[tuple[str, str], type[Driver]] = {
    ("sni", "residual_s"): Hello,
    ("tspu_sni", "residual_s"): Hello,
    ("http_host", "residual_s"): Request,
    ("whitelist", "residual_s"): Refused,
    ("fet", "residual_s"): Opaque,
    ("protocol_filter", "residual_s"): Nonconforming,
    ("volume_block", "block_s"): Volume,
    ("dns_path", "zone_cooldown_s"): Zone,
    ("quic_first_packet", "residual_s"): Datagram,
    ("quic_sni", "residual_s"): Initial,
    ("siberian", "freeze_s"): Frozen,
    ("siberian", "escalate_s"): Escalated,
    ("ss_prober", "block_s"): FoundOut,
}
