"""CPU time and memory of a process are the kernel's figures."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from rozaneh.bench import procfs


def test_cpu_time_only_grows_and_counts_work() -> None:
    before = procfs.cpu_seconds(os.getpid())
    # Works until the clock of the same process has moved: ends by itself on any machine.
    while procfs.cpu_seconds(os.getpid()) == before:
        sum(range(10_000))
    assert procfs.cpu_seconds(os.getpid()) > before


def test_memory_counts_what_was_written_to() -> None:
    before = procfs.memory_bytes(os.getpid())
    block = bytearray(os.urandom(32 * 1024 * 1024))
    assert procfs.memory_bytes(os.getpid()) - before > 30 * 1024 * 1024
    assert len(block) == 32 * 1024 * 1024


def test_a_name_with_spaces_and_parentheses_is_no_trouble() -> None:
    code = "open('/proc/self/comm', 'w').write('a) b (c'); print('named', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"named\n"
        assert 0 <= procfs.cpu_seconds(child.pid) < 60
        child.communicate(b"\n")


def test_a_process_that_is_gone_is_an_error() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    with pytest.raises(OSError, match=str(child.pid)):
        procfs.cpu_seconds(child.pid)
