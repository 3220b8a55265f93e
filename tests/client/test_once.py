"""One page: the URL is judged, the tunnel is asked for as curl would, and the certificate is checked."""

from __future__ import annotations

import datetime
import hashlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rozaneh.client.once import Fetched, Target, fetch, parse_url
from rozaneh.core.errors import Fault, FaultKind
from rozaneh.edge.certs import make_certificate


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://news.example", Target(False, "news.example", 80, "/")),
        ("https://news.example/a?b=c#d", Target(True, "news.example", 443, "/a?b=c")),
        ("https://news.example:8443/", Target(True, "news.example", 8443, "/")),
        ("http://[2606:4700::1]:81/x", Target(False, "2606:4700::1", 81, "/x")),
    ],
)
def test_urls(url: str, target: Target) -> None:
    assert parse_url(url) == target


@pytest.mark.parametrize(
    "url",
    [
        "",
        "news.example",
        "ftp://x/",
        "file:///etc/passwd",
        "javascript:1",
        "http://",
        "http:///x",
        "http://u@x/",
        "http://u:p@x/",
        "http://x:0/",
        "http://x:99999/",
        "http://x:y/",
        "http://x/a b",
        "http://x/\r\nHost: y",
        "http://x/\x00",
        "http://é/",
        "http://[::1",
        "http://x/" + "a" * 9000,
    ],
)
def test_urls_that_are_none_and_are_not_repeated(url: str) -> None:
    with pytest.raises(Fault) as caught:
        parse_url(url)
    assert caught.value.kind is FaultKind.USAGE
    assert len(url) < 5 or url not in str(caught.value)


def test_headers_name_the_authority_rightly() -> None:
    assert parse_url("https://[2606:4700::1]/").host_header == "[2606:4700::1]"
    assert parse_url("https://[2606:4700::1]/").authority == "[2606:4700::1]:443"
    assert parse_url("http://a:8080/").host_header == "a:8080"


@contextmanager
def proxy(directory: Path, serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """A local listener that serves one connection."""
    path = str(directory / "s")
    failures: list[BaseException] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        listener.settimeout(10)

        def run() -> None:
            try:
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(10)
                    serve(connection)
            except (ConnectionError, ssl.SSLError):
                pass  # the client hung up, which some tests want
            except BaseException as failure:  # noqa: BLE001
                failures.append(failure)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield path
        finally:
            thread.join(10)
    assert not failures


def head(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(4096)
    return received


def test_a_page_comes_through_in_pieces(tmp_path: Path) -> None:
    asked: list[bytes] = []
    body = bytes(range(256)) * 1000

    def serve(connection: socket.socket) -> None:
        asked.append(head(connection))
        # The tunnel's first bytes may come with the proxy's answer: none may be lost.
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        asked.append(head(connection))
        connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    pieces: list[bytes] = []
    with proxy(tmp_path, serve) as path:
        fetched = fetch(path, parse_url("http://news.example/p?q"), pieces.append)
    assert fetched == Fetched(404, len(body), hashlib.sha256(body).hexdigest())
    assert b"".join(pieces) == body
    assert asked[0] == b"CONNECT news.example:80 HTTP/1.1\r\nHost: news.example:80\r\n\r\n"
    assert asked[1].startswith(b"GET /p?q HTTP/1.1\r\n")
    assert b"ozaneh" not in asked[1]
    assert b"ython" not in asked[1]


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 502 Bad Gateway\r\n\r\n", b"HTTP/1.1 403 Forbidden\r\n\r\n", b"", b"junk\r\n\r\n"]
)
def test_what_does_not_come_through(tmp_path: Path, answer: bytes) -> None:
    def serve(connection: socket.socket) -> None:
        head(connection)
        connection.sendall(answer)

    with proxy(tmp_path, serve) as path, pytest.raises(Fault) as caught:
        fetch(path, parse_url("http://news.example/"), lambda _: None)
    assert caught.value.kind is FaultKind.EDGE_UNREACHABLE
    assert "news.example" not in str(caught.value)


def test_a_body_cut_short_is_no_page(tmp_path: Path) -> None:
    def serve(connection: socket.socket) -> None:
        head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")

    with proxy(tmp_path, serve) as path, pytest.raises(Fault) as caught:
        fetch(path, parse_url("http://news.example/"), lambda _: None)
    assert caught.value.kind is FaultKind.EDGE_UNREACHABLE


def secure(directory: Path) -> Callable[[socket.socket], None]:
    """A site with a self-made certificate behind the proxy."""
    make_certificate(directory, "news.example", int(datetime.datetime.now(datetime.UTC).timestamp()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "cert.pem", directory / "key.pem")

    def serve(connection: socket.socket) -> None:
        head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with context.wrap_socket(connection, server_side=True) as inner:
            while b"\r\n\r\n" not in inner.recv(4096):
                continue
            inner.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    return serve


def test_a_certificate_nobody_vouches_for_is_interference(tmp_path: Path) -> None:
    with proxy(tmp_path, secure(tmp_path)) as path, pytest.raises(Fault) as caught:
        fetch(path, parse_url("https://news.example/"), lambda _: None)
    assert caught.value.kind is FaultKind.INTERFERENCE


def test_a_trusted_certificate_is_taken_for_its_name_only(tmp_path: Path) -> None:
    serve = secure(tmp_path)
    trusted = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    with proxy(tmp_path, serve) as path:
        assert fetch(path, parse_url("https://news.example/"), lambda _: None, trusted).size == 2
    (tmp_path / "s").unlink()
    with proxy(tmp_path, serve) as path, pytest.raises(Fault) as caught:
        fetch(path, parse_url("https://other.example/"), lambda _: None, trusted)
    assert caught.value.kind is FaultKind.INTERFERENCE
