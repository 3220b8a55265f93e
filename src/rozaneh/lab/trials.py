"""One subject tried again and again in a world that stands: restart, clock past every residual, phase, two files.

A trial begins with a subject that holds nothing of the one before (it restarts) and a censor that remembers nothing of
it either (the lab's clock jumps past the longest residual). It fetches each file in turn and stops at the first that
does not arrive whole: its size and SHA-256 are known beforehand. Three failures from the start end the row, because
what never once came through is not going to be measured better by waiting twenty times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import msgspec

from rozaneh.lab.isolate import LabUnavailable
from rozaneh.lab.processes import NotReady

# The specification's numbers, in seconds and bytes; a slow subject (a DNS tunnel) gets the small file alone.
FIRST_BYTE_S = 20.0
WHOLE_S = 60.0
SLOW_WHOLE_S = 300.0
SMALL, LARGE = 65_536, 1_048_576
GIVE_UP_AFTER = 3
DEFAULT_TRIALS = 20
# A clock is past a moment only when it shows more.
_PAST_S = 1.0
_ERROR_LENGTH = 300


class File(msgspec.Struct, frozen=True, kw_only=True):
    """Something to fetch whose content is known beforehand."""

    url: str
    size: int
    sha256: str


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """How one row of trials is run. `give_up_after` 0 never ends it early."""

    prefix: str = "trial"
    trials: int = DEFAULT_TRIALS
    files: tuple[File, ...]
    first_byte_s: float = FIRST_BYTE_S
    whole_s: float = WHOLE_S
    longest_residual_s: float = 0.0
    give_up_after: int = GIVE_UP_AFTER


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one trial.

    Attributes:
        phase: The name the middlebox's acts of this time bear.
        ok: Every file arrived whole.
        connected: At least one byte of an answer arrived.
        received: Bytes of all files together.
        seconds: From the first request to the last byte, the subject's start left out.
        error: What the subject or the fetching program said; empty when `ok`.
        still_moving: Bytes still came when the time was over.
    """

    phase: str
    ok: bool
    connected: bool = False
    received: int = 0
    seconds: float = 0.0
    error: str = ""
    still_moving: bool = False


class Fetched(Protocol):
    """What came of fetching one file (`subjects.running.Fetched`)."""

    @property
    def ok(self) -> bool: ...
    @property
    def received(self) -> int: ...
    @property
    def seconds(self) -> float: ...
    @property
    def first_byte_s(self) -> float | None: ...
    @property
    def error(self) -> str: ...
    @property
    def still_moving(self) -> bool: ...


class Running(Protocol):
    """A subject that is ready (`subjects.running.Running`)."""

    def fetch(
        self, url: str, size: int, sha256: str, first_byte_s: float = FIRST_BYTE_S, whole_s: float = WHOLE_S
    ) -> Fetched:
        """Fetches one file through the subject."""
        ...


class Censor(Protocol):
    """What a row of trials needs of the middlebox."""

    def jump(self, seconds: float) -> None:
        """Moves the lab's clock forward."""
        ...

    def phase(self, name: str) -> None:
        """Names what comes next in the acts."""
        ...


Start = Callable[[], AbstractContextManager[Running]]


def run(start: Start, censor: Censor, row: Row, say: Callable[[Trial], None] = lambda _: None) -> list[Trial]:
    """Runs the trials of `row`; `start` makes the subject ready and, at its end, stops it."""
    done: list[Trial] = []
    for number in range(1, row.trials + 1):
        censor.jump(row.longest_residual_s + _PAST_S)
        phase = f"{row.prefix}-{number}"
        censor.phase(phase)
        trial = _one(start, phase, row)
        done.append(trial)
        say(trial)
        if row.give_up_after and number == row.give_up_after and not any(one.ok for one in done):
            break
    # What the last one's kernel still repeats belongs to no trial.
    censor.phase(f"after-{row.prefix}")
    return done


def _one(start: Start, phase: str, row: Row) -> Trial:
    try:
        with start() as subject:
            return _fetch_all(subject, phase, row.files, row.first_byte_s, row.whole_s)
    except NotReady as error:
        return Trial(phase=phase, ok=False, error=_short(f"did not start: {error}"))
    except LabUnavailable:
        raise
    except (OSError, TimeoutError) as error:
        return Trial(phase=phase, ok=False, error=_short(f"did not start or stop: {error}"))


def _fetch_all(subject: Running, phase: str, files: Sequence[File], first_byte_s: float, whole_s: float) -> Trial:
    received, seconds, connected = 0, 0.0, False
    for file in files:
        fetched = subject.fetch(file.url, file.size, file.sha256, first_byte_s=first_byte_s, whole_s=whole_s)
        received += fetched.received
        seconds += fetched.seconds
        connected = connected or fetched.first_byte_s is not None or fetched.received > 0
        if not fetched.ok:
            name = file.url.rpartition("/")[2]
            return Trial(
                phase=phase,
                ok=False,
                connected=connected,
                received=received,
                seconds=round(seconds, 3),
                error=_short(f"{name}: {fetched.error}"),
                still_moving=fetched.still_moving,
            )
    return Trial(phase=phase, ok=True, connected=connected, received=received, seconds=round(seconds, 3))


def _short(text: str) -> str:
    """One line a report has room for."""
    line = " ".join(text.split())
    return line if len(line) <= _ERROR_LENGTH else f"{line[: _ERROR_LENGTH - 1]}…"
