"""Name lists find what falls under them; places are even and always the same."""

from __future__ import annotations

import pytest

from rozaneh.lab.names import NameList, place
from rozaneh.lab.verify.base import agrees


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("blocked.example", "blocked.example"),
        ("a.b.BLOCKED.example.", "blocked.example"),
        ("notblocked.example", None),
        ("blocked.example.org", None),
        ("x.il", "il"),
        ("ail", None),
        ("google.com", "google.com"),
        ("www.google.com", None),
        ("my-wpad.test", "wpad"),
        ("", None),
    ],
)
def test_find(name: str, entry: str | None) -> None:
    names = NameList(["blocked.example", ".il"], ["google.com"], ["wpad"])
    assert names.find(name) == entry


def test_an_empty_list_has_nothing() -> None:
    assert not NameList()
    assert NameList(["", "."], [""], [""]).find("") is None
    assert NameList(substrings=["a"])


def test_places_are_even_and_salted() -> None:
    places = [place(f"name{number}.example") for number in range(4_000)]
    assert places == [place(f"name{number}.example") for number in range(4_000)]
    assert all(0 <= at < 1 for at in places)
    for share in (0.1, 0.5, 0.87):
        assert agrees(sum(at < share for at in places), 4_000, share)
    assert place("a", "x") != place("a", "y")
