"""``kill -9`` at every write of inviting, revoking and making an edge: nothing acknowledged is lost.

After each death the directory must be readable, hold everything acknowledged before, and let the next command do its
work.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rozaneh.core.clock import SystemClock
from rozaneh.edge.accounts import active_users, create, list_accounts, revoke
from rozaneh.edge.database import Database
from rozaneh.edge.layout import is_edge, load_settings
from rozaneh.fleet.invites import decode
from tests.edge.conftest import MadeEdge
from tests.kills import deaths
from tests.programs import COMMAND, environment

CLOCK = SystemClock()


@pytest.fixture
def with_one(edge: MadeEdge) -> tuple[MadeEdge, str]:
    """An edge with one account in it; gives the account's id."""
    with Database(edge.directory) as db:
        made = create(edge.directory, edge.settings, db, CLOCK)
    return edge, made.account.id


def test_strace_kills_where_it_is_told() -> None:
    code = "import os, sys; os.write(1, b'one'); os.write(1, b'two')"
    done = subprocess.run(
        [
            "strace",
            "-f",
            "-qq",
            "-o",
            os.devnull,
            "-e",
            "trace=write",
            "-e",
            "inject=write:signal=SIGKILL:when=2",
            sys.executable,
            "-c",
            code,
        ],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == b"one"


def test_an_invite_that_was_shown_exists(with_one: tuple[MadeEdge, str], tmp_path: Path) -> None:
    edge, before = with_one
    kills = shown = 0
    for death in deaths(edge.directory, tmp_path, lambda d: [*COMMAND, "invite", "new", "--dir", str(d), "--for", "x"]):
        kills += death.killed
        with Database(death.directory) as db:
            assert db.rows("PRAGMA integrity_check") == [("ok",)], death
            users = active_users(db, CLOCK.now())
            assert before in {user.id for user in users}, death
            assert len(users) <= 2, death
            if death.stdout.endswith("\n"):
                shown += 1
                digests = decode(death.stdout).credentials().digests()
                assert digests in {(user.user_sha256, user.password_sha256) for user in users}, death
            again = create(death.directory, edge.settings, db, CLOCK)
            assert again.account.id in {user.id for user in active_users(db, CLOCK.now())}, death
    assert kills >= 5
    assert shown >= 1


@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_a_disk_that_fails_once_is_told_and_loses_nothing(
    with_one: tuple[MadeEdge, str], tmp_path: Path, error: str
) -> None:
    edge, before = with_one

    def command(directory: Path) -> list[str]:
        return [*COMMAND, "invite", "new", "--dir", str(directory), "--json"]

    told = 0
    for failure in deaths(edge.directory, tmp_path, command, f"error={error}"):
        assert "Traceback" not in failure.stderr, failure
        answer = json.loads(failure.stdout) if failure.stdout.endswith("\n") else {}
        with Database(failure.directory) as db:
            assert db.rows("PRAGMA integrity_check") == [("ok",)], failure
            users = {(user.user_sha256, user.password_sha256) for user in active_users(db, CLOCK.now())}
            assert before in {user.id for user in active_users(db, CLOCK.now())}, failure
            if "link" in answer:
                assert decode(answer["link"]).credentials().digests() in users, failure
            if failure.code == 0:
                assert "link" in answer, failure
            told += failure.code != 0
            create(failure.directory, edge.settings, db, CLOCK)
    assert told >= 3


def test_a_revocation_that_was_told_holds(with_one: tuple[MadeEdge, str], tmp_path: Path) -> None:
    edge, account = with_one
    kills = told = undone = 0
    for death in deaths(edge.directory, tmp_path, lambda d: [*COMMAND, "invite", "revoke", "--dir", str(d), account]):
        kills += death.killed
        with Database(death.directory) as db:
            assert db.rows("PRAGMA integrity_check") == [("ok",)], death
            (found,) = list_accounts(db)
            if death.code == 0 or "Revoked" in death.stderr:
                told += 1
                assert found.revoked is not None, death
            undone += found.revoked is None
            assert len(active_users(db, CLOCK.now())) == (found.revoked is None), death
            revoke(db, CLOCK, account)
            assert active_users(db, CLOCK.now()) == [], death
    assert kills >= 5
    assert told >= 1
    assert undone >= 1


@pytest.mark.parametrize("way", ["h2+tls", "h2+reality"])
def test_an_edge_is_made_whole_or_can_be_made_again(tmp_path: Path, way: str) -> None:
    def arguments(directory: Path) -> list[str]:
        return [
            *COMMAND,
            "edge",
            "init",
            "--dir",
            str(directory),
            "--listen",
            "93.184.215.14:443",
            "--host",
            "news.example",
            "--way",
            way,
            "--cover",  # so that nothing depends on what else this machine serves
            "/",
        ]

    kills = made = 0
    for death in deaths(tmp_path / "missing", tmp_path, arguments):
        kills += death.killed
        if "Made an edge" in death.stderr:
            assert is_edge(death.directory), death
        if not is_edge(death.directory):
            again = subprocess.run(
                arguments(death.directory), capture_output=True, env=environment(), timeout=60, check=False
            )
            assert again.returncode == 0, (death, again.stderr)
        else:
            made += 1
        with Database(death.directory) as db:
            link = create(death.directory, load_settings(death.directory), db, CLOCK).link.reveal()
        last = decode(link).ways[0].last
        assert (last.transport.name, last.get("name")) == (way, "news.example"), death
    assert kills >= 10
    assert made >= 1
