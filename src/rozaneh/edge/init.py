"""Making an edge: everything in place, or nothing that calls itself an edge.

``edge.toml`` is written last and makes the directory an edge. A run that was killed before leaves keys at most, and
the next run goes on with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rozaneh.core.clock import Clock
from rozaneh.core.control import CONTROL
from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.files import LOCK, TEMPORARY, DirectoryLock, private_dir, sweep, write_private
from rozaneh.core.keys import SigningKey, fingerprint
from rozaneh.edge.certs import check_pair, make_certificate, pin_of
from rozaneh.edge.cover import check_cover
from rozaneh.edge.database import Database
from rozaneh.edge.layout import (
    CERT,
    DATABASE_FILES,
    ISSUER_KEY,
    KEY,
    REALITY_KEYS,
    SETTINGS_FILE,
    EdgeSettings,
    is_edge,
)
from rozaneh.edge.reality import make_keys

_LEFTOVERS = frozenset({LOCK, CONTROL, ISSUER_KEY, CERT, KEY, REALITY_KEYS, *DATABASE_FILES})


@dataclass(frozen=True, slots=True)
class Made:
    """What there is after ``edge init``."""

    directory: Path
    settings: EdgeSettings
    words: str
    pin: str | None


def init(directory: Path, settings: EdgeSettings, clock: Clock) -> Made:
    """Make an edge in ``directory``.

    Raises:
        Fault: CONFIG when there is one, the directory holds other things, or a choice cannot work; PERMISSION; BUSY.
    """
    check_cover(settings)
    if settings.cert is not None and settings.key is not None:
        check_pair(settings.cert, settings.key, settings.host)
    private_dir(directory)
    if is_edge(directory):
        raise Fault(
            FaultKind.CONFIG,
            f"There is an edge in `{directory}` already",
            hint=f"start it with `rozaneh edge up --dir {directory}`",
        )
    foreign = [p.name for p in directory.iterdir() if p.name not in _LEFTOVERS and not p.name.startswith(TEMPORARY)]
    if foreign:
        raise Fault(FaultKind.CONFIG, f"`{directory}` holds other things", hint="choose an empty or new directory")
    with DirectoryLock(directory).take():
        sweep(directory)
        if (directory / ISSUER_KEY).exists():
            key = SigningKey.load(directory / ISSUER_KEY)
        else:
            key = SigningKey.generate()
            key.save(directory / ISSUER_KEY)
        if settings.cert is None and settings.borrowed is None:
            make_certificate(directory, settings.host, clock.now())
        if settings.reality:
            make_keys(directory, post_quantum=settings.post_quantum)
        pin = None if settings.reality else pin_of(directory, settings)
        Database(directory).close()
        write_private(directory / SETTINGS_FILE, settings.to_toml().encode("utf-8"))
    return Made(directory, settings, fingerprint(key.public()), pin)
