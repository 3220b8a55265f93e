"""Files of ours are private from their first moment, whole or absent, and owned by one process."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from rozaneh.core import files
from rozaneh.core.errors import Fault, FaultKind
from tests.fakes import environment


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_private_dir_makes_it_0700_and_is_repeatable(tmp_path: Path) -> None:
    where = tmp_path / "a" / "b"
    assert files.private_dir(where) == where
    assert mode(where) == 0o700
    files.private_dir(where)


def test_private_dir_closes_an_empty_open_one_and_refuses_a_full_one(tmp_path: Path) -> None:
    empty, full = tmp_path / "empty", tmp_path / "full"
    for path in (empty, full):
        path.mkdir()
        path.chmod(0o755)
    (full / "x").write_text("x")
    files.private_dir(empty)
    assert mode(empty) == 0o700
    with pytest.raises(Fault) as caught:
        files.private_dir(full)
    assert caught.value.kind is FaultKind.PERMISSION


def test_private_dir_refuses_a_file(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    with pytest.raises(Fault) as caught:
        files.private_dir(tmp_path / "f")
    assert caught.value.kind is FaultKind.CONFIG


def test_write_is_0600_whatever_the_umask_and_leaves_nothing_behind(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        files.write_private(tmp_path / "f", b"one")
        files.write_private(tmp_path / "f", b"two")
    finally:
        os.umask(old)
    assert (tmp_path / "f").read_bytes() == b"two"
    assert mode(tmp_path / "f") == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_write_without_replace_refuses_what_is_there(tmp_path: Path) -> None:
    files.write_private(tmp_path / "f", b"one", replace=False)
    with pytest.raises(Fault) as caught:
        files.write_private(tmp_path / "f", b"two", replace=False)
    assert caught.value.kind is FaultKind.CONFIG
    assert (tmp_path / "f").read_bytes() == b"one"
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_write_goes_into_no_symlink(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"kept")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    files.write_private(tmp_path / "link", b"new")
    assert (tmp_path / "target").read_bytes() == b"kept"
    assert not (tmp_path / "link").is_symlink()


def test_read_refuses_what_others_could_have_read(tmp_path: Path) -> None:
    files.write_private(tmp_path / "f", b"x")
    assert files.read_private(tmp_path / "f", 10) == b"x"
    (tmp_path / "f").chmod(0o640)
    with pytest.raises(Fault) as caught:
        files.read_private(tmp_path / "f", 10)
    assert caught.value.kind is FaultKind.PERMISSION


def test_read_refuses_large_and_irregular_files(tmp_path: Path) -> None:
    files.write_private(tmp_path / "f", b"x" * 11)
    os.mkfifo(tmp_path / "fifo", 0o600)
    for name in ("f", "fifo"):
        with pytest.raises(Fault) as caught:
            files.read_private(tmp_path / name, 10)
        assert caught.value.kind is FaultKind.CONFIG
    with pytest.raises(FileNotFoundError):
        files.read_private(tmp_path / "missing", 10)


def test_one_process_a_directory(tmp_path: Path) -> None:
    assert not files.is_locked(tmp_path)
    with files.DirectoryLock(tmp_path).take() as lock:
        assert files.is_locked(tmp_path)
        with pytest.raises(Fault) as caught:
            files.DirectoryLock(tmp_path).take()
        assert caught.value.kind is FaultKind.BUSY
        lock.release()
        lock.release()
    assert not files.is_locked(tmp_path)


def test_the_lock_dies_with_its_process(tmp_path: Path) -> None:
    pid = os.fork()
    if pid == 0:
        files.DirectoryLock(tmp_path).take()
        os.kill(os.getpid(), 9)
    os.waitpid(pid, 0)
    assert not files.is_locked(tmp_path)


def test_sweep_removes_what_a_killed_write_left(tmp_path: Path) -> None:
    (tmp_path / ".tmp-0011").write_text("x")
    (tmp_path / "kept").write_text("x")
    files.sweep(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]


@pytest.mark.parametrize(
    ("variable", "expected"),
    [("/srv/state", "/srv/state/rozaneh"), ("relative", None), ("", None), (None, None)],
)
def test_state_home(variable: str | None, expected: str | None) -> None:
    with environment({"XDG_STATE_HOME": variable}):
        assert files.state_home() == Path(expected or Path.home() / ".local/state/rozaneh")
