"""Clocks: ours moves forward only, the system's is the system's."""

from __future__ import annotations

import time

import pytest

from rozaneh.core.clock import FakeClock, SystemClock


def test_the_fake_moves_both_hands_and_never_back() -> None:
    clock = FakeClock(wall=100)
    clock.advance(2.5)
    assert (clock.now(), clock.monotonic()) == (102, 2.5)
    with pytest.raises(ValueError, match="forward"):
        clock.advance(-1)


def test_the_system_clock_is_the_systems() -> None:
    before = int(time.time())
    assert before <= SystemClock().now() <= int(time.time())
    first = SystemClock().monotonic()
    assert SystemClock().monotonic() >= first
