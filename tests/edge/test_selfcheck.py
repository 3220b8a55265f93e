"""What ``doctor`` tells an operator."""

from __future__ import annotations

from dataclasses import replace

from rozaneh.core.addresses import parse_address
from rozaneh.core.files import write_private
from rozaneh.edge.database import Database
from rozaneh.edge.rosters import current
from rozaneh.edge.selfcheck import look
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


def test_damage(edge: MadeEdge) -> None:
    (edge.directory / "issuer.key").chmod(0o644)
    (edge.directory / "cert.pem").unlink()
    found = levels(edge)
    assert (found["keys"], found["certificate"]) == (2, 2)
