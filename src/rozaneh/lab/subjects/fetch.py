"""Fetches one file as a subject's user would, within limits, and tells what came: bytes, times, whether it is it."""

from __future__ import annotations

import hashlib
import os
import select
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rozaneh.lab.nodes import Node
from rozaneh.lab.subjects import programs

# Bytes count as still moving at the limit when the last of them came within this many seconds before it.
MOVING_S = 5.0
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came of one fetch.

    Attributes:
        ok: Everything came, and it has the right hash.
        received: Bytes of the body.
        seconds: From the start to the last byte, or to giving up.
        first_byte_s: To the body's first byte; None when none came.
        error: What the fetching program said, or which limit was reached; empty when all went well.
        still_moving: A limit was reached while bytes still came.
    """

    ok: bool
    received: int
    seconds: float
    first_byte_s: float | None
    error: str = ""
    still_moving: bool = False


class Meter:
    """Counts a body as it comes and knows when its limits are over."""

    def __init__(self, sha256: str, size: int, first_byte_s: float, whole_s: float) -> None:
        self._wanted = (sha256, size)
        self._limits = (first_byte_s, whole_s)
        self._hash = hashlib.sha256()
        self._began = time.monotonic()
        self._first: float | None = None
        self._last = 0.0
        self.received = 0

    def add(self, data: bytes) -> None:
        """Takes the next bytes."""
        self._last = time.monotonic() - self._began
        if self._first is None:
            self._first = self._last
        self.received += len(data)
        self._hash.update(data)

    def left(self) -> float:
        """Seconds until the next limit."""
        limit = self._limits[1] if self._first is not None else min(self._limits)
        return limit - (time.monotonic() - self._began)

    def over(self) -> Fetched:
        """The result when a limit was reached."""
        passed = time.monotonic() - self._began
        moving = self._first is not None and passed - self._last < MOVING_S
        if self._first is None:
            error = f"no first byte in {min(self._limits):g} s"
        else:
            error = f"not whole in {self._limits[1]:g} s"
        return Fetched(False, self.received, passed, self._first, error, moving)

    def done(self, error: str) -> Fetched:
        """The result when the fetching program ended; `error` is what it complained of."""
        passed = time.monotonic() - self._began
        if not error and self.received != self._wanted[1]:
            error = f"{self.received} bytes instead of {self._wanted[1]}"
        if not error and self._hash.hexdigest() != self._wanted[0]:
            error = "other bytes than the site's"
        return Fetched(not error, self.received, passed, self._first, error)


def curl(
    node: Node,
    url: str,
    meter: Meter,
    *,
    authority: Path,
    errors: Path,
    socks_port: int = 0,
    extra: Sequence[str] = (),
) -> Fetched:
    """Fetches with curl: through the SOCKS port when there is one (names go through it too), else directly."""
    argv = [str(programs.which("curl") or "curl"), "--disable", "--silent", "--show-error", "--fail", "--no-buffer"]
    argv += ["--cacert", str(authority), *extra]
    if socks_port:
        argv += ["--socks5-hostname", f"127.0.0.1:{socks_port}"]
    errors.unlink(missing_ok=True)
    reader, writer = os.pipe()
    try:
        process = node.spawn([*argv, url], log=errors, descriptors={1: writer})
    finally:
        os.close(writer)
    try:
        poller = select.poll()
        poller.register(reader, select.POLLIN)
        while True:
            left = meter.left()
            if left <= 0 or not poller.poll(left * 1000):
                return meter.over()
            data = os.read(reader, _CHUNK)
            if not data:
                break
            meter.add(data)
        code = process.wait(10)
        said = errors.read_text(errors="replace").strip().splitlines()
        return meter.done("" if code == 0 else (said[-1] if said else f"curl ended with {code}"))
    finally:
        os.close(reader)
        process.kill()
