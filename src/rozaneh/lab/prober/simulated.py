"""Runs attempts against toy servers on one clock that both share and that jumps: 300 seconds take microseconds.

A toy is an ordinary server program in miniature: it reads from a kernel's buffer and closes. What the prober sees then
follows from TCP as Linux does it: closing with unread bytes in the buffer sends a reset, closing an empty one a FIN
(NDSS'20 figure 1 [P]).
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from random import Random

from rozaneh.lab.prober.attempt import Attempt, Reaction


class Clock:
    """Seconds that pass only when somebody lets them."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def advance(self, to: float) -> None:
        """Moves to `to`; never back."""
        self.now = max(self.now, to)


class Session:
    """One connection at a toy server. A subclass reads in `readable` and sets `deadline` for `expired`."""

    def __init__(self, clock: Clock, rng: Random) -> None:
        self.clock = clock
        self.rng = rng
        self.deadline = inf
        self.sent = bytearray()
        self.end = ""
        self._kernel = bytearray()
        self.opened()

    def opened(self) -> None:
        """The connection stands."""

    def readable(self) -> None:
        """There are bytes in the kernel's buffer."""

    def expired(self) -> None:
        """The deadline has come: most servers close then."""
        self.close()

    def recv(self, most: int) -> bytes:
        """Takes up to `most` bytes out of the kernel's buffer."""
        piece = bytes(self._kernel[:most])
        del self._kernel[:most]
        return piece

    def send(self, data: bytes) -> None:
        """Answers."""
        self.sent += data

    def close(self) -> None:
        """close(2): a reset when bytes lie unread, a FIN when not."""
        if not self.end:
            self.end = "rst" if self._kernel else "fin"
            self.deadline = inf

    def arrived(self, data: bytes) -> None:
        """The network brings bytes; the program is woken as long as it reads some."""
        self._kernel += data
        while self._kernel and not self.end:
            before = len(self._kernel)
            self.readable()
            if len(self._kernel) == before:
                return


Server = Callable[[Clock, Random], Session]


def run(server: Server, attempt: Attempt, clock: Clock, rng: Random, *, delay: float = 0.02) -> Reaction:
    """One attempt at `server` to its end; `delay` is one way, and the clock is where the attempt ended afterwards."""
    attempt.start(clock.now)
    clock.advance(clock.now + 2 * delay)  # SYN there, SYN+ACK back
    payload = attempt.connected(clock.now)
    clock.advance(clock.now + delay)  # accept(2) returns when the last ACK has come
    session = server(clock, rng)
    if payload:
        session.arrived(payload)
    while attempt.reaction is None:
        if session.sent:
            piece = bytes(session.sent)
            session.sent.clear()
            attempt.data(clock.now + delay, piece)
        if session.end:
            seen = clock.now + delay
            if seen < attempt.deadline:
                (attempt.rst if session.end == "rst" else attempt.fin)(seen)
                continue
        clock.advance(min(session.deadline, attempt.deadline))
        if clock.now >= attempt.deadline:
            attempt.timer(clock.now)
        elif not session.end:
            session.expired()
    return attempt.reaction
