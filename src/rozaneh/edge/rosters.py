"""The edge's own rosters: signed, numbered, renewed long before they expire.

A number is on disk before its roster leaves the edge. Numbers are at least the time in seconds, so that an edge
restored from an old backup still counts upwards and its readers are not locked out by rule 4 of ``fleet.roster``.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field

from rozaneh.core.clock import Clock
from rozaneh.core.errors import Fault
from rozaneh.core.keys import SigningKey
from rozaneh.edge.database import Database, as_int
from rozaneh.fleet import roster
from rozaneh.ways.grammar import Way


@dataclass(frozen=True, slots=True)
class Issued:
    """A roster as it stands on disk."""

    sequence: int
    expires: int
    document: bytes = field(repr=False)

    def encoded(self) -> str:
        """The document as the engine's configuration carries it."""
        return base64.b64encode(self.document).decode("ascii")


def current(db: Database, key: SigningKey, clock: Clock, compartment: str, ways: tuple[Way, ...]) -> Issued:
    """The compartment's roster, renewed when it is a day old, says other ways, or was damaged.

    Raises:
        Fault: FAILED when a renewed one cannot be stored.
    """
    now = clock.now()
    rows = db.rows("SELECT sequence, issued, document FROM rosters WHERE compartment = ?", (compartment,))
    last = as_int(rows[0][0]) if rows else 0
    if rows and isinstance(rows[0][2], bytes):
        stored = _readable(rows[0][2], key.public())
        fresh = 0 <= now - as_int(rows[0][1]) < roster.RENEW_AFTER
        if stored is not None and fresh and stored.ways == tuple(str(way) for way in ways):
            return Issued(stored.sequence, stored.expires, rows[0][2])
    sequence = max(last + 1, now)
    document = roster.issue(key, compartment, sequence, now, ways)
    with db.transaction() as write:
        write.execute(
            "INSERT INTO rosters VALUES (?, ?, ?, ?) ON CONFLICT (compartment) DO UPDATE SET"
            " sequence = excluded.sequence, issued = excluded.issued, document = excluded.document"
            " WHERE excluded.sequence > sequence",
            (compartment, sequence, now, document),
        )
    return Issued(sequence, now + roster.LIFETIME, document)


def _readable(document: bytes, issuer: bytes) -> roster.Roster | None:
    try:
        return roster.read(document, issuer)
    except Fault:
        return None  # damaged on disk, or signed by a key that was replaced: it is issued anew
