"""The database: durable settings, whole transactions, other people's changes seen, newer files refused."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.edge.accounts import active_users
from rozaneh.edge.database import _MIGRATIONS, Database, as_int, as_text
from tests.edge.conftest import MadeEdge


def test_it_is_opened_durably_and_privately(edge: MadeEdge, db: Database) -> None:
    def pragma(name: str) -> object:
        return db.rows(f"PRAGMA {name}")[0][0]

    assert (pragma("journal_mode"), pragma("synchronous"), pragma("secure_delete")) == ("wal", 2, 1)
    with db.transaction() as write:
        write.execute("INSERT INTO meta VALUES ('x', 1)")
    for path in edge.directory.glob("edge.sqlite3*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_transaction_is_all_or_nothing(db: Database) -> None:
    with pytest.raises(LookupError), db.transaction() as write:  # noqa: PT012
        write.execute("INSERT INTO meta VALUES ('x', 1)")
        raise LookupError
    assert db.rows("SELECT * FROM meta") == []


def test_only_others_commits_count_as_changes(edge: MadeEdge, db: Database) -> None:
    version = db.changes_by_others()
    with db.transaction() as write:
        write.execute("INSERT INTO meta VALUES ('mine', 1)")
    assert db.changes_by_others() == version
    with Database(edge.directory) as other, other.transaction() as write:
        write.execute("INSERT INTO meta VALUES ('theirs', 1)")
    assert db.changes_by_others() != version


def test_a_newer_file_is_refused_and_kept(edge: MadeEdge, db: Database) -> None:
    with db.transaction() as write:
        write.execute("PRAGMA user_version = 99")
    with pytest.raises(Fault) as caught:
        Database(edge.directory)
    assert caught.value.kind is FaultKind.UNSUPPORTED
    assert db.rows("PRAGMA user_version") == [(99,)]


def test_a_damaged_file_is_told(edge: MadeEdge) -> None:
    (edge.directory / "edge.sqlite3").write_bytes(b"this is no database at all, but long enough to look at" * 40)
    with pytest.raises(Fault) as caught:
        Database(edge.directory)
    assert caught.value.kind is FaultKind.FAILED


def test_a_writer_that_holds_on_is_busy_not_a_crash(edge: MadeEdge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rozaneh.edge.database._BUSY_MS", 10)
    holder = sqlite3.connect(edge.directory / "edge.sqlite3", isolation_level=None)
    try:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(Fault) as caught:
            Database(edge.directory)
        assert caught.value.kind is FaultKind.BUSY
    finally:
        holder.close()


def test_an_edge_made_before_vless_keeps_its_accounts(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / "edge.sqlite3", isolation_level=None)
    old.executescript(_MIGRATIONS[0])
    old.execute("INSERT INTO accounts VALUES ('inv_a', 'u', 'p', 'default', '', 1, NULL, NULL)")
    old.execute("INSERT INTO accounts VALUES ('inv_b', NULL, NULL, 'default', '', 1, NULL, 2)")
    old.execute("PRAGMA user_version = 1")
    old.close()
    with Database(tmp_path) as db:
        (user,) = active_users(db, 5)
        assert (user.id, user.user_sha256, user.vless_sha256) == ("inv_a", "u", None)
        with pytest.raises(Fault), db.transaction() as write:
            write.execute("UPDATE accounts SET vless_sha256 = 'x' WHERE id = 'inv_b'")


def test_columns_are_what_the_schema_says() -> None:
    assert (as_int(1), as_text("x")) == (1, "x")
    for wrong in (lambda: as_int("1"), lambda: as_text(1), lambda: as_int(None)):
        with pytest.raises(Fault):
            wrong()
