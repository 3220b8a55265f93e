"""The protocol filter and its weaknesses, packet by packet: what is dropped, whose, for how long."""

from __future__ import annotations

from typing import Any

import pytest

from rozaneh.lab.craft import READER, SITE, Connection
from rozaneh.lab.packet import FIN
from rozaneh.lab.verify._boxes import hello, opened, request
from tests.lab.censors.bench import Bench, mutilated

STRANGE = [b"\x07strange", b"more", b"and more"]


def box(**params: Any) -> Bench:
    return Bench("protocol_filter", **params)


def passed(bench: Bench, packets: list[tuple[bytes, bool]]) -> list[bool]:
    return [bench.passes(raw, outbound) for raw, outbound in packets]


@pytest.fixture(params=[False, True], ids=["v4", "v6"])
def one(request: pytest.FixtureRequest) -> Connection:
    return Connection(v6=request.param)


def test_every_packet_of_the_client_after_the_first_is_dropped(one: Connection) -> None:
    bench = box()
    assert passed(bench, opened(one, *STRANGE)) == [True] * 4 + [False] * 2
    assert not bench.passes(one.ack())
    assert not bench.passes(one.fin())
    assert bench.passes(one.data(b"answer", outbound=False), False)
    outcome = bench.send(one.data(b"x"))
    assert [(act.action, act.why) for act in outcome.acts] == [("drop", "residual protocol filter")]


def test_a_single_packet_with_data_is_never_dropped(one: Connection) -> None:
    bench = box()
    assert all(passed(bench, opened(one, STRANGE[0])))
    assert all(bench.passes(one.ack()) for _ in range(20))


def test_a_retransmission_begins_the_sixty_seconds_again() -> None:
    bench, one = box(), Connection()
    passed(bench, opened(one, *STRANGE))
    for _ in range(3):
        bench.jump(59)
        assert not bench.passes(one.data(b"again", at=8))
    bench.jump(61)
    assert bench.passes(one.data(b"again", at=8))
    assert bench.passes(one.data(b"for good", at=8))


def test_another_such_flow_to_the_destination_begins_it_again_too() -> None:
    for port, holds in ((41_000, True), (0, False)):
        bench, one = box(), Connection()
        passed(bench, opened(one, *STRANGE))
        bench.jump(59)
        if port:
            passed(bench, opened(Connection(client=(READER, port)), *STRANGE))
        bench.jump(59)
        assert bench.passes(one.data(b"again", at=8)) is not holds


@pytest.mark.parametrize(("scope", "free"), [("flow", True), ("destination", False)])
def test_whether_a_conforming_flow_to_the_same_address_suffers(scope: str, free: bool) -> None:
    bench = box(scope=scope)
    earlier = Connection(client=(READER, 40_500))
    assert all(passed(bench, opened(earlier, request("a.example"))))
    passed(bench, opened(Connection(), *STRANGE))
    later = Connection(client=(READER, 41_000))
    assert bench.passes(later.syn()) is free
    assert bench.passes(earlier.data(b"x")) is free
    elsewhere = Connection(client=(READER, 41_001), server=("185.146.21.99", 443))
    assert bench.passes(elsewhere.syn())
    bench.jump(61)
    assert all(passed(bench, opened(Connection(client=(READER, 41_002)), hello("a.example"), b"x")))


@pytest.mark.parametrize(
    ("pieces", "fits"),
    [
        ([b"GET / HT", b"x"], True),
        ([b"GET ", b"/ H"], False),
        ([b"BREW / HTTP/1.1\r\n"], False),
        ([b"get / HTTP/1.1\r\n"], False),
        ([b"CONNECT ", b""], True),
        ([b"\x16\x03\x01\x00\x05", b"abcde"], True),
        ([b"\x16\x03\x03\x00\x01x"], True),
        ([b"\x16\x03\x04\x00\x01x"], False),
        ([b"\x17\x03\x03\x00\x01x"], False),
        ([b"\x16\x03\x01\x00\x00x"], False),
        ([b"\x16\x03\x01\x00\x50", b"too short"], False),
        ([b"\x00\x1d" + b"\x12\x34\x01\x00\x00\x01" + bytes(6) + b"\x04news\x07example\x00\x00\x01\x00\x01"], False),
        ([b"\x00\x1e" + b"\x12\x34\x01\x00\x00\x01" + bytes(6) + b"\x04news\x07example\x00\x00\x01\x00\x01"], True),
        ([b"\x00\x1e" + b"\x12\x34\x81\x80\x00\x01" + bytes(6) + b"\x04news\x07example\x00\x00\x01\x00\x01"], False),
    ],
)
def test_fingerprints(pieces: list[bytes], fits: bool, one: Connection) -> None:
    bench = box()
    full = [piece for piece in pieces if piece]
    if len(full) == 1:
        full.append(b"\xff" * 3)
    verdicts = passed(bench, opened(one, *full, b"\xee"))
    # Judged together: where the first packet alone does not fit, the second one decides.
    assert all(verdicts) is fits


def test_the_record_length_in_its_looser_reading() -> None:
    pieces = [b"\x16\x03\x01\x00\x50", b"too short", b"x"]
    assert all(passed(box(tls_length="plausible"), opened(Connection(), *pieces)))


@pytest.mark.parametrize("port", [22, 8_080, 444])
def test_other_ports_are_free(port: int) -> None:
    assert all(passed(box(), opened(Connection(server=(SITE, port)), *STRANGE)))


def test_what_the_server_says_first_does_not_use_up_the_budget(one: Connection) -> None:
    bench = box()
    passed(bench, one.handshake())
    for _ in range(12):
        assert bench.passes(one.data(b"banner", outbound=False), False)
        assert bench.passes(one.ack())
    assert [bench.passes(one.data(piece)) for piece in STRANGE] == [True, False, False]


@pytest.mark.parametrize(
    ("params", "extra", "evades"), [({}, 8, 0), ({}, 9, 1), ({"budget": 3}, 3, 1), ({"budget": 0}, 50, 0)]
)
def test_the_budget(params: dict[str, Any], extra: int, evades: int, one: Connection) -> None:
    bench = box(**params)
    passed(bench, [*one.handshake(), *[(one.ack(), True)] * extra])
    assert bench.passes(one.data(STRANGE[0]))
    assert bench.passes(one.data(STRANGE[1])) is bool(evades)


@pytest.mark.parametrize(
    ("params", "count", "evades"), [({}, 1, 0), ({}, 2, 1), ({"fins": 0}, 2, 0), ({"fins": 1}, 1, 1)]
)
def test_fins_before_the_syn(params: dict[str, Any], count: int, evades: int, one: Connection) -> None:
    bench = box(**params)
    passed(bench, [(one.fin(flags=FIN), True)] * count)
    verdicts = passed(bench, opened(one, *STRANGE))
    assert all(verdicts) is bool(evades)


def test_fins_are_remembered_for_a_minute_and_for_their_own_ports() -> None:
    bench, one = box(), Connection()
    passed(bench, [(one.fin(flags=FIN), True)] * 2)
    other = Connection(client=(READER, 41_000))
    assert not all(passed(bench, opened(other, *STRANGE)))
    bench.jump(61)
    assert not all(passed(bench, opened(one, *STRANGE)))


def test_nothing_a_packet_carries_makes_it_fail() -> None:
    bench, one = box(), Connection()
    passed(bench, one.handshake())
    for raw in mutilated(one.data(STRANGE[0]), 300):
        bench.send(raw)
