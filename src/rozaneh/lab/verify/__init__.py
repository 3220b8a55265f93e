"""The lab tested before anything is tested in it: each topic holds the censors against what their sources state.

A topic is a module here with `checks(seed)`, which yields `base.Check`s. Whoever adds a topic adds a file; nothing
registers it. Topics need neither root nor network: they send crafted packets through chains with a virtual clock.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from types import ModuleType

from rozaneh.lab.verify.base import Check

_SHARED = frozenset({"base"})


@dataclass(frozen=True, slots=True)
class Result:
    """One check and the topic it belongs to."""

    topic: str
    check: Check


def topics() -> list[str]:
    """The topics there are: every module here with `checks`, in order of name."""
    return [name for name in _modules() if callable(getattr(_module(name), "checks", None))]


def about(topic: str) -> str:
    """What a topic tests, in one line."""
    return (_module(topic).__doc__ or "").partition("\n")[0]


def run(seed: int = 0, only: Iterable[str] | None = None) -> Iterator[Result]:
    """Every check of every topic (or of those in `only`), as it is done.

    A topic that raises yields one failed check that says so: what could not be measured does not count as faithful.
    `ValueError` names a topic that is not there.
    """
    there = topics()
    wanted = there if only is None else list(only)
    for topic in wanted:
        if topic not in there:
            raise ValueError(f"there is no topic {topic!r}; there are: {', '.join(there)}")
    for topic in wanted:
        yield from _run(topic, seed)


def _run(topic: str, seed: int) -> Iterator[Result]:
    function: Callable[[int], Iterator[Check]] = _module(topic).checks
    number = 0
    try:
        for check in function(seed):
            number += 1
            # A comparison of numbers from a library may give a truth value that JSON cannot write.
            yield Result(topic, replace(check, ok=bool(check.ok)))
    except Exception as error:  # noqa: BLE001 - a broken topic must be seen as failed, whatever broke it
        failure = Check("the topic runs to its end", topic, "no exception", repr(error), ok=False)
        yield Result(topic, failure)
        return
    if not number:
        yield Result(topic, Check("the topic checks something", topic, "at least one check", "none", ok=False))


def _modules() -> list[str]:
    found = (module.name for module in pkgutil.iter_modules(__path__) if not module.ispkg)
    return sorted(name for name in found if name not in _SHARED and not name.startswith("_"))


def _module(topic: str) -> ModuleType:
    return importlib.import_module(f"{__name__}.{topic}")
