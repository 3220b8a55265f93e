"""What a prober asks inside a finished TLS connection: oddities of HTTP/1 and HTTP/2, and requests for a proxy.

Field names of proxies are among them on purpose: a server that is one must answer them as its cover does.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator, Sequence
from random import Random

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _PRIORITY, _RST, _SETTINGS, _PUSH, _PING, _GOAWAY, _WINDOW, _CONTINUATION = range(10)
_END_STREAM, _END_HEADERS = 1, 4
_CREDENTIALS = "Basic " + base64.b64encode(b"reader:wrong").decode()
_TARGET = "news.example:443"

_METHODS = (
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "PATCH",
    "CONNECT",
    "PRI",
    "get",
    "G\x00T",
    "X" * 40,
)
_PATHS = (
    "/",
    "/index.html",
    "/missing",
    "/dir",
    "/dir/",
    "//",
    "/../etc/passwd",
    "/%2e%2e/x",
    "/%00",
    "/a?b=c#d",
    "*",
    "",
    "index.html",
    "http://other.example/",
    "https://cover.example/index.html",
    "/" + "a" * 2_000,
    "/" + "a" * 9_000,
    "/.well-known/masque/udp/192.0.2.6/443/",
    "/é",
)
_FIELDS: tuple[tuple[str, ...], ...] = (
    (),
    ("Host: other.example",),
    ("Host: a.example", "Host: b.example"),
    ("Host:",),
    ("Connection: close",),
    (
        "Connection: upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    ),
    ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"),
    ("Expect: 100-continue", "Content-Length: 5"),
    ("Transfer-Encoding: chunked",),
    ("Transfer-Encoding: chunked", "Content-Length: 3"),
    ("Content-Length: -1",),
    ("Content-Length: 99999999999999999999",),
    ("Range: bytes=0-3",),
    ("Range: bytes=5-2",),
    ("Accept-Encoding: gzip, br",),
    ("If-Modified-Since: Sat, 01 Jan 2050 00:00:00 GMT",),
    ("If-None-Match: *",),
    (f"Proxy-Authorization: {_CREDENTIALS}",),
    (f"Authorization: {_CREDENTIALS}",),
    ("Padding: !#$()+<>?@[]^`{}~~~~", "Padding-Type-Request: 1, 0"),
    ("Cookie: " + "a" * 3_000,),
    ("X: " + "b" * 20_000,),
    (" folded",),
    ("No colon here",),
    ("Bad\x00name: x",),
    *((f"X-{n}: y",) * n for n in (20, 120)),
)
_RAW: tuple[bytes, ...] = (
    b"\r\n\r\n",
    b"\r\n" * 20 + b"GET / HTTP/1.0\r\n\r\n",
    b"GET /\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET / HTTP/1.1\n\n",
    b"GET  /  HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /missing HTTP/1.1\r\nHost: x\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\n",
    b"\x05\x01\x00",
    b"\x05\x02\x00\x02",
    b"\x04\x01\x00\x50\x00\x00\x00\x01a\x00a\x00",
    b"\x00" * 26,
    b"\x00" + b"\x11" * 16 + b"\x00\x01\x01\xbb\x02\x0cnews.example",
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"EHLO x\r\n",
    b"\x16\x03\x01\x00\x05hello",
    b"{}",
    b"\xff" * 300,
)


def http1(host: str) -> Iterator[tuple[str, bytes]]:
    """Requests of HTTP/1, right and odd."""
    for method in _METHODS:
        target = _TARGET if method == "CONNECT" else "/"
        for version in ("HTTP/1.1", "HTTP/1.0"):
            yield f"{method[:8]!r} {version}", _request(method, target, host, (), version)
    for path in _PATHS:
        yield f"GET {path[:40]!r} of {len(path)}", _request("GET", path, host)
    for number, fields in enumerate(_FIELDS):
        yield (
            f"GET fields {number}",
            _request("GET", "/", "" if fields and fields[0].startswith("Host") else host, fields),
        )
        yield f"POST fields {number}", _request("POST", "/", host, fields, body=b"3\r\nabc\r\n0\r\n\r\n")
        yield f"CONNECT fields {number}", _request("CONNECT", _TARGET, host, fields)
    for number, text in enumerate(_RAW):
        yield f"bytes {number}", text


def _request(
    method: str, path: str, host: str, fields: Sequence[str] = (), version: str = "HTTP/1.1", body: bytes = b""
) -> bytes:
    lines = [f"{method} {path} {version}", *([f"Host: {host}"] if host else []), *fields]
    return "\r\n".join(lines).encode("utf-8") + b"\r\n\r\n" + body


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame of HTTP/2 (RFC 9113 section 4.1)."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + struct.pack("!I", stream) + payload


def block(fields: Sequence[tuple[str, str]]) -> bytes:
    """A header block of literal fields without indexing, no Huffman code (RFC 7541 section 6.2.2)."""
    return b"".join(b"\0" + _text(name) + _text(value) for name, value in fields)


def _text(text: str) -> bytes:
    data = text.encode("utf-8")
    if len(data) < 127:
        return bytes([len(data)]) + data
    rest, head = len(data) - 127, bytearray([127])
    while rest >= 128:
        head.append(rest % 128 + 128)
        rest //= 128
    return bytes(head) + bytes([rest]) + data


def http2(host: str, rng: Random) -> Iterator[tuple[str, bytes]]:
    """Openings of HTTP/2, right and odd, and requests for a proxy in every near-right form."""
    hello = PREFACE + frame(_SETTINGS, 0, 0)
    get = [(":method", "GET"), (":authority", host), (":scheme", "https"), (":path", "/")]
    connect = [(":method", "CONNECT"), (":authority", _TARGET)]
    wrong = [("proxy-authorization", _CREDENTIALS)]
    padding = [("padding", "!#$()+<>?@[]^`{}~~~~~~"), ("padding-type-request", "1, 0")]
    udp = [
        (":method", "CONNECT"),
        (":protocol", "connect-udp"),
        (":scheme", "https"),
        (":path", "/.well-known/masque/udp/192.0.2.6/443/"),
        (":authority", host),
        ("capsule-protocol", "?1"),
    ]
    asked: dict[str, list[tuple[str, str]]] = {
        "get": get,
        "get missing": [*get[:3], (":path", "/missing")],
        "get directory": [*get[:3], (":path", "/dir")],
        "get other authority": [get[0], (":authority", "other.example"), *get[2:]],
        "head": [(":method", "HEAD"), *get[1:]],
        "post": [(":method", "POST"), *get[1:]],
        "options": [(":method", "OPTIONS"), *get[1:]],
        "trace": [(":method", "TRACE"), *get[1:]],
        "connect": connect,
        "connect, credentials": [*connect, *wrong],
        "connect, credentials and padding": [*connect, *wrong, *padding],
        "connect, padding": [*connect, *padding],
        "connect, reserved name": [connect[0], (":authority", "roster.rozaneh.invalid:443"), *wrong],
        "connect, no authority": [connect[0], *wrong],
        "connect, path": [*connect, (":scheme", "https"), (":path", "/"), *wrong],
        "connect, loopback": [connect[0], (":authority", "127.0.0.1:22"), *wrong],
        "connect-udp": udp,
        "connect-udp, credentials": [*udp, *wrong],
        "connect-ip": [udp[0], (":protocol", "connect-ip"), *udp[2:], *wrong],
        "websocket": [udp[0], (":protocol", "websocket"), *udp[2:5]],
        "get, credentials": [*get, *wrong],
        "get, upper case": [*get, ("X-Upper", "x")],
        "get, connection field": [*get, ("connection", "close")],
        "get, te": [*get, ("te", "gzip")],
        "get, host differs": [*get, ("host", "other.example")],
        "get, late pseudo field": [*get[:3], ("a", "b"), get[3]],
        "get, two paths": [*get, (":path", "/x")],
        "get, no path": get[:3],
        "get, empty path": [*get[:3], (":path", "")],
        "get, large": [*get, ("x", "y" * 15_000)],
        "get, content-length": [*get, ("content-length", "5")],
        "lower case method": [(":method", "connect"), connect[1], *wrong],
        "nothing": [],
    }
    for name, fields in asked.items():
        for ended in (True, False):
            flags = _END_HEADERS | (_END_STREAM if ended else 0)
            yield f"{name}{'' if ended else ', open'}", hello + frame(_HEADERS, flags, 1, block(fields))
    yield (
        "connect, payload behind it",
        hello + frame(_HEADERS, _END_HEADERS, 1, block([*connect, *wrong])) + frame(_DATA, 0, 1, rng.randbytes(1_200)),
    )
    yield "preface alone", PREFACE
    yield "half a preface", PREFACE[:13]
    yield "settings alone", hello
    yield "frame before settings", PREFACE + frame(_PING, 0, 0, b"12345678")
    for kind in range(12):
        for length in (0, 1, 8):
            yield f"frame {kind} of {length}", hello + frame(kind, 0, 1, rng.randbytes(length))
    for stream in (0, 2, 3, 0x7FFF_FFFF):
        yield f"headers on {stream}", hello + frame(_HEADERS, 5, stream, block(get))
    for identifier, value in (
        (1, 0),
        (2, 2),
        (3, 0),
        (4, 0xFFFF_FFFF),
        (5, 1),
        (5, 0xFFFF_FFFF),
        (8, 1),
        (9, 1),
        (0x7777, 7),
    ):
        settings = struct.pack("!HI", identifier, value)
        yield (
            f"setting {identifier} = {value}",
            PREFACE + frame(_SETTINGS, 0, 0, settings) + frame(_HEADERS, 5, 1, block(get)),
        )
    yield "a frame too large", hello + frame(_DATA, 0, 1, bytes(16_385))
    yield "goaway", hello + frame(_GOAWAY, 0, 0, bytes(8))
    yield "reset", hello + frame(_HEADERS, 5, 1, block(get)) + frame(_RST, 0, 1, bytes(4))
    yield "window of nought", hello + frame(_WINDOW, 0, 0, bytes(4))
    yield "junk block", hello + frame(_HEADERS, 5, 1, rng.randbytes(60))
    yield "continuation missing", hello + frame(_HEADERS, 1, 1, block(get))
    yield "ping", hello + frame(_PING, 0, 0, rng.randbytes(8))
    yield "many pings", hello + b"".join(frame(_PING, 0, 0, rng.randbytes(8)) for _ in range(300))
    yield (
        "many resets",
        hello
        + b"".join(frame(_HEADERS, 5, 2 * n + 1, block(get)) + frame(_RST, 0, 2 * n + 1, bytes(4)) for n in range(60)),
    )
    yield "http/1 in h2", _request("GET", "/", host)
