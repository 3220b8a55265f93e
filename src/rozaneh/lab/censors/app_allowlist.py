"""Drops flows whose first packets match no application it knows (catalogue IR-05, two networks in 2023-25).

A flow has about six packets to show a known pattern, whatever its destination; then it is dropped [C Alaraj AsiaCCS'25
4.4]. There, HTTP GET on port 80 survived, and what began like TLS or SSH did not.
"""

from __future__ import annotations

from random import Random
from typing import Literal

from rozaneh.lab.api import DONE, PASS, Drop, Params, Verdict
from rozaneh.lab.censors.base import Settings, read_settings
from rozaneh.lab.codec import httprequest
from rozaneh.lab.packet import Packet

Application = Literal["http", "tls", "ssh", "dns"]
_DNS_HEADER = 12


class AppAllowlistSettings(Settings, frozen=True, kw_only=True):
    """What is known, and how long a flow has to show it.

    Attributes:
        known: The applications that pass.
        http_ports: Ports on which HTTP is known; empty for every port.
        packets: How many packets pass before a flow that showed none is dropped.
        counts: Which packets count: `all` of both directions, or those with `data`.
        transports: Which transports the rule is about.
        initiator: Whose flows it is about.
    """

    known: tuple[Application, ...] = ("http",)
    http_ports: tuple[int, ...] = (80,)
    packets: int = 6
    counts: Literal["all", "data"] = "all"
    transports: tuple[Literal["tcp", "udp"], ...] = ("tcp",)
    initiator: Literal["inside", "any"] = "inside"


class Censor:
    """Counts a flow's packets until one matches."""

    def __init__(self, params: Params, rng: Random) -> None:
        self._settings = read_settings(AppAllowlistSettings, params)
        self.protocols: Literal["tcp", "udp", "any"] = "any"
        if len(set(self._settings.transports)) == 1:
            self.protocols = self._settings.transports[0]

    def packet(self, p: Packet, now: float) -> Verdict:
        """Judges one packet."""
        settings = self._settings
        if (p.tcp or p.udp) is None or p.flow_key() is None:
            return PASS
        if settings.initiator == "inside" and not p.inside_first:
            return DONE
        flow = p.flow
        if flow.get("dropped"):
            return Drop("no known application")
        payload = p.payload
        if payload and p.outbound == p.inside_first and self._knows(p, payload):
            return DONE
        if payload or settings.counts == "all":
            seen = flow["seen"] = flow.get("seen", 0) + 1
            if seen > settings.packets:
                flow["dropped"] = True
                return Drop("no known application")
        return PASS

    def _knows(self, p: Packet, payload: bytes) -> bool:
        return any(self._is(application, p, payload) for application in self._settings.known)

    def _is(self, application: Application, p: Packet, payload: bytes) -> bool:
        if application == "http":
            ports = self._settings.http_ports
            port = p.outside_port if p.outbound else p.inside_port
            known = not ports or port in ports
            return known and isinstance(httprequest.parse(payload), httprequest.Request)
        if application == "tls":
            return payload.startswith(b"\x16\x03")
        if application == "ssh":
            return payload.startswith(b"SSH-2.0-")
        return self._dns(p, payload)

    @staticmethod
    def _dns(p: Packet, payload: bytes) -> bool:
        message = payload[2:] if p.tcp is not None else payload
        if len(message) < _DNS_HEADER or message[2] >> 7:
            return False
        return message[2] >> 3 & 15 == 0 and int.from_bytes(message[4:6], "big") == 1
