"""Many cells: which ones a run has, how they are worked off several at a time, and how an interrupted run goes on.

A run is a folder. `plan.json` holds what was asked for, `cells/NAME.json` each finished job, `report.json` and
`index.html` what came of it. A cell waits most of its time, so twice as many run at once as there are processors.
Nothing outlives this process: every job is a child that the kernel kills with us, and on Ctrl-C they are killed first.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import select
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from rozaneh.lab import cellfile, judges, usercensor, worlds
from rozaneh.lab import profiles as all_profiles
from rozaneh.lab import subjects as all_subjects
from rozaneh.lab.cellfile import Config, Result
from rozaneh.lab.profiles import Profile
from rozaneh.lab.subjects import Subject
from rozaneh.lab.trials import DEFAULT_TRIALS

PLAN_SCHEMA = "rozaneh.lab.plan/1"
# Not a censor: it has the judges look at each tool's traffic. Part of `all`.
JUDGE = "judge"

# What says nothing about the subject is tried again when a run goes on.
_AGAIN = ("error", "lab_invalid", "not_run")
# Beside the trials' own limits: starts, stops and controls of a job.
_OVERHEAD_S = 300.0
_START_S = 60.0
_LOG_TAIL = 300

Say = Callable[[str], None]


class MatrixError(ValueError):
    """A run's folder does not fit what is asked; the text says how."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One job and the name of the controls it waits for; controls that are not met make it `lab_invalid`."""

    config: Config
    after: str = ""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a run was asked for, as its folder keeps it."""

    schema_: str = msgspec.field(name="schema", default=PLAN_SCHEMA)
    profiles: tuple[str, ...]
    subjects: tuple[str, ...]
    judges: tuple[str, ...] = ()
    censor: str = ""
    server_at: str = ""
    trials: int = DEFAULT_TRIALS
    seed: int = 0
    changes: dict[str, Any] = {}


def ask(
    *,
    profiles: str | None = None,
    subjects: str | None = None,
    censor: Path | None = None,
    server_at: str | None = None,
    trials: int | None = None,
    seed: int | None = None,
    changes: Sequence[str] | None = None,
) -> Asked:
    """What a command line asks for, checked: lists with commas, `all`, `judge`, values as TOML writes them."""
    known = all_profiles.names()
    named = _split(profiles) or ([cellfile.NO_PROFILE] if censor else [])
    if not named:
        raise MatrixError("there is no censor: give `--profile` or `--censor`")
    chosen: list[str] = []
    for name in named:
        chosen += known if name == "all" else [_own_file(name)]
    tools: list[str] = []
    for name in _split(subjects):
        tools += all_subjects.names() if name == "all" else [_own_file(name)]
    if not tools:
        raise MatrixError("there is no tool to try: give `--subject`")
    judging = JUDGE in chosen or "all" in named
    if server_at and server_at not in worlds.PLACEMENTS:
        raise MatrixError(f"there is no place {server_at!r}; there are: {', '.join(worlds.PLACEMENTS)}")
    if censor:
        usercensor.load(str(censor.absolute()))
    return Asked(
        profiles=tuple(dict.fromkeys(name for name in chosen if name != JUDGE)),
        subjects=tuple(dict.fromkeys(tools)),
        judges=tuple(judges.names()) if judging else (),
        censor=str(censor.absolute()) if censor else "",
        server_at=server_at or "",
        trials=trials or DEFAULT_TRIALS,
        seed=seed or 0,
        changes=dict(_change(text) for text in changes or ()),
    )


def _split(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _own_file(name: str) -> str:
    """A name as it is; a file's path so that it also holds from elsewhere."""
    return str(Path(name).absolute()) if name.endswith(".toml") else name


def _change(text: str) -> tuple[str, Any]:
    """`RULE.PARAMETER=VALUE`; the value as TOML writes it, or else a text."""
    key, found, value = text.partition("=")
    if not found or "." not in key:
        raise MatrixError(f"{text!r} is not RULE.PARAMETER=VALUE")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value


# Where a subject's server stands in a world without a profile.
_NO_PLACE = ("domestic", "hosting-clean")


def jobs(asked: Asked) -> list[Job]:
    """Every job of a run, in the report's order: each profile's controls, then its cells, then the judges."""
    found: list[Job] = []
    named = [_load(name)[0] for name in asked.profiles if name != cellfile.NO_PROFILE]
    for key in asked.changes:
        if not any(key.partition(".")[0] == rule.id for profile in named for rule in profile.rules):
            raise MatrixError(f"no profile of this run has the rule of {key!r}")
    chosen = [(name, all_subjects.load(name)) for name in asked.subjects]
    for name in asked.profiles:
        if name != cellfile.NO_PROFILE:
            found += _of_profile(asked, name, chosen)
            continue
        base = _base(asked, cellfile.NO_PROFILE, _NO_PLACE)
        found += [Job(config=_cell(asked, base, given, subject)) for given, subject in chosen]
    if asked.judges:
        base = replace(_base(asked, cellfile.NO_PROFILE, _NO_PLACE), kind="judges", judges=asked.judges, censor="")
        found += [Job(config=_cell(asked, base, given, subject)) for given, subject in chosen]
    return found


def versions(asked: Asked) -> list[tuple[str, int]]:
    """The profiles of a run and their versions."""
    named = [name for name in asked.profiles if name != cellfile.NO_PROFILE]
    return list(dict.fromkeys((profile.id, profile.version) for profile in (_load(name)[0] for name in named)))


def _load(given: str) -> tuple[Profile, str]:
    """The profile meant by `P` or `P:READING`, and the reading: one of its variants, where sources disagree."""
    name, _, reading = given.partition(":")
    profile = all_profiles.load(name)
    if reading:
        profile.variant(reading)
    return profile, reading


def _of_profile(asked: Asked, given: str, chosen: Sequence[tuple[str, Subject]]) -> list[Job]:
    """The controls and cells of one profile, in each of its states."""
    found: list[Job] = []
    profile, reading = _load(given)
    placement = (profile.placement.reader, profile.placement.server)
    for variant in [cell.name for cell in profile.cells] or [""]:
        base = replace(
            _base(asked, f"{profile.id}:{reading}" if reading else profile.id, placement),
            profile_file=_file(given.partition(":")[0]),
            reading=reading,
            changes=_changes_for(asked, profile),
            profile_digest=_digest(msgspec.json.encode(profile, order="deterministic")),
            variant=variant,
        )
        # Controls belong to the profile: they stand where it says, whatever --server-at says of the subjects.
        controls = replace(base, kind="controls", censor="", censor_digest="", server_at=placement[1], trials=0)
        controls = replace(controls, seed=seed_of(asked.seed, controls.name))
        found.append(Job(config=controls))
        found += [Job(config=_cell(asked, base, name, subject), after=controls.name) for name, subject in chosen]
    return found


def _changes_for(asked: Asked, profile: Profile) -> dict[str, Any]:
    """Those of the run's changes that are about a rule of this profile."""
    rules = {rule.id for rule in profile.rules}
    return {key: value for key, value in asked.changes.items() if key.partition(".")[0] in rules}


def _base(asked: Asked, profile: str, placement: tuple[str, str]) -> Config:
    censor = Path(asked.censor) if asked.censor else None
    return Config(
        kind="cell",
        profile=profile,
        reader_at=placement[0],
        server_at=asked.server_at or placement[1],
        censor=asked.censor,
        censor_digest=_digest(censor.read_bytes()) if censor else "",
        trials=asked.trials,
    )


def _cell(asked: Asked, base: Config, given: str, subject: Subject) -> Config:
    config = replace(
        base,
        subject=subject.name,
        subject_file=_file(given),
        subject_digest=_digest(msgspec.json.encode(subject, order="deterministic")),
    )
    return replace(config, seed=seed_of(asked.seed, config.name))


def _file(given: str) -> str:
    return given if given.endswith(".toml") else ""


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def keep(asked: Asked, folder: Path) -> None:
    """Starts a run in `folder`, which must hold none."""
    if (folder / "plan.json").exists():
        raise MatrixError(f"there is a run in `{folder}` already")
    (folder / "cells").mkdir(parents=True, exist_ok=True)
    (folder / "logs").mkdir(exist_ok=True)
    temporary = folder / ".plan.json"
    temporary.write_bytes(msgspec.json.format(msgspec.json.encode(asked), indent=1) + b"\n")
    temporary.replace(folder / "plan.json")


def kept(folder: Path) -> Asked:
    """What the run in `folder` was asked for."""
    try:
        asked = msgspec.json.decode((folder / "plan.json").read_bytes(), type=Asked)
    except (OSError, msgspec.DecodeError) as error:
        raise MatrixError(f"there is no run in `{folder}`") from error
    if asked.schema_ != PLAN_SCHEMA:
        raise MatrixError(f"the run in `{folder}` was made by another version")
    (folder / "cells").mkdir(exist_ok=True)
    (folder / "logs").mkdir(exist_ok=True)
    return asked


def seed_of(seed: int, name: str) -> int:
    """A job's own seed: the same for the same run and job, whatever else the run holds."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:4], "big")


def finished(jobs: Sequence[Job], folder: Path) -> dict[str, Result]:
    """The results in `folder` that still count: the same settings, and a verdict that says something."""
    found = {}
    for job in jobs:
        result = cellfile.read(folder / "cells" / f"{job.config.name}.json")
        if result and result.digest == job.config.digest() and result.verdict not in _AGAIN:
            found[job.config.name] = result
    return found


def command(config: Path, out: Path) -> list[str]:
    """The command that works off one job."""
    return [sys.executable, "-m", "rozaneh.lab.cells", str(config), str(out), str(os.getpid())]


def run(
    jobs: Sequence[Job],
    folder: Path,
    workers: int,
    say: Say,
    make_command: Callable[[Path, Path], list[str]] = command,
) -> dict[str, Result]:
    """Works off `jobs`, those first that others wait for, and returns all results by name."""
    names = [job.config.name for job in jobs]
    if len(set(names)) != len(names):
        raise MatrixError("two jobs of the run have the same name")
    with _alone(folder):
        queue = _Queue(jobs, folder, say, make_command)
        try:
            while queue.step(max(1, workers)):
                pass
        finally:
            queue.end()
    return queue.results


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Holds the run's folder; the kernel lets go of it when this process ends, however it ends."""
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise MatrixError(f"another process works on the run in `{folder}`") from error
        yield


class _Running:
    """One child process."""

    def __init__(self, job: Job, process: subprocess.Popen[bytes], out: Path, log: Path, limit: float) -> None:
        self.job = job
        self.process = process
        self.out = out
        self.log = log
        self.limit = limit
        self.descriptor = os.pidfd_open(process.pid)

    def close(self) -> int:
        """Ends it if it still runs; its exit code."""
        if self.process.poll() is None:
            signal.pidfd_send_signal(self.descriptor, signal.SIGKILL)
        code = self.process.wait()
        os.close(self.descriptor)
        return code


class _Queue:
    """What waits, what runs, what is done."""

    def __init__(
        self, jobs: Sequence[Job], folder: Path, say: Say, make_command: Callable[[Path, Path], list[str]]
    ) -> None:
        self.results = finished(jobs, folder)
        self._all = len(jobs)
        self._waiting = [job for job in jobs if job.config.name not in self.results]
        self._names = {job.config.name for job in jobs}
        # Controls first: whoever waits for them would otherwise hold the rest up.
        self._waiting.sort(key=lambda job: job.config.kind != "controls")
        self._folder = folder
        self._say = say
        self._command = make_command
        self._running: dict[int, _Running] = {}
        self._poller = select.poll()
        self._began = time.monotonic()
        self._worked = 0
        self._worked_s = 0.0
        self._workers = 1
        if self.results:
            say(f"{len(self.results)} of {self._all} were finished before")

    def step(self, workers: int) -> bool:
        """Starts what can start and waits for the next end; False when nothing is left."""
        self._workers = workers
        self._start(workers)
        if not self._running:
            return bool(self._waiting)
        left = min(running.limit for running in self._running.values()) - time.monotonic()
        ended = {descriptor for descriptor, _ in self._poller.poll(max(0.0, left) * 1000)}
        now = time.monotonic()
        for descriptor, running in list(self._running.items()):
            if descriptor in ended or now >= running.limit:
                self._take(descriptor, running, timed_out=descriptor not in ended)
        return bool(self._running or self._waiting)

    def end(self) -> None:
        """Kills what still runs."""
        for descriptor, running in list(self._running.items()):
            self._poller.unregister(descriptor)
            running.close()
        self._running.clear()
        # Also of a child that Ctrl-C met before it stood in the list: the kernel ends that one with us.
        for left in (self._folder / "cells").glob(".*"):
            left.unlink(missing_ok=True)

    def _start(self, workers: int) -> None:
        for job in list(self._waiting):
            if len(self._running) >= workers:
                return
            controls = self.results.get(job.after)
            if job.after in self._names and controls is None:
                continue
            self._waiting.remove(job)
            if controls is not None and controls.verdict != "works":
                # `not_run` controls (a program is missing) say as little about a censor as controls that failed.
                why = f"controls: {controls.cause}"
                self._done(job, cellfile.without_a_run(job.config, "lab_invalid", why))
                continue
            self._spawn(job)

    def _spawn(self, job: Job) -> None:
        name = job.config.name
        config = self._config_file(job)
        config.write_bytes(msgspec.json.encode(job.config))
        out, log = self._folder / "cells" / f"{name}.json", self._folder / "logs" / f"{name}.log"
        out.unlink(missing_ok=True)
        with log.open("wb") as stream:
            process = subprocess.Popen(
                self._command(config, out),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                # Ctrl-C is for us alone; we end the children.
                process_group=0,
            )
        running = _Running(job, process, out, log, time.monotonic() + limit_s(job.config))
        self._running[running.descriptor] = running
        self._poller.register(running.descriptor, select.POLLIN)

    def _config_file(self, job: Job) -> Path:
        return self._folder / "cells" / f".{job.config.name}.config.json"

    def _take(self, descriptor: int, running: _Running, timed_out: bool) -> None:
        """Reads what a child left."""
        self._poller.unregister(descriptor)
        del self._running[descriptor]
        code = running.close()
        config = running.job.config
        self._config_file(running.job).unlink(missing_ok=True)
        result = None if timed_out else cellfile.read(running.out)
        if result is None:
            wrote = running.log.read_text(encoding="utf-8", errors="replace").strip()
            ending = "took longer than its limits allow" if timed_out else f"ended with {code}"
            last = wrote.splitlines()[-1][-_LOG_TAIL:] if wrote else "it wrote nothing"
            result = cellfile.without_a_run(config, "error", f"the cell's process {ending}: {last}")
        elif result.verdict not in _AGAIN:
            running.log.unlink(missing_ok=True)
        self._worked += 1
        self._worked_s += result.seconds
        self._done(running.job, result)

    def _done(self, job: Job, result: Result) -> None:
        config = job.config
        cellfile.write(result, self._folder / "cells" / f"{config.name}.json")
        self.results[config.name] = result
        what = " against ".join(part for part in (config.profile, config.subject or config.kind) if part)
        variant = f" ({config.variant})" if config.variant else ""
        word = {"works": "met", "lab_invalid": "NOT met"}.get(result.verdict, result.verdict)
        verdict = word if config.kind == "controls" else "judged" if config.kind == "judges" else result.verdict
        cause = f": {result.cause}" if result.cause else ""
        count = f"[{len(self.results):{len(str(self._all))}}/{self._all}]"
        self._say(f"{count} {what}{variant}: {verdict}{cause}, {result.seconds:.0f} s{self._left()}")

    def _left(self) -> str:
        """How long the rest may take, from what the jobs so far took."""
        rest = self._all - len(self.results)
        if not rest or not self._worked:
            return ""
        minutes = self._worked_s / self._worked * rest / self._workers / 60
        return f"; about {minutes:.0f} min left" if minutes >= 1 else "; less than a minute left"


def limit_s(config: Config) -> float:
    """How long a job can take when every one of its limits is used up."""
    whole = max(2 * config.whole_s, config.slow_whole_s) if config.kind != "controls" else 2 * config.whole_s
    return _OVERHEAD_S + max(config.trials, 100 if config.kind == "controls" else 0) * (whole + _START_S)
