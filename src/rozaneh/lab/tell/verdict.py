"""How well two servers can be told apart by their answers to the same probes.

A round sends every probe to both servers once. Whoever tries to tell them learns from all rounds but one, knows which
probe an answer belongs to, and says of each answer of the round left out which server gave it; every round is left out
once. Answers that leave no choice are decided by a coin. An accuracy over all probes would hide a difference in a few
of them, so answers that differ every time are looked for one by one as well, and asked for again before they count.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from rozaneh.lab.tell.forest import Forest
from rozaneh.lab.tell.measures import Row, row
from rozaneh.lab.tell.nearest import Nearest
from rozaneh.lab.tell.seen import Seen
from rozaneh.lab.tell.statistics import Times, interval, times

# What the issue allows (section 5 point 3).
LIMIT = 0.55
# What the line between a prober abroad and the server adds to every time, as a standard deviation: an assumption, no
# source gives it for all paths. Without any (0) the classifier stands on the neighbouring machine.
JITTER_S = 0.01
# How much less a line may vary, to see where the hop behind an edge begins to show.
LINES_S = (0.005, 0.002, 0.001, 0.000_5, 0.000_2)
# Such a line is longer than what it varies by; times stay above nought.
_FAR = 10.0
# Closings later than this are a server's patience; earlier ones are its answer to something said.
PATIENCE_S = 1.0

# Answers by probe: one a round.
Answers = Mapping[str, Sequence[Seen]]


@dataclass(frozen=True, slots=True)
class Share:
    """So many right of so many."""

    hits: int
    of: int

    @property
    def accuracy(self) -> float:
        """The share."""
        return self.hits / self.of if self.of else 0.5

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95 % interval."""
        return interval(self.hits, self.of)


@dataclass(frozen=True, slots=True)
class Difference:
    """A probe whose answers differ every time, with one answer of each side."""

    probe: str
    here: str
    there: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """What telling two servers apart came to.

    Attributes:
        probes, rounds: How many of each.
        by: For each classifier the answers it put to the right server.
        families: The better classifier's, by family.
        differences: Probes whose answers differed in every round, before they were asked for again.
        patience: Closings of connections that nothing was said on any more.
        quick: Closings at once.
        first: First bytes of an answer.
    """

    probes: int
    rounds: int
    by: dict[str, Share]
    families: dict[str, Share]
    differences: list[Difference]
    patience: Times
    quick: Times
    first: Times

    @property
    def best(self) -> Share:
        """The better classifier's share."""
        return max(self.by.values(), key=lambda share: share.accuracy)

    @property
    def accuracy(self) -> float:
        """The better classifier's accuracy."""
        return self.best.accuracy


def compare(here: Answers, there: Answers, families: Mapping[str, str], *, jitter: float, seed: int = 0) -> Comparison:
    """Compares two servers' answers; `families` says which each probe belongs to, `jitter` how much times vary."""
    if jitter:
        rng = Random(f"{seed}/jitter")  # noqa: S311 - the same seed varies them the same
        here, there = _varied(here, jitter, rng), _varied(there, jitter, rng)
    probes = [probe for probe in here if probe in there]
    rounds = min((min(len(here[probe]), len(there[probe])) for probe in probes), default=0)
    if rounds < 2:
        raise ValueError("telling servers apart takes two rounds at least: one to learn from and one to be asked")
    guesses = _guesses(here, there, probes, families, rounds, seed)
    by = {name: Share(sum(right.values()), len(right)) for name, right in guesses.items()}
    best = max(guesses, key=lambda name: by[name].accuracy)
    split: dict[str, list[bool]] = defaultdict(list)
    for (probe, _, _), right in guesses[best].items():
        split[families[probe]].append(right)
    return Comparison(
        probes=len(probes),
        rounds=rounds,
        by=by,
        families={name: Share(sum(right), len(right)) for name, right in split.items()},
        differences=differences(here, there),
        patience=times(*(_closings(one, late=True) for one in (here, there))),
        quick=times(*(_closings(one, late=False) for one in (here, there))),
        first=times(*([seen.first_s for seen in _all(one) if seen.first_s >= 0] for one in (here, there))),
    )


def differences(here: Answers, there: Answers) -> list[Difference]:
    """The probes to which no answer of one side is like any of the other's, times aside."""
    found = []
    for probe, ours in here.items():
        theirs = there.get(probe, ())
        one, two = {seen.exact() for seen in ours}, {seen.exact() for seen in theirs}
        if one and two and not one & two:
            found.append(Difference(probe, ours[0].exact(), theirs[0].exact()))
    return found


def _guesses(
    here: Answers,
    there: Answers,
    probes: Sequence[str],
    families: Mapping[str, str],
    rounds: int,
    seed: int,
) -> dict[str, dict[tuple[str, int, bool], bool]]:
    """Which answers each classifier put to the right server: by probe, round and side."""
    order = {name: number for number, name in enumerate(dict.fromkeys(families.values()))}
    rows: dict[tuple[str, int, bool], Row] = {}
    for number, probe in enumerate(probes):
        for turn in range(rounds):
            for label, side in ((True, here), (False, there)):
                rows[probe, turn, label] = row(side[probe][turn], number, order[families[probe]])
    coin = Random(f"{seed}/coin")  # noqa: S311 - the same seed decides the same
    right: dict[str, dict[tuple[str, int, bool], bool]] = {"forest": {}, "nearest": {}}
    for left_out in range(rounds):
        known = [(key, value) for key, value in rows.items() if key[1] != left_out]
        values, labels = [value for _, value in known], [key[2] for key, _ in known]
        tellers: dict[str, Forest | Nearest] = {
            "forest": Forest(values, labels, seed + left_out),
            "nearest": Nearest(values, labels),
        }
        for key, value in rows.items():
            if key[1] != left_out:
                continue
            for name, teller in tellers.items():
                score = teller.score(value)
                said = coin.random() < 0.5 if abs(score - 0.5) < 1e-9 else score > 0.5
                right[name][key] = said == key[2]
    return right


def _varied(answers: Answers, jitter: float, rng: Random) -> Answers:
    """The answers as they arrive over a long line whose delay varies."""
    far = _FAR * jitter
    return {
        probe: [
            dataclasses.replace(
                seen,
                end_s=seen.end_s + far + rng.gauss(0, jitter),
                first_s=seen.first_s + far + rng.gauss(0, jitter) if seen.first_s >= 0 else seen.first_s,
            )
            for seen in said
        ]
        for probe, said in answers.items()
    }


def _all(answers: Answers) -> list[Seen]:
    return [seen for every in answers.values() for seen in every]


def _closings(answers: Answers, *, late: bool) -> list[float]:
    closed = [seen.end_s for seen in _all(answers) if seen.end in ("fin", "rst")]
    return [seconds for seconds in closed if (seconds >= PATIENCE_S) == late]
