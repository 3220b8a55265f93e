"""Two samples of times: are they one? Kolmogorov and Smirnov's test, medians, and an interval for a share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Times:
    """Two samples of seconds beside each other.

    Attributes:
        n: How many of the first and of the second.
        medians: Of both, in seconds.
        distance: The largest distance between their cumulative distributions.
        p: How likely such a distance is when they are one.
    """

    n: tuple[int, int]
    medians: tuple[float, float]
    distance: float
    p: float


def times(one: Sequence[float], two: Sequence[float]) -> Times:
    """Compares two samples; an empty one is no different from anything."""
    distance, p = kolmogorov_smirnov(one, two)
    return Times((len(one), len(two)), (median(one), median(two)), distance, p)


def median(values: Sequence[float]) -> float:
    """The median; NaN of nothing."""
    if not values:
        return math.nan
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def kolmogorov_smirnov(one: Sequence[float], two: Sequence[float]) -> tuple[float, float]:
    """The two-sample test: the distance, and its probability by Kolmogorov's limit with Stephens's correction.

    Stephens, "Use of the Kolmogorov-Smirnov, Cramer-von Mises and related statistics without extensive tables",
    Journal of the Royal Statistical Society B 32 (1970).
    """
    if not one or not two:
        return 0.0, 1.0
    a, b = sorted(one), sorted(two)
    at, bt, distance = 0, 0, 0.0
    while at < len(a) and bt < len(b):
        value = min(a[at], b[bt])
        while at < len(a) and a[at] == value:
            at += 1
        while bt < len(b) and b[bt] == value:
            bt += 1
        distance = max(distance, abs(at / len(a) - bt / len(b)))
    size = math.sqrt(len(a) * len(b) / (len(a) + len(b)))
    return distance, _kolmogorov((size + 0.12 + 0.11 / size) * distance)


def _kolmogorov(x: float) -> float:
    """The probability that Kolmogorov's statistic is larger than `x`."""
    if x < 0.2:
        return 1.0
    total = math.fsum((1.0 if k % 2 else -1.0) * math.exp(-2.0 * k * k * x * x) for k in range(1, 101))
    return max(0.0, min(1.0, 2.0 * total))


def interval(hits: int, of: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    if not of:
        return 0.0, 1.0
    z = 1.96
    share = hits / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return max(0.0, middle - half), min(1.0, middle + half)
