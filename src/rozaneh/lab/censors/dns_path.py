"""DNS-PATH: what a DNS path still lets through when it lets nothing else through (catalogue IR-13).

Seen in Iran in 2026 [T slipstream#16, slipstream-rust#1, SlipNet#78, net4people/bbs #561], and what naive DNS tunnels
die of. Four constraints, each with its own parameters, in this order: only some resolvers answer; names above a length
never arrive (101 characters pass and 102 do not in January, 72 on some paths in March); a zone has so many queries a
second and is then left out for a while; the letters' case is random at the server (0x20). The client gets its own
letters back unless `restore` is off: resolvers that scramble do so.
"""

from __future__ import annotations

from random import Random
from typing import ClassVar, Literal

from rozaneh.lab import dnsmessage
from rozaneh.lab.api import DONE, PASS, Drop, Inject, Params, Replace, Verdict
from rozaneh.lab.censors.base import Settings, read_settings
from rozaneh.lab.packet import Packet, packed_address, udp_packet
from rozaneh.lab.rules import Prefixes

_MAX_ZONES = 16_384
_MAX_ASKED = 64  # queries of one flow whose answers have not come


class DnsPathSettings(Settings, frozen=True, kw_only=True):
    """The constraints; each default means that there is none.

    Attributes:
        resolvers: Outside prefixes whose port 53 answers; empty means all.
        name_cap: The longest name that passes; 0 means any.
        name_counted: As text without the last dot, or as bytes in the message.
        scramble: The share of queries whose name gets random letter case.
        restore: Whether the client's own letters come back in the answer.
        zone_labels: How many labels at a name's end are its zone.
        zone_rate: Queries a second each zone may have; 0 means any.
        zone_burst: How many at once.
        zone_cooldown_s: How long a zone that had too many is left out, in lab seconds.
        refuse: What a query too many gets: nothing, or an answer with this code.
        ports: UDP ports that are looked at.
    """

    resolvers: tuple[str, ...] = ()
    name_cap: int = 0
    name_counted: Literal["text", "wire"] = "text"
    scramble: float = 0.0
    restore: bool = True
    zone_labels: int = 3
    zone_rate: float = 0.0
    zone_burst: float = 20.0
    zone_cooldown_s: float = 0.0
    refuse: Literal["silence", "servfail", "refused"] = "silence"
    ports: tuple[int, ...] = (53,)


class Zones:
    """A token bucket for each zone, and how long it is left out once it is empty; in lab time."""

    def __init__(self, rate: float, burst: float, cooldown: float) -> None:
        self._rate, self._burst, self._cooldown = rate, burst, cooldown
        self._known: dict[str, tuple[float, float, float]] = {}  # tokens, when they were counted, left out until

    def __len__(self) -> int:
        return len(self._known)

    def take(self, zone: str, now: float) -> bool:
        """Whether one more query may pass."""
        tokens, counted, shut = self._known.pop(zone, (self._burst, now, 0.0))
        tokens = min(self._burst, tokens + (now - counted) * self._rate)
        passes = now >= shut and tokens >= 1
        if passes:
            tokens -= 1
        elif now >= shut:
            shut = now + self._cooldown
        if len(self._known) >= _MAX_ZONES:
            del self._known[next(iter(self._known))]
        self._known[zone] = (tokens, now, shut)
        return passes


class Censor:
    """Looks at queries that leave, and at their answers."""

    protocols: ClassVar[str] = "udp"

    def __init__(self, params: Params, rng: Random) -> None:
        settings = read_settings(DnsPathSettings, params)
        if not 0 <= settings.scramble <= 1:
            raise ValueError("scramble must lie between 0 and 1")
        if (
            settings.zone_rate < 0
            or settings.zone_burst < 1
            or settings.zone_cooldown_s < 0
            or settings.zone_labels < 1
        ):
            raise ValueError("a zone has a label or more, a rate and a cooldown not below 0, a burst of 1 or more")
        for prefix in settings.resolvers:
            packed_address(prefix.partition("/")[0])
        self._settings = settings
        self._resolvers = Prefixes(settings.resolvers)
        self._zones = Zones(settings.zone_rate, settings.zone_burst, settings.zone_cooldown_s)
        self._ports = frozenset(settings.ports)
        self._rng = rng

    def packet(self, p: Packet, now: float) -> Verdict:
        """Queries meet the constraints, answers get the client's letters back."""
        if p.udp is None:
            return PASS
        if p.outside_port not in self._ports:
            return DONE
        if self._resolvers and p.outside_bytes not in self._resolvers:
            return Drop(f"resolver {p.outside}")
        return self._query(p, now) if p.outbound else self._answer(p)

    def _query(self, p: Packet, now: float) -> Verdict:
        settings = self._settings
        query = dnsmessage.read_query(p.payload)
        if query is None:
            return PASS
        if settings.name_cap:
            size = len(query.name) if settings.name_counted == "text" else query.wire_length
            if size > settings.name_cap:
                return Drop(f"name of {size}, {settings.name_cap} at most")
        if settings.zone_rate:
            zone = ".".join(query.name.split(".")[-settings.zone_labels :])
            if not self._zones.take(zone, now):
                return self._refused(p, query, f"zone {zone} has had enough")
        if settings.scramble and self._rng.random() < settings.scramble:
            message = dnsmessage.scrambled(p.payload, self._rng)
            if settings.restore:
                asked: dict[int, bytes] = p.flow.setdefault("asked", {})
                asked.pop(query.ident, None)
                if len(asked) >= _MAX_ASKED:
                    del asked[next(iter(asked))]
                asked[query.ident] = query.question
            return [Replace(_instead(p, message), "letter case")]
        return PASS

    def _answer(self, p: Packet) -> Verdict:
        asked: dict[int, bytes] = p.flow.get("asked", {})
        question = asked.pop(int.from_bytes(p.payload[:2], "big"), None) if asked else None
        if question is None:
            return PASS
        message = dnsmessage.with_question(p.payload, question)
        return PASS if message == p.payload else [Replace(_instead(p, message), "letter case put back")]

    def _refused(self, p: Packet, query: dnsmessage.Query, why: str) -> Verdict:
        refuse = self._settings.refuse
        udp = p.udp
        if refuse == "silence" or udp is None:
            return Drop(why)
        code = dnsmessage.SERVFAIL if refuse == "servfail" else dnsmessage.REFUSED
        message = dnsmessage.answer(query, [], code=code, authoritative=False)
        raw = udp_packet(p.ip.dst_bytes, p.ip.src_bytes, udp.dport, udp.sport, message)
        return [Drop(why), Inject(raw, to="in", why=why)]


def _instead(p: Packet, message: bytes) -> bytes:
    """The packet with another message of the same sender to the same target."""
    ip, udp = p.ip, p.udp
    if udp is None:
        raise ValueError("not UDP")
    return udp_packet(ip.src_bytes, ip.dst_bytes, udp.sport, udp.dport, message, ttl=ip.ttl, ident=ip.ident & 0xFFFF)
