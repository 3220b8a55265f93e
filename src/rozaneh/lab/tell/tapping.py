"""Passes connections on to another place and writes down what was said: `… tapping LISTEN TARGET OUT whole|tail`.

LISTEN is ADDR:PORT, and so is TARGET. Each connection that has ended is one line of JSON in OUT: the client's bytes
(all of them, or their last few) in hexadecimal digits, how many of them came before the first answer, how many came at
all, and a digest of the answer. Between a client and an edge it is a censor's recording; between an edge and its cover
it tells which strangers were passed on, and what the cover said to them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

TAIL = 64
_CHUNK = 65_536
_DIAL_S = 10.0


class Tap:
    """Listens, passes on, writes down."""

    def __init__(self, target: tuple[str, int], out: Path, *, whole: bool) -> None:
        self._target = target
        self._whole = whole
        self._out = out.open("a", encoding="ascii")
        self._lock = threading.Lock()

    def serve(self, listener: socket.socket) -> None:
        """Takes connections until the process ends."""
        while True:
            client, _ = listener.accept()
            threading.Thread(target=self._pass, args=(client,), daemon=True).start()

    def _pass(self, client: socket.socket) -> None:
        up, size, first = bytearray(), 0, -1
        digest = hashlib.sha256()

        def answers(server: socket.socket) -> None:
            nonlocal first
            with contextlib.suppress(OSError):
                while piece := server.recv(_CHUNK):
                    if first < 0:
                        first = size
                    digest.update(piece)
                    client.sendall(piece)
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_WR)

        with client, contextlib.suppress(OSError), socket.create_connection(self._target, timeout=_DIAL_S) as server:
            server.settimeout(None)
            answering = threading.Thread(target=answers, args=(server,), daemon=True)
            answering.start()
            with contextlib.suppress(OSError):
                while piece := client.recv(_CHUNK):
                    size += len(piece)
                    up += piece
                    if not self._whole:
                        del up[:-TAIL]
                    server.sendall(piece)
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_WR)
            answering.join()
        line = {"up": up.hex(), "size": size, "first": max(0, first), "answer": digest.hexdigest()}
        with self._lock:
            self._out.write(json.dumps(line) + "\n")
            self._out.flush()


def place(text: str) -> tuple[str, int]:
    """ADDR:PORT as the two it is made of."""
    host, _, port = text.rpartition(":")
    return host, int(port)


def main(arguments: Sequence[str]) -> int:
    """Runs until it is ended."""
    listen, target, out, how = arguments
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.create_server(place(listen), backlog=4_096) as listener:
        tap = Tap(place(target), Path(out), whole=how == "whole")
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        tap.serve(listener)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
