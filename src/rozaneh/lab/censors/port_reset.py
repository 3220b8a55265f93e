"""Resets every connection to a port, whatever it carries (catalogue CN-09: port 443 on 20 August 2025, 00:34-01:48).

Three RST+ACKs, TTL and window rising, for the SYN and again for the SYN+ACK of connections from the inside; for those
from the outside only the server's SYN+ACK has that effect; ports 22, 80 and 8443 were spared [all C]. Its hours are a
gate of the rule.
"""

from __future__ import annotations

from random import Random
from typing import ClassVar, Literal

from rozaneh.lab.api import DONE, PASS, Params, Verdict
from rozaneh.lab.censors.base import Settings, read_settings
from rozaneh.lab.packet import ACK, RST, SYN, Packet
from rozaneh.lab.resets import Reset, answer, named


class PortResetSettings(Settings, frozen=True, kw_only=True):
    """Which packets are answered, and with what.

    Attributes:
        ports: Ports of servers.
        resets: Names of known resets, or resets field by field.
        on_syn: Whether a SYN from the inside is answered.
        on_syn_ack: Whether a server's SYN+ACK is answered, whoever began.
    """

    ports: tuple[int, ...] = (443,)
    resets: tuple[str | Reset, ...] = ("gfw-443",)
    on_syn: bool = True
    on_syn_ack: bool = True


class Censor:
    """Answers handshakes."""

    protocols: ClassVar[Literal["tcp"]] = "tcp"

    def __init__(self, params: Params, rng: Random) -> None:
        self._settings = read_settings(PortResetSettings, params)
        self._resets = named(self._settings.resets)
        self._ports = frozenset(self._settings.ports)
        self._rng = rng

    def packet(self, p: Packet, now: float) -> Verdict:
        """Looks at SYNs and SYN+ACKs."""
        tcp = p.tcp
        if tcp is None:
            return PASS
        settings = self._settings
        kind = tcp.flags & (SYN | ACK | RST)
        if kind == SYN and tcp.dport in self._ports:
            if settings.on_syn and p.outbound:
                return answer(p, tcp, self._resets, self._rng, f"SYN to port {tcp.dport}", outbound=p.outbound)
        elif kind == SYN | ACK and tcp.sport in self._ports:
            if settings.on_syn_ack:
                why = f"SYN+ACK from port {tcp.sport}"
                return answer(p, tcp, self._resets, self._rng, why, outbound=not p.outbound)
        elif kind == ACK and tcp.dport not in self._ports and tcp.sport not in self._ports:
            return DONE
        return PASS
