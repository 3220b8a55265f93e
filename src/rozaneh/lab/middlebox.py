"""The lab's end of the router's control pair: starts it in its node and talks to it."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any

import msgspec

from rozaneh.lab.nodes import Node
from rozaneh.lab.processes import NotReady, Process
from rozaneh.lab.router import Config

_ANSWER_S = 10.0


class Middlebox:
    """A running router."""

    def __init__(self, node: Node, config: Config, prober: socket.socket | None = None) -> None:
        """Starts it and returns when it forwards.

        `prober` is the router's end of the pair to the active prober (see `probing`); it stays the caller's to close.
        `NotReady` when the router ends first, `ValueError` when a rule or a link is not what it must be.
        """
        path = node.folder / "router.json"
        path.write_bytes(msgspec.json.encode(config))
        self.acts_file = Path(config.acts) if config.acts else None
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(_ANSWER_S)
        self._control = ours
        descriptors = {3: theirs.fileno()}
        if prober is not None:
            descriptors[4] = prober.fileno()
        with theirs:
            self._process: Process = node.spawn(
                [sys.executable, "-m", "rozaneh.lab.router", str(path), *map(str, descriptors)],
                log=node.folder / "router.log",
                descriptors=descriptors,
            )
        try:
            self._receive()
        except BaseException:
            ours.close()
            self._process.kill()
            raise

    @property
    def pid(self) -> int:
        """The router's process id."""
        return self._process.pid

    def stats(self) -> dict[str, Any]:
        """Counts so far; captures and acts are on disk when this returns."""
        return self._ask({"do": "stats"})

    def jump(self, seconds: float) -> None:
        """Moves the lab's clock forward."""
        self._ask({"do": "jump", "seconds": seconds})

    def phase(self, name: str) -> None:
        """Names what comes next: the acts from now on carry it."""
        self._ask({"do": "phase", "name": name})

    def acts(self, phase: str | None = None, *, since: float = 0.0) -> list[dict[str, Any]]:
        """What the rules did: all of it, or in one phase, from Unix time `since` on.

        Each is a dict with `time` (Unix), `lab_time`, `phase`, `rule`, `action`, `why`, `flow` (its number), `packet`,
        and the flow's addresses `inside` and `outside`.
        """
        if self.acts_file is None:
            return []
        self.stats()
        lines = [json.loads(line) for line in self.acts_file.read_text(encoding="utf-8").splitlines()]
        return [line for line in lines if line["time"] >= since and phase in (None, line["phase"])]

    def stop(self) -> None:
        """Ends it with its files whole."""
        if self._process.running():
            self._ask({"do": "stop"})
            self._process.wait(_ANSWER_S)
        self._control.close()

    def _ask(self, command: dict[str, Any]) -> dict[str, Any]:
        self._control.send(json.dumps(command).encode())
        return self._receive()

    def _receive(self) -> dict[str, Any]:
        message = self._control.recv(65_536)
        if not message:
            raise NotReady(f"the router ended: {self._process.output().strip()}")
        answer: dict[str, Any] = json.loads(message)
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer
