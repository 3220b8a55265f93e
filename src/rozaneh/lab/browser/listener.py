"""A loopback listener that reads one TLS ClientHello a connection and hangs up: first flights in their raw bytes."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from types import TracebackType

from rozaneh.lab.codec import clienthello

_LIMIT = 1 << 16  # far above any first flight
_BACKLOG = 512


class Listener:
    """Collects first flights in a thread of its own until it is closed."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
        self._server.setblocking(False)
        self.port: int = self._server.getsockname()[1]
        self._flights: list[bytes] = []
        self._condition = threading.Condition()
        self._wake, self._waker = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="hellos", daemon=True)
        self._thread.start()

    def __enter__(self) -> Listener:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the thread and closes every socket."""
        self._waker.close()
        self._thread.join()

    def wait(self, count: int, timeout: float) -> bool:
        """Waits until `count` whole hellos have come; False when they have not after `timeout` seconds."""
        with self._condition:
            return self._condition.wait_for(lambda: len(self._flights) >= count, timeout)

    def flights(self) -> list[bytes]:
        """The first flights that hold a whole ClientHello so far, in the order they came."""
        with self._condition:
            return list(self._flights)

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._server, selectors.EVENT_READ)
            selector.register(self._wake, selectors.EVENT_READ)
            coming: dict[socket.socket, bytearray] = {}
            open_ = True
            while open_:
                for key, _ in selector.select():
                    if key.fileobj is self._wake:
                        open_ = False
                    elif key.fileobj is self._server:
                        with contextlib.suppress(OSError):
                            peer, _ = self._server.accept()
                            peer.setblocking(False)
                            coming[peer] = bytearray()
                            selector.register(peer, selectors.EVENT_READ)
                    elif isinstance(key.fileobj, socket.socket) and self._read(key.fileobj, coming[key.fileobj]):
                        selector.unregister(key.fileobj)
                        del coming[key.fileobj]
                        key.fileobj.close()
            for peer in coming:
                peer.close()
        self._server.close()
        self._wake.close()

    def _read(self, peer: socket.socket, data: bytearray) -> bool:
        """Takes what came; whether this connection has told all it will."""
        try:
            chunk = peer.recv(_LIMIT)
        except BlockingIOError:
            return False
        except OSError:
            return True
        data += chunk
        found = clienthello.parse(bytes(data))
        if isinstance(found, clienthello.ClientHello):
            with self._condition:
                self._flights.append(bytes(data))
                self._condition.notify_all()
            return True
        return not chunk or found is None or len(data) > _LIMIT
