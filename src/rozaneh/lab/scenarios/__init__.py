"""Scenarios as data: a world, the rules of the censor in it, the pages to open, and what must come of each."""

from __future__ import annotations

import tomllib
from random import Random
from typing import Literal

import msgspec

from rozaneh.lab import censors, worlds
from rozaneh.lab.datafiles import DataFiles
from rozaneh.lab.router import RuleConfig

SCHEMA = "rozaneh.lab.scenario/1"

Verdict = Literal["works", "blocked", "error"]
Subject = Literal["direct", "edge"]


class ScenarioError(ValueError):
    """A scenario's file is not what it must be; the text names the place."""


class Trial(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One page: the rule that blocks it (by id, empty: none), and the verdict expected of each subject."""

    site: str
    url: str
    rule: str = ""
    expect: dict[Subject, Verdict]


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A whole experiment."""

    schema_: str = msgspec.field(name="schema")
    name: str
    summary: str
    world: str
    seed: int = 0
    rules: tuple[RuleConfig, ...]
    trials: tuple[Trial, ...]


_FILES = DataFiles(__name__, "scenario", ScenarioError)


def names() -> list[str]:
    """The scenarios that come with the lab."""
    return _FILES.names()


def load(name: str) -> Scenario:
    """The scenario called `name`, or the one in the file at that path when it ends in .toml."""
    return parse(_FILES.text(name))


def parse(text: str) -> Scenario:
    """Reads and checks a scenario: its world, rules, parameters and trials must fit each other."""
    try:
        scenario = msgspec.convert(tomllib.loads(text), Scenario)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ScenarioError(str(error)) from error
    if scenario.schema_ != SCHEMA:
        raise ScenarioError(f"schema is {scenario.schema_!r}, expected {SCHEMA!r}")
    sites = {site.name for site in worlds.load(scenario.world).sites}
    ids: set[str] = set()
    for rule in scenario.rules:
        if rule.id in ids:
            raise ScenarioError(f"rule {rule.id!r} is there twice")
        ids.add(rule.id)
        try:
            censors.make(rule.kind, rule.params, Random(0))  # noqa: S311 - repeatability is the point
        except (ValueError, OSError) as error:
            raise ScenarioError(f"rule {rule.id!r}: {error}") from error
    for trial in scenario.trials:
        if trial.site not in sites:
            raise ScenarioError(f"there is no site {trial.site!r} in world {scenario.world!r}")
        if trial.rule and trial.rule not in ids:
            raise ScenarioError(f"trial {trial.url!r} names the rule {trial.rule!r}, which is not there")
    return scenario
