"""Bytes carried for each account, counted once whatever happens.

The engine's counters are monotonic within an epoch (one start of the edge). A snapshot is written under (epoch,
sequence): writing it twice, or writing an older one after a newer one, changes nothing. Ended epochs are folded into
one row an account when the next one begins, so the table does not grow with restarts. No time of use is stored: who
was here when is nobody's business.
"""

from __future__ import annotations

from dataclasses import dataclass

from rozaneh.edge.database import Database, as_int, as_text
from rozaneh.engine.config import Counters

_FOLDED = 0  # the epoch of sums over everything that has ended


@dataclass(frozen=True, slots=True)
class Total:
    """Bytes of one account over all epochs."""

    up: int
    down: int


def begin_epoch(db: Database) -> int:
    """Fold what has ended and give the number of the epoch that begins now."""
    with db.transaction() as write:
        row = write.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
        epoch = 1 if row is None else as_int(row[0]) + 1
        write.execute(
            "INSERT INTO meta VALUES ('epoch', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (epoch,)
        )
        sums = write.execute("SELECT account, sum(up), sum(down) FROM usage GROUP BY account").fetchall()
        write.execute("DELETE FROM usage")
        write.executemany("INSERT INTO usage VALUES (?, ?, 0, ?, ?)", [(a, _FOLDED, up, down) for a, up, down in sums])
    return epoch


def record(db: Database, epoch: int, seq: int, counters: Counters) -> None:
    """Write a snapshot; only a newer one of the current epoch has an effect."""
    busy = [(name, c.up, c.down) for name, c in counters.users.items() if c.up or c.down]
    if not busy:
        return
    with db.transaction() as write:
        row = write.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
        if row is None or as_int(row[0]) != epoch:
            return  # that epoch was folded: its bytes are counted already
        write.executemany(
            "INSERT INTO usage VALUES (?, ?, ?, ?, ?) ON CONFLICT (account, epoch) DO UPDATE SET seq = excluded.seq,"
            " up = max(up, excluded.up), down = max(down, excluded.down) WHERE excluded.seq > seq",
            [(name, epoch, seq, up, down) for name, up, down in busy],
        )


def totals(db: Database) -> dict[str, Total]:
    """Bytes of every account that ever carried any."""
    rows = db.rows("SELECT account, sum(up), sum(down) FROM usage GROUP BY account")
    return {as_text(row[0]): Total(as_int(row[1]), as_int(row[2])) for row in rows}
