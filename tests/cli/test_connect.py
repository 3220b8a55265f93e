"""``connect``, ``disconnect``, ``wipe`` and ``doctor`` as a reader types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rozaneh.client import memory as mem
from rozaneh.core.files import DirectoryLock, private_dir
from rozaneh.fleet.invites import encode
from tests.cli.conftest import Shell
from tests.fleet import hostile
from tests.fleet.builders import invite, way

LINK = encode(invite())


class NoEngine:
    """An engine that must not be made."""

    def __init__(self, *_: object) -> None:
        raise AssertionError("the engine was started")


@pytest.fixture(autouse=True)
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test here may dial anything."""
    monkeypatch.setattr("rozaneh.client.runtime.Engine", NoEngine)


def test_an_invite_in_argv_is_refused_and_not_repeated(shell: Shell) -> None:
    for text in (LINK, " " + LINK, LINK.upper()):
        result = shell("connect", text)
        assert result.exit_code == 2
        assert "secret" in result.stderr
        assert text.strip() not in result.stdout + result.stderr


def test_without_an_invite_nobody_is_asked_when_nobody_is_there(shell: Shell) -> None:
    result = shell("connect", stdin="")
    assert result.exit_code == 2
    assert "no invite yet" in result.stderr


def test_a_missing_file_and_a_directory(shell: Shell, tmp_path: Path) -> None:
    for name in (tmp_path / "missing", tmp_path, "\x00"):
        assert shell("connect", str(name)).exit_code == 2


@pytest.mark.parametrize(
    "flags",
    [
        ["--listen", "0.0.0.0:1080"],
        ["--listen", "192.168.1.1:1080"],
        ["--user", "me"],
        ["--password-file", "p"],
        ["--listen", "nonsense"],
        ["--once", "ftp://x"],
        ["--once", "http://x", "--listen", "127.0.0.1:1080"],
        ["--once", "http://x", "--same-user"],
    ],
)
def test_flags_that_are_refused_before_anything_happens(shell: Shell, flags: list[str]) -> None:
    result = shell("connect", "-", *flags, stdin=LINK)
    assert result.exit_code == 2
    assert not shell.home.exists()


def test_the_issuers_words_are_shown_for_a_new_invite(shell: Shell) -> None:
    result = shell("connect", "-", "--listen", "0.0.0.0:1", stdin=LINK)
    assert invite().words() in result.stderr
    assert LINK not in result.stderr


def test_a_local_invite_is_accepted_with_a_word(shell: Shell) -> None:
    local = encode(invite(way("10.0.0.1:443"), local=True))
    result = shell("connect", "-", "--listen", "0.0.0.0:1", stdin=local)
    assert "`local`" in result.stderr


def test_every_hostile_invite_is_refused_with_words_and_leaves_nothing(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "invite.txt"
    for row in hostile.rows():
        data = row.full().encode("utf-8", errors="surrogateescape")
        path.write_bytes(data)
        result = shell("connect", str(path))
        assert result.exit_code in (1, 8, 10), row.name
        assert result.stdout == "", row.name
        assert result.stderr.startswith("error: "), row.name
        assert "Traceback" not in result.stderr, row.name
        assert len(result.stderr) < 1000, row.name
        assert result.stderr.isprintable() or set(result.stderr) - {"\n"} <= set(map(chr, range(32, 127))), row.name
    assert not shell.home.exists()
    assert [p.name for p in tmp_path.iterdir()] == ["invite.txt"]


def test_hostile_invites_on_stdin_too(shell: Shell) -> None:
    for row in hostile.rows()[::37]:
        result = shell("connect", "-", "--json", stdin=row.full().encode("utf-8", errors="surrogateescape"))
        assert result.exit_code in (1, 8, 10), row.name
        assert json.loads(result.stdout)["schema"] == "rozaneh.error/1"


def test_disconnect_when_nothing_is_open(shell: Shell) -> None:
    result = shell("disconnect", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"schema": "rozaneh.disconnect/1", "was_open": False}


def filled(shell: Shell) -> Path:
    where = private_dir(shell.home / "rozaneh")
    mem.store_invite(where, invite())
    mem.save(where, mem.Memory(port=1))
    return where


def test_wipe_lists_and_then_removes(shell: Shell) -> None:
    where = filled(shell)
    result = shell("wipe", "--yes", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["removed"] == ["invite", "state.json"]
    assert str(where / "invite") in result.stderr
    assert not where.exists()


def test_wipe_asks_and_without_anybody_to_ask_refuses(shell: Shell) -> None:
    where = filled(shell)
    result = shell("wipe", stdin="")
    assert result.exit_code == 2
    assert str(where / "invite") in result.stderr
    assert (where / "invite").exists()


def test_wipe_while_connected_is_refused(shell: Shell) -> None:
    where = filled(shell)
    with DirectoryLock(where).take():
        result = shell("wipe", "--yes")
        assert result.exit_code == 1
        assert "disconnect" in result.stderr
        assert (where / "invite").exists()


def test_wipe_twice_is_fine(shell: Shell) -> None:
    assert shell("wipe").exit_code == 0
    assert shell("wipe", "--yes").exit_code == 0


def test_doctor_without_an_invite_wants_attention(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rozaneh.client.diagnose.system_resolve", lambda _: [])
    result = shell("doctor", "--json")
    assert result.exit_code == 1
    answer = json.loads(result.stdout)
    assert (answer["schema"], answer["verdict"]) == ("rozaneh.doctor/1", "attention")
    assert not shell.home.exists()


def test_a_damaged_state_file_is_told_and_not_forgotten(shell: Shell) -> None:
    where = filled(shell)
    (where / "state.json").write_bytes(b"{")
    result = shell("connect")
    assert result.exit_code == 10
    assert "wipe" in result.stderr
    assert (where / "state.json").read_bytes() == b"{"
