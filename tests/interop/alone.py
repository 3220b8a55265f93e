"""Runs a world in namespaces of its own: no route, and every process in it ends with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def report(module: str, *arguments: str, deadline: float = 150.0) -> dict[str, Any]:
    """What ``python -m module arguments`` prints as JSON."""
    unshare = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if os.geteuid() != 0:
        unshare += ["--user", "--map-root-user"]
    finished = subprocess.run(
        [*unshare, sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=deadline,
        check=False,
    )
    assert finished.returncode == 0, (finished.stdout + finished.stderr)[-4000:]
    printed: dict[str, Any] = json.loads(finished.stdout)
    return printed
