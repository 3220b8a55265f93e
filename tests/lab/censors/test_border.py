"""Rules about addresses and protocols: null routes, the border's list, who may leave, pings, volume, muted servers."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from rozaneh.lab import craft
from rozaneh.lab.censors.volume_block import Volume
from rozaneh.lab.packet import ACK, RST, SYN
from rozaneh.lab.verify.base import agrees
from tests.lab.censors.bench import Bench, icmp, injected, mutilated

HELLO = b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"


def connection(port: int = 40_000, *, v6: bool = False, server: int = 443, outside: str = "") -> craft.Connection:
    near, far = (craft.READER6, craft.SITE6) if v6 else (craft.READER, craft.SITE)
    return craft.Connection((near, port), (outside or far, server), isn=port)


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("null_route", {"share": 1.1}),
        ("null_route", {"unit_v4": 33}),
        ("null_route", {"listed": ["10.0.0.1/8"]}),
        ("null_route", {"direction": "up"}),
        ("border_protocols", {"allow": ["icmp/1"]}),
        ("border_protocols", {"allow": ["tcp/0"]}),
        ("border_protocols", {"allow": ["tcp/99999"]}),
        ("border_protocols", {"allow": ["tcp/²"]}),
        ("source_allowlist", {"share": -1}),
        ("icmp_penalty", {"residual_key": "4-tuple"}),
        ("volume_block", {"limit": 0}),
        ("volume_block", {"prefix_v4": 0}),
        ("volume_block", {"unit": "packets"}),
        ("server_mute", {"scope": "some"}),
        ("dns_sink", {"addresses": [], "ip_ttl": 0}),
    ],
)
def test_wrong_parameters_are_refused(kind: str, params: dict[str, Any]) -> None:
    with pytest.raises((ValueError, msgspec.ValidationError)):
        Bench(kind, **params)


# --- null_route


@pytest.mark.parametrize("v6", [False, True])
def test_listed_prefixes_lead_nowhere_and_exempt_ones_somewhere(v6: bool) -> None:
    listed = ["185.146.21.0/24", "2a04:4e42:77::/48"]
    for raw, outbound in (*connection(v6=v6).handshake(), (icmp(v6=v6), True), (icmp(v6=v6, outbound=False), False)):
        bench = Bench("null_route", listed=listed)
        outcome = bench.send(raw, outbound)
        assert outcome.forward is None
        assert not outcome.injected
        assert outcome.acts[0].why == f"no route {craft.SITE6 if v6 else craft.SITE}"
        assert Bench("null_route", listed=listed, exempt=listed).passes(raw, outbound)
        assert Bench("null_route", share=1.0, exempt=["185.146.21.20", "2a04:4e42:77::20"]).passes(raw, outbound)
    neighbour = connection(v6=v6, outside="2a04:4e42:78::20" if v6 else "185.146.22.20")
    assert Bench("null_route", listed=listed).opens(neighbour)


@pytest.mark.parametrize(
    ("direction", "out", "back"), [("out", False, True), ("in", True, False), ("both", False, False)]
)
def test_null_routes_by_direction(direction: str, out: bool, back: bool) -> None:
    bench = Bench("null_route", share=1.0, direction=direction)
    assert bench.passes(icmp()) is out
    assert bench.passes(icmp(outbound=False), False) is back


@pytest.mark.parametrize("v6", [False, True])
def test_the_share_of_prefixes_is_right_and_each_is_one(v6: bool) -> None:
    bench = Bench("null_route", share=0.97)
    total = 2_000
    lost = 0
    for number in range(total):
        prefix = f"2a04:{number:x}:77::" if v6 else f"{20 + number // 200}.{number % 200}.7."
        passing = [bench.passes(icmp(v6=v6, outside=f"{prefix}{host}")) for host in (1, 99)]
        assert passing[0] == passing[1]
        lost += not passing[0]
    assert agrees(lost, total, 0.97)


def test_other_seeds_lose_other_prefixes() -> None:
    def lost(seed: int) -> list[bool]:
        bench = Bench("null_route", share=0.5, seed=seed)
        return [bench.passes(icmp(outside=f"20.0.{number}.1")) for number in range(64)]

    assert lost(1) == lost(1) != lost(2)


@pytest.mark.parametrize("v6", [False, True])
def test_a_null_route_may_answer_the_syn(v6: bool) -> None:
    bench = Bench("null_route", share=1.0, reset_syn=True)
    outcome = bench.send(connection(v6=v6).syn())
    assert outcome.forward is None
    (reset,) = injected(outcome)
    assert reset.tcp
    assert (reset.tcp.flags, reset.tcp.ack) == (RST | ACK, 40_001)
    assert not bench.send(icmp(v6=v6)).injected


# --- ip_drop


@pytest.mark.parametrize("v6", [False, True])
def test_listed_addresses_are_dropped_with_every_protocol(v6: bool) -> None:
    bench = Bench("ip_drop", prefixes=["185.146.21.20", "2a04:4e42:77::20"])
    assert not bench.passes(icmp(v6=v6))
    assert not bench.datagram(b"x", v6=v6, outbound=False)
    assert not bench.passes(connection(v6=v6).syn())
    assert bench.passes(icmp(v6=v6, outside="2a04:4e42:77::21" if v6 else "185.146.21.21"))


# --- dns_sink


@pytest.mark.parametrize("v6", [False, True])
def test_a_sink_accepts_and_then_resets(v6: bool) -> None:
    bench = Bench("dns_sink", addresses=["185.146.21.20", "2a04:4e42:77::20"])
    one = connection(v6=v6)
    outcome = bench.send(one.syn())
    assert outcome.forward is None
    (accepted,) = injected(outcome)
    assert accepted.tcp
    assert (accepted.tcp.flags, accepted.tcp.ack) == (SYN | ACK, one.isn + 1)
    one.server_seq = accepted.tcp.seq + 1
    assert not bench.send(one.ack()).injected
    outcome = bench.send(one.data(HELLO))
    (reset,) = injected(outcome)
    assert reset.tcp
    assert (reset.tcp.flags, reset.tcp.seq) == (RST | ACK, one.server_seq)
    assert bench.send(one.rst()).forward is None
    assert bench.opens(connection(41_000, v6=v6, outside="2a04:4e42:77::21" if v6 else "185.146.21.21"))


# --- border_protocols


@pytest.mark.parametrize("v6", [False, True])
def test_only_listed_protocols_cross(v6: bool) -> None:
    bench = Bench("border_protocols")
    for server, crosses in ((443, True), (80, True), (22, False), (53, False), (8_443, False)):
        assert bench.opens(connection(4_000 + server, v6=v6, server=server)) is crosses, server
    for port, crosses in ((53, True), (443, False), (51_820, False)):
        server = (craft.SITE6 if v6 else craft.SITE, port)
        assert bench.datagram(b"x", v6=v6, server=server) is crosses, port
        assert bench.datagram(b"x", v6=v6, server=server, outbound=False) is crosses, port
    assert not bench.passes(icmp(v6=v6))
    assert Bench("border_protocols", icmp=True).passes(icmp(v6=v6))
    assert Bench("border_protocols", allow=["tcp"]).opens(connection(v6=v6, server=22))


@pytest.mark.parametrize("v6", [False, True])
@pytest.mark.parametrize("cross", [False, True])
def test_later_fragments_cross_only_when_told(cross: bool, v6: bool) -> None:
    bench = Bench("border_protocols", fragments=cross)
    server = (craft.SITE6 if v6 else craft.SITE, 53)
    _, later = craft.fragments(craft.datagram(bytes(1_000), server=server, v6=v6), 800)
    assert bench.passes(later) is cross


# --- source_allowlist


def test_only_listed_readers_leave() -> None:
    bench = Bench("source_allowlist", allowed=["151.240.18.0/28", "2a0d:5600:41:7::12"])
    assert bench.opens(connection(v6=True))
    for outbound in (True, False):
        assert not bench.datagram(b"x", client=(craft.READER, 5_000), outbound=outbound)
        assert bench.datagram(b"x", client=("151.240.18.9", 5_000), outbound=outbound)


def test_a_share_of_the_others_leaves_too() -> None:
    bench = Bench("source_allowlist", share=0.022)
    total = 5_000
    out = [bench.datagram(b"x", client=(f"10.1.{n >> 8}.{n & 255}", 5_000)) for n in range(total)]
    assert agrees(sum(out), total, 0.022)
    assert out[:200] == [bench.datagram(b"y", client=(f"10.1.{n >> 8}.{n & 255}", 6_000)) for n in range(200)]


# --- icmp_penalty


@pytest.mark.parametrize("v6", [False, True])
def test_pings_are_punished_with_everything_to_that_address(v6: bool) -> None:
    bench = Bench("icmp_penalty", packets=3, residual_s=600)
    for _ in range(3):
        assert bench.passes(icmp(v6=v6))
        assert bench.passes(icmp(v6=v6, outbound=False), False)
    assert bench.opens(connection(v6=v6))
    assert not bench.passes(icmp(v6=v6))
    assert not bench.passes(connection(40_001, v6=v6).syn())
    assert not bench.datagram(b"x", v6=v6, outbound=False)
    assert bench.passes(icmp(v6=v6, outside="2a04:4e42:77::99" if v6 else "185.146.21.99"))
    bench.jump(599)
    assert not bench.passes(icmp(v6=v6))
    bench.jump(2)
    assert bench.passes(icmp(v6=v6))


def test_slow_pings_are_not_punished() -> None:
    bench = Bench("icmp_penalty", packets=2, window_s=60)
    for _ in range(10):
        assert bench.passes(icmp())
        bench.jump(61)


# --- server_mute


@pytest.mark.parametrize("v6", [False, True])
def test_a_muted_server_acknowledges_and_says_nothing(v6: bool) -> None:
    bench = Bench("server_mute")
    one = connection(v6=v6)
    assert bench.opens(one)
    assert bench.passes(one.data(HELLO))
    assert bench.passes(one.ack(outbound=False), False)
    answer = one.data(b"\x16\x03\x03" + bytes(90), outbound=False)
    assert not bench.passes(answer, False)
    assert not bench.passes(one.data(b"more", outbound=False), False)
    plain = connection(40_001, v6=v6)
    assert bench.opens(plain)
    assert bench.passes(plain.data(b"GET / HTTP/1.1\r\n\r\n"))
    assert bench.passes(plain.data(b"HTTP/1.1 200 OK\r\n\r\n", outbound=False), False)


def test_muting_can_be_for_the_first_segment_or_for_any_protocol() -> None:
    bench = Bench("server_mute", scope="first", after="any", ports=[443])
    one = connection()
    assert bench.opens(one)
    assert bench.passes(one.data(b"SSH-2.0-x\r\n"))
    first = one.data(b"a" * 100, outbound=False)
    assert not bench.passes(first, False)
    assert bench.passes(one.data(b"b" * 100, outbound=False), False)
    assert not bench.passes(first, False)  # its repetition
    other = connection(40_001, server=80)
    assert bench.opens(other)
    assert bench.passes(other.data(HELLO))
    assert bench.passes(other.data(b"a", outbound=False), False)


# --- volume_block


@pytest.mark.parametrize("v6", [False, True])
def test_many_connections_block_an_address_for_days(v6: bool) -> None:
    bench = Bench("volume_block", limit=20)
    other = "2a04:4e42:77::99" if v6 else "185.146.21.99"
    for port in range(4_000, 4_020):
        assert bench.opens(connection(port, v6=v6))
        assert bench.passes(connection(port, v6=v6).syn())  # a repeated SYN does not count
    assert not bench.passes(connection(4_020, v6=v6).syn())
    assert not bench.datagram(b"x", v6=v6)
    assert bench.opens(connection(4_021, v6=v6, outside=other))
    bench.jump(259_199)
    assert not bench.datagram(b"x", v6=v6)  # not idle: the time begins again
    bench.jump(259_199)
    assert not bench.datagram(b"x", v6=v6, outbound=False)
    bench.jump(259_201)
    assert bench.opens(connection(4_022, v6=v6))


def test_the_window_slides() -> None:
    bench = Bench("volume_block", limit=10, window_s=100)
    for port in range(4_000, 4_060):
        assert bench.opens(connection(port))
        bench.jump(11)
    for port in range(5_000, 5_010):
        bench.send(connection(port).syn())
    assert not bench.passes(connection(5_020).syn())


def test_bytes_and_whole_prefixes() -> None:
    bench = Bench("volume_block", unit="bytes", limit=10_000, prefix_v4=24, restarts=False, block_s=50)
    one = connection()
    assert bench.opens(one)
    sent = 0
    while bench.passes(one.data(bytes(1_000), outbound=False), False):
        sent += 1_000
    assert 9_000 <= sent <= 10_000
    assert not bench.opens(connection(outside="185.146.21.99"))
    bench.jump(49)
    assert not bench.passes(connection(41_000).syn())
    bench.jump(2)
    assert bench.opens(connection(41_001))


def test_a_sliding_sum_forgets() -> None:
    volume = Volume()
    assert [volume.add(1, now, 48) for now in range(60)][47:] == [48.0] * 13


# --- all of them


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("null_route", {"share": 0.5}),
        ("border_protocols", {}),
        ("source_allowlist", {"share": 0.5}),
        ("icmp_penalty", {}),
        ("volume_block", {}),
        ("server_mute", {"after": "any"}),
        ("dns_sink", {"addresses": ["0.0.0.0/0", "::/0"]}),
        ("ip_drop", {"prefixes": ["185.146.21.20"]}),
    ],
)
def test_mutilated_packets_raise_nothing(kind: str, params: dict[str, Any]) -> None:
    bench = Bench(kind, **params)
    one = connection()
    for raw in (one.syn(), one.data(HELLO), craft.datagram(b"x" * 30), icmp(), connection(v6=True).data(HELLO)):
        for each in mutilated(raw, 200):
            bench.send(each)
            bench.send(each, False)
