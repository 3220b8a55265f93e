"""Rules about UDP and QUIC, beyond what the published oracles ask for."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest

from rozaneh.lab import craft, dnsmessage
from rozaneh.lab.codec import quicbuild as build
from rozaneh.lab.verify.quic import GFW, TSPU
from tests.lab.censors.bench import Bench, mutilated

DCID = bytes(range(8))
LISTED, FINE = "google.com", "open-weather.example"


def initial(name: str | None = LISTED, *, size: int = 0, ech: bytes | None = None) -> bytes:
    hello = build.client_hello(name, Random(1), ech=ech, extra=size)  # noqa: S311 - repeatability is the point
    return build.initial(build.crypto(hello), dcid=DCID)


def to(port: int = 443, sport: int = 50_000, **how: Any) -> dict[str, Any]:
    v6 = how.pop("v6", False)
    near, far = (craft.READER6, craft.SITE6) if v6 else (craft.READER, craft.SITE)
    return {"client": (how.pop("near", near), sport), "server": (how.pop("far", far), port), **how}


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("quic_sni", {"datagrams": 0}),
        ("quic_sni", {"load_none_kpps": 50}),
        ("quic_sni", {"onset": [[0.5, 1], [0.1, 2]]}),
        ("quic_sni", {"onset": [[0.5, -1]]}),
        ("quic_sni", {"effect": 2}),
        ("quic_sni", {"crypto": "some"}),
        ("quic_first_packet", {"decoys": 0}),
        ("quic_first_packet", {"allowed": ["10.0.0.1/8"]}),
        ("quic_stateless", {"direction": "in"}),
        ("udp_filter", {"recognised": ["quick"]}),
        ("udp_filter", {"deny": "some"}),
    ],
)
def test_wrong_parameters_are_refused(kind: str, params: dict[str, Any]) -> None:
    with pytest.raises((ValueError, msgspec.ValidationError)):
        Bench(kind, **params)


# --- quic_sni


@pytest.mark.parametrize("v6", [False, True])
def test_blocking_begins_a_little_after_the_trigger(v6: bool) -> None:
    bench = Bench("quic_sni", names=[LISTED])
    assert bench.datagram(initial(), **to(v6=v6))
    assert bench.datagram(b"\x40soon", **to(v6=v6))
    bench.wait(0.06)
    assert bench.datagram(b"\x40soon", **to(v6=v6))
    bench.wait(1.5)
    assert not bench.datagram(b"\x40late", **to(v6=v6))
    assert bench.datagram(b"answer", **to(v6=v6, outbound=False))
    bench.jump(177.4)
    assert not bench.datagram(b"x", **to(v6=v6))
    bench.jump(1.1)  # 180.06 s after the trigger, whenever blocking began
    assert bench.datagram(b"x", **to(v6=v6))


def test_onsets_follow_their_distribution() -> None:
    bench = Bench("quic_sni", names=[LISTED])
    begun = []
    for host in range(1, 255):
        where = to(far=f"185.146.22.{host}")
        bench.datagram(initial(), **where)
        waited = 0.0
        while bench.datagram(b"x", **where):
            bench.wait(0.01)
            waited += 0.01
        begun.append(waited)
    begun.sort()
    assert begun[0] > 0.06
    assert 0.1 < begun[len(begun) // 2] < 0.15
    assert begun[-1] <= 1.52


def test_the_tspu_drops_the_trigger_and_both_directions_of_its_flow_alone() -> None:
    bench = Bench("quic_sni", **TSPU)
    assert not bench.datagram(initial(), **to())
    assert not bench.datagram(b"x", **to(outbound=False))
    assert bench.datagram(b"x", **to(sport=50_001))
    bench.jump(419)
    assert not bench.datagram(b"x", **to())
    bench.jump(2)
    assert bench.datagram(b"x", **to())


def test_decoys_take_a_flow_out_of_the_rule_when_there_are_enough() -> None:
    params = {**GFW, "decoys": 2, "decoy_min": 100}
    short, long = b"x" * 99, b"x" * 100
    for first, blocked in (([short] * 3, True), ([long], True), ([long] * 2, False)):
        bench = Bench("quic_sni", **params)
        for each in first:
            bench.datagram(each, **to())
        bench.datagram(initial(), **to())
        assert bench.datagram(b"x", **to()) is not blocked, first


def test_a_hello_over_two_datagrams_is_read_by_a_box_that_reads_two() -> None:
    hello = build.client_hello(LISTED, Random(1), extra=1_216)  # noqa: S311 - repeatability is the point
    parts = [
        build.initial(build.crypto(hello[:900]), dcid=DCID),
        build.initial(build.crypto(hello[900:], 900), dcid=DCID),
    ]
    for datagrams, blocked in ((1, False), (2, True)):
        bench = Bench("quic_sni", **{**GFW, "crypto": "full", "trust_length": True, "datagrams": datagrams})
        for part in parts:
            assert bench.datagram(part, **to())
        assert bench.datagram(b"x", **to()) is not blocked


def test_ech_can_be_asked_for() -> None:
    for ech, blocked in ((b"\0" * 40, True), (None, False)):
        bench = Bench("quic_sni", **{**TSPU, "names": [], "exact": ["cloudflare-ech.com"], "ech": "only"})
        assert bench.datagram(initial("cloudflare-ech.com", ech=ech), **to()) is not blocked


def test_the_effect_falls_with_the_load_at_the_border() -> None:
    def hits(load: float) -> int:
        bench = Bench("quic_sni", **{**GFW, "load_kpps": load})
        found = 0
        for host in range(1, 201):
            bench.datagram(initial(), **to(far=f"185.146.22.{host}"))
            found += not bench.datagram(b"x", **to(far=f"185.146.22.{host}"))
        return found

    assert hits(100) == 200
    assert 70 < hits(800) < 130
    assert hits(1_500) == 0


def test_permitted_flows_stay_open_both_ways_and_others_shut() -> None:
    bench = Bench("quic_sni", mode="allow", names=[FINE], source_above="no")
    assert bench.datagram(initial(FINE), **to())
    assert bench.datagram(b"\x40x", **to(outbound=False))
    assert bench.datagram(b"\x40x", **to())
    assert not bench.datagram(initial(), **to(sport=50_001))
    assert not bench.datagram(initial(FINE), **to(sport=50_001))
    assert not bench.datagram(b"x", **to(outbound=False, sport=50_001))


def test_what_is_remembered_is_bounded() -> None:
    bench = Bench("quic_sni", names=[LISTED])
    censor: Any = bench.rules[0].censor
    for port in range(5_000):
        bench.datagram(initial(), **to(sport=50_000 + port % 10_000, far=f"185.146.{port >> 8}.{port & 255}"))
    assert len(censor._pending) <= 4_096


# --- quic_first_packet, quic_stateless


def test_a_flow_that_began_with_quic_is_dropped_for_as_long_as_it_says() -> None:
    bench = Bench("quic_first_packet", residual_s=420)
    assert not bench.datagram(initial(), **to())
    assert not bench.datagram(b"x", **to(outbound=False))
    assert bench.datagram(b"x", **to(sport=50_001))
    bench.jump(419)
    assert not bench.datagram(b"x", **to())
    bench.jump(2)
    assert bench.datagram(b"x", **to())


@pytest.mark.parametrize("v6", [False, True])
def test_allowed_prefixes_and_decoys(v6: bool) -> None:
    bench = Bench("quic_first_packet", allowed=["185.146.21.0/24", "2a04:4e42:77::/48"])
    assert bench.datagram(initial(), **to(v6=v6))
    many = Bench("quic_first_packet", decoys=5)
    for _ in range(4):
        assert many.datagram(b"x", **to(v6=v6))
    assert not many.datagram(initial(), **to(v6=v6))
    enough = Bench("quic_first_packet", decoys=5)
    for _ in range(5):
        assert enough.datagram(b"x", **to(v6=v6))
    assert enough.datagram(initial(), **to(v6=v6))


def test_the_stateless_rule_by_direction_and_port() -> None:
    answer = b"\x80\0\0\0\x01" + bytes(1_195)
    assert Bench("quic_stateless").datagram(answer, **to(outbound=False))
    assert not Bench("quic_stateless", direction="both").datagram(answer, **to(outbound=False))
    assert Bench("quic_stateless", ports=[443]).datagram(answer, **to(port=444))
    assert not Bench("quic_stateless", ports=[443]).datagram(answer, **to())


# --- udp_filter


@pytest.mark.parametrize("v6", [False, True])
def test_all_udp_but_dns(v6: bool) -> None:
    bench = Bench("udp_filter")
    assert not bench.datagram(initial(FINE), **to(v6=v6))
    assert not bench.datagram(b"x", **to(v6=v6, outbound=False))
    assert bench.datagram(b"anything", **to(53, v6=v6))
    assert bench.opens(craft.Connection(v6=v6))
    assert not bench.datagram(b"from outside", **to(7_000, v6=v6, outbound=False))
    assert Bench("udp_filter", inbound=False).datagram(b"from outside", **to(7_000, v6=v6, outbound=False))


@pytest.mark.parametrize(
    ("deny", "payload", "port", "passes"),
    [
        ("quic", initial(FINE), 443, False),
        ("quic", b"\x01\0\0\0" + bytes(144), 51_820, True),
        ("unrecognised", b"\x01\0\0\0" + bytes(144), 51_820, False),
        ("unrecognised", b"\0\x01\0\0\x21\x12\xa4\x42" + bytes(12), 3_478, True),
        ("unrecognised", initial(FINE), 443, False),
        ("unrecognised", bytes(100), 9_999, False),
        ("endpoints", b"x", 443, False),
        ("endpoints", b"x", 444, True),
    ],
)
def test_udp_by_what_it_is(deny: str, payload: bytes, port: int, passes: bool) -> None:
    bench = Bench("udp_filter", deny=deny, endpoints=["185.146.21.20/32"])
    assert bench.datagram(payload, **to(port)) is passes
    # The flow stays what it began as.
    assert bench.datagram(dnsmessage.write_query(1, "a.example"), **to(port)) is passes
    assert Bench("udp_filter", deny=deny, recognised=["quic", "wireguard"]).datagram(initial(FINE), **to()) is (
        deny != "quic"
    )


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("quic_sni", {**GFW}),
        ("quic_sni", {**TSPU, "datagrams": 3}),
        ("quic_sni", {"mode": "allow", "names": ["e"]}),
        ("quic_first_packet", {}),
        ("quic_stateless", {}),
        ("udp_filter", {"deny": "unrecognised"}),
    ],
)
def test_mutilated_datagrams_raise_nothing(kind: str, params: dict[str, Any]) -> None:
    bench = Bench(kind, **params)
    for raw in mutilated(craft.datagram(initial(), **to()), 600):
        bench.send(raw)
