"""Judges: programs that look at captured traffic and say which flows, and which hosts, they take for tunnels.

`names()` are those there are, `run(name, capture)` asks one. A capture is what the lab's router wrote; `wanted` narrows
it to the flows of one subject. ML-06 of the catalogue judges servers, not captures: it is `rozaneh.lab.prober`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from rozaneh.lab.judges import base, hosts
from rozaneh.lab.judges.base import Flagged, Judgement

# In the order reports show them: other people's program first, then ours.
_NAMES = ("ndpi", "ja4", "ml01", "ml02", "ml07", "ml08")

__all__ = ["Flagged", "Judgement", "about", "missing", "names", "run"]


def names() -> list[str]:
    """The judges there are."""
    return list(_NAMES)


def about(name: str) -> str:
    """What a judge does, in one line."""
    return (_module(name).__doc__ or "").partition("\n")[0]


def missing(name: str) -> str:
    """Why a judge cannot run here and what helps; empty when it can."""
    function: Callable[[], str] | None = getattr(_module(name), "missing", None)
    return function() if function else ""


def run(
    name: str,
    capture: Path,
    *,
    wanted: Callable[[Flagged], bool] | None = None,
    host_settings: hosts.Settings | None = None,
) -> Judgement:
    """What the judge called `name` says of a capture.

    Args:
        name: One of `names()`; `ValueError` otherwise.
        capture: A file of whole IP packets, as the lab's router writes them.
        wanted: Which verdicts count, by flow, host and time; all without it.
        host_settings: How hosts are judged; by default with the judge's own rate of false positives.
    """
    module = _module(name)
    versioned: Callable[[Path], tuple[list[Flagged], str]] | None = getattr(module, "judge_with_version", None)
    every, version = versioned(capture) if versioned else (module.judge(capture), "")
    verdicts = base.only(every, wanted)
    reckoned = host_settings or hosts.Settings(false_positive=getattr(module, "FALSE_POSITIVE", hosts.DEFAULT))
    return Judgement(name, verdicts, hosts.accumulate(verdicts, reckoned), module.BASIS, version)


def _module(name: str) -> ModuleType:
    if name not in _NAMES:
        raise ValueError(f"there is no judge {name!r}; there are: {', '.join(_NAMES)}")
    return importlib.import_module(f"{__name__}.{name}")
