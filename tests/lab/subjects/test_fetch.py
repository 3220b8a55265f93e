"""A fetch is whole and right, or says what came, which limit it met, and whether bytes still moved."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rozaneh.lab import dnsmessage, processes
from rozaneh.lab.nodes import Node
from rozaneh.lab.services import blob
from rozaneh.lab.subjects import fetch, fetch_dns
from rozaneh.lab.subjects.fetch import Fetched, Meter

BODY = b"0123456789" * 1000
DIGEST = hashlib.sha256(BODY).hexdigest()


def _spawn(argv: Sequence[str], **options: Any) -> processes.Process:
    return processes.spawn(argv, env=dict(os.environ), **options)


HERE = cast("Node", SimpleNamespace(spawn=_spawn))


@contextmanager
def server(pieces: Sequence[bytes]) -> Iterator[str]:
    """A web server for one connection: sends the pieces of an answer, then waits until the test is over."""
    over = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            for piece in pieces:
                connection.sendall(piece)
            if not pieces or not pieces[-1].endswith(BODY):
                over.wait(30)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        over.set()
        thread.join(30)
        listener.close()


def head(size: int = len(BODY), status: str = "200 OK") -> bytes:
    """The head of an answer."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n".encode()


def curl(url: str, tmp_path: Path, meter: Meter) -> Fetched:
    """A fetch with curl on this machine's loopback."""
    authority = Path("/etc/ssl/certs/ca-certificates.crt")
    return fetch.curl(HERE, url, meter, authority=authority, errors=tmp_path / "errors")


def test_everything_came(tmp_path: Path) -> None:
    with server([head(), BODY]) as url:
        done = curl(url, tmp_path, Meter(DIGEST, len(BODY), 20, 20))
    assert (done.ok, done.received, done.error, done.still_moving) == (True, len(BODY), "", False)
    assert done.first_byte_s is not None
    assert 0 < done.first_byte_s <= done.seconds


def test_other_bytes_are_not_it(tmp_path: Path) -> None:
    with server([head(), BODY]) as url:
        done = curl(url, tmp_path, Meter("00" * 32, len(BODY), 20, 20))
    assert (done.ok, done.error) == (False, "other bytes than the site's")
    with server([head(), BODY]) as url:
        done = curl(url, tmp_path, Meter(DIGEST, 7, 20, 20))
    assert (done.ok, done.error) == (False, "10000 bytes instead of 7")


def test_a_refusal_is_told_in_curls_words(tmp_path: Path) -> None:
    with server([head(status="403 Forbidden"), BODY]) as url:
        done = curl(url, tmp_path, Meter(DIGEST, len(BODY), 20, 20))
    assert not done.ok
    assert done.error.startswith("curl: (22)")


def test_no_first_byte(tmp_path: Path) -> None:
    with server([]) as url:
        done = curl(url, tmp_path, Meter(DIGEST, len(BODY), 0.4, 20))
    assert (done.ok, done.received, done.first_byte_s, done.still_moving) == (False, 0, None, False)
    assert done.error == "no first byte in 0.4 s"
    assert done.seconds < 10


def test_bytes_that_still_move_at_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with server([head(), BODY[:500]]) as url:
        done = curl(url, tmp_path, Meter(DIGEST, len(BODY), 20, 0.8))
    assert (done.ok, done.received, done.still_moving) == (False, 500, True)
    assert done.error == "not whole in 0.8 s"
    monkeypatch.setattr(fetch, "MOVING_S", 0.0)
    with server([head(), BODY[:500]]) as url:
        assert curl(url, tmp_path, Meter(DIGEST, len(BODY), 20, 0.8)).still_moving is False


@pytest.mark.parametrize("bad", [b"", b"\0" * 11, b"\0" * 12, dnsmessage.write_query(1, "a.example")[:-3]])
def test_answers_that_are_none(bad: bytes) -> None:
    assert fetch_dns.read(bad) == (-1, [])


def test_the_sites_files_can_be_computed_by_anyone() -> None:
    small = blob.content("blocked-news.example", "64k.bin")
    assert len(small) == 65_536
    assert small[:32] == hashlib.sha256(b"blocked-news.example/64k.bin/0").digest()
    assert small[-32:] == hashlib.sha256(b"blocked-news.example/64k.bin/2047").digest()
    assert blob.digest("blocked-news.example", "64k.bin") == hashlib.sha256(small).hexdigest()
    assert len(blob.content("a", "1m.bin")) == 1_048_576
    assert blob.digest("a", "1m.bin") != blob.digest("b", "1m.bin")
