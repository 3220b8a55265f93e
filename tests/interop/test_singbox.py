"""Interoperation with a program nobody here wrote: sing-box's naive inbound, and its outbound (Chromium's stack)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

from tests.interop.singbox_world import SIZE

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def peers(tools: Path) -> Path:
    """An environment with the pinned peers; made once, when it is not there yet."""
    folder = tools / "peers"
    done = folder / "installed"
    wanted = (ROOT / "requirements" / "peers.txt").read_text()
    if not done.exists() or done.read_text() != wanted:
        venv.create(folder, with_pip=True, clear=True)
        pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run(
            [*pip, "--require-hashes", "-r", ROOT / "requirements" / "peers.txt"],
            check=True,
            stdin=subprocess.DEVNULL,
            timeout=300,
        )
        done.write_text(wanted)
    return folder


def run(role: str, peers: Path) -> dict[str, Any]:
    """One role's report, from a namespace without a route."""
    unshare = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if os.geteuid() != 0:
        unshare += ["--user", "--map-root-user"]
    finished = subprocess.run(
        [*unshare, sys.executable, "-m", "tests.interop.singbox_world", role, str(peers)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert finished.returncode == 0, (finished.stdout + finished.stderr)[-4000:]
    report: dict[str, Any] = json.loads(finished.stdout)
    return report


def padded(report: dict[str, Any]) -> None:
    """The download is right, and both directions began with eight padded frames at most, as negotiated."""
    assert report["digest"] == report["expected"]
    assert report["others"]
    request, answer = report["request"], report["answer"]
    assert request[":method"] == "CONNECT"
    # RFC 9113 section 8.5: no scheme, no path.
    assert {":scheme", ":path", ":protocol"}.isdisjoint(request)
    assert len(request["padding"]) >= 16
    assert answer[":status"] == "200"
    assert len(answer["padding"]) >= 30
    assert report["up"].startswith(f"GET /bytes/{SIZE} HTTP/1.1\r\n")
    assert report["up_frames"] >= 1
    assert report["down_frames"] == 8
    assert report["down_starts"] == "HTTP/1.1 200 OK"
    assert SIZE < report["down_length"] < SIZE + 1000


def test_our_client_and_its_inbound(peers: Path) -> None:
    report = run("inbound", peers)
    padded(report)
    assert len(report["request"]["padding"]) <= 32
    assert report["request"]["padding-type-request"] == "1, 0"
    # An older server, which names no type: the field alone stands for type 1.
    assert "padding-type-reply" not in report["answer"]
    # The first request waits to learn the server's padding; later ones do not wait any more.
    assert report["fast"] == ["", "1", "1"]
    # Its refusal is a stranger's answer to us, and no tunnel.
    assert report["wrong"] == ""


def test_its_outbound_and_our_edge(peers: Path) -> None:
    report = run("outbound", peers)
    padded(report)
    # It names no types: its `padding` alone asks for type 1.
    assert "padding-type-request" not in report["request"]
    assert report["answer"]["padding-type-reply"] == "1"
    assert len(report["answer"]["padding"]) <= 61
    assert report["user_down"] >= SIZE + SIZE // 10
    assert report["visits"] == 0
