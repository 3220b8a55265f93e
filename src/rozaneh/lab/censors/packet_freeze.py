"""PACKET-FREEZE: after 25 packets, counted in both directions together, a connection silently stops (RU-08, X-02).

Known as "l4-25". TCP and UDP, any port; packet 26 and all behind it vanish either way, without RST or FIN; a new
connection has a new budget [C/T net4people #490 upd1-5; P dpi-checkers, docs and `l4-25_prober.py`]. SYN and bare ACKs
count, which is why 64 bytes in 2-byte writes freeze and the same 64 bytes in one segment do not [P]. Which addresses
(hosting networks abroad) and which share of connections (not every one is restricted: [T dpi-checkers #44]) are the
rule's gates.
"""

from __future__ import annotations

from random import Random
from typing import ClassVar, Literal

from rozaneh.lab.api import DONE, PASS, Drop, Params, Verdict
from rozaneh.lab.censors.base import Settings, read_settings
from rozaneh.lab.exempt import Answer, Exempt, Protocol
from rozaneh.lab.packet import FIN, RST, SYN, Packet


class PacketFreezeSettings(Settings, frozen=True, kw_only=True):
    """What counts, how many pass, and whom it spares.

    Attributes:
        packets: How many packets pass: 25 [P].
        direction: Which ones count: both together [P], or only those of one direction.
        syn: Whether packets with SYN count: they do [P, by the recipe].
        bare_acks: Whether TCP packets without data, SYN, FIN or RST count: they do [P, by the recipe].
        closing: Whether packets with FIN or RST count; not reported, counted like any other.
        transports: TCP and UDP [C #490].
        names: Names that are spared, with everything below them [C #490, T #546].
        spared: Protocols that are spared: SSH; sometimes RDP [C #490].
        segments: Whether TCP segments are put together to find the name.
        records: Whether TLS records are joined to find the name.
        frozen: Which direction stops: both [C #490].
    """

    packets: int = 25
    direction: Literal["both", "in", "out"] = "both"
    syn: bool = True
    bare_acks: bool = True
    closing: bool = True
    transports: tuple[Literal["tcp", "udp"], ...] = ("tcp", "udp")
    names: tuple[str, ...] = ()
    spared: tuple[Protocol, ...] = ("ssh",)
    segments: Literal["none", "in_order", "full"] = "full"
    records: Literal["none", "buffered", "full"] = "full"
    frozen: Literal["both", "in", "out"] = "both"


class Censor:
    """Counts each flow's packets."""

    protocols: ClassVar[str] = "any"

    def __init__(self, params: Params, rng: Random) -> None:
        settings = read_settings(PacketFreezeSettings, params)
        if settings.packets < 0:
            raise ValueError("packets is below 0")
        self._settings = settings
        self._all = settings.syn and settings.bare_acks and settings.closing and settings.direction == "both"
        self._tcp, self._udp = "tcp" in settings.transports, "udp" in settings.transports
        self._why = f"{settings.packets} packets"
        self._exempt = Exempt(settings.names, settings.spared, segments=settings.segments, records=settings.records)

    def packet(self, p: Packet, now: float) -> Verdict:
        """Counts it, and drops what comes behind the last one that passes."""
        flow = p.flow
        count: int = flow.get("count", 0)
        settings = self._settings
        if count < settings.packets:
            tcp = p.tcp
            if tcp is None:
                if not self._udp or p.udp is None:
                    return DONE
            elif not self._tcp:
                return DONE
            if self._exempt.look(p, flow) is Answer.SPARED:
                return DONE
            if self._all or self._counts(p):
                flow["count"] = count + 1
            return PASS
        if not self._all and not self._counts(p) and "frozen" not in flow:
            return PASS  # what does not count passes until something that does has been stopped
        if settings.frozen == "both" or (settings.frozen == "out") == p.outbound:
            flow["frozen"] = True
            return Drop(self._why)
        return PASS

    def _counts(self, p: Packet) -> bool:
        settings = self._settings
        if settings.direction != "both" and (settings.direction == "out") != p.outbound:
            return False
        tcp = p.tcp
        if tcp is None:
            return True
        if tcp.flags & SYN:
            return settings.syn
        if tcp.flags & (FIN | RST):
            return settings.closing
        return settings.bare_acks or bool(p.payload)
