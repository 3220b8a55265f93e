"""The chi-square test agrees with published tables, and tells what comes from one distribution from what does not."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from rozaneh.lab.browser.statistics import same, survival, uniform


@pytest.mark.parametrize(
    ("statistic", "degrees", "p"),
    # NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.4: upper critical values.
    [
        (3.841, 1, 0.05),
        (10.828, 1, 0.001),
        (18.307, 10, 0.05),
        (29.588, 10, 0.001),
        (124.342, 100, 0.05),
        (149.449, 100, 0.001),
    ],
)
def test_critical_values(statistic: float, degrees: int, p: float) -> None:
    assert survival(statistic, degrees) == pytest.approx(p, rel=0.002)


def test_ends() -> None:
    assert survival(0, 3) == survival(7, 0) == 1
    assert survival(1e-9, 2) == pytest.approx(1)
    # With two degrees of freedom the survival function is exp(-x/2), exactly.
    assert survival(60, 2) == pytest.approx(9.3576e-14, rel=1e-4)


def test_equal_and_unequal_samples() -> None:
    rng = random.Random(5)  # noqa: S311 - repeatability is the point
    fair = [Counter(str(rng.randrange(8)) for _ in range(400)) for _ in range(2)]
    assert same(*fair) > 0.01
    skewed = Counter(str(min(rng.randrange(9), 7)) for _ in range(400))
    skewed["0"] += 60
    assert same(fair[0], skewed) < 1e-4
    assert same({"a": 400}, {"b": 400}) < 1e-100
    assert same({"a": 400}, {"a": 400}) == 1
    assert same({}, {"a": 4}) == 1


def test_rare_values_are_counted_together() -> None:
    rare = {f"one-off {index}": 1 for index in range(40)}
    other = {f"another {index}": 1 for index in range(40)}
    assert same({"a": 360, **rare}, {"a": 360, **other}) == 1
    assert same({"a": 360, **rare}, {"a": 400}) < 1e-6


def test_uniform() -> None:
    assert uniform([250, 248, 252, 250]) > 0.9
    assert uniform([400, 200, 200, 200]) < 1e-9
