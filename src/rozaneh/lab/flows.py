"""Which packets belong together, and what each censor remembers about them; bounded in number and in age."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rozaneh.lab.api import Verdict
from rozaneh.lab.packet import ACK, SYN, Packet

MAX_FLOWS = 65_536

# Lab clock. RFC 5382 REQ-5 keeps an idle TCP connection for 2 h 4 min; a censor that forgets sooner does so itself.
IDLE_S = 7_440.0

# A rule that still wants to see a flow: its method, its memory of the flow, its number in the chain.
Live = tuple[Callable[[Packet, float], Verdict], dict[str, Any], int]


class Flow:
    """One flow: its number, when it was last seen, who began it, and the rules that still want to see it."""

    __slots__ = ("first_seq", "inside_first", "key", "keys", "last", "live", "memory", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.last = 0.0
        self.first_seq = -1
        self.inside_first = True
        self.key = b""  # as `Packet.flow_key` gives it
        self.keys: tuple[bytes, bytes] = (b"", b"")
        self.memory: dict[int, dict[str, Any]] = {}  # of rules that take it along to the flow's next connection
        self.live: list[Live] = []


class FlowTable:
    """All flows of one chain of censors, oldest first.

    A flow stands in two dicts: under the bytes from its source address to its destination port as they are in the
    packets that leave, and under the same bytes of the packets that come in. So one slice of a packet finds its flow.
    """

    def __init__(self, limit: int = MAX_FLOWS, idle: float = IDLE_S) -> None:
        self._limit = limit
        self.idle = idle
        self.outward: dict[bytes, Flow] = {}
        self.inward: dict[bytes, Flow] = {}
        self._made = 0
        self._next_sweep = 0.0

    def __len__(self) -> int:
        return len(self.outward)

    def find(self, packet: Packet, now: float) -> Flow | None:
        """The packet's flow, made when it is new; None for packets without ports."""
        return self.visit(packet, now)[0]

    def visit(self, packet: Packet, now: float) -> tuple[Flow | None, Flow | None, bool]:
        """The packet's flow, the flow it took the place of, and whether it is new.

        A SYN with another sequence number than the flow's first one, from the side that began the flow, is a new
        connection on the same ports. One from the other side belongs to the flow (a simultaneous open).
        """
        whole = packet.flow_key()
        if whole is None:
            return None, None, False
        size = (len(whole) - 5) // 2
        head, inside, outside, ports = whole[:1], whole[1 : 1 + size], whole[1 + size : -4], whole[-4:]
        out_key = inside + outside + ports + head
        flow = self.outward.get(out_key)
        before: Flow | None = None
        tcp = packet.tcp
        syn = tcp is not None and tcp.flags & (SYN | ACK) == SYN
        if flow is not None:
            stale = now - flow.last > self.idle
            if stale or (
                tcp
                and syn
                and flow.first_seq != tcp.seq
                and (flow.first_seq < 0 or flow.inside_first == packet.outbound)
            ):
                before = None if stale else flow
                self._forget(flow)
                flow = None
        new = flow is None
        if flow is None:
            flow = self._make(whole, out_key, outside + inside + ports[2:] + ports[:2] + head, now)
            answers = tcp is not None and tcp.flags & (SYN | ACK) == SYN | ACK
            flow.inside_first = packet.outbound != answers
            if tcp and syn:
                flow.first_seq = tcp.seq
        flow.last = now
        return flow, before, new

    def _make(self, key: bytes, out_key: bytes, in_key: bytes, now: float) -> Flow:
        if now >= self._next_sweep:
            self._next_sweep = now + self.idle / 4
            for old in [flow for flow in self.outward.values() if now - flow.last > self.idle]:
                self._forget(old)
        if len(self.outward) >= self._limit:
            self._forget(next(iter(self.outward.values())))
        self._made += 1
        flow = self.outward[out_key] = self.inward[in_key] = Flow(self._made)
        flow.key, flow.keys = key, (out_key, in_key)
        return flow

    def _forget(self, flow: Flow) -> None:
        del self.outward[flow.keys[0]]
        del self.inward[flow.keys[1]]
