"""The demo shows what it promises, and says so when it does not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rozaneh.lab import demo

PNG = b"\x89PNG\r\n\x1a\n"


def rozaneh(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as a person runs it."""
    argv = [sys.executable, "-m", "rozaneh.cli.main", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("way", ["h2+tls", "h2+reality"])
def test_the_main_job_end_to_end(tmp_path: Path, way: str) -> None:
    done = rozaneh("lab", "demo", "--out", str(tmp_path / "out"), "--way", way)
    assert done.returncode == 0, done.stderr
    *table, last = done.stdout.splitlines()
    summary: dict[str, Any] = json.loads(last)
    assert (summary["schema"], summary["way"]) == ("rozaneh.demo/1", way)
    assert {key: summary[key] for key in demo.PROMISES} == dict.fromkeys(demo.PROMISES, True)
    assert [page["direct"]["rule"] for page in summary["pages"]] == ["IR-01", "IR-03", "IR-12", "IR-02"]
    assert [page["edge"]["status"] for page in summary["pages"]] == [200] * 4
    assert len(table) == 5
    # The counts that find nothing through the edge do find the same names and addresses without it.
    seen = summary["reader_side"]
    assert min(seen[key] for key in seen if key.endswith("_directly")) >= 4
    assert max(seen[key] for key in seen if key.endswith("_through_edge")) == 0
    assert summary["router"]["errors"] == 0
    assert [line.split("$ ")[1].split()[:3] for line in summary["commands"]] == [
        ["rozaneh", "edge", "init"],
        ["rozaneh", "edge", "up"],
        ["rozaneh", "invite", "new"],
        ["rozaneh", "connect", "-"],
    ]
    assert "rozaneh:" not in done.stdout + done.stderr  # the invite is shown nowhere
    files = {path.name for path in (tmp_path / "out").iterdir()}
    shots = {page[way]["screenshot"] for page in summary["pages"] for way in ("direct", "edge")}
    assert files == shots | {"reader-side.pcap", "internet-side.pcap", "acts.jsonl", "summary.json"}
    assert len(shots) == 8
    assert all((tmp_path / "out" / shot).read_bytes().startswith(PNG) for shot in shots)
    assert json.loads((tmp_path / "out" / "summary.json").read_text()) == summary


def test_without_a_censor_nothing_counts_as_blocked(tmp_path: Path) -> None:
    summary = demo.run(tmp_path, lambda _: None, "no_censor")
    assert (summary["blocked_directly"], summary["opened_through_edge"]) == (False, True)
    assert summary["no_name_in_the_clear"] is True
    assert not demo.good(summary)


def test_a_command_that_fails_ends_the_demo_with_what_it_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "rozaneh"
    broken.write_text("#!/bin/sh\necho no room >&2\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setattr(demo, "program", lambda: broken)
    with pytest.raises(demo.DemoFailed, match=r"`rozaneh edge init` ended with 3: no room"):
        demo.run(tmp_path / "out", lambda _: None, "no_censor")


def test_list_and_shell() -> None:
    shown = json.loads(rozaneh("lab", "list", "--json").stdout)
    assert shown["schema"] == "rozaneh.lab.list/1"
    assert {entry["name"] for entry in shown["censors"]} >= {"dns_forge", "http_block", "ip_drop", "sni_reset"}
    command = "curl -sS --max-time 9 https://morning-ledger.example/; echo $?; cat /etc/resolv.conf; exit 5"
    reset = rozaneh("lab", "shell", "newsstand", "--scenario", "four_blocks", "--run", command)
    assert reset.returncode == 5
    assert reset.stdout.startswith("35\nnameserver 145.82.40.53\n")
    at_edge = rozaneh("lab", "shell", "newsstand", "--at", "edge", "--scenario", "four_blocks", "--run", command)
    assert "Auditors publish" in at_edge.stdout


@pytest.mark.parametrize("arguments", [["shell", "atlantis"], ["shell", "newsstand", "--at", "moon"]])
def test_what_is_not_there_is_a_mistake_in_the_command(arguments: list[str]) -> None:
    done = rozaneh("lab", *arguments)
    assert done.returncode == 2
    assert "there are: " in done.stderr
