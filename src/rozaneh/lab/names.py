"""Lists of host names as censors keep them, and a number for each name that is the same in every rule and run.

Suffix entries stand for themselves and all below them, so `il` is a blanket rule for a whole country (catalogue IR-01);
exact entries only for themselves (`google.com` but not `www.google.com`, catalogue IR-12); substrings for every name
that has them anywhere (`wpad`, catalogue IR-01).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

__all__ = ["NameList", "place"]


class NameList:
    """Names by suffix, exactly, or by what they contain; letter case and a last dot make no difference."""

    def __init__(self, suffixes: Iterable[str] = (), exact: Iterable[str] = (), substrings: Iterable[str] = ()) -> None:
        self._suffixes = frozenset(_plain(name).lstrip(".") for name in suffixes) - {""}
        self._exact = frozenset(_plain(name) for name in exact) - {""}
        self._substrings = tuple(dict.fromkeys(part.lower() for part in substrings if part))

    def __bool__(self) -> bool:
        return bool(self._suffixes or self._exact or self._substrings)

    def find(self, name: str) -> str | None:
        """The entry that `name` falls under (the longest suffix first), or None."""
        name = _plain(name)
        if name in self._exact:
            return name
        rest = name
        while rest and self._suffixes:
            if rest in self._suffixes:
                return rest
            _, _, rest = rest.partition(".")
        for part in self._substrings:
            if part in name:
                return part
        return None


def _plain(name: str) -> str:
    return name.strip().rstrip(".").lower()


def place(text: str, salt: str = "") -> float:
    """Where `text` falls between 0 and 1: always the same, evenly spread, different for another `salt`.

    Two rules that must agree about a name (its forged answer's address and what its HTTP connection meets, IR-01) both
    ask for the place of the entry it falls under.
    """
    digest = hashlib.blake2b(text.encode("utf-8", errors="replace"), key=salt.encode()[:64], digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
