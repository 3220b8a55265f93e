"""Passes connections on to another place and writes down what was said: `… tapping LISTEN TARGET OUT whole|tail`.

LISTEN is ADDR:PORT, and so is TARGET. Each connection that has ended is one line of JSON in OUT: the client's bytes
(all of them, or their last few) in hexadecimal digits, how many of them came before the first answer, and a digest of
the answer's first record. Between a client and an edge it is a censor's recording; between an edge and its cover it
tells which strangers were passed on, and what the cover said to them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import signal
import socket
import struct
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from rozaneh.lab import records

TAIL = 64
_MOST = 20_000
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
        up, down, size, first = bytearray(), bytearray(), 0, -1

        def answers(server: socket.socket) -> None:
            nonlocal first
            with _reset_goes_on(client):
                while piece := server.recv(_CHUNK):
                    if first < 0:
                        first = size
                    if len(down) < _MOST:
                        down.extend(piece)
                    client.sendall(piece)
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_WR)

        with client, contextlib.suppress(OSError), socket.create_connection(self._target, timeout=_DIAL_S) as server:
            server.settimeout(None)
            answering = threading.Thread(target=answers, args=(server,), daemon=True)
            answering.start()
            with _reset_goes_on(server):
                while piece := client.recv(_CHUNK):
                    size += len(piece)
                    up += piece
                    if not self._whole:
                        del up[:-TAIL]
                    server.sendall(piece)
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_WR)
            answering.join()
        line = {"up": up.hex(), "first": max(0, first), "answer": first_record(bytes(down))}
        with self._lock:
            self._out.write(json.dumps(line) + "\n")
            self._out.flush()


@contextlib.contextmanager
def _reset_goes_on(to: socket.socket) -> Iterator[None]:
    """Where one side is reset, the other is reset as well when it is closed: a tap must not change how things end."""
    try:
        yield
    except OSError:
        with contextlib.suppress(OSError):
            to.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def first_record(answer: bytes) -> str:
    """A digest of the first record of an answer to a handshake, empty where there is none.

    A ServerHello's random is not used twice, and its key share is whose the connection is.
    """
    size = 5 + int.from_bytes(answer[3:5], "big") if len(answer) >= 5 and answer[0] == records.HANDSHAKE else 0
    return hashlib.sha256(answer[:size]).hexdigest() if 0 < size <= len(answer) else ""


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
