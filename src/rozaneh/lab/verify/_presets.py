"""Censors that exist for the faithfulness tests alone: TOML files in `presets`, rules written as a profile's are."""

from __future__ import annotations

import tomllib
from importlib import resources

import msgspec

from rozaneh.lab.profiles.model import Rule, Strict
from rozaneh.lab.rules import RuleConfig

SCHEMA = "rozaneh.lab.preset/1"


class Preset(Strict, frozen=True, kw_only=True):
    """One such censor: what it stands for, and its rules."""

    schema_: str = msgspec.field(name="schema")
    id: str
    summary: str
    rules: tuple[Rule, ...]


def names() -> list[str]:
    """The presets there are."""
    folder = resources.files(__package__).joinpath("presets")
    return sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load(name: str) -> Preset:
    """The preset called `name`; `ValueError` says what is wrong with it."""
    if name not in names():
        raise ValueError(f"there is no preset {name!r}; there are: {', '.join(names())}")
    text = resources.files(__package__).joinpath("presets", f"{name}.toml").read_text(encoding="utf-8")
    preset = msgspec.convert(tomllib.loads(text), Preset)
    if preset.schema_ != SCHEMA or preset.id != name:
        raise ValueError(f"preset {name!r}: schema and id must be {SCHEMA!r} and {name!r}")
    return preset


def rules(name: str) -> list[RuleConfig]:
    """The rules of a preset, as a chain takes them."""
    return [
        RuleConfig(
            id=rule.id,
            kind=rule.kind,
            on_path=rule.on_path,
            params={key: parameter.value for key, parameter in rule.parameters().items()},
        )
        for rule in load(name).rules
    ]
