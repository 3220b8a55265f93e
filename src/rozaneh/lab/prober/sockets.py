"""Runs attempts with the kernel's own sockets, many at once in one thread, never more than a bound allows.

What a censor's prober sees is what a real TCP stack gives it: a FIN is an end of file, a reset an error, and bytes the
server never acknowledged end in a time-out.
"""

from __future__ import annotations

import contextlib
import errno
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from rozaneh.lab.prober.attempt import Attempt

Done = Callable[[Attempt], None]

_CHUNK = 65_536
_RESET = (errno.ECONNRESET, errno.EPIPE)


@dataclass(slots=True)
class _Waiting:
    attempt: Attempt
    address: str
    port: int
    source: str
    done: Done


class Sockets:
    """Connections of attempts. `begin` queues one, `step` lets time pass; `done` is called when one has ended."""

    def __init__(
        self,
        *,
        most: int = 256,
        clock: Callable[[], float] = time.monotonic,
        selector: selectors.BaseSelector | None = None,
    ) -> None:
        """At most `most` connections stand at once; further ones wait. Another's `selector` may be shared."""
        self.clock = clock
        self.selector = selector or selectors.DefaultSelector()
        self._own_selector = selector is None
        self._most = most
        self._queue: deque[_Waiting] = deque()
        self._open: dict[int, _Connection] = {}

    def begin(self, attempt: Attempt, address: str, port: int, done: Done, *, source: str = "") -> None:
        """Connects to `address` (from `source`, when given) as soon as there is room."""
        self._queue.append(_Waiting(attempt, address, port, source, done))
        self._fill()

    @property
    def busy(self) -> int:
        """Attempts that have not ended."""
        return len(self._open) + len(self._queue)

    def wait_s(self, most: float) -> float:
        """How long `step` may sleep: until the next deadline, `most` at the longest."""
        now = self.clock()
        soonest = min((connection.attempt.deadline for connection in self._open.values()), default=now + most)
        return max(0.0, min(most, soonest - now))

    def step(self, most: float) -> list[selectors.SelectorKey]:
        """Waits for what happens next, `most` seconds at the longest; returns events of sockets that are not ours."""
        foreign = []
        for key, mask in self.selector.select(self.wait_s(most)):
            if isinstance(key.data, _Connection):
                key.data.ready(mask)
            else:
                foreign.append(key)
        now = self.clock()
        for connection in list(self._open.values()):
            if connection.attempt.deadline <= now:
                connection.attempt.timer(now)
                connection.settle()
        self._fill()
        return foreign

    def close(self) -> None:
        """Drops every connection; their `done` is not called any more. Nothing can be begun after it."""
        self._queue.clear()
        for connection in list(self._open.values()):
            connection.drop()
        if self._own_selector:
            self.selector.close()

    def _fill(self) -> None:
        while self._queue and len(self._open) < self._most:
            waiting = self._queue.popleft()
            connection = _Connection(self, waiting)
            connection.start()

    def _has(self, connection: _Connection) -> None:
        self._open[id(connection)] = connection

    def _lost(self, connection: _Connection) -> None:
        self._open.pop(id(connection), None)


class _Connection:
    """One attempt's socket."""

    def __init__(self, owner: Sockets, waiting: _Waiting) -> None:
        self.attempt = waiting.attempt
        self._owner = owner
        self._waiting = waiting
        self._unsent = memoryview(b"")
        self._up = False
        self._socket: socket.socket | None = None

    def start(self) -> None:
        """Begins to connect."""
        owner, waiting = self._owner, self._waiting
        owner._has(self)
        self.attempt.start(owner.clock())
        try:
            family = socket.AF_INET6 if ":" in waiting.address else socket.AF_INET
            self._socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            if waiting.source:
                self._socket.bind((waiting.source, 0))
            code = self._socket.connect_ex((waiting.address, waiting.port))
            if code not in (0, errno.EINPROGRESS):
                raise OSError(code, "connect")
            owner.selector.register(self._socket, selectors.EVENT_WRITE, self)
        except OSError:
            self.attempt.refused(owner.clock())
            self.settle()

    def ready(self, mask: int) -> None:
        """The kernel has something to say about this socket."""
        assert self._socket is not None  # noqa: S101 - registered, so it is there
        try:
            if not self._up:
                self._connected()
            if self._up and not self.attempt.done and mask & selectors.EVENT_READ:
                self._read()
            if self._up and not self.attempt.done and self._unsent:
                self._write()
        except OSError as error:
            self._failed(error)
        self.settle()

    def settle(self) -> None:
        """Closes the socket and reports, once the attempt has ended."""
        if self.attempt.done:
            self.drop()
            self._waiting.done(self.attempt)

    def drop(self) -> None:
        """Closes the socket without a word."""
        self._owner._lost(self)
        if self._socket is not None:
            with contextlib.suppress(KeyError, ValueError):
                self._owner.selector.unregister(self._socket)
            self._socket.close()
            self._socket = None

    def _connected(self) -> None:
        sock = self._socket
        assert sock is not None  # noqa: S101
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, "connect")
        self._up = True
        self._unsent = memoryview(self.attempt.connected(self._owner.clock()))
        self._write()

    def _write(self) -> None:
        sock = self._socket
        assert sock is not None  # noqa: S101
        while self._unsent:
            try:
                self._unsent = self._unsent[sock.send(self._unsent[:_CHUNK]) :]
            except BlockingIOError:
                break
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)
        self._owner.selector.modify(sock, events, self)

    def _read(self) -> None:
        sock = self._socket
        assert sock is not None  # noqa: S101
        try:
            piece = sock.recv(_CHUNK)
        except BlockingIOError:
            return
        now = self._owner.clock()
        if piece:
            self.attempt.data(now, piece)
        else:
            self.attempt.fin(now)

    def _failed(self, error: OSError) -> None:
        now = self._owner.clock()
        if not self._up:
            self.attempt.refused(now)
            return
        if error.errno == errno.EPIPE and self._drain():
            return
        if error.errno in _RESET:
            self.attempt.rst(now)
        else:  # nobody acknowledged what was sent: nothing came back at all
            self.attempt.timer(max(now, self.attempt.deadline))

    def _drain(self) -> bool:
        """A write may fail after the end of file that explains it is already there to be read."""
        sock = self._socket
        assert sock is not None  # noqa: S101
        try:
            while not self.attempt.done:
                piece = sock.recv(_CHUNK)
                if piece:
                    self.attempt.data(self._owner.clock(), piece)
                else:
                    self.attempt.fin(self._owner.clock())
        except OSError:
            return False
        return True
