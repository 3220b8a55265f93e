"""A stranger at an edge with accounts learns what a stranger learns at the same listener without any: the cover.

Two edges differ in nothing but their accounts. Everything is said to both, and every byte and frame that comes back
is compared, ``Date`` excepted. The time it takes is compared in ``test_stranger_time.py``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hyperframe.frame import DataFrame

from tests.interop import cover_cases, stranger_cases
from tests.interop.rig import ALICE, BOB, Account, Running, edge_document, make_identity
from tests.interop.stranger_cases import CONNECT, H1_CASES, H2_CASES, WRONG, auth
from tests.interop.visitor import PREFACE, H2Visitor, Seen, client_hello, h1_visit, raw_visit, records

#: What no answer to a stranger may hold: a challenge, a distinct status, or any word of ours.
FORBIDDEN = ("proxy-authenticate", "proxy-status", "407", "rozaneh", "padding", "capsule", "rustls", "hyper/", "tokio")


@dataclass
class Twins:
    """``known`` has accounts, ``bare`` has none."""

    known: Running
    bare: Running


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twins]:
    """Both edges with one certificate (RSA: its signatures have one length) and one directory as their cover."""
    base = tmp_path_factory.mktemp("twins")
    cover_cases.build_site(base / "site")
    identity = make_identity(base, kind="rsa")
    cover = {"type": "directory", "path": str(base / "site")}
    more = [Account(f"inv_{n}", f"user-{n}", f"password-{n}") for n in range(50)]
    with (
        Running(edge_document(identity, users=[ALICE, BOB, *more], cover=cover)) as known,
        Running(edge_document(identity, users=[], cover=cover)) as bare,
    ):
        yield Twins(known, bare)


def clean(text: str) -> None:
    """Fails where an answer shows what it must not."""
    for word in FORBIDDEN:
        # A 407 in a length or an ETag would be chance; as a status it never is.
        if word == "407":
            assert "':status', '407'" not in text
            assert "http/1.1 407" not in text
        else:
            assert word not in text, word


def converse(place: tuple[str, int], fields: list[tuple[str, str]], end: bool, data: bytes, *, tls12: bool) -> Seen:
    """One request and everything it brings."""
    with H2Visitor(place, tls12=tls12) as visitor:
        # The server's own first frames come before anything was asked.
        visitor.settle(b"greeting")
        message = visitor.headers(fields, end=end)
        if data:
            message += DataFrame(1, data).serialize()
        visitor.send(message)
        visitor.answered()
        visitor.settle()
        return visitor.leave()


def same(known: Seen, bare: Seen) -> None:
    """Two conversations of one content, byte for byte where their seconds were the same."""
    assert known.frames == bare.frames
    assert known.end == bare.end
    for (dates, block), (others, other) in zip(known.blocks, bare.blocks, strict=True):
        if dates == others:
            assert block == other


@pytest.mark.parametrize("tls12", [False, True], ids=["tls1.3", "tls1.2"])
@pytest.mark.parametrize(("name", "fields", "end", "data"), H2_CASES, ids=[case[0] for case in H2_CASES])
def test_h2(twins: Twins, name: str, fields: list[tuple[str, str]], end: bool, data: bytes, tls12: bool) -> None:
    bare = converse(twins.bare.place, fields, end, data, tls12=tls12)
    known = converse(twins.known.place, fields, end, data, tls12=tls12)
    assert bare.frames, name
    same(known, bare)
    clean(known.text())


def test_right_credentials_over_tls_1_2_are_a_strangers(twins: Twins) -> None:
    fields = [*CONNECT, *auth(ALICE.basic)]
    bare = converse(twins.bare.place, fields, False, b"", tls12=True)
    known = converse(twins.known.place, fields, False, b"", tls12=True)
    same(known, bare)
    assert known.status() == "400"


def test_the_comparison_sees_a_difference(twins: Twins) -> None:
    """The same credentials over TLS 1.3 do open the door at the one edge and not at the other."""
    fields = [CONNECT[0], (":authority", "roster.rozaneh.invalid:443"), *auth(ALICE.basic)]
    bare = converse(twins.bare.place, fields, True, b"", tls12=False)
    known = converse(twins.known.place, fields, True, b"", tls12=False)
    assert (known.status(), bare.status()) == ("200", "400")
    with pytest.raises(AssertionError):
        same(known, bare)
    # The second SETTINGS frame is what only a guest sees.
    assert [f[0] for f in known.frames].count("SettingsFrame") == [f[0] for f in bare.frames].count("SettingsFrame") + 1


@pytest.mark.parametrize("tls12", [False, True], ids=["tls1.3", "tls1.2"])
@pytest.mark.parametrize(("name", "data"), H1_CASES, ids=[case[0] for case in H1_CASES])
def test_h1(twins: Twins, name: str, data: bytes, tls12: bool) -> None:
    known, bare = h1_visit(twins.known.place, data, tls12=tls12), h1_visit(twins.bare.place, data, tls12=tls12)
    assert known == bare, name
    clean(known[0].decode("latin-1").lower())


def test_the_covers_own_table(twins: Twins) -> None:
    """Every conversation that the cover was compared with nginx by, once more at the two edges."""
    for name, data in cover_cases.CASES:
        assert h1_visit(twins.known.place, data) == h1_visit(twins.bare.place, data), name


def test_the_first_settings_are_the_covers(twins: Twins) -> None:
    """nginx's SETTINGS, setting by setting, and nothing that says CONNECT is served here."""
    for running in (twins.known, twins.bare):
        with H2Visitor(running.place) as visitor:
            visitor.settle()
            first, second = visitor.seen.frames[:2]
            assert first[0] == "SettingsFrame"
            assert first[3] == bytes.fromhex("000300000080000400010000000500ffffff")
            assert second[0] == "WindowUpdateFrame"
            assert second[3] == (0x7FFF_FFFF - 65_535).to_bytes(4, "big")
            visitor.leave()


def test_many_tries_on_one_connection(twins: Twins) -> None:
    """A prober that goes through its list on one connection sees one habit."""
    seen = []
    for running in (twins.known, twins.bare):
        with H2Visitor(running.place) as visitor:
            visitor.settle(b"greeting")
            for number, (_, value) in enumerate(WRONG):
                visitor.send(visitor.headers([*CONNECT, *auth(value)], stream=2 * number + 1))
                assert visitor.answered(2 * number + 1)
                visitor.settle()
            seen.append(visitor.leave())
    same(*seen)


RAW = [
    ("nothing", b""),
    ("plain get", b"GET / HTTP/1.1\r\nHost: cover.test\r\n\r\n"),
    ("plain get 1.0", b"GET / HTTP/1.0\r\n\r\n"),
    ("plain connect", b"CONNECT news.example:443 HTTP/1.1\r\nHost: news.example:443\r\n\r\n"),
    (
        "plain connect, right",
        f"CONNECT a:443 HTTP/1.1\r\nHost: a\r\nProxy-Authorization: {ALICE.basic}\r\n\r\n".encode(),
    ),
    ("plain h2 preface", PREFACE),
    ("ssh", b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"),
    ("socks5", b"\x05\x01\x00"),
    ("socks4", b"\x04\x01\x00\x50\x01\x02\x03\x04\x00"),
    ("one byte", b"\x16"),
    ("half a record", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32)),
    ("record header", b"\x16\x03\x01\x02\x00"),
    ("empty record", b"\x16\x03\x01\x00\x00"),
    ("record too long", b"\x16\x03\x01\xff\xff" + bytes(200)),
    ("alert first", b"\x15\x03\x01\x00\x02\x02\x28"),
    ("data first", b"\x17\x03\x03\x00\x10" + bytes(16)),
    ("sslv2 hello", bytes.fromhex("802e0100020015000000100100800300800700c0060040020080040080") + bytes(18)),
    ("high bytes", bytes(range(128, 256))),
    ("zeros", bytes(221)),
    ("rdp", bytes.fromhex("030000130ee000000000000100080003000000")),
    ("smtp", b"EHLO example.com\r\n"),
    ("random 50", bytes((i * 197 + 89) & 0xFF for i in range(50))),
    ("random 1500", bytes((i * 151 + 7) & 0xFF for i in range(1500))),
    ("hello cut short", client_hello()[:-7]),
    ("hello in two records", client_hello()[:60]),
]


@pytest.mark.parametrize(("name", "data"), RAW, ids=[case[0] for case in RAW])
def test_raw(twins: Twins, name: str, data: bytes) -> None:
    known, bare = raw_visit(twins.known.place, data), raw_visit(twins.bare.place, data)
    clean(known[0].decode("latin-1").lower())
    # Dates stand in plain HTTP answers only.
    strip = [
        b"\r\n".join(line for line in side[0].split(b"\r\n") if not line.startswith(b"Date: "))
        for side in (known, bare)
    ]
    assert (strip[0], known[1]) == (strip[1], bare[1]), name


@pytest.mark.parametrize(
    "hello",
    [
        client_hello(),
        client_hello(h2=False),
        client_hello(tls12=True),
        client_hello(name="other.example"),
        client_hello(alpn=["spdy/1"]),
        client_hello(alpn=["spdy/1", "http/1.1", "h2"]),
        client_hello()[:43] + b"\x00" + client_hello()[44:],
    ],
    ids=["h2", "h1", "tls1.2", "other name", "unknown protocol", "one of three protocols", "broken"],
)
def test_a_hello_and_no_more(twins: Twins, hello: bytes) -> None:
    """The server's flight has the same records; their content is encrypted under fresh keys."""
    known, bare = raw_visit(twins.known.place, hello), raw_visit(twins.bare.place, hello)
    assert records(known[0])
    assert (records(known[0]), known[1]) == (records(bare[0]), bare[1])


H2_RAW = [
    ("no preface", b""),
    ("half a preface", PREFACE[:10]),
    ("wrong preface", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("right, http/1.1 over h2", f"CONNECT a:1 HTTP/1.1\r\nProxy-Authorization: {ALICE.basic}\r\n\r\n".encode()),
    ("preface alone", PREFACE),
    ("preface and a data frame", PREFACE + bytes.fromhex("000000040000000000") + bytes.fromhex("00000100000000000100")),
    ("preface and an enormous frame", PREFACE + bytes.fromhex("ffffff000000000001")),
    ("extended connect announced", PREFACE + bytes.fromhex("000006040000000000000800000001")),
]


@pytest.mark.parametrize(("name", "data"), H2_RAW, ids=[case[0] for case in H2_RAW])
def test_h2_bytes(twins: Twins, name: str, data: bytes) -> None:
    """Bytes that are no HTTP/2, where HTTP/2 was agreed on."""
    seen = []
    for running in (twins.known, twins.bare):
        visitor = H2Visitor.__new__(H2Visitor)
        visitor.open(running.place)
        with visitor:
            if data:
                visitor.send(data)
            seen.append(visitor.leave())
    same(*seen)


def test_there_are_enough() -> None:
    names = {case[0] for case in (*H2_CASES, *H1_CASES, *RAW, *H2_RAW)}
    assert len(names) >= 60
    assert len(stranger_cases.WRONG) >= 30


def test_nothing_of_ours_in_the_covers_pages(tmp_path: Path) -> None:
    """The stock page too: no word of ours in anything a fresh edge shows."""
    identity = make_identity(tmp_path)
    os.utime(identity.key, (cover_cases.MTIME, cover_cases.MTIME))
    with Running(edge_document(identity, users=[ALICE])) as edge:
        for path in (b"/", b"/missing", b"/%00", b"/..%2f"):
            answer, _ = h1_visit(edge.place, cover_cases.get(path))
            assert b"Server: nginx" in answer
            clean(answer.decode("latin-1").lower())
