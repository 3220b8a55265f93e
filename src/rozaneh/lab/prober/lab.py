"""The prober of a world: carries out what censors ask for, from a pool of addresses, with the kernel's own sockets.

Run in the prober's node as `python -m rozaneh.lab.prober.lab CONFIG.json DESCRIPTOR`. The descriptor is one end of a
SOCK_SEQPACKET pair whose other end the router holds. One JSON message asks for one probe
(`{"id","address","port","payload","kind"}`, the payload in base64) and one answers it
(`{"id","reaction","seconds","received","source"}`). When a probe is due is the router's business: its lab clock knows.
The first message it sends is `{"ready": true}`. It ends when the pair closes.
"""

from __future__ import annotations

import base64
import contextlib
import json
import selectors
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Annotated, Any

import msgspec

from rozaneh.lab.nodes import Node
from rozaneh.lab.prober.attempt import Attempt
from rozaneh.lab.prober.sockets import Sockets
from rozaneh.lab.processes import NotReady, Process

_MESSAGE = 1 << 20
_READY_S = 10.0
_IDLE_S = 60.0


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the prober is told.

    Attributes:
        sources: Addresses it probes from; one is drawn for each probe, of the family of the address probed.
        observe_s: How long it waits for a reaction; IMC'20: it "gives up" in under 10 s [P].
        connect_s: How long it waits for a connection.
        most: Connections at once; further probes wait their turn.
        waiting: Probes that may wait; those beyond are answered `timeout` at once, so memory stays bounded.
        seed: For the draw of sources.
    """

    sources: tuple[str, ...]
    observe_s: float = 10.0
    connect_s: float = 10.0
    most: int = 256
    waiting: int = 10_000
    seed: int = 0


class Asked(msgspec.Struct, frozen=True):
    """One probe as the router asks for it; further keys are let be."""

    id: int | str
    address: str
    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)]
    payload: str = ""
    kind: str = ""


class Pool:
    """The lab's end: a running prober, and the socket the router is to be given."""

    def __init__(self, node: Node, config: Config) -> None:
        """Starts it in `node`; `NotReady` when it ends at once."""
        path = node.folder / "prober.json"
        path.write_bytes(msgspec.json.encode(config))
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process: Process = node.spawn(
                [sys.executable, "-m", "rozaneh.lab.prober.lab", str(path), "3"],
                log=node.folder / "prober.log",
                descriptors={3: theirs.fileno()},
            )
        self.socket = ours
        ours.settimeout(_READY_S)
        if b'"ready"' not in ours.recv(_MESSAGE):
            raise NotReady(f"the prober ended: {self._process.output().strip()}")
        ours.settimeout(None)

    def stop(self) -> None:
        """Ends it."""
        self.socket.close()
        self._process.stop()


class Prober:
    """The process's work: messages in, connections out, answers back."""

    def __init__(self, config: Config, channel: socket.socket) -> None:
        self._config = config
        self._channel = channel
        self._sockets = Sockets(most=config.most)
        self._rng = Random(f"{config.seed}/sources")  # noqa: S311 - the same seed draws the same sources
        self._answers: list[bytes] = []
        channel.setblocking(False)
        self._sockets.selector.register(channel, selectors.EVENT_READ)

    def run(self) -> None:
        """Works until the other end closes."""
        self._say({"ready": True})
        open_ = True
        while open_:
            for _ in self._sockets.step(_IDLE_S):
                open_ = self._take()
            self._flush()
        self._sockets.close()

    def _take(self) -> bool:
        """Reads what the router asks; False when it has gone."""
        while True:
            try:
                message = self._channel.recv(_MESSAGE)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not message:
                return False
            try:
                asked = msgspec.json.decode(message, type=Asked)
                payload = base64.b64decode(asked.payload, validate=True)
            except (msgspec.MsgspecError, ValueError):
                continue  # there is no id to answer to
            self._begin(asked, payload)

    def _begin(self, asked: Asked, payload: bytes) -> None:
        source = self._source(asked.address)
        if self._sockets.busy >= self._config.most + self._config.waiting:
            self._say({"id": asked.id, "reaction": "timeout", "seconds": 0.0, "received": 0, "source": source})
            return
        attempt = Attempt(payload, observe=self._config.observe_s, connect=self._config.connect_s, stop_at_data=True)

        def done(ended: Attempt) -> None:
            seen = ended.reaction
            if seen is not None:
                self._say(
                    {
                        "id": asked.id,
                        "reaction": seen.kind,
                        "seconds": round(seen.seconds, 3),
                        "received": seen.received,
                        "source": source,
                    }
                )

        self._sockets.begin(attempt, asked.address, asked.port, done, source=source)

    def _source(self, address: str) -> str:
        family = ":" in address
        fitting = [source for source in self._config.sources if (":" in source) == family]
        return self._rng.choice(fitting) if fitting else ""

    def _say(self, message: dict[str, Any]) -> None:
        self._answers.append(json.dumps(message).encode())
        self._flush()

    def _flush(self) -> None:
        while self._answers:
            try:
                self._channel.send(self._answers[0])
            except BlockingIOError:
                events = selectors.EVENT_READ | selectors.EVENT_WRITE
                break
            except OSError:
                self._answers.clear()
                return
            self._answers.pop(0)
        else:
            events = selectors.EVENT_READ
        with contextlib.suppress(KeyError, ValueError):
            self._sockets.selector.modify(self._channel, events)


def main(arguments: Sequence[str]) -> int:
    """Runs the prober until its pair closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the lab's to answer
    config = msgspec.json.decode(Path(arguments[0]).read_bytes(), type=Config)
    with socket.socket(fileno=int(arguments[1])) as channel:
        Prober(config, channel).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
