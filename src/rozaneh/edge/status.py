"""What an operator may know about the people an edge serves: that there are some, and how much they carry.

Numbers of people and of what they do right now appear as ``<5`` below five. A destination or a reader's address is
nowhere here to be shown: the engine does not report them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rozaneh.core.clock import Clock
from rozaneh.core.control import ask
from rozaneh.core.redact import few
from rozaneh.edge import journal
from rozaneh.edge.accounts import list_accounts
from rozaneh.edge.database import Database, as_int
from rozaneh.edge.layout import load_settings
from rozaneh.engine.config import Counters
from rozaneh.fleet import roster

SCHEMA = "rozaneh.edge.status/1"
_DAY_HOURS = 24


def live_status(counters: Counters, now: int) -> dict[str, Any]:
    """The part of the status that only the running edge knows."""
    hour = now // 3600
    people = sum(
        1
        for c in counters.users.values()
        if c.tunnels_open or (c.last_seen is not None and hour - c.last_seen < _DAY_HOURS)
    )
    return {
        "people": few(people),
        "tunnels": few(counters.tunnels_open),
        "tunnels_since_start": few(counters.tunnels_total),
        "bytes_up_since_start": counters.bytes_up,
        "bytes_down_since_start": counters.bytes_down,
        "refused_since_start": {kind: few(count) for kind, count in counters.refused.items()},
    }


def status(directory: Path, clock: Clock) -> dict[str, Any]:
    """The whole status of the edge in ``directory``, running or not.

    Raises:
        Fault: CONFIG when there is no edge; FAILED when its database cannot be read.
    """
    settings = load_settings(directory)
    now = clock.now()
    with Database(directory) as db:
        accounts = list_accounts(db)
        totals = journal.totals(db).values()
        rows = db.rows("SELECT sequence, issued FROM rosters")
    live = ask(directory, "status")
    result: dict[str, Any] = {
        "schema": SCHEMA,
        "state": "down" if live is None else "up",
        "listen": str(settings.listen),
        "host": settings.host,
        "address": str(settings.address),
        "way": settings.way,
        "cover": settings.cover,
        "post_quantum": settings.post_quantum,
        "local": settings.is_local,
        "separate_egress": settings.separate_egress,
        "allow": list(settings.allow),
        "invites_active": sum(1 for account in accounts if account.state(now) == "active"),
        "invites_revoked": sum(1 for account in accounts if account.state(now) == "revoked"),
        "invites_expired": sum(1 for account in accounts if account.state(now) == "expired"),
        "bytes_up": sum(total.up for total in totals),
        "bytes_down": sum(total.down for total in totals),
        "roster_expires": max((as_int(row[1]) + roster.LIFETIME for row in rows), default=None),
    }
    if live is not None:
        result |= {key: value for key, value in live.items() if key != "ok"}
    return result
