"""A forwarder that remembers the first bytes each side said: what a handshake looked like from outside."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from types import TracebackType

from rozaneh.lab.codec import clienthello

#: More than any first flight here.
_KEPT = 32_768
_STOP_S = 10.0


class Watch:
    """Listens on ``port`` of its own and forwards to the one it is given."""

    def __init__(self, target: int) -> None:
        self.target = target
        #: The first bytes of each connection: up, down.
        self.flights: list[tuple[bytearray, bytearray]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._accept, name="watch")

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(_STOP_S)
        with self._lock:
            for sock in self._open:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self.target))
                except OSError:
                    near.close()
                    continue
                up, down = bytearray(), bytearray()
                self.flights.append((up, down))
                with self._lock:
                    self._open |= {near, far}
                ends = [threading.Event(), threading.Event()]
                for source, sink, kept, mine, other in (
                    (near, far, up, ends[0], ends[1]),
                    (far, near, down, ends[1], ends[0]),
                ):
                    arguments = (source, sink, kept, mine, other)
                    threading.Thread(target=self._copy, args=arguments, daemon=True).start()

    def _copy(
        self, source: socket.socket, sink: socket.socket, kept: bytearray, mine: threading.Event, other: threading.Event
    ) -> None:
        try:
            while data := source.recv(1 << 16):
                kept += data[: _KEPT - len(kept)]
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            # A reset of one side is one of both.
            for sock in (source, sink):
                with suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    sock.shutdown(socket.SHUT_RDWR)
        mine.set()
        if other.is_set():
            with self._lock:
                self._open -= {source, sink}
            source.close()
            sink.close()

    def shares(self) -> list[tuple[tuple[int, ...], int]]:
        """Of each connection: the groups that the client had key shares for, in order and without GREASE, and the group
        of the ServerHello's share (RFC 8446 section 4.2.8); 0 where there is none.
        """
        pairs = []
        for up, down in self.flights:
            hello = clienthello.parse(bytes(up))
            if isinstance(hello, clienthello.ClientHello):
                groups = tuple(group for group in hello.key_shares if not clienthello.is_grease(group))
                pairs.append((groups, _group(bytes(down))))
        return pairs


def _group(flight: bytes) -> int:
    """The key share's group of the ServerHello at the front of a flight."""
    if flight[:1] != b"\x16" or flight[5:6] != b"\x02":
        return 0
    # Record and message headers, version, random; session id; suite and compression; length of the extensions.
    at = 5 + 4 + 2 + 32
    at += 1 + flight[at] + 3 + 2
    while at + 6 <= len(flight):
        kind, size = (int.from_bytes(flight[at + i : at + i + 2], "big") for i in (0, 2))
        if kind == clienthello.KEY_SHARE:
            return int.from_bytes(flight[at + 4 : at + 6], "big")
        at += 4 + size
    return 0
