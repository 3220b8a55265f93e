"""Lets only DNS, HTTP and TLS pass on three ports (catalogue IR-04, Iran's "whitelister" of February 2020).

On TCP ports 53, 80 and 443, whichever protocol on whichever port, the first two packets with data that the client sends
are held against three fingerprints. Where none fits, every packet of the client after the first is dropped for 60 s;
each retransmission and each other such flow to the same destination begins the time again. Connections from the inside
only; nothing is put together, no checksum is checked; the server's packets pass [T #49; C Bock FOCI'20 4.1-4.3].

What makes it lose a flow: two FINs before the SYN, and nine packets without data during the handshake, the client's own
or those a server's corrupted SYN+ACKs draw from it [C 5.2]. The budget does not count the handshake's own three packets
(the sources do not say; counted like this, the ninth extra one is the one that helps).
"""

from __future__ import annotations

from random import Random
from typing import ClassVar, Literal

from rozaneh.lab.api import DONE, PASS, Drop, Params, Verdict
from rozaneh.lab.censors.base import Settings, read_settings
from rozaneh.lab.packet import ACK, FIN, RST, SYN, Packet, Tcp
from rozaneh.lab.residual import Residual

_HTTP_VERBS = (b"GET ", b"POST ", b"HEAD ", b"CONNECT ", b"OPTIONS ", b"DELETE ", b"PUT ")  # [T ntc.party/655]
_STRAYS_S = 60.0  # how long FINs before a SYN are remembered: ours
_TLS_HEAD = 5


class ProtocolFilterSettings(Settings, frozen=True, kw_only=True):
    """The filter's numbers, and the sources' open questions.

    Attributes:
        ports: Ports of servers.
        judged: Whether the first two packets are held against the fingerprints together [T #49], or the first must
            already fit alone [C 5.1: a first HTTP segment under eight bytes trips the filter].
        scope: Whom the 60 s are about: that flow, or (`destination`) every flow of that reader to that address.
        residual_s: For how long packets are dropped after the last one that was.
        budget: After how many packets without data in the handshake a flow is lost; 0 for never.
        fins: How many FINs before the SYN make it lose a flow; 0 for never.
        tls_length: What "length field correct" asks: that the record `covers` no more than is there, or is `plausible`.
        min_http: How many bytes an HTTP request has at least.
    """

    ports: tuple[int, ...] = (53, 80, 443)
    judged: Literal["together", "first"] = "together"
    scope: Literal["flow", "destination"] = "flow"
    residual_s: float = 60.0
    budget: int = 9
    fins: Literal[0, 1, 2] = 2
    tls_length: Literal["covers", "plausible"] = "covers"
    min_http: int = 8


class Censor:
    """Follows each connection from its SYN to its second packet with data."""

    protocols: ClassVar[Literal["tcp"]] = "tcp"

    def __init__(self, params: Params, rng: Random) -> None:
        self._settings = read_settings(ProtocolFilterSettings, params)
        self._ports = frozenset(self._settings.ports)
        self._residual = Residual(self._settings.residual_s, "2-tuple")
        self._fins = Residual(_STRAYS_S, "5-tuple")
        self._two_fins = Residual(_STRAYS_S, "5-tuple")
        # With the wider scope, a flow that conforms may still meet what another one brought about.
        self._done: Verdict = PASS if self._settings.scope == "destination" else DONE

    def packet(self, p: Packet, now: float) -> Verdict:
        """Judges one packet."""
        tcp = p.tcp
        if tcp is None:
            return PASS
        if (tcp.dport if p.outbound else tcp.sport) not in self._ports:
            return DONE
        flow = p.flow
        if "dropped" in flow or (self._settings.scope == "destination" and p.outbound):
            verdict = self._standing(p, now)
            if verdict is not None:
                return verdict
        if "state" not in flow:
            return self._begin(p, tcp, now)
        return self._follow(p, tcp, now)

    def _standing(self, p: Packet, now: float) -> Verdict | None:
        """What an earlier violation means for this packet."""
        if not p.outbound:
            return PASS if "dropped" in p.flow else None
        if self._residual.hit(p, now):
            self._residual.add(p, now)  # a retransmission begins the time again
            return Drop("residual protocol filter")
        if "dropped" not in p.flow:
            return None
        del p.flow["dropped"]
        return self._lose(p)  # sixty quiet seconds: the filter has forgotten the flow

    def _begin(self, p: Packet, tcp: Tcp, now: float) -> Verdict:
        """Waits for the SYN, and counts what comes before it."""
        if tcp.flags & (SYN | ACK) == SYN:
            p.flow["state"] = 0  # packets without data so far
            lost = not p.outbound or (self._settings.fins and self._two_fins.hit(p, now))
            return self._lose(p) if lost else PASS
        if tcp.flags & FIN and p.outbound and self._settings.fins:
            first = self._fins if self._settings.fins > 1 else self._two_fins
            if first.hit(p, now):
                self._two_fins.add(p, now)
            else:
                first.add(p, now)
            return PASS
        return PASS

    def _follow(self, p: Packet, tcp: Tcp, now: float) -> Verdict:
        flow = p.flow
        payload = p.payload
        if not payload:
            return self._without_data(p, tcp)
        if flow["state"] < 0:
            return PASS
        if not p.outbound:
            flow["open"] = True
            return PASS
        first = flow.get("first")
        data = payload if first is None else first + payload
        if self._fits(data):
            return self._lose(p)
        if first is None:
            flow["first"] = payload
            if self._settings.judged == "first":
                self._violates(p, now)
            return PASS  # every packet after the first is dropped, never the first
        self._violates(p, now)
        return Drop("neither DNS nor HTTP nor TLS")

    def _without_data(self, p: Packet, tcp: Tcp) -> Verdict:
        """Counts against the budget what is not the handshake's own: one SYN, one SYN+ACK, one ACK."""
        flow = p.flow
        budget = self._settings.budget
        if "first" in flow or "open" in flow or flow["state"] < 0 or not budget:
            return PASS
        kind = tcp.flags & (SYN | ACK | RST | FIN)
        own = "syn_ack" if kind == SYN | ACK and not p.outbound else "ack" if kind == ACK and p.outbound else ""
        if own and own not in flow:
            flow[own] = True
            return PASS
        flow["state"] += 1
        return self._lose(p) if flow["state"] >= budget else PASS

    def _lose(self, p: Packet) -> Verdict:
        """Follows this flow no longer."""
        p.flow["state"] = -1
        return self._done

    def _violates(self, p: Packet, now: float) -> None:
        p.flow["dropped"] = True
        self._residual.add(p, now)  # also where another flow to this destination had begun it

    def _fits(self, data: bytes) -> bool:
        settings = self._settings
        return (
            (len(data) >= settings.min_http and data.startswith(_HTTP_VERBS))
            or _tls(data, plausible=settings.tls_length == "plausible")
            or _dns(data)
        )


def _tls(data: bytes, *, plausible: bool) -> bool:
    """Five bytes: a handshake record of a version 3.1 to 3.3, its length right; the rest is not looked at [C 4.3]."""
    if len(data) < _TLS_HEAD or data[0] != 0x16 or data[1] != 3 or not 1 <= data[2] <= 3:
        return False
    length = int.from_bytes(data[3:5], "big")
    return 0 < length <= 16_384 and (plausible or _TLS_HEAD + length <= len(data))


def _dns(data: bytes) -> bool:
    """A query over TCP: the length in front right, the header a query's.

    The paper's fingerprint has a bug that was not retrieved (catalogue IR-04): this is the sound one.
    """
    if len(data) < 14 or int.from_bytes(data[:2], "big") != len(data) - 2:
        return False
    answer, opcode, questions = data[4] >> 7, data[4] >> 3 & 15, int.from_bytes(data[6:8], "big")
    return not answer and opcode == 0 and questions >= 1
