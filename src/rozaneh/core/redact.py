"""Secrets that cannot be printed by accident.

A ``Sensitive`` value shows ``[hidden]`` wherever text is made of it (``str``, ``repr``, f-strings, ``%``-formatting,
tracebacks of dataclasses) and gives the value only to an explicit ``reveal()``, which is easy to search for in
review.

Never in a log, an event, a report or an error text, even redacted: destinations, readers' addresses, secrets.
"""

from __future__ import annotations

import hmac
from typing import Generic, NoReturn, TypeVar

T = TypeVar("T")

HIDDEN = "[hidden]"


class Sensitive(Generic[T]):
    """A value that hides itself from every way of turning things into text."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def reveal(self) -> T:
        """The value itself, for the one place that has to use it."""
        return self._value

    def __repr__(self) -> str:
        return HIDDEN

    def __str__(self) -> str:
        return HIDDEN

    def __format__(self, spec: str) -> str:
        return HIDDEN

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sensitive):
            return NotImplemented
        mine, theirs = self._value, other._value
        if isinstance(mine, bytes) and isinstance(theirs, bytes):
            return hmac.compare_digest(mine, theirs)
        if isinstance(mine, str) and isinstance(theirs, str):
            return hmac.compare_digest(mine.encode(), theirs.encode())
        return bool(mine == theirs)

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> NoReturn:
        # Pickles end in files and pipes, where nobody looks for secrets.
        raise TypeError("a sensitive value is never pickled")


def few(count: int, least: int = 5) -> int | str:
    """A number of people or of their doings, as ``<5`` below the least group that hides a single person.

    Zero is hidden too: the step from "nobody" to "somebody" tells on the first reader.
    """
    return count if count >= least else f"<{least}"
