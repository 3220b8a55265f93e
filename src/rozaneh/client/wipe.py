"""Leaving no trace: what would go, and its going.

Files are overwritten once, cut to nothing and unlinked. Memory cards, SSDs and copy-on-write file systems may keep
old blocks that no program can reach; where that matters, only encryption of the whole device helps, and the manual
says so. Only names that this program makes are touched: a directory given by mistake loses nothing of its own.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path

from rozaneh.client.memory import INVITE_FILE, STATE_FILE
from rozaneh.core.control import CONTROL
from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.files import LOCK, TEMPORARY, DirectoryLock, reason, sync_dir

_OURS = frozenset({INVITE_FILE, STATE_FILE, CONTROL, LOCK, "once.sock"})
# An edge's directory may be wiped too; the names are spelled here because client code never imports the edge.
_EDGE = frozenset(
    {"edge.toml", "issuer.key", "cert.pem", "key.pem", "reality.key", "replays", "replays.lock", "replays.new"}
) | {f"edge.sqlite3{suffix}" for suffix in ("", "-wal", "-shm", "-journal")}


def traces(directory: Path) -> list[Path]:
    """Everything of ours in ``directory``, the lock last."""
    if not directory.is_dir() or directory.is_symlink():
        return []
    found = [p for p in directory.iterdir() if p.name in _OURS | _EDGE or p.name.startswith(TEMPORARY)]
    return sorted(found, key=lambda p: (p.name == LOCK, p.name))


def wipe(directory: Path) -> list[str]:
    """Remove every trace in ``directory``, and the directory when nothing else is in it.

    Returns:
        The names of foreign things that were left alone.

    Raises:
        Fault: BUSY while a process of ours runs there; PERMISSION when something cannot be removed.
    """
    if not directory.is_dir():
        return []
    with DirectoryLock(directory).take():
        for path in traces(directory):
            try:
                _erase(path)
            except OSError as error:
                raise Fault(FaultKind.PERMISSION, f"Could not remove `{path}`", why=reason(error)) from error
        sync_dir(directory)
    left = sorted(p.name for p in directory.iterdir())
    if not left:
        with contextlib.suppress(OSError):
            directory.rmdir()
            sync_dir(directory.parent)
    return left


def _erase(path: Path) -> None:
    info = path.lstat()
    if stat.S_ISDIR(info.st_mode):
        raise IsADirectoryError(0, "is a directory")
    if stat.S_ISREG(info.st_mode) and info.st_nlink == 1:
        fd = os.open(path, os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0))
        try:
            os.write(fd, secrets.token_bytes(min(info.st_size, 1 << 20)))
            os.fsync(fd)
            os.ftruncate(fd, 0)
        finally:
            os.close(fd)
    path.unlink()
