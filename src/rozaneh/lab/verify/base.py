"""What one faithfulness check says: what a source states, what the lab does, and whether the two agree."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

# 99 % two-sided: rates are measured with fixed seeds, and one check in a hundred must not fail for luck alone.
CONFIDENCE = 0.99


@dataclass(frozen=True, slots=True)
class Check:
    """One statement of a source held against the lab; `n` is how many trials the measurement took, where it matters."""

    name: str
    source: str
    expected: str
    measured: str
    ok: bool
    n: int | None = None


def interval(probability: float, n: int, confidence: float = CONFIDENCE) -> tuple[int, int]:
    """The fewest and most successes of `n` trials that agree with `probability`: central binomial quantiles, exact."""
    if n < 1 or not 0 <= probability <= 1:
        raise ValueError(f"no interval for probability {probability} and {n} trials")
    tail = (1 - confidence) / 2
    if probability in (0, 1):
        return (n, n) if probability == 1 else (0, 0)
    mean, deviation = n * probability, math.sqrt(n * probability * (1 - probability))
    # Far outside, every term is below any tail that matters: the sum begins where the normal curve has nothing left.
    start = max(0, math.floor(mean + NormalDist().inv_cdf(1e-16) * deviation - 30))
    low, below = -1, 0.0
    for k in range(start, n + 1):
        below += _mass(k, n, probability)
        if low < 0 and below > tail:
            low = k
        if below >= 1 - tail:
            return max(low, 0), k
    return max(low, 0), n


def agrees(successes: int, n: int, probability: float) -> bool:
    """Whether `successes` of `n` trials lie inside the interval of `probability`."""
    low, high = interval(probability, n)
    return low <= successes <= high


def _mass(k: int, n: int, p: float) -> float:
    """The binomial probability of exactly `k`, through logarithms so that large `n` do not overflow."""
    log_choose = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(log_choose + k * math.log(p) + (n - k) * math.log1p(-p))
