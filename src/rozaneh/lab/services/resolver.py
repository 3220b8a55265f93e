"""The world's resolvers: A and AAAA for the world's names over UDP and TCP, NXDOMAIN for every other name.

A delegated zone is asked for at its own server, as a recursive resolver does it: the query goes on over UDP, and what
comes back goes to whoever asked. The zone file is read again when it was replaced, so that a name can move while the
world stands.

Run as `python -m rozaneh.lab.services.resolver ZONE.json ADDRESS…`; it writes `ready` when it listens.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import struct
import sys
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from rozaneh.lab import dnsmessage

_PORT = 53
_TCP_PATIENCE_S = 2.0
_SERVFAIL = 2
# Queries that wait for a delegated zone's server; the oldest is forgotten first. iodine keeps a handful in flight.
_MAX_WAITING = 4096

Zone = Mapping[str, Sequence[str]]


def write(path: Path, zone: Zone, delegations: Mapping[str, str]) -> None:
    """Puts a zone file in place, whole or not at all; `delegations` gives each delegated zone its server's address."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps({"names": zone, "delegations": delegations}), encoding="utf-8")
    part.replace(path)


class Book:
    """What the file at `path` says now: names with their addresses, and which zones are somebody else's."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = (-1, -1)
        self.names: dict[str, list[str]] = {}
        self.delegations: dict[str, str] = {}
        self.refresh()

    def refresh(self) -> None:
        """Reads the file again when another one took its place."""
        state = os.stat(self._path)
        seen = (state.st_ino, state.st_mtime_ns)
        if seen != self._seen:
            data = json.loads(self._path.read_text(encoding="utf-8"))
            self.names, self.delegations, self._seen = data["names"], data["delegations"], seen

    def delegated(self, name: str) -> str:
        """The address of the server `name` must be asked at, or nothing when this book answers."""
        while name:
            if name in self.delegations:
                return self.delegations[name]
            name = name.partition(".")[2]
        return ""


def respond(names: Zone, message: bytes) -> bytes | None:
    """The answer to one query; None for what is not a query."""
    query = dnsmessage.read_query(message)
    if query is None:
        return None
    if query.name in names:
        return dnsmessage.answer(query, list(names[query.name]))
    return dnsmessage.answer(query, [], code=dnsmessage.NXDOMAIN)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Who asked, through which socket, under which number."""

    listener: socket.socket
    sender: tuple[str, int]
    ident: int


class Server:
    """Listens on every address; `turn` answers what has come, `serve` does so for ever."""

    def __init__(self, book: Book, addresses: Sequence[str]) -> None:
        self._book = book
        self._selector = selectors.DefaultSelector()
        # One socket a family towards delegated zones' servers; numbers tell the queries apart.
        self._onward: dict[int, socket.socket] = {}
        self._waiting: OrderedDict[int, _Waiting] = OrderedDict()
        self._number = 0
        for address in addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                listener = socket.socket(family, kind)
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind((address, _PORT))
                if kind == socket.SOCK_STREAM:
                    listener.listen(64)
                self._selector.register(listener, selectors.EVENT_READ, "listener")

    def serve(self) -> None:
        """Answers until the process ends."""
        while True:
            self.turn()

    def turn(self) -> None:
        """Waits for something to come and answers it."""
        for key, _ in self._selector.select():
            with contextlib.suppress(OSError):  # one asker's trouble is not the others'
                self._handle(cast("socket.socket", key.fileobj), str(key.data))

    def close(self) -> None:
        """Gives every socket back."""
        for key in list(self._selector.get_map().values()):
            cast("socket.socket", key.fileobj).close()
        self._selector.close()

    def _handle(self, ready: socket.socket, role: str) -> None:
        if role == "onward":
            self._back(ready)
            return
        self._book.refresh()
        if ready.type == socket.SOCK_DGRAM:
            message, sender = ready.recvfrom(4096)
            query = dnsmessage.read_query(message)
            server = self._book.delegated(query.name) if query else ""
            if server:
                self._on(server, message, _Waiting(ready, sender, int.from_bytes(message[:2], "big")))
                return
            answer = respond(self._book.names, message)
            if answer:
                ready.sendto(answer, sender)
        else:
            self._connection(ready.accept()[0])

    def _connection(self, connection: socket.socket) -> None:
        """One query a connection, each with its length in front (RFC 7766 section 8); no delegated zone over TCP."""
        with connection:
            connection.settimeout(_TCP_PATIENCE_S)
            head = connection.recv(2, socket.MSG_WAITALL)
            message = connection.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL)
            query = dnsmessage.read_query(message)
            if query and self._book.delegated(query.name):
                answer: bytes | None = dnsmessage.answer(query, [], code=_SERVFAIL)
            else:
                answer = respond(self._book.names, message)
            if answer:
                connection.sendall(len(answer).to_bytes(2, "big") + answer)

    def _on(self, server: str, message: bytes, asker: _Waiting) -> None:
        """Passes a query on under a number of our own."""
        family = socket.AF_INET6 if ":" in server else socket.AF_INET
        if family not in self._onward:
            self._onward[family] = socket.socket(family, socket.SOCK_DGRAM)
            self._selector.register(self._onward[family], selectors.EVENT_READ, "onward")
        self._number = (self._number + 1) & 0xFFFF
        self._waiting[self._number] = asker
        self._waiting.move_to_end(self._number)
        if len(self._waiting) > _MAX_WAITING:
            self._waiting.popitem(last=False)
        self._onward[family].sendto(struct.pack("!H", self._number) + message[2:], (server, _PORT))

    def _back(self, onward: socket.socket) -> None:
        """Gives an answer of a delegated zone's server to whoever asked."""
        message = onward.recv(65_535)
        asker = self._waiting.pop(int.from_bytes(message[:2], "big"), None)
        if asker:
            asker.listener.sendto(struct.pack("!H", asker.ident) + message[2:], asker.sender)


def main(argv: list[str]) -> int:
    """The process."""
    server = Server(Book(Path(argv[1])), argv[2:])
    print("ready", flush=True)  # noqa: T201 - the line the lab waits for
    with contextlib.suppress(KeyboardInterrupt):
        server.serve()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
