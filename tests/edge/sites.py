"""Web servers on loopback that an edge may find beside it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

from rozaneh.core.addresses import Endpoint
from rozaneh.core.clock import SystemClock
from rozaneh.edge.certs import make_certificate

ANSWER = b"HTTP/1.1 200 OK\r\nServer: %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@contextlib.contextmanager
def site(
    folder: Path, name: str, *, newest: str = "TLSv1_3", curve: str = "", software: str = "nginx"
) -> Iterator[Endpoint]:
    """A server with a certificate for ``name``; gives where it listens."""
    home = folder / f"site-{name}"
    home.mkdir(exist_ok=True)
    make_certificate(home, name, SystemClock().now())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion[newest]
    context.load_cert_chain(home / "cert.pem", home / "key.pem")
    if curve:
        context.set_ecdh_curve(curve)

    def serve(peer: socket.socket) -> None:
        with contextlib.suppress(OSError), context.wrap_socket(peer, server_side=True) as tls:
            head = b""
            while b"\r\n\r\n" not in head:
                piece = tls.recv(4096)
                if not piece:
                    return
                head += piece
            tls.sendall(ANSWER % software.encode())

    with listener(serve) as at:
        yield at


@contextlib.contextmanager
def silent(said: bytes = b"") -> Iterator[Endpoint]:
    """A server that speaks no TLS: it says ``said`` and closes."""

    def serve(peer: socket.socket) -> None:
        with contextlib.suppress(OSError), peer:
            peer.sendall(said)

    with listener(serve) as at:
        yield at


@contextlib.contextmanager
def listener(serve: object) -> Iterator[Endpoint]:
    """Accepts on loopback and hands every connection to ``serve``, until the block ends."""
    assert callable(serve)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                peer.settimeout(10)
                serve(peer)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield Endpoint.parse(f"127.0.0.1:{server.getsockname()[1]}")
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(10)
