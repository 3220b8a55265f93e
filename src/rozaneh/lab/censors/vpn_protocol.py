"""VPN-PROTOCOL: OpenVPN, WireGuard and IPsec are cut off after their handshake, once data flows (RU-10, X-05).

Since August 2023 in Russia, towards addresses abroad (the rule's gates): more than 15 data packets of OpenVPN, more
than 2 of WireGuard, then the flow is dropped [S, quoting net4people #274]; IPsec and L2TP are reported without numbers
[T #274]. So a finished handshake proves nothing. Connections break and come back [T #274]: with `pause_s` a dropped
flow passes again after a while and is counted anew, as long as its protocol is known.
"""

from __future__ import annotations

from random import Random
from typing import Any, ClassVar, Literal

from rozaneh.lab.api import DONE, PASS, Drop, Params, Verdict
from rozaneh.lab.censors.base import Settings, read_settings
from rozaneh.lab.codec import vpn
from rozaneh.lab.packet import Packet
from rozaneh.lab.residual import Residual

Name = Literal["openvpn", "wireguard", "ike", "l2tp"]

_ESP, _AH = 50, 51
_IKE_PORT, _ENCAPSULATED_PORT, _L2TP_PORT = 500, 4_500, 1_701
_KNOWN_S = 28_800.0  # RFC 7296 leaves lifetimes to the ends; eight hours is what they commonly choose


class VpnProtocolSettings(Settings, frozen=True, kw_only=True):
    """Which protocols, and how much data each may send first.

    Attributes:
        which: The protocols looked for.
        openvpn: How many of OpenVPN's data packets pass: 15 [S].
        wireguard: How many of WireGuard's: 2 [S].
        ipsec: How many of ESP's, in UDP or alone, once IKE was seen between two addresses; no number is reported.
        l2tp: How many of L2TP's; no number is reported.
        needs_reply: Whether the server's part of the handshake must have been seen: "after the handshake" [S].
        looks: Among how many of a flow's first packets with data the protocol's first message must be: the first.
        pause_s: How long the flow stays cut off; 0 means as long as it lasts. Not reported.
    """

    which: tuple[Name, ...] = ("openvpn", "wireguard", "ike", "l2tp")
    openvpn: int = 15
    wireguard: int = 2
    ipsec: int = 2
    l2tp: int = 2
    needs_reply: bool = True
    looks: int = 1
    pause_s: float = 0.0


class Censor:
    """Recognises the first message, then counts data both ways."""

    protocols: ClassVar[str] = "any"

    def __init__(self, params: Params, rng: Random) -> None:
        settings = read_settings(VpnProtocolSettings, params)
        self._settings = settings
        self._limits = {
            "openvpn": settings.openvpn,
            "wireguard": settings.wireguard,
            "ike": settings.ipsec,
            "l2tp": settings.l2tp,
        }
        if min(self._limits.values()) < 0 or settings.pause_s < 0:
            raise ValueError("numbers of packets and pause_s are not below 0")
        self._ike_pairs = Residual(_KNOWN_S, "2-tuple", restarts=True)
        self._bare: dict[bytes, dict[str, Any]] = {}

    def packet(self, p: Packet, now: float) -> Verdict:
        """Recognises, counts, drops."""
        if p.tcp is None and p.udp is None:
            return self._without_ports(p, now)
        flow = p.flow
        name: Name | None = flow.get("name")
        if name is None:
            return self._first(p, flow, now)
        kind = self._kind(name, p)
        if "answered" not in flow and p.payload and p.outbound != flow["outbound"]:
            flow["answered"] = True
            if name == "openvpn" and kind != "reply":
                return DONE  # it only looked like it: OpenVPN's server answers with a reset of its own
        if kind == "reply":
            flow["replied"] = True
        return self._count(flow, name, kind, now)

    def _first(self, p: Packet, flow: dict[str, Any], now: float) -> Verdict:
        """Looks for a protocol's first message, which may come from either side of the border."""
        if not p.payload:
            return PASS
        flow["looks"] = looks = flow.get("looks", 0) + 1
        name = next((name for name in self._settings.which if self._kind(name, p) == "hello"), None)
        replied = not self._settings.needs_reply
        if name is None and self._moved(p, now):
            name, replied = "ike", True
        if name is None:
            return DONE if looks >= self._settings.looks else PASS
        flow["name"], flow["outbound"], flow["replied"] = name, p.outbound, replied
        if name == "ike":
            self._ike_pairs.add(p, now)
        return PASS

    def _moved(self, p: Packet, now: float) -> bool:
        """Whether this is IKE gone on to port 4500 (RFC 7296 2.23), between two ends that began it on port 500."""
        if "ike" not in self._settings.which or _ENCAPSULATED_PORT not in (p.inside_port, p.outside_port):
            return False
        return self._kind("ike", p) is not None and self._ike_pairs.hit(p, now)

    def _kind(self, name: Name, p: Packet) -> vpn.Kind | None:
        payload = p.payload
        if p.tcp is not None:
            return vpn.openvpn(payload, tcp=True) if name == "openvpn" and payload else None
        ports = (p.inside_port, p.outside_port)
        if name == "wireguard":
            return vpn.wireguard(payload)
        if name == "openvpn":
            return vpn.openvpn(payload)
        if name == "l2tp":
            return vpn.l2tp(payload) if _L2TP_PORT in ports else None
        if _ENCAPSULATED_PORT in ports:
            return vpn.ike(payload, encapsulated=True)
        return vpn.ike(payload) if _IKE_PORT in ports else None

    def _without_ports(self, p: Packet, now: float) -> Verdict:
        """ESP and AH between two ends that spoke IKE."""
        if p.protocol not in (_ESP, _AH) or "ike" not in self._settings.which or not self._ike_pairs.hit(p, now):
            return PASS
        key = p.inside_bytes + p.outside_bytes
        flow = self._bare.get(key)
        if flow is None:
            if len(self._bare) >= 65_536:
                del self._bare[next(iter(self._bare))]
            flow = self._bare[key] = {"replied": True}
        return self._count(flow, "ike", "data", now)

    def _count(self, flow: dict[str, Any], name: Name, kind: vpn.Kind | None, now: float) -> Verdict:
        pause = self._settings.pause_s
        since: float | None = flow.get("cut")
        if since is not None:
            if not pause or now - since < pause:
                return Drop(f"{name} after its handshake")
            del flow["cut"]
            flow["data"] = 0
        if kind != "data" or not flow["replied"]:
            return PASS
        flow["data"] = count = flow.get("data", 0) + 1
        if count <= self._limits[name]:
            return PASS
        flow["cut"] = now
        return Drop(f"{name}: more than {self._limits[name]} data packets")
