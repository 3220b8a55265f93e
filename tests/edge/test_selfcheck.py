"""What ``doctor`` tells an operator."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rozaneh.core.addresses import Endpoint, parse_address
from rozaneh.core.files import write_private
from rozaneh.edge.database import Database
from rozaneh.edge.reality import make_keys
from rozaneh.edge.rosters import current
from rozaneh.edge.selfcheck import look
from rozaneh.edge.visit import ML_DSA_RECORD, Visit
from rozaneh.fleet import roster
from tests.edge.conftest import MadeEdge
from tests.fleet.builders import KEY, way

DAY = 86_400


def levels(edge: MadeEdge) -> dict[str, int]:
    return {name: level for name, level, _, _ in look(edge.directory, edge.clock)}


def test_a_fresh_edge_that_is_down(edge: MadeEdge) -> None:
    assert levels(edge) == {"keys": 0, "certificate": 0, "roster": 1, "running": 2, "address": 0, "egress": 1}


def test_what_time_does(edge: MadeEdge) -> None:
    with Database(edge.directory) as db:
        current(db, KEY, edge.clock, "default", (way(),))
    assert levels(edge)["roster"] == 0
    edge.clock.advance(roster.LIFETIME + 1)
    assert levels(edge)["roster"] == 2
    edge.clock.advance(3650 * DAY)
    assert levels(edge)["certificate"] == 2


def test_a_certificate_that_ends_soon(edge: MadeEdge) -> None:
    from rozaneh.edge.certs import load_chain

    end = int(load_chain(edge.directory / "cert.pem")[0].not_valid_after_utc.timestamp())
    edge.clock.wall = end - 13 * DAY
    assert levels(edge)["certificate"] == 1


def test_what_the_operator_chose(edge: MadeEdge) -> None:
    settings = replace(
        edge.settings, address=parse_address("10.0.0.1"), egress=parse_address("10.0.0.2"), allow=("10.0.0.0/8",)
    )
    write_private(edge.directory / "edge.toml", settings.to_toml().encode())
    found = levels(edge)
    assert (found["address"], found["egress"], found["policy"]) == (1, 0, 1)


GOOD = Visit(
    for_name=True, borrowable=True, self_signed=False, expires=0, largest_record=ML_DSA_RECORD, software="nginx"
)


def test_behind_reality_with_a_site_of_its_own(fronted: MadeEdge) -> None:
    found = levels(fronted)
    assert (found["reality"], found["certificate"]) == (0, 0)
    (fronted.directory / "reality.key").unlink()
    assert levels(fronted)["reality"] == 2


@pytest.mark.parametrize(
    ("changes", "days", "level"),
    [
        ({}, 30, 0),
        ({}, 13, 1),
        ({}, -1, 1),
        ({"self_signed": True}, 30, 1),
        ({"for_name": False}, 30, 2),
        ({"borrowable": False}, 30, 2),
        ({"largest_record": ML_DSA_RECORD - 1}, 30, 2),
        (None, 30, 2),
    ],
)
def test_behind_reality_with_a_web_server(
    fronted: MadeEdge, changes: dict[str, Any] | None, days: int, level: int
) -> None:
    settings = replace(fronted.settings, cover="tls:127.0.0.1:8443", post_quantum=True)
    (fronted.directory / "reality.key").unlink()
    make_keys(fronted.directory, post_quantum=True)
    write_private(fronted.directory / "edge.toml", settings.to_toml().encode())
    asked: list[tuple[str, str]] = []

    def visit(at: Endpoint, name: str) -> Visit | None:
        asked.append((str(at), name))
        return None if changes is None else replace(GOOD, expires=fronted.clock.now() + days * DAY, **changes)

    found = {name: given for name, given, _, _ in look(fronted.directory, fronted.clock, visit)}
    assert (found["cover"], found["reality"], "certificate" in found) == (level, 0, False)
    assert asked == [("127.0.0.1:8443", "news.example")]


def test_a_cover_whose_name_leads_nowhere(fronted: MadeEdge) -> None:
    settings = replace(fronted.settings, cover="tls:nowhere.invalid:443")
    write_private(fronted.directory / "edge.toml", settings.to_toml().encode())
    assert levels(fronted)["cover"] == 2


def test_damage(edge: MadeEdge) -> None:
    (edge.directory / "issuer.key").chmod(0o644)
    (edge.directory / "cert.pem").unlink()
    found = levels(edge)
    assert (found["keys"], found["certificate"]) == (2, 2)
