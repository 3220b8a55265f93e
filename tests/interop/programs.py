"""Programs of the reader: a SOCKS5 client and a plain HTTP fetch through it, on plain sockets."""

from __future__ import annotations

import hashlib
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.interop.rig import DEADLINE

Place = tuple[str, int]


class Refused(Exception):
    """The proxy's reply code, or ``-1`` where it hung up."""

    def __init__(self, code: int) -> None:
        super().__init__(f"reply {code}")
        self.code = code


def exactly(sock: socket.socket, size: int) -> bytes:
    """``size`` bytes; ``Refused(-1)`` at an early end."""
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            raise Refused(-1)
        data += part
    return data


def greet(sock: socket.socket, credentials: tuple[str, str] | None = None) -> None:
    """The part of SOCKS5 before a request (RFC 1928 section 3, RFC 1929)."""
    sock.sendall(b"\x05\x01\x02" if credentials else b"\x05\x01\x00")
    version, method = exactly(sock, 2)
    if version != 5 or method == 0xFF:
        raise Refused(-1)
    if credentials:
        user, password = (text.encode() for text in credentials)
        sock.sendall(b"\x01" + bytes([len(user)]) + user + bytes([len(password)]) + password)
        if exactly(sock, 2) != b"\x01\x00":
            raise Refused(-1)


def encode(host: str, port: int) -> bytes:
    """Type, address and port."""
    for family, kind in ((socket.AF_INET, 1), (socket.AF_INET6, 4)):
        with suppress(OSError):
            return bytes([kind]) + socket.inet_pton(family, host) + struct.pack("!H", port)
    name = host.encode()
    return bytes([3, len(name)]) + name + struct.pack("!H", port)


def reply(sock: socket.socket) -> tuple[str, int]:
    """The bound address of a good reply."""
    _, code, _, kind = exactly(sock, 4)
    if kind == 3:
        host = exactly(sock, exactly(sock, 1)[0]).decode()
    else:
        family = socket.AF_INET if kind == 1 else socket.AF_INET6
        host = socket.inet_ntop(family, exactly(sock, 4 if kind == 1 else 16))
    (port,) = struct.unpack("!H", exactly(sock, 2))
    if code:
        raise Refused(code)
    return host, port


def tunnel(
    proxy: Place | str, host: str, port: int, *, credentials: tuple[str, str] | None = None, timeout: float = DEADLINE
) -> socket.socket:
    """A connected socket through a SOCKS5 proxy on TCP, or on a Unix socket where ``proxy`` is a path."""
    if isinstance(proxy, str):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(timeout)
        sock.connect(proxy)
    else:
        sock = socket.create_connection(proxy, timeout=timeout)
    try:
        greet(sock, credentials)
        sock.sendall(b"\x05\x01\x00" + encode(host, port))
        reply(sock)
    except BaseException:
        sock.close()
        raise
    return sock


def fetch(proxy: Place | str, port: int, size: int, *, host: str = "127.0.0.1") -> str:
    """SHA-256 of ``/bytes/size`` of the origin, fetched through the proxy; empty where nothing came."""
    digest = hashlib.sha256()
    try:
        with tunnel(proxy, host, port) as sock:
            sock.sendall(b"GET /bytes/%d HTTP/1.1\r\nHost: origin\r\n\r\n" % size)
            data = b""
            while b"\r\n\r\n" not in data:
                part = sock.recv(4096)
                if not part:
                    return ""
                data += part
            body = data.partition(b"\r\n\r\n")[2]
            digest.update(body)
            size -= len(body)
            while size and (body := sock.recv(min(size, 1 << 18))):
                digest.update(body)
                size -= len(body)
    except (OSError, Refused):
        return ""
    return digest.hexdigest() if size == 0 else ""


@contextmanager
def association(proxy: Place, *, source: str = "127.0.0.1", named: int = 0) -> Iterator[tuple[socket.socket, Place]]:
    """A SOCKS5 UDP ASSOCIATE: a bound socket, and where to send. Ends with the block, as its TCP connection does."""
    with held_association(proxy, source=source, named=named) as (_, udp, relay):
        yield udp, relay


@contextmanager
def held_association(
    proxy: Place, *, source: str = "127.0.0.1", named: int = 0
) -> Iterator[tuple[socket.socket, socket.socket, Place]]:
    """The same with its TCP connection in front."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    with socket.create_connection(proxy, timeout=DEADLINE) as control, socket.socket(family, socket.SOCK_DGRAM) as udp:
        udp.settimeout(DEADLINE)
        udp.bind((source, named))
        greet(control)
        control.sendall(b"\x05\x03\x00" + encode("::" if ":" in source else "0.0.0.0", named))  # noqa: S104 - the field
        yield control, udp, reply(control)


def wrap(host: str, port: int, payload: bytes) -> bytes:
    """A datagram with the header of RFC 1928 section 7."""
    return b"\0\0\0" + encode(host, port) + payload


def unwrap(datagram: bytes) -> tuple[str, int, bytes]:
    """Who it is from, and what it says."""
    kind = datagram[3]
    if kind == 3:
        size = datagram[4]
        host, rest = datagram[5 : 5 + size].decode(), datagram[5 + size :]
    else:
        size = 4 if kind == 1 else 16
        host = socket.inet_ntop(socket.AF_INET if kind == 1 else socket.AF_INET6, datagram[4 : 4 + size])
        rest = datagram[4 + size :]
    return host, int.from_bytes(rest[:2], "big"), rest[2:]
