"""Chi-square tests of counts, in a few lines: the survival function from the incomplete gamma function.

Numerical recipe: Abramowitz and Stegun 6.5.29 (the series) below the mean, 6.5.31 (the continued fraction, evaluated
by Lentz's method) above it; both converge to double precision in well under `_STEPS` steps for the arguments here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

_STEPS = 10_000
_TINY = 1e-300
# Cochran 1954: the approximation needs an expected count of 5; rarer values are counted together.
_EXPECTED = 5.0


def survival(statistic: float, degrees: int) -> float:
    """The probability that a chi-square variable of so many degrees of freedom is above `statistic`."""
    if degrees <= 0 or statistic <= 0:
        return 1.0
    a, x = degrees / 2, statistic / 2
    front = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1:
        term = total = 1 / a
        for step in range(1, _STEPS):
            term *= x / (a + step)
            total += term
            if term < total * 1e-16:
                break
        return max(0.0, 1 - front * total)
    b = x + 1 - a
    c = 1 / _TINY
    d = 1 / b
    fraction = d
    for step in range(1, _STEPS):
        factor = -step * (step - a)
        b += 2
        d = 1 / (factor * d + b or _TINY)
        c = b + factor / c or _TINY
        change = c * d
        fraction *= change
        if abs(change - 1) < 1e-15:
            break
    return min(1.0, front * fraction)


def same(first: Mapping[str, int], second: Mapping[str, int]) -> float:
    """The p-value of two samples of one categorical value coming from the same distribution."""
    sizes = (sum(first.values()), sum(second.values()))
    if not all(sizes):
        return 1.0
    whole = sum(sizes)
    cells: list[tuple[int, int]] = []
    rare = (0, 0)
    for value in sorted({*first, *second}):
        pair = (first.get(value, 0), second.get(value, 0))
        if sum(pair) * min(sizes) / whole < _EXPECTED:
            rare = (rare[0] + pair[0], rare[1] + pair[1])
        else:
            cells.append(pair)
    if sum(rare):
        cells.append(rare)
    statistic = 0.0
    for pair in cells:
        for count, size in zip(pair, sizes, strict=True):
            expected = sum(pair) * size / whole
            statistic += (count - expected) ** 2 / expected
    return survival(statistic, len(cells) - 1)


def uniform(counts: Sequence[int]) -> float:
    """The p-value of these counts coming from a uniform distribution."""
    expected = sum(counts) / len(counts)
    return survival(sum((count - expected) ** 2 / expected for count in counts), len(counts) - 1)
