"""The lab's clock runs with real time, jumps forward only, and knows the hour."""

from __future__ import annotations

import math
import time

import pytest

from rozaneh.lab.clock import LabClock, VirtualTime


def test_it_runs_and_jumps_and_raw_time_does_not() -> None:
    raw = VirtualTime(50.0)
    clock = LabClock(12.0, raw)
    assert (clock.now(), clock.raw(), clock.start) == (50.0, 50.0, 50.0)
    clock.jump(600)
    raw.value += 1.5
    assert (clock.now(), clock.raw()) == (651.5, 51.5)


@pytest.mark.parametrize("back", [-0.1, -math.inf, math.nan])
def test_it_does_not_run_back(back: float) -> None:
    with pytest.raises(ValueError, match="forward"):
        LabClock().jump(back)


def test_the_hour_of_the_labs_day() -> None:
    raw = VirtualTime(1e9)
    clock = LabClock(23.5, raw)
    hours = []
    for step in (0, 1_700, 200, 86_400):
        clock.jump(step)
        hours.append(clock.hour(clock.now()))
    assert hours == pytest.approx([23.5, 23.5 + 1_700 / 3_600, 1_900 / 3_600 - 0.5, 1_900 / 3_600 - 0.5])


def test_by_default_it_is_the_kernels_monotonic_clock() -> None:
    clock = LabClock()
    assert clock.now() == pytest.approx(time.monotonic(), abs=5)
