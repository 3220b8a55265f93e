"""Medians, ratios, and which of the required ratios were met."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from rozaneh.bench.plan import Measurement
from rozaneh.bench.subjects import H2, PEER_ANYTLS, PEER_PLAIN, PLAIN


class Spread(msgspec.Struct, frozen=True):
    """A figure over all rounds."""

    min: float
    median: float
    max: float


class Requirement(NamedTuple):
    """A promise: a figure of ours, as a multiple of a peer's (or as it is, where there is no peer)."""

    name: str
    subject: str
    figure: str
    peer: str
    at_least: float | None
    at_most: float | None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a requirement; ``value`` is null, and ``met`` false, where a figure is missing."""

    name: str
    value: float | None
    at_least: float | None
    at_most: float | None
    met: bool


_KIB = 1024.0

REQUIREMENTS: Sequence[Requirement] = (
    Requirement("plain relay: MB/s down, of sing-box's plain chain", PLAIN, "down1_mb_s", PEER_PLAIN, 0.9, None),
    Requirement("plain relay: MB/s up, of sing-box's plain chain", PLAIN, "up1_mb_s", PEER_PLAIN, 0.9, None),
    Requirement("plain relay: CPU down, of sing-box's plain chain", PLAIN, "down1_cpu_s_gb", PEER_PLAIN, None, 1.1),
    Requirement("plain relay: CPU up, of sing-box's plain chain", PLAIN, "up1_cpu_s_gb", PEER_PLAIN, None, 1.1),
    Requirement("h2: CPU down, both ends, of AnyTLS", H2, "down1_cpu_s_gb", PEER_ANYTLS, None, 0.7),
    Requirement("h2: CPU up, both ends, of AnyTLS", H2, "up1_cpu_s_gb", PEER_ANYTLS, None, 0.7),
    Requirement("h2: new tunnels a second, of AnyTLS", H2, "tunnels_s", PEER_ANYTLS, 1.5, None),
    Requirement("h2: bytes for each idle tunnel at the edge", H2, "idle_edge_bytes", "", None, 3 * _KIB),
    Requirement("h2: bytes for each idle tunnel at the client", H2, "idle_client_bytes", "", None, 3 * _KIB),
)
"""What the data plane promises; the goal for the CPU of ``h2`` is 0.45."""


def spread(values: Sequence[float]) -> Spread:
    """Smallest, middle and largest.

    Raises:
        ValueError: there are none.
    """
    if not values:
        raise ValueError("no values")
    return Spread(min(values), statistics.median(values), max(values))


def by_subject(measurements: Iterable[Measurement]) -> dict[str, dict[str, Spread]]:
    """Every figure of every subject over the rounds in which it came out."""
    values: dict[str, dict[str, list[float]]] = {}
    for one in measurements:
        figures = values.setdefault(one.subject, {})
        for name, value in one.figures.items():
            figures.setdefault(name, []).append(value)
    return {who: {name: spread(each) for name, each in figures.items()} for who, figures in values.items()}


def per_round(measurements: Iterable[Measurement], subject: str, figure: str) -> dict[int, float]:
    """One figure of one subject, round by round."""
    return {one.round: one.figures[figure] for one in measurements if one.subject == subject and figure in one.figures}


def value_of(requirement: Requirement, measurements: Sequence[Measurement]) -> float | None:
    """The median over the rounds; for a ratio, of the ratios within one round, so that slow drift cancels out."""
    ours = per_round(measurements, requirement.subject, requirement.figure)
    if requirement.peer:
        theirs = per_round(measurements, requirement.peer, requirement.figure)
        ours = {turn: value / theirs[turn] for turn, value in ours.items() if theirs.get(turn)}
    return statistics.median(ours.values()) if ours else None


def verdicts(measurements: Sequence[Measurement], cases: Sequence[str] = ()) -> list[Verdict]:
    """Every requirement, met or not; those whose case did not run are left out."""
    return [_verdict(one, measurements) for one in REQUIREMENTS if not cases or case_of(one.figure) in cases]


def case_of(figure: str) -> str:
    """The case a figure comes from."""
    if figure.startswith("idle"):
        return "idle"
    return "tunnels" if figure.startswith(("tunnel", "first_byte")) else "bulk"


def _verdict(requirement: Requirement, measurements: Sequence[Measurement]) -> Verdict:
    value = value_of(requirement, measurements)
    low, high = requirement.at_least, requirement.at_most
    met = value is not None and (low is None or value >= low) and (high is None or value <= high)
    return Verdict(name=requirement.name, value=value, at_least=low, at_most=high, met=met)
