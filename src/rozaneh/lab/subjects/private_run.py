"""Gives a node a `/run` of its own with all that was there, so that programs in two worlds never meet in it.

wireguard-go, for one, keeps its control socket under `/run/wireguard` by the interface's name alone; without this, two
worlds at once would take each other's, and a killed one would leave its own on the machine.
"""

from __future__ import annotations

import os
from pathlib import Path

from rozaneh.lab import linux
from rozaneh.lab.nodes import Node

_RUN = Path("/run")


def give(node: Node) -> None:
    """Makes it so in the mount namespace of `node`; what is created under `/run` from now on is the node's alone."""
    ours = node.folder / "own-run"
    if ours.exists() or not _RUN.is_dir():
        return
    ours.mkdir(mode=0o755)
    node.call(lambda: _build(ours))


def _build(ours: Path) -> None:
    for entry in sorted(_RUN.iterdir()):
        place = ours / entry.name
        if entry.is_symlink():
            place.symlink_to(os.readlink(entry))
        elif entry.is_dir():
            place.mkdir()
            linux.mount(str(entry), str(place), flags=linux.MS_BIND | linux.MS_REC)
        elif entry.is_file():
            place.touch()
            linux.mount(str(entry), str(place), flags=linux.MS_BIND)
    # Each folder in it is still the machine's: only names that were not there are private.
    linux.mount(str(ours), str(_RUN), flags=linux.MS_BIND | linux.MS_REC)
