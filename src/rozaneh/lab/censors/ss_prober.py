"""SS-PROBER: has servers probed whose connections may be Shadowsocks, and null-routes those that give themselves away.

Catalogue CN-07, and CN-08's way of blocking (port first, then address).

After "How China Detects and Blocks Shadowsocks" (IMC'20) [P]. The passive trigger weighs the first data packet's length
(nearly only 160 to 700 bytes are replayed; of 168 to 263 bytes 72 % have length mod 16 = 9, of 384 to 687 bytes 96 %
have 2, in between both) and its entropy (7.2 bits a byte is replayed four times as often as 3.0). Probes: R1 the same
bytes, R2 byte 0 changed, R5 bytes 6 and 16 changed; R3 (bytes 0 to 7 and 62 to 63) and R4 (byte 16) only once R1 or R2
was answered; NR1 random bytes of lengths around 8, 12, 16, 22, 33, 41, 49, NR2 of 221 bytes, three times as often as
all NR1, and a few rare lengths (NR3 here). Delays follow the published distribution, in lab time.

What makes the censor decide is not published. Here it is one of two things that the paper shows to tell Shadowsocks
from other servers: a replay is answered with data where random bytes never are, or the reaction to random bytes changes
exactly at one of the probed lengths. Either is `evidence`. A server that reacts to everything alike is left alone.
The null route drops what comes from the server only, by port or address, and checks do not renew it.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from random import Random
from typing import ClassVar, Literal

from rozaneh.lab.api import PASS, Drop, Params, Probe, Probed, Verdict
from rozaneh.lab.censors.base import Settings, first_payload, read_settings
from rozaneh.lab.codec import classify
from rozaneh.lab.nullroutes import By, NullRoutes
from rozaneh.lab.packet import Packet, packed_address, text_address

NR1_AROUND = (8, 12, 16, 22, 33, 41, 49)
NR1_LENGTHS = tuple(n + step for n in NR1_AROUND for step in (-1, 0, 1))
NR2_LENGTH = 221
RARE_LENGTHS = (53, 56, 169, 180, 402)
_NR2_SHARE = 0.75  # "about three times all NR1"
_NR2_AGAIN = 0.1  # "about 10 % of NR2 repeated"
_MAX_PAYLOAD = 1_500
_MAX_SERVERS = 4_096
_MAX_WAITING = 4_096
_MAX_SENT = 16_384
_KNOWN = (b"\x16\x03", b"GET ", b"POST ", b"HEAD ", b"PUT ", b"CONNECT ", b"OPTIONS ", b"SSH-")


class SsProberSettings(Settings, frozen=True, kw_only=True):
    """When it probes, how often, and what it blocks.

    Attributes:
        rate: The share of first packets with the likeliest length and entropy that are replayed.
        low_entropy: Bits a byte at which a packet is replayed `entropy_ratio` times less often.
        high_entropy: Bits a byte from which on it is replayed most often.
        entropy_ratio: How much more often.
        odd_weight: How often lengths outside 160 to 700 (up to 999) are replayed, against the likeliest.
        delays: Points (probability, seconds) of the delay of a replay, ascending; between them it grows evenly in its
            logarithm.
        repeat: The chance that one more R1 follows, after each.
        repeats: How many R1 a payload gives at most.
        r5: The chance of an R5.
        nr_per_hour: How many NR probes a suspect server gets in an hour.
        nr_hours: For how long.
        evidence: What counts: a replay answered (`replay`), a reaction that changes at a length (`threshold`), any.
        random_first: Whether a replay answered counts only once a random probe got no data.
        block_rate: The share of servers found that are blocked.
        by: By port, by address, or by port and then address (`escalate`).
        ports: How many ports of an address are blocked before the address is.
        block_s: For how long, in lab seconds; then a server may be found anew.
        rare: The share of random probes with one of the rare lengths.
        inbound: Whether connections from outside to servers inside are judged as well (measured: they are). The
            prober's own are not, as far as their bytes are known; keep its addresses out by the rule's `outside_not`.
    """

    rate: float = 1.0
    low_entropy: float = 3.0
    high_entropy: float = 7.2
    entropy_ratio: float = 4.0
    odd_weight: float = 0.01
    delays: tuple[tuple[float, float], ...] = ((0.0, 0.28), (0.2, 1.0), (0.5, 60.0), (0.75, 900.0), (1.0, 2_052_000.0))
    repeat: float = 0.5
    repeats: int = 47
    r5: float = 0.05
    nr_per_hour: float = 3.0
    nr_hours: float = 24.0
    evidence: Literal["replay", "threshold", "any"] = "any"
    random_first: bool = True
    block_rate: float = 1.0
    by: By = "port"
    ports: int = 2
    block_s: float = 691_200.0
    rare: float = 0.02
    inbound: bool = False


@dataclass(slots=True)
class _Server:
    """What is known of one server."""

    payload: bytes
    probed_until: float = -math.inf  # random probes are under way until then
    answered: bool = False  # to a replay, with data
    followed: bool = False  # R3 and R4 were sent
    random: dict[int, str] = field(default_factory=dict)  # the reaction to random bytes, by length
    decided_until: float | None = None  # what was decided holds until then


class Censor:
    """Watches first packets, asks for probes, learns from them."""

    protocols: ClassVar[str] = "any"

    def __init__(self, params: Params, rng: Random) -> None:
        settings = read_settings(SsProberSettings, params)
        _check(settings)
        self._settings = settings
        self._rng = rng
        self._servers: dict[tuple[bytes, int], _Server] = {}
        self._routes = NullRoutes(settings.by, settings.block_s, ports=settings.ports)
        self._waiting: list[Probe] = []
        self._last_nr2 = b""
        self._sent: dict[bytes, None] = {}

    def packet(self, p: Packet, now: float) -> Verdict:
        """Drops what comes from a blocked server; looks at each connection's first bytes."""
        blocked = self._routes.hit(p, now)
        if blocked:
            return Drop(f"null route, {blocked}")
        if p.outbound != p.inside_first or not (p.outbound or self._settings.inbound):
            return PASS
        first = first_payload(p)
        if first is None:
            return PASS
        payload, syn = first
        if not syn or self._rng.random() >= self._settings.rate * self.weight(payload):
            return PASS
        payload = payload[:_MAX_PAYLOAD]
        return PASS if not p.outbound and payload in self._sent else self._suspect(p, payload, now)

    def weight(self, payload: bytes) -> float:
        """How likely a first packet is replayed, against the likeliest."""
        if payload.startswith(_KNOWN):
            return 0.0
        settings = self._settings
        span = settings.high_entropy - settings.low_entropy
        at = min(1.0, max(0.0, (classify.entropy(payload) - settings.low_entropy) / span))
        least = 1 / settings.entropy_ratio
        return length_weight(len(payload), settings.odd_weight) * (least + (1 - least) * at)

    def timer(self, now: float) -> list[Probe]:
        """The probes that follow from answers."""
        waiting, self._waiting = self._waiting, []
        return waiting

    def probed(self, result: Probed, now: float) -> None:
        """Learns what a server does; decides."""
        probe = result.probe
        key = (packed_address(probe.address), probe.port)
        server = self._servers.get(key)
        if server is None:
            return
        if probe.kind.startswith("NR"):
            server.random[len(probe.payload)] = result.reaction
        elif result.reaction == "data":
            server.answered = True
            if probe.kind in ("R1", "R2") and not server.followed and len(self._waiting) < _MAX_WAITING:
                server.followed = True
                for kind in ("R3", "R4"):
                    self._waiting.append(self._probe(key, kind, self._changed(server.payload, kind)))
        if server.decided_until is None and self._found(server):
            server.decided_until = now + self._settings.block_s
            if self._rng.random() < self._settings.block_rate:
                self._routes.block(*key, now)

    def _suspect(self, p: Packet, payload: bytes, now: float) -> Verdict:
        """Asks for the probes of one first packet."""
        settings, rng = self._settings, self._rng
        key = (p.outside_bytes, p.outside_port) if p.outbound else (p.inside_bytes, p.inside_port)
        server = self._servers.pop(key, None)
        if server is None or (server.decided_until is not None and now >= server.decided_until):
            server = _Server(payload)
        server.payload = payload
        if len(self._servers) >= _MAX_SERVERS:
            del self._servers[next(iter(self._servers))]
        self._servers[key] = server
        probes = [self._probe(key, "R1", payload), self._probe(key, "R2", self._changed(payload, "R2"))]
        count = 1
        while count < settings.repeats and rng.random() < settings.repeat:
            count += 1
            probes.append(self._probe(key, "R1", payload))
        if rng.random() < settings.r5:
            probes.append(self._probe(key, "R5", self._changed(payload, "R5")))
        if now >= server.probed_until:
            server.probed_until = now + settings.nr_hours * 3_600
            probes += self._random_probes(key)
        return probes

    def _random_probes(self, key: tuple[bytes, int]) -> list[Probe]:
        """A suspect server's NR probes, spread over the hours to come."""
        settings, rng = self._settings, self._rng
        found: list[Probe] = []
        for _ in range(round(settings.nr_per_hour * settings.nr_hours)):
            after = rng.uniform(0.0, settings.nr_hours * 3_600)
            if rng.random() < settings.rare:
                found.append(self._probe(key, "NR3", rng.randbytes(rng.choice(RARE_LENGTHS)), after))
            elif rng.random() < _NR2_SHARE:
                if not self._last_nr2 or rng.random() >= _NR2_AGAIN:
                    self._last_nr2 = rng.randbytes(NR2_LENGTH)
                found.append(self._probe(key, "NR2", self._last_nr2, after))
            else:
                found.append(self._probe(key, "NR1", rng.randbytes(rng.choice(NR1_LENGTHS)), after))
        return found

    def _probe(self, key: tuple[bytes, int], kind: str, payload: bytes, after: float | None = None) -> Probe:
        address, port = key
        self._sent.pop(payload, None)
        if len(self._sent) >= _MAX_SENT:
            del self._sent[next(iter(self._sent))]
        self._sent[payload] = None
        when = self._delay() if after is None else after
        return Probe(text_address(address), port, payload, kind, when, f"{kind}, {len(payload)} bytes")

    def _changed(self, payload: bytes, kind: str) -> bytes:
        """A replay with some bytes changed, each to another value."""
        places = {"R2": (0,), "R3": (*range(8), 62, 63), "R4": (16,), "R5": (6, 16)}[kind]
        made = bytearray(payload)
        for place in places:
            if place < len(made):
                made[place] ^= self._rng.randrange(1, 256)
        return bytes(made)

    def _delay(self) -> float:
        """A delay from the published distribution."""
        at = self._rng.random()
        points = self._settings.delays
        before = points[0]
        for point in points:
            if at <= point[0]:
                span = point[0] - before[0]
                share = (at - before[0]) / span if span else 1.0
                return math.exp(math.log(before[1]) + (math.log(point[1]) - math.log(before[1])) * share)
            before = point
        return before[1]

    def _found(self, server: _Server) -> bool:
        """Whether the server gave itself away."""
        evidence = self._settings.evidence
        replied = server.answered and "data" not in server.random.values()
        if evidence != "threshold" and replied and (server.random or not self._settings.random_first):
            return True
        return evidence != "replay" and step(server.random) is not None


def length_weight(size: int, odd: float) -> float:
    """How likely a first packet of this length is replayed, against the likeliest (IMC'20 [P], see the module)."""
    if size > 999:
        return 0.0
    if not 160 <= size <= 700:
        return odd
    rest = size % 16
    if 168 <= size <= 263:
        return 1.0 if rest == 9 else 0.28 / 15 / 0.72
    if 264 <= size <= 383:
        return {9: 1.0, 2: 0.32 / 0.37}.get(rest, 0.31 / 14 / 0.37)
    if 384 <= size <= 687:
        return 1.0 if rest == 2 else 0.04 / 15 / 0.96
    return odd


def step(reactions: dict[int, str]) -> int | None:
    """The probed length up to which random bytes meet one reaction and behind which another; None without one.

    Both sides must have been probed right beside the change. A server that closes at one length and resets above it
    changes twice; more changes than that are noise.
    """
    changes = [(a, b) for a, b in itertools.pairwise(sorted(reactions)) if reactions[a] != reactions[b]]
    if len(changes) > 2:
        return None
    return next((low for low, high in changes if high == low + 1), None)


def _check(settings: SsProberSettings) -> None:
    """Whether the parameters fit each other."""
    for share in (settings.rate, settings.odd_weight, settings.repeat, settings.r5, settings.block_rate, settings.rare):
        if not 0 <= share <= 1:
            raise ValueError("rate, odd_weight, repeat, r5, block_rate and rare must lie between 0 and 1")
    if settings.high_entropy <= settings.low_entropy or settings.entropy_ratio < 1:
        raise ValueError("high_entropy must be above low_entropy, entropy_ratio at least 1")
    delays = settings.delays
    if not delays or list(delays) != sorted(delays) or any(not 0 <= p <= 1 or s <= 0 for p, s in delays):
        raise ValueError("delays must ascend, with probabilities from 0 to 1 and times above 0")
    if settings.nr_per_hour * settings.nr_hours > 1_000:
        raise ValueError("more than 1,000 random probes for one server")
