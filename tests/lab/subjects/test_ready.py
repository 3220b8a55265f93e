"""Readiness is seen in the kernel's tables and in logs, and a program that ends is noticed at once."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from rozaneh.lab import processes
from rozaneh.lab.nodes import Node
from rozaneh.lab.processes import NotReady
from rozaneh.lab.subjects.ready import Watch, listens, split

# Stands for a node: the tables of this process's own network namespace.
HERE = cast("Node", SimpleNamespace(pid=os.getpid()))


@pytest.fixture
def started() -> Iterator[list[processes.Process]]:
    """Programs that a test started, ended whatever happens."""
    running: list[processes.Process] = []
    yield running
    for process in running:
        process.kill()


def watch(code: str, log: Path, started: list[processes.Process], skip: int = 0) -> Watch:
    """A watched Python program."""
    process = processes.spawn([sys.executable, "-c", code], env=dict(os.environ), log=log)
    started.append(process)
    return Watch(HERE, process, log, skip)


@pytest.mark.parametrize(
    ("bound", "asked", "found"),
    [
        ("127.0.0.1", "", True),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("0.0.0.0", "127.0.0.1", True),  # noqa: S104 - every address is what is tested
        ("::1", "::1", True),
        ("::1", "127.0.0.1", False),
        ("::", "127.0.0.1", True),
    ],
)
@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_ports_in_the_kernels_table(kind: str, bound: str, asked: str, found: bool) -> None:
    family = socket.AF_INET6 if ":" in bound else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as sock:
        sock.bind((bound, 0))
        port = sock.getsockname()[1]
        if kind == "tcp":
            assert not listens(HERE, kind, port, asked)
            sock.listen()
        assert listens(HERE, kind, port, asked) is found
        assert not listens(HERE, "udp" if kind == "tcp" else "tcp", port)


def test_places_as_text() -> None:
    assert split("53") == ("", 53)
    assert split("10.0.0.1:53") == ("10.0.0.1", 53)
    assert split("[2001:db8::1]:443") == ("2001:db8::1", 443)


def test_a_port_is_waited_for(tmp_path: Path, started: list[processes.Process]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = f"import socket; s = socket.create_server(('127.0.0.1', {port})); s.accept()"
    watch(code, tmp_path / "log", started).port("tcp", f"127.0.0.1:{port}", 20)
    assert listens(HERE, "tcp", port)


def test_output_is_waited_for_and_its_groups_are_values(tmp_path: Path, started: list[processes.Process]) -> None:
    log = tmp_path / "log"
    log.write_text("key=old\n")
    code = "import signal; print('starting', flush=True); print('key=new port=7', flush=True); signal.pause()"
    seen = watch(code, log, started, skip=log.stat().st_size)
    assert seen.output(r"key=(?P<key>\w+) port=(?P<port>\d+)", 20) == {"key": "new", "port": "7"}
    assert seen.text() == "starting\nkey=new port=7\n"


def test_a_program_that_ends_tells_why(tmp_path: Path, started: list[processes.Process]) -> None:
    with pytest.raises(NotReady, match=r"ended before it was ready: no such cipher"):
        watch("raise SystemExit('no such cipher')", tmp_path / "log", started).port("tcp", "1", 20)


def test_a_program_that_does_nothing_is_given_up(tmp_path: Path, started: list[processes.Process]) -> None:
    with pytest.raises(NotReady, match=r"showed no output 'never' in 0.05 s: it wrote nothing"):
        watch("import signal; signal.pause()", tmp_path / "log", started).output("never", 0.05)
