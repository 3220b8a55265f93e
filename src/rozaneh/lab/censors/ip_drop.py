"""IP-DROP: packets to listed addresses vanish without a sign (Russia's address blocks, address blocks of IR-09).

All ports, all protocols, ICMP included [S, RU-01..04]. `both` drops answers from there as well, `out` only what leaves,
`in` only what comes back. `null_route` is the rule for whole prefixes by share, with exemptions.
"""

from __future__ import annotations

from random import Random
from typing import ClassVar, Literal

from rozaneh.lab.api import DONE, PASS, Drop, Params, Verdict
from rozaneh.lab.censors.base import Settings, read_settings
from rozaneh.lab.packet import Packet
from rozaneh.lab.rules import Prefixes


class IpDropSettings(Settings, frozen=True, kw_only=True):
    """`prefixes` are addresses or networks outside."""

    prefixes: tuple[str, ...]
    direction: Literal["out", "in", "both"] = "both"


class Censor:
    """Forgets packets by their outside address."""

    protocols: ClassVar[str] = "any"

    def __init__(self, params: Params, rng: Random) -> None:
        settings = read_settings(IpDropSettings, params)
        self._listed = Prefixes(settings.prefixes)
        self._out = settings.direction in ("out", "both")
        self._in = settings.direction in ("in", "both")

    def packet(self, p: Packet, now: float) -> Verdict:
        """Looks at the address outside, whichever way the packet goes."""
        if p.outside_bytes not in self._listed:
            return DONE
        return Drop(f"address {p.outside}") if (self._out if p.outbound else self._in) else PASS
