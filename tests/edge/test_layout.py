"""An edge's choices: what fits together, what does not, and that they survive being written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.files import write_private
from rozaneh.edge import layout

PLAIN: dict[str, Any] = {"listen": "93.184.215.14:443", "host": "news.example"}


def made(**more: Any) -> layout.EdgeSettings:
    return layout.make_settings(PLAIN | more)


def refused(**more: Any) -> Fault:
    with pytest.raises(Fault) as caught:
        made(**more)
    assert caught.value.kind is FaultKind.CONFIG
    return caught.value


def test_readers_dial_where_it_listens_unless_told_otherwise() -> None:
    assert str(made().public) == "93.184.215.14:443"
    assert str(made(listen="0.0.0.0:8443", address="93.184.215.15").public) == "93.184.215.15:8443"
    assert str(made(listen="[::]:443", address="2606:4700::1").public) == "[2606:4700::1]:443"


def test_a_wildcard_needs_an_address() -> None:
    assert "--address" in refused(listen="0.0.0.0:443").hint
    refused(listen="[::]:443")
    refused(listen="0.0.0.0:443", address="0.0.0.0")  # noqa: S104
    refused(address="224.0.0.1")


def test_what_else_does_not_fit() -> None:
    refused(cert="/c")
    refused(key="/k")
    refused(listen=None)
    refused(host=None)
    refused(cover="tls:site.example:443", cert="/c", key="/k")


def test_the_local_mark_and_separate_egress_follow_from_the_addresses() -> None:
    assert not made().is_local
    assert made(listen="10.0.0.1:443").is_local
    assert made(listen="127.0.0.1:443").is_local
    assert not made(listen="10.0.0.1:443", address="93.184.215.14").is_local
    assert not made().separate_egress
    assert not made(egress="93.184.215.14").separate_egress
    assert made(egress="93.184.215.15").separate_egress


def test_how_readers_come() -> None:
    assert (made().way, made().reality, made().borrowed) == ("h2+tls", False, None)
    fronted = made(way="h2+reality", cover="tls:[::1]:8443")
    assert (fronted.reality, fronted.borrowed) == (True, "[::1]:8443")
    assert made(way="h2+reality", cover="/srv/www").borrowed is None


def test_an_edge_made_before_there_were_ways_is_one_by_tls(tmp_path: Path) -> None:
    write_private(tmp_path / layout.SETTINGS_FILE, b'[edge]\nlisten = "93.184.215.14:443"\nhost = "news.example"\n')
    assert layout.load_settings(tmp_path).way == "h2+tls"


def test_they_survive_being_written(tmp_path: Path) -> None:
    for settings in (
        made(),
        made(
            listen="0.0.0.0:443",
            address="93.184.215.15",
            cert='/with "quotes"',
            key="/k\\ey",
            cover="https://site.example/",
            egress="93.184.215.16",
            allow=["10.0.0.0/8", "fd00::/8"],
        ),
        made(way="h2+reality", cover="tls:site.example:443", post_quantum=True),
        made(way="h2+reality", post_quantum=False),
    ):
        write_private(tmp_path / layout.SETTINGS_FILE, settings.to_toml().encode())
        assert layout.load_settings(tmp_path) == settings


def test_no_edge_a_broken_one_and_an_open_one(tmp_path: Path) -> None:
    def kind() -> FaultKind:
        with pytest.raises(Fault) as caught:
            layout.load_settings(tmp_path)
        return caught.value.kind

    assert not layout.is_edge(tmp_path)
    assert kind() is FaultKind.CONFIG
    write_private(tmp_path / layout.SETTINGS_FILE, b"\xff")
    assert layout.is_edge(tmp_path)
    assert kind() is FaultKind.CONFIG
    write_private(tmp_path / layout.SETTINGS_FILE, made().to_toml().encode())
    (tmp_path / layout.SETTINGS_FILE).chmod(0o644)
    assert kind() is FaultKind.PERMISSION
