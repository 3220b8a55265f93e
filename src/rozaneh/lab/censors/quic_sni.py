"""QUIC-SNI: reads the server's name in a QUIC Initial packet and drops the flow, or all flows but permitted ones.

Three censors are parameter sets of this kind.

* China since 7 April 2024 (catalogue CN-06, the defaults) [P artefact usenixsecurity25-quic-sni; C paper]: version 1
  only, any port, the first datagram of a four-tuple that was silent for 60 s, only if the source's port is above the
  destination's; the trigger itself passes; then everything from the client to that address and port is dropped for
  180 s. Blocking begins 70 ms to seconds after the trigger [P how-fast-gfw-blocks/results.csv: lowest 70 ms, most
  around 120 ms, one in ten above 300 ms]. Its effect falls while more Initial packets cross the border [P figure 8].
* Russia's TSPU since 2023 (RU-07) [T NTC 1823 posts 69, 74; P FOCI'26 parsing.csv]: UDP 443, CRYPTO frames put
  together, the tag not checked, the whole four-tuple dropped both ways.
* The variant of 2026 (RU-07, `mode = "allow"`) [T NTC 1823 posts 76, 77, one provider]: any UDP flow is dropped
  unless it begins with an Initial whose name is on the list.

What the box's parser accepts is `rozaneh.lab.codec.quicframes.Habits`.
"""

from __future__ import annotations

import heapq
from random import Random
from typing import ClassVar, Literal

from rozaneh.lab.api import PASS, Drop, Params, Verdict
from rozaneh.lab.censors.base import Settings, read_settings
from rozaneh.lab.codec import quic
from rozaneh.lab.codec.clienthello import ClientHello, More
from rozaneh.lab.codec.quicframes import Habits, HelloReader
from rozaneh.lab.names import NameList
from rozaneh.lab.packet import Packet
from rozaneh.lab.residual import Key, Residual

_MAX_PENDING = 4_096


class QuicSniSettings(Settings, frozen=True, kw_only=True):
    """Which names, which flows, how Initial packets are read, and what is dropped.

    Attributes:
        names: Listed names, with everything below them.
        exact: Listed names, only themselves.
        substrings: Listed parts of names.
        mode: `block` drops flows to listed names, `allow` drops all UDP flows but those to listed names.
        ports: Outside UDP ports; empty means all.
        source_above: Whether the source's port must be above the destination's: `no`, `gt` (above), `ge` (or equal:
            the paper's figure says so, its text does not).
        outbound_only: Whether only flows from the inside are looked at (China since 13 March 2025).
        tracking_s: Only the first datagram of a four-tuple silent for this long is looked at; 0 looks at every one.
        decoys: How many datagrams that cannot be read take the flow out of the rule, with `tracking_s`.
        decoy_min: How long such a datagram must be.
        trigger: What becomes of the datagram that names the host.
        drop: What is dropped afterwards: what the client sends, or both directions.
        residual_s: For how long, in lab seconds.
        residual_key: What counts as the same.
        residual_restarts: Whether each dropped packet begins the time again.
        onset: When blocking begins after the trigger: (probability, seconds) points of its distribution, ascending.
        effect: The share of triggers that are acted on.
        load_kpps: Initial packets crossing this border, thousands a second; lowers `effect`.
        load_full_kpps: Up to this load the effect is whole.
        load_none_kpps: At this load it has fallen to `load_floor`, evenly in between.
        load_floor: The effect that is left.
        versions: QUIC versions there are keys for.
        check_tag: Whether the AEAD's tag is verified.
        truncated: Whether a packet longer than its datagram is read.
        crypto: How CRYPTO frames are read: `leading`, `in_order`, `full`.
        trust_length: Whether a CRYPTO frame's length is believed; unless told, as the known box that reads frames this
            way does: the GFW (`leading`) does not, the TSPU does.
        datagrams: How many datagrams of a flow are read for one ClientHello.
        min_dcid: The shortest destination connection id that is read; unless told, any for `leading` (the GFW blocks
            with empty ids) and else 8 (the TSPU does not; that this is its reason is inferred from RFC 9000 7.2).
        no_ciphers: Whether a hello without a single cipher is read.
        ech: Whether a hello with an encrypted_client_hello extension matters only, never, or like any other.
    """

    names: tuple[str, ...] = ()
    exact: tuple[str, ...] = ()
    substrings: tuple[str, ...] = ()
    mode: Literal["block", "allow"] = "block"
    ports: tuple[int, ...] = ()
    source_above: Literal["no", "gt", "ge"] = "gt"
    outbound_only: bool = True
    tracking_s: float = 60.0
    decoys: int = 1
    decoy_min: int = 0
    trigger: Literal["pass", "drop"] = "pass"
    drop: Literal["c2s", "both"] = "c2s"
    residual_s: float = 180.0
    residual_key: Key = "3-tuple"
    residual_restarts: bool = False
    onset: tuple[tuple[float, float], ...] = ((0.0, 0.07), (0.5, 0.12), (0.9, 0.3), (1.0, 1.5))
    effect: float = 1.0
    load_kpps: float = 0.0
    load_full_kpps: float = 100.0
    load_none_kpps: float = 1_500.0
    load_floor: float = 0.0
    versions: tuple[int, ...] = (quic.V1,)
    check_tag: bool = True
    truncated: bool = False
    crypto: Literal["leading", "in_order", "full"] = "leading"
    trust_length: bool | None = None
    datagrams: int = 1
    min_dcid: int | None = None
    no_ciphers: bool = True
    ech: Literal["any", "only", "never"] = "any"


class Censor:
    """Reads the first datagrams of UDP flows."""

    protocols: ClassVar[str] = "udp"

    def __init__(self, params: Params, rng: Random) -> None:
        settings = read_settings(QuicSniSettings, params)
        _check(settings)
        self._settings = settings
        self._rng = rng
        self._names = NameList(settings.names, settings.exact, settings.substrings)
        self._ports = frozenset(settings.ports)
        leading = settings.crypto == "leading"
        self._habits = Habits(
            versions=settings.versions,
            check_tag=settings.check_tag,
            truncated=settings.truncated,
            crypto=settings.crypto,
            trust_length=not leading if settings.trust_length is None else settings.trust_length,
            datagrams=settings.datagrams,
            min_dcid=(0 if leading else 8) if settings.min_dcid is None else settings.min_dcid,
            no_ciphers=settings.no_ciphers,
        )
        over = (settings.load_kpps - settings.load_full_kpps) / (settings.load_none_kpps - settings.load_full_kpps)
        left = 1 - min(1.0, max(0.0, over)) * (1 - settings.load_floor)
        self._effect = settings.effect * left
        self._residual = Residual(settings.residual_s, settings.residual_key, restarts=settings.residual_restarts)
        self._pending: list[tuple[float, int, Packet, float]] = []  # what will be blocked, and from when on
        self._order = 0

    def packet(self, p: Packet, now: float) -> Verdict:
        """Drops what is blocked, else looks whether this datagram blocks its flow."""
        while self._pending and self._pending[0][0] <= now:
            begin, _, trigger, delay = heapq.heappop(self._pending)
            # Counted from the trigger on, which is what was measured.
            self._residual.add(trigger, begin, self._residual.seconds - delay)
        settings = self._settings
        if self._residual and (p.inside_first == p.outbound or settings.drop == "both") and self._residual.hit(p, now):
            return Drop("residual")
        return self._block(p, now) if settings.mode == "block" else self._allow(p, now)

    def _block(self, p: Packet, now: float) -> Verdict:
        settings, flow = self._settings, p.flow
        if settings.tracking_s:
            last = flow.get("last")
            flow["last"] = now
            if last is not None and now - last >= settings.tracking_s:
                flow.clear()
                flow["last"] = now
        if flow.get("out") or p.outbound != p.inside_first or (settings.outbound_only and not p.outbound):
            return PASS
        if not self._interesting(p):
            flow["out"] = True
            return PASS
        found = self._read(p)
        if isinstance(found, More):
            return PASS
        name = self._named(found)
        if name is None:
            if settings.tracking_s and (found is not None or self._decoyed(p)):
                flow["out"] = True
            return PASS
        flow["out"] = bool(settings.tracking_s)
        if self._effect < 1 and self._rng.random() >= self._effect:
            return PASS
        delay = self._delay()
        if delay <= 0:
            self._residual.add(p, now)
        elif len(self._pending) < _MAX_PENDING:
            self._order += 1
            heapq.heappush(self._pending, (now + delay, self._order, p, delay))
        return Drop(f"name {name}") if settings.trigger == "drop" else PASS

    def _allow(self, p: Packet, now: float) -> Verdict:
        """Only flows that begin with a permitted name live."""
        flow = p.flow
        if self._ports and p.outside_port not in self._ports:
            return PASS
        state = flow.get("state")
        if state is None:
            if p.outbound != p.inside_first:
                return PASS
            found = self._read(p)
            if isinstance(found, More):
                return PASS
            state = "open" if self._named(found) is not None else "shut"
            flow["state"] = state
        return PASS if state == "open" else Drop("UDP without a permitted name")

    def _interesting(self, p: Packet) -> bool:
        """Whether flows between these ports are read."""
        udp, settings = p.udp, self._settings
        if udp is None or (self._ports and (udp.dport if p.inside_first else udp.sport) not in self._ports):
            return False
        if settings.source_above == "gt":
            return udp.sport > udp.dport
        return settings.source_above == "no" or udp.sport >= udp.dport

    def _read(self, p: Packet) -> ClientHello | More | None:
        flow = p.flow
        reader: HelloReader | None = flow.get("reader")
        if reader is None:
            reader = flow["reader"] = HelloReader(self._habits)
        found = reader.add(p.payload)
        if not isinstance(found, More):
            del flow["reader"]
        return found

    def _named(self, hello: ClientHello | More | None) -> str | None:
        """The name in a hello that is on the list and meets the condition on ECH."""
        if not isinstance(hello, ClientHello) or not hello.server_name:
            return None
        ech = self._settings.ech
        if ech != "any" and hello.has_ech != (ech == "only"):
            return None
        return hello.server_name if self._names.find(hello.server_name) is not None else None

    def _decoyed(self, p: Packet) -> bool:
        """Counts a datagram that could not be read; whether there were enough of them."""
        if len(p.payload) >= self._settings.decoy_min:
            p.flow["decoys"] = p.flow.get("decoys", 0) + 1
        return bool(p.flow.get("decoys", 0) >= self._settings.decoys)

    def _delay(self) -> float:
        """How long after the trigger blocking begins."""
        points = self._settings.onset
        if not points:
            return 0.0
        at = self._rng.random()
        before = points[0]
        for point in points:
            if at <= point[0]:
                span = point[0] - before[0]
                return before[1] + (point[1] - before[1]) * ((at - before[0]) / span if span else 1.0)
            before = point
        return before[1]


def _check(settings: QuicSniSettings) -> None:
    """Whether the parameters fit each other."""
    if settings.datagrams < 1 or settings.decoys < 1:
        raise ValueError("datagrams and decoys must be at least 1")
    if settings.load_none_kpps <= settings.load_full_kpps:
        raise ValueError("load_none_kpps must be above load_full_kpps")
    if list(settings.onset) != sorted(settings.onset) or any(not 0 <= p <= 1 or s < 0 for p, s in settings.onset):
        raise ValueError("onset must ascend, with probabilities from 0 to 1 and no negative times")
    for share in (settings.effect, settings.load_floor):
        if not 0 <= share <= 1:
            raise ValueError("effect and load_floor must lie between 0 and 1")
