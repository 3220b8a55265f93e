"""Features of first bytes, counted by hand."""

from __future__ import annotations

import pytest

from rozaneh.lab.codec import classify
from rozaneh.lab.codec import quicbuild as build
from rozaneh.lab.codec.pieces import MAX_PIECES, Pieces
from rozaneh.lab.codec.udpkind import kind
from rozaneh.lab.dnsmessage import write_query


@pytest.mark.parametrize(
    ("data", "bits", "share", "run", "prefix"),
    [
        (b"", 0.0, 0.0, 0, 0),
        (b"\xff", 8.0, 0.0, 0, 0),
        (b"\x0f\x00", 2.0, 0.0, 0, 0),
        (b"a\x1fbc\x7f", (3 + 5 + 3 + 4 + 7) / 5, 0.6, 2, 1),
        (b" ~", (1 + 6) / 2, 1.0, 2, 2),
        (b"\x80abc\x80abcd", None, 7 / 9, 4, 0),
    ],
)
def test_features(data: bytes, bits: float | None, share: float, run: int, prefix: int) -> None:
    assert bits is None or classify.popcount(data) == pytest.approx(bits)
    assert classify.printable_fraction(data) == pytest.approx(share)
    assert classify.printable_run(data) == run
    assert classify.printable_prefix(data) == prefix


@pytest.mark.parametrize(
    ("data", "bits"), [(b"", 0.0), (b"aaaa", 0.0), (b"abab", 1.0), (b"abcd" * 9, 2.0), (bytes(range(256)), 8.0)]
)
def test_entropy(data: bytes, bits: float) -> None:
    assert classify.entropy(data) == pytest.approx(bits)


@pytest.mark.parametrize(
    ("payload", "port", "expected"),
    [
        (write_query(1, "a.example"), 53, "dns"),
        (write_query(1, "a.example"), 54, ""),
        (b"\x23" + bytes(47), 123, "ntp"),
        (b"\x23" + bytes(46), 123, ""),
        (b"\0\x01\0\0\x21\x12\xa4\x42" + bytes(12), 3_478, "stun"),
        (b"\x01\0\0\0" + bytes(144), 51_820, "wireguard"),
        (b"\x01\0\0\0" + bytes(145), 51_820, ""),
        (b"\x16\xfe\xff" + bytes(30), 443, "dtls"),
        (build.initial(b"\x01", dcid=b"12345678"), 443, "quic"),
        (b"\x38" + bytes(13), 1_194, "openvpn"),
        (bytes(range(100, 140)), 443, ""),
        (b"", 443, ""),
    ],
)
def test_udp_protocols_by_their_first_bytes(payload: bytes, port: int, expected: str) -> None:
    assert kind(payload, port) == expected


def test_pieces_in_any_order() -> None:
    stream = Pieces()
    stream.add(4, b"efgh")
    assert stream.data == b""
    stream.add(2, b"cdXX")
    stream.add(0, b"ab")
    assert stream.data == b"abcdXXgh"  # of two readings the one that could be read first stays
    stream.add(3, b"ZZZZZij")
    assert stream.data == b"abcdXXghij"


def test_pieces_are_bounded() -> None:
    stream = Pieces(limit=100)
    stream.add(90, bytes(11))
    stream.add(0, bytes(50))
    assert len(stream.data) == 50
    crowded = Pieces()
    for offset in range(10, MAX_PIECES + 30):
        crowded.add(offset, b"x")
    crowded.add(0, bytes(10))
    assert len(crowded.data) == 10 + MAX_PIECES
    strict = Pieces(in_order=True)
    strict.add(2, b"c")
    strict.add(0, b"ab")
    assert strict.data == b"ab"
