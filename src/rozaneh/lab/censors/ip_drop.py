"""IP-DROP: packets to listed addresses vanish without a sign (null routes of IR-12, address blocks of IR-09).

`both` drops answers from there as well, `out` only what leaves, `in` only what comes back.
"""

from __future__ import annotations

import ipaddress
from random import Random
from typing import Literal

from rozaneh.lab.api import Drop, Params, Pass, Verdict
from rozaneh.lab.censors.base import Settings, read_settings
from rozaneh.lab.packet import Packet, text_address


class IpDropSettings(Settings, frozen=True, kw_only=True):
    """`prefixes` are addresses or networks outside."""

    prefixes: tuple[str, ...]
    direction: Literal["out", "in", "both"] = "both"


class IpDrop:
    """Forgets packets by their outside address."""

    def __init__(self, params: Params, rng: Random) -> None:
        settings = read_settings(IpDropSettings, params)
        self._networks = [ipaddress.ip_network(prefix) for prefix in settings.prefixes]
        self._out = settings.direction in ("out", "both")
        self._in = settings.direction in ("in", "both")
        self._known: dict[bytes, bool] = {}

    def packet(self, p: Packet, now: float) -> Verdict:
        """Looks at the address outside, whichever way the packet goes."""
        outside = p.ip.dst_bytes if p.outbound else p.ip.src_bytes
        bad = self._known.get(outside)
        if bad is None:
            address = ipaddress.ip_address(outside)
            bad = any(address in network for network in self._networks)
            if len(self._known) >= 65_536:
                self._known.clear()
            self._known[outside] = bad
        if bad and (self._out if p.outbound else self._in):
            return Drop(f"address {text_address(outside)}")
        return Pass()
