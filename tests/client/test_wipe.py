"""Wiping removes what is ours, whole, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rozaneh.client import memory as mem
from rozaneh.client.wipe import traces, wipe
from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.files import DirectoryLock, private_dir
from tests.fleet.builders import invite


def filled(tmp_path: Path) -> Path:
    where = private_dir(tmp_path / "state")
    mem.store_invite(where, invite())
    mem.save(where, mem.Memory(port=1))
    (where / ".tmp-00").write_bytes(b"left by a kill")
    DirectoryLock(where).take().release()
    return where


def test_everything_goes_and_the_directory_too(tmp_path: Path) -> None:
    where = filled(tmp_path)
    assert [path.name for path in traces(where)] == [".tmp-00", "invite", "state.json", "lock"]
    assert wipe(where) == []
    assert not where.exists()
    assert wipe(where) == []


def test_content_is_overwritten_before_it_is_unlinked(tmp_path: Path) -> None:
    where = filled(tmp_path)
    content = (where / "invite").read_bytes()
    with (where / "invite").open("rb") as still_open:
        wipe(where)
        assert still_open.read() == b""
    assert content


def test_foreign_things_stay(tmp_path: Path) -> None:
    where = filled(tmp_path)
    (where / "thesis.txt").write_text("x")
    (where / "photos").mkdir()
    assert wipe(where) == ["photos", "thesis.txt"]
    assert (where / "thesis.txt").read_text() == "x"


def test_a_directory_given_by_mistake_loses_nothing(tmp_path: Path) -> None:
    for name in ("a", "b.txt"):
        (tmp_path / name).write_text("x")
    assert traces(tmp_path) == []
    assert wipe(tmp_path) == ["a", "b.txt"]


def test_links_are_removed_and_what_they_point_to_is_untouched(tmp_path: Path) -> None:
    where = filled(tmp_path)
    precious = tmp_path / "precious"
    precious.write_text("kept")
    (where / "invite").unlink()
    (where / "invite").symlink_to(precious)
    (where / "state.json").unlink()
    os.link(precious, where / "state.json")
    wipe(where)
    assert precious.read_text() == "kept"
    (tmp_path / "link").symlink_to(tmp_path)
    assert traces(tmp_path / "link") == []


def test_not_while_a_process_runs_there(tmp_path: Path) -> None:
    where = filled(tmp_path)
    with DirectoryLock(where).take():
        with pytest.raises(Fault) as caught:
            wipe(where)
        assert caught.value.kind is FaultKind.BUSY
    assert (where / "invite").exists()


def test_an_edges_directory_too(tmp_path: Path) -> None:
    where = private_dir(tmp_path / "edge")
    for name in (
        "edge.toml",
        "issuer.key",
        "cert.pem",
        "key.pem",
        "edge.sqlite3",
        "edge.sqlite3-wal",
        "edge.sqlite3-shm",
    ):
        (where / name).write_bytes(b"x")
    assert wipe(where) == []
    assert not where.exists()


def test_the_names_it_knows_are_the_names_that_are_made() -> None:
    from rozaneh.client import wipe as module
    from rozaneh.edge import layout

    made = {layout.SETTINGS_FILE, layout.ISSUER_KEY, layout.CERT, layout.KEY, *layout.DATABASE_FILES}
    made |= {layout.REALITY_KEYS, *layout.REPLAY_FILES}
    assert made == module._EDGE
    assert {mem.INVITE_FILE, mem.STATE_FILE, "control", "lock"} < module._OURS
