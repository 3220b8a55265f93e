"""VPN protocols: recognised by their first message, cut off by their data, and nothing else mistaken for them."""

from __future__ import annotations

import struct
from random import Random
from typing import Any

import pytest

from rozaneh.lab import craft
from rozaneh.lab.codec import quicbuild, vpn
from rozaneh.lab.packet import ip_packet, packed_address
from tests.lab.censors.boxes import Box, connection

SESSION = bytes(range(1, 9))


def wireguard(kind: int, size: int) -> bytes:
    return bytes((kind, 0, 0, 0)) + bytes(range(256))[: size - 4] + bytes(max(0, size - 260))


OPENVPN_HELLO = b"\x38" + SESSION + bytes(5)
OPENVPN_REPLY = b"\x40" + SESSION + b"\x01" + bytes(4) + SESSION + bytes(4)
OPENVPN_DATA = b"\x48\0\0\0" + bytes(100)


def ike(exchange: int, *, responder: bytes = bytes(8), body: int = 200) -> bytes:
    return SESSION + responder + bytes((33, 0x20, exchange, 8)) + bytes(4) + struct.pack("!I", 28 + body) + bytes(body)


def udp(box: Box, payload: bytes, *, port: int = 51_820, outbound: bool = True, v6: bool = False) -> bool:
    server = (craft.SITE6 if v6 else craft.SITE, port)
    raw = craft.datagram(payload, server=server, v6=v6, outbound=outbound)
    return box.send(raw, outbound).forward == raw


@pytest.mark.parametrize("v6", [False, True])
def test_wireguard_gets_two_data_packets_after_its_handshake(v6: bool) -> None:
    box = Box("vpn_protocol")
    assert udp(box, wireguard(1, 148), v6=v6)
    assert udp(box, wireguard(2, 92), outbound=False, v6=v6)
    results = [udp(box, wireguard(4, 32 + 16 * turn), outbound=turn % 2 == 0, v6=v6) for turn in range(6)]
    assert results == [True, True, False, False, False, False]
    assert not udp(box, wireguard(1, 148), v6=v6)  # and the next handshake of this flow


@pytest.mark.parametrize("v6", [False, True])
def test_openvpn_gets_fifteen_data_packets(v6: bool) -> None:
    box = Box("vpn_protocol")
    assert udp(box, OPENVPN_HELLO, port=1_194, v6=v6)
    assert udp(box, OPENVPN_REPLY, port=1_194, outbound=False, v6=v6)
    assert all(udp(box, b"\x20" + SESSION + bytes(40), port=1_194, v6=v6) for _ in range(30))  # control does not count
    assert sum(udp(box, OPENVPN_DATA, port=1_194, outbound=turn % 2 == 0, v6=v6) for turn in range(40)) == 15


def test_openvpn_over_tcp_is_counted_too() -> None:
    box, one = Box("vpn_protocol"), connection(port=443)
    box.shake(one)

    def framed(message: bytes) -> bytes:
        return len(message).to_bytes(2, "big") + message

    assert box.out(one.data(framed(OPENVPN_HELLO)))
    assert box.back(one.data(framed(OPENVPN_REPLY), outbound=False))
    assert sum(box.out(one.data(framed(OPENVPN_DATA))) for _ in range(40)) == 15


def test_without_the_servers_part_nothing_is_cut_off_unless_told() -> None:
    for needs_reply, passes in ((True, True), (False, False)):
        box = Box("vpn_protocol", needs_reply=needs_reply)
        udp(box, wireguard(1, 148))
        assert all([udp(box, wireguard(4, 64)) for _ in range(10)]) is passes  # noqa: C419 - all are sent


def test_ipsec_on_port_500_then_4500_and_alone() -> None:
    box = Box("vpn_protocol")
    assert udp(box, ike(34), port=500)
    assert udp(box, ike(34, responder=SESSION), port=500, outbound=False)
    moved = b"\0\0\0\0" + ike(35, responder=SESSION)
    assert udp(box, moved, port=4_500)
    esp = b"\x12\x34\x56\x78" + bytes(60)
    assert [udp(box, esp, port=4_500) for _ in range(4)] == [True, True, False, False]
    alone = ip_packet(packed_address(craft.READER), packed_address(craft.SITE), 50, esp)
    assert [box.out(alone) for _ in range(4)] == [True, True, False, False]
    other = ip_packet(packed_address(craft.READER), packed_address("185.146.21.77"), 50, esp)
    assert all(box.out(other) for _ in range(9))  # no IKE was seen with that one


def test_l2tp_on_its_port() -> None:
    box = Box("vpn_protocol")
    control = b"\xc8\x02" + struct.pack("!HHHHH", 40, 0, 0, 0, 0) + bytes(28)
    assert udp(box, control, port=1_701)
    assert udp(box, control[:4] + b"\0\x09" + control[6:], port=1_701, outbound=False)
    assert [udp(box, b"\x40\x02" + bytes(40), port=1_701) for _ in range(4)] == [True, True, False, False]


def test_connections_come_back_after_a_pause() -> None:
    box = Box("vpn_protocol", pause_s=30)
    udp(box, wireguard(1, 148))
    udp(box, wireguard(2, 92), outbound=False)
    assert [udp(box, wireguard(4, 64)) for _ in range(3)] == [True, True, False]
    box.jump(29)
    assert not udp(box, wireguard(4, 64))
    box.jump(2)
    assert [udp(box, wireguard(4, 64)) for _ in range(3)] == [True, True, False]


def test_which_protocols_are_looked_for() -> None:
    box = Box("vpn_protocol", which=["openvpn"])
    udp(box, wireguard(1, 148))
    udp(box, wireguard(2, 92), outbound=False)
    assert all(udp(box, wireguard(4, 64)) for _ in range(9))


def test_quic_and_random_bytes_are_no_vpn() -> None:
    rng = Random(4)  # noqa: S311 - repeatability is the point
    box = Box("vpn_protocol", needs_reply=False)
    message = quicbuild.client_hello("a.example", rng)
    for flow in range(300):
        client = (craft.READER, 20_000 + flow)
        first = quicbuild.initial(quicbuild.crypto(message), dcid=rng.randbytes(8)) if flow % 30 == 0 else b""
        for turn in range(40):
            payload = (
                first if turn == 0 and first else bytes((rng.randrange(256) | (0x40 if first else 0),)) + bytes(60)
            )
            raw = craft.datagram(payload, client=client, server=(craft.SITE, 443))
            assert box.out(raw), payload[:16].hex()


def test_junk_before_the_first_message_hides_it_unless_more_are_looked_at() -> None:
    for looks, passes in ((1, True), (3, False)):
        box = Box("vpn_protocol", looks=looks)
        udp(box, b"\x55" * 70)
        udp(box, wireguard(1, 148))
        udp(box, wireguard(2, 92), outbound=False)
        assert all([udp(box, wireguard(4, 64)) for _ in range(5)]) is passes  # noqa: C419 - all are sent


def test_nothing_raises_whatever_the_bytes() -> None:
    rng = Random(9)  # noqa: S311 - repeatability is the point
    kinds = set()
    seeds = [wireguard(1, 148), wireguard(2, 92), wireguard(3, 64), OPENVPN_HELLO, OPENVPN_DATA, ike(34), b"\xff"]
    for turn in range(3_000):
        data = bytearray(seeds[turn % len(seeds)])
        if turn >= len(seeds):
            data[rng.randrange(len(data))] = rng.randrange(256)
            del data[rng.randrange(len(data) + 1) :]
        raw = bytes(data)
        kinds |= {vpn.wireguard(raw), vpn.openvpn(raw), vpn.openvpn(raw, tcp=True), vpn.l2tp(raw)}
        kinds |= {vpn.ike(raw), vpn.ike(raw, encapsulated=True)}
    assert kinds == {None, "hello", "reply", "data", "other"}


@pytest.mark.parametrize("params", [{"openvpn": -1}, {"which": ["pptp"]}, {"pause_s": -1}])
def test_wrong_parameters_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="rule 'X'"):
        Box("vpn_protocol", **params)
