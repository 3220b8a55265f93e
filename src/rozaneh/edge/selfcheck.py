"""What `doctor` tells an operator: whether the edge is sound, running, and separate enough."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path

from rozaneh.core.addresses import Endpoint
from rozaneh.core.clock import Clock
from rozaneh.core.control import ask
from rozaneh.core.errors import Fault
from rozaneh.core.keys import SigningKey
from rozaneh.edge.certs import certificate_files, load_chain
from rozaneh.edge.cover import judge, resolve
from rozaneh.edge.database import Database, as_int
from rozaneh.edge.layout import ISSUER_KEY, EdgeSettings, load_settings
from rozaneh.edge.reality import load_keys
from rozaneh.edge.visit import Visit, days_left
from rozaneh.edge.visit import visit as pay_visit
from rozaneh.fleet import roster

_SOON = 14 * 86_400  # two weeks: an operator on holiday still sees it
Finding = tuple[str, int, str, str]


def look(directory: Path, clock: Clock, visit: Callable[[Endpoint, str], Visit | None] = pay_visit) -> list[Finding]:
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
    if settings.reality:
        found.append(_reality(directory, settings))
    if settings.borrowed is not None:
        found.append(_cover(settings, clock, visit))
    else:
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


def _reality(directory: Path, settings: EdgeSettings) -> Finding:
    try:
        keys = load_keys(directory)
        signed = " and ML-DSA-65" if keys.mldsa65_key() is not None else ""
    except Fault as fault:
        return ("reality", 2, str(fault), fault.hint)
    if settings.post_quantum and keys.mldsa65_seed is None:
        return ("reality", 2, "`post_quantum` is chosen and there is no ML-DSA key", "make a new edge, and new invites")
    return ("reality", 0, f"its keys (X25519{signed}) are whole and private", "")


def _cover(settings: EdgeSettings, clock: Clock, visit: Callable[[Endpoint, str], Visit | None]) -> Finding:
    try:
        found = visit(resolve(settings.borrowed or ""), settings.host)
    except Fault as fault:
        return ("cover", 2, str(fault), fault.hint)
    why = judge(found, post_quantum=settings.post_quantum)
    if found is None or why is not None:
        return (
            "cover",
            2,
            f"the web server cannot be the cover: {why}",
            "correct its settings; until then nobody gets in",
        )
    left = days_left(found, clock.now())
    if left < 0:
        return ("cover", 1, "its certificate has expired", "renew it: an edge in front of it is as odd as the site is")
    if left < _SOON // 86_400:
        return ("cover", 1, f"its certificate expires in {left} days", "renew it")
    if found.self_signed:
        return ("cover", 1, "its certificate signed itself, which is unusual", "get it one from an authority")
    return ("cover", 0, f"it answers with a certificate for {settings.host}, valid for {left} more days", "")


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
