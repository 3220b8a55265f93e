"""The edge's one database: opened the same way everywhere, migrated in one step, durable at every commit.

WAL lets the running edge read while a command writes; ``synchronous=FULL`` makes a commit outlive a power cut;
``secure_delete`` overwrites what is deleted. A transaction is explicit: nothing is ever half done.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.files import reason
from rozaneh.edge.layout import DATABASE

_BUSY_MS = 5000  # a writer holds the lock for one fsync; five seconds is a dying disk
_MIGRATIONS = (
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE accounts (
        id TEXT PRIMARY KEY,
        user_sha256 TEXT UNIQUE,
        password_sha256 TEXT,
        compartment TEXT NOT NULL,
        note TEXT NOT NULL,
        created INTEGER NOT NULL,
        expires INTEGER,
        revoked INTEGER,
        CHECK ((revoked IS NULL) = (user_sha256 IS NOT NULL)),
        CHECK ((user_sha256 IS NULL) = (password_sha256 IS NULL))
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE rosters (
        compartment TEXT PRIMARY KEY,
        sequence INTEGER NOT NULL,
        issued INTEGER NOT NULL,
        document BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE usage (
        account TEXT NOT NULL,
        epoch INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        up INTEGER NOT NULL,
        down INTEGER NOT NULL,
        PRIMARY KEY (account, epoch)
    ) STRICT, WITHOUT ROWID;
    """,
    # Accounts made before VLESS have no id for it: their invites still hold the secret, but the edge never saw that.
    """
    ALTER TABLE accounts ADD COLUMN vless_sha256 TEXT CHECK (vless_sha256 IS NULL OR revoked IS NULL);
    CREATE UNIQUE INDEX accounts_vless ON accounts (vless_sha256);
    """,
)


class Database:
    """A connection to the edge's database; one thread uses it."""

    def __init__(self, directory: Path) -> None:
        path = directory / DATABASE
        try:
            with contextlib.suppress(FileExistsError):
                # SQLite would make it readable for the group; its -wal and -shm take the mode of this file.
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600))
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_MS / 1000)
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON", "trusted_schema=OFF"):
                self._connection.execute(f"PRAGMA {pragma}")
            self._migrate()
        except OSError as error:
            raise Fault(FaultKind.PERMISSION, f"Could not open `{path}`", why=reason(error)) from error
        except sqlite3.Error as error:
            raise _broken(error) from error

    def _migrate(self) -> None:
        with self.transaction() as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version > len(_MIGRATIONS):
                raise Fault(FaultKind.UNSUPPORTED, "The edge's database was made by a newer version")
            for step in _MIGRATIONS[version:]:
                for statement in step.split(";"):
                    if statement.strip():
                        db.execute(statement)
            if version < len(_MIGRATIONS):
                db.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A write transaction: all of the block or nothing of it, on disk when the block has ended.

        Raises:
            Fault: FAILED when the disk or the database says no.
        """
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise _broken(error) from error

    def rows(self, query: str, parameters: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        """The rows of a reading query.

        Raises:
            Fault: FAILED when the database cannot be read.
        """
        try:
            return self._connection.execute(query, parameters).fetchall()
        except sqlite3.Error as error:
            raise _broken(error) from error

    def changes_by_others(self) -> int:
        """A number that moves when another connection has committed (``PRAGMA data_version``)."""
        (row,) = self.rows("PRAGMA data_version")
        return as_int(row[0])

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def as_int(value: object) -> int:
    """A column that the schema says is an integer."""
    if not isinstance(value, int):
        raise Fault(FaultKind.FAILED, "The edge's database holds something unexpected")
    return value


def as_text(value: object) -> str:
    """A column that the schema says is text."""
    if not isinstance(value, str):
        raise Fault(FaultKind.FAILED, "The edge's database holds something unexpected")
    return value


def _broken(error: sqlite3.Error) -> Fault:
    if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
        return Fault(FaultKind.BUSY, "The edge's database is busy", hint="run the command again")
    return Fault(
        FaultKind.FAILED, "The edge's database said no", why=str(error), hint="check the disk's free space and health"
    )
