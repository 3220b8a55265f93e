"""One probe connection as a state machine: told what happened and when, it knows what to send and how it ended.

There is no socket and no clock in here: a driver says `connected`, `data`, `fin`, `rst`, `refused` or `timer`, each
with the time it happened, so the same machine runs against real servers and against toys whose 300 seconds jump by.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["data", "fin", "rst", "timeout", "refused"]

# NDSS'20 V-B [P]: 97.5 % of what is open after 300 s is open after 9,000 s too.
OBSERVE_S = 300.0
CONNECT_S = 10.0
# After an answer the end of the connection is watched for as well (the table of reliability.md 3.2 has both).
_KEPT = 65_536


@dataclass(frozen=True, slots=True)
class Reaction:
    """How a server reacted to one probe.

    Attributes:
        kind: `data` when any byte came back, else how the connection ended.
        seconds: From the connection's start to the first byte of an answer, or to the end.
        received: Bytes that came back.
        closed: How the connection ended in the end (`timeout`: it did not).
        closed_s: When it ended.
        first: The first bytes of the answer, for comparing it with a cover site's.
    """

    kind: Kind
    seconds: float
    received: int = 0
    closed: Kind = "timeout"
    closed_s: float = 0.0
    first: bytes = b""

    def short(self) -> str:
        """The reaction in a few letters, as tables show it: `FIN@30`, `data 7B FIN@0`, `TIMEOUT`."""
        end = (
            self.closed.upper()
            if self.closed in ("timeout", "refused")
            else f"{self.closed.upper()}@{self.closed_s:.0f}"
        )
        return f"data {self.received}B {end}" if self.kind == "data" else end


class Attempt:
    """One connection to a server: connects, sends `payload`, and waits for what comes."""

    def __init__(
        self,
        payload: bytes,
        *,
        observe: float = OBSERVE_S,
        connect: float = CONNECT_S,
        stop_at_data: bool = False,
    ) -> None:
        """`stop_at_data` ends it with the first answer instead of watching how the connection ends."""
        self.payload = payload
        self._observe = observe
        self._connect = connect
        self._stop_at_data = stop_at_data
        self._up = 0.0
        self._connected = False
        self._first_s: float | None = None
        self._received = 0
        self._first = bytearray()
        self.deadline = 0.0
        self.reaction: Reaction | None = None

    @property
    def done(self) -> bool:
        """Whether its end is known; the driver closes its socket then."""
        return self.reaction is not None

    def start(self, now: float) -> None:
        """The driver begins to connect."""
        self._up = now
        self.deadline = now + self._connect

    def connected(self, now: float) -> bytes:
        """The connection stands; returns what to send. Times of reactions count from here."""
        self._up = now
        self._connected = True
        self.deadline = now + self._observe
        return self.payload

    def data(self, now: float, piece: bytes) -> None:
        """The server sent something."""
        if self.done:
            return
        if self._first_s is None:
            self._first_s = now - self._up
        self._received += len(piece)
        if len(self._first) < _KEPT:
            self._first += piece[: _KEPT - len(self._first)]
        if self._stop_at_data:
            self._end(now, "timeout")

    def fin(self, now: float) -> None:
        """The server closed in order."""
        self._end(now, "fin")

    def rst(self, now: float) -> None:
        """The server reset the connection."""
        self._end(now, "rst")

    def refused(self, now: float) -> None:
        """There was no connection: a reset to the SYN, an ICMP error, no way there, or no answer in time."""
        self._end(now, "refused")

    def timer(self, now: float) -> None:
        """Ends it once its deadline has passed. A server that was never reached is not one that waits."""
        if now >= self.deadline:
            self._end(now, "timeout" if self._connected else "refused")

    def _end(self, now: float, how: Kind) -> None:
        if self.done:
            return
        after = max(0.0, now - self._up)
        if self._first_s is None:
            self.reaction = Reaction(how, after, 0, how, after)
        else:
            self.reaction = Reaction("data", self._first_s, self._received, how, after, bytes(self._first))
