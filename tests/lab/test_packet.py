"""Packets are read without trusting them and written with checksums that are right."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from rozaneh.lab import packet as p
from tests.lab.crafted import READER, READER6, SITE, SITE6

A4, B4 = p.packed_address(READER), p.packed_address(SITE)
A6, B6 = p.packed_address(READER6), p.packed_address(SITE6)


def naive_checksum(data: bytes) -> int:
    """RFC 1071 word by word."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


@given(st.binary(max_size=200))
def test_checksum_is_the_sum_of_words(data: bytes) -> None:
    assert p.checksum(data) == naive_checksum(data)


def test_checksum_of_zeroes_and_of_ones() -> None:
    assert p.checksum(b"\0\0\0\0") == 0xFFFF
    assert p.checksum(b"\xff\xff") == 0
    # RFC 1071 section 3's own example.
    assert p.checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xDDF2 ^ 0xFFFF


@given(payload=st.binary(max_size=64), v6=st.booleans(), seq=st.integers(0, 2**32 - 1))
def test_tcp_packet_reads_back(payload: bytes, v6: bool, seq: int) -> None:
    src, dst = (A6, B6) if v6 else (A4, B4)
    raw = p.tcp_packet(src, dst, 1, 2, seq=seq, ack=7, flags=p.PSH | p.ACK, window=3, payload=payload, ttl=9)
    found = p.parse(raw, outbound=True)
    assert found is not None
    assert found.tcp == p.Tcp(1, 2, seq, 7, p.PSH | p.ACK, 3, found.ip.transport + 20)
    assert found.udp is None
    assert (found.payload, found.ip.src_bytes, found.ip.dst_bytes, found.ip.ttl) == (payload, src, dst, 9)
    # A receiver sums everything, checksum included, to zero.
    assert p.transport_checksum(src, dst, p.TCP, raw[found.ip.transport :]) == 0
    if not v6:
        assert naive_checksum(raw[:20]) == 0


def test_udp_packet_reads_back() -> None:
    for src, dst, text in ((A4, B4, READER), (A6, B6, READER6)):
        raw = p.udp_packet(src, dst, 53, 4_000, b"hello")
        found = p.parse(raw, outbound=False)
        assert found is not None
        assert found.udp is not None
        assert (found.udp.sport, found.udp.dport, found.payload, found.ip.src) == (53, 4_000, b"hello", text)
        assert p.transport_checksum(src, dst, p.UDP, raw[found.ip.transport :]) == 0xFFFF  # zero, as UDP writes it


@given(st.binary(max_size=120))
def test_no_bytes_raise(data: bytes) -> None:
    for start in (b"", b"\x45", b"\x60", b"\x4f"):
        found = p.parse(start + data, outbound=True)
        if found:
            _ = found.tcp, found.udp, found.payload, found.flow_key(), found.describe()


def test_every_truncation_is_refused_or_headerless() -> None:
    for raw in (
        p.tcp_packet(A4, B4, 1, 2, seq=1, payload=b"abc"),
        p.tcp_packet(A6, B6, 1, 2, seq=1, payload=b"abc"),
    ):
        for size in range(len(raw)):
            assert p.parse(raw[:size], outbound=True) is None  # the length field promises more
        assert p.parse(raw + b"ethernet padding", outbound=True).payload == b"abc"  # type: ignore[union-attr]


def test_later_fragments_have_no_transport_header() -> None:
    raw = bytearray(p.udp_packet(A4, B4, 1, 2, b"x" * 16))
    raw[6:8] = struct.pack("!H", 0x2000 | 3)  # more fragments, offset 24
    found = p.parse(bytes(raw), outbound=True)
    assert found is not None
    assert (found.udp, found.tcp, found.payload, found.flow_key()) == (None, None, b"", None)
    assert (found.ip.fragment_offset, found.ip.more_fragments) == (24, True)


def test_ipv6_extension_headers_are_walked() -> None:
    segment = p.tcp_packet(A6, B6, 1, 2, seq=1, payload=b"abc")[40:]
    hop_by_hop = bytes((60, 0)) + b"\1\4\0\0\0\0"
    destination = bytes((44, 1)) + b"\1\14" + b"\0" * 12
    fragment = bytes((6, 0)) + struct.pack("!HI", 0 | 1, 77)
    body = hop_by_hop + destination + fragment + segment
    raw = struct.pack("!IHBB", 0x6000_0000, len(body), 0, 64) + A6 + B6 + body
    found = p.parse(raw, outbound=True)
    assert found is not None
    assert found.tcp is not None
    assert (found.payload, found.ip.ident, found.ip.more_fragments) == (b"abc", 77, True)


def test_both_directions_have_one_flow_key() -> None:
    for src, dst in ((A4, B4), (A6, B6)):
        out = p.parse(p.tcp_packet(src, dst, 1_000, 443, seq=1), outbound=True)
        back = p.parse(p.tcp_packet(dst, src, 443, 1_000, seq=1), outbound=False)
        other = p.parse(p.tcp_packet(src, dst, 1_001, 443, seq=1), outbound=True)
        assert out
        assert back
        assert other
        assert out.flow_key() == back.flow_key() != other.flow_key()


@given(st.integers(2, 255), st.integers(0, 65_535))
def test_one_hop_less_keeps_the_checksum_right(ttl: int, ident: int) -> None:
    frame = bytearray(b"\0" * 14 + p.ip_packet(A4, B4, 99, b"", ttl=ttl, ident=ident))
    assert p.one_hop_less(frame, 14)
    assert frame[14 + 8] == ttl - 1
    assert naive_checksum(bytes(frame[14:34])) == 0


def test_one_hop_less_keeps_a_wrong_checksum_wrong() -> None:
    frame = bytearray(p.ip_packet(A4, B4, 99, b""))
    frame[10] ^= 0x40
    assert p.one_hop_less(frame, 0)
    assert naive_checksum(bytes(frame[:20])) != 0


def test_the_last_hop_ends_a_packet() -> None:
    for src, dst in ((A4, B4), (A6, B6)):
        for ttl in (0, 1):
            assert not p.one_hop_less(bytearray(p.ip_packet(src, dst, 99, b"", ttl=ttl)), 0)
