"""Making an edge: whole or not at all, private, never over something else."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from rozaneh.core.clock import FakeClock
from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.keys import SigningKey, fingerprint
from rozaneh.edge.init import init
from rozaneh.edge.layout import load_settings
from rozaneh.edge.reality import load_keys
from tests.edge.conftest import MadeEdge


def refused(directory: Path, edge: MadeEdge, **changes: object) -> FaultKind:
    with pytest.raises(Fault) as caught:
        init(directory, replace(edge.settings, **changes), FakeClock())
    return caught.value.kind


def test_everything_is_there_and_private(edge: MadeEdge) -> None:
    names = {path.name for path in edge.directory.iterdir()}
    assert names == {"edge.toml", "issuer.key", "cert.pem", "key.pem", "edge.sqlite3", "lock"}
    assert stat.S_IMODE(edge.directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in edge.directory.iterdir()} == {0o600}
    assert load_settings(edge.directory) == edge.settings
    assert edge.made.words == fingerprint(SigningKey.load(edge.directory / "issuer.key").public())
    assert edge.made.pin is not None


def test_a_second_time_is_refused_and_changes_nothing(edge: MadeEdge) -> None:
    before = {path.name: path.read_bytes() for path in edge.directory.iterdir()}
    assert refused(edge.directory, edge) is FaultKind.CONFIG
    assert {path.name: path.read_bytes() for path in edge.directory.iterdir()} == before


def test_a_run_that_was_killed_is_gone_on_with(edge: MadeEdge) -> None:
    (edge.directory / "edge.toml").unlink()
    (edge.directory / ".tmp-dead").write_bytes(b"x")
    again = init(edge.directory, edge.settings, edge.clock)
    assert (again.words, again.pin) == (edge.made.words, edge.made.pin)
    assert not (edge.directory / ".tmp-dead").exists()


def test_a_directory_with_other_things_is_refused(edge: MadeEdge, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir(mode=0o700)
    (other / "thesis.txt").write_text("x")
    assert refused(other, edge) is FaultKind.CONFIG
    assert [path.name for path in other.iterdir()] == ["thesis.txt"]


def test_choices_that_cannot_work_leave_nothing(edge: MadeEdge, tmp_path: Path) -> None:
    where = tmp_path / "new"
    assert refused(where, edge, cover=str(tmp_path / "missing")) is FaultKind.CONFIG
    missing = tmp_path / "c.pem"
    assert refused(where, edge, cert=missing, key=missing) is FaultKind.CONFIG
    assert not where.exists()


def test_behind_reality_there_are_keys_too(fronted: MadeEdge) -> None:
    names = {path.name for path in fronted.directory.iterdir()}
    assert names == {"edge.toml", "issuer.key", "reality.key", "cert.pem", "key.pem", "edge.sqlite3", "lock"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in fronted.directory.iterdir()} == {0o600}
    assert load_settings(fronted.directory) == fronted.settings
    assert fronted.made.pin is None
    (fronted.directory / "edge.toml").unlink()
    before = (fronted.directory / "reality.key").read_bytes()
    init(fronted.directory, fronted.settings, fronted.clock)
    assert (fronted.directory / "reality.key").read_bytes() == before


def test_two_edges_share_no_reality_keys(fronted: MadeEdge, tmp_path: Path) -> None:
    init(tmp_path / "second", fronted.settings, fronted.clock)
    mine, theirs = load_keys(fronted.directory), load_keys(tmp_path / "second")
    assert mine.private_key != theirs.private_key
    assert not set(mine.short_ids) & set(theirs.short_ids)


def test_two_edges_share_nothing(edge: MadeEdge, tmp_path: Path) -> None:
    other = init(tmp_path / "second", edge.settings, edge.clock)
    assert other.words != edge.made.words
    for name in ("issuer.key", "cert.pem", "key.pem"):
        assert (tmp_path / "second" / name).read_bytes() != (edge.directory / name).read_bytes()
