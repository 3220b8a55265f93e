"""A cell's timeline: what the rules did to the packets of one telling trial, short enough for a page of 300 cells."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from rozaneh.lab.trials import Trial
from rozaneh.lab.verdict import Act

# About 320 cells share one page of a megabyte.
ROWS = 15


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a rule did, `count` times in a row to packets of the same ends; `at` is seconds after the first."""

    at: float
    rule: str
    action: str
    why: str
    packet: str
    count: int = 1


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of one trial; `more` things were done after the last row shown."""

    phase: str = ""
    rows: tuple[Row, ...] = ()
    more: int = 0


def telling(trials: Sequence[Trial], acts: Sequence[Act]) -> str | None:
    """The phase worth showing: the first failed trial a rule acted in, else the first trial one acted in, if any."""
    phases = {str(act.get("phase", "")) for act in acts}
    seen = [trial for trial in trials if trial.phase in phases]
    return next((trial.phase for trial in seen if not trial.ok), seen[0].phase if seen else None)


def build(trials: Sequence[Trial], acts: Sequence[Act], rows: int = ROWS) -> Timeline:
    """The timeline of the telling trial."""
    phase = telling(trials, acts)
    chosen = [act for act in acts if str(act.get("phase", "")) == phase]
    if phase is None or not chosen:
        return Timeline()
    start = float(chosen[0]["time"])
    found: list[Row] = []
    for act in chosen:
        row = Row(
            at=round(float(act["time"]) - start, 3),
            rule=str(act["rule"]),
            action=str(act["action"]),
            why=str(act["why"]),
            packet=str(act["packet"]),
        )
        if found and _same(found[-1], row):
            found[-1] = msgspec.structs.replace(found[-1], count=found[-1].count + 1)
        else:
            found.append(row)
    more = sum(row.count for row in found[rows:])
    return Timeline(phase=phase, rows=tuple(found[:rows]), more=more)


def shorter(timeline: Timeline, rows: int) -> Timeline:
    """The same with at most `rows` rows."""
    left = timeline.rows[rows:]
    return msgspec.structs.replace(
        timeline, rows=timeline.rows[:rows], more=timeline.more + sum(row.count for row in left)
    )


def _same(one: Row, other: Row) -> bool:
    """Whether both are the same thing done to packets with the same ends; their lengths and flags may differ."""
    return (one.rule, one.action, one.why, one.packet.split()[:4]) == (
        other.rule,
        other.action,
        other.why,
        other.packet.split()[:4],
    )
