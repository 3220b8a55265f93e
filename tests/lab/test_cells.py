"""Cells in real worlds: a censor's own site is blocked by its rule, and whatever goes wrong is told, never counted."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from rozaneh.lab import cellfile, cells, matrix, trials
from rozaneh.lab.cellfile import Config, Result
from rozaneh.lab.isolate import LabUnavailable
from rozaneh.lab.processes import NotReady
from rozaneh.lab.subjects.fetch import Fetched
from rozaneh.lab.trials import File, Row

# --- a row of trials


class Clock:
    """A middlebox that only remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def jump(self, seconds: float) -> None:
        self.told.append(seconds)

    def phase(self, name: str) -> None:
        self.told.append(name)


class Tool:
    """A subject whose fetches are decided beforehand."""

    def __init__(self, answers: list[Fetched]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, float, float]] = []
        self.starts = 0
        self.stops = 0

    @contextmanager
    def start(self) -> Iterator[Tool]:
        self.starts += 1
        try:
            yield self
        finally:
            self.stops += 1

    def fetch(self, url: str, size: int, sha256: str, first_byte_s: float = 20.0, whole_s: float = 60.0) -> Fetched:
        self.asked.append((url, first_byte_s, whole_s))
        return self.answers.pop(0)


SMALL = File(url="https://a.example/64k.bin", size=65_536, sha256="0")
LARGE = File(url="https://a.example/1m.bin", size=1_048_576, sha256="0")
GOOD = Fetched(True, 65_536, 0.5, 0.1)
BAD = Fetched(False, 0, 20.0, None, "no first byte\nin 20 s")


def test_each_trial_restarts_the_subject_after_the_clock_has_passed_every_residual() -> None:
    clock, tool = Clock(), Tool([GOOD] * 4)
    done = trials.run(tool.start, clock, Row(trials=2, files=(SMALL, LARGE), longest_residual_s=180.0))
    assert clock.told == [181.0, "trial-1", 181.0, "trial-2", "after-trial"]
    assert (tool.starts, tool.stops) == (2, 2)
    assert tool.asked == [(SMALL.url, 20.0, 60.0), (LARGE.url, 20.0, 60.0)] * 2
    assert [(one.ok, one.connected, one.received, one.seconds) for one in done] == [(True, True, 131_072, 1.0)] * 2


def test_a_trial_ends_with_its_first_file_that_is_not_whole() -> None:
    moving = Fetched(False, 500_000, 60.0, 0.2, "not whole in 60 s", True)
    tool = Tool([GOOD, moving, BAD])
    first, second = trials.run(tool.start, Clock(), Row(trials=2, files=(SMALL, LARGE)))
    assert (first.ok, first.received, first.still_moving, first.error) == (
        False, 565_536, True, "1m.bin: not whole in 60 s",
    )  # fmt: skip
    assert (second.connected, second.error) == (False, "64k.bin: no first byte in 20 s")
    assert tool.stops == 2


def test_three_failures_from_the_start_end_the_row_and_later_ones_do_not() -> None:
    assert len(trials.run(Tool([BAD] * 9).start, Clock(), Row(trials=20, files=(SMALL,)))) == 3
    mixed = Tool([BAD, BAD, GOOD, BAD, BAD, BAD])
    assert len(trials.run(mixed.start, Clock(), Row(trials=6, files=(SMALL,)))) == 6
    control = Row(trials=5, files=(SMALL,), give_up_after=0)
    assert len(trials.run(Tool([BAD] * 5).start, Clock(), control)) == 5


def test_a_subject_that_does_not_start_has_failed_but_a_lab_that_is_not_there_has_not() -> None:
    @contextmanager
    def broken() -> Iterator[Tool]:
        raise NotReady("it wrote nothing")
        yield Tool([])

    one = trials.run(broken, Clock(), Row(trials=1, files=(SMALL,)))[0]
    assert (one.ok, one.error) == (False, "did not start: it wrote nothing")

    @contextmanager
    def absent() -> Iterator[Tool]:
        raise LabUnavailable("nginx is missing")
        yield Tool([])

    with pytest.raises(LabUnavailable):
        trials.run(absent, Clock(), Row(trials=1, files=(SMALL,)))


# --- real worlds

FREEZE = """
from rozaneh.lab.api import Drop, Pass


class Censor:
    def __init__(self, params, rng):
        pass

    def packet(self, p, now):
        {body}
"""


def config(**fields: object) -> Config:
    base = Config(
        kind="cell", reader_at="domestic", server_at="hosting-suspect", trials=2, first_byte_s=2.0, whole_s=4.0
    )
    return msgspec.structs.replace(base, **fields)


def test_a_profile_meets_its_controls_and_blocks_its_own_site() -> None:
    controls = cells.work(config(kind="controls", profile="ru-2022"))
    assert (controls.verdict, controls.cause) == ("works", "")
    assert [(one.kind, one.rule, one.met) for one in controls.controls] == [
        ("blocked", "RU-01", True), ("pass", "", True),
    ]  # fmt: skip
    cell = cells.work(config(profile="ru-2022", subject="curl", trials=20))
    assert (cell.verdict, cell.cause, len(cell.trials)) == ("blocked", "RU-01", 3)
    assert cell.controls[0].met
    assert cell.timeline.rows[0].rule == "RU-01"
    assert "blocked-news.example" in cell.timeline.rows[0].why
    assert cell.acts["RU-01"] >= 3


def test_without_a_censor_our_own_way_works() -> None:
    cell = cells.work(config(subject="h2+tls", first_byte_s=20, whole_s=60))
    assert (cell.verdict, cell.cause) == ("works", "")
    assert [trial.received for trial in cell.trials] == [65_536 + 1_048_576] * 2
    assert (cell.acts, cell.router["errors"], cell.controls) == ({}, 0, ())


@pytest.mark.parametrize(
    ("body", "verdict", "cause"),
    [
        ("return Drop('all of it') if p.tcp else Pass()", "blocked", "mine"),
        ("return {}[p]", "error", "rule mine failed: "),
    ],
)
def test_a_users_own_censor_is_what_the_cell_speaks_of(tmp_path: Path, body: str, verdict: str, cause: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(FREEZE.format(body=body))
    cell = cells.work(config(subject="curl", censor=str(file)))
    assert cell.verdict == verdict
    assert cell.cause.startswith(cause)


def test_what_is_not_here_is_not_run_and_what_breaks_is_an_error(tmp_path: Path) -> None:
    absent = tmp_path / "absent.toml"
    absent.write_text(
        'name = "absent"\nkind = "socks"\ninstall = "brew it"\n'
        '[server]\nargv = ["no-such-program"]\n[client]\nargv = ["no-such-program"]\n'
    )
    cell = cells.work(config(subject="absent", subject_file=str(absent)))
    assert cell.verdict == "not_run"
    assert "no-such-program" in cell.cause
    broken = cells.work(config(subject="curl", censor=str(tmp_path / "nothing.py")))
    assert broken.verdict == "error"
    assert "nothing.py" in broken.cause


def test_the_process_writes_its_result_in_one_step(tmp_path: Path) -> None:
    wanted = config(subject="curl", trials=1)
    (tmp_path / "in.json").write_bytes(msgspec.json.encode(wanted))
    argv = matrix.command(tmp_path / "in.json", tmp_path / "out.json")
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    result = cellfile.read(tmp_path / "out.json")
    assert isinstance(result, Result)
    assert (result.verdict, result.digest) == ("works", wanted.digest())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.json", "out.json"]
    orphan = subprocess.run([*argv[:-1], "1"], capture_output=True, timeout=60, check=False)
    assert orphan.returncode == 1  # whoever started it has gone


def test_judges_read_the_subjects_own_flows() -> None:
    result = cells.work(config(kind="judges", subject="curl", judges=("ml08",), server_at="hosting-clean"))
    assert result.verdict == "works"
    assert [(one.judge, one.error) for one in result.judges] == [("ml08", "")]
    assert result.judges[0].flagged == 0
