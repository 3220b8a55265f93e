"""The shape of a profile's file: rules by catalogue id, every parameter with its source and grade, cells and controls.

A parameter is either a plain value, which the rule's own source and grade cover, or a table
`{ value, grade, source, range | choices, note }`. A number always takes the table: what a number rests on is what a
reader of a profile asks first. Grades are those of the research notes, and `L` for a choice of this lab where every
source is silent.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Literal

import msgspec

from rozaneh.lab.fragments import FragmentPolicy
from rozaneh.lab.links import LinkModel

SCHEMA = "rozaneh.lab.profile/1"

NAMES = "@names."  # how a parameter refers to one of the profile's lists of names

Grade = Literal["P", "C", "S", "T", "M", "X", "L"]

# What each grade means, best first; the words of the research notes.
GRADES: dict[Grade, str] = {
    "P": "primary text, artefact or source code read",
    "X": "computed from a rule that is itself known",
    "C": "machine-extracted finding with a section number",
    "S": "another project's notes quoting the source",
    "T": "forum or issue report, uncontrolled",
    "M": "recalled, not confirmed",
    "L": "a choice of this lab where the sources are silent",
}

_GATES = (
    *("enabled", "on_path", "outside", "outside_not", "inside", "inside_not"),
    *("share_by", "hours", "since", "until", "version"),
)

_RULE_ID = re.compile(r"(?P<entry>(IR|RU|CN|ML|X)-\d\d)(-[a-z0-9][a-z0-9-]*)?")

# Parameters that say for how long something goes on after its cause: what a trial has to wait out.
_LASTING = re.compile(r"(.*_)?(residual|freeze|block|penalty|cooldown|escalate|ban)_s")


class ProfileError(ValueError):
    """A profile's file is not what it must be; the text names the place."""


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """No key that this lab does not know: a misspelt one would silently be another censor."""


class Parameter(Strict, frozen=True, kw_only=True):
    """A parameter with what it rests on; below grade P it has a range, choices, or a note that says why not."""

    value: Any
    grade: Grade
    source: str
    range: tuple[float, float] | None = None
    choices: tuple[Any, ...] = ()
    note: str = ""


class Rule(Strict, frozen=True, kw_only=True):
    """One censor of the profile and the gates in front of it; `id` is a catalogue entry, with a suffix for its parts.

    `source` and `grade` are those of the mechanism. `timers` names parameters that last beyond a flow and whose names
    do not say so. `enabled = false` is for rules that only a cell or a variant switches on.
    """

    id: str
    kind: str
    about: str
    source: str
    grade: Grade
    enabled: bool = True
    on_path: bool = False
    outside: tuple[str, ...] = ()
    outside_not: tuple[str, ...] = ()
    inside: tuple[str, ...] = ()
    inside_not: tuple[str, ...] = ()
    share: Parameter | None = None
    share_by: Literal["flow", "path", "destination", "connection"] = "flow"
    hours: tuple[tuple[float, float], ...] = ()
    since: float = 0.0
    until: float = 0.0
    version: Literal[0, 4, 6] = 0
    params: dict[str, Any] = {}
    timers: tuple[str, ...] = ()

    @property
    def entry(self) -> str:
        """The catalogue entry this rule is a part of."""
        found = _RULE_ID.fullmatch(self.id)
        return found["entry"] if found else ""

    def parameters(self) -> dict[str, Parameter]:
        """Every parameter with its source and grade: a plain one has the rule's."""
        return {name: self.parameter(name) for name in self.params}

    def parameter(self, name: str) -> Parameter:
        """The parameter called `name`."""
        value = self.params[name]
        if is_parameter(value):
            try:
                return msgspec.convert(value, Parameter)
            except msgspec.ValidationError as error:
                raise ProfileError(f"rule {self.id!r}, parameter {name!r}: {error}") from error
        return Parameter(value=value, grade=self.grade, source=self.source)

    def lasting(self) -> dict[str, float]:
        """The parameters that say how long this rule goes on after its cause, in seconds of lab time."""
        return {
            name: float(parameter.value)
            for name, parameter in self.parameters().items()
            if (name in self.timers or _LASTING.fullmatch(name)) and isinstance(parameter.value, (int, float))
        }


class Placement(Strict, frozen=True, kw_only=True):
    """Where a run stands by default: labels of the reader and the server, and the reader's access network."""

    reader: str = "domestic"
    server: str = "hosting-suspect"
    segment: str = "fixed"


class Control(Strict, frozen=True, kw_only=True):
    """What must come of one known fetch: of `path` from `site`, or through `subject`'s server at the label `server`.

    One trial is one fetch by a freshly started subject after everything lasting has passed. For the blocked control,
    `rule` must have acted in it, in the `expected_rate` of trials that the cell's interval allows; a rate of 0 says
    that the rule must not act here. A pass control must always succeed.
    """

    subject: str
    site: str = ""
    server: str = ""
    segment: str = ""
    path: str = "/64k.bin"
    rule: str = ""
    expected_rate: float = 1.0
    note: str = ""


class Controls(Strict, frozen=True, kw_only=True):
    """The two controls: what this profile blocks, and what it leaves open."""

    blocked: Control
    pass_: Control = msgspec.field(name="pass")


class Link(Strict, frozen=True, kw_only=True):
    """How one direction of the provider's line behaves, and what that rests on."""

    model: LinkModel
    source: str
    grade: Grade
    note: str = ""


class Links(Strict, frozen=True, kw_only=True):
    """The two directions: towards the reader, and away from it."""

    in_: Link | None = msgspec.field(name="in", default=None)
    out: Link | None = None


class Fragments(Strict, frozen=True, kw_only=True):
    """What this censor does with IP fragments, and what that rests on."""

    policy: FragmentPolicy
    source: str
    grade: Grade
    note: str = ""


class Change(Strict, frozen=True, kw_only=True):
    """Rules switched on or off, and parameters set: `set` maps `RULE.parameter` to a value."""

    name: str
    about: str
    rules_on: tuple[str, ...] = ()
    rules_off: tuple[str, ...] = ()
    set_: dict[str, Any] = msgspec.field(name="set", default_factory=dict)


class Cell(Change, frozen=True, kw_only=True):
    """One state of a scheduled or split profile: a time of day, an access network, settings of kernels.

    `controls` replaces the profile's where they differ.
    """

    hours_at: float | None = None
    segment: str = ""
    sysctl: dict[str, str] = {}
    links: Links | None = None
    controls: Controls | None = None


class Variant(Change, frozen=True, kw_only=True):
    """Another reading of the sources, where two disagree; what it changes, and who says so."""

    source: str
    grade: Grade


class Profile(Strict, frozen=True, kw_only=True):
    """A whole censor: what stands in the path, in order, and under which conditions a verdict about it holds."""

    schema_: str = msgspec.field(name="schema")
    id: str
    version: int
    summary: str
    ipv6: Literal["same", "absent", "withdrawn"]
    placement: Placement = Placement()
    names: dict[str, tuple[str, ...]] = {}
    sysctl: dict[str, str] = {}
    time_of_day: float = 12.0
    fragments: Fragments | None = None
    links: Links | None = None
    rules: tuple[Rule, ...]
    controls: Controls
    cells: tuple[Cell, ...] = ()
    variants: tuple[Variant, ...] = ()

    def rule(self, rule_id: str) -> Rule:
        """The rule called `rule_id`; `ProfileError` names those there are."""
        for rule in self.rules:
            if rule.id == rule_id:
                return rule
        raise ProfileError(
            f"profile {self.id!r} has no rule {rule_id!r}; it has: {', '.join(r.id for r in self.rules)}"
        )

    def cell(self, name: str) -> Cell:
        """The cell called `name`; `ProfileError` names those there are."""
        for cell in self.cells:
            if cell.name == name:
                return cell
        there = ", ".join(cell.name for cell in self.cells) or "none"
        raise ProfileError(f"profile {self.id!r} has no cell {name!r}; it has: {there}")

    def variant(self, name: str) -> Variant:
        """The variant called `name`; `ProfileError` names those there are."""
        for variant in self.variants:
            if variant.name == name:
                return variant
        there = ", ".join(variant.name for variant in self.variants) or "none"
        raise ProfileError(f"profile {self.id!r} has no variant {name!r}; it has: {there}")

    @property
    def longest_residual_s(self) -> float:
        """How long the longest after-effect of any rule lasts: what the lab clock must pass between two trials."""
        longest = [seconds for rule in self.rules for seconds in rule.lasting().values()]
        changes: tuple[Change, ...] = (*self.cells, *self.variants)
        for change in changes:
            for key, value in change.set_.items():
                rule_id, _, name = key.partition(".")
                if name in self.rule(rule_id).lasting():
                    longest.append(float(value))
        return max(longest, default=0.0)

    @property
    def behaviour(self) -> str:
        """A digest of everything that decides what this profile does, and of nothing that only says why.

        When it changes, so must `version`: results name a profile by its version.
        """
        rules = []
        for rule in self.rules:
            gates = {name: getattr(rule, name) for name in _GATES}
            params = {name: parameter.value for name, parameter in rule.parameters().items()}
            rules.append([rule.id, rule.kind, gates, rule.share.value if rule.share else 1.0, params])
        changes: tuple[Change, ...] = (*self.cells, *self.variants)
        cells = [[cell.hours_at, cell.segment, cell.sysctl, _models(cell.links)] for cell in self.cells]
        told = [
            *(self.id, self.ipv6, self.placement, self.names, self.sysctl, self.time_of_day, rules, cells),
            *(_models(self.links), self.fragments.policy if self.fragments else None),
            [[change.name, change.rules_on, change.rules_off, change.set_] for change in changes],
        ]
        return hashlib.sha256(msgspec.json.encode(told, order="deterministic")).hexdigest()

    @property
    def grades(self) -> dict[Grade, int]:
        """How many parameters rest on what: {grade: count}, best grade first, the rules' own grades included."""
        found = [rule.grade for rule in self.rules]
        for rule in self.rules:
            found += [parameter.grade for parameter in rule.parameters().values()]
            found += [rule.share.grade] if rule.share else []
        return {grade: found.count(grade) for grade in GRADES if grade in found}

    @property
    def grade_summary(self) -> str:
        """The same in words short enough for a list: `P 4, C 11, T 2`."""
        return ", ".join(f"{grade} {count}" for grade, count in self.grades.items())


def _models(links: Links | None) -> list[LinkModel | None]:
    """How both directions of a line behave."""
    return [link.model if link else None for link in (links.in_, links.out)] if links else []


def is_parameter(value: Any) -> bool:  # noqa: ANN401 - whatever TOML holds
    """Whether a value of `params` is a table that carries its own source and grade."""
    return isinstance(value, dict) and "value" in value and "grade" in value


def is_rule_id(text: str) -> bool:
    """Whether a rule is called by an entry of the catalogue."""
    return _RULE_ID.fullmatch(text) is not None
