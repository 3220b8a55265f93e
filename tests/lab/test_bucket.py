"""The token bucket as a policer and as a shaper."""

from __future__ import annotations

import pytest

from rozaneh.lab.bucket import Bucket


def test_a_policer_lets_the_burst_pass_and_then_the_rate() -> None:
    bucket = Bucket(1_000, 3_000)
    assert [bucket.take(1_000, 10.0) for _ in range(4)] == [True, True, True, False]
    assert not bucket.take(1_000, 10.99)
    assert bucket.take(1_000, 11.0)
    assert [bucket.take(1_000, 100.0) for _ in range(4)] == [True, True, True, False]  # never more than the burst
    assert not bucket.take(3_001, 500.0)


def test_a_shaper_says_how_long_and_refuses_beyond_its_queue() -> None:
    bucket = Bucket(1_000, 1_000)
    assert [bucket.wait(1_000, 0.0, 2_000) for _ in range(4)] == [0.0, 1.0, 2.0, None]
    assert bucket.wait(500, 1.0, 2_000) == pytest.approx(1.5)
    assert bucket.wait(500, 100.0, 2_000) == 0.0


def test_time_that_stands_still_or_runs_back_gives_nothing() -> None:
    bucket = Bucket(1_000, 1_000)
    assert bucket.take(1_000, 5.0)
    assert not bucket.take(1, 5.0)
    assert not bucket.take(1, 4.0)


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (1, 0), (-1, 1)])
def test_a_bucket_has_a_rate_and_a_burst(rate: float, burst: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        Bucket(rate, burst)
