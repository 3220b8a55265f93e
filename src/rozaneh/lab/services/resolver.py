"""The world's resolver: answers A and AAAA for the world's names over UDP and TCP, NXDOMAIN for every other name.

Run as `python -m rozaneh.lab.services.resolver ZONE.json ADDRESS…`; it writes `ready` when it listens.
"""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import sys
from pathlib import Path

from rozaneh.lab import dnsmessage

_PORT = 53
_TCP_PATIENCE_S = 2.0


def respond(zone: dict[str, list[str]], message: bytes) -> bytes | None:
    """The answer to one query; None for what is not a query."""
    query = dnsmessage.read_query(message)
    if query is None:
        return None
    if query.name in zone:
        return dnsmessage.answer(query, zone[query.name])
    return dnsmessage.answer(query, [], code=dnsmessage.NXDOMAIN)


def serve(zone: dict[str, list[str]], addresses: list[str]) -> None:
    """Listens on every address and answers for ever."""
    selector = selectors.DefaultSelector()
    listeners: dict[int, socket.socket] = {}
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            listener = socket.socket(family, kind)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, _PORT))
            if kind == socket.SOCK_STREAM:
                listener.listen(64)
            selector.register(listener, selectors.EVENT_READ)
            listeners[listener.fileno()] = listener
    print("ready", flush=True)  # noqa: T201 - the line the lab waits for
    while True:
        for key, _ in selector.select():
            listener = listeners[key.fd]
            if listener.type == socket.SOCK_DGRAM:
                _answer_datagram(zone, listener)
            else:
                with contextlib.suppress(OSError):
                    _answer_connection(zone, listener.accept()[0])


def _answer_datagram(zone: dict[str, list[str]], listener: socket.socket) -> None:
    with contextlib.suppress(OSError):
        message, sender = listener.recvfrom(4096)
        answer = respond(zone, message)
        if answer:
            listener.sendto(answer, sender)


def _answer_connection(zone: dict[str, list[str]], connection: socket.socket) -> None:
    """One query a connection, each with its length in front (RFC 7766 section 8)."""
    with connection:
        connection.settimeout(_TCP_PATIENCE_S)
        head = connection.recv(2, socket.MSG_WAITALL)
        message = connection.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL)
        answer = respond(zone, message)
        if answer:
            connection.sendall(len(answer).to_bytes(2, "big") + answer)


def main(argv: list[str]) -> int:
    """The process."""
    zone = json.loads(Path(argv[1]).read_text(encoding="utf-8"))
    with contextlib.suppress(KeyboardInterrupt):
        serve(zone, argv[2:])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
