"""Fault injection: a command killed at every write, sync, rename and unlink it makes.

strace stops the command at the N-th call of each kind, for every N that an undisturbed run makes, before the call
takes effect.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.programs import environment

CALLS = [
    "write",
    "pwrite64",
    "writev",
    "fsync",
    "fdatasync",
    "sync_file_range",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "link",
    "linkat",
    "ftruncate",
    "fallocate",
]


@dataclass
class Death:
    """One command that was killed, and what it had said before."""

    call: str
    when: int
    directory: Path
    stdout: str
    stderr: str
    code: int

    @property
    def killed(self) -> bool:
        """Whether the signal really ended it (counts may differ by a call between two runs)."""
        return self.code in (-9, 137)

    def __str__(self) -> str:
        return f"{self.call} #{self.when}: {self.stderr[-200:]}"


def traced(command: list[str], *options: str) -> subprocess.CompletedProcess[str]:
    """Run a command under strace."""
    return subprocess.run(
        ["strace", "-f", "-qq", *options, *command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment(PYTHONDONTWRITEBYTECODE="1"),
        timeout=120,
        check=False,
    )


def points(command: list[str], log: Path) -> tuple[list[tuple[str, int]], subprocess.CompletedProcess[str]]:
    """Every place where an undisturbed run can be killed, and that run."""
    done = traced(command, "-o", str(log), "-e", f"trace={','.join(CALLS)}")
    assert done.returncode == 0, done.stderr
    found: Counter[str] = Counter()
    for line in log.read_text().splitlines():
        match = re.match(r"\d+\s+(\w+)\(", line)
        if match:
            found[match[1]] += 1
    return [(call, number) for call, count in found.items() for number in range(1, count + 1)], done


def deaths(
    template: Path, scratch: Path, command: Callable[[Path], list[str]], fault: str = "signal=SIGKILL"
) -> Iterator[Death]:
    """Kill the command (or fail it with ``error=…``) at each point, each time on a fresh copy of ``template``.

    The undisturbed run comes first: which calls follow the last word to the user depends on the Python that runs it.
    """
    rehearsal = copy(template, scratch / "rehearsal")
    where, whole = points(command(rehearsal), scratch / "log")
    assert len(where) >= 5, "the list of calls does not fit this system"
    yield Death("undisturbed", 0, rehearsal, whole.stdout, whole.stderr, whole.returncode)

    def kill(point: tuple[str, int]) -> Death:
        call, when = point
        directory = copy(template, scratch / f"{call}-{when}")
        done = traced(
            command(directory),
            "-o",
            os.devnull,
            "-e",
            f"trace={call}",
            "-e",
            f"inject={call}:{fault}:when={when}",
        )
        return Death(call, when, directory, done.stdout, done.stderr, done.returncode)

    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        yield from pool.map(kill, where)


def copy(template: Path, to: Path) -> Path:
    """A fresh copy, or a fresh name where there is nothing to copy."""
    if template.exists():
        shutil.copytree(template, to)
        to.chmod(0o700)
    return to
