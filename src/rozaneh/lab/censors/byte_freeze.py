"""BYTE-FREEZE: a connection silently stops after 14 to 34 kilobytes from the server (older reading of RU-08, X-03).

"TCP 16-20": first described as 15 to 20 KB from server to client over TLS 1.3, observed from 14 to 34 KB [T/S]. Later
found to be a count of packets (kind `packet_freeze`); kept as a variant, so that what passes one can be shown to pass
the other. Where each connection stops is drawn evenly between the two bounds.
"""

from __future__ import annotations

from random import Random
from typing import ClassVar, Literal

from rozaneh.lab.api import DONE, PASS, Drop, Params, Verdict
from rozaneh.lab.censors.base import Settings, read_settings
from rozaneh.lab.exempt import Answer, Exempt, Protocol
from rozaneh.lab.packet import Packet


class ByteFreezeSettings(Settings, frozen=True, kw_only=True):
    """What counts, how much passes, and whom it spares.

    Attributes:
        kilobytes: Between how much and how much passes, in units of 1,024 bytes: 14 to 34 [T/S].
        direction: Whose bytes count: the server's (`in`) [T]; `out` is the upload variant of the checkers [P].
        headers: Whether headers from IP on count, or only what TCP and UDP carry.
        transports: TCP, as first described; UDP as well with `packet_freeze` [C #490].
        names: Names that are spared, with everything below them [C #490].
        spared: Protocols that are spared: SSH; sometimes RDP [C #490].
    """

    kilobytes: tuple[float, float] = (14, 34)
    direction: Literal["both", "in", "out"] = "in"
    headers: bool = False
    transports: tuple[Literal["tcp", "udp"], ...] = ("tcp",)
    names: tuple[str, ...] = ()
    spared: tuple[Protocol, ...] = ("ssh",)


class Censor:
    """Counts each flow's bytes."""

    protocols: ClassVar[str] = "any"

    def __init__(self, params: Params, rng: Random) -> None:
        settings = read_settings(ByteFreezeSettings, params)
        least, most = settings.kilobytes
        if not 0 <= least <= most:
            raise ValueError(f"kilobytes is {least:g} to {most:g}, it must be two numbers in order")
        self._settings = settings
        self._rng = rng
        self._tcp, self._udp = "tcp" in settings.transports, "udp" in settings.transports
        self._exempt = Exempt(settings.names, settings.spared)

    def packet(self, p: Packet, now: float) -> Verdict:
        """Counts it; the packet that would go over the bound is the first that stops."""
        flow = p.flow
        why: str | None = flow.get("why")
        if why is not None:
            return Drop(why)
        if "limit" not in flow:
            if not (self._tcp if p.tcp is not None else self._udp and p.udp is not None):
                return DONE
            least, most = self._settings.kilobytes
            flow["limit"] = round(self._rng.uniform(least, most) * 1_024)
        if self._exempt.look(p, flow) is Answer.SPARED:
            return DONE
        direction = self._settings.direction
        if direction != "both" and (direction == "out") != p.outbound:
            return PASS
        size: int = flow.get("bytes", 0) + (p.ip.end if self._settings.headers else len(p.payload))
        if size > flow["limit"]:
            flow["why"] = why = f"{flow['limit']:,} bytes"
            return Drop(why)
        flow["bytes"] = size
        return PASS
