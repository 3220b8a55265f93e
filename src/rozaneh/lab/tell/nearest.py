"""The nearest neighbour: which server's earlier answer to this very probe is this answer most like?"""

from __future__ import annotations

import math
from collections.abc import Sequence

from rozaneh.lab.tell.measures import NAMES, Row

_TIMES = tuple(NAMES.index(name) for name in ("end_s", "first_s"))
_IDENTITY = NAMES.index("probe")


class Nearest:
    """Remembers rows and what they are; asks only those of the same probe."""

    def __init__(self, rows: Sequence[Row], labels: Sequence[bool]) -> None:
        self._known: dict[float, list[tuple[Row, bool]]] = {}
        for row, label in zip(rows, labels, strict=True):
            self._known.setdefault(row[_IDENTITY], []).append((row, label))

    def score(self, row: Row) -> float:
        """1 or 0 where one side is nearer on average, 0.5 where both are as near."""
        sums, counts = [0.0, 0.0], [0, 0]
        for other, label in self._known.get(row[_IDENTITY], ()):
            sums[label] += _apart(row, other)
            counts[label] += 1
        if not counts[0] or not counts[1]:
            return 0.5
        false, true = sums[0] / counts[0], sums[1] / counts[1]
        return 0.5 if math.isclose(false, true, rel_tol=1e-9, abs_tol=1e-9) else float(true < false)


def _apart(one: Row, two: Row) -> float:
    """A point for every column that differs, at most a point for a time that is twice as long."""
    total = 0.0
    for column, (a, b) in enumerate(zip(one, two, strict=True)):
        if a == b:
            continue
        total += min(1.0, abs(a - b) / max(a, b, 1e-6)) if column in _TIMES and a >= 0 and b >= 0 else 1.0
    return total
