"""A whole run in small, through the real engine; it leaves no process and no namespace behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from rozaneh.bench import cubic, generator, inside, run
from rozaneh.bench.plan import Plan, Tools
from rozaneh.bench.subjects import DIRECT, H2, PLAIN
from rozaneh.cli.main import cli
from rozaneh.core.errors import Fault

pytestmark = pytest.mark.root

# Figures do not matter here, so whatever the kernel allows will do.
_ANY = (cubic.names("tcp_congestion_control") or ["reno"])[0]
_BULK = [f"{case}_{end}_cpu_s_gb" for case in ("down1", "up8") for end in ("client", "edge")]


@pytest.fixture(scope="module")
def load() -> str:
    return str(generator.find())


def small(load: str, subjects: list[str], cases: list[str]) -> Plan:
    tools = Tools(python=sys.executable, load=load)
    sizes = {"rounds": 1, "seconds": 0.05, "workers": 2, "idle": 8}
    return Plan(tools=tools, subjects=subjects, cases=cases, congestion=_ANY, **sizes)


def test_every_case_gives_its_figures(load: str) -> None:
    notes: list[str] = []
    found = run.measure(small(load, [DIRECT, PLAIN, H2], ["bulk", "tunnels", "idle"]), notes.append)
    assert [(one.subject, one.errors) for one in found] == [(DIRECT, {}), (PLAIN, {}), (H2, {})]
    for one in found:
        assert one.figures["down1_mb_s"] > 0
        assert one.figures["up8_mb_s"] > 0
        assert one.figures["tunnels_s"] > 0
        assert one.figures["first_byte_p99_ms"] >= one.figures["first_byte_p50_ms"]
        between = one.subject != DIRECT
        assert all((name in one.figures) == between for name in [*_BULK, "idle_client_bytes", "idle_edge_bytes"])
    assert notes == [f"round 1 of 1: {name}" for name in (DIRECT, PLAIN, H2)]
    # Keys and configurations were in a file system that only the namespace saw.
    assert not Path(inside._SCRATCH, "cert.pem").exists()


def test_a_subject_that_does_not_start_is_reported_and_the_others_go_on(load: str) -> None:
    work = small(load, [PLAIN, DIRECT], ["idle", "tunnels"])
    broken = replace(work, tools=Tools(python="/bin/false", load=load))
    notes: list[str] = []
    found = run.measure(broken, notes.append)
    assert set(found[0].errors) == {"idle", "tunnels"}
    assert "false does not start" in found[0].errors["idle"]
    assert found[1].errors == {}
    assert found[1].figures["tunnels_s"] > 0
    assert any(note.startswith(f"failed: {PLAIN}, idle") for note in notes)


def test_a_namespace_without_a_route() -> None:
    look = "import pathlib, sys; sys.stdout.write(str(len(pathlib.Path('/proc/net/route').read_text().splitlines())))"
    told = subprocess.run([*run.enclosure(), sys.executable, "-c", look], capture_output=True, text=True, check=True)
    # The heading is there, and nothing else.
    assert told.stdout in ("0", "1")


def test_a_run_that_is_killed_takes_everything_with_it(tmp_path: Path) -> None:
    marker = tmp_path / "alive"
    os.mkfifo(marker)
    # The innermost process holds the pipe open: its end is the end of the last process of the run.
    inner = f"import sys, time; pipe = open({str(marker)!r}, 'w'); print('up', flush=True); sys.stdin.read()"
    outer = (
        "import subprocess, sys; from rozaneh.bench import run;"
        f"subprocess.run([*run.enclosure(), sys.executable, '-c', {inner!r}])"
    )
    with (
        subprocess.Popen([sys.executable, "-c", outer], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child,
        marker.open("rb") as pipe,
    ):
        assert child.stdout is not None
        assert child.stdout.readline() == b"up\n"
        child.kill()
        child.wait()
        assert pipe.read() == b""


def test_an_inside_that_ends_early_is_a_fault(load: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "enclosure", lambda: ["/bin/true"])
    with pytest.raises(Fault, match="ended early"):
        run.measure(small(load, [DIRECT], ["tunnels"]), lambda text: None)


def test_the_command_answers_with_one_object(load: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tools = Tools(python=sys.executable, load=load)
    monkeypatch.setattr(run, "tools", lambda wanted, folder, note: tools)
    measure = run.measure

    def anything(work: Plan, note: run.Note) -> list[run.Measurement]:
        return measure(replace(work, congestion=_ANY, idle=8), note)

    monkeypatch.setattr(run, "measure", anything)
    words = ["bench", "run", "idle", "--json", "--rounds", "1", "--subject", H2, "--out", str(tmp_path)]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["schema"] == "rozaneh.bench/1"
    assert {"kernel", "cpus"} <= set(document["machine"])
    assert list(document["subjects"]) == [H2]
    assert [each["name"].startswith("h2: bytes") for each in document["requirements"]] == [True, True]
    assert json.loads((tmp_path / "bench.json").read_text()) == document


def test_an_unknown_case_is_a_usage_error() -> None:
    result = CliRunner().invoke(cli, ["bench", "run", "speed"])
    assert result.exit_code == 2
    assert "there are: bulk, tunnels, idle" in result.stderr
