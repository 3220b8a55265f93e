"""One registry: what a flag takes, a file takes, and nothing else exists."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rozaneh.core import settings as s
from rozaneh.core.errors import Fault, FaultKind

VALUES: dict[str, s.Value] = {
    "listen": "0.0.0.0:443",
    "host": "news.example",
    "address": "203.0.113.5",
    "cover": "/srv/www",
    "allow": ["127.0.0.0/8", "10.1.2.3/32"],
}


@pytest.mark.parametrize("text", ["tls:site.example:443", "tls:127.0.0.1:8443", "tls:[::1]:8443", "https://a/", "/srv"])
def test_covers(text: str) -> None:
    assert s.SETTINGS["edge.cover"].kind.read(text) == text


def test_names_flags_and_variables_are_unique() -> None:
    rows = s.manual()
    assert len({row["name"] for row in rows}) == len({row["variable"] for row in rows}) == len(rows)
    for prefix in ("client", "edge", "invite"):
        flags = [setting.flag for setting in s.section(prefix)]
        assert len(flags) == len(set(flags)) > 0


def test_every_setting_has_a_sentence() -> None:
    for row in s.manual():
        assert row["sentence"].endswith(".")
        assert row["sensitive"] in (True, False)


def test_no_setting_takes_a_secret_itself() -> None:
    # A secret in argv or in the environment is everybody's: secrets come from files.
    assert not [row for row in s.manual() if row["sensitive"]]
    assert "client.password" not in s.SETTINGS


def test_toml_round_trip() -> None:
    assert s.load_toml(s.dump_toml("edge", VALUES), "edge", "edge.toml") == VALUES


@given(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1))
def test_any_path_survives_toml(path: str) -> None:
    assert tomllib.loads(s.dump_toml("edge", {"cover": path}))["edge"]["cover"] == path


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[edge]\nlisten = 1", "edge.listen"),
        ("[edge]\nunknown = 1", "edge.unknown"),
        ("[other]", "other"),
        ("edge = 1", "edge"),
        ("[edge]\nallow = '10.0.0.0/8'", "edge.allow"),
        ("[edge]\nallow = ['10.0.0.1/8']", "edge.allow"),
        ("[edge]\nhost = 'A.example'", "edge.host"),
        ("[edge", "TOML"),
    ],
)
def test_wrong_files_are_refused_with_the_place(text: str, named: str) -> None:
    with pytest.raises(Fault) as caught:
        s.load_toml(text, "edge", "edge.toml")
    assert caught.value.kind is FaultKind.CONFIG
    assert named in str(caught.value)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("12h", 43_200), ("30d", 2_592_000), ("2w", 1_209_600)]
)
def test_durations(text: str, seconds: int) -> None:
    assert s.parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "d", "0d", "-1d", "1.5h", "30 d", "30D", "1y", "9999999d", "３d"])  # noqa: RUF001
def test_durations_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        s.parse_duration(text)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("edge.cover", "ftp://x"),
        ("edge.cover", "http://user@x/"),
        ("edge.cover", "http://x:99999/"),
        ("edge.cover", "http://"),
        ("edge.cover", "tls:"),
        ("edge.cover", "tls:site.example"),
        ("edge.cover", "tls:site.example:0"),
        ("edge.cover", "tls:site.example:65536"),
        ("edge.cover", "tls:Site.example:443"),
        ("edge.cover", "tls:127.1:443"),
        ("edge.cover", "tls:::1:443"),
        ("edge.cover", "tls:[::1%eth0]:443"),
        ("edge.cover", "tls:user@site.example:443"),
        ("edge.way", "h2"),
        ("edge.way", "vless+reality"),
        ("edge.host", "x" * 60 + "." + "y" * 60),
        ("edge.listen", "443"),
        ("client.listen", "unix:"),
        ("client.user", "a:b"),
        ("client.user", "a\nb"),
        ("invite.for", "x" * 81),
        ("invite.for", "a\x1b[2J"),
        ("invite.expires", "soon"),
    ],
)
def test_values_that_are_refused(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        s.SETTINGS[name].kind.read(value)
