"""Each profile is told from every other, and from no censor at all, by a fixed set of probe conversations.

`table` is what every profile did to every probe, over IPv4 (some over IPv6), on the access network its placement names:
the evidence behind the checks, and a way to see at a glance in what two profiles differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rozaneh.lab import profiles, worlds
from rozaneh.lab.rules import RuleConfig
from rozaneh.lab.verify._probes import PROBES, outcomes
from rozaneh.lab.verify._talk import Talk, Version
from rozaneh.lab.verify.base import Check

_SOURCE = "arXiv 2509.09081 (dMAP); catalogue section 11, faithfulness tests"
NOBODY = "none"

Vector = Mapping[str, str]


def checks(seed: int) -> Iterator[Check]:
    """One check for each profile against all others, and that the same seed gives the same outcomes."""
    found = table(seed)
    for name in profiles.names():
        others = [other for other in found if other != name]
        nearest = min(others, key=lambda other: len(differences(found[name], found[other])))
        apart = differences(found[name], found[nearest])
        same = [other for other in others if not differences(found[name], found[other])]
        measured = f"same as {', '.join(same)}" if same else f"{len(apart)} probes apart from {nearest}: {apart[0]}"
        yield Check(
            name=f"{name} is told from every other profile",
            source=_SOURCE,
            expected="at least one probe apart from each",
            measured=measured,
            ok=not same,
            n=len(found[name]),
        )
    first, second = (vector(profiles.names()[0], seed) for _ in range(2))
    yield Check(
        name="the same probes and seed meet the same",
        source="issue 4, section 1: same capture, clock and seed",
        expected="no difference",
        measured=f"{len(differences(first, second))} differences" if differences(first, second) else "no difference",
        ok=not differences(first, second),
        n=len(first),
    )


def table(seed: int) -> dict[str, Vector]:
    """Every profile's outcomes (of a profile with cells: in the first one), and those without a censor."""
    return {NOBODY: _vector([], seed, None), **{name: vector(name, seed) for name in profiles.names()}}


def vector(name: str, seed: int) -> Vector:
    """One profile's outcomes, by probe."""
    profile = profiles.load(name)
    cell = profile.cells[0].name if profile.cells else None
    conditions = profiles.world_changes(profile, cell)
    rules = profiles.rules_for(profile, worlds.load("country"), cell)
    return _vector(rules, seed, conditions)


def differences(one: Vector, other: Vector) -> list[str]:
    """The probes that met different things, in the order of the set."""
    return [probe for probe in one if one[probe] != other[probe]]


def _vector(rules: Sequence[RuleConfig], seed: int, conditions: profiles.Conditions | None) -> Vector:
    world = worlds.load("country")
    if conditions:
        world = world.seen_from(conditions.segment)
    hour = conditions.time_of_day if conditions else 12.0
    fragments = conditions.fragments if conditions else None
    found: dict[str, str] = {}
    versions: tuple[Version, ...] = (4, 6)
    for version in versions:

        def make(version: Version = version) -> Talk:
            return Talk(world, rules, seed=seed, version=version, time_of_day=hour, fragments=fragments)

        found.update({f"{probe}, IPv{version}": met for probe, met in outcomes(make, version).items()})
    return found


__all__ = ["NOBODY", "PROBES", "Vector", "checks", "differences", "table", "vector"]
