"""Ready profiles: a country's censor at a time, as data, and what turns it into rules for a world.

Each is one TOML file here (the shape: `model`); `load` reads and checks one, `rules_for` gives the router its rules,
`world_for` the world it stands in. `all` in commands means `names()`.
"""

from __future__ import annotations

import tomllib

import msgspec

from rozaneh.lab.datafiles import DataFiles
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


_FILES = DataFiles(__name__, "profile", ProfileError)


def names() -> list[str]:
    """The enforcing profiles that come with the lab."""
    return sorted(
        _FILES.names(), key=lambda name: (_ORDER.index(name[:2]) if name[:2] in _ORDER else len(_ORDER), name)
    )


def load(name: str) -> Profile:
    """The profile called `name`, or the one in the file at that path when it ends in .toml."""
    return parse(_FILES.text(name))


def parse(text: str) -> Profile:
    """Reads and checks a profile; `ProfileError` says where it does not fit."""
    try:
        profile = msgspec.convert(tomllib.loads(text), Profile)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ProfileError(str(error)) from error
    check(profile)
    return profile
