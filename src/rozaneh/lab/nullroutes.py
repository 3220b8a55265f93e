"""Servers that a censor learnt to block: by port first, by address when ports go on changing.

What CN-07 and CN-08 of the catalogue do with what was learnt: a null route that only touches one direction, held for a
time that checks do not renew. Bounded: the oldest entry goes first.
"""

from __future__ import annotations

from typing import Literal

from rozaneh.lab.packet import Packet

By = Literal["port", "ip", "escalate"]

_MAX = 16_384


class NullRoutes:
    """Blocked endpoints; `escalate` blocks by port until `ports` of an address are blocked, and then the address."""

    def __init__(self, by: By, seconds: float, *, ports: int = 2, restarts: bool = False) -> None:
        if ports < 1:
            raise ValueError("an address is blocked after one port or more")
        self._by = by
        self._seconds = seconds
        self._ports = ports
        self._restarts = restarts
        self._until: dict[tuple[bytes, int], float] = {}  # port 0 stands for the whole address
        self._blocked: dict[bytes, list[int]] = {}

    def __len__(self) -> int:
        return len(self._until)

    def block(self, address: bytes, port: int, now: float) -> str:
        """Blocks what was learnt about; says in a few words what that is now."""
        if self._by == "ip":
            port = 0
        elif self._by == "escalate":
            known = self._blocked.pop(address, [])
            known = [each for each in known if self._until.get((address, each), 0.0) > now and each != port] + [port]
            if len(self._blocked) >= _MAX:
                del self._blocked[next(iter(self._blocked))]
            self._blocked[address] = known
            if len(known) >= self._ports:
                port = 0
        self._add((address, port), now)
        return "address" if not port else f"port {port}"

    def hit(self, p: Packet, now: float) -> str:
        """What of the packet's sender is blocked: `address`, `port N`, or `""`."""
        if not self._until:
            return ""
        address = p.inside_bytes if p.outbound else p.outside_bytes
        port = 0 if p.flow_key() is None else p.inside_port if p.outbound else p.outside_port
        for key in ((address, 0), (address, port)):
            until = self._until.get(key)
            if until is None:
                continue
            if now >= until:
                del self._until[key]
                continue
            if self._restarts:
                self._add(key, now)
            return "address" if not key[1] else f"port {port}"
        return ""

    def _add(self, key: tuple[bytes, int], now: float) -> None:
        self._until.pop(key, None)
        if len(self._until) >= _MAX:
            del self._until[next(iter(self._until))]
        self._until[key] = now + self._seconds
