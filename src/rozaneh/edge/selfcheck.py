"""What `doctor` tells an operator: whether the edge is sound, running, and separate enough."""

from __future__ import annotations

import datetime
from pathlib import Path

from rozaneh.core.clock import Clock
from rozaneh.core.control import ask
from rozaneh.core.errors import Fault
from rozaneh.core.keys import SigningKey
from rozaneh.edge.certs import certificate_files, load_chain
from rozaneh.edge.database import Database, as_int
from rozaneh.edge.layout import ISSUER_KEY, load_settings
from rozaneh.fleet import roster

_SOON = 14 * 86_400  # two weeks: an operator on holiday still sees it
Finding = tuple[str, int, str, str]


def look(directory: Path, clock: Clock) -> list[Finding]:
    """Findings as (name, 0 sound / 1 attention / 2 broken, detail, hint).

    Raises:
        Fault: CONFIG when there is no edge in ``directory``.
    """
    settings = load_settings(directory)
    found: list[Finding] = []
    try:
        SigningKey.load(directory / ISSUER_KEY)
        found.append(("keys", 0, "the issuer's key is whole and private", ""))
    except Fault as fault:
        found.append(("keys", 2, str(fault), fault.hint))
    found.append(_certificate(certificate_files(directory, settings)[0], clock))
    found.append(_roster(directory, clock))
    if ask(directory, "status") is None:
        found.append(("running", 2, "the edge is not running", f"run `rozaneh edge up --dir {directory}`"))
    else:
        found.append(("running", 0, f"the edge is up on {settings.listen}", ""))
    if settings.is_local:
        found.append(
            (
                "address",
                1,
                "readers outside this network cannot dial it",
                "give a public address to `edge init --address`",
            )
        )
    else:
        found.append(("address", 0, "readers can dial it from anywhere", ""))
    if settings.separate_egress:
        found.append(("egress", 0, "readers' connections leave from another address than they enter", ""))
    else:
        found.append(
            (
                "egress",
                1,
                "readers' connections leave from the address they enter",
                "a site that reports its visitors can name this edge: give a second address to `edge init --egress`",
            )
        )
    if settings.allow:
        found.append(
            ("policy", 1, f"exceptions to the address policy: {', '.join(settings.allow)}", "remove what is not needed")
        )
    return found


def _certificate(path: Path, clock: Clock) -> Finding:
    try:
        leaf = load_chain(path)[0]
    except Fault as fault:
        return ("certificate", 2, str(fault), fault.hint)
    left = int((leaf.not_valid_after_utc - datetime.datetime.fromtimestamp(clock.now(), datetime.UTC)).total_seconds())
    if left <= 0:
        return ("certificate", 2, "it has expired", "renew it; strangers see it, and readers without a pin are refused")
    if left < _SOON:
        return ("certificate", 1, f"it expires in {left // 86_400} days", "renew it")
    return ("certificate", 0, f"valid for {left // 86_400} more days", "")


def _roster(directory: Path, clock: Clock) -> Finding:
    with Database(directory) as db:
        rows = db.rows("SELECT max(issued) FROM rosters")
    if rows[0][0] is None:
        return ("roster", 1, "none was signed yet", "it is signed when the edge starts")
    age = clock.now() - as_int(rows[0][0])
    if age > roster.LIFETIME:
        return ("roster", 2, "it has expired", "start the edge: it renews its roster by itself")
    if age < -roster.TOLERANCE:
        return ("roster", 2, "it was signed in the future", "set this machine's clock")
    return ("roster", 0, f"renewed {max(age, 0) // 3600} hours ago", "")
