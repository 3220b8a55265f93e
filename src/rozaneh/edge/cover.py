"""What a stranger sees: from the operator's one word to the engine's cover."""

from __future__ import annotations

from pathlib import Path

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.engine.config import Directory, Proxy, Stock


def to_cover(cover: str | None) -> Stock | Directory | Proxy:
    """The engine's cover: a directory, the URL of a site, or a web server's stock page where nothing is given."""
    if cover is None:
        return Stock()
    if "://" in cover:
        return Proxy(url=cover)
    return Directory(path=cover)


def check_cover(cover: str | None) -> None:
    """Refuse a directory that is not there before the edge is made.

    Raises:
        Fault: CONFIG.
    """
    if cover is not None and "://" not in cover and not Path(cover).is_dir():
        raise Fault(
            FaultKind.CONFIG, f"The cover `{cover}` is not a directory", hint="give a directory or a URL to `--cover`"
        )
