"""Ready profiles: a country's censor at a time, as data, and what turns it into rules for a world.

Each is one TOML file here (the shape: `model`); `load` reads and checks one, `rules_for` gives the router its rules,
`world_for` the world it stands in. `all` in commands means `names()`.
"""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path

import msgspec

from rozaneh.lab.profiles.checks import check, check_in
from rozaneh.lab.profiles.explanation import Explanation, explain
from rozaneh.lab.profiles.model import (
    GRADES,
    Cell,
    Control,
    Controls,
    Grade,
    Parameter,
    Placement,
    Profile,
    ProfileError,
    Rule,
    Variant,
)
from rozaneh.lab.profiles.resolve import Conditions, rules_for, world_changes, world_for

__all__ = [
    "GRADES",
    "Cell",
    "Conditions",
    "Control",
    "Controls",
    "Explanation",
    "Grade",
    "Parameter",
    "Placement",
    "Profile",
    "ProfileError",
    "Rule",
    "Variant",
    "check_in",
    "explain",
    "load",
    "names",
    "parse",
    "rules_for",
    "world_changes",
    "world_for",
]

# The order of the catalogue: a country's profiles from the oldest to the newest.
_ORDER = ("ir", "ru", "cn")


def names() -> list[str]:
    """The enforcing profiles that come with the lab."""
    found = (entry.name[:-5] for entry in resources.files(__package__).iterdir() if entry.name.endswith(".toml"))
    return sorted(found, key=lambda name: (_ORDER.index(name[:2]) if name[:2] in _ORDER else len(_ORDER), name))


def load(name: str) -> Profile:
    """The profile called `name`, or the one in the file at that path when it ends in .toml."""
    if name.endswith(".toml"):
        return parse(Path(name).read_text(encoding="utf-8"))
    if name not in names():
        raise ProfileError(f"there is no profile called {name!r}; there are: {', '.join(names())}")
    return parse(resources.files(__package__).joinpath(f"{name}.toml").read_text(encoding="utf-8"))


def parse(text: str) -> Profile:
    """Reads and checks a profile; `ProfileError` says where it does not fit."""
    try:
        profile = msgspec.convert(tomllib.loads(text), Profile)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ProfileError(str(error)) from error
    check(profile)
    return profile
