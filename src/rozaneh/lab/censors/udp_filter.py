"""UDP-FILTER: UDP goes nowhere unless it is something the censor lets pass (catalogue IR-06).

* 2021: QUIC is blocked by UDP endpoint, whatever name it carries [C Elmenhorst IMC'21]: `deny = "endpoints"`.
* June 2025: nearly all UDP is dropped, port 53 is not [C Nym]: `deny = "all"`, the default.
* Since then: QUIC off everywhere (`deny = "quic"`), UDP that is not recognised off on most providers
  (`deny = "unrecognised"`) [T net4people/bbs #489, #648; C FOCI'26]. What counts as recognised was not published: the
  list is a choice of ours.

A flow is judged by its first datagram from the inside; both directions of it are dropped.
"""

from __future__ import annotations

from random import Random
from typing import ClassVar, Literal

from rozaneh.lab.api import DONE, PASS, Drop, Params, Verdict
from rozaneh.lab.censors.base import Settings, read_settings
from rozaneh.lab.codec import udpkind
from rozaneh.lab.packet import Packet
from rozaneh.lab.rules import Prefixes


class UdpFilterSettings(Settings, frozen=True, kw_only=True):
    """What is dropped.

    Attributes:
        deny: All UDP, QUIC, flows that begin with nothing that is known, or listed endpoints.
        allow_ports: Outside ports that always pass.
        recognised: Protocols that pass where unrecognised ones do not (`rozaneh.lab.codec.udpkind.KINDS`).
        endpoints: Outside prefixes whose `endpoint_ports` are blocked.
        endpoint_ports: Those ports; empty means all.
        inbound: Whether flows that begin outside are judged as well.
    """

    deny: Literal["all", "quic", "unrecognised", "endpoints"] = "all"
    allow_ports: tuple[int, ...] = (53,)
    recognised: tuple[str, ...] = ("dns", "ntp", "stun")
    endpoints: tuple[str, ...] = ()
    endpoint_ports: tuple[int, ...] = (443,)
    inbound: bool = True


class Censor:
    """Judges UDP flows by how they begin."""

    protocols: ClassVar[str] = "udp"

    def __init__(self, params: Params, rng: Random) -> None:
        settings = read_settings(UdpFilterSettings, params)
        unknown = set(settings.recognised) - set(udpkind.KINDS)
        if unknown:
            raise ValueError(f"not a UDP protocol that is recognised here: {', '.join(sorted(unknown))}")
        self._settings = settings
        self._allowed = frozenset(settings.allow_ports)
        self._endpoints = Prefixes(settings.endpoints)
        self._endpoint_ports = frozenset(settings.endpoint_ports)

    def packet(self, p: Packet, now: float) -> Verdict:
        """Drops a flow that is denied."""
        why = p.flow.get("why")
        if why is None:
            if p.udp is None:
                return PASS
            if p.outside_port in self._allowed or not (p.inside_first or self._settings.inbound):
                return DONE
            why = self._denied(p)
            if why is None:
                return DONE
            p.flow["why"] = why
        return Drop(why)

    def _denied(self, p: Packet) -> str | None:
        """Why a flow that begins with this datagram is dropped; None when it is not."""
        settings = self._settings
        match settings.deny:
            case "all":
                return "UDP"
            case "endpoints":
                listed = p.outside_bytes in self._endpoints
                return "UDP endpoint" if listed and self._on_port(p) else None
            case "quic":
                return "QUIC" if udpkind.kind(p.payload, p.outside_port) == "quic" else None
            case "unrecognised":
                found = udpkind.kind(p.payload, p.outside_port)
                return None if found in settings.recognised else f"UDP {found or 'unrecognised'}"

    def _on_port(self, p: Packet) -> bool:
        return not self._endpoint_ports or p.outside_port in self._endpoint_ports
