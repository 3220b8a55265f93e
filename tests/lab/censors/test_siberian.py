"""The behavioural rule: three conditions at once, two freezes, and everything that does not trigger them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.censors.boxes import Box, connection
from tests.lab.codec import hellos

NAME = "shop.example"


def greets(box: Box, number: int, hello: bytes, *, host: int = 0, v6: bool = False, split: bool = False) -> bool:
    """Whether one connection's hello gets through; TCP itself always does."""
    one = connection(number, v6=v6, host=host)
    box.shake(one)
    if split:
        return all([box.out(one.data(hello[:30])), box.out(one.data(hello[30:]))])
    return box.out(one.data(hello))


def burst(box: Box, hello: bytes, count: int = 4, *, gap: float = 0.01, first: int = 0, **where: Any) -> list[bool]:
    """So many connections one shortly after the other."""
    results = []
    for number in range(count):
        results.append(greets(box, first + number, hello, **where))
        box.jump(gap)
    return results


CHROME, FIREFOX = hellos.chrome(NAME), hellos.firefox(NAME)
RANDOM = hellos.chrome("k3jx9.example")


@pytest.mark.parametrize("v6", [False, True])
@pytest.mark.parametrize("split", [False, True])
def test_alpha_four_parallel_chromes_then_any_name_fails(v6: bool, split: bool) -> None:
    box = Box("siberian")
    assert burst(box, CHROME, v6=v6, split=split) == [True, True, True, False]
    assert not greets(box, 10, RANDOM, v6=v6, split=split)
    assert greets(box, 11, RANDOM, v6=v6, host=1)  # another host of the same network is not frozen


@pytest.mark.parametrize(
    ("hello", "count", "gap"),
    [(FIREFOX, 12, 0.01), (hellos.chrome(None), 12, 0.01), (CHROME, 3, 0.01), (CHROME, 12, 0.36), (CHROME, 12, 2.0)],
)
def test_beta_what_does_not_trigger(hello: bytes, count: int, gap: float) -> None:
    box = Box("siberian")
    assert all(burst(box, hello, count, gap=gap))
    assert greets(box, 50, RANDOM)


def test_four_to_different_names_or_from_different_clients_do_not_trigger() -> None:
    box = Box("siberian")
    assert all(greets(box, number, hellos.chrome(f"n{number}.example")) for number in range(12))
    assert all(greets(box, number, CHROME, v6=number % 2 == 0) for number in range(20, 26))


def test_the_subnet_is_counted_together_unless_told() -> None:
    for subnet4, passes in ((24, 3), (32, 4)):
        box = Box("siberian", subnet4=subnet4)
        assert [greets(box, number, CHROME, host=number) for number in range(4)].count(True) == passes


def test_the_freeze_ends_after_120_seconds_and_begins_again_only_with_a_new_burst() -> None:
    box = Box("siberian")
    burst(box, CHROME, gap=0)
    box.jump(119)
    assert not greets(box, 10, RANDOM)
    box.jump(2)
    assert greets(box, 11, RANDOM)
    assert burst(box, CHROME, first=20) == [True, True, True, False]


def test_connections_that_stand_freeze_too_while_tcp_passes() -> None:
    for running in (True, False):
        box, old = Box("siberian", running=running), connection(99)
        box.shake(old)
        assert box.out(old.data(CHROME))
        box.jump(10)
        burst(box, CHROME)
        assert box.out(old.data(b"\x17\x03\x03\x00\x01x")) is not running
        assert box.back(old.data(b"\x17\x03\x03\x00\x01x", outbound=False)) is not running
        assert box.back(old.ack(outbound=False))
        assert box.out(old.fin())
        plain = connection(98, port=80)
        box.shake(plain)
        assert box.out(plain.data(b"GET / HTTP/1.1\r\n\r\n"))


def test_another_fingerprint_while_frozen_freezes_all_for_600_seconds() -> None:
    box = Box("siberian")
    burst(box, CHROME, gap=0)
    box.jump(60)
    assert not greets(box, 10, FIREFOX)
    for jump, passes in ((61, False), (538, False), (2, True)):  # counted from the change
        box.jump(jump)
        assert greets(box, 11 + int(box.now), hellos.firefox(None)) is passes
        assert greets(box, 800 + int(box.now), RANDOM) is passes


def test_the_same_browser_resumed_is_no_other_fingerprint() -> None:
    box = Box("siberian")
    burst(box, CHROME, gap=0)
    assert not greets(box, 10, hellos.chrome(NAME, extra=[(41, b"ticket")]))
    box.jump(121)
    assert greets(box, 11, RANDOM)  # 120 seconds, not 600


def test_escalation_can_be_off_and_psk_can_exempt() -> None:
    box = Box("siberian", escalate_s=0)
    burst(box, CHROME, gap=0)
    assert not greets(box, 10, FIREFOX)
    box.jump(121)
    assert greets(box, 11, FIREFOX)
    resumed = hellos.chrome(NAME, extra=[(41, b"ticket")])
    assert burst(Box("siberian", psk_exempts=True), resumed, 9) == [True] * 9
    assert burst(Box("siberian"), resumed, 4) == [True, True, True, False]


def test_the_precursor_takes_twelve_of_any_client() -> None:
    params = {"more_than": 11, "fingerprints": [], "freeze_s": 60, "escalate_s": 0}
    box = Box("siberian", **params)
    assert burst(box, FIREFOX, 12) == [True] * 11 + [False]
    assert not greets(box, 20, CHROME)
    box.jump(61)
    assert greets(box, 21, CHROME)


def test_other_ports_and_other_protocols_are_left_alone() -> None:
    box = Box("siberian")
    for number in range(8):
        one = connection(number, port=8_443)
        box.shake(one)
        assert box.out(one.data(CHROME))
        ssh = connection(100 + number)
        box.shake(ssh)
        assert box.out(ssh.data(b"SSH-2.0-x\r\n"))


@pytest.mark.parametrize("params", [{"more_than": -1}, {"subnet4": 33}, {"window_s": 0}, {"freeze_s": -1}])
def test_wrong_parameters_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="rule 'X'"):
        Box("siberian", **params)
