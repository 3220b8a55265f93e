"""Cubic is lent and taken back, also from a run that was killed; without it nothing is compared."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rozaneh.bench import cubic, run
from rozaneh.bench.plan import Plan, Tools
from rozaneh.core.errors import Fault, FaultKind

_ALLOWED = "tcp_allowed_congestion_control"

# What a run does: borrows cubic, says so, and hangs until it is killed.
_RUN = """
import sys
from pathlib import Path
from rozaneh.bench import cubic
with cubic.lent(Path(sys.argv[1])):
    print((Path(sys.argv[1]) / "tcp_allowed_congestion_control").read_text(), flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def sysctls(tmp_path: Path) -> Path:
    """A kernel's settings, as files: it knows cubic and does not allow it."""
    (tmp_path / _ALLOWED).write_text("reno bbr\n")
    (tmp_path / "tcp_available_congestion_control").write_text("reno bbr cubic\n")
    (tmp_path / "tcp_congestion_control").write_text("bbr\n")
    return tmp_path


def test_cubic_is_lent_for_a_block(sysctls: Path) -> None:
    with cubic.lent(sysctls):
        assert cubic.names(_ALLOWED, sysctls) == ["reno", "bbr", "cubic"]
    assert cubic.names(_ALLOWED, sysctls) == ["reno", "bbr"]


def test_it_is_taken_back_when_the_block_fails(sysctls: Path) -> None:
    with pytest.raises(RuntimeError, match="inside"), cubic.lent(sysctls):
        raise RuntimeError("inside")
    assert cubic.names(_ALLOWED, sysctls) == ["reno", "bbr"]


def test_somebody_elses_cubic_stays(sysctls: Path) -> None:
    (sysctls / _ALLOWED).write_text("reno cubic\n")
    with cubic.lent(sysctls):
        pass
    assert (sysctls / _ALLOWED).read_text() == "reno cubic\n"


def test_only_our_word_is_taken_out(sysctls: Path) -> None:
    with cubic.lent(sysctls):
        (sysctls / _ALLOWED).write_text("reno dctcp cubic")
    assert cubic.names(_ALLOWED, sysctls) == ["reno", "dctcp"]


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_it_is_taken_back_from_a_run_that_was_killed(sysctls: Path, end: signal.Signals) -> None:
    command = [sys.executable, "-c", _RUN, str(sysctls)]
    # The guardian inherits stderr, so the end of that pipe is the end of the guardian.
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.readline().split() == [b"reno", b"bbr", b"cubic"]
        os.killpg(child.pid, end)
        child.wait()
        child.stderr.read()
    assert cubic.names(_ALLOWED, sysctls) == ["reno", "bbr"]


def test_a_kernel_without_cubic_is_refused(sysctls: Path) -> None:
    (sysctls / "tcp_available_congestion_control").write_text("reno bbr\n")
    with pytest.raises(Fault, match="not be comparable") as caught, cubic.lent(sysctls):
        pytest.fail("the block ran")
    assert caught.value.kind is FaultKind.UNSUPPORTED


def test_a_namespace_in_which_it_does_not_take_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Fault, match="not be comparable"):
        cubic.use(tmp_path / "missing")


def test_a_run_measures_nothing_without_cubic(sysctls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (sysctls / "tcp_available_congestion_control").write_text("reno\n")
    lent = cubic.lent
    monkeypatch.setattr(cubic, "lent", lambda: lent(sysctls))
    monkeypatch.setattr(run, "_inside", lambda work, note: pytest.fail("something was measured"))
    with pytest.raises(Fault, match="not be comparable"):
        run.measure(Plan(tools=Tools(python="", load=""), subjects=["direct"], cases=["idle"]), lambda text: None)
