"""The timer topic measures what it says: it passes as things are, and notices times, keys and renewals that are off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rozaneh.lab import profiles
from rozaneh.lab.residual import Residual
from rozaneh.lab.verify import _drivers, timers
from rozaneh.lab.verify.base import Check


def only(profile: str, rule: str) -> Check:
    """The check of one rule's first after-effect."""
    found = next(timer for timer in timers.timers() if (timer.profile.id, timer.rule.id) == (profile, rule))
    return timers._check(found, 0)


def test_every_timer_of_every_profile_is_kept() -> None:
    found = list(timers.checks(0))
    assert [check for check in found if not check.ok] == []
    assert len({check.name for check in found}) == len(found) > 30


def test_every_lasting_parameter_is_among_them() -> None:
    tested = {(timer.profile.id, timer.rule.id, timer.name) for timer in timers.timers()}
    for name in profiles.names():
        profile = profiles.load(name)
        for rule in profile.rules:
            for parameter, seconds in rule.lasting().items():
                assert (name, rule.id, parameter) in tested or not (rule.enabled and seconds), (
                    name,
                    rule.id,
                    parameter,
                )


def lasting(extra: float) -> Callable[..., None]:
    """`Residual.add` with every member staying `extra` seconds longer."""
    genuine = Residual.add

    def add(self: Residual, member: Any, now: float, seconds: float | None = None) -> None:
        genuine(self, member, now + extra, seconds)

    return add


@pytest.mark.parametrize(("extra", "complaint"), [(1.5, "blocked at T+1 s"), (-1.5, "free at T-1 s")])
@pytest.mark.parametrize(
    ("profile", "rule"), [("ru-2022", "RU-01"), ("cn-2023", "CN-05"), ("ir-2024", "IR-02"), ("ru-2026-06", "RU-11")]
)
def test_a_time_that_is_off_is_noticed(
    monkeypatch: pytest.MonkeyPatch, profile: str, rule: str, extra: float, complaint: str
) -> None:
    assert only(profile, rule).ok
    monkeypatch.setattr(Residual, "add", lasting(extra))
    check = only(profile, rule)
    assert not check.ok
    assert complaint in check.measured


def test_a_time_that_begins_again_where_it_should_not_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = Residual.hit

    def hit(self: Residual, member: Any, now: float) -> bool:
        found = genuine(self, member, now)
        if found:
            self.add(member, now)
        return found

    monkeypatch.setattr(Residual, "hit", hit)
    check = only("ru-2022", "RU-04")
    assert not check.ok
    assert "a hit renews" in check.measured


def test_a_key_that_is_too_wide_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = Residual.__init__

    def begin(self: Residual, seconds: float, key: Any = "4-tuple", **rest: Any) -> None:
        genuine(self, seconds, "2-tuple", **rest)

    monkeypatch.setattr(Residual, "__init__", begin)
    check = only("ru-2022", "RU-01")
    assert not check.ok
    assert "control blocked" in check.measured


def test_a_rule_that_is_never_set_off_does_not_count_as_free(monkeypatch: pytest.MonkeyPatch) -> None:
    assert only("cn-henan", "CN-04").measured == "free at once"
    monkeypatch.setattr(_drivers.Hello, "listed", _drivers.Hello.harmless)
    check = only("cn-henan", "CN-04")
    assert not check.ok
    assert check.measured == "never set off"


def test_a_kind_nobody_can_set_off_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timers, "DRIVERS", {})
    check = only("ru-2022", "RU-01")
    assert not check.ok
    assert "none for kind tspu_sni" in check.measured
