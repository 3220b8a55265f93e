"""The TLS name filter: names, what is read of a hello, what a match brings, for how long, and to whom."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from rozaneh.lab import records
from rozaneh.lab.craft import READER, Connection
from rozaneh.lab.packet import ACK, PSH, RST
from rozaneh.lab.verify._boxes import hello, middle, opened, split
from tests.lab.censors.bench import Bench, injected

NAME = "blocked.example"
HELLO = hello(NAME)
CUT = middle(HELLO, NAME)


@pytest.fixture(params=[False, True], ids=["v4", "v6"])
def one(request: pytest.FixtureRequest) -> Connection:
    return Connection(v6=request.param)


def box(*, on_path: bool = False, seed: int = 0, **params: Any) -> Bench:
    """A filter that drops the packet that matches, unless told otherwise."""
    given = {"names": [NAME], **params}
    if not given.keys() & {"drop", "resets"}:
        given["drop"] = "trigger"
    return Bench("sni", on_path=on_path, seed=seed, **given)


def acts(bench: Bench, connection: Connection, *pieces: bytes) -> bool:
    return not all([bench.passes(raw, outbound) for raw, outbound in opened(connection, *pieces)])  # noqa: C419 - all are sent


@pytest.mark.parametrize(
    ("params", "name", "hit"),
    [
        ({}, NAME, True),
        ({}, "www." + NAME, True),
        ({}, "WWW.Blocked.Example", True),
        ({"case": True}, "WWW.Blocked.Example", False),
        ({"case": True}, NAME, True),
        ({}, "xblocked.example", False),
        ({}, None, False),
        ({"nameless": True}, None, True),
        ({"names": [], "exact": [NAME]}, NAME, True),
        ({"names": [], "exact": [NAME]}, "www." + NAME, False),
        ({"names": [], "substrings": ["ocke"]}, NAME, True),
        ({"spared": ["www." + NAME]}, "www." + NAME, False),
        ({"spared": ["www." + NAME]}, "xyz." + NAME, True),
    ],
)
def test_names(params: dict[str, Any], name: str | None, hit: bool, one: Connection) -> None:
    assert acts(box(**params), one, hello(name)) is hit


@pytest.mark.parametrize(("ports", "hit"), [([], True), ([443], False), ([8_443], True)])
def test_ports(ports: list[int], hit: bool) -> None:
    assert acts(box(ports=ports), Connection(server=("185.146.21.20", 8_443)), HELLO) is hit


@pytest.mark.parametrize("reassembly", ["none", "in_order", "full"])
def test_segments(reassembly: str, one: Connection) -> None:
    assert acts(box(reassembly=reassembly), one, *split(HELLO, CUT)) is (reassembly != "none")
    other = Connection(client=(READER, 41_000))
    backwards = [*other.handshake(), (other.data(HELLO[CUT:], at=CUT), True), (other.data(HELLO[:CUT], at=0), True)]
    early = box(reassembly=reassembly)
    passed = [early.passes(raw, outbound) for raw, outbound in backwards]
    assert all(passed) is (reassembly != "full")


@pytest.mark.parametrize("joined", [False, True])
def test_records(joined: bool, one: Connection) -> None:
    assert acts(box(records=joined), one, records.cut(HELLO, CUT)) is joined
    whole_name_in_first = records.cut(HELLO, len(HELLO) - 20)
    assert acts(box(records=joined), Connection(client=(READER, 41_000)), whole_name_in_first) is joined


@pytest.mark.parametrize("reassembly", ["none", "full"])
def test_a_message_spread_over_records_is_not_read_even_where_its_name_came_first(reassembly: str) -> None:
    # The segment ends behind the name, inside the first record: no box may take that for a cut hello.
    spread = records.cut(HELLO, len(HELLO) - 20)
    assert not acts(box(reassembly=reassembly), Connection(), *split(spread, CUT + len(NAME)))
    assert acts(box(reassembly=reassembly), Connection(), *split(HELLO, CUT + len(NAME)))


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("reassembly", ["none", "full"])
def test_a_name_in_the_first_segment_of_a_hello_that_goes_on(cut: bool, reassembly: str, one: Connection) -> None:
    long = hello(NAME, extra=1_184)
    bench = box(cut=cut, reassembly=reassembly)
    first, second = split(long, 1_000)
    assert acts(bench, one, first) is cut
    if not cut:
        assert bench.passes(one.data(second)) is (reassembly == "none")


def test_a_first_message_of_another_kind_ends_the_watch_or_not(one: Connection) -> None:
    for gives_up, hit in ((True, False), (False, True)):
        assert acts(box(gives_up=gives_up), one, b"hello there", HELLO) is hit
    other = b"junk " * 3
    assert acts(box(gives_up=False, looks=3), one, other, other, HELLO)
    assert not acts(box(gives_up=False, looks=3), one, other, other, other, HELLO)


@pytest.mark.parametrize(("first", "hit"), [(4, False), (5, True)])
def test_the_shortest_first_segment(first: int, hit: bool, one: Connection) -> None:
    assert acts(box(min_first=5), one, *split(HELLO, first)) is hit


def test_header_length(one: Connection) -> None:
    assert acts(box(header_length=20), one, HELLO)
    stamped = Connection(timestamps=True)
    assert not acts(box(header_length=20), stamped, HELLO)
    assert acts(box(header_length=32), stamped, HELLO)


def test_a_box_without_memory_reads_every_packet(one: Connection) -> None:
    bench = box(needs="none", reassembly="none")
    assert bench.passes(one.data(b"anything"))
    assert bench.passes(one.data(hello("fine.example")))
    assert not bench.passes(one.data(HELLO))
    assert bench.passes(one.data(hello("fine.example")))
    assert not bench.passes(one.data(HELLO))
    assert bench.passes(one.data(HELLO, outbound=False), False)
    assert not box(needs="none", reassembly="none", initiator="any").passes(one.data(HELLO, outbound=False), False)


# --- what a match brings


def matched(bench: Bench, connection: Connection) -> Any:
    for raw, outbound in connection.handshake():
        assert bench.passes(raw, outbound)
    return bench.send(connection.data(HELLO))


@pytest.mark.parametrize(
    ("drop", "trigger", "from_client", "from_server"),
    [
        ("none", True, True, True),
        ("trigger", False, True, True),
        ("client", False, False, True),
        ("server", True, True, False),
        ("both", False, False, False),
    ],
)
def test_drops(drop: str, trigger: bool, from_client: bool, from_server: bool, one: Connection) -> None:
    bench = box(drop=drop)
    assert (matched(bench, one).forward is not None) is trigger
    for _ in range(2):
        assert bench.passes(one.data(b"more")) is from_client
        assert bench.passes(one.data(b"answer", outbound=False), False) is from_server


@pytest.mark.parametrize("residual_s", [0.0, 60.0])
def test_drops_after_some_more_packets(residual_s: float, one: Connection) -> None:
    bench = box(drop="both", drop_after=3, residual_s=residual_s)
    assert matched(bench, one).forward is not None
    later = [bench.passes(one.data(b"x", outbound=turn % 2 == 0), turn % 2 == 0) for turn in range(6)]
    assert later == [True] * 3 + [False] * 3


@pytest.mark.parametrize("stopped", [False, True])
def test_resets_stand_where_kernels_believe_them(stopped: bool, one: Connection) -> None:
    bench = box(resets=["iran"], drop="trigger" if stopped else "none")
    outcome = matched(bench, one)
    (inward,), (outward,) = injected(outcome, "in"), injected(outcome, "out")
    assert inward.tcp
    assert outward.tcp
    assert (inward.tcp.seq, inward.tcp.ack, inward.tcp.flags) == (one.server_seq, one.seq, RST | ACK)
    assert outward.tcp.seq == (one.isn + 1 if stopped else one.seq)
    assert (inward.ip.src, outward.ip.dst) == (one.server[0], one.server[0])
    assert (inward.tcp.sport, inward.tcp.dport) == (443, 40_000)


def test_resets_field_by_field(one: Connection) -> None:
    reset = {
        "to": "client",
        "flags": "rst+psh+ack",
        "count": 3,
        "ttl": 200,
        "ttl_step": 2,
        "window": 7,
        "window_step": 5,
        "payload": "cafe",
        "offsets": [0, 30],
        "delay_ms": 4.0,
        "ipid": 9,
        "df": False,
    }
    outcome = matched(box(resets=[reset], on_path=True), one)
    assert outcome.forward is not None
    assert not injected(outcome, "out")
    found = injected(outcome, "in")
    assert [p.ip.ttl for p in found] == [200, 202, 204]
    assert [p.tcp.window for p in found if p.tcp] == [7, 12, 17]
    assert [p.tcp.seq - one.server_seq for p in found if p.tcp] == [0, 30, 30]
    assert {p.payload for p in found} == {b"\xca\xfe"}
    assert {p.tcp.flags for p in found if p.tcp} == {RST | PSH | ACK}
    assert {each.delay for each in outcome.injected} == {0.004}
    if found[0].ip.version == 4:
        assert {p.ip.ident for p in found} == {9}
        assert not found[0].raw[6] & 0x40


def test_the_edge_reset_copies_the_packets_own_ttl(one: Connection) -> None:
    bench = box(resets=["gfw-edge"])
    for raw, outbound in one.handshake():
        bench.send(raw, outbound)
    found = injected(bench.send(one.data(HELLO, ttl=61)), "in")
    assert [(p.ip.ttl, p.tcp.window) for p in found if p.tcp] == [(61, 0)]


def test_one_injector_is_drawn_by_weight_and_seed() -> None:
    counts = {1: 0, 3: 0}
    for seed in range(300):
        outcome = matched(box(seed=seed, resets=["gfw-1", "gfw-2", "gfw-3"], one_injector=True), Connection())
        counts[len(injected(outcome, "in"))] += 1
    # By weight, 103,111 of 185,369 draws are the threefold one: 167 of 300 expected, four deviations.
    assert 132 < counts[3] < 202
    again = [matched(box(seed=5, resets=["gfw-2"]), Connection()).injected[0].raw for _ in range(2)]
    assert again[0] == again[1]


def test_reliability() -> None:
    hits = sum(not matched(box(seed=seed, reliability=0.5), Connection()).forward for seed in range(300))
    assert 115 < hits < 185


# --- for how long, and to whom


def held(bench: Bench, **where: Any) -> bool:
    return not bench.passes(Connection(**where).syn())


@pytest.mark.parametrize(
    ("key", "same_ports", "other_source", "other_port", "other_reader"),
    [
        ("4-tuple", True, False, False, False),
        ("3-tuple", True, True, False, False),
        ("2-tuple", True, True, True, False),
        ("destination", True, True, True, True),
    ],
)
def test_residual_keys(key: str, same_ports: bool, other_source: bool, other_port: bool, other_reader: bool) -> None:
    bench = box(drop="both", residual_s=100.0, residual_key=key)
    one = Connection(isn=5)
    matched(bench, one)
    address, server = one.client[0], one.server[0]
    bench.jump(99)
    assert held(bench, client=(address, 40_000), isn=77) is same_ports
    assert held(bench, client=(address, 40_001)) is other_source
    assert held(bench, client=(address, 40_002), server=(server, 8_443)) is other_port
    assert held(bench, client=("151.240.18.78", 40_000)) is other_reader
    bench.jump(2)
    assert not held(bench, client=(address, 40_000), isn=99)


@pytest.mark.parametrize("restarts", [False, True])
def test_residual_restarts(restarts: bool) -> None:
    bench = box(drop="both", residual_s=100.0, residual_restarts=restarts)
    matched(bench, Connection(isn=5))
    bench.jump(99)
    assert held(bench, isn=77)
    bench.jump(99)
    assert held(bench, isn=78) is restarts


def test_a_residual_may_reset_in_place_of_dropping_and_be_a_matter_of_chance() -> None:
    struck = 0
    for seed in range(200):
        bench = box(
            seed=seed,
            on_path=True,
            resets=["gfw-2"],
            residual_s=90.0,
            residual_key="3-tuple",
            residual_does="reset",
            residual_p=0.625,
        )
        matched(bench, Connection(isn=5))
        later = Connection(client=(READER, 40_001))
        outcomes = [bench.send(raw, outbound) for raw, outbound in opened(later, hello("fine.example"))]
        assert all(outcome.forward is not None for outcome in outcomes)
        hits = [len(injected(outcome, "in")) for outcome in outcomes]
        assert hits in ([3, 3, 3, 3], [0, 0, 0, 0])  # drawn once a connection
        struck += bool(hits[0])
        assert not bench.send(later.rst()).injected  # no reset answers a reset
    assert 97 < struck < 153


def test_what_takes_time_to_begin() -> None:
    bench = box(drop="client", arm_s=1.0, residual_s=150.0, residual_key="3-tuple")
    one = Connection(isn=5)
    assert matched(bench, one).forward is not None
    assert bench.passes(one.data(b"x"))
    bench.jump(0.9)
    assert bench.passes(one.data(b"x"))
    bench.jump(0.2)
    assert not bench.passes(one.data(b"x"))
    assert bench.passes(one.data(b"y", outbound=False), False)
    assert held(bench, client=(READER, 40_009))


def test_a_banned_reader_loses_everything_for_a_while() -> None:
    bench = box(resets=["gfw-edge"], ban_s=300.0)
    matched(bench, Connection())
    bench.jump(299)
    assert not bench.datagram(b"any query")
    assert held(bench, server=("185.146.21.99", 22))
    assert not held(bench, client=("151.240.18.78", 40_000), server=("185.146.21.99", 22))
    bench.jump(2)
    assert bench.datagram(b"any query")


@pytest.mark.parametrize(
    "params",
    [
        {"resets": ["gfw-9"]},
        {"resets": [{"count": 0}]},
        {"resets": [{"payload": "xyz"}]},
        {"resets": [{"to": "nobody"}]},
        {"reliability": 1.5},
        {"residual_does": "reset", "drop": "none"},
        {"nmaes": []},
        {"tcb": "geneva-99"},
        {"needs": "luck"},
    ],
)
def test_wrong_parameters_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises((ValueError, msgspec.ValidationError)):
        box(**params)
