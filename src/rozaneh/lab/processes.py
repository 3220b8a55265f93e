"""Programs the lab starts: spawned without fork hazards, waited for by pidfd, ended by their own id only."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path


class NotReady(Exception):
    """A program ended, or its time ran out, before it was ready; the text holds what it last wrote."""


class Process:
    """One running program. Its output goes to a file, or to a pipe that `wait_line` reads."""

    def __init__(self, name: str, pid: int, pipe: int | None, log: Path | None) -> None:
        self.name = name
        self.pid = pid
        self._descriptor = os.pidfd_open(pid)
        self._pipe = pipe
        self._log = log
        self._seen = bytearray()
        self._pending = bytearray()
        self._code: int | None = None

    def wait(self, timeout: float) -> int:
        """The exit code (negative: the signal); `TimeoutError` when it still runs after `timeout` seconds."""
        if self._code is None:
            poller = select.poll()
            poller.register(self._descriptor, select.POLLIN)
            if not poller.poll(max(0.0, timeout) * 1000):
                raise TimeoutError(f"{self.name} still runs after {timeout:g} s")
            self._code = self._reap()
        return self._code

    def running(self) -> bool:
        """Whether it has not ended yet."""
        with contextlib.suppress(TimeoutError):
            self.wait(0)
        return self._code is None

    def stop(self, grace: float = 5.0) -> int:
        """SIGTERM, and SIGKILL to its group when it is still there after `grace` seconds."""
        if self.running():
            signal.pidfd_send_signal(self._descriptor, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                return self.wait(grace)
        return self.kill()

    def kill(self) -> int:
        """SIGKILL to the program and to what it started in its own group."""
        if self._code is None:
            # The group exists at least until its leader is reaped, so the id cannot be another's.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)
            return self.wait(10)
        return self._code

    def wait_line(self, wanted: str, timeout: float) -> str:
        """The first line of output that contains `wanted`; `NotReady` when the program ends or time runs out."""
        limit = time.monotonic() + timeout
        while True:
            line, found, rest = bytes(self._pending).partition(b"\n")
            if found:
                self._pending = bytearray(rest)
                text = line.decode(errors="replace")
                if wanted in text:
                    return text
                continue
            if not self._read(limit):
                raise NotReady(self._story("ended before it was ready"))

    def finish(self, timeout: float) -> tuple[int, str]:
        """Reads all it writes to its pipe until it ends: its exit code and its output (64 MiB at most)."""
        limit = time.monotonic() + timeout
        while self._read(limit):
            if len(self._pending) > 1 << 26:
                raise NotReady(self._story("wrote more than 64 MiB"))
        code = self.wait(max(0.0, limit - time.monotonic()))
        return code, self._pending.decode(errors="replace")

    def _read(self, limit: float) -> bool:
        """Takes what is in the pipe; False at its end, `NotReady` when the time `limit` has passed."""
        if self._pipe is None:
            raise ValueError(f"{self.name} was started with a log and without a pipe")
        poller = select.poll()
        poller.register(self._pipe, select.POLLIN)
        left = limit - time.monotonic()
        if left <= 0 or not poller.poll(left * 1000):
            raise NotReady(self._story("did not answer in time"))
        chunk = os.read(self._pipe, 65536)
        self._pending += chunk
        self._seen = (self._seen + chunk)[-4000:]
        return bool(chunk)

    def output(self) -> str:
        """What it wrote last, from its pipe or its log file."""
        if self._log is not None:
            with contextlib.suppress(OSError):
                return self._log.read_text(errors="replace")[-4000:]
        return self._seen.decode(errors="replace")

    def _story(self, what: str) -> str:
        return f"{self.name} {what}: {self.output().strip() or 'it wrote nothing'}"

    def _reap(self) -> int:
        _, status = os.waitpid(self.pid, 0)
        os.close(self._descriptor)
        return os.waitstatus_to_exitcode(status)

    def __del__(self) -> None:
        if self._pipe is not None:
            os.close(self._pipe)


def spawn(
    argv: Sequence[str],
    *,
    name: str = "",
    env: Mapping[str, str],
    log: Path | None = None,
    errors: Path | None = None,
    stdin: bytes | None = None,
    descriptors: Mapping[int, int] | None = None,
) -> Process:
    """Starts `argv` as the leader of a process group of its own.

    Args:
        argv: The program, by path or by name on PATH, and its arguments.
        name: What error texts call it; the program's own name by default.
        env: Its whole environment.
        log: Where its output goes (standard output and errors); without it a pipe for `Process.wait_line`.
        errors: Where standard error goes instead, so that only standard output is in the pipe.
        stdin: Bytes it reads from standard input (at most 64 KiB, a pipe's room); nothing by default.
        descriptors: Further descriptors it gets, as {number there: ours}. All others are closed.
    """
    opened: list[int] = []
    given: dict[int, int] = {}
    pipe: int | None = None
    try:
        if stdin is None:
            given[0] = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        else:
            given[0], feed = os.pipe()
            with os.fdopen(feed, "wb") as stream:
                stream.write(stdin)
        opened.append(given[0])
        if log is not None:
            given[1] = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        else:
            pipe, given[1] = os.pipe()
        opened.append(given[1])
        given[2] = given[1]
        if errors is not None:
            given[2] = os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            opened.append(given[2])
        given.update(descriptors or {})
        # Moved out of the way first: a source could bear the number of a later target.
        top = max(given) + 64
        actions: list[tuple[int, int, int]] = []
        for target, source in given.items():
            high = fcntl.fcntl(source, fcntl.F_DUPFD_CLOEXEC, top)
            opened.append(high)
            actions.append((os.POSIX_SPAWN_DUP2, high, target))
        pid = os.posix_spawnp(argv[0], list(argv), dict(env), file_actions=actions, setpgroup=0)
    except BaseException:
        if pipe is not None:
            os.close(pipe)
        raise
    finally:
        for descriptor in opened:
            os.close(descriptor)
    return Process(name or Path(argv[0]).name, pid, pipe, log if log is not None else errors)
