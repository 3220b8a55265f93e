"""Folders that are whole or absent, whatever happens while they are filled."""

from __future__ import annotations

import glob
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.files import TEMPORARY, sync_dir


@contextmanager
def made_whole(folder: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `folder` at the end; `folder` must not exist or be empty.

    Raises:
        Fault: CONFIG when there is something in `folder`; PERMISSION when it cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Fault(FaultKind.CONFIG, f"`{folder}` holds something already", hint="name a folder that is new")
    # Named after the folder, so that the next run finds what one that was killed left behind.
    begun = f"{TEMPORARY}{folder.name}-"
    made = folder.parent / f"{begun}{secrets.token_hex(8)}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        for left in folder.parent.glob(f"{glob.escape(begun)}*"):
            shutil.rmtree(left)
        made.mkdir()
        try:
            yield made
            sync_dir(made)
            os.rename(made, folder)  # also onto an empty folder (rename(2))
            sync_dir(folder.parent)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    except OSError as error:
        raise Fault(FaultKind.PERMISSION, f"`{folder}` cannot be written", why=error.strerror or "") from None
