"""Sliding windows: what they count, what they forget, and that they stay small."""

from __future__ import annotations

import pytest

from rozaneh.lab.packet import packed_address
from rozaneh.lab.windows import Windows, subnet


def test_events_leave_the_window_after_its_length() -> None:
    windows = Windows(60)
    assert [windows.add("a", time) for time in (0, 10, 59.9)] == [1, 2, 3]
    assert windows.count("a", 59.9) == 3
    assert windows.count("a", 60) == 2
    assert windows.add("a", 75) == 2
    assert windows.count("a", 135) == 0
    assert len(windows) == 0


def test_keys_do_not_mix() -> None:
    windows = Windows(60)
    windows.add("a", 0)
    assert windows.add("b", 0) == 1
    assert windows.count("c", 0) == 0


def test_a_burst_ends_where_a_gap_is_too_long() -> None:
    windows = Windows(60)
    for time in (0.0, 0.3, 1.0, 1.35, 1.7):
        windows.add("a", time)
    assert windows.burst("a", 1.7, 0.35 + 1e-9) == 3
    assert windows.burst("a", 1.7, 0.7 + 1e-9) == 5
    assert windows.burst("a", 1.7, 0.1) == 1
    assert windows.burst("b", 1.7, 1) == 0


def test_clear_starts_anew() -> None:
    windows = Windows(60)
    windows.add("a", 0)
    windows.clear("a")
    windows.clear("a")
    assert windows.add("a", 1) == 1


def test_memory_is_bounded_and_the_quietest_key_goes_first() -> None:
    windows = Windows(60, keys=3, events=5)
    for key in "abc":
        windows.add(key, 0)
    windows.add("a", 1)
    windows.add("d", 2)
    assert [windows.count(key, 2) for key in "abcd"] == [2, 0, 1, 1]
    assert [windows.add("e", 3) for _ in range(9)][-1] == 5


def test_a_window_has_a_length() -> None:
    with pytest.raises(ValueError, match="longer"):
        Windows(0)


@pytest.mark.parametrize(
    ("address", "network"), [("185.146.21.20", "185.146.21.0"), ("2a04:4e42:77:9::20", "2a04:4e42:77::")]
)
def test_subnets(address: str, network: str) -> None:
    assert subnet(packed_address(address)) == packed_address(network)
    assert subnet(packed_address(address), 32, 128) == packed_address(address)
