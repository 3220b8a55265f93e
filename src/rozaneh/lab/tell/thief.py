"""First flights of a real client that never reached its server, each written as a line of hexadecimal digits.

`python -m rozaneh.lab.tell.thief engine CONFIG.json COUNT` points a reader's engine at a listener of ours, which keeps
what comes first and hangs up; `… socks LISTEN SOCKS COUNT` listens at the port LISTEN of loopback, to which another
program's client leads whose SOCKS port is given. A censor on the line holds exactly this before the server has seen it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from rozaneh.lab.tell import visiting

_SECONDS = 10.0


def whole(connection: socket.socket) -> bytes:
    """The first record of a connection, or what came of it before its time was over."""
    data = b""
    try:
        while len(data) < 5 or len(data) < 5 + int.from_bytes(data[3:5], "big"):
            piece = connection.recv(65_536)
            if not piece:
                break
            data += piece
    except OSError:
        pass
    return data


def main(arguments: Sequence[str]) -> int:
    """Steals as many as the last argument says."""
    how, *rest, count = arguments
    if how == "engine":
        by_engine(Path(rest[0]), int(count))
    else:
        by_socks(int(rest[0]), int(rest[1]), int(count))
    return 0


def by_engine(path: Path, count: int) -> None:
    """Has clients of the document at `path` begin `count` connections, and writes what each said first."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        document = json.loads(path.read_text(encoding="utf-8"))
        document["upstreams"][0]["address"] = f"127.0.0.1:{listener.getsockname()[1]}"
        listener.settimeout(_SECONDS)
        for _ in range(count):
            child = visiting.visit(json.dumps(document), quiet=True)
            try:
                _take(listener)
            finally:
                # It would wait before it tries again, as a browser does; nobody needs to know how that ends.
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)


def by_socks(listen: int, socks: int, count: int) -> None:
    """The same through a client's SOCKS port: each connection through it begins one to the server."""
    with socket.create_server(("127.0.0.1", listen), backlog=64) as listener:
        listener.settimeout(_SECONDS)
        for _ in range(count):
            with socket.create_connection(("127.0.0.1", socks), timeout=_SECONDS) as through:
                # RFC 1928: no authentication, CONNECT to a name, and words for it at once.
                through.sendall(b"\x05\x01\x00")
                through.recv(2)
                name = b"news.example"
                through.sendall(b"\x05\x01\x00\x03" + bytes([len(name)]) + name + b"\x01\xbb")
                through.recv(10)
                through.sendall(b"hello")
                _take(listener)


def _take(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.settimeout(_SECONDS)
        sys.stdout.write(whole(connection).hex() + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
