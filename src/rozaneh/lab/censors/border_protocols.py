"""BORDER-PROTOCOLS: only a few protocols cross the border, by number of protocol and port (catalogue IR-12, June 2025).

Only UDP 53, TCP 80 and TCP 443 are forwarded, everything else is silently dropped, all at one hop
[C arXiv 2507.14183 section 4; T Nym]. Ports are the outside's. A later fragment has no port and is dropped unless
`fragments` says otherwise (not documented: what a stateless list does that permits by port).
"""

from __future__ import annotations

from random import Random
from typing import ClassVar

from rozaneh.lab.api import DONE, PASS, Drop, Params, Verdict
from rozaneh.lab.censors.base import Settings, read_settings
from rozaneh.lab.packet import ICMP, ICMPV6, TCP, UDP, Packet

_NUMBERS = {"tcp": TCP, "udp": UDP}
_NAMES = {TCP: "TCP", UDP: "UDP", ICMP: "ICMP", ICMPV6: "ICMPv6"}


class BorderProtocolsSettings(Settings, frozen=True, kw_only=True):
    """What crosses.

    Attributes:
        allow: Protocols with ports of the outside, as `tcp/443`, or a protocol with all of its ports, as `tcp`.
        icmp: Whether ICMP and ICMPv6 cross.
        fragments: Whether later fragments do.
    """

    allow: tuple[str, ...] = ("udp/53", "tcp/80", "tcp/443")
    icmp: bool = False
    fragments: bool = False


class Censor:
    """Drops what is not on the list."""

    protocols: ClassVar[str] = "any"

    def __init__(self, params: Params, rng: Random) -> None:
        self._settings = read_settings(BorderProtocolsSettings, params)
        self._allowed: dict[int, frozenset[int] | None] = {}
        for entry in self._settings.allow:
            name, _, port = entry.partition("/")
            if name not in _NUMBERS or (port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536)):
                raise ValueError(f"{entry!r} is not a protocol with a port, as tcp/443")
            number = _NUMBERS[name]
            before = self._allowed.get(number, frozenset())
            self._allowed[number] = None if not port or before is None else before | {int(port)}

    def packet(self, p: Packet, now: float) -> Verdict:
        """Lets a listed protocol cross."""
        protocol = p.protocol
        if p.flow_key() is not None:
            ports = self._allowed.get(protocol, frozenset())
            if ports is None or p.outside_port in ports:
                return DONE
            return Drop(f"{_NAMES[protocol]} port {p.outside_port}")
        if protocol in (ICMP, ICMPV6) and self._settings.icmp:
            return PASS
        if p.ip.fragment_offset and self._settings.fragments and protocol in self._allowed:
            return PASS
        return Drop(_NAMES.get(protocol, f"protocol {protocol}"))
