"""Runs conversations with the kernel's own sockets, thousands side by side in one thread."""

from __future__ import annotations

import contextlib
import errno
import heapq
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from rozaneh.lab.tell.seen import End, Seen, reduce
from rozaneh.lab.tell.talk import Talk

Place = tuple[str, int]
Done = Callable[[Seen], None]

CONNECT_S = 10.0
_CHUNK = 65_536
_RESET = (errno.ECONNRESET, errno.EPIPE)
_IDLE_S = 1.0


@dataclass(slots=True)
class _Visit:
    """One connection."""

    talk: Talk
    place: Place
    observe: float
    done: Done
    sock: socket.socket | None = None
    up: float = 0.0
    connected: bool = False
    unsent: memoryview = field(default_factory=lambda: memoryview(b""))
    ended_ours: bool = False
    first_s: float = -1.0
    size: int = 0
    deadline: float = 0.0
    over: bool = False


class Visits:
    """`begin` queues a conversation, `run` works until all have ended; `done` is called for each."""

    def __init__(
        self, *, most: int = 3_000, per_second: float = 0.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """At most `most` connections stand at once, and so many begin a second (0: as many as there is room for)."""
        self._most = most
        self._gap = 1.0 / per_second if per_second else 0.0
        self._next = 0.0
        self._clock = clock
        self._selector = selectors.DefaultSelector()
        self._queue: deque[_Visit] = deque()
        self._timers: list[tuple[float, int, _Visit]] = []
        self._number = count()
        self._standing = 0

    def begin(self, talk: Talk, place: Place, observe: float, done: Done) -> None:
        """Visits `place` as soon as there is room, and watches it for `observe` seconds."""
        self._queue.append(_Visit(talk, place, observe, done))

    def run(self) -> None:
        """Works until everything begun has ended, also what `done` begins."""
        try:
            while self._queue or self._standing:
                self._fill()
                self._step()
        finally:
            self.close()

    def close(self) -> None:
        """Drops what still stands, without a word."""
        for key in list((self._selector.get_map() or {}).values()):
            sock = key.fileobj
            if isinstance(sock, socket.socket):
                sock.close()
        self._queue.clear()
        self._selector.close()
        self._selector = selectors.DefaultSelector()
        self._timers.clear()
        self._standing = 0

    def _fill(self) -> None:
        # Not all at once: a burst of connections would fill the server's queue of unaccepted ones, and a lost SYN is a
        # second's wait that says nothing about the server.
        for _ in range(64):
            if not self._queue or self._standing >= self._most:
                return
            if self._gap:
                now = self._clock()
                if now < self._next:
                    return
                # What could not begin in time is not made up for in a burst.
                self._next = max(self._next, now - self._gap) + self._gap
            self._start(self._queue.popleft())

    def _step(self) -> None:
        now = self._clock()
        wait = _IDLE_S
        if self._timers:
            wait = min(wait, max(0.0, self._timers[0][0] - now))
        if self._queue and self._standing < self._most:
            wait = min(wait, max(0.0, self._next - now) if self._gap else 0.002)
        for key, mask in self._selector.select(wait):
            visit = key.data
            if not visit.over:
                self._ready(visit, mask)
        now = self._clock()
        while self._timers and self._timers[0][0] <= now:
            _, _, visit = heapq.heappop(self._timers)
            if not visit.over:
                self._timer(visit, now)

    def _start(self, visit: _Visit) -> None:
        self._standing += 1
        now = self._clock()
        visit.up, visit.deadline = now, now + CONNECT_S
        try:
            family = socket.AF_INET6 if ":" in visit.place[0] else socket.AF_INET
            visit.sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            visit.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            code = visit.sock.connect_ex(visit.place)
            if code not in (0, errno.EINPROGRESS):
                raise OSError(code, "connect")
            self._selector.register(visit.sock, selectors.EVENT_WRITE, visit)
            self._at(visit.deadline, visit)
        except OSError:
            self._end(visit, "refused")

    def _at(self, when: float, visit: _Visit) -> None:
        heapq.heappush(self._timers, (when, next(self._number), visit))

    def _timer(self, visit: _Visit, now: float) -> None:
        if now >= visit.deadline:
            self._end(visit, "open" if visit.connected else "refused")
            return
        if visit.connected and visit.talk.wake is not None and now >= visit.talk.wake:
            try:
                visit.talk.tick(now)
                self._send(visit)
            except OSError as error:
                self._failed(visit, error)

    def _ready(self, visit: _Visit, mask: int) -> None:
        assert visit.sock is not None  # noqa: S101 - registered, so it is there
        try:
            if not visit.connected:
                code = visit.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if code:
                    raise OSError(code, "connect")
                now = self._clock()
                visit.connected, visit.up, visit.deadline = True, now, now + visit.observe
                self._at(visit.deadline, visit)
                visit.talk.opened(now)
                self._send(visit)
                return
            if mask & selectors.EVENT_READ:
                self._read(visit)
            if not visit.over and mask & selectors.EVENT_WRITE:
                self._send(visit)
        except OSError as error:
            self._failed(visit, error)

    def _read(self, visit: _Visit) -> None:
        assert visit.sock is not None  # noqa: S101
        while not visit.over:
            try:
                piece = visit.sock.recv(_CHUNK)
            except BlockingIOError:
                break
            now = self._clock()
            if not piece:
                self._end(visit, "fin")
                return
            if visit.first_s < 0:
                visit.first_s = now - visit.up
            visit.size += len(piece)
            visit.talk.heard(now, piece)
        if not visit.over:
            self._send(visit)

    def _send(self, visit: _Visit) -> None:
        """Sends what there is, ends the direction when the talk did, and asks to be woken."""
        sock = visit.sock
        assert sock is not None  # noqa: S101
        if not visit.unsent:
            visit.unsent = memoryview(visit.talk.out())
        while visit.unsent:
            try:
                visit.unsent = visit.unsent[sock.send(visit.unsent[:_CHUNK]) :]
            except BlockingIOError:
                break
            if not visit.unsent:
                visit.unsent = memoryview(visit.talk.out())
        if visit.talk.finished and not visit.unsent and not visit.ended_ours:
            visit.ended_ours = True
            with contextlib.suppress(OSError):  # the server may have gone first, which the next read tells
                sock.shutdown(socket.SHUT_WR)
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if visit.unsent else 0)
        self._selector.modify(sock, events, visit)
        if visit.talk.left and not visit.unsent:
            self._end(visit, "open")
        elif visit.talk.wake is not None:
            self._at(min(visit.talk.wake, visit.deadline), visit)

    def _failed(self, visit: _Visit, error: OSError) -> None:
        if visit.over:
            return
        if not visit.connected:
            self._end(visit, "refused")
            return
        if error.errno == errno.EPIPE and self._drained(visit):
            return
        self._end(visit, "rst" if error.errno in _RESET else "open")

    def _drained(self, visit: _Visit) -> bool:
        """A write may fail after the end of file that explains it is already there to be read."""
        assert visit.sock is not None  # noqa: S101
        try:
            while piece := visit.sock.recv(_CHUNK):
                if visit.first_s < 0:
                    visit.first_s = self._clock() - visit.up
                visit.size += len(piece)
                visit.talk.heard(self._clock(), piece)
        except OSError:
            return False
        self._end(visit, "fin")
        return True

    def _end(self, visit: _Visit, how: End) -> None:
        visit.over = True
        self._standing -= 1
        after = max(0.0, self._clock() - visit.up)
        if visit.sock is not None:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(visit.sock)
            # What is still on its way must not turn into a reset that a later probe is blamed for.
            visit.sock.close()
        talk = visit.talk
        visit.done(reduce(talk.raw, talk.inner, talk.tls, how, after, visit.first_s, visit.size))
