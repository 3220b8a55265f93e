"""Topics are found, run one by one, and a topic that breaks or checks nothing counts as failed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from rozaneh.lab import verify
from rozaneh.lab.verify.base import Check

GOOD = Check("a name", "a source", "1", "1", ok=True, n=3)


def topic(monkeypatch: pytest.MonkeyPatch, **topics: object) -> None:
    """Puts topics in place of those that come along; each value is its `checks`."""
    for name, checks in topics.items():
        module = ModuleType(f"rozaneh.lab.verify.{name}")
        module.checks = checks  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(verify, "_modules", lambda: list(topics))


def test_checks_come_as_they_are_done_under_their_topic(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []

    def checks(seed: int) -> Iterator[Check]:
        seeds.append(seed)
        yield GOOD

    topic(monkeypatch, one=checks, two=checks)
    assert list(verify.run(7)) == [verify.Result("one", GOOD), verify.Result("two", GOOD)]
    assert list(verify.run(8, only=["two"])) == [verify.Result("two", GOOD)]
    assert seeds == [7, 7, 8]


def test_a_topic_that_breaks_keeps_what_it_found_and_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def checks(seed: int) -> Iterator[Check]:
        yield GOOD
        raise ZeroDivisionError("on purpose")

    topic(monkeypatch, broken=checks)
    first, second = verify.run()
    assert first.check == GOOD
    assert not second.check.ok
    assert "on purpose" in second.check.measured


def test_a_topic_without_a_check_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    topic(monkeypatch, empty=lambda seed: iter(()))
    (only,) = verify.run()
    assert not only.check.ok


def test_an_unknown_topic_names_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    topic(monkeypatch, one=lambda seed: iter([GOOD]))
    with pytest.raises(ValueError, match="no topic 'moon'; there are: one"):
        list(verify.run(only=["moon"]))


def test_topics_that_come_along_say_what_they_test() -> None:
    assert {"distinct", "timers"} <= set(verify.topics())
    for name in verify.topics():
        assert verify.about(name)
