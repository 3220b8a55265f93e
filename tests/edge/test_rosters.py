"""The edge's own rosters: renewed in time, never counting backwards, on disk before they are given out."""

from __future__ import annotations

import pytest

from rozaneh.core.errors import Fault
from rozaneh.core.keys import SigningKey
from rozaneh.edge.database import Database
from rozaneh.edge.rosters import current
from rozaneh.fleet import roster
from tests.edge.conftest import MadeEdge
from tests.fleet.builders import KEY, OTHER_KEY, way

WAYS = (way(),)


def get(edge: MadeEdge, db: Database, key: SigningKey = KEY, ways: tuple = WAYS):  # type: ignore[type-arg,no-untyped-def]
    return current(db, key, edge.clock, "default", ways)


def test_it_stays_for_a_day_and_is_verified_by_readers(edge: MadeEdge, db: Database) -> None:
    first = get(edge, db)
    edge.clock.advance(roster.RENEW_AFTER - 1)
    assert get(edge, db) == first
    verified = roster.verify(first.document, KEY.public(), "default", edge.clock.now(), None)
    assert (verified.ways, verified.roster.sequence) == (WAYS, first.sequence)
    edge.clock.advance(1)
    later = get(edge, db)
    assert later.sequence > first.sequence
    assert later.expires == edge.clock.now() + roster.LIFETIME
    roster.verify(later.document, KEY.public(), "default", edge.clock.now(), verified.highest)


def test_other_ways_another_key_or_damage_renew_it(edge: MadeEdge, db: Database) -> None:
    numbers = [get(edge, db).sequence]
    numbers.append(get(edge, db, ways=(way(), way("1.1.1.1:443"))).sequence)
    numbers.append(get(edge, db, key=OTHER_KEY).sequence)
    with db.transaction() as write:
        write.execute("UPDATE rosters SET document = x'00'")
    numbers.append(get(edge, db).sequence)
    assert numbers == sorted(set(numbers))


def test_a_clock_that_went_back_does_not_count_back(edge: MadeEdge, db: Database) -> None:
    first = get(edge, db)
    edge.clock.wall -= 400 * 86_400
    assert get(edge, db).sequence == first.sequence + 1


def test_a_database_restored_from_a_backup_still_counts_upwards(edge: MadeEdge, db: Database) -> None:
    first = get(edge, db)
    with db.transaction() as write:
        write.execute("DELETE FROM rosters")
    edge.clock.advance(60)
    assert get(edge, db).sequence > first.sequence


def test_what_cannot_be_stored_is_not_given_out(edge: MadeEdge, db: Database) -> None:
    with db.transaction() as write:
        write.execute("DROP TABLE rosters")
        write.execute("CREATE TABLE rosters (compartment TEXT PRIMARY KEY, sequence, issued, document CHECK (0))")
    with pytest.raises(Fault):
        get(edge, db)
