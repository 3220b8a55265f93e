"""A real browser through client and edge: pages over HTTP/1.1 and HTTP/2, 200 fetches at once, 100 MB, a WebSocket."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.interop.web import LARGE, LARGE_SHA256, NAME

Report = dict[str, Any]


@pytest.fixture(scope="module", params=["socks5", "http"])
def report(request: pytest.FixtureRequest) -> Report:
    """What the browser found, by each proxy protocol."""
    unshare = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if os.geteuid() != 0:
        unshare += ["--user", "--map-root-user"]
    finished = subprocess.run(
        [*unshare, sys.executable, "-m", "tests.interop.browser_world", request.param],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert finished.returncode == 0, (finished.stdout + finished.stderr)[-4000:]
    found: Report = json.loads(finished.stdout)
    return found


def test_a_page(report: Report) -> None:
    assert report["text"] == "The page of the site."


def test_two_hundred_fetches_over_h2(report: Report) -> None:
    assert report["many over h2"] == {"right": 200, "protocols": ["h2"]}


def test_two_hundred_fetches_over_http_1(report: Report) -> None:
    assert report["many over http/1.1"] == {"right": 200, "protocols": ["http/1.1"]}


def test_a_hundred_megabytes(report: Report) -> None:
    assert report["large"] == {"size": LARGE, "sha256": LARGE_SHA256}


def test_a_websocket(report: Report) -> None:
    assert report["websocket"] == {"code": 1000, "clean": True, "right": True}


def test_an_upload(report: Report) -> None:
    assert report["upload"]["answer"] == hashlib.sha256(b"\7" * (20 << 20)).hexdigest()


def test_names_were_resolved_at_the_edge_and_nothing_was_refused(report: Report) -> None:
    """The browser has no resolver here: what it opened, the edge resolved."""
    assert NAME in report["asked"]
    assert report["edge"]["bytes_down"] > LARGE
    assert report["edge"]["visits"] == 0
