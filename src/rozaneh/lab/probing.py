"""What the router asks the active prober for, and what comes back: JSON over a SOCK_SEQPACKET pair, one a message.

To the prober: `{"id", "address", "port", "payload" (base64), "kind"}`, when the probe's lab time has come. Back:
`{"id", "reaction", "seconds", "received", "source"}`; a reaction is one of `data`, `fin`, `rst`, `timeout`, `refused`.
"""

from __future__ import annotations

import base64
import heapq
import json
import socket
from typing import Literal

import msgspec

from rozaneh.lab.api import Probed
from rozaneh.lab.chain import Asked

# The probes that say again what a client said: whole, or with bytes of it changed (CN-07).
REPLAYS = frozenset({"R1", "R2", "R3", "R4", "R5"})

_MAX_OPEN = 4_096
_MESSAGE = 1 << 18


class _Answer(msgspec.Struct, frozen=True):
    id: int
    reaction: Literal["data", "fin", "rst", "timeout", "refused"]
    seconds: float
    received: int
    source: str = ""


class Probing:
    """Probes that wait for their time, and those that wait for their answer; bounded, the oldest goes first."""

    def __init__(self, channel: socket.socket | None, window_s: float | None = None) -> None:
        """`window_s`: how old a first flight the server takes by its own clock; None when it has no such limit.

        A server's clock does not jump with the lab's. A replay the lab's clock jumped past that limit would be taken
        for a fresh one by a server that would refuse it in the field, so it is not sent, and counted instead.
        """
        self.channel = channel
        self.unsent = 0
        self.not_simulated = 0
        self._window_s = window_s
        self._waiting: list[tuple[float, int, float, Asked]] = []
        self._open: dict[int, Asked] = {}
        self._number = 0
        if channel is not None:
            channel.setblocking(False)

    @property
    def due(self) -> float | None:
        """The lab time of the next probe."""
        return self._waiting[0][0] if self._waiting else None

    def ask(self, asked: Asked, now: float, raw: float = 0.0) -> None:
        """Takes a probe; without a prober, or with too many of them, it is only counted. `raw` never jumps."""
        if self.channel is None or len(self._waiting) >= _MAX_OPEN:
            self.unsent += 1
            return
        self._number += 1
        heapq.heappush(self._waiting, (now + max(0.0, asked.probe.after), self._number, now - raw, asked))

    def send(self, now: float, raw: float = 0.0) -> None:
        """Hands over what is due at lab time `now`."""
        while self._waiting and self._waiting[0][0] <= now:
            _, number, offset, asked = heapq.heappop(self._waiting)
            probe = asked.probe
            jumped = now - raw - offset
            if probe.kind in REPLAYS and self._window_s is not None and jumped > self._window_s:
                self.not_simulated += 1
                continue
            message = {
                "id": number,
                "address": probe.address,
                "port": probe.port,
                "payload": base64.b64encode(probe.payload).decode(),
                "kind": probe.kind,
            }
            try:
                if self.channel is None:
                    raise OSError("the prober has ended")
                self.channel.send(json.dumps(message).encode())
            except OSError:  # gone, or so busy that its queue is full
                self.unsent += 1
                continue
            if len(self._open) >= _MAX_OPEN:
                del self._open[next(iter(self._open))]
            self._open[number] = asked

    def receive(self) -> list[tuple[int, Probed]] | None:
        """What has been answered, each with the number of the rule that asked; None when the prober has ended."""
        answers: list[tuple[int, Probed]] = []
        while self.channel is not None:
            try:
                message = self.channel.recv(_MESSAGE)
            except BlockingIOError:
                return answers
            except OSError:
                message = b""
            if not message:
                self.channel = None
                return answers or None
            try:
                answer = msgspec.json.decode(message, type=_Answer)
            except msgspec.DecodeError:
                continue
            asked = self._open.pop(answer.id, None)
            if asked is not None:
                result = Probed(asked.probe, answer.reaction, answer.seconds, answer.received)
                answers.append((asked.rule, result))
        return answers or None
