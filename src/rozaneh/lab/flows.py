"""Which packets belong together, and what each censor remembers about them; bounded in number and in age."""

from __future__ import annotations

from typing import Any

from rozaneh.lab.packet import ACK, SYN, Packet

MAX_FLOWS = 65_536
IDLE_S = 300.0  # lab clock


class Flow:
    """One flow: when it was last seen, its number, and one dict for each censor."""

    __slots__ = ("first_seq", "last", "memory", "number")

    def __init__(self, number: int, censors: int) -> None:
        self.number = number
        self.last = 0.0
        self.first_seq = -1
        self.memory: list[dict[str, Any]] = [{} for _ in range(censors)]


class FlowTable:
    """All flows of one chain of censors, oldest first."""

    def __init__(self, censors: int, limit: int = MAX_FLOWS, idle: float = IDLE_S) -> None:
        self._censors = censors
        self._limit = limit
        self._idle = idle
        self._flows: dict[bytes, Flow] = {}
        self._made = 0
        self._next_sweep = 0.0

    def __len__(self) -> int:
        return len(self._flows)

    def find(self, packet: Packet, now: float) -> Flow | None:
        """The packet's flow, made when it is new; None for packets without ports.

        A SYN with another sequence number than the flow's first one is a new connection on the same ports.
        """
        key = packet.flow_key()
        if key is None:
            return None
        flow = self._flows.get(key)
        tcp = packet.tcp
        if tcp and tcp.flags & (SYN | ACK) == SYN:
            if flow is not None and flow.first_seq != tcp.seq:
                del self._flows[key]
                flow = None
            if flow is None:
                flow = self._make(key, now)
                flow.first_seq = tcp.seq
        elif flow is None:
            flow = self._make(key, now)
        flow.last = now
        return flow

    def _make(self, key: bytes, now: float) -> Flow:
        if now >= self._next_sweep:
            self._next_sweep = now + self._idle / 4
            for old in [k for k, flow in self._flows.items() if now - flow.last > self._idle]:
                del self._flows[old]
        if len(self._flows) >= self._limit:
            del self._flows[next(iter(self._flows))]
        self._made += 1
        flow = self._flows[key] = Flow(self._made, self._censors)
        return flow
