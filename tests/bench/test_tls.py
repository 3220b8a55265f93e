"""Own TLS beside rustls: what is asked of the program, and what becomes of its figures."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from rozaneh.bench import tls
from rozaneh.cli.main import cli
from rozaneh.core.errors import Fault

JOB = tls.Job(rounds=2, megabytes=1, handshakes=3)


def one_round(ours: float, theirs: float) -> dict[str, float]:
    """A round in which ours costs ``ours`` where rustls costs ``theirs``, in records as in handshakes."""
    figures = {}
    for whose, cost in (("ours", ours), ("rustls", theirs)):
        for suite in ("aes128", "aes256", "chacha20"):
            figures |= {f"{suite}_{whose}_{job}_cpu_s_gb": cost for job in ("seal", "open")}
        figures |= {f"{group}_{whose}_handshakes_s": 1 / cost for group in ("x25519", "x25519mlkem768")}
    return figures


def program(folder: Path, script: str) -> Path:
    """An executable of one line of shell."""
    path = folder / "cost"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_promises_are_judged_by_the_median_of_each_rounds_ratio() -> None:
    fine = tls.verdicts([one_round(1.0, 1.0), one_round(3.0, 4.0), one_round(9.0, 1.0)])
    assert [(one.ratio.median, one.met) for one in fine] == [(1.0, True)] * 5
    slow = tls.verdicts([one_round(1.3, 1.0)])
    assert [one.met for one in slow] == [False] * 5
    # A tenth slower is within 20 % for handshakes, and too much for records.
    assert [one.met for one in tls.verdicts([one_round(1.1, 1.0)])] == [False] * 3 + [True] * 2


def test_the_program_is_asked_and_its_answer_read(tmp_path: Path) -> None:
    answer = json.dumps({"rounds": [one_round(1.0, 2.0)]})
    asked = tmp_path / "asked"
    found = tls.measure(program(tmp_path, f"echo \"$@\" > {asked}; echo '{answer}'"), JOB)
    assert asked.read_text() == "2 1 3\n"
    assert found == [one_round(1.0, 2.0)]


def test_a_program_that_fails_is_a_fault_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(Fault, match="the last word"):
        tls.measure(program(tmp_path, "echo first >&2; echo the last word >&2; exit 1"), JOB)


def test_the_command_prints_tables_and_writes_the_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = json.dumps({"rounds": [one_round(1.0, 2.0), one_round(1.0, 1.0)]})
    monkeypatch.setenv(tls.VARIABLE, str(program(tmp_path, f"echo '{answer}'")))
    out = tmp_path / "tls.json"
    done = CliRunner().invoke(cli, ["bench", "tls", "--rounds", "2", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "record layer, AES-128-GCM: CPU-s/GB, of rustls" in done.output
    assert done.output.count(" met") == 5
    document = json.loads(out.read_text())
    assert document["schema"] == tls.SCHEMA
    assert document["figures"]["aes128_rustls_seal_cpu_s_gb"] == {"min": 1.0, "median": 1.5, "max": 2.0}
    assert document["versions"].keys() == {"aws-lc-rs", "rozaneh-tls", "rustls"}
    assert [one["ratio"]["median"] for one in document["requirements"]] == [0.75] * 3 + [1.5] * 2
