"""Throttling: by name, by class of protocol, by dropping or by delay, always on the raw clock."""

from __future__ import annotations

from typing import Any

import pytest

from rozaneh.lab import craft
from rozaneh.lab.api import Params
from tests.lab.censors.boxes import Box, connection
from tests.lab.codec import hellos

TWITTER: Params = {"substrings": ["t.co"], "names": ["twimg.com"], "exact": ["twitter.com"]}


def rate(box: Box, one: craft.Connection, *, outbound: bool = False, seconds: float = 20.0, size: int = 1_400) -> float:
    """How many thousand bits a second of IP packets arrive when ten times as many as pass are sent."""
    arrived, step = 0, 0.01
    for _ in range(int(seconds / step)):
        raw = one.data(b"z" * size, outbound=outbound)
        arrived += len(raw) * (box.send(raw, outbound).forward == raw)
        box.wait(step)
    return arrived * 8 / seconds / 1_000


def opened(box: Box, name: str | None, number: int = 0, *, v6: bool = False) -> craft.Connection:
    one = connection(number, v6=v6)
    box.shake(one)
    assert box.out(one.data(hellos.chrome(name)))
    return one


@pytest.mark.parametrize("v6", [False, True])
@pytest.mark.parametrize(("name", "slow"), [("pbs.twimg.com", True), ("microsoft.com", True), ("twitter.com", True)])
def test_listed_names_get_130_to_150_kilobits_either_way(name: str, slow: bool, v6: bool) -> None:
    """`microsoft.com` has `t.co` in it: the loose match was real."""
    box = Box("policer", **TWITTER)
    one = opened(box, name, v6=v6)
    for outbound in (False, True):
        assert 130 <= rate(box, one, outbound=outbound) <= 150


@pytest.mark.parametrize("name", ["api.twitter.com", "example.org", None])
def test_other_names_are_not_slowed(name: str | None) -> None:
    box = Box("policer", **TWITTER)
    assert rate(box, opened(box, name)) > 1_000


def test_the_2022_rule_gives_600_to_700_bytes_a_second() -> None:
    box = Box("policer", names=["a.example"], kbit_s=5.2, burst_bytes=1_500)
    bytes_a_second = rate(box, opened(box, "a.example"), size=500, seconds=60) * 125
    assert 600 <= bytes_a_second <= 700


def test_policing_drops_and_reads_the_raw_clock() -> None:
    box = Box("policer", **TWITTER)
    one = opened(box, "t.co")
    outcomes = [box.send(one.data(b"z" * 1_400, outbound=False), False) for _ in range(30)]
    assert {outcome.delay for outcome in outcomes} == {0.0}
    assert outcomes[-1].acts[0].why == "name t.co: above 140 kbit/s"
    box.jump(300)  # lab time alone fills no bucket
    assert not box.back(one.data(b"z" * 1_400, outbound=False))
    box.wait(1)
    assert box.back(one.data(b"z" * 1_400, outbound=False))


def test_fin_and_rst_clear_nothing_and_ten_idle_minutes_do() -> None:
    box = Box("policer", **TWITTER)
    one = opened(box, "t.co")
    box.out(one.rst())
    box.back(one.fin(outbound=False))
    assert rate(box, one) < 160
    box.jump(599)
    assert rate(box, one) < 160
    box.jump(601)
    assert rate(box, one) > 1_000


@pytest.mark.parametrize(
    ("first", "slow"),
    [
        ([b"\x99" * 90], True),
        ([b"\x99" * 101], False),
        ([b"\x14\x03\x03\x00\x01\x01" + hellos.chrome("t.co")], False),
    ],
)
def test_what_comes_before_the_hello(first: list[bytes], slow: bool) -> None:
    box, one = Box("policer", **TWITTER), connection()
    box.shake(one)
    for piece in (*first, hellos.chrome("t.co")):
        assert box.out(one.data(piece))
    assert (rate(box, one) < 160) is slow


def test_a_shaper_delays_and_a_model_of_loss_loses() -> None:
    box = Box("policer", over="queue", queue_bytes=30_000, burst_bytes=1_500, kbit_s=100, **TWITTER)
    one = opened(box, "t.co")
    delays = [box.send(one.data(b"z" * 1_400, outbound=False), False).delay for _ in range(5)]
    assert delays == sorted(delays)
    assert 0.4 < delays[-1] < 0.6
    drops = [box.send(one.data(b"z" * 1_400, outbound=False), False).acts[0].why for _ in range(30)]
    assert drops[-1] == "name t.co: queue full"
    model = Box("policer", kbit_s=0, delay_s=0.3, loss=0.1, everything=True)
    one = connection()
    outcomes = [model.send(one.data(b"z", outbound=False), False) for _ in range(1_000)]
    lost = sum(outcome.forward is None for outcome in outcomes)
    assert 70 <= lost <= 130
    assert {outcome.delay for outcome in outcomes if outcome.forward is not None} == {0.3}


def test_both_directions_can_share_one_bucket() -> None:
    box = Box("policer", both=True, burst_bytes=3_000, **TWITTER)
    one = opened(box, "t.co")
    while box.out(one.data(b"z" * 500)):
        pass
    assert not box.back(one.data(b"z" * 500, outbound=False))


# --- class_policer


@pytest.mark.parametrize(
    ("first", "outbound", "share"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", True, 0.87),
        (hellos.chrome("a.example"), True, 0.87),
        (b"SSH-2.0-OpenSSH_9.2\r\n", False, 0.15),
        (b"\x7f" * 64, True, 0.01),
    ],
)
@pytest.mark.parametrize("v6", [False, True])
def test_classes_get_their_share_of_the_line(first: bytes, outbound: bool, share: float, v6: bool) -> None:
    box, one = Box("class_policer", link_kbit_s=2_000), connection(v6=v6)
    box.shake(one)
    assert box.send(one.data(first, outbound=outbound), outbound).forward is not None
    size = 400 if share < 0.1 else 1_400
    measured = rate(box, one, seconds=60, size=size, outbound=False)
    sent = (size + len(one.ack())) * 8 * 100 / 1_000  # what is offered may be less than a class is allowed
    expected = min(2_000 * share, sent)
    assert expected * 0.95 <= measured <= expected * 1.1 + 1


def test_connections_of_a_class_share_and_clients_do_not() -> None:
    box = Box("class_policer")
    one, two = connection(), connection(1)
    for each in (one, two):
        box.shake(each)
        box.out(each.data(b"\x7f" * 64))
    while box.back(one.data(b"z" * 400, outbound=False)):
        pass
    assert not box.back(two.data(b"z" * 400, outbound=False))
    six = connection(2, v6=True)
    box.shake(six)
    box.out(six.data(b"\x7f" * 64))
    assert box.back(six.data(b"z" * 400, outbound=False))


def test_dns_is_web_and_other_udp_is_what_is_said() -> None:
    for port, udp, passes in ((53, "unknown", True), (443, "unknown", False), (443, "web", True)):
        box = Box("class_policer", udp=udp)
        raw = craft.datagram(b"q" * 1_000, server=(craft.SITE, port))
        assert all(box.out(raw) for _ in range(20)) is passes


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("policer", {"kbit_s": -1}),
        ("policer", {"loss": 1.5}),
        ("policer", {"burst_bytes": 0}),
        ("class_policer", {"web": 0}),
        ("class_policer", {"link_kbit_s": 0}),
    ],
)
def test_wrong_parameters_are_refused(kind: str, params: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="rule 'X'"):
        Box(kind, **params)
