"""The smaller TCP rules: known applications only, ESNI, whole ports, and keywords."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import Any

import msgspec
import pytest

from rozaneh.lab import craft
from rozaneh.lab.codec.quicbuild import client_hello
from rozaneh.lab.craft import READER, SITE, Connection
from rozaneh.lab.packet import ACK, RST
from rozaneh.lab.verify._boxes import hello, opened, request, split
from tests.lab.censors.bench import Bench, injected, mutilated


@pytest.fixture(params=[False, True], ids=["v4", "v6"])
def one(request: pytest.FixtureRequest) -> Connection:
    return Connection(v6=request.param)


def passed(bench: Bench, packets: list[tuple[bytes, bool]]) -> list[bool]:
    return [bench.passes(raw, outbound) for raw, outbound in packets]


# --- app_allowlist


def test_a_flow_has_six_packets_to_show_what_it_is(one: Connection) -> None:
    bench = Bench("app_allowlist")
    packets = [*opened(one, b"?", b"?"), (one.data(b"!", outbound=False), False), (one.data(b"?"), True)]
    assert passed(bench, packets) == [True] * 6 + [False]
    assert not bench.passes(one.data(b"!", outbound=False), False)
    again = Connection(v6=":" in one.client[0], isn=9_999)
    assert bench.passes(again.syn())  # a new connection has its own six


@pytest.mark.parametrize(
    ("params", "port", "first", "free"),
    [
        ({}, 80, request("a.example"), True),
        ({}, 8_080, request("a.example"), False),
        ({"http_ports": []}, 8_080, request("a.example"), True),
        ({}, 443, hello("a.example"), False),
        ({"known": ["http", "tls"]}, 443, hello("a.example"), True),
        ({}, 22, b"SSH-2.0-x\r\n", False),
        ({"known": ["ssh"]}, 22, b"SSH-2.0-x\r\n", True),
        ({"known": ["dns"]}, 53, b"\x00\x11\x12\x34\x01\x00\x00\x01" + bytes(9), True),
        ({"known": ["dns"]}, 53, b"\x00\x11\x12\x34\x81\x00\x00\x01" + bytes(9), False),
    ],
)
def test_known_applications(params: dict[str, Any], port: int, first: bytes, free: bool) -> None:
    bench = Bench("app_allowlist", **params)
    verdicts = passed(bench, opened(Connection(server=(SITE, port)), first, *[b"\xff" * 40] * 6))
    assert all(verdicts) is free


def test_counting_data_only_and_other_ways_to_begin(one: Connection) -> None:
    bench = Bench("app_allowlist", counts="data", packets=2)
    assert passed(bench, opened(one, b"?", b"?", b"?")) == [True] * 5 + [False]
    outside = Connection(outside_client=True)
    packets = [*outside.handshake(), *[(outside.data(b"?", outbound=False), False) for _ in range(9)]]
    assert all(passed(Bench("app_allowlist"), packets))
    assert not all(passed(Bench("app_allowlist", initiator="any"), packets))


def test_datagrams_only_where_told() -> None:
    many = [craft.datagram(b"unknown") for _ in range(8)]
    assert all(passed(Bench("app_allowlist"), [(raw, True) for raw in many]))
    verdicts = passed(Bench("app_allowlist", transports=["tcp", "udp"]), [(raw, True) for raw in many])
    assert verdicts == [True] * 6 + [False] * 2


# --- esni


def esni_hello(kind: int, name: str = "cover.example") -> bytes:
    """A hello with one more extension, empty but for a few bytes."""
    message = client_hello(name, Random(1), alpn=("h2",), ech=b"\0" * 8)  # noqa: S311 - repeatable
    changed = message.replace(b"\xfe\x0d\x00\x08", kind.to_bytes(2, "big") + b"\x00\x08")
    return b"\x16\x03\x01" + len(changed).to_bytes(2, "big") + changed


@pytest.mark.parametrize(("kind", "hit"), [(0xFFCE, True), (0xFF02, False), (0xFF04, False), (0xFE0D, False)])
def test_esni_begins_after_a_second_with_the_clients_packets(kind: int, hit: bool, one: Connection) -> None:
    bench = Bench("esni")
    assert all(passed(bench, opened(one, esni_hello(kind), b"early")))
    bench.jump(1.1)
    assert bench.passes(one.data(b"late")) is not hit
    assert bench.passes(one.data(b"answer", outbound=False), False)
    later = Connection(v6=":" in one.client[0], client=(one.client[0], 41_000))
    assert bench.passes(later.syn()) is not hit
    bench.jump(150)
    assert bench.passes(Connection(v6=":" in one.client[0], client=(one.client[0], 41_001)).syn())


def test_esni_is_not_begun_again_by_another_trigger() -> None:
    bench = Bench("esni", residual_s=120.0)
    passed(bench, opened(Connection(), esni_hello(0xFFCE)))
    bench.jump(0.5)  # before it begins to work, others still get through
    assert all(passed(bench, opened(Connection(client=(READER, 41_000)), esni_hello(0xFFCE))))
    bench.jump(119)
    assert not bench.passes(Connection(client=(READER, 41_001)).syn())
    bench.jump(0.6)
    assert bench.passes(Connection(client=(READER, 41_002)).syn())


def test_esni_needs_the_whole_handshake_and_a_first_segment_of_five_bytes() -> None:
    def blocked(packets: list[tuple[bytes, bool]], one: Connection) -> bool:
        bench = Bench("esni")
        passed(bench, packets)
        bench.jump(2)
        return not bench.passes(one.data(b"late"))

    one = Connection()
    syn_only = [(one.syn(), True), (one.data(esni_hello(0xFFCE)), True)]
    assert not blocked(syn_only, one)
    for size, hit in ((4, False), (5, True), (300, True)):
        one = Connection()
        assert blocked(opened(one, *split(esni_hello(0xFFCE), min(size, 100))), one) is hit
    outside = Connection(outside_client=True)
    bench = Bench("esni")
    passed(bench, [*outside.handshake(), (outside.data(esni_hello(0xFFCE), outbound=False), False)])
    bench.jump(2)
    assert not bench.passes(outside.data(b"late", outbound=False), False)


# --- port_reset


def test_both_halves_of_a_handshake_are_reset_three_times(one: Connection) -> None:
    bench = Bench("port_reset", on_path=True)
    for raw, outbound in one.handshake()[:2]:
        outcome = bench.send(raw, outbound)
        assert outcome.forward == raw
        for to in ("in", "out"):
            found = injected(outcome, to)
            assert len(found) == 3
            assert {p.tcp.flags for p in found if p.tcp} == {RST | ACK}
            ttls, windows = [p.ip.ttl for p in found], [p.tcp.window for p in found if p.tcp]
            assert [b - a for a, b in pairwise(ttls)] == [1, 1]
            assert [b - a for a, b in pairwise(windows)] == [1, 1]
    answer = injected(bench.send(one.syn_ack(), False), "in")[0].tcp
    assert answer
    assert (answer.sport, answer.seq) == (443, one.server_seq)


def test_the_clients_reset_is_one_its_kernel_believes() -> None:
    bench, one = Bench("port_reset", on_path=True), Connection()
    (first, *_) = injected(bench.send(one.syn()), "in")
    assert first.tcp
    assert (first.tcp.ack, first.tcp.flags) == (one.isn + 1, RST | ACK)


def test_from_outside_only_the_servers_answer_counts() -> None:
    bench, one = Bench("port_reset", on_path=True), Connection(outside_client=True)
    syn, syn_ack, _ = one.handshake()
    assert not bench.send(*syn).injected
    assert len(bench.send(*syn_ack).injected) == 6
    for port in (22, 80, 8_443):
        other = Connection(server=(SITE, port))
        assert all(passed(bench, opened(other, hello("a.example"))))


# --- keyword


def test_keywords_in_any_protocol_and_either_case(one: Connection) -> None:
    bench = Bench("keyword", keywords=["Forbidden"], drop="trigger")
    assert passed(bench, opened(one, b"EHLO forbid", b"DEN.example")) == [True] * 4 + [False]
    with pytest.raises((ValueError, msgspec.ValidationError)):
        Bench("keyword", keywords=[""])


# --- all of them


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("sni", {"names": ["a.example"], "drop": "both", "resets": ["gfw-2"], "residual_s": 9.0, "checksum": True}),
        ("sni", {"names": ["a.example"], "needs": "none", "reassembly": "none", "resets": ["henan"]}),
        ("http_host", {"names": ["a.example"], "page": "iran-2024", "resets": ["gfw-edge"], "reassembly": "full"}),
        ("keyword", {"keywords": ["a"], "tcb": "geneva-11", "drop": "both"}),
        ("protocol_filter", {}),
        ("app_allowlist", {"known": ["http", "tls", "ssh", "dns"], "transports": ["tcp", "udp"]}),
        ("esni", {}),
        ("port_reset", {}),
    ],
)
def test_nothing_a_packet_carries_makes_a_rule_fail_and_the_same_seed_decides_the_same(
    kind: str, params: dict[str, Any], one: Connection
) -> None:
    packets = []
    for piece in (hello("a.example"), request("a.example"), b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03"):
        handshake = one.handshake()
        packets += [*handshake, (one.data(piece), True), (one.fin(), True), (one.rst(), True)]
    strange = [(changed, outbound) for raw, outbound in packets for changed in mutilated(raw, 40)]
    everything = [pair for both in zip(strange, packets * 40, strict=False) for pair in both]
    decisions = []
    for _ in range(2):
        bench = Bench(kind, seed=4, **params)
        outcomes = [bench.send(raw, outbound) for raw, outbound in everything]
        decisions.append([(each.forward, [injection.raw for injection in each.injected]) for each in outcomes])
    assert decisions[0] == decisions[1]
