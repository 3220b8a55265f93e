"""VOLUME-BLOCK: an address outside that many connections, or many bytes, go to is blocked for days (catalogue IR-09).

MCCI blocks proxies' addresses in the order of their connections' volume [C AsiaCCS'25 4.2.3]; an address that was
flagged stays restricted for about 72 hours if it is left idle [T XTLS #2451, #2778; net4people/bbs #277], so here each
packet begins the time again. The threshold was not published: it is a guess to be tuned. Which ranges the rule looks at
("gray list") is its `outside`; probing is not established for Iran and is not part of it.
"""

from __future__ import annotations

from collections import deque
from random import Random
from typing import ClassVar, Literal

from rozaneh.lab.api import PASS, Drop, Params, Verdict
from rozaneh.lab.censors.base import Settings, read_settings
from rozaneh.lab.packet import ACK, SYN, UDP, Packet
from rozaneh.lab.residual import Residual

_MAX_ADDRESSES = 16_384
_SLICES = 48  # a window's parts, each forgotten as one


class VolumeBlockSettings(Settings, frozen=True, kw_only=True):
    """How much is too much, and for how long.

    Attributes:
        unit: What is counted: connections from the inside, or bytes in both directions.
        limit: How many within the window; the one that passes the limit is dropped.
        window_s: The window, in lab seconds.
        block_s: How long the address is blocked, in lab seconds.
        restarts: Whether traffic to a blocked address begins the time again ("if left idle").
        prefix_v4: How many bits of an IPv4 address are counted and blocked as one.
        prefix_v6: The same for IPv6.
    """

    unit: Literal["connections", "bytes"] = "connections"
    limit: int = 300
    window_s: float = 86_400.0
    block_s: float = 259_200.0
    restarts: bool = True
    prefix_v4: int = 32
    prefix_v6: int = 128


class Volume:
    """A sliding sum, forgotten slice by slice."""

    __slots__ = ("_slices", "total")

    def __init__(self) -> None:
        self._slices: deque[list[float]] = deque()
        self.total = 0.0

    def add(self, amount: float, now: float, window: float) -> float:
        """Adds and returns what the window holds."""
        while self._slices and self._slices[0][0] <= now - window:
            self.total -= self._slices.popleft()[1]
        if self._slices and now - self._slices[-1][0] < window / _SLICES:
            self._slices[-1][1] += amount
        else:
            self._slices.append([now, amount])
        self.total += amount
        return self.total


class Censor:
    """Counts what goes to each outside address."""

    protocols: ClassVar[str] = "any"

    def __init__(self, params: Params, rng: Random) -> None:
        settings = read_settings(VolumeBlockSettings, params)
        if settings.limit < 1 or settings.window_s <= 0:
            raise ValueError("limit and window_s must be above 0")
        if not (1 <= settings.prefix_v4 <= 32 and 1 <= settings.prefix_v6 <= 128):
            raise ValueError("prefix_v4 and prefix_v6 are lengths of prefixes")
        self._settings = settings
        self._by_connections = settings.unit == "connections"
        self._residual = Residual(settings.block_s, restarts=settings.restarts)
        self._volumes: dict[tuple[int, int], Volume] = {}

    def packet(self, p: Packet, now: float) -> Verdict:
        """Drops what is blocked, else counts."""
        if not self._residual and self._by_connections and (not p.outbound or "counted" in p.flow):
            return PASS
        unit = self._unit(p.outside_bytes)
        if self._residual.hit(unit, now):
            return Drop("residual")
        amount = self._amount(p)
        if not amount:
            return PASS
        volume = self._volumes.get(unit)
        if volume is None:
            if len(self._volumes) >= _MAX_ADDRESSES:
                del self._volumes[next(iter(self._volumes))]
            volume = self._volumes[unit] = Volume()
        settings = self._settings
        if volume.add(amount, now, settings.window_s) <= settings.limit:
            return PASS
        del self._volumes[unit]
        self._residual.add(unit, now)
        return Drop(f"more than {settings.limit} {settings.unit} to {p.outside}")

    def _unit(self, outside: bytes) -> tuple[int, int]:
        bits = len(outside) * 8
        kept = self._settings.prefix_v4 if bits == 32 else self._settings.prefix_v6
        return bits, int.from_bytes(outside, "big") >> (bits - kept)

    def _amount(self, p: Packet) -> int:
        """What this packet adds to its address' volume."""
        if not self._by_connections:
            return len(p.raw)
        if not p.outbound or not p.inside_first or "counted" in p.flow:
            return 0
        tcp = p.tcp
        begins = tcp.flags & (SYN | ACK) == SYN if tcp is not None else p.protocol == UDP
        if begins:
            p.flow["counted"] = True  # a repeated SYN is the same connection
        return int(begins)
