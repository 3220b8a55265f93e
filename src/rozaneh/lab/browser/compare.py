"""Holds hellos that claim to be a browser's against the browser's own, and the browser against itself.

Two demands. Every hello has the browser's JA4. And no field's values come in other frequencies: with `MANY` hellos a
side no value's share differs by more than `POINTS`; with fewer, where shares scatter by more than that, a chi-square
test of each field must give p above `CLEARLY` after Bonferroni's correction (p times the number of fields). The same
demands are made of two halves of the browser's hellos: where the browser fails against itself, nothing was shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rozaneh.lab.browser import derive, features, statistics
from rozaneh.lab.codec.fingerprint import ja4

__all__ = ["CLEARLY", "MANY", "POINTS", "Comparison", "Field", "Side", "compare", "rule", "sides"]

# The numbers (section 2).
MANY = 2000
POINTS = 0.05
CLEARLY = 0.001
_ABSENT = "(absent)"


@dataclass(frozen=True, slots=True)
class Field:
    """One field: how far apart the shares of its values are, at which value, and the corrected p-value."""

    name: str
    difference: float
    value: str
    p: float
    good: bool


@dataclass(frozen=True, slots=True)
class Side:
    """One side's hellos against the browser's: `ja4` are all that came on both sides."""

    ja4: tuple[str, ...]
    ja4_equal: bool
    fields: tuple[Field, ...]

    @property
    def good(self) -> bool:
        """Whether both demands are met."""
        return self.ja4_equal and all(field.good for field in self.fields)

    @property
    def worst(self) -> Field:
        """The field with the largest difference."""
        return max(self.fields, key=lambda field: (not field.good, field.difference))

    def as_json(self) -> dict[str, Any]:
        """For the command's answer: all that failed, and the widest ten."""
        widest = sorted(self.fields, key=lambda field: (field.good, -field.difference))
        shown = [field for index, field in enumerate(widest) if index < 10 or not field.good]
        return {
            "ok": self.good,
            "ja4": list(self.ja4),
            "ja4_equal": self.ja4_equal,
            "fields": len(self.fields),
            "failed": sum(not field.good for field in self.fields),
            "widest": [
                {
                    "field": field.name,
                    "value": field.value,
                    "difference": round(field.difference, 4),
                    "p": field.p,
                    "ok": field.good,
                }
                for field in shown
            ],
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of it: `profile` against the browser, `control` the browser against itself."""

    hellos: int
    rule: str
    profile: Side
    control: Side

    @property
    def good(self) -> bool:
        """Whether the profile passes, with a control that passes."""
        return self.profile.good and self.control.good


def compare(claimed: Sequence[bytes], browser: Sequence[bytes]) -> Comparison:
    """First flights of a profile against twice as many of the browser.

    Raises:
        ValueError: There are not twice as many.
    """
    size = len(claimed)
    if not size or len(browser) != 2 * size:
        raise ValueError("there must be twice as many hellos of the browser")
    # Every other one, so that both halves are of the same minutes.
    real, again = browser[::2], browser[1::2]
    return Comparison(hellos=size, rule=rule(size), profile=sides(claimed, real), control=sides(again, real))


def rule(size: int) -> str:
    """The demand made of so many hellos a side, in words."""
    return f"shares within {POINTS:.0%}" if size >= MANY else f"chi-square, corrected p > {CLEARLY}"


def sides(claimed: Sequence[bytes], real: Sequence[bytes]) -> Side:
    """One side against the other; both of one size, which decides by which rule."""
    prints = Counter(ja4(derive.parsed(flight)) for flight in (*claimed, *real))
    counts = [_counts(side) for side in (claimed, real)]
    names = sorted({*counts[0], *counts[1]})
    many = min(len(claimed), len(real)) >= MANY
    fields: list[Field] = []
    for name in names:
        first, second = (side.get(name, Counter()) for side in counts)
        first[_ABSENT] += len(claimed) - first.total()
        second[_ABSENT] += len(real) - second.total()
        differences = {
            value: abs(first[value] / len(claimed) - second[value] / len(real)) for value in {*first, *second}
        }
        value = max(sorted(differences), key=lambda one: differences[one])
        p = min(1.0, statistics.same(first, second) * len(names))
        good = differences[value] <= POINTS if many else p > CLEARLY
        fields.append(Field(name, differences[value], value, p, good))
    return Side(ja4=tuple(sorted(prints)), ja4_equal=len(prints) == 1, fields=tuple(fields))


def _counts(flights: Sequence[bytes]) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for flight in flights:
        for name, value in features.fields(flight).items():
            found.setdefault(name, Counter())[value] += 1
    return found
