"""Layers a flow's bytes go through, with real cryptography: TCP, TLS over anything, and an AEAD stream like noise.

A layer reads exactly so many bytes and writes some; TLS runs in memory (the standard library's OpenSSL) so that it can
stand on any other layer, which is what a tunnel is.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import struct
from typing import Protocol

from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class Channel(Protocol):
    """Bytes both ways."""

    async def read(self) -> bytes:
        """What comes next; empty at the end."""
        ...

    async def write(self, data: bytes) -> None:
        """Sends."""
        ...


class Tcp:
    """The connection itself."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def read(self) -> bytes:
        """What comes next."""
        return await self._reader.read(65_536)

    async def write(self, data: bytes) -> None:
        """Sends, and waits while the kernel has no room."""
        self._writer.write(data)
        await self._writer.drain()


class Noise:
    """AES-256-GCM in chunks behind a random salt, as Shadowsocks' AEAD ciphers frame it; the key means nothing."""

    _CHUNK = 0x3FFF

    def __init__(self, below: Channel) -> None:
        self._below = below
        self._cipher = AESGCM(b"a key that everybody may know".ljust(32, b"."))
        self._number = 0
        self._theirs = 0
        self._salt = os.urandom(32)
        self._buffer = bytearray()
        self._salted = False

    async def write(self, data: bytes) -> None:
        """Seals `data` chunk by chunk and sends it in one piece."""
        out = bytearray()
        if self._salt:
            out += self._salt
            self._salt = b""
        for at in range(0, len(data), self._CHUNK):
            chunk = data[at : at + self._CHUNK]
            out += self._seal(struct.pack("!H", len(chunk))) + self._seal(chunk)
        await self._below.write(bytes(out))

    async def read(self) -> bytes:
        """The next chunk."""
        if not self._salted:
            if await self._take(32) is None:
                return b""
            self._salted = True
        head = await self._take(18)
        if head is None:
            return b""
        (size,) = struct.unpack("!H", self._open(head))
        body = await self._take(size + 16)
        return self._open(body) if body is not None else b""

    async def _take(self, count: int) -> bytes | None:
        while len(self._buffer) < count:
            piece = await self._below.read()
            if not piece:
                return None
            self._buffer += piece
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    def _seal(self, data: bytes) -> bytes:
        self._number += 1
        return self._cipher.encrypt(self._number.to_bytes(12, "little"), data, None)

    def _open(self, data: bytes) -> bytes:
        self._theirs += 1
        return self._cipher.decrypt(self._theirs.to_bytes(12, "little"), data, None)


class Prefixed:
    """Puts a header in front of the first write, as Trojan does inside its TLS; the other end takes it off."""

    def __init__(self, below: Channel, *, send: bytes = b"", drop: int = 0) -> None:
        self._below, self._send, self._drop = below, send, drop

    async def write(self, data: bytes) -> None:
        """Sends, the first time with the header."""
        data, self._send = self._send + data, b""
        await self._below.write(data)

    async def read(self) -> bytes:
        """What comes next behind the header."""
        while True:
            piece = await self._below.read()
            if not piece or len(piece) > self._drop:
                piece, self._drop = piece[self._drop :], 0
                return piece
            self._drop -= len(piece)


class Tls:
    """TLS on any other layer."""

    def __init__(self, below: Channel, context: ssl.SSLContext, *, name: str = "", server: bool = False) -> None:
        self._below = below
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server, server_hostname=None if server else name
        )

    async def handshake(self) -> Tls:
        """Does the handshake; returns itself."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._feed()
            else:
                await self._flush()
                return self

    async def write(self, data: bytes) -> None:
        """Sends."""
        self._tls.write(data)
        await self._flush()

    async def read(self) -> bytes:
        """What comes next."""
        while True:
            try:
                return self._tls.read(65_536)
            except ssl.SSLWantReadError:
                await self._flush()
                if not await self._feed():
                    return b""
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""

    async def _feed(self) -> bool:
        piece = await self._below.read()
        if piece:
            self._incoming.write(piece)
        else:
            self._incoming.write_eof()
        return bool(piece)

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await self._below.write(self._outgoing.read())


class Exact:
    """Reads exactly so many bytes off a channel."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self._buffer = bytearray()

    async def take(self, count: int) -> bytes:
        """The next `count` bytes; `ConnectionError` when the other end goes before."""
        while len(self._buffer) < count:
            piece = await self.channel.read()
            if not piece:
                raise ConnectionError("the other end went too early")
            self._buffer += piece
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken
