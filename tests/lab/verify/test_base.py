"""The interval of a rate is the exact binomial one."""

from __future__ import annotations

import math

import pytest

from rozaneh.lab.verify.base import agrees, interval


def exact(p: float, n: int, confidence: float = 0.99) -> tuple[int, int]:
    """The same quantiles by summing whole numbers' binomials."""
    masses = [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]
    tail, total, low = (1 - confidence) / 2, 0.0, None
    for k, mass in enumerate(masses):
        total += mass
        if low is None and total > tail:
            low = k
        if total >= 1 - tail:
            return low or 0, k
    raise AssertionError


@pytest.mark.parametrize("p", [0.001, 0.0025, 0.028, 0.263, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("n", [1, 7, 50, 400])
def test_the_interval_is_exact(p: float, n: int) -> None:
    assert interval(p, n) == exact(p, n)


def test_large_counts_do_not_overflow_and_come_out_as_the_normal_curve_says() -> None:
    low, high = interval(0.263, 20_000)
    spread = 2.5758 * math.sqrt(20_000 * 0.263 * 0.737)
    assert abs(low - (5_260 - spread)) < 3
    assert abs(high - (5_260 + spread)) < 3


def test_certainties_allow_nothing_else() -> None:
    assert interval(0, 30) == (0, 0)
    assert interval(1, 30) == (30, 30)
    assert agrees(0, 30, 0)
    assert not agrees(29, 30, 1)


def test_agreement_ends_at_the_interval() -> None:
    low, high = interval(0.263, 100)
    assert [agrees(k, 100, 0.263) for k in (low - 1, low, high, high + 1)] == [False, True, True, False]


@pytest.mark.parametrize(("p", "n"), [(0.5, 0), (-0.1, 5), (1.1, 5)])
def test_what_has_no_interval_is_refused(p: float, n: int) -> None:
    with pytest.raises(ValueError, match="no interval"):
        interval(p, n)
