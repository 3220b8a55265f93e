"""One conversation in raw bytes, and what of an answer may differ between two servers that are the same."""

from __future__ import annotations

import re
import selectors
import socket
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Said:
    """Everything a server sent, and how it ended: ``FIN``, ``RST`` or ``TIMEOUT``."""

    data: bytes
    end: str


def talk(port: int, data: bytes, *, finish: bool = True, step: int = 1 << 18, patience: float = 30.0) -> Said:
    """Says ``data``, ``step`` bytes at a time, reads everything until the server ends it.

    With ``finish`` our end is shut down behind the last byte, so that a kept connection ends too.
    """
    out = bytearray()
    deadline = time.monotonic() + patience
    with socket.create_connection(("127.0.0.1", port)) as peer, selectors.DefaultSelector() as selector:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.setblocking(False)
        left = memoryview(data)
        selector.register(peer, selectors.EVENT_READ | selectors.EVENT_WRITE)
        while (wait := deadline - time.monotonic()) > 0:
            for _, mask in selector.select(wait):
                if mask & selectors.EVENT_WRITE:
                    try:
                        left = left[peer.send(left[:step]) :] if left else left
                    except BlockingIOError:
                        continue
                    except OSError:
                        # The server hung up before it heard everything; what it said is still to be read.
                        left = left[:0]
                    if not left:
                        if finish:
                            _shut(peer)
                        selector.modify(peer, selectors.EVENT_READ)
                if mask & selectors.EVENT_READ:
                    try:
                        chunk = peer.recv(1 << 18)
                    except BlockingIOError:
                        continue
                    except ConnectionResetError:
                        return Said(bytes(out), "RST")
                    if not chunk:
                        return Said(bytes(out), "FIN")
                    out += chunk
    return Said(bytes(out), "TIMEOUT")


def _shut(peer: socket.socket) -> None:
    try:
        peer.shutdown(socket.SHUT_WR)
    except OSError:
        # Already reset: the next read says so.
        return


def normal(data: bytes, port: int) -> bytes:
    """``data`` without the time, the number of a multipart boundary and the server's own port."""
    data = re.sub(rb"Date: [^\r]*", b"Date: -", data)
    data = re.sub(rb"(boundary=|\r\n--)\d{20}", rb"\1-", data)
    return data.replace(b":%d/" % port, b":PORT/")
