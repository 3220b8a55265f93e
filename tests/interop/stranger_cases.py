"""What strangers try who suspect a proxy, as data: credentials of every near-right kind, requests around CONNECT."""

from __future__ import annotations

import base64
import hashlib

from tests.interop.rig import ALICE, BOB
from tests.interop.visitor import Fields

NAIVE_PADDING = "!#$()+<>?@[]^`{}~~~~~~~~"
TARGET = "news.example:443"
CONNECT: Fields = [(":method", "CONNECT"), (":authority", TARGET)]
GET: Fields = [(":method", "GET"), (":authority", "cover.test"), (":scheme", "https"), (":path", "/")]
POST: Fields = [(":method", "POST"), *GET[1:]]


def b64(text: str | bytes) -> str:
    """Base64 with its padding."""
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


_RIGHT = b64(f"{ALICE.user}:{ALICE.password}")

#: Values of ``proxy-authorization`` that are nobody's. Every one must meet the cover.
WRONG: list[tuple[str, str]] = [
    ("wrong password", "Basic " + b64(f"{ALICE.user}:wrong")),
    ("unknown user", "Basic " + b64(f"mallory:{ALICE.password}")),
    ("nobody", "Basic " + b64("mallory:wrong")),
    ("swapped", "Basic " + b64(f"{ALICE.password}:{ALICE.user}")),
    ("another's password", "Basic " + b64(f"{ALICE.user}:{BOB.password}")),
    ("empty password", "Basic " + b64(f"{ALICE.user}:")),
    ("empty user", "Basic " + b64(f":{ALICE.password}")),
    ("empty both", "Basic " + b64(":")),
    ("no colon", "Basic " + b64(ALICE.user)),
    ("upper case user", "Basic " + b64(f"{ALICE.user.upper()}:{ALICE.password}")),
    ("upper case password", "Basic " + b64(f"{ALICE.user}:{ALICE.password.upper()}")),
    ("one byte less", "Basic " + b64(f"{ALICE.user}:{ALICE.password[:-1]}")),
    ("one byte more", "Basic " + b64(f"{ALICE.user}:{ALICE.password}x")),
    ("new line behind", "Basic " + b64(f"{ALICE.user}:{ALICE.password}\n")),
    ("zero behind", "Basic " + b64(f"{ALICE.user}:{ALICE.password}\0")),
    ("space in front", "Basic " + b64(f" {ALICE.user}:{ALICE.password}")),
    ("two colons", "Basic " + b64(f"{ALICE.user}::{ALICE.password}")),
    (
        "the stored digests",
        "Basic " + b64(":".join(hashlib.sha256(t.encode()).hexdigest() for t in (ALICE.user, ALICE.password))),
    ),
    (
        "the stored digests, raw",
        "Basic " + b64(b":".join(hashlib.sha256(t.encode()).digest() for t in (ALICE.user, ALICE.password))),
    ),
    ("the invite's name", "Basic " + b64(f"{ALICE.id}:{ALICE.password}")),
    ("not base64", "Basic !!!!"),
    ("base64 without padding", "Basic " + _RIGHT.rstrip("=") + ("" if _RIGHT.endswith("=") else "=")),
    ("base64 twice", "Basic " + b64(_RIGHT)),
    ("base64 swapped case", "Basic " + _RIGHT.swapcase()),
    ("one character missing", "Basic " + _RIGHT[:-1]),
    ("space inside", "Basic " + _RIGHT[:8] + " " + _RIGHT[8:]),
    ("too long", "Basic " + b64(f"{ALICE.user}:{ALICE.password}" + "x" * 2000)),
    ("scheme alone", "Basic"),
    ("scheme and space", "Basic "),
    ("no scheme", _RIGHT),
    ("another scheme", "Bearer " + _RIGHT),
    ("digest", f'Digest username="{ALICE.user}", realm="x", nonce="y", uri="/", response="z"'),
    ("tab for space", "Basic\t" + _RIGHT),
    ("not encoded", f"Basic {ALICE.user}:{ALICE.password}"),
    ("empty", ""),
]


def auth(value: str, name: str = "proxy-authorization") -> Fields:
    """One field."""
    return [(name, value)]


_PADDING: Fields = [("padding", NAIVE_PADDING)]
_NAIVE: Fields = [*_PADDING, ("padding-type-request", "1, 0")]
_NOBODY = auth(WRONG[2][1])
_GOOD = auth(ALICE.basic)
_UDP: Fields = [
    (":method", "CONNECT"),
    (":protocol", "connect-udp"),
    (":scheme", "https"),
    (":path", "/.well-known/masque/udp/192.0.2.6/443/"),
    (":authority", "cover.test"),
    ("capsule-protocol", "?1"),
]

#: Name, header fields, END_STREAM on them, DATA behind them.
H2_CASES: list[tuple[str, Fields, bool, bytes]] = [
    *((f"connect, {name}", [*CONNECT, *auth(value)], False, b"") for name, value in WRONG),
    *((f"naive connect, {name}", [*CONNECT, *auth(value), *_NAIVE], False, b"") for name, value in WRONG[:6]),
    ("get", GET, True, b""),
    ("get missing", [*GET[:3], (":path", "/missing")], True, b""),
    ("connect bare", CONNECT, False, b""),
    ("connect bare, ended", CONNECT, True, b""),
    (
        "connect, payload behind it",
        [*CONNECT, *_NOBODY, *_NAIVE, ("fastopen", "1")],
        False,
        b"\x00\x10\x05" + b"x" * 21,
    ),
    ("connect, much payload behind it", [*CONNECT, *_NOBODY], False, b"y" * 16_000),
    ("connect, padding only", [*CONNECT, *_PADDING], False, b""),
    ("connect, old padding", [*CONNECT, *_NOBODY, *_PADDING], False, b""),
    ("connect, padding of another type", [*CONNECT, *_NOBODY, *_PADDING, ("padding-type-request", "9")], False, b""),
    ("connect to the reserved name", [CONNECT[0], (":authority", "roster.rozaneh.invalid:443"), *_NOBODY], True, b""),
    ("reserved name, bare", [CONNECT[0], (":authority", "roster.rozaneh.invalid:443")], True, b""),
    ("get of the reserved name", [GET[0], (":authority", "roster.rozaneh.invalid"), *GET[2:]], True, b""),
    ("connect to loopback", [CONNECT[0], (":authority", "127.0.0.1:22"), *_NOBODY], False, b""),
    ("connect with a path", [*CONNECT, (":scheme", "https"), (":path", "/"), *_NOBODY], False, b""),
    ("connect without authority", [CONNECT[0], *_NOBODY], False, b""),
    ("connect-udp", _UDP, False, b""),
    ("connect-udp, nobody", [*_UDP, *_NOBODY], False, b""),
    ("connect-ip, good", [_UDP[0], (":protocol", "connect-ip"), *_UDP[2:], *_GOOD], False, b""),
    ("websocket, good", [_UDP[0], (":protocol", "websocket"), *_UDP[2:5], *_GOOD], False, b""),
    ("wrong, then right", [*CONNECT, *_NOBODY, *_GOOD], False, b""),
    ("right, in authorization", [*CONNECT, *auth(ALICE.basic, "authorization")], False, b""),
    ("right, in cookie", [*CONNECT, *auth(ALICE.basic, "cookie")], False, b""),
    ("right, on get", [*GET, *_GOOD], True, b""),
    ("right, on post", [*POST, *_GOOD], False, b"body"),
    ("right, on get with padding", [*GET, *_GOOD, *_NAIVE], True, b""),
    ("right, connect without port", [CONNECT[0], (":authority", "news.example"), *_GOOD], False, b""),
    ("right, connect with empty port", [CONNECT[0], (":authority", "news.example:"), *_GOOD], False, b""),
    ("right, connect with a large port", [CONNECT[0], (":authority", "news.example:65536"), *_GOOD], False, b""),
    ("right, connect without authority", [CONNECT[0], *_GOOD], False, b""),
    ("right, connect with a path", [*CONNECT, (":scheme", "https"), (":path", "/"), *_GOOD], False, b""),
    ("right, upper case name", [*CONNECT, ("Proxy-Authorization", ALICE.basic)], False, b""),
    ("right, lower case method", [(":method", "connect"), CONNECT[1], *_GOOD], False, b""),
    ("right, connection field", [*CONNECT, ("connection", "keep-alive"), *_GOOD], False, b""),
    ("right, pseudo field behind", [CONNECT[0], *_GOOD, CONNECT[1]], False, b""),
    ("right, two methods", [CONNECT[0], *CONNECT, *_GOOD], False, b""),
    ("right, udp without a target", [*_UDP[:3], (":path", "/"), *_UDP[4:], *_GOOD], False, b""),
    ("options", [(":method", "OPTIONS"), *GET[1:]], True, b""),
    ("trace", [(":method", "TRACE"), *GET[1:]], True, b""),
    ("head", [(":method", "HEAD"), *GET[1:]], True, b""),
]


def _h1(line: str, *fields: str) -> bytes:
    return "".join(f"{text}\r\n" for text in (line, *fields, "")).encode()


_HOST = f"Host: {TARGET}"
_RIGHT_H1 = f"Proxy-Authorization: {ALICE.basic}"

#: Name, bytes over TLS with HTTP/1.1 agreed on.
H1_CASES: list[tuple[str, bytes]] = [
    *(
        (f"connect, {name}", _h1(f"CONNECT {TARGET} HTTP/1.1", _HOST, f"Proxy-Authorization: {value}"))
        for name, value in WRONG[:8]
    ),
    ("right, connect", _h1(f"CONNECT {TARGET} HTTP/1.1", _HOST, _RIGHT_H1)),
    ("right, connect with padding", _h1(f"CONNECT {TARGET} HTTP/1.1", _HOST, _RIGHT_H1, f"Padding: {NAIVE_PADDING}")),
    ("right, connect 1.0", _h1(f"CONNECT {TARGET} HTTP/1.0", _RIGHT_H1)),
    ("right, get", _h1("GET / HTTP/1.1", "Host: cover.test", _RIGHT_H1)),
    ("right, absolute-form", _h1("GET http://news.example/ HTTP/1.1", "Host: news.example", _RIGHT_H1)),
    ("right, reserved", _h1("CONNECT roster.rozaneh.invalid:443 HTTP/1.1", "Host: roster.rozaneh.invalid", _RIGHT_H1)),
    ("right, authorization", _h1("GET / HTTP/1.1", "Host: cover.test", f"Authorization: {ALICE.basic}")),
    (
        "right, udp upgrade",
        _h1(
            "GET /.well-known/masque/udp/192.0.2.6/443/ HTTP/1.1",
            "Host: cover.test",
            "Connection: Upgrade",
            "Upgrade: connect-udp",
            "Capsule-Protocol: ?1",
            _RIGHT_H1,
        ),
    ),
    (
        "right, h2c upgrade",
        _h1("GET / HTTP/1.1", "Host: a", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", _RIGHT_H1),
    ),
    ("h2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ("socks5", b"\x05\x01\x00"),
    ("socks5 with password", b"\x05\x01\x02"),
    (
        "trojan",
        hashlib.sha224(ALICE.password.encode()).hexdigest().encode() + b"\r\n\x01\x01\x01\x02\x03\x04\x01\xbb\r\n",
    ),
    ("zeros", bytes(64)),
]
