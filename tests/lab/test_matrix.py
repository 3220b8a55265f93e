"""A run: which jobs it has, how they are worked off, what survives a kill, and what counts when it goes on."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rozaneh.lab import cellfile, matrix, profiles, subjects
from rozaneh.lab.cellfile import Config, Result
from rozaneh.lab.matrix import Asked, Job, MatrixError

# Stands in for a cell's process: does what a script in the job's seed says, and writes when it was called.
FAKE = """
import json, os, signal, sys
from pathlib import Path
from rozaneh.lab import cellfile
config = cellfile.msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=cellfile.Config)
here = Path(sys.argv[2]).parent.parent
with (here / "calls").open("a") as calls:
    calls.write(config.name + "\\n")
script = json.loads((here / "script.json").read_text()).get(config.name, "works")
if script == "crash":
    print("something broke", file=sys.stderr)
    sys.exit(3)
if script == "hang":
    (here / "pid").write_text(str(os.getpid()))
    print("ready", file=sys.stderr)
    signal.pause()
cellfile.write(cellfile.without_a_run(config, script, "" if script == "works" else "because"), Path(sys.argv[2]))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("cells", "logs"):
        (tmp_path / name).mkdir()
    (tmp_path / "script.json").write_text("{}")
    return tmp_path


def fake(config: Path, out: Path) -> list[str]:
    return [sys.executable, "-c", FAKE, str(config), str(out)]


def script(folder: Path, **verdicts: str) -> None:
    (folder / "script.json").write_text(json.dumps({name.replace("_", "~"): value for name, value in verdicts.items()}))


def some_jobs() -> list[Job]:
    jobs = [Job(config=Config(kind="controls", profile=name)) for name in ("a", "b")]
    for name in ("a", "b"):
        for subject in ("curl", "trojan"):
            jobs.append(Job(config=Config(kind="cell", profile=name, subject=subject), after=f"controls~{name}"))
    return jobs


def calls(folder: Path) -> list[str]:
    path = folder / "calls"
    return path.read_text().split() if path.exists() else []


def work(folder: Path, workers: int = 2) -> tuple[dict[str, Result], list[str]]:
    said: list[str] = []
    return matrix.run(some_jobs(), folder, workers, said.append, fake), said


def test_every_job_is_worked_off_controls_first(folder: Path) -> None:
    results, said = work(folder)
    assert {name: result.verdict for name, result in results.items()} == dict.fromkeys(
        ["controls~a", "controls~b", "a~curl", "a~trojan", "b~curl", "b~trojan"], "works"
    )
    assert set(calls(folder)[:2]) == {"controls~a", "controls~b"}
    assert len(calls(folder)) == 6
    assert said[-1].startswith("[6/6] ")
    assert any("a against curl: works" in line for line in said)
    left = sorted(path.name for path in (folder / "cells").iterdir())
    assert left == sorted(f"{name}.json" for name in results)


def test_controls_that_are_not_met_make_their_cells_invalid_without_running_them(folder: Path) -> None:
    script(folder, controls_a="lab_invalid")
    results, said = work(folder)
    assert (results["a~curl"].verdict, results["a~curl"].cause) == ("lab_invalid", "controls: because")
    assert results["b~curl"].verdict == "works"
    assert not [name for name in calls(folder) if name.startswith("a~")]
    assert any("NOT met: because" in line for line in said)


def test_a_process_that_breaks_is_an_error_with_its_last_words(folder: Path) -> None:
    script(folder, a_curl="crash")
    results, _ = work(folder)
    assert results["a~curl"].verdict == "error"
    assert results["a~curl"].cause == "the cell's process ended with 3: something broke"
    assert (folder / "logs" / "a~curl.log").read_text() == "something broke\n"
    assert not (folder / "logs" / "a~trojan.log").exists()


def test_a_process_that_hangs_is_ended_at_its_limit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(folder, a_curl="hang")
    usual = matrix.limit_s
    monkeypatch.setattr(matrix, "limit_s", lambda config: 2.0 if config.name == "a~curl" else usual(config))
    results, _ = work(folder, workers=1)
    assert "took longer than its limits allow" in results["a~curl"].cause
    with pytest.raises(ProcessLookupError):
        os.kill(int((folder / "pid").read_text()), 0)


def test_a_run_goes_on_with_what_says_nothing_about_the_subject(folder: Path) -> None:
    script(folder, a_curl="error", a_trojan="blocked", b_curl="not_run")
    work(folder)
    (folder / "calls").unlink()
    script(folder)
    results, said = work(folder)
    assert sorted(calls(folder)) == ["a~curl", "b~curl"]
    assert results["a~trojan"].verdict == "blocked"
    assert results["a~curl"].verdict == "works"
    assert said[0] == "4 of 6 were finished before"


def test_a_result_of_other_settings_does_not_count(folder: Path) -> None:
    work(folder)
    (folder / "calls").unlink()
    changed = [
        Job(config=msgspec.structs.replace(job.config, trials=7), after=job.after)
        if job.config.subject == "curl"
        else job
        for job in some_jobs()
    ]
    matrix.run(changed, folder, 2, lambda _: None, fake)
    assert sorted(calls(folder)) == ["a~curl", "b~curl"]


def test_two_processes_do_not_work_on_one_run(folder: Path) -> None:
    with matrix._alone(folder), pytest.raises(MatrixError, match="another process"):
        work(folder)
    assert not calls(folder)


def test_half_a_result_is_none(folder: Path) -> None:
    work(folder)
    path = folder / "cells" / "a~curl.json"
    path.write_bytes(path.read_bytes()[:100])
    (folder / "calls").unlink()
    results, _ = work(folder)
    assert calls(folder) == ["a~curl"]
    assert results["a~curl"].verdict == "works"


DRIVER = """
import sys
from pathlib import Path
from rozaneh.lab import matrix
from tests.lab import test_matrix as here
matrix.run(here.some_jobs(), Path(sys.argv[1]), 2, lambda text: print(text, flush=True), here.fake)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_run_leaves_no_process(folder: Path, how: signal.Signals) -> None:
    script(folder, a_curl="hang")
    # The driver's children die with it as a real cell's process does.
    argv = [sys.executable, "-c", DRIVER.replace("here.fake", "here.mortal"), str(folder)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, restore_signals=True)
    try:
        assert process.stdout is not None
        while b"[5/6]" not in process.stdout.readline():
            assert process.poll() is None
        child = os.pidfd_open(int((folder / "pid").read_text()))
        process.send_signal(how)
        process.wait(20)
        poller = select.poll()
        poller.register(child, select.POLLIN)
        assert poller.poll(20_000)
        os.close(child)
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    script(folder)
    results, said = work(folder)
    assert said[0] == "5 of 6 were finished before"
    assert len(results) == 6


def mortal(config: Path, out: Path) -> list[str]:
    """The fake as a process that the kernel ends with its parent."""
    return [
        sys.executable,
        "-c",
        "from rozaneh.lab import linux; linux.die_with_parent()\n" + FAKE,
        str(config),
        str(out),
    ]


# --- what is asked for


def test_all_means_every_enforcing_profile_and_the_judges() -> None:
    asked = matrix.ask(profiles="all", subjects="curl")
    assert list(asked.profiles) == profiles.names()
    assert asked.judges
    assert not matrix.ask(profiles=profiles.names()[0], subjects="curl").judges
    everything = matrix.ask(profiles="none", subjects="all")
    assert list(everything.subjects) == subjects.names()


@pytest.mark.parametrize(
    ("wanted", "complaint"),
    [
        ({"subjects": "curl"}, "no censor"),
        ({"profiles": "none"}, "no tool"),
        ({"profiles": "none", "subjects": "curl", "server_at": "moon"}, "no place 'moon'"),
        ({"profiles": "none", "subjects": "curl", "changes": ["x"]}, "RULE.PARAMETER=VALUE"),
    ],
)
def test_what_cannot_be_asked_is_refused(wanted: dict[str, Any], complaint: str) -> None:
    with pytest.raises(MatrixError, match=complaint):
        matrix.ask(**wanted)


def test_a_profile_gives_its_controls_and_a_cell_for_each_subject() -> None:
    asked = matrix.ask(profiles="ru-2022", subjects="curl,trojan", seed=3)
    jobs = matrix.jobs(asked)
    assert [job.config.name for job in jobs] == ["controls~ru-2022", "ru-2022~curl", "ru-2022~trojan"]
    assert [job.after for job in jobs] == ["", "controls~ru-2022", "controls~ru-2022"]
    assert {job.config.placement for job in jobs} == {"domestic > hosting-suspect"}
    assert len({job.config.seed for job in jobs}) == 3
    assert jobs == matrix.jobs(asked)
    elsewhere = matrix.jobs(matrix.ask(profiles="ru-2022", subjects="curl", server_at="cdn"))
    # Controls stay where the profile has them.
    assert [job.config.server_at for job in elsewhere] == ["hosting-suspect", "cdn"]


def test_a_changed_parameter_is_another_job_and_must_be_one() -> None:
    plain = matrix.jobs(matrix.ask(profiles="ru-2022", subjects="curl"))
    changed = matrix.jobs(matrix.ask(profiles="ru-2022", subjects="curl", changes=["RU-01.residual_s=80"]))
    assert changed[1].config.changes == {"RU-01.residual_s": 80}
    assert plain[1].config.digest() != changed[1].config.digest()
    with pytest.raises(MatrixError, match="no profile of this run"):
        matrix.jobs(matrix.ask(profiles="ru-2022", subjects="curl", changes=["IR-01.x=80"]))


def test_another_reading_of_a_profile_is_a_row_of_its_own() -> None:
    name = next(name for name in profiles.names() if profiles.load(name).variants)
    reading = profiles.load(name).variants[0].name
    asked = matrix.ask(profiles=f"{name},{name}:{reading}", subjects="curl")
    rows = dict.fromkeys((job.config.profile, job.config.reading) for job in matrix.jobs(asked))
    assert list(rows) == [(name, ""), (f"{name}:{reading}", reading)]
    assert matrix.versions(asked) == [(name, profiles.load(name).version)]
    with pytest.raises(profiles.ProfileError, match="no variant"):
        matrix.jobs(matrix.ask(profiles=f"{name}:moon", subjects="curl"))


def test_a_folder_holds_one_run_and_remembers_what_was_asked(tmp_path: Path) -> None:
    asked = Asked(profiles=("ru-2022",), subjects=("curl",), trials=4, seed=9)
    matrix.keep(asked, tmp_path / "run")
    assert matrix.kept(tmp_path / "run") == asked
    with pytest.raises(MatrixError, match="already"):
        matrix.keep(asked, tmp_path / "run")
    with pytest.raises(MatrixError, match="no run"):
        matrix.kept(tmp_path)


def test_names_fit_files() -> None:
    config = Config(kind="cell", profile="ru-2022:other/../x", variant="in force", subject="a b")
    assert config.name == "ru-2022-other-..-x~in-force~a-b"
    assert cellfile.without_a_run(config, "error", "x").name == config.name
