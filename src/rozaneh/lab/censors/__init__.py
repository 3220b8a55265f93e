"""The censors that come with the lab: one file a kind, each with a class `Censor`, exactly as a user's own file has.

A kind's name is its file's name. Its parameters are data, and its docstring names the catalogue's ids and sources.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from random import Random

from rozaneh.lab.api import Censor, Params

_HELPERS = frozenset({"base"})


@functools.cache
def _kinds() -> tuple[str, ...]:
    # Chains are built by the thousand; the folder is read once.
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in _HELPERS))


def kinds() -> list[str]:
    """The kinds there are."""
    return list(_kinds())


def summary(kind: str) -> str:
    """What a kind does, in one line."""
    return (importlib.import_module(f"{__name__}.{kind}").__doc__ or "").partition("\n")[0]


def make(kind: str, params: Params, rng: Random) -> Censor:
    """A censor of the kind called `kind`; `ValueError` says what is wrong with its name or parameters."""
    if kind not in _kinds():
        raise ValueError(f"there is no censor {kind!r}; there are: {', '.join(kinds())}")
    made: Censor = importlib.import_module(f"{__name__}.{kind}").Censor(params, rng)
    return made
