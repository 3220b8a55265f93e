"""QUIC-STATELESS: each datagram that looks like a long QUIC header is dropped by itself (catalogue RU-06).

One backbone in July 2022 [T NTC 1823 post 66]: at least 1,200 bytes, the first byte's highest bit set, the version one
of a list (version 1 and several drafts; which ones was not published, so the list here is IETF drafts 27 to 34 and is
tunable). `80 00000001 00…` of 1,200 bytes is dropped. There is no state, so no first datagram that helps. Later both
directions.
"""

from __future__ import annotations

from random import Random
from typing import ClassVar, Literal

from rozaneh.lab.api import PASS, Drop, Params, Verdict
from rozaneh.lab.censors.base import Settings, read_settings
from rozaneh.lab.packet import Packet


class QuicStatelessSettings(Settings, frozen=True, kw_only=True):
    """Which datagrams are QUIC.

    Attributes:
        min_bytes: The shortest UDP payload that counts.
        versions: Version numbers that count.
        ports: Outside ports; empty means all.
        direction: Which datagrams are looked at.
    """

    min_bytes: int = 1_200
    versions: tuple[int, ...] = (1, *range(0xFF00_001B, 0xFF00_0023))
    ports: tuple[int, ...] = ()
    direction: Literal["out", "both"] = "out"


class Censor:
    """Looks at every datagram alone."""

    protocols: ClassVar[str] = "udp"

    def __init__(self, params: Params, rng: Random) -> None:
        settings = read_settings(QuicStatelessSettings, params)
        self._settings = settings
        self._ports = frozenset(settings.ports)
        self._versions = frozenset(version.to_bytes(4, "big") for version in settings.versions)
        self._both = settings.direction == "both"

    def packet(self, p: Packet, now: float) -> Verdict:
        """Drops what looks like QUIC."""
        if not p.outbound and not self._both:
            return PASS
        payload = p.payload
        if len(payload) < self._settings.min_bytes or not payload[0] & 0x80 or payload[1:5] not in self._versions:
            return PASS
        if self._ports and p.outside_port not in self._ports:
            return PASS
        return Drop(f"QUIC long header, {len(payload)} bytes")
