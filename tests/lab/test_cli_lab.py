"""The lab's commands: their shape, their exit codes, one object with `--json`, and a run that stops and goes on."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from rozaneh.cli.main import cli
from rozaneh.lab import demo, profiles, scenarios, subjects

VERDICTS = {"works", "blocked", "degraded", "lab_invalid", "not_run", "error"}


def rozaneh(*arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "rozaneh.cli.main", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["lab", *arguments])


def test_the_commands_are_the_agreed_ones() -> None:
    shown = invoke("--help").stdout
    for command in ("list", "run", "explain", "shell", "judge", "probe", "verify", "demo"):
        assert f"\n  {command} " in shown
    flags = invoke("run", "--help").stdout
    for flag in ("profile", "subject", "censor", "server-at", "trials", "seed", "out", "resume", "json"):
        assert f"--{flag}" in flags


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["run"], "no censor"),
        (["run", "--profile", "ru-2022"], "no tool"),
        (["run", "--profile", "atlantis", "--subject", "curl"], "there are: "),
        (["run", "--profile", "none", "--subject", "atlantis"], "there are: "),
        (["run", "--profile", "none", "--subject", "curl", "--server-at", "moon"], "there are: "),
        (["run", "--profile", "none", "--subject", "curl", "--set", "RU-01.x=1"], "no profile"),
        (["run", "--resume", "nowhere"], "no run"),
        (["run", "--resume", "nowhere", "--trials", "3"], "leave the other options out"),
        (["run", "four_blocks", "--profile", "all"], "leave the other options out"),
        (["run", "atlantis"], "there are: "),
        (["explain", "atlantis"], "there are: "),
        (["explain", "ru-2022", "XX-99"], "it has: "),
        (["shell", "country", "--profile", "atlantis"], "there are: "),
        (["shell", "country", "--profile", "ru-2022", "--scenario", "four_blocks"], "name one"),
        (["probe", "nowhere"], "ADDR:PORT"),
        (["verify", "--topic", "moon"], "there are: "),
    ],
)
def test_what_is_not_there_is_a_mistake_in_the_command(
    arguments: list[str], complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = invoke(*arguments)
    assert done.exit_code == 2, done.output
    assert complaint in done.output
    assert not list(tmp_path.iterdir())  # nothing is left of what was refused


def test_a_list_names_everything_with_versions_and_grades() -> None:
    shown = json.loads(invoke("list", "--json").stdout)
    assert shown["schema"] == "rozaneh.lab.list/1"
    assert list(shown)[1:] == ["worlds", "censors", "profiles", "scenarios", "subjects", "judges"]
    assert [one["name"] for one in shown["profiles"]] == profiles.names()
    assert all(one["version"] >= 1 and one["grades"] for one in shown["profiles"])
    assert [one["name"] for one in shown["subjects"]] == subjects.names()
    assert all(
        one["summary"] for kind in ("worlds", "censors", "profiles", "subjects", "judges") for one in shown[kind]
    )
    table = invoke("list").stdout.splitlines()
    assert len(table) == 1 + sum(len(shown[kind]) for kind in list(shown)[1:])


def test_explain_says_each_number_with_its_source_and_grade() -> None:
    shown = json.loads(invoke("explain", "ru-2022", "--json").stdout)
    assert (shown["schema"], shown["profile"]) == ("rozaneh.lab.explain/1", "ru-2022")
    text = invoke("explain", "ru-2022").stdout
    for rule in shown["rules"]:
        assert f"{rule['id']} (" in text
        for parameter in rule["parameters"]:
            assert f"{parameter['name']} = {parameter['value']}" in text
            assert not parameter["stated"] or (parameter["grade"] and parameter["source"])
    one = invoke("explain", "ru-2022", "RU-01").stdout
    assert "RU-01 (" in one
    assert "RU-02 (" not in one


def test_a_run_answers_with_one_object_and_leaves_its_folder(tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = ["--profile", "ru-2022", "--subject", "curl,do53", "--trials", "2", "--seed", "5"]
    done = rozaneh("lab", "run", *arguments, "--out", str(out), "--json")
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert report == json.loads((out / "report.json").read_text())
    assert list(report) == ["schema", "profiles", "cells", "judges"]
    assert {cell["verdict"] for cell in report["cells"]} <= VERDICTS
    verdicts = {cell["subject"]: (cell["verdict"], cell["cause"]) for cell in report["cells"]}
    assert verdicts == {"curl": ("blocked", "RU-01"), "do53": ("works", "")}
    assert all(cell["control_blocked"] and cell["control_passed"] for cell in report["cells"])
    assert "[3/3] " in done.stderr
    assert (out / "index.html").read_text().startswith("<!doctype html>")
    again = rozaneh("lab", "run", "--resume", str(out))
    assert again.returncode == 0
    assert "3 of 3 were finished before" in again.stderr
    refused = rozaneh("lab", "run", *arguments, "--out", str(out))
    assert (refused.returncode, "already" in refused.stderr) == (2, True)


def test_direct_and_socks_tools_need_no_root(tmp_path: Path) -> None:
    # A user namespace with a single id is all that an ordinary user has, and all that root has left in one.
    argv = ["unshare", "--user", "--map-root-user", sys.executable, "-m", "rozaneh.cli.main", "lab", "run"]
    argv += ["--profile", "ru-2022", "--subject", "curl,ss-2022,wireguard-go", "--trials", "1", "--json"]
    done = subprocess.run(
        [*argv, "--out", str(tmp_path / "run")], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    verdicts = {cell["subject"]: cell["verdict"] for cell in json.loads(done.stdout)["cells"]}
    assert verdicts == {"curl": "blocked", "ss-2022": "works", "wireguard-go": "not_run"}


def test_a_run_that_is_interrupted_leaves_nothing_and_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = ["lab", "run", "--profile", "none", "--subject", "curl", "--trials", "3000", "--out", str(out)]
    process = subprocess.Popen(
        [sys.executable, "-m", "rozaneh.cli.main", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stderr is not None
        assert "folder" in process.stderr.readline()
        config = out / "cells" / ".none~curl.config.json"
        poller = select.poll()
        whole = os.pidfd_open(process.pid)
        poller.register(whole, select.POLLIN)
        while not (config.exists() and children(process.pid)):
            assert not poller.poll(20)
        cell = children(process.pid)[0]
        handle = os.pidfd_open(cell)
        # A person's Ctrl-C reaches the whole foreground group.
        os.killpg(process.pid, signal.SIGINT)
        said = process.stderr.read()
        assert process.wait(20) == 1
        assert f"--resume {out}" in said
        poller = select.poll()
        poller.register(handle, select.POLLIN)
        assert poller.poll(20_000)
        os.close(handle)
        os.close(whole)
    finally:
        process.kill()
        process.communicate()
    assert not list((out / "cells").iterdir())
    plan = json.loads((out / "plan.json").read_text())
    (out / "plan.json").write_text(json.dumps({**plan, "trials": 1}))
    done = rozaneh("lab", "run", "--resume", str(out), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["cells"][0]["verdict"] == "works"


def children(pid: int) -> list[int]:
    """The processes a process has started."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(word) for word in path.read_text().split()] if path.exists() else []


def test_cells_that_say_nothing_end_the_command_with_1_after_the_report(tmp_path: Path) -> None:
    censor = tmp_path / "broken.py"
    # It breaks once: the question is asked again and answered, and the cell is an error all the same.
    censor.write_text(
        "from rozaneh.lab.api import Pass\n"
        "class Censor:\n"
        "    def __init__(self, params, rng):\n"
        "        self.numbers = [0]\n"
        "    def packet(self, p, now):\n"
        "        return Pass() if not self.numbers else 1 / self.numbers.pop()\n"
    )
    done = rozaneh(
        "lab", "run", "--censor", str(censor), "--subject", "do53", "--trials", "1",
        "--out", str(tmp_path / "run"), "--json",
    )  # fmt: skip
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert [(cell["profile"], cell["verdict"]) for cell in report["cells"]] == [("none", "error")]
    assert "rule broken failed: ZeroDivisionError" in report["cells"][0]["cause"]
    assert "--resume" in done.stderr


@pytest.mark.parametrize("edge", ["works", "blocked"])
def test_a_scenario_is_reported_and_held_against_what_it_expects(
    edge: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(out: Path, say: object, name: str) -> dict[str, Any]:
        assert name == "four_blocks"
        out.mkdir()
        (out / "acts.jsonl").write_text("")
        base = {"status": 0, "seconds": 1.0, "error": "", "met": ""}
        return {
            "pages": [
                {
                    "url": trial.url,
                    "direct": {**base, "verdict": "blocked", "rule": trial.rule},
                    "edge": {**base, "verdict": edge},
                }
                for trial in scenarios.load(name).trials
            ]
        }

    monkeypatch.setattr(demo, "run", run)
    done = invoke("run", "four_blocks", "--out", str(tmp_path / "out"), "--json")
    assert done.exit_code == (0 if edge == "works" else 1)
    report = json.loads(done.stdout)
    assert [cell["verdict"] for cell in report["cells"]] == ["blocked", edge] * 4
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"index.html", "report.json", "run.json"}


def test_a_shell_behind_a_profile_sees_its_blocks_and_its_acts() -> None:
    fetch = "curl -sS --max-time 9 https://blocked-news.example/; echo $?"
    command = f"{fetch}; until [ -s $LAB_ACTS ]; do :; done; head -n1 $LAB_ACTS"
    done = rozaneh("lab", "shell", "country", "--profile", "ru-2022", "--run", command)
    code, act = done.stdout.splitlines()
    assert code == "35"
    assert json.loads(act)["rule"] == "RU-01"
    elsewhere = rozaneh("lab", "shell", "country", "--at", "provider", "--run", "ip -br link | wc -l")
    assert int(elsewhere.stdout) >= 3  # both of the censor's interfaces, and lo


def test_verify_tells_every_check_and_fails_with_any() -> None:
    shown = rozaneh("lab", "verify", "--topic", "probes", "--json")
    answer = json.loads(shown.stdout)
    assert answer["schema"] == "rozaneh.lab.verify/1"
    assert answer["ok"] is all(check["ok"] for check in answer["checks"])
    assert shown.returncode == (0 if answer["ok"] else 1)
    assert {"topic", "name", "source", "expected", "measured", "n", "ok"} == set(answer["checks"][0])


def test_verify_fails_when_a_check_does(monkeypatch: pytest.MonkeyPatch) -> None:
    from rozaneh.lab import verify
    from rozaneh.lab.verify.base import Check

    def run(seed: int, only: object) -> list[verify.Result]:
        return [verify.Result("x", Check("a number", "a paper", "5", "6", False)), verify.Result("x", good)]

    good = Check("another", "a paper", "7", "7", True, 20)
    monkeypatch.setattr(verify, "run", run)
    done = invoke("verify", "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["ok"] is False
    assert "1 of 2 checks agree" in invoke("verify").stdout


def test_judges_are_asked_about_a_capture(tmp_path: Path) -> None:
    from rozaneh.lab import pcap
    from tests.lab.crafted import Connection

    capture = tmp_path / "x.pcap"
    writer = pcap.Writer(capture)
    connection = Connection(sport=4000)
    for number, packet in enumerate([connection.syn(), connection.data(b"x" * 100)]):
        writer.write(packet.raw, float(number))
    writer.close()
    shown = json.loads(invoke("judge", str(capture), "--judge", "ml08", "--json").stdout)
    assert shown["schema"] == "rozaneh.lab.judge/1"
    assert [one["judge"] for one in shown["judges"]] == ["ml08"]
    assert invoke("judge", str(capture), "--judge", "moon").exit_code == 2
    assert invoke("judge", str(tmp_path / "nothing")).exit_code == 2


def test_probing_elsewhere_takes_proof() -> None:
    done = invoke("probe", "203.0.113.9:443")
    assert done.exit_code == 8
    assert "/.well-known/rozaneh-probe" in done.output


def test_a_recorded_first_flight_is_replayed(tmp_path: Path) -> None:
    """Against a server that knows its client's first bytes: the replay is answered and junk is not."""
    from rozaneh.lab import craft, pcap
    from tests.lab.prober.test_sockets import server

    flight = bytes(range(100))

    def know(connection: socket.socket) -> None:
        if connection.recv(4_096) == flight:
            connection.sendall(b"welcome")

    with server(know) as port:
        capture = tmp_path / "x.pcap"
        writer = pcap.Writer(capture)
        connection = craft.Connection(server=("185.146.21.20", port))
        packets = [raw for raw, _ in connection.handshake()] + [connection.data(flight)]
        for number, raw in enumerate(packets):
            writer.write(raw, float(number))
        writer.close()
        shown = json.loads(invoke("probe", f"127.0.0.1:{port}", "--replay", str(capture), "--json").stdout)
        assert shown["schema"] == "rozaneh.lab.replay/1"
        assert shown["accepted"] is True
        assert (shown["reactions"]["R1"]["reaction"], shown["reactions"]["R2"]["reaction"]) == ("data", "fin")
        elsewhere = invoke("probe", "127.0.0.1:1", "--replay", str(capture))
        assert (elsewhere.exit_code, "No client speaks to a TCP port 1" in elsewhere.output) == (2, True)
