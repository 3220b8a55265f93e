"""A forest of randomised decision trees, small enough to be read.

Geurts, Ernst, Wehenkel, "Extremely randomized trees", Machine Learning 63 (2006): every node looks at a few columns,
cuts each at a random place and keeps the best cut. No library: the lab's dependencies stay what they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from rozaneh.lab.tell.measures import Row

TREES = 15
_COLUMNS = 6
_DEPTH = 16
_LEAF = 4


@dataclass(slots=True)
class _Cut:
    column: int
    at: float
    below: _Cut | float
    above: _Cut | float


class Forest:
    """Trained on rows and what they are (True or False)."""

    def __init__(self, rows: Sequence[Row], labels: Sequence[bool], seed: int, trees: int = TREES) -> None:
        if not rows:
            raise ValueError("a forest needs something to learn from")
        self._rng = Random(f"{seed}/forest")  # noqa: S311 - the same seed grows the same forest
        self._rows, self._labels = rows, labels
        everything = list(range(len(rows)))
        self._trees = [self._grow(everything, 0) for _ in range(trees)]

    def score(self, row: Row) -> float:
        """How many of its trees, weighted by how sure they are, take this row for True; 0.5 is a coin."""
        total = 0.0
        for tree in self._trees:
            node = tree
            while isinstance(node, _Cut):
                node = node.below if row[node.column] < node.at else node.above
            total += node
        return total / len(self._trees)

    def _grow(self, members: list[int], depth: int) -> _Cut | float:
        true = sum(self._labels[member] for member in members)
        if depth >= _DEPTH or len(members) < 2 * _LEAF or true in (0, len(members)):
            return true / len(members)
        best: tuple[float, int, float] | None = None
        for column in self._rng.sample(range(len(self._rows[0])), _COLUMNS):
            found = self._try(members, column, true)
            if found is not None and (best is None or found[0] < best[0]):
                best = (found[0], column, found[1])
        if best is None:
            return true / len(members)
        _, column, at = best
        below = [member for member in members if self._rows[member][column] < at]
        above = [member for member in members if self._rows[member][column] >= at]
        return _Cut(column, at, self._grow(below, depth + 1), self._grow(above, depth + 1))

    def _try(self, members: list[int], column: int, true: int) -> tuple[float, float] | None:
        """Cuts a column at a random place: Gini's impurity of the two sides, and the place."""
        rows, labels = self._rows, self._labels
        values = [rows[member][column] for member in members]
        low, high = min(values), max(values)
        if low == high:
            return None
        # Between two values that occur, so that rare ones are found too.
        one, two = self._rng.choice(values), self._rng.choice(values)
        at = (one + two) / 2 if one != two else self._rng.uniform(low, high)
        if not low < at <= high:
            at = high
        count = hits = 0
        for member, value in zip(members, values, strict=True):
            if value < at:
                count += 1
                hits += labels[member]
        rest, others = len(members) - count, true - hits
        if count < _LEAF or rest < _LEAF:
            return None
        return hits * (count - hits) / count + others * (rest - others) / rest, at
