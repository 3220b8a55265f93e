"""Whether a profile's parts fit each other (`check`), and whether they fit a world and the censors (`check_in`)."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rozaneh.lab import censors
from rozaneh.lab.chain import seeded
from rozaneh.lab.profiles import resolve
from rozaneh.lab.profiles.model import (
    SCHEMA,
    Cell,
    Change,
    Control,
    Controls,
    Parameter,
    Profile,
    ProfileError,
    Rule,
    is_parameter,
    is_rule_id,
)
from rozaneh.lab.worlds import PLACEMENTS, World


def check(profile: Profile) -> None:
    """Refuses a profile whose parts do not fit; the error names the place."""
    if profile.schema_ != SCHEMA:
        raise ProfileError(f"schema is {profile.schema_!r}, expected {SCHEMA!r}")
    if profile.version < 1:
        raise ProfileError(f"version is {profile.version}; the first one is 1")
    for place, label in (("reader", profile.placement.reader), ("server", profile.placement.server)):
        if label not in PLACEMENTS:
            raise ProfileError(f"placement {place}: {label!r} is not one of {', '.join(PLACEMENTS)}")
    _once("rule", [rule.id for rule in profile.rules])
    _once("cell", [cell.name for cell in profile.cells])
    _once("variant", [variant.name for variant in profile.variants])
    for rule in profile.rules:
        _check_rule(rule)
    changes: tuple[Change, ...] = (*profile.cells, *profile.variants)
    for change in changes:
        _check_change(profile, change)
    if profile.ipv6 == "withdrawn" and not any(rule.version == 6 for rule in profile.rules):
        raise ProfileError("ipv6 is withdrawn, but no rule is for IPv6 alone")
    _check_controls(profile, profile.controls, "controls")
    for cell in profile.cells:
        if cell.controls:
            _check_controls(profile, cell.controls, f"cell {cell.name!r}, controls")


def check_in(profile: Profile, world: World) -> None:
    """Refuses a profile that does not fit `world`: labels, names, sites, kinds and the parameters each kind takes."""
    cells: list[str | None] = [None, *(cell.name for cell in profile.cells)]
    variants: list[str | None] = [None, *(variant.name for variant in profile.variants)]
    for cell in cells:
        resolve.world_for(profile, world, cell)
        for variant in variants:
            for config in resolve.rules_for(profile, world, cell, variant=variant):
                try:
                    censors.make(config.kind, config.params, seeded(0, config.id))
                except (ValueError, OSError) as error:
                    raise ProfileError(f"rule {config.id!r}: {error}") from error
        for control in _both(resolve.world_changes(profile, cell).controls):
            if control.site:
                resolve.control_site(control, world)
            if control.server:
                world.address_at(control.server, node=world.edge)
            if control.segment:
                world.seen_from(control.segment)


def _check_rule(rule: Rule) -> None:
    place = f"rule {rule.id!r}"
    if not is_rule_id(rule.id):
        raise ProfileError(f"{place}: an id is an entry of the catalogue (IR-01), with a suffix for a part (IR-01-tcp)")
    if rule.kind not in censors.kinds():
        raise ProfileError(f"{place}: there is no censor {rule.kind!r}; there are: {', '.join(censors.kinds())}")
    for name, parameter in rule.parameters().items():
        there = f"{place}, parameter {name!r}"
        if is_parameter(rule.params[name]):
            _check_parameter(parameter, there)
        elif _has_number(parameter.value):
            raise ProfileError(f"{there}: a number states its own source and grade")
    if rule.share is not None:
        _check_parameter(rule.share, f"{place}, share")
    for name in rule.timers:
        if name not in rule.params:
            raise ProfileError(f"{place}: timer {name!r} is not one of its parameters")


def _check_parameter(parameter: Parameter, place: str) -> None:
    if not parameter.source:
        raise ProfileError(f"{place}: no source")
    if parameter.grade != "P" and parameter.range is None and not parameter.choices and not parameter.note:
        raise ProfileError(f"{place}: grade {parameter.grade} needs a range, choices, or a note that says why not")
    if parameter.range is not None:
        low, high = parameter.range
        value = parameter.value
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise ProfileError(f"{place}: {value!r} does not lie in its range, {low:g} to {high:g}")
    if parameter.choices and parameter.value not in parameter.choices:
        raise ProfileError(f"{place}: {parameter.value!r} is not one of its choices")


def _check_change(profile: Profile, change: Change) -> None:
    word = "cell" if isinstance(change, Cell) else "variant"
    for rule_id in (*change.rules_on, *change.rules_off):
        _known(profile, rule_id, f"{word} {change.name!r}")
    for key in change.set_:
        rule_id, _, name = key.partition(".")
        rule = _known(profile, rule_id, f"{word} {change.name!r}, set")
        if name not in rule.params and not (name == "share" and rule.share is not None):
            raise ProfileError(f"{word} {change.name!r}, set: rule {rule_id!r} states no parameter {name!r}")


def _check_controls(profile: Profile, controls: Controls, place: str) -> None:
    blocked = controls.blocked
    if not blocked.rule:
        raise ProfileError(f"{place}, blocked: no rule")
    _known(profile, blocked.rule, f"{place}, blocked")
    for word, control in (("blocked", blocked), ("pass", controls.pass_)):
        if bool(control.site) == bool(control.server) and control.subject != "do53":
            raise ProfileError(f"{place}, {word}: either a site or a server's label")
        if not 0 <= control.expected_rate <= 1:
            raise ProfileError(f"{place}, {word}: a rate lies between 0 and 1")


def _known(profile: Profile, rule_id: str, place: str) -> Rule:
    try:
        return profile.rule(rule_id)
    except ProfileError as error:
        raise ProfileError(f"{place}: {error}") from error


def _once(word: str, ids: list[str]) -> None:
    for found, times in Counter(ids).items():
        if times > 1:
            raise ProfileError(f"{word} {found!r} is there twice")


def _both(controls: Controls) -> tuple[Control, Control]:
    return controls.blocked, controls.pass_


def _has_number(value: Any) -> bool:  # noqa: ANN401 - whatever TOML holds
    """Whether a plain value holds a number anywhere: those must say what they rest on."""
    if isinstance(value, bool):
        return False
    if isinstance(value, int | float):
        return True
    if isinstance(value, list | tuple):
        return any(_has_number(member) for member in value)
    if isinstance(value, dict):
        return any(_has_number(member) for member in value.values())
    return False
