"""Turns verdicts on flows into verdicts on hosts: one flow proves little, thirty to one server prove much.

Wails, Sullivan, Sherr and Jansen, NDSS 2024 [C]: with 14 bits of state for each (address, port), host accumulation
removed all false positives after at most 38 flows a host. How their counter decides is not published in what could be
read, so the rule here is our own, with those bits: two counters of 7 bits, flows seen and flows flagged, halved when
full; a host is flagged when that many flagged flows would come by a classifier's false positives alone with less than
a set probability (binomial tail).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from rozaneh.lab.judges.base import Flagged

_FULL = 127  # seven bits

# The false positives the GFW's rule against fully encrypted traffic was found to accept (section 8.1 [P]).
DEFAULT = 0.006


@dataclass(frozen=True, slots=True)
class Settings:
    """How hosts are judged.

    Attributes:
        false_positive: The flow classifier's own false positive rate, which the null hypothesis rests on.
        error: Probability at which chance is given up as the explanation; ours.
        least: Flows a host must have; with fewer nothing is said about it.
    """

    false_positive: float = DEFAULT
    error: float = 1e-6
    least: int = 3


@dataclass(slots=True)
class Counter:
    """Fourteen bits about one host."""

    seen: int = 0
    hits: int = 0

    def add(self, flagged: bool) -> None:
        """One more flow."""
        if self.seen == _FULL:
            self.seen, self.hits = self.seen // 2, self.hits // 2
        self.seen += 1
        self.hits += flagged

    def guilty(self, settings: Settings) -> bool:
        """Whether chance no longer explains the flagged flows."""
        return self.seen >= settings.least and tail(self.hits, self.seen, settings.false_positive) < settings.error


def accumulate(verdicts: Iterable[Flagged], settings: Settings | None = None) -> dict[str, bool]:
    """Each host of judged flows, and whether it was flagged at any time; in order of first sight."""
    settings = settings or Settings()
    counters: dict[str, Counter] = {}
    found: dict[str, bool] = {}
    for verdict in verdicts:
        if verdict.judged:
            counter = counters.setdefault(verdict.host, Counter())
            counter.add(verdict.flagged)
            found[verdict.host] = found.get(verdict.host, False) or counter.guilty(settings)
    return found


def tail(hits: int, n: int, p: float) -> float:
    """The probability of `hits` or more of `n` by chance `p` each."""
    if hits <= 0:
        return 1.0
    return math.fsum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(hits, n + 1))
