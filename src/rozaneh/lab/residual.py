"""A set whose members leave it after a while: what a censor goes on punishing after a match (primitive E2).

What counts as the same is the key: X-07 of the catalogue has a 3-tuple for China, a 4-tuple for Iran and Kazakhstan, a
5-tuple for Russia, and the destination alone for the address blocks of 2026. Whether a hit begins the time again is
X-08: it does in Iran and Kazakhstan, it does not for China's ESNI rule. Both are the rule's own parameters.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Literal

from rozaneh.lab.packet import Packet

MAX_MEMBERS = 65_536

Key = Literal["2-tuple", "3-tuple", "4-tuple", "5-tuple", "destination"]


class Residual:
    """Keys that count as blocked for `seconds` of lab time; with `restarts`, each hit begins the time again.

    Members are added and asked for by packet; either direction of a connection finds the same entry. A member may also
    be any hashable value of the caller's own.

    * `2-tuple`: the two addresses.
    * `3-tuple`: the address that began the connection, the other one, and the port that was connected to.
    * `4-tuple`: both addresses and both ports.
    * `5-tuple`: those and the protocol.
    * `destination`: the outside address, whoever asks.
    """

    __slots__ = ("_key", "_limit", "_restarts", "_seconds", "_until")

    def __init__(
        self, seconds: float, key: Key = "4-tuple", *, restarts: bool = False, limit: int = MAX_MEMBERS
    ) -> None:
        self._seconds = seconds
        self._key = key
        self._restarts = restarts
        self._limit = limit
        self._until: dict[Hashable, float] = {}

    def __len__(self) -> int:
        return len(self._until)

    @property
    def seconds(self) -> float:
        """How long a member stays."""
        return self._seconds

    def add(self, member: Packet | Hashable, now: float, seconds: float | None = None) -> None:
        """Blocks what `member` is about from now on, for `seconds` where this one stays another time than the rest."""
        lasts = self._seconds if seconds is None else seconds
        if lasts <= 0:
            return
        key = key_of(member, self._key) if isinstance(member, Packet) else member
        if key is None:
            return
        self._until.pop(key, None)  # so that the oldest stays first
        if len(self._until) >= self._limit:
            del self._until[next(iter(self._until))]
        self._until[key] = now + lasts

    def hit(self, member: Packet | Hashable, now: float) -> bool:
        """Whether what `member` is about is blocked at `now`."""
        if not self._until:
            return False
        key = key_of(member, self._key) if isinstance(member, Packet) else member
        until = self._until.get(key)
        if until is None:
            return False
        if now >= until:
            del self._until[key]
            return False
        if self._restarts:
            self.add(key, now)
        return True

    def remove(self, member: Packet | Hashable) -> None:
        """Forgets what `member` is about, if it is there."""
        self._until.pop(key_of(member, self._key) if isinstance(member, Packet) else member, None)


def key_of(packet: Packet, key: Key) -> Hashable:
    """What `packet` is about, by `key`; None for a key with ports and a packet without."""
    if key == "destination":
        return packet.outside_bytes
    if key == "2-tuple":
        return packet.inside_bytes + packet.outside_bytes
    whole = packet.flow_key()  # protocol, inside address, outside address, inside port, outside port
    if whole is None or key == "5-tuple":
        return whole
    if key == "4-tuple":
        return whole[1:]
    size = (len(whole) - 5) // 2
    if packet.inside_first:
        return whole[1:-4] + whole[-2:]
    return whole[1 + size : -4] + whole[1 : 1 + size] + whole[-4:-2]
