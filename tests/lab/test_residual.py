"""Residuals: which packets count as the same under each key, in either direction, and how long."""

from __future__ import annotations

from typing import get_args

import pytest

from rozaneh.lab.chain import Chain, Rule
from rozaneh.lab.craft import SITE, Connection, datagram
from rozaneh.lab.packet import Packet, parse
from rozaneh.lab.residual import Key, Residual


def read(raw: bytes, outbound: bool = True) -> Packet:
    found = parse(raw, outbound)
    assert found is not None
    return found


OTHER_READER = "151.240.18.78"
OTHER_SITE = "185.146.21.99"


def variants(v6: bool) -> dict[str, Packet]:
    """One connection and its neighbours, each differing in one thing."""
    base = Connection(v6=v6)
    (reader, sport), (site, port) = base.client, base.server
    reader2, site2 = ("2a0d:5600:41:7::13", "2a04:4e42:77::99") if v6 else (OTHER_READER, OTHER_SITE)
    return {
        "same": read(base.data(b"x")),
        "back": read(base.data(b"y", outbound=False), outbound=False),
        "sport": read(Connection((reader, sport + 1), (site, port)).syn()),
        "port": read(Connection((reader, sport), (site, port + 1)).syn()),
        "reader": read(Connection((reader2, sport), (site, port)).syn()),
        "site": read(Connection((reader, sport), (site2, port)).syn()),
        "udp": read(datagram(b"q", client=(reader, sport), server=(site, port))),
    }


HITS: dict[Key, set[str]] = {
    "5-tuple": {"same", "back"},
    "4-tuple": {"same", "back", "udp"},
    "3-tuple": {"same", "back", "sport", "udp"},
    "2-tuple": {"same", "back", "sport", "port", "udp"},
    "destination": {"same", "back", "sport", "port", "reader", "udp"},
}


@pytest.mark.parametrize("v6", [False, True])
@pytest.mark.parametrize("key", get_args(Key))
def test_each_key_finds_its_own_from_either_side(key: Key, v6: bool) -> None:
    packets = variants(v6)
    for added in ("same", "back"):
        residual = Residual(75, key)
        residual.add(packets[added], 10)
        assert {name for name, packet in packets.items() if residual.hit(packet, 84.9)} == HITS[key]
        assert not any(residual.hit(packet, 85) for packet in packets.values())
        assert len(residual) == 0


def test_a_three_tuple_is_the_connections_whoever_began_it() -> None:
    """A connection from outside has its server inside: its third member is the inside port."""
    residual = Residual(180, "3-tuple")
    begun_outside = Connection(client=(SITE, 50_001), server=("151.240.18.77", 443), outside_client=True)
    packet = read(begun_outside.syn(), outbound=False)
    packet.inside_first = False
    residual.add(packet, 0)
    again = read(Connection((SITE, 50_002), ("151.240.18.77", 443), outside_client=True).syn(), outbound=False)
    assert not residual.hit(again, 1)  # taken for a connection from inside, this is another one
    again.inside_first = False
    assert residual.hit(again, 1)


def test_a_chain_tells_who_began_a_flow() -> None:
    seen: list[bool] = []

    class Looks:
        def packet(self, p: Packet, now: float) -> list[object]:
            seen.append(p.inside_first)
            return []

    chain = Chain([Rule("X", Looks())])  # type: ignore[arg-type]
    inside, outside = Connection(), Connection(client=(SITE, 1_024), server=("151.240.18.77", 80), outside_client=True)
    late = Connection(client=("151.240.18.77", 41_000))  # its SYN was not seen, only the answer to it
    for raw, outbound in (
        (inside.syn(), True),
        (inside.syn_ack(), False),
        (outside.syn(), False),
        (outside.syn_ack(), True),
        (late.syn_ack(), False),
        (datagram(b"q"), True),
        (datagram(b"a", outbound=False), False),
    ):
        chain.judge(raw, outbound, 0, 0)
    assert seen == [True, True, False, False, True, True, True]


def test_a_hit_begins_the_time_again_only_when_told() -> None:
    packet = read(Connection().syn())
    for restarts in (False, True):
        residual = Residual(180, "4-tuple", restarts=restarts)
        residual.add(packet, 0)
        assert residual.hit(packet, 179)
        assert residual.hit(packet, 181) is restarts
        assert residual.hit(packet, 362) is False


def test_one_member_may_stay_another_time_and_may_be_let_go() -> None:
    residual = Residual(120, "destination")
    packet = read(Connection().syn())
    residual.add(packet, 0, seconds=600)
    assert residual.hit(packet, 599)
    residual.remove(packet)
    assert not residual.hit(packet, 1)


def test_what_has_no_ports_has_only_the_keys_without_ports() -> None:
    base = read(Connection().syn())
    ping = bytearray(base.raw[:28])
    ping[2:4], ping[9] = (28).to_bytes(2, "big"), 1
    packet = read(bytes(ping))
    for key in get_args(Key):
        residual = Residual(60, key)
        residual.add(base, 0)
        assert residual.hit(packet, 1) is (key in ("2-tuple", "destination"))
        portless = Residual(60, key)
        portless.add(packet, 0)
        assert len(portless) == int(key in ("2-tuple", "destination"))


def test_memory_is_bounded_and_the_oldest_goes_first() -> None:
    residual = Residual(60, "5-tuple", limit=3)
    packets = [read(Connection(("151.240.18.77", 40_000 + n)).syn()) for n in range(5)]
    for packet in packets:
        residual.add(packet, 0)
    assert [residual.hit(packet, 1) for packet in packets] == [False, False, True, True, True]
