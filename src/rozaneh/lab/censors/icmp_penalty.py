"""ICMP-PENALTY: a few pings to an address outside, and everything to that address is dropped (catalogue IR-12).

After the shutdown of June 2025: ICMP to a foreign address is blocked after two or three packets, and then all protocols
to that address [T net4people/bbs #489]. For how long was not reported; the default is a guess. Kept for each pair of
addresses, as one reporter's view allows no more.
"""

from __future__ import annotations

from random import Random
from typing import ClassVar

from rozaneh.lab.api import PASS, Drop, Params, Verdict
from rozaneh.lab.censors.base import Settings, read_settings
from rozaneh.lab.packet import ICMP, ICMPV6, Packet
from rozaneh.lab.residual import Key, Residual

_MAX_COUNTED = 65_536


class IcmpPenaltySettings(Settings, frozen=True, kw_only=True):
    """How many, and for how long.

    Attributes:
        packets: How many ICMP packets to an address pass.
        window_s: Within which time they are counted together, in lab seconds.
        residual_s: How long the address is dropped, in lab seconds.
        residual_key: For this reader alone, or for all.
        residual_restarts: Whether each dropped packet begins the time again.
    """

    packets: int = 3
    window_s: float = 60.0
    residual_s: float = 600.0
    residual_key: Key = "2-tuple"
    residual_restarts: bool = False


class Censor:
    """Counts ICMP that leaves."""

    protocols: ClassVar[str] = "any"

    def __init__(self, params: Params, rng: Random) -> None:
        settings = read_settings(IcmpPenaltySettings, params)
        if settings.residual_key not in ("2-tuple", "destination"):
            raise ValueError("ICMP has no ports: residual_key is 2-tuple or destination")
        self._settings = settings
        self._residual = Residual(settings.residual_s, settings.residual_key, restarts=settings.residual_restarts)
        self._counted: dict[bytes, tuple[float, int]] = {}

    def packet(self, p: Packet, now: float) -> Verdict:
        """Drops what is punished, else counts."""
        if self._residual.hit(p, now):
            return Drop("residual")
        if not p.outbound or p.protocol not in (ICMP, ICMPV6):
            return PASS
        key = p.inside_bytes + p.outside_bytes
        since, count = self._counted.pop(key, (now, 0))
        if now - since > self._settings.window_s:
            since, count = now, 0
        if len(self._counted) >= _MAX_COUNTED:
            del self._counted[next(iter(self._counted))]
        if count >= self._settings.packets:
            self._residual.add(p, now)
            return Drop(f"ICMP packet {count + 1} to {p.outside}")
        self._counted[key] = (since, count + 1)
        return PASS
