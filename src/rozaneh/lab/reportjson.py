"""The report as one JSON object, schema `rozaneh.lab.report/1`, and the wider record the page is made from.

The report's keys and words are fixed: programs of other people read them. Everything else a run knows (seeds,
versions, controls with their intervals, timelines) is in `run.json`, schema `rozaneh.lab.run/1`, beside it.
"""

from __future__ import annotations

import os
import platform
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from rozaneh import __version__
from rozaneh.lab import verdict
from rozaneh.lab.cellfile import Config, Result
from rozaneh.lab.matrix import Asked, Job
from rozaneh.lab.report import timeline
from rozaneh.lab.report.timeline import Timeline
from rozaneh.lab.scenarios import Scenario
from rozaneh.lab.trials import Trial
from rozaneh.lab.verdict import Act, Control, Verdict

SCHEMA = "rozaneh.lab.report/1"
RUN_SCHEMA = "rozaneh.lab.run/1"


class ProfileVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A profile that was used."""

    id: str
    version: int


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One cell of the report.

    Attributes:
        placement: Where reader and server stood, and the profile's variant when it has several.
        trials: Trials that were run; three failures from the start end a cell.
        connected: Trials in which at least one byte of an answer arrived.
        p50_s: Median seconds of the trials that came through; null when none did.
        p95_s: The time within which 95 % of them came through.
        bytes_ok: Trials in which every byte arrived and the hash was right.
        cause: The id of the rule that acted. Otherwise words: why it was not run, what failed without a rule acting.
        control_blocked: Whether what this profile blocks was blocked in this run; null when there is no such control
            or it was not run.
        control_passed: The same for what it leaves open.
    """

    profile: str
    subject: str
    placement: str
    trials: int
    connected: int
    p50_s: float | None
    p95_s: float | None
    bytes_ok: int
    verdict: Verdict
    cause: str
    control_blocked: bool | None
    control_passed: bool | None


class JudgeRow(msgspec.Struct, frozen=True, kw_only=True):
    """What one judge said of one subject's flows in a world without a censor."""

    judge: str
    subject: str
    flagged: int
    of: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The JSON object."""

    schema_: str = msgspec.field(name="schema", default=SCHEMA)
    profiles: tuple[ProfileVersion, ...]
    cells: tuple[Cell, ...]
    judges: tuple[JudgeRow, ...]


class Detail(msgspec.Struct, frozen=True, kw_only=True):
    """What `run.json` says of a cell beyond the report: how it was run, and the telling trial's timeline.

    `not_simulated` counts replays the prober did not make, because the lab's clock had passed the server's own window.
    """

    cell: Cell
    variant: str
    seed: int
    slow: bool
    seconds: float
    errors: tuple[str, ...]
    acts: dict[str, int]
    timeline: Timeline
    not_simulated: int = 0


class ControlRow(msgspec.Struct, frozen=True, kw_only=True):
    """One control of one profile, with its figures."""

    profile: str
    variant: str
    placement: str
    control: Control


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of a run; what the page shows."""

    schema_: str = msgspec.field(name="schema", default=RUN_SCHEMA)
    made: str
    seed: int
    trials: int
    versions: dict[str, str]
    profiles: tuple[ProfileVersion, ...]
    subjects: tuple[str, ...]
    cells: tuple[Detail, ...]
    controls: tuple[ControlRow, ...]
    judges: tuple[JudgeRow, ...]
    judge_errors: dict[str, str] = {}


def build(
    asked: Asked,
    profiles: Sequence[tuple[str, int]],
    jobs: Sequence[Job],
    results: Mapping[str, Result],
    moment: float | None = None,
) -> Run:
    """Puts the results of a run together, in the order of its jobs."""
    details: list[Detail] = []
    controls: list[ControlRow] = []
    judges: list[JudgeRow] = []
    judge_errors: dict[str, str] = {}
    versions = _versions()
    for job in jobs:
        result = results.get(job.config.name)
        if result is None:
            continue
        versions.update(sorted(result.versions.items()))
        config = job.config
        match config.kind:
            case "controls":
                controls += [_control_row(config, control) for control in result.controls]
            case "judges":
                for one in result.judges:
                    if one.error:
                        judge_errors[f"{one.judge}, {config.subject}"] = one.error
                    else:
                        judges.append(JudgeRow(judge=one.judge, subject=config.subject, flagged=one.flagged, of=one.of))
                if not result.judges:
                    judge_errors[config.subject] = result.cause or "nothing was judged"
            case "cell":
                details.append(_detail(result, results.get(job.after)))
    return Run(
        made=_made(moment),
        seed=asked.seed,
        trials=asked.trials,
        versions=versions,
        profiles=tuple(ProfileVersion(id=name, version=version) for name, version in profiles),
        subjects=asked.subjects,
        cells=tuple(details),
        controls=tuple(controls),
        judges=tuple(judges),
        judge_errors=judge_errors,
    )


def report(run: Run) -> Report:
    """The JSON object of a run."""
    return Report(profiles=run.profiles, cells=tuple(detail.cell for detail in run.cells), judges=run.judges)


def content(made: Report) -> dict[str, Any]:
    """The report without its schema, as the command line prints it."""
    built: dict[str, Any] = msgspec.to_builtins(made)
    del built["schema"]
    return built


def save(run: Run, folder: Path) -> None:
    """Writes `report.json` and `run.json`, each in one step."""
    for name, value in (("report.json", report(run)), ("run.json", run)):
        temporary = folder / f".{name}"
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n")
        temporary.replace(folder / name)


def _control_row(config: Config, control: Control) -> ControlRow:
    return ControlRow(profile=config.profile, variant=config.variant, placement=config.placement, control=control)


def _detail(result: Result, controls: Result | None) -> Detail:
    config = result.config
    shared = controls.controls if controls else ()
    errors = list(dict.fromkeys(trial.error for trial in result.trials if trial.error))
    cell = Cell(
        profile=config.profile,
        subject=config.subject,
        placement=config.placement,
        trials=len(result.trials),
        connected=sum(trial.connected for trial in result.trials),
        p50_s=_rounded(verdict.seconds(result.trials, 0.5)),
        p95_s=_rounded(verdict.seconds(result.trials, 0.95)),
        bytes_ok=sum(trial.ok for trial in result.trials),
        verdict=result.verdict,
        cause=result.cause,
        control_blocked=_met("blocked", shared),
        control_passed=_met("pass", (*shared, *result.controls)),
    )
    return Detail(
        cell=cell,
        variant=config.variant,
        seed=config.seed,
        slow=result.slow,
        seconds=result.seconds,
        errors=tuple(errors[:3]),
        acts=result.acts,
        timeline=result.timeline,
        not_simulated=int(result.router.get("replays_not_simulated", 0)),
    )


def _met(kind: Literal["blocked", "pass"], controls: Sequence[Control]) -> bool | None:
    """Whether all controls of this kind are met; None without any."""
    found = [control.met for control in controls if control.kind == kind]
    return all(found) if found else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


# --- scenarios


def of_scenario(
    summary: Mapping[str, Any],
    scenario: Scenario,
    placement: str,
    acts: Sequence[Act] = (),
    moment: float | None = None,
) -> Run:
    """A scenario's outcome in the report's words: each page is a cell, opened directly and through the edge.

    The control of what came through the edge is the same page without it. `acts` are the router's, for the timelines.
    """
    found = []
    for page in summary["pages"]:
        name = urlsplit(page["url"]).hostname or ""
        for way in ("direct", "edge"):
            one = page[way]
            works = one["verdict"] == "works"
            cell = Cell(
                profile=scenario.name,
                subject=f"{way} {page['url']}",
                placement=placement,
                trials=1,
                connected=int(works or bool(one["status"])),
                p50_s=one["seconds"] if works else None,
                p95_s=one["seconds"] if works else None,
                bytes_ok=int(works),
                verdict=one["verdict"],
                cause=one.get("rule", "") or one["error"],
                control_blocked=page["direct"]["verdict"] == "blocked" if way == "edge" else None,
                control_passed=None,
            )
            trial = Trial(phase="", ok=works)
            mine = [act for act in acts if way == "direct" and (act["rule"] == cell.cause or name in str(act["why"]))]
            found.append(
                Detail(
                    cell=cell,
                    variant="",
                    seed=scenario.seed,
                    slow=False,
                    seconds=one["seconds"],
                    errors=(one["error"],) if one["error"] else (),
                    acts=dict(Counter(str(act["rule"]) for act in mine)),
                    timeline=timeline.build([trial], [{**act, "phase": ""} for act in mine]),
                )
            )
    versions = {**_versions(), "browser": str(summary.get("browser", ""))}
    return Run(
        made=_made(moment),
        seed=scenario.seed,
        trials=1,
        versions={name: value for name, value in versions.items() if value},
        profiles=(),
        subjects=("direct", "edge"),
        cells=tuple(found),
        controls=(),
        judges=(),
    )


def _versions() -> dict[str, str]:
    return {
        "rozaneh": __version__,
        "python": platform.python_version(),
        "kernel": platform.release(),
        "machine": f"{platform.machine()}, {os.cpu_count()} processors",
    }


def _made(moment: float | None) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() if moment is None else moment))
