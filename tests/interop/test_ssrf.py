"""No spelling, name or entry leads an engine to an address that is not public (reliability X8).

``ssrf_world`` runs in a namespace where every address of IPv4 and IPv6 would answer, so what is not reached was not
dialled.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.interop.ssrf_world import ENTRIES, OWN, REACHABLE, TABLE, strict

Report = dict[str, Any]
ROWS = json.loads(TABLE.read_text())["rows"]


@pytest.fixture(scope="module")
def report() -> Report:
    """What the world saw."""
    unshare = ["unshare", "--net", "--fork", "--kill-child"]
    if os.geteuid() != 0:
        unshare += ["--user", "--map-root-user"]
    finished = subprocess.run(
        [*unshare, sys.executable, "-m", "tests.interop.ssrf_world"],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    found: Report = json.loads(finished.stdout)
    return found


def strictly_literal(row: dict[str, Any]) -> bool:
    """Whether the spelling is an address to every parser."""
    address = strict(row["spelling"])
    return address is not None and not getattr(address, "scope_id", None)


def test_the_table_is_large_enough() -> None:
    assert len({row["spelling"] for row in ROWS}) >= 250
    assert sum(strictly_literal(row) for row in ROWS) >= 60
    assert sum(row["kind"] == "name" for row in ROWS) >= 60


def test_nothing_but_public_addresses_is_reached(report: Report) -> None:
    assert report["rows"] == len(ROWS)
    reached = {place.split(" ")[1] for place in report["reached"]}
    # The public ones are reached: names that answer with them too, and the UDP controls.
    assert reached <= set(REACHABLE)
    assert len(reached) >= 2


def test_answers_come_only_from_there(report: Report) -> None:
    """A program behind a local port gets a forbidden listener's bytes by no spelling."""
    public = {row["spelling"] for row in ROWS if row["resolves_to"] and set(row["resolves_to"]) & set(REACHABLE)}
    for entry, found in report["entries"].items():
        assert set(found["answered"]) <= public, entry


@pytest.mark.parametrize("side", ["edge", "direct"])
@pytest.mark.parametrize("entry", ENTRIES)
def test_every_entry_was_tried_and_refused(report: Report, side: str, entry: str) -> None:
    found = report["entries"][f"{side}: {entry}"]
    refused = sum(found["refused"].get(kind, 0) for kind in ("policy", "name"))
    literal = sum(strictly_literal(row) for row in ROWS) + len(OWN)
    if entry == "socks5 address":
        assert found["attempts"] == literal
        # Each of them met the policy and nothing else.
        assert found["refused"] == {"policy": literal}
    else:
        assert found["attempts"] >= len(ROWS) - 5
        # What is no host at all is refused before anything is asked; the rest is counted where the dial would be.
        assert found["refused"]["policy"] >= literal
        assert refused >= 250
        assert set(found["refused"]) <= {"policy", "name"}


def test_datagrams_too(report: Report) -> None:
    assert report["entries"]["edge: socks5 udp"]["attempts"] > len(ROWS)
    assert report["entries"]["direct: socks5 udp"]["attempts"] > len(ROWS)
    # Through the edge every destination is a tunnel of its own, and refused as such.
    assert report["entries"]["edge: socks5 udp"]["refused"]["policy"] >= 200


@pytest.mark.parametrize("side", ["edge", "direct"])
def test_a_name_that_changes_its_mind(report: Report, side: str) -> None:
    """While it says a public address it may be reached there; never where it points next."""
    assert report[f"{side}: rebinding"]
    assert all(0 < count <= 100 for count in report[f"{side}: rebinding"])


@pytest.mark.parametrize("side", ["edge", "direct"])
def test_mail_ports_are_closed(report: Report, side: str) -> None:
    assert report[f"{side}: mail"] == [False, False, False]


def test_an_exception_opens_what_it_names(report: Report) -> None:
    """The control: the same engines do connect where the operator says so."""
    assert len(report["control"]) == 2 * len(ENTRIES)
    for entry, outcome in report["control"].items():
        assert outcome == [True, False, False], entry
    assert {place.split(" ")[1] for place in report["control reached"]} == {"127.0.0.1"}
