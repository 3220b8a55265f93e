"""Bytes are counted once: twice written, out of order, across restarts, after folding."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rozaneh.edge import journal as j
from rozaneh.edge.database import Database
from rozaneh.engine.config import Counters, UserCounters
from tests.edge.conftest import MadeEdge


def counted(up: int, down: int = 0, name: str = "inv_a") -> Counters:
    return Counters(users={name: UserCounters(up=up, down=down)})


def test_epochs_count_upwards(db: Database) -> None:
    assert [j.begin_epoch(db) for _ in range(3)] == [1, 2, 3]


def test_twice_and_out_of_order_change_nothing(db: Database) -> None:
    epoch = j.begin_epoch(db)
    j.record(db, epoch, 2, counted(20))
    j.record(db, epoch, 2, counted(20))
    j.record(db, epoch, 1, counted(10))
    assert j.totals(db) == {"inv_a": j.Total(20, 0)}
    j.record(db, epoch, 3, counted(30, 5))
    assert j.totals(db) == {"inv_a": j.Total(30, 5)}


def test_a_counter_never_goes_back(db: Database) -> None:
    epoch = j.begin_epoch(db)
    j.record(db, epoch, 1, counted(20))
    j.record(db, epoch, 2, counted(10))
    assert j.totals(db) == {"inv_a": j.Total(20, 0)}


def test_restarts_add_up_and_fold(db: Database) -> None:
    for _ in range(5):
        epoch = j.begin_epoch(db)
        j.record(db, epoch, 1, counted(7, 1))
    assert j.totals(db) == {"inv_a": j.Total(35, 5)}
    j.begin_epoch(db)
    assert db.rows("SELECT count(*) FROM usage") == [(1,)]
    assert j.totals(db) == {"inv_a": j.Total(35, 5)}


def test_a_late_snapshot_of_an_ended_epoch_is_ignored(db: Database) -> None:
    old = j.begin_epoch(db)
    j.record(db, old, 1, counted(7))
    j.begin_epoch(db)
    j.record(db, old, 2, counted(9))
    assert j.totals(db) == {"inv_a": j.Total(7, 0)}


def test_idle_users_leave_no_row(db: Database) -> None:
    epoch = j.begin_epoch(db)
    j.record(db, epoch, 1, counted(0))
    assert db.rows("SELECT * FROM usage") == []


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.lists(st.integers(0, 1000), min_size=1, max_size=4), min_size=1, max_size=4), st.randoms())
def test_any_order_of_delivery_gives_the_sum_of_the_last_values(
    edge: MadeEdge, epochs: list[list[int]], rng: object
) -> None:
    (edge.directory / "edge.sqlite3").unlink()
    with Database(edge.directory) as db:
        expected = 0
        for steps in epochs:
            epoch = j.begin_epoch(db)
            values = [sum(steps[: i + 1]) for i in range(len(steps))]
            expected += values[-1]
            deliveries = [*enumerate(values, 1), *enumerate(values, 1)]
            rng.shuffle(deliveries)  # type: ignore[attr-defined]
            for seq, value in deliveries:
                j.record(db, epoch, seq, counted(value))
        assert j.totals(db).get("inv_a", j.Total(0, 0)).up == expected
