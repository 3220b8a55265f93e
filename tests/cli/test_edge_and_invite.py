"""``edge`` and ``invite`` as an operator types them."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from rozaneh.core.keys import fingerprint
from rozaneh.fleet.invites import decode
from tests.cli.conftest import Shell

# The way is said, because what else runs on this machine would decide it otherwise.
INIT = ("--listen", "93.184.215.14:443", "--host", "news.example", "--way", "h2+tls")


@pytest.fixture
def edge(shell: Shell, tmp_path: Path) -> str:
    """A directory with an edge in it."""
    where = str(tmp_path / "edge")
    assert shell("edge", "init", "--dir", where, *INIT).exit_code == 0
    return where


def test_init_says_what_it_made(shell: Shell, tmp_path: Path) -> None:
    result = shell("edge", "init", "--dir", str(tmp_path / "e"), *INIT, "--json")
    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    assert answer["schema"] == "rozaneh.edge.init/1"
    assert answer["address"] == "93.184.215.14:443"
    assert answer["local"] is False
    assert len(answer["issuer"].split()) == 8
    assert answer["issuer"] in result.stderr
    assert "warning" not in result.stderr
    assert shell("edge", "init", "--dir", str(tmp_path / "e"), *INIT).exit_code == 3


def test_init_warns_of_what_opens_something(shell: Shell, tmp_path: Path) -> None:
    result = shell(
        "edge", "init", "--dir", str(tmp_path / "e"), "--listen", "127.0.0.1:4433", "--host", "a.example",
        "--way", "h2+tls", "--allow", "127.0.0.0/8", "--allow", "10.1.2.3",
    )  # fmt: skip
    assert result.exit_code == 0
    assert "`local`" in result.stderr
    assert "127.0.0.0/8, 10.1.2.3/32" in result.stderr


def test_init_says_how_readers_come_and_what_strangers_meet(shell: Shell, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    where = ("--listen", "93.184.215.14:443", "--host", "news.example", "--cover", str(files))
    result = shell("edge", "init", "--dir", str(tmp_path / "e"), *where, "--way", "h2+reality", "--json")
    answer = json.loads(result.stdout)
    assert (answer["way"], answer["cover"], answer["post_quantum"]) == ("h2+reality", str(files), False)
    assert answer["pin"] is None
    assert "Readers come by `h2+reality`" in result.stderr
    assert "unusual" in result.stderr  # a certificate of its own making
    link = shell("invite", "new", "--dir", str(tmp_path / "e")).stdout.strip()
    assert decode(link).ways[0].last.transport.name == "h2+reality"
    result = shell("edge", "init", "--dir", str(tmp_path / "f"), *where)
    assert "Readers come by `h2+tls`" in result.stderr
    assert "unusual" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--listen", "0.0.0.0:443", "--host", "a.example"], 3),
        (["--listen", "443", "--host", "a.example"], 2),
        (["--listen", "1.2.3.4:443", "--host", "A.example"], 2),
        (["--listen", "1.2.3.4:443"], 2),
        ([*INIT, "--allow", "10.0.0.1/8"], 2),
        ([*INIT, "--cover", "/does/not/exist"], 3),
        ([*INIT, "--cover", "ftp://x"], 2),
        ([*INIT, "--cover", "tls:127.0.0.1:1"], 3),
        ([*INIT, "--cover", "tls:127.0.0.1"], 2),
        ([*INIT, "--post-quantum"], 3),
        ([*INIT[:4], "--way", "vless+reality"], 2),
        ([*INIT[:4], "--way", "h2+reality", "--cover", "tls:127.0.0.1:1"], 3),
        ([*INIT[:4], "--cover", "tls:nowhere.invalid:443"], 3),
        ([*INIT, "--cert", "/c"], 3),
        ([*INIT, "--cert", "/c", "--key", "/k"], 3),
        ([*INIT, "--egress", "host.example"], 2),
    ],
)
def test_init_refuses(shell: Shell, tmp_path: Path, arguments: list[str], code: int) -> None:
    result = shell("edge", "init", "--dir", str(tmp_path / "e"), *arguments)
    assert result.exit_code == code
    assert not (tmp_path / "e").exists()


def test_the_link_alone_is_on_stdout_and_shown_once(shell: Shell, edge: str) -> None:
    result = shell("invite", "new", "--dir", edge, "--for", "aunt", "--expires", "30d")
    assert result.exit_code == 0
    (link,) = result.stdout.splitlines()
    invite = decode(link)
    assert link not in result.stderr
    assert fingerprint(invite.issuer) in result.stderr
    listed = shell("invite", "list", "--dir", edge)
    assert link not in listed.stdout
    assert "aunt" in listed.stdout
    assert "active" in listed.stdout


def test_new_as_json_and_as_qr(shell: Shell, edge: str) -> None:
    result = shell("invite", "new", "--dir", edge, "--json")
    answer = json.loads(result.stdout)
    assert answer["schema"] == "rozaneh.invite.new/1"
    assert decode(answer["link"]).words() == answer["issuer"]
    result = shell("invite", "new", "--dir", edge, "--qr")
    decode(result.stdout)
    assert "█" in result.stderr
    assert max(len(line) for line in result.stderr.splitlines()) < 120


def test_revoking(shell: Shell, edge: str) -> None:
    answer = json.loads(shell("invite", "new", "--dir", edge, "--json").stdout)
    first = shell("invite", "revoke", "--dir", edge, answer["id"], "--json")
    assert json.loads(first.stdout) == {
        "schema": "rozaneh.invite.revoke/1", "id": answer["id"], "revoked": True, "changed": True,
    }  # fmt: skip
    second = shell("invite", "revoke", "--dir", edge, answer["id"])
    assert second.exit_code == 0
    assert "before" in second.stderr
    (row,) = json.loads(shell("invite", "list", "--dir", edge, "--json").stdout)["invites"]
    assert row["state"] == "revoked"
    assert shell("invite", "revoke", "--dir", edge, "inv_none").exit_code == 2


@pytest.mark.parametrize(
    "arguments",
    [["invite", "new"], ["invite", "list"], ["invite", "revoke", "inv_x"], ["edge", "status"], ["edge", "up"]],
)
def test_without_an_edge_nothing_is_made(shell: Shell, tmp_path: Path, arguments: list[str]) -> None:
    where = tmp_path / "nothing"
    result = shell(*arguments, "--dir", str(where))
    assert result.exit_code == 3
    assert "edge init" in result.stderr
    assert not where.exists()


@pytest.mark.parametrize("expires", ["soon", "0d", "30"])
def test_bad_durations(shell: Shell, edge: str, expires: str) -> None:
    assert shell("invite", "new", "--dir", edge, "--expires", expires).exit_code == 2


def test_status_of_an_edge_that_is_down(shell: Shell, edge: str) -> None:
    result = shell("edge", "status", "--dir", edge)
    assert result.exit_code == 0
    assert "down" in result.stdout
    answer = json.loads(shell("edge", "status", "--dir", edge, "--json").stdout)
    assert (answer["schema"], answer["state"]) == ("rozaneh.edge.status/1", "down")


def test_doctor_knows_an_edge_when_it_sees_one(shell: Shell, edge: str) -> None:
    result = shell("doctor", "--dir", edge, "--json")
    assert result.exit_code == 2
    answer = json.loads(result.stdout)
    assert answer["verdict"] == "broken"
    assert {check["name"] for check in answer["checks"]} >= {"keys", "certificate", "running", "egress"}


def test_settings_come_from_the_environment_too(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROZANEH_EDGE_HOST", "env.example")
    monkeypatch.setenv("ROZANEH_DIR", str(tmp_path / "e"))
    assert shell("edge", "init", "--listen", "93.184.215.14:443").exit_code == 0
    assert "env.example" in (tmp_path / "e" / "edge.toml").read_text()


def test_nothing_an_operator_makes_is_readable_by_others(shell: Shell, edge: str) -> None:
    shell("invite", "new", "--dir", edge)
    for path in Path(edge).iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
