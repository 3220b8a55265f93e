"""What a profile does, rule by rule and parameter by parameter, with source and grade: rows that a command prints."""

from __future__ import annotations

import importlib
import inspect
import re
from typing import Any

import msgspec

from rozaneh.lab import censors
from rozaneh.lab.censors.base import Settings
from rozaneh.lab.profiles.model import (
    GRADES,
    NAMES,
    Cell,
    Control,
    Grade,
    Parameter,
    Profile,
    ProfileError,
    Rule,
    Variant,
)

_ATTRIBUTE = re.compile(r"^ {8}(\w+): (.*)$")
_DEFAULT = "default of the kind"


class ParameterRow(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter. `stated` is false where the profile leaves the kind's default in force; it then has no grade."""

    name: str
    value: str
    grade: Grade | None
    grade_means: str
    source: str
    range: str = ""
    note: str = ""
    meaning: str = ""
    stated: bool = True


class RuleRow(msgspec.Struct, frozen=True, kw_only=True):
    """One rule: what it does, what its mechanism rests on, the gates in front of it, and its parameters."""

    id: str
    entry: str
    kind: str
    about: str
    mechanism: str
    source: str
    grade: Grade
    grade_means: str
    enabled: bool
    gates: tuple[tuple[str, str], ...]
    parameters: tuple[ParameterRow, ...]


class ChangeRow(msgspec.Struct, frozen=True, kw_only=True):
    """A cell or a variant: what it is, and what it changes."""

    name: str
    about: str
    changes: tuple[tuple[str, str], ...]
    source: str = ""
    grade: Grade | None = None


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """A profile, explained; with a rule asked for, `rules` holds only that one's parts."""

    profile: str
    version: int
    summary: str
    ipv6: str
    placement: tuple[tuple[str, str], ...]
    grades: str
    controls: tuple[tuple[str, str], ...]
    cells: tuple[ChangeRow, ...]
    variants: tuple[ChangeRow, ...]
    rules: tuple[RuleRow, ...]


def explain(profile: Profile, rule: str | None = None) -> Explanation:
    """What `profile` does; `rule` is a rule's id, or a catalogue entry for all its parts (`ProfileError`: no such)."""
    chosen = [found for found in profile.rules if rule is None or rule in (found.id, found.entry)]
    if not chosen:
        there = ", ".join(found.id for found in profile.rules)
        raise ProfileError(f"profile {profile.id!r} has no rule {rule!r}; it has: {there}")
    placement = profile.placement
    return Explanation(
        profile=profile.id,
        version=profile.version,
        summary=profile.summary,
        ipv6=profile.ipv6,
        placement=(("reader", placement.reader), ("server", placement.server), ("segment", placement.segment)),
        grades=profile.grade_summary,
        controls=(
            ("blocked", _control(profile.controls.blocked, blocked=True)),
            ("pass", _control(profile.controls.pass_, blocked=False)),
        ),
        cells=tuple(_cell(cell) for cell in profile.cells),
        variants=tuple(_variant(variant) for variant in profile.variants),
        rules=tuple(_rule(found, profile) for found in chosen),
    )


def meanings(kind: str) -> dict[str, str]:
    """What each parameter of a kind means, in its own documentation's words."""
    settings = settings_of(kind)
    found: dict[str, str] = {}
    for own in reversed(settings.__mro__ if settings else ()):
        name = ""
        for line in (own.__doc__ or "").splitlines() if issubclass(own, Settings) else ():
            attribute = _ATTRIBUTE.match(line)
            if attribute:
                name = attribute[1]
                found[name] = attribute[2].strip()
            elif name and line.startswith(" " * 12):
                found[name] += " " + line.strip()
            elif line.strip():
                name = ""
    return found


def settings_of(kind: str) -> type[Settings] | None:
    """The struct a kind reads its parameters with: the one its module names after itself, or the only one there."""
    module = importlib.import_module(f"{censors.__name__}.{kind}")
    own = [
        found
        for _, found in inspect.getmembers(module, inspect.isclass)
        if issubclass(found, Settings) and found is not Settings and found.__module__ == module.__name__
    ]
    named = kind.replace("_", "") + "settings"
    for found in own:
        if found.__name__.lower() == named:
            return found
    return own[0] if len(own) == 1 else None


def defaults(kind: str) -> dict[str, Any]:
    """The parameters of a kind that have a default, and those defaults."""
    settings = settings_of(kind)
    if settings is None:
        return {}
    fields = msgspec.structs.fields(settings)
    return {
        field.name: field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
        for field in fields
        if field.default is not msgspec.NODEFAULT or field.default_factory is not msgspec.NODEFAULT
    }


def in_words(value: Any) -> str:  # noqa: ANN401 - whatever TOML or a default holds
    """A value as a person writes it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join(in_words(member) for member in value) or "none"
    if isinstance(value, dict):
        return "; ".join(f"{key} {in_words(member)}" for key, member in value.items()) or "none"
    if isinstance(value, msgspec.Struct):
        return in_words(msgspec.structs.asdict(value))
    return str(value) if value not in ("", None) else "none"


def _rule(rule: Rule, profile: Profile) -> RuleRow:
    told = meanings(rule.kind)
    rows = [
        _parameter(name, parameter, told.get(name, ""), names_in(parameter.value, profile))
        for name, parameter in rule.parameters().items()
    ]
    rows += [
        ParameterRow(
            name=name,
            value=in_words(value),
            grade=None,
            grade_means="",
            source=_DEFAULT,
            meaning=told.get(name, ""),
            stated=False,
        )
        for name, value in defaults(rule.kind).items()
        if name not in rule.params
    ]
    return RuleRow(
        id=rule.id,
        entry=rule.entry,
        kind=rule.kind,
        about=rule.about,
        mechanism=censors.summary(rule.kind),
        source=rule.source,
        grade=rule.grade,
        grade_means=GRADES[rule.grade],
        enabled=rule.enabled,
        gates=tuple(_gates(rule)),
        parameters=tuple(rows),
    )


def names_in(value: Any, profile: Profile) -> Any:  # noqa: ANN401 - whatever TOML holds
    """`value` with `@names.LIST` as the names themselves; labels stay, since a world gives them their prefixes."""
    if isinstance(value, str) and value.startswith(NAMES):
        return list(profile.names.get(value.removeprefix(NAMES), (value,)))
    if isinstance(value, list | tuple):
        members: list[Any] = []
        for member in value:
            found = names_in(member, profile)
            members += found if isinstance(member, str) and isinstance(found, list) else [found]
        return members
    if isinstance(value, dict):
        return {key: names_in(member, profile) for key, member in value.items()}
    return value


def _parameter(name: str, parameter: Parameter, meaning: str, value: Any) -> ParameterRow:  # noqa: ANN401
    limits = ""
    if parameter.range is not None:
        limits = f"{parameter.range[0]:g} to {parameter.range[1]:g}"
    elif parameter.choices:
        limits = ", ".join(in_words(choice) for choice in parameter.choices)
    return ParameterRow(
        name=name,
        value=in_words(value),
        grade=parameter.grade,
        grade_means=GRADES[parameter.grade],
        source=parameter.source,
        range=limits,
        note=parameter.note,
        meaning=meaning,
    )


def _gates(rule: Rule) -> list[tuple[str, str]]:
    found = [
        (name.replace("_", " "), in_words(getattr(rule, name)))
        for name in ("outside", "outside_not", "inside", "inside_not")
        if getattr(rule, name)
    ]
    if rule.share is not None:
        found.append(("share", f"{in_words(rule.share.value)} of flows, by {rule.share_by} [{rule.share.grade}]"))
    if rule.on_path:
        found.append(("stands", "on the path: it sees copies and can only inject"))
    if rule.hours:
        found.append(("hours", ", ".join(f"{begin:g} to {end:g}" for begin, end in rule.hours)))
    if rule.since or rule.until:
        end = f"{rule.until:g}" if rule.until else "the end"
        found.append(("in force", f"from second {rule.since:g} to {end}"))
    if rule.version:
        found.append(("only", f"IPv{rule.version}"))
    if not rule.enabled:
        found.append(("off", "unless a cell or a variant switches it on"))
    return found


def _control(control: Control, *, blocked: bool) -> str:
    where = f"{control.path} from {control.site}" if control.site else ""
    where = where or (f"{control.path} through a server at {control.server}" if control.server else "a query")
    words = f"{control.subject}: {where}"
    if control.segment:
        words += f", on the {control.segment} network"
    if blocked:
        words += f", blocked by {control.rule} at a rate of {control.expected_rate:g}"
    return words + (f" ({control.note})" if control.note else "")


def _cell(cell: Cell) -> ChangeRow:
    changes = [("time of day", f"{cell.hours_at:g} h")] if cell.hours_at is not None else []
    changes += [("segment", cell.segment)] if cell.segment else []
    changes += list(cell.sysctl.items())
    return ChangeRow(name=cell.name, about=cell.about, changes=tuple(changes + _switches(cell)))


def _variant(variant: Variant) -> ChangeRow:
    return ChangeRow(
        name=variant.name,
        about=variant.about,
        changes=tuple(_switches(variant)),
        source=variant.source,
        grade=variant.grade,
    )


def _switches(change: Cell | Variant) -> list[tuple[str, str]]:
    found = [("on", rule) for rule in change.rules_on] + [("off", rule) for rule in change.rules_off]
    return found + [(key, in_words(value)) for key, value in change.set_.items()]
