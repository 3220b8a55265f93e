"""Reading request heads as censors do: whole, cut, strange, and never raising."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rozaneh.lab.codec.clienthello import MORE
from rozaneh.lab.codec.httprequest import Request, parse

HEAD = b"GET /a?b HTTP/1.1\r\nUser-Agent: x\r\nHost: News.Example:8080\r\nAccept: */*\r\n\r\nbody"


def test_a_whole_head() -> None:
    found = parse(HEAD)
    assert found == Request("GET", "/a?b", "HTTP/1.1", "news.example", whole=True)
    assert found.path == "/a?b"


def test_every_beginning_of_a_head() -> None:
    line, host = HEAD.index(b"\r\n") + 2, HEAD.index(b"Accept")
    for size in range(len(HEAD)):
        found = parse(HEAD[:size])
        if size < line:
            assert found is MORE, size
        else:
            assert isinstance(found, Request)
            assert found.whole is (size >= len(HEAD) - 4)
            assert found.host == ("news.example" if size >= host else None)


@pytest.mark.parametrize(
    ("given_host", "host"),
    [
        (b"Host: a.example", "a.example"),
        (b"host:a.example", "a.example"),
        (b"Host: [2001:db8::1]:80", "2001:db8::1"),
        (b"Host: a.example:x", "a.example:x"),
        (b"Hostess: a.example", None),
        (b"X: y\r\nHost: first.example\r\nHost: second.example", "first.example"),
    ],
)
def test_hosts(given_host: bytes, host: str | None) -> None:
    found = parse(b"GET / HTTP/1.1\r\n" + given_host + b"\r\n\r\n")
    assert isinstance(found, Request)
    assert found.host == host


@pytest.mark.parametrize(
    "data",
    [
        b"get / HTTP/1.1\r\n",
        b"GETX",
        b"GET/ HTTP/1.1\r\n\r\n",
        b"GET /\r\n",
        b"GET / FTP/1\r\n",
        b"\x16\x03\x01",
        b"GET  \r\n",
    ],
)
def test_what_is_no_request(data: bytes) -> None:
    assert parse(data) is None


def test_arguments() -> None:
    assert isinstance(parse(b"gET / HTTP/1.1\r\n\r\n", any_case=True), Request)
    assert parse(HEAD, methods=("POST",)) is None
    assert isinstance(parse(b"GET / ICY/1\r\n\r\n", version="ICY/"), Request)
    assert parse(b"GET " + b"x" * 20_000) is None


def test_the_path_of_an_absolute_target() -> None:
    found = parse(b"GET http://news.example/a/b HTTP/1.1\r\n\r\n")
    assert isinstance(found, Request)
    assert found.path == "/a/b"
    assert Request("GET", "http://news.example", "HTTP/1.1", None, whole=True).path == "/"


@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise(data: bytes) -> None:
    parse(data)
    parse(b"GET / HTTP/1.1\r\n" + data, any_case=True)
