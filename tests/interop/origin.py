"""The open internet's end: HTTP/1.1, WebSocket, plain TCP and UDP on loopback, one thread, all closed at the end."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import socket
import struct
import threading
from collections.abc import Awaitable, Callable
from types import TracebackType

_STOP = b"the end of the echo"
BLOCK = hashlib.shake_256(b"origin").digest(1 << 20)

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def content_hash(size: int) -> str:
    """SHA-256 of what ``/bytes/size`` gives."""
    digest = hashlib.sha256()
    left = size
    while left:
        part = BLOCK[: min(left, len(BLOCK))]
        digest.update(part)
        left -= len(part)
    return digest.hexdigest()


def _echo_datagrams(udp: socket.socket) -> None:
    while True:
        data, peer = udp.recvfrom(1 << 16)
        if data == _STOP:
            return
        udp.sendto(data, peer)


class Origin:
    """``http`` (also ``/ws``), ``echo``, ``digest`` (reads to the end, then says what it was), ``flood``, ``udp``."""

    def __init__(self) -> None:
        self.http = self.echo = self.digest = self.flood = self.udp = 0
        self.accepted = 0
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="origin")
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Origin:
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the origin did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        servers = []
        for name in ("http", "echo", "digest", "flood"):
            server = await asyncio.start_server(self._guard(getattr(self, f"_{name}")), "127.0.0.1", 0)
            setattr(self, name, server.sockets[0].getsockname()[1])
            servers.append(server)
        # A thread of its own: asyncio drops empty datagrams, which are datagrams like any other.
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        self.udp = udp.getsockname()[1]
        echo = threading.Thread(target=_echo_datagrams, args=(udp,))
        echo.start()
        self._ready.set()
        await self._stop.wait()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(_STOP, udp.getsockname())
        echo.join()
        udp.close()
        for server in servers:
            server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _guard(self, handler: Handler) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
        async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                    await handler(reader, writer)
            finally:
                writer.close()
                with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                    await writer.wait_closed()

        def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.accepted += 1
            task = self._loop.create_task(run(reader, writer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        return begin

    async def _echo(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()

    async def _digest(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        digest = hashlib.sha256()
        while data := await reader.read(1 << 18):
            digest.update(data)
        writer.write(digest.hexdigest().encode())
        await writer.drain()

    async def _flood(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader
        while True:
            writer.write(BLOCK[: 1 << 16])
            await writer.drain()

    async def _http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, path, _ = head[0].split(" ")
            fields = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
            if fields.get("expect") == "100-continue":
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            if path == "/ws":
                return await self._websocket(fields, reader, writer)
            body = await self._body(fields, reader)
            if path.startswith("/bytes/"):
                await self._bytes(method, int(path.rpartition("/")[2]), writer)
            else:
                answer = body.encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n" % len(answer))
                writer.write(b"Access-Control-Allow-Origin: *\r\n\r\n" + answer)
                await writer.drain()

    async def _bytes(self, method: str, size: int, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n" % size)
        writer.write(b"Access-Control-Allow-Origin: *\r\n\r\n")
        left = 0 if method == "HEAD" else size
        while left:
            part = BLOCK[: min(left, len(BLOCK))]
            writer.write(part)
            await writer.drain()
            left -= len(part)

    async def _body(self, fields: dict[str, str], reader: asyncio.StreamReader) -> str:
        """SHA-256 of the request's body."""
        digest = hashlib.sha256()
        if fields.get("transfer-encoding", "").lower() == "chunked":
            while size := int((await reader.readline()).split(b";")[0], 16):
                digest.update(await reader.readexactly(size))
                await reader.readline()
            await reader.readline()
        left = int(fields.get("content-length", "0"))
        while left:
            part = await reader.read(min(left, 1 << 18))
            if not part:
                raise asyncio.IncompleteReadError(b"", left)
            digest.update(part)
            left -= len(part)
        return digest.hexdigest()

    async def _websocket(
        self, fields: dict[str, str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """RFC 6455: the handshake, then every text or binary frame comes back; a close frame is answered."""
        accept = hashlib.sha1(fields["sec-websocket-key"].encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()  # noqa: S324
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
        writer.write(b"Sec-WebSocket-Accept: " + base64.b64encode(accept) + b"\r\n\r\n")
        while True:
            first, second = await reader.readexactly(2)
            size = second & 0x7F
            if size == 126:
                (size,) = struct.unpack("!H", await reader.readexactly(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", await reader.readexactly(8))
            mask = await reader.readexactly(4)
            payload = await reader.readexactly(size)
            if size:
                key = int.from_bytes((mask * (size // 4 + 1))[:size], "big")
                payload = (int.from_bytes(payload, "big") ^ key).to_bytes(size, "big")
            if size < 126:
                head = bytes([first, size])
            elif size < 1 << 16:
                head = bytes([first, 126]) + struct.pack("!H", size)
            else:
                head = bytes([first, 127]) + struct.pack("!Q", size)
            writer.write(head + payload)
            await writer.drain()
            if first & 0x0F == 8:
                return
