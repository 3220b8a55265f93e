"""Real programs for end-to-end tests: started, waited for, and ended by their own ids."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import select
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

DEADLINE = 30.0  # for anything that should happen at once, on a machine that is busy with other things
COMMAND = (sys.executable, "-m", "rozaneh.cli.main")


def environment(**more: str) -> dict[str, str]:
    """This process's environment with the package on its path."""
    source = str(Path(__file__).parents[1] / "src")
    root = str(Path(__file__).parents[1])
    path = os.pathsep.join(part for part in (source, root, os.environ.get("PYTHONPATH", "")) if part)
    return {**os.environ, "PYTHONPATH": path, "NO_COLOR": "1", **more}


class Program:
    """A command of ours that runs until it is told to end."""

    def __init__(self, *arguments: str, **more: str) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(**more),
        )
        self.errors = ""
        self._reader = threading.Thread(target=self._drain, daemon=True)
        self._reader.start()

    def _drain(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.errors += line.decode(errors="replace")

    def ready(self) -> dict[str, Any]:
        """The one JSON object of its stdout.

        Raises:
            AssertionError: none came in time.
        """
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], DEADLINE)
        line = self.process.stdout.readline() if readable else b""
        assert line, f"nothing on stdout; on stderr: {self.errors}"
        answer = json.loads(line)
        assert isinstance(answer, dict)
        return answer

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def wait(self, deadline: float = DEADLINE) -> int:
        """Its exit code once it has ended by itself."""
        code = self.process.wait(deadline)
        self._reader.join(deadline)
        return code

    def close(self) -> None:
        """End it whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(DEADLINE)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


@contextlib.contextmanager
def program(*arguments: str, **more: str) -> Iterator[Program]:
    """A program for a block."""
    running = Program(*arguments, **more)
    try:
        yield running
    finally:
        running.close()


def run(*arguments: str, stdin: bytes | None = None, **more: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command of ours to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        input=stdin if stdin is not None else b"",
        capture_output=True,
        env=environment(**more),
        timeout=4 * DEADLINE,
        check=False,
    )


def answer(done: subprocess.CompletedProcess[bytes], code: int = 0) -> dict[str, Any]:
    """The JSON object of a command that ended with ``code``."""
    assert done.returncode == code, done.stderr.decode(errors="replace")
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], bool], deadline: float = DEADLINE) -> None:
    """Wait for something in another process that sends no event.

    Raises:
        AssertionError: it did not come true in time.
    """
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, "it never came true"
        select.select([], [], [], 0.02)


class Site(http.server.BaseHTTPRequestHandler):
    """A news site: ``/N`` is a page of N bytes."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer with that many bytes."""
        size = int(self.path.lstrip("/") or "0")
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        self.wfile.write(page(size))

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def page(size: int) -> bytes:
    """The page of that size."""
    return (b"news " * (size // 5 + 1))[:size]


class Echo(socketserver.BaseRequestHandler):
    """A service that sends back what it gets."""

    def handle(self) -> None:
        """Until the other end has finished."""
        with contextlib.suppress(OSError):
            while chunk := self.request.recv(65536):
                self.request.sendall(chunk)


class _Threads(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@contextlib.contextmanager
def serving(handler: type[socketserver.BaseRequestHandler]) -> Iterator[int]:
    """A TCP service on loopback for a block; gives its port."""
    with _Threads(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join(DEADLINE)


def tunnel(proxy: str, port: int) -> socket.socket:
    """A CONNECT tunnel through ``proxy`` to a loopback port."""
    host, _, number = proxy.rpartition(":")
    connection = socket.create_connection((host, int(number)), timeout=DEADLINE)
    connection.sendall(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head:
        chunk = connection.recv(4096)
        assert chunk, "the proxy hung up"
        head += chunk
    assert head.startswith(b"HTTP/1.1 200"), head
    return connection


def echoes(connection: socket.socket) -> bool:
    """Whether a tunnel to the echo service still carries bytes both ways."""
    token = os.urandom(16)
    try:
        connection.sendall(token)
        received = b""
        while len(received) < len(token):
            chunk = connection.recv(64)
            if not chunk:
                return False
            received += chunk
    except OSError:
        return False
    return received == token


TERM, KILL = signal.SIGTERM, signal.SIGKILL
