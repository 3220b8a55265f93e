"""QUIC-FIRST-PACKET: a UDP flow that begins with what looks like QUIC version 1 goes nowhere (catalogue RU-05).

The rule of 2022 [T NTC 1823 posts 10, 11, 54, 55, 61]: UDP to port 443, at least 1,001 bytes, bytes 1 to 4 are the
version's number; the source's port makes no difference; only what leaves; only the flow's first datagram. Any other
first datagram takes the flow out of the rule. The hardening of May 2022 is `decoy_min` (a datagram of 600 bytes does
not take it out, one of 620 does: 601) and `decoys` (some providers need about five). The flow is dropped, 420 s [S].
"""

from __future__ import annotations

from random import Random
from typing import ClassVar

from rozaneh.lab.api import DONE, PASS, Drop, Params, Verdict
from rozaneh.lab.censors.base import Settings, read_settings
from rozaneh.lab.packet import Packet
from rozaneh.lab.residual import Key, Residual
from rozaneh.lab.rules import Prefixes


class QuicFirstPacketSettings(Settings, frozen=True, kw_only=True):
    """When a first datagram is QUIC, and for how long its flow is dropped.

    Attributes:
        ports: Outside UDP ports; empty means all.
        min_bytes: The shortest datagram that counts.
        versions: Version numbers that count.
        decoys: How many other datagrams take a flow out of the rule.
        decoy_min: How long each of those must be.
        allowed: Outside prefixes whose flows are left alone.
        residual_s: How long the flow is dropped, in lab seconds.
        residual_key: What is dropped.
        residual_restarts: Whether each dropped packet begins the time again.
    """

    ports: tuple[int, ...] = (443,)
    min_bytes: int = 1_001
    versions: tuple[int, ...] = (1,)
    decoys: int = 1
    decoy_min: int = 0
    allowed: tuple[str, ...] = ()
    residual_s: float = 420.0
    residual_key: Key = "5-tuple"
    residual_restarts: bool = False


class Censor:
    """Looks at the first datagrams of flows from the inside."""

    protocols: ClassVar[str] = "udp"

    def __init__(self, params: Params, rng: Random) -> None:
        settings = read_settings(QuicFirstPacketSettings, params)
        if settings.decoys < 1:
            raise ValueError("decoys must be at least 1")
        self._settings = settings
        self._ports = frozenset(settings.ports)
        self._versions = tuple(version.to_bytes(4, "big") for version in settings.versions)
        self._allowed = Prefixes(settings.allowed)
        self._residual = Residual(settings.residual_s, settings.residual_key, restarts=settings.residual_restarts)

    def packet(self, p: Packet, now: float) -> Verdict:
        """Judges a flow by how it begins."""
        udp = p.udp
        if udp is None:
            return PASS
        if self._residual.hit(p, now):
            return Drop("residual")
        settings = self._settings
        if (self._ports and p.outside_port not in self._ports) or (self._allowed and p.outside_bytes in self._allowed):
            return DONE
        flow = p.flow
        if not p.outbound or "out" in flow:
            return PASS
        payload = p.payload
        if len(payload) >= settings.min_bytes and payload[1:5] in self._versions:
            self._residual.add(p, now)
            return Drop(f"QUIC version 1 as the first datagram, {len(payload)} bytes")
        if len(payload) >= settings.decoy_min:
            seen = flow.get("decoys", 0) + 1
            if seen >= settings.decoys:
                flow["out"] = True
            flow["decoys"] = seen
        return PASS
