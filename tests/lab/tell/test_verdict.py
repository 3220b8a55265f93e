"""Telling apart: one server twice is a coin, two servers are told, and one odd answer among many is found by name."""

from __future__ import annotations

import math
from random import Random

import pytest

from rozaneh.lab.tell import statistics, verdict
from rozaneh.lab.tell.forest import Forest
from rozaneh.lab.tell.measures import NAMES, row
from rozaneh.lab.tell.seen import End, Seen

PROBES = [f"p{n}" for n in range(150)]
FAMILIES = {probe: f"f{n % 3}" for n, probe in enumerate(PROBES)}


def answers(seed: int, *, slower: float = 0.0, odd: frozenset[str] = frozenset(), rounds: int = 3) -> verdict.Answers:
    """A server's answers: noise in times and one length; those to `odd` probes end in a reset."""
    rng = Random(seed)  # noqa: S311 - repeatability is the point
    found = {}
    for number, probe in enumerate(PROBES):
        said = []
        for _ in range(rounds):
            end: End = "rst" if probe in odd else "fin"
            length = rng.choice((70, 71, 72))
            late = (60.0 if number % 2 else 0.1) + slower + rng.uniform(0, 0.03)
            said.append(
                Seen(end, late, 0.02 + rng.uniform(0, 0.02), 500 + length, ((22, 122), (23, length)), -1, "", "")
            )
        found[probe] = said
    return found


def test_one_server_twice_cannot_be_told() -> None:
    found = verdict.compare(answers(1), answers(2), FAMILIES, jitter=0.01)
    assert found.accuracy <= verdict.LIMIT
    assert found.probes == len(PROBES)
    assert found.by["forest"].of == 2 * 3 * len(PROBES)
    assert not [one for one in found.differences if "rst" in one.here + one.there]
    assert found.patience.p > 0.01
    assert found.quick.p > 0.01


def test_another_end_in_a_third_of_the_answers_is_told() -> None:
    odd = frozenset(PROBES[::3])
    found = verdict.compare(answers(1, odd=odd), answers(2), FAMILIES, jitter=0.01)
    assert found.accuracy > 0.6
    assert found.families["f0"].accuracy > 0.95
    assert {one.probe for one in found.differences} >= odd


def test_one_odd_answer_hides_from_an_accuracy_and_is_found_by_name() -> None:
    found = verdict.compare(answers(1, odd=frozenset({"p7"})), answers(2), FAMILIES, jitter=0.01)
    assert found.accuracy <= verdict.LIMIT
    assert "p7" in {one.probe for one in found.differences}
    odd = next(one for one in found.differences if one.probe == "p7")
    assert odd.here.startswith("rst after" if PROBES.index("p7") % 2 else "rst at once")


def test_another_patience_is_told_by_its_times() -> None:
    found = verdict.compare(answers(1, slower=0.5), answers(2), FAMILIES, jitter=0.01)
    assert found.accuracy > 0.9
    assert found.patience.p < 1e-6
    assert found.patience.medians[0] - found.patience.medians[1] == pytest.approx(0.5, abs=0.02)


def test_one_round_is_too_few() -> None:
    with pytest.raises(ValueError, match="two rounds"):
        verdict.compare(answers(1, rounds=1), answers(2, rounds=1), FAMILIES, jitter=0.01)


def test_a_forest_learns_a_rule_of_two_columns() -> None:
    rng = Random(5)  # noqa: S311 - repeatability is the point
    width = len(NAMES)

    def sample(count: int) -> tuple[list[tuple[float, ...]], list[bool]]:
        rows = [tuple(float(rng.randrange(10)) for _ in range(width)) for _ in range(count)]
        return rows, [one[2] > 4 and one[5] > 4 for one in rows]

    forest = Forest(*sample(1_500), seed=1)
    rows, labels = sample(400)
    right = sum((forest.score(one) > 0.5) == label for one, label in zip(rows, labels, strict=True))
    assert right / 400 > 0.9


def test_rows_have_every_number_and_lose_none() -> None:
    one = Seen("fin", 0.1234, 0.0512, 9, ((21, 2),), 0x0228, "ab", "TLSv1.3")
    assert len(row(one, 1, 2)) == len(NAMES)
    for changed in (
        Seen("rst", 0.1234, 0.0512, 9, ((21, 2),), 0x0228, "ab", "TLSv1.3"),
        Seen("fin", 0.1235, 0.0512, 9, ((21, 2),), 0x0228, "ab", "TLSv1.3"),
        Seen("fin", 0.1234, 0.0513, 9, ((21, 2),), 0x0228, "ab", "TLSv1.3"),
        Seen("fin", 0.1234, 0.0512, 8, ((21, 2),), 0x0228, "ab", "TLSv1.3"),
        Seen("fin", 0.1234, 0.0512, 9, ((21, 3),), 0x0228, "ab", "TLSv1.3"),
        Seen("fin", 0.1234, 0.0512, 9, ((21, 2),), 0x0246, "ab", "TLSv1.3"),
        Seen("fin", 0.1234, 0.0512, 9, ((21, 2),), 0x0228, "ac", "TLSv1.3"),
        Seen("fin", 0.1234, 0.0512, 9, ((21, 2),), 0x0228, "ab", "TLSv1.2"),
    ):
        assert row(changed, 1, 2) != row(one, 1, 2)


def test_kolmogorov_and_smirnov() -> None:
    # Critical distances at 5 %: 1.358 * sqrt(2/n) for two samples of n (Smirnov 1948, table).
    n = 200
    line = [float(value) for value in range(n)]
    shift = math.ceil(1.358 * math.sqrt(2 / n) * n)
    distance, p = statistics.kolmogorov_smirnov(line, [value + shift for value in line])
    assert distance == pytest.approx(shift / n)
    assert 0.02 < p < 0.06
    assert statistics.kolmogorov_smirnov(line, line) == (0.0, 1.0)
    assert statistics.kolmogorov_smirnov([], line) == (0.0, 1.0)


def test_medians_and_intervals() -> None:
    assert statistics.median([3.0, 1.0, 2.0]) == 2.0
    assert statistics.median([4.0, 1.0, 2.0, 3.0]) == 2.5
    assert math.isnan(statistics.median([]))
    # Newcombe, "Two-sided confidence intervals for the single proportion" (1998), table I: 81 of 263.
    low, high = statistics.interval(81, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
