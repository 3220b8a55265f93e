"""The status shows that there are people, never who, and never how few."""

from __future__ import annotations

import json

import pytest

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.edge import journal
from rozaneh.edge.accounts import create, revoke
from rozaneh.edge.database import Database
from rozaneh.edge.status import live_status, status
from rozaneh.engine.config import Counters, UserCounters
from tests.edge.conftest import MadeEdge

HOUR = 500_000


def users(count: int, **values: int) -> dict[str, UserCounters]:
    return {f"inv_{i}": UserCounters(**values) for i in range(count)}


@pytest.mark.parametrize(("count", "shown"), [(0, "<5"), (1, "<5"), (4, "<5"), (5, 5), (70, 70)])
def test_small_groups_are_hidden(count: int, shown: int | str) -> None:
    live = live_status(
        Counters(tunnels_open=count, tunnels_total=count, refused={"range": count}, users=users(count, tunnels_open=1)),
        HOUR * 3600,
    )
    assert [live[key] for key in ("people", "tunnels", "tunnels_since_start")] == [shown] * 3
    assert live["refused_since_start"] == {"range": shown}


def test_people_are_those_of_the_last_day() -> None:
    seen = users(5, last_seen=HOUR - 23) | {"inv_old": UserCounters(last_seen=HOUR - 24), "inv_never": UserCounters()}
    assert live_status(Counters(users=seen), HOUR * 3600)["people"] == 5


def test_an_edge_that_is_down(edge: MadeEdge) -> None:
    with Database(edge.directory) as db:
        first, second = (create(edge.directory, edge.settings, db, edge.clock, note="aunt") for _ in range(2))
        create(edge.directory, edge.settings, db, edge.clock, lifetime=1)
        revoke(db, edge.clock, first.account.id)
        epoch = journal.begin_epoch(db)
        journal.record(db, epoch, 1, Counters(users={second.account.id: UserCounters(up=3, down=4)}))
    edge.clock.advance(2)
    found = status(edge.directory, edge.clock)
    assert (found["state"], found["invites_active"], found["invites_revoked"], found["invites_expired"]) == (
        "down",
        1,
        1,
        1,
    )
    assert (found["bytes_up"], found["bytes_down"], found["allow"]) == (3, 4, [])
    assert (found["way"], found["cover"], found["post_quantum"]) == ("h2+tls", None, False)
    assert "people" not in found
    text = json.dumps(found)
    assert "aunt" not in text
    assert second.account.id not in text


def test_no_edge(edge: MadeEdge) -> None:
    with pytest.raises(Fault) as caught:
        status(edge.directory.parent, edge.clock)
    assert caught.value.kind is FaultKind.CONFIG
