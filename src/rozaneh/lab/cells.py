"""One cell of the matrix: a profile against a subject, in a world and an operating system process of its own.

Run as `python -m rozaneh.lab.cells CONFIG.json OUT.json [PARENT]`. The process raises the world inside `isolate.run`,
so whatever ends it (also `kill -9`, also the end of its parent) leaves nothing behind, and writes its result in one
step (a temporary name, then a rename): a result file is whole or it is not there.

Three kinds of job have the same shape:

* `controls`: the controls of one profile (in one of its variants and placements), run once for all subjects of the
  matrix, because a rule that acts by chance takes many tries.
* `cell`: one subject's trials. Before them the profile's pass control is tried once in this very world: a world that
  does not even carry what the censor leaves open says nothing.
* `judges`: the subject in a world without a censor; the judges read the capture.
"""

from __future__ import annotations

import os
import platform
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from rozaneh.lab import isolate, judges, linux, profiles, subjects, trials, verdict, worlds
from rozaneh.lab.cellfile import NO_PROFILE, Config, JudgedBy, Result, without_a_run, write
from rozaneh.lab.profiles import Conditions, Profile
from rozaneh.lab.report import timeline
from rozaneh.lab.router import RuleConfig
from rozaneh.lab.services import blob
from rozaneh.lab.subjects import Subject, programs, running
from rozaneh.lab.trials import File, Row, Trial
from rozaneh.lab.verdict import Act, Control
from rozaneh.lab.world import Raised

WORLD = "country"
# What every subject is asked for: a site on each profile's lists of blocked names.
TARGET = "blocked-news.example"
# What a control's own server is asked for: a site that is on no list.
_PLAIN_SITE = "open-weather.example"
_PASS_TRIALS = 3
# A control is one small file, which the slowest policer of the catalogue (RU-09, 130 kbit/s [P]) lets through in 4 s.
_CONTROL_WHOLE_S = 20.0


def work(config: Config) -> Result:
    """Works off one job in namespaces of its own."""
    began = time.monotonic()
    try:
        why = _missing(config)
        result = without_a_run(config, "not_run", why) if why else isolate.run(lambda: _inside(config))
    except isolate.LabUnavailable as error:
        result = without_a_run(config, "not_run", str(error))
    except Exception as error:  # noqa: BLE001 - whatever goes wrong in a world is this cell's error, told in the report
        sys.stderr.write(traceback.format_exc())  # the run's log file
        result = without_a_run(config, "error", f"{type(error).__name__}: {error}")
    return msgspec.structs.replace(result, seconds=round(time.monotonic() - began, 1))


def _profile(config: Config) -> Profile:
    return profiles.load(config.profile_file or config.profile.partition(":")[0])


def _subject(config: Config) -> Subject:
    return subjects.load(config.subject_file or config.subject)


def _missing(config: Config) -> str:
    """Why this job cannot be run here; empty when it can."""
    if config.kind != "controls":
        return programs.missing(_subject(config))
    profile = _profile(config)
    wanted = profiles.world_changes(profile, config.variant or None).controls
    found = [programs.missing(subjects.load(control.subject)) for control in (wanted.blocked, wanted.pass_)]
    return next((why for why in found if why), "")


def _inside(config: Config) -> Result:
    profile = None if config.profile == NO_PROFILE else _profile(config)
    data = worlds.load(WORLD)
    rules: list[RuleConfig] = []
    conditions: Conditions | None = None
    if profile is not None:
        cell = config.variant or None
        conditions = profiles.world_changes(profile, cell)
        data = profiles.world_for(profile, data, cell)
        rules = profiles.rules_for(profile, data, cell, config.changes, variant=config.reading or None)
    if config.censor and config.kind == "cell":
        rules.insert(0, RuleConfig(id=Path(config.censor).stem, file=config.censor))
    captures = isolate.scratch() / "captures" if config.kind == "judges" else None
    if captures:
        captures.mkdir()
    with _raised(data, rules, captures, config, conditions) as world:
        stage = _Stage(config, world, profile, conditions)
        result = {"controls": stage.controls, "cell": stage.cell, "judges": stage.judges}[config.kind]()
        stats = world.censor.stats()
        told = ("forwarded", "malformed", "lost", "errors", "replays_not_simulated")
        router = {key: stats[key] for key in told if key in stats}
        versions = {"kernel": platform.release(), "congestion control": world.congestion_control}
    return msgspec.structs.replace(result, router=router, versions={**result.versions, **versions})


def _raised(
    data: worlds.World,
    rules: Sequence[RuleConfig],
    captures: Path | None,
    config: Config,
    conditions: Conditions | None,
) -> Raised:
    """The world under the profile's own conditions: its lines, hour and way with fragments."""
    window = _subject(config).replay_window_s if config.subject else None
    if conditions is None:
        return Raised(data, rules=rules, captures=captures, seed=config.seed, replay_window_s=window)
    return Raised(
        data,
        rules=rules,
        captures=captures,
        seed=config.seed,
        replay_window_s=window,
        link_in=conditions.link_in,
        link_out=conditions.link_out,
        time_of_day=conditions.time_of_day,
        fragments=conditions.fragments or "ignore",
    )


class _Stage:
    """A raised world and what one job does in it."""

    def __init__(self, config: Config, world: Raised, profile: Profile | None, conditions: Conditions | None) -> None:
        self._config = config
        self._world = world
        self._conditions = conditions
        self._residual_s = profile.longest_residual_s if profile else 0.0
        # Judges look at sizes, and a handshake's is mostly its chain of certificates.
        self._services = subjects.prepare(world, chains=config.kind == "judges")

    def cell(self) -> Result:
        """The subject's trials, after a look whether this world carries what the censor leaves open."""
        config = self._config
        subject = _subject(config)
        controls: tuple[Control, ...] = ()
        # A user's own censor may well close what the profile leaves open.
        if self._conditions and not config.censor:
            controls = (self._pass_control(self._conditions.controls.pass_, 1),)
            if not controls[0].met:
                found = without_a_run(config, "lab_invalid", f"controls: {controls[0].why}")
                return msgspec.structs.replace(found, controls=controls)
        done = self._trials(subject, config.server_at, "trial", config.trials, config.give_up_after)
        acts = self._acts(subject, config.server_at, done)
        judged = verdict.judge(done, acts)
        return Result(
            name=config.name,
            digest=config.digest(),
            config=config,
            verdict=judged.verdict,
            cause=judged.cause,
            trials=tuple(done),
            controls=controls,
            timeline=timeline.build(done, acts),
            acts=dict(Counter(str(act["rule"]) for act in acts)),
            versions={f"subject {subject.name}": programs.version(subject) or "unknown"},
            slow=subject.slow,
        )

    def controls(self) -> Result:
        """Both controls of the profile."""
        config = self._config
        if self._conditions is None:
            raise ValueError("a world without a profile has no controls")
        wanted = self._conditions.controls
        found = (self._blocked_control(wanted.blocked), self._pass_control(wanted.pass_, _PASS_TRIALS))
        why = "; ".join(f"{control.kind} control: {control.why}" for control in found if not control.met)
        result = without_a_run(config, "lab_invalid" if why else "works", why)
        return msgspec.structs.replace(result, controls=found)

    def judges(self) -> Result:
        """The subject with no censor in the way, and what the judges say of its flows."""
        config = self._config
        subject = _subject(config)
        done = self._trials(subject, config.server_at, "trial", config.trials, config.give_up_after)
        good = sum(trial.ok for trial in done)
        self._world.censor.stats()  # the capture is on disk when this returns
        capture = isolate.scratch() / "captures" / "reader-side.pcap"
        found = tuple(self._judge(name, capture, subject) for name in config.judges) if good else ()
        result = without_a_run(
            config, "works" if good == len(done) else "error", next((one.error for one in done if one.error), "")
        )
        return msgspec.structs.replace(
            result,
            trials=tuple(done),
            judges=found,
            versions={
                f"subject {subject.name}": programs.version(subject) or "unknown",
                **{f"judge {one.judge}": one.version for one in found if one.version},
            },
            slow=subject.slow,
        )

    def _judge(self, name: str, capture: Path, subject: Subject) -> JudgedBy:
        """What a judge says of the subject's own flows; of all flows where the reader itself is the subject."""
        outside = set(self._outside(subject, self._config.server_at))

        def mine(flow: judges.Flagged) -> bool:
            return not outside or flow.host.rpartition(":")[0].strip("[]") in outside

        why = judges.missing(name)
        if why:
            return JudgedBy(judge=name, flagged=0, of=0, error=why)
        try:
            said = judges.run(name, capture, wanted=mine)
        except Exception as error:  # noqa: BLE001 - one judge that fails leaves the others' words standing
            return JudgedBy(judge=name, flagged=0, of=0, error=f"{type(error).__name__}: {error}")
        return JudgedBy(judge=name, flagged=said.flows.flagged, of=said.flows.of, version=said.version)

    def _trials(self, subject: Subject, label: str, prefix: str, number: int, give_up_after: int) -> list[Trial]:
        config = self._config
        names = ["64k.bin"] if subject.slow else list(blob.SIZES)
        row = Row(
            prefix=prefix,
            trials=number,
            files=tuple(_file(TARGET, name) for name in names),
            first_byte_s=config.first_byte_s,
            whole_s=config.slow_whole_s if subject.slow else config.whole_s,
            longest_residual_s=self._residual_s,
            give_up_after=give_up_after,
        )
        return trials.run(self._starter(subject, label, prefix), self._world.censor, row)

    def _control(self, wanted: profiles.Control, kind: Literal["blocked", "pass"], number: int) -> _Tried:
        """Tries one control `number` times; on the access network it asks for."""
        config, world = self._config, self._world
        subject = subjects.load(wanted.subject)
        label = wanted.server or config.server_at
        row = Row(
            prefix=f"control-{kind}",
            trials=number,
            files=(_file(wanted.site or _PLAIN_SITE, wanted.path.lstrip("/")),),
            first_byte_s=config.first_byte_s,
            whole_s=config.slow_whole_s if subject.slow else min(config.whole_s, _CONTROL_WHOLE_S),
            longest_residual_s=self._residual_s,
            give_up_after=0,
        )
        usual = world.data
        if wanted.segment:
            world.data = usual.seen_from(wanted.segment)
        try:
            done = trials.run(self._starter(subject, label, row.prefix), world.censor, row)
            acts = self._acts(subject, label, done)
        finally:
            world.data = usual
        control = Control(
            kind=kind,
            subject=wanted.subject,
            site=wanted.site,
            server=wanted.server,
            rule=wanted.rule,
            expected_rate=wanted.expected_rate,
        )
        return control, done, acts

    def _blocked_control(self, wanted: profiles.Control) -> Control:
        control, done, acts = self._control(wanted, "blocked", verdict.control_trials(wanted.expected_rate))
        return verdict.control_blocked(control, done, acts)

    def _pass_control(self, wanted: profiles.Control, number: int) -> Control:
        control, done, _ = self._control(wanted, "pass", number)
        return verdict.control_pass(control, done)

    def _starter(
        self, subject: Subject, label: str, prefix: str
    ) -> Callable[[], AbstractContextManager[trials.Running]]:
        """What starts the subject anew for each trial, with the same keys."""
        world = self._world
        folder = world.folder / "subjects" / f"{prefix}-{subject.name}"
        folder.parent.mkdir(exist_ok=True)
        run = running.Running(subject, world, label, folder, seed=self._config.seed)

        @contextmanager
        def start() -> Iterator[trials.Running]:
            try:
                run.start()
                yield run
            finally:
                run.stop()

        return start

    def _acts(self, subject: Subject, label: str, done: Sequence[Trial]) -> list[Act]:
        """What the rules did to this subject's packets in these trials."""
        data = self._world.data
        phases = {trial.phase for trial in done}
        # All acts, because a flow that began in another phase is told by what was done to it there.
        mine = verdict.of_subject(self._world.censor.acts(), data.addresses(data.reader), self._outside(subject, label))
        return [act for act in mine if act["action"] == "error" or act.get("phase") in phases]

    def _outside(self, subject: Subject, label: str) -> list[str]:
        """The far addresses of a subject's packets: its server and resolvers; none where the reader is the subject."""
        data = self._world.data
        if subject.kind == "direct":
            return []
        resolvers = [address for name in data.resolver_nodes() for address in data.addresses(name)]
        return [*data.addresses_at(label, data.edge), *resolvers]


_Tried = tuple[Control, list[Trial], list[Act]]


def _file(site: str, name: str) -> File:
    return File(url=f"https://{site}/{name}", size=blob.SIZES[name], sha256=blob.digest(site, name))


def main(argv: Sequence[str]) -> int:
    """The process: reads its job, works it off, writes the result."""
    linux.die_with_parent()
    if len(argv) > 3 and os.getppid() != int(argv[3]):  # it ended before the setting took
        return 1
    config = msgspec.json.decode(Path(argv[1]).read_bytes(), type=Config)
    write(work(config), Path(argv[2]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
