"""SHADOWSOCKS-SHAPE: unrecognised connections whose client keeps sending large packets are dropped (catalogue RU-15).

Reported from Russia, October 2023 to 2024: the client sends at least 3 packets of at least 411 bytes each with packets
of the server between them [T net4people #363; the rest of the sentence could not be retrieved]. It held for some
hosting networks and ports only (gates `outside`, `ports`), and size mattered on some paths only (gate `share`). What
shows a known protocol in its first bytes is not looked at: the reports are about fully encrypted protocols.
"""

from __future__ import annotations

from random import Random
from typing import ClassVar

from rozaneh.lab.api import DONE, PASS, Drop, Params, Verdict
from rozaneh.lab.censors.base import Settings, read_settings
from rozaneh.lab.packet import Packet
from rozaneh.lab.residual import Key, Residual

_VERBS = (b"GET ", b"POST ", b"HEAD ", b"PUT ", b"DELETE ", b"OPTIONS ", b"CONNECT ", b"PATCH ", b"PRI * ")


class ShadowsocksShapeSettings(Settings, frozen=True, kw_only=True):
    """The shape, and what follows.

    Attributes:
        packets: How many large packets of the client's it takes: 3 [T].
        least: From how many bytes of payload a packet is large: 411 [T].
        alternating: Whether the server must have sent data between them [T].
        within: How many of the client's packets with data are looked at; not reported.
        ports: Destination ports looked at; empty means all (443 in one report, not 5555 [T]).
        unrecognised: Whether TLS, HTTP and SSH are left alone.
        udp: Whether UDP is looked at as well; not reported.
        residual_s: How long connections of the same key are dropped afterwards; not reported, 0 for this one alone.
        residual_key: What that key is.
    """

    packets: int = 3
    least: int = 411
    alternating: bool = True
    within: int = 32
    ports: tuple[int, ...] = ()
    unrecognised: bool = True
    udp: bool = False
    residual_s: float = 0.0
    residual_key: Key = "3-tuple"


class Censor:
    """Counts each connection's large packets."""

    protocols: ClassVar[str] = "any"

    def __init__(self, params: Params, rng: Random) -> None:
        settings = read_settings(ShadowsocksShapeSettings, params)
        if settings.packets < 1:
            raise ValueError("packets is 1 or more")
        self._settings = settings
        self._ports = frozenset(settings.ports)
        self._residual = Residual(settings.residual_s, settings.residual_key)
        self._over = PASS if settings.residual_s > 0 else DONE  # a residual may come from another connection

    def packet(self, p: Packet, now: float) -> Verdict:
        """Counts packets with data until the shape is there or cannot come any more."""
        settings = self._settings
        if (p.tcp is None and not (settings.udp and p.udp is not None)) or (
            self._ports and p.outside_port not in self._ports
        ):
            return DONE
        if self._residual.hit(p, now):
            return Drop("residual")
        flow = p.flow
        why: str | None = flow.get("why")
        if why is not None:
            return Drop(why)
        payload = p.payload
        if not payload or "over" in flow:
            return PASS if not payload else self._over
        if not p.outbound:
            flow["answered"] = True
            return PASS
        flow["seen"] = seen = flow.get("seen", 0) + 1
        if seen > settings.within or (seen == 1 and settings.unrecognised and _recognised(payload)):
            flow["over"] = True
            return self._over
        if len(payload) < settings.least:
            return PASS
        large: int = flow.get("large", 0)
        if large and settings.alternating and "answered" not in flow:
            return PASS  # one flight of the client's counts once
        flow.pop("answered", None)
        flow["large"] = large = large + 1
        if large < settings.packets:
            return PASS
        flow["why"] = why = f"{large} packets of {settings.least} bytes or more"
        self._residual.add(p, now)
        return Drop(why)


def _recognised(payload: bytes) -> bool:
    """Whether the first bytes are TLS's, HTTP's or SSH's."""
    return payload.startswith((*_VERBS, b"SSH-")) or (
        payload[0] in (0x14, 0x15, 0x16, 0x17) and payload[1:2] == b"\x03"
    )
