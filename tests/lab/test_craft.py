"""Crafted packets are what kernels send: numbers, checksums, options; and wrong exactly where they are told to be."""

from __future__ import annotations

import struct

import pytest

from rozaneh.lab.craft import READER, READER6, SITE, SITE6, Connection, datagram, fragments
from rozaneh.lab.packet import ACK, FIN, PSH, RST, SYN, Packet, Tcp, checksum, parse, transport_checksum_good


def read(raw: bytes, outbound: bool = True) -> Packet:
    packet = parse(raw, outbound)
    assert packet is not None
    return packet


def tcp(raw: bytes) -> Tcp:
    header = read(raw).tcp
    assert header is not None
    return header


@pytest.mark.parametrize("timestamps", [False, True])
@pytest.mark.parametrize("v6", [False, True])
def test_a_connections_numbers_and_checksums(v6: bool, timestamps: bool) -> None:
    one = Connection(v6=v6, timestamps=timestamps, isn=2**32 - 1)
    packets = one.handshake()
    packets += [(one.data(b"abc"), True), (one.data(b"defgh", outbound=False), False), (one.ack(), True)]
    packets += [(one.fin(), True), (one.fin(outbound=False), False), (one.ack(), True)]
    heads = [tcp(raw) for raw, _ in packets]
    assert [(h.flags, h.seq, h.ack) for h in heads] == [
        (SYN, 2**32 - 1, 0),
        (SYN | ACK, 5_000, 0),
        (ACK, 0, 5_001),
        (PSH | ACK, 0, 5_001),
        (PSH | ACK, 5_001, 3),
        (ACK, 3, 5_006),
        (FIN | ACK, 3, 5_006),
        (FIN | ACK, 5_006, 4),
        (ACK, 4, 5_007),
    ]
    for raw, outbound in packets:
        packet = read(raw, outbound)
        assert transport_checksum_good(packet)
        assert v6 or checksum(raw[:20]) == 0
        assert (packet.inside, packet.outside) == ((READER6, SITE6) if v6 else (READER, SITE))
        assert packet.ip.ttl == (64 if outbound else 57)
    # RFC 7323: ten bytes and two of padding in every segment, once both sides have said so.
    assert tcp(packets[3][0]).data - read(packets[3][0]).ip.transport == (32 if timestamps else 20)
    mss = struct.unpack("!H", packets[0][0][(60 if v6 else 40) + 2 :][:2])[0]
    assert mss == (1_440 if v6 else 1_460)


def test_what_is_odd_on_purpose() -> None:
    one = Connection()
    one.syn()
    bad = one.data(b"abc", checksum="bad")
    assert not transport_checksum_good(read(bad))
    assert tcp(one.data(b"abc")).seq == 1_001  # a wrong one moves nothing: no kernel takes it
    assert tcp(one.data(b"late", at=10)).seq == 1_011
    assert tcp(one.data(b"next")).seq == 1_004
    assert read(one.data(b"x", ttl=3)).ip.ttl == 3
    assert tcp(one.data(b"x", flags=FIN | SYN | PSH | ACK)).flags == FIN | SYN | PSH | ACK
    assert tcp(one.rst()).flags == RST
    assert tcp(one.rst()).ack == 0
    assert tcp(one.rst(flags=RST | ACK, outbound=False)).flags == RST | ACK
    assert read(one.data(b"x", data_offset=15)).tcp is None  # points past the end
    assert tcp(one.data(b"x", ack=77)).ack == 77
    assert read(one.data(b"x", options=b"\x1b\x08sixbyt")).payload == b"x"
    assert tcp(one.syn(seq=9)).seq == 9
    assert tcp(one.syn(b"early")).seq == 9
    assert read(one.syn(b"early")).payload == b"early"


def test_a_client_outside() -> None:
    one = Connection(client=(SITE, 50_000), server=(READER, 80), outside_client=True)
    (syn, syn_out), (answer, answer_out), (ack, ack_out) = one.handshake()
    assert (syn_out, answer_out, ack_out) == (False, True, False)
    assert read(syn, False).inside == READER
    assert (tcp(syn).dport, tcp(answer).sport, tcp(ack).flags) == (80, 80, ACK)
    assert tcp(one.data(b"x", outbound=False)).dport == 80


@pytest.mark.parametrize("v6", [False, True])
def test_datagrams(v6: bool) -> None:
    out, back = read(datagram(b"q", v6=v6)), read(datagram(b"a", v6=v6, outbound=False), outbound=False)
    for packet in (out, back):
        assert transport_checksum_good(packet)
        assert (packet.inside, packet.outside) == ((READER6, SITE6) if v6 else (READER, SITE))
    assert out.flow_key() == back.flow_key()
    if not v6:
        unsummed = bytearray(out.raw)
        unsummed[26:28] = b"\0\0"
        assert transport_checksum_good(read(bytes(unsummed)))  # RFC 768: zero means none


@pytest.mark.parametrize("v6", [False, True])
def test_fragments_hold_the_whole(v6: bool) -> None:
    whole = datagram(bytes(range(250)) * 8, v6=v6)
    parts = [read(raw) for raw in fragments(whole, 1_000)]
    assert b"".join(part.raw[part.ip.transport : part.ip.end] for part in parts) == whole[40 if v6 else 20 :]
    assert {part.ip.ident for part in parts} == {4_242}
    if not v6:
        assert all(checksum(part.raw[:20]) == 0 for part in parts)
    for wrong in (4, 12):
        with pytest.raises(ValueError, match="eight"):
            fragments(whole, wrong)
