"""Small models of the servers NDSS'20 tells apart, and of the ordinary ones it must not take for them.

Each follows the paper's account of the program (table II and section IV-C [P]) closely enough that thresholds and
times come out of how it reads and closes, not out of a table: known-bad servers the trees are tried on.
"""

from __future__ import annotations

from random import Random

from rozaneh.lab.prober.simulated import Clock, Server, Session


class Obfs4(Session):
    """Reads in pieces of 1,448 bytes up to 8,192, then lingers: closes 30 to 90 s after the start or N bytes later."""

    def opened(self) -> None:
        # Chosen once a server, so the seed that the server has stands for its start-up.
        self._more = self.rng.randrange(8_193)
        self.deadline = self.clock.now + 30.0 + 59.0 * self.rng.random()
        self._read = 0

    def readable(self) -> None:
        self._read += len(self.recv(1_448))
        if self._read >= 8_192 + self._more:
            self.close()


class Ossh(Session):
    """Reads 24 bytes of a seed message; what follows fails at once, what falls short waits 30 s."""

    def opened(self) -> None:
        self.deadline = self.clock.now + 30.0
        self._seed = b""

    def readable(self) -> None:
        self._seed += self.recv(24 - len(self._seed))
        if len(self._seed) == 24:
            self.close()


class Lampshade(Session):
    """Reads one RSA block of 256 bytes; closes after 90 or 135 s when it never comes."""

    def opened(self) -> None:
        self.deadline = self.clock.now + self.rng.choice((90.0, 135.0))
        self._block = b""

    def readable(self) -> None:
        self._block += self.recv(256 - len(self._block))
        if len(self._block) == 256:
            self.close()


class ShadowsocksPython(Session):
    """Reads all there is in one event; closes once it has salt, length and tag (50 bytes) and they do not open."""

    def opened(self) -> None:
        self._have = 0

    def readable(self) -> None:
        self._have += len(self.recv(1 << 20))  # its event loop leaves nothing in the socket
        if self._have >= 50:
            self.close()


class ShadowsocksOutline(Session):
    """Reads exactly 50 bytes and closes with whatever lies behind them unread."""

    def opened(self) -> None:
        self._have = 0

    def readable(self) -> None:
        self._have += len(self.recv(50 - self._have))
        if self._have == 50:
            self.close()


class Mtproto(Session):
    """Reads for ever and says nothing."""

    def readable(self) -> None:
        self.recv(65_536)


class Web(Session):
    """A plain HTTP server: answers requests, calls everything else a bad request, closes what is idle for 60 s."""

    def opened(self) -> None:
        self._head = b""
        self.deadline = self.clock.now + 60.0

    def readable(self) -> None:
        self._head += self.recv(1_024)
        line, found, _ = self._head.partition(b"\n")
        if b"\r\n\r\n" in self._head and line.startswith(b"GET "):
            self.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            self._head = b""
            self.deadline = self.clock.now + 75.0
        elif (found and not line.startswith(b"GET ")) or not self._head[:1].isalpha() or len(self._head) > 8_192:
            self.send(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            self.close()


class Tls(Session):
    """A TLS server that wants a name: answers a hello without one, and what is no record, with an alert, and closes."""

    def opened(self) -> None:
        self._record = b""
        self.deadline = self.clock.now + 60.0

    def readable(self) -> None:
        self._record += self.recv(5 if len(self._record) < 5 else 16_384)
        if len(self._record) < 5:
            return
        size = int.from_bytes(self._record[3:5], "big")
        if self._record[:2] != b"\x16\x03" or size > 16_384:
            # protocol_version as OpenSSL sends for what is no record of a version it knows
            self.send(b"\x15\x03\x03\x00\x02\x02\x46")
            self.close()
        elif len(self._record) >= 5 + size:
            self.send(b"\x15\x03\x03\x00\x02\x02\x70")  # unrecognized_name
            self.close()


# The tree that must name each model; the last two must be named by none.
MODELS: dict[str, tuple[Server, str]] = {
    "obfs4": (Obfs4, "obfs4"),
    "ossh": (Ossh, "ossh"),
    "lampshade": (Lampshade, "lampshade"),
    "ss-python": (ShadowsocksPython, "shadowsocks-python"),
    "ss-outline": (ShadowsocksOutline, "shadowsocks-outline"),
    "mtproto": (Mtproto, "mtproto"),
    "http": (Web, ""),
    "tls": (Tls, ""),
}


class Toy:
    """One server of a model: every connection to it is decided by the same seed, as one program's start-up would."""

    def __init__(self, model: str, seed: int, clock: Clock) -> None:
        if model not in MODELS:
            raise ValueError(f"there is no model {model!r}; there are: {', '.join(MODELS)}")
        self.model = model
        self.clock = clock
        self._server = MODELS[model][0]
        self._seed = f"{model}/{seed}"

    def __call__(self, clock: Clock, rng: Random) -> Session:
        """A new connection."""
        return self._server(clock, Random(self._seed))  # noqa: S311 - one start-up, one choice


class Replayable:
    """A server that knows one first flight: answers it once, or (without a filter) each time; reads all else for ever.

    The real client is thought to have sent it before, so a filter knows it already. What differs from the flight is
    junk to it, as it is to any authenticated cipher.
    """

    def __init__(self, flight: bytes, filtered: bool) -> None:
        self._flight = flight
        self._filtered = filtered

    def __call__(self, clock: Clock, rng: Random) -> Session:
        """A new connection."""
        outer = self

        class _Session(Session):
            def opened(self) -> None:
                self._have = b""

            def readable(self) -> None:
                self._have += self.recv(65_536)
                if self._have == outer._flight and not outer._filtered:
                    self.send(b"\x17" * 384)

        return _Session(clock, rng)
