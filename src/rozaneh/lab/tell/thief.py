"""First flights of a real client that never reached its server: `python -m rozaneh.lab.tell.thief CONFIG.json COUNT`.

The engine of a reader is pointed at a listener of ours, which keeps what comes first and hangs up. Each flight is
written as a line of hexadecimal digits: a censor on the line holds exactly this, before the server has ever seen it.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
from pathlib import Path

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


def main(path: Path, count: int) -> int:
    """Has the client of the document at `path` begin `count` connections, and writes what it said first."""
    from rozaneh.engine import _native

    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        document = json.loads(path.read_text(encoding="utf-8"))
        document["upstreams"][0]["address"] = f"127.0.0.1:{listener.getsockname()[1]}"
        tag = document["upstreams"][0]["tag"]
        engine = _native.Engine(json.dumps(document))
        engine.start()
        listener.settimeout(_SECONDS)
        try:
            for _ in range(count):
                # The probe waits for an answer, so it waits beside us.
                asking = threading.Thread(target=engine.probe, args=(tag, _SECONDS))
                asking.start()
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(_SECONDS)
                    sys.stdout.write(whole(connection).hex() + "\n")
                asking.join()
        finally:
            engine.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
