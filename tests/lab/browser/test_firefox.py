"""Firefox is driven as Marionette has it: answers, refusals, an end in the middle, and nothing left behind."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rozaneh.lab.browser import firefox
from rozaneh.lab.browser.firefox import Firefox, MarionetteError
from rozaneh.lab.isolate import LabUnavailable

# Plays Firefox: announces its port as Firefox does, greets, and answers what it is asked.
PLAYER = """#!{python}
import json, pathlib, socket, sys
profile = pathlib.Path(sys.argv[sys.argv.index("--profile") + 1])
assert 'user_pref("network.dns.forceResolve", "127.0.0.1");' in (profile / "user.js").read_text()
server = socket.create_server(("127.0.0.1", 0))
(profile / "MarionetteActivePort").write_text(str(server.getsockname()[1]))
peer, _ = server.accept()
stream = peer.makefile("rwb")
def say(message):
    raw = json.dumps(message).encode()
    stream.write(b"%d:" % len(raw) + raw)
    stream.flush()
say({{"applicationType": "gecko", "marionetteProtocol": 3}})
urls = []
while True:
    size = b""
    while not size.endswith(b":"):
        byte = stream.read(1)
        if not byte:
            sys.exit()
        size += byte
    kind, number, command, params = json.loads(stream.read(int(size[:-1])))
    if command == "WebDriver:NewSession":
        say([1, number, None, {{"capabilities": {{"browserVersion": "153.7.0"}}}}])
    elif command == "WebDriver:Navigate" and "refused" in params["url"]:
        say([1, number, {{"error": "unknown error", "message": "about:neterror\\nstack"}}, None])
    elif command == "WebDriver:Navigate" and "end" in params["url"]:
        sys.exit()
    elif command == "WebDriver:Navigate" and "other" in params["url"]:
        say([1, number + 7, None, {{}}])
    elif command == "WebDriver:Navigate" and "flood" in params["url"]:
        stream.write(b"1" * 20)
        stream.flush()
    elif command == "WebDriver:ExecuteScript" and params["args"]:
        urls = params["args"][0]
        say([1, number, None, {{"value": None}}])
    elif command == "WebDriver:ExecuteScript":
        say([1, number, None, {{"value": len(urls)}}])
    else:
        say([1, number, None, {{}}])
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "bin").mkdir()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    yield tmp_path
    assert not list((tmp_path / "tmp").iterdir()), "something was left behind"


def program(folder: Path, text: str) -> None:
    path = folder / "bin" / "firefox-esr"
    path.write_text(text)
    path.chmod(0o755)


def test_pages_are_opened_and_fetched(folder: Path) -> None:
    program(folder, PLAYER.format(python=sys.executable))
    with Firefox(1) as browser:
        assert browser.version == "153.7.0"
        assert browser.open("https://a.example/") == ""
        assert browser.open("https://refused.example/") == "WebDriver:Navigate: about:neterror"
        assert browser.fetch(["https://a.example/", "https://b.example/"]) == 2


@pytest.mark.parametrize(
    ("page", "word"), [("end", "Firefox ended"), ("other", "got another's answer"), ("flood", "sent no length")]
)
def test_what_is_no_answer_is_said(folder: Path, page: str, word: str) -> None:
    program(folder, PLAYER.format(python=sys.executable))
    with Firefox(1) as browser:
        assert word in browser.open(f"https://{page}.example/")


def test_an_end_during_a_fetch_is_an_error(folder: Path) -> None:
    program(folder, PLAYER.format(python=sys.executable))
    with Firefox(1) as browser:
        browser.open("https://end.example/")
        with pytest.raises((MarionetteError, OSError)):
            browser.fetch(["https://a.example/"])


def test_a_firefox_that_does_not_start_or_is_not_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(folder, "#!/bin/sh\necho no display\nexit 1\n")
    with pytest.raises(LabUnavailable, match="no display"):
        Firefox(1)
    monkeypatch.setattr(firefox, "NAMES", ("firefox-that-nobody-has",))
    with pytest.raises(LabUnavailable, match="apt-get install"):
        Firefox(1)
