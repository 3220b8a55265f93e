"""NULL-ROUTE: most prefixes outside, or listed ones, lead nowhere although they are announced (catalogue IR-12).

June 2025: the prefixes of some hosting companies [C arXiv 2507.14183 section 4] (`listed`). January and February 2026:
96.5 to 97.4 % of 4,571 prefixes null-routed at the central border, seen from five places, with exemptions
[T/C arXiv abstract, IODA] (`share`, `exempt`). Which prefixes those are is settled by the rule's seed, the same for all
packets; every protocol is dropped, ICMP included, without a sign. With `reset_syn` a SYN is answered with a reset
instead: the injection at the first packet that MCCI does for many CDN addresses [C AsiaCCS'25 4.1.2, IR-09].
"""

from __future__ import annotations

from random import Random
from typing import ClassVar, Literal

from rozaneh.lab.api import DONE, PASS, Drop, Params, Verdict
from rozaneh.lab.censors.base import Settings, read_settings, reset_sender
from rozaneh.lab.names import place
from rozaneh.lab.packet import ACK, SYN, Packet
from rozaneh.lab.rules import Prefixes

_MAX_KNOWN = 65_536


class NullRouteSettings(Settings, frozen=True, kw_only=True):
    """Which outside prefixes lead nowhere.

    Attributes:
        share: The share of all prefixes.
        listed: Prefixes that lead nowhere in any case.
        exempt: Prefixes that stay reachable in any case.
        unit_v4: How long an IPv4 prefix is that is blocked or not as one.
        unit_v6: The same for IPv6.
        direction: What is dropped: what leaves, what comes back, or both.
        reset_syn: Whether a dropped SYN from the inside is answered with a reset.
    """

    share: float = 0.0
    listed: tuple[str, ...] = ()
    exempt: tuple[str, ...] = ()
    unit_v4: int = 24
    unit_v6: int = 48
    direction: Literal["out", "in", "both"] = "both"
    reset_syn: bool = False


class Censor:
    """Drops by the outside address."""

    protocols: ClassVar[str] = "any"

    def __init__(self, params: Params, rng: Random) -> None:
        settings = read_settings(NullRouteSettings, params)
        if not 0 <= settings.share <= 1:
            raise ValueError("share must lie between 0 and 1")
        if not (0 <= settings.unit_v4 <= 32 and 0 <= settings.unit_v6 <= 128):
            raise ValueError("unit_v4 and unit_v6 are lengths of prefixes")
        self._settings = settings
        self._listed, self._exempt = Prefixes(settings.listed), Prefixes(settings.exempt)
        self._salt = f"{rng.getrandbits(64):016x}"
        self._known: dict[bytes, bool] = {}

    def packet(self, p: Packet, now: float) -> Verdict:
        """Drops what goes where nothing is."""
        outside = p.outside_bytes
        lost = self._known.get(outside)
        if lost is None:
            lost = self._lost(outside)
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            self._known[outside] = lost
        if not lost:
            return DONE
        if self._settings.direction not in ("both", "out" if p.outbound else "in"):
            return PASS
        why = f"no route {p.outside}"
        tcp = p.tcp if self._settings.reset_syn and p.outbound else None
        if tcp is not None and tcp.flags & (SYN | ACK) == SYN:
            return [Drop(why), reset_sender(p, tcp, why=why)]
        return Drop(why)

    def _lost(self, outside: bytes) -> bool:
        if outside in self._exempt:
            return False
        if outside in self._listed:
            return True
        settings = self._settings
        host = len(outside) * 8 - (settings.unit_v4 if len(outside) == 4 else settings.unit_v6)
        prefix = int.from_bytes(outside, "big") >> host
        return place(f"{len(outside)}/{prefix:x}", self._salt) < settings.share
