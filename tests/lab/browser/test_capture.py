"""Chromium at hand: its profile can be made, it agrees with itself, and the second hello and tickets are understood."""

from __future__ import annotations

import json
import socket
import struct
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from rozaneh.cli.main import cli
from rozaneh.data import browsers
from rozaneh.data.browsers import schema
from rozaneh.lab.browser import capture, compare, derive, hellos
from rozaneh.lab.browser.listener import Listener
from rozaneh.lab.codec.clienthello import ClientHello
from rozaneh.lab.codec.fingerprint import ja4
from tests.lab.browser.generator import flights, vector

PROFILE = browsers.load("chromium")
HELLOS = 200
SOON_S = 20.0


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["lab", "browser", *arguments])


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    path = tmp_path_factory.mktemp("capture") / "chromium.json"
    key = str(path.with_name("key.pem"))
    return path, invoke("capture", "chromium", "--out", str(path), "--hellos", "250", "--sign-with", key, "--json")


def test_a_profile_is_made_from_the_browser_and_signed(captured: tuple[Path, Result]) -> None:
    path, result = captured
    assert result.exit_code == 0, result.stderr
    answer = json.loads(result.stdout)
    assert (answer["schema"], answer["name"], answer["hellos"]) == ("rozaneh.lab.browser.capture/1", "chromium", 250)
    made = browsers.read(path)
    assert (made.version, made.ja4) == (answer["version"], answer["ja4"])
    for part in (made.retry, made.resumption, made.http2, made.connections):
        assert part is not None
    # Facts of every Chromium since TLS 1.3: GREASE first and last, a shuffled middle, tickets used once.
    ends = (made.hello.extensions[0], made.hello.extensions[-1])
    assert [(isinstance(one.type, str), one.shuffle) for one in ends] == [(True, False)] * 2
    assert all(one.shuffle for one in made.hello.extensions[1:-1])
    assert made.resumption is not None
    assert (made.resumption.identities, made.resumption.tickets_used_again, made.resumption.last) == (1, False, True)
    assert made.http2 is not None
    assert made.http2.pseudo == (":method", ":authority", ":scheme", ":path")
    assert made.connections is not None
    assert (made.connections.http1_at_once, made.connections.watched_s) == (6, 0)
    signature = path.with_name("chromium.json.sig").read_text()
    from rozaneh.core.keys import SigningKey

    assert browsers.check(path.read_bytes(), signature, SigningKey.load(path.with_name("key.pem")).public()) == made


def test_the_browser_passes_against_itself_and_against_its_own_generators(captured: tuple[Path, Result]) -> None:
    made = browsers.read(captured[0])
    real, version = capture.first_flights("chromium", 2 * HELLOS)
    assert version == made.version
    found = compare.compare(flights(made.hello, HELLOS, seed=10), real)
    assert found.control.good, found.control.as_json()
    assert found.profile.good, found.profile.as_json()
    assert found.profile.ja4 == (made.ja4,)
    still = replace(made.hello, extensions=tuple(replace(one, shuffle=False) for one in made.hello.extensions))
    assert not compare.compare(flights(still, HELLOS, seed=10), real).profile.good


def test_the_command_compares_what_the_program_writes(
    captured: tuple[Path, Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = browsers.read(captured[0])
    program = tmp_path / "hellos"
    lines = tmp_path / "lines"
    program.write_text(f'#!/bin/sh\ngrep -q rozaneh.browser/1 "$1" && head -n "$2" {lines}\n')
    program.chmod(0o755)
    monkeypatch.setenv(hellos.VARIABLE, str(program))
    for hello, exit_code in ((made.hello, 0), (replace(made.hello, session_id=0), 1)):
        lines.write_text("".join(f"{one.hex()}\n" for one in flights(hello, 60, seed=11)))
        result = invoke("compare", str(captured[0]), "chromium", "--hellos", "50", "--json")
        assert result.exit_code == exit_code, result.stderr
        answer = json.loads(result.stdout)
        assert (answer["ok"], answer["control"]["ok"]) == (exit_code == 0, True)
        assert (answer["hellos"], answer["rule"]) == (50, "chi-square, corrected p > 0.001")
    assert {row["field"] for row in answer["against_browser"]["widest"]} >= {"session_id.length"}


class Flaky:
    """A browser whose first visits fail, as one does on a busy machine."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.visits = 0

    def open(self, url: str) -> str:
        self.visits += 1
        return "net::ERR_SOCKET_NOT_CONNECTED" if self.visits <= self.failures else ""


@pytest.mark.parametrize(("failures", "visits", "opens"), [(0, 1, True), (2, 3, True), (9, 3, False)])
def test_a_page_that_fails_is_asked_for_again_and_not_for_ever(failures: int, visits: int, opens: bool) -> None:
    browser = Flaky(failures)
    if opens:
        capture.open_page(browser, "https://x.example/")
    else:
        with pytest.raises(capture.CaptureError, match="ERR_SOCKET_NOT_CONNECTED"):
            capture.open_page(browser, "https://x.example/")
    assert browser.visits == visits


def test_what_cannot_be_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = str(tmp_path / "x.json")
    assert invoke("capture", "lynx", "--out", out).exit_code == 2
    assert invoke("compare", "chromium", "lynx").exit_code == 2
    assert invoke("compare", str(tmp_path / "none.json"), "chromium").exit_code == 2
    monkeypatch.setenv(hellos.VARIABLE, "/bin/false")
    failed = invoke("compare", "chromium", "chromium", "--hellos", "50")
    assert failed.exit_code == 1
    monkeypatch.delenv(hellos.VARIABLE)
    monkeypatch.setenv("CARGO_TARGET_DIR", str(tmp_path))
    missing = invoke("compare", "chromium", "chromium")
    assert "cargo build" in missing.stderr


def test_the_listener_takes_hellos_in_pieces_and_forgets_what_is_none() -> None:
    flight = flights(PROFILE.hello, 1)[0]
    with Listener() as listener:
        for junk in (b"GET / HTTP/1.1\r\n\r\n", flight[:50], b""):
            with socket.create_connection(("127.0.0.1", listener.port)) as peer:
                peer.sendall(junk)
        with socket.create_connection(("127.0.0.1", listener.port)) as peer:
            for at in range(0, len(flight), 300):
                peer.sendall(flight[at : at + 300])
            assert peer.recv(1) == b""
        assert listener.wait(1, SOON_S)
        assert listener.flights() == [flight]
        assert not listener.wait(2, 0)


def test_what_a_second_hello_keeps() -> None:
    first = flights(PROFILE.hello, 1)[0]
    again = b"\x14\3\3\0\1\1" + first[:1] + b"\3\3" + first[3:]
    assert capture.second(first, again) == schema.Retry(
        record_version=0x0303,
        same_random=True,
        same_session_id=True,
        same_order=True,
        same_ech=True,
        same_grease=True,
        grease_share=True,
        change_cipher_spec=True,
    )
    other = capture.second(first, flights(PROFILE.hello, 2, seed=1)[1])
    assert other == schema.Retry(
        record_version=0x0301,
        same_random=False,
        same_session_id=False,
        same_order=False,
        same_ech=False,
        same_grease=False,
        grease_share=True,
        change_cipher_spec=False,
    )


def _with_tickets(*offered: bytes) -> ClientHello:
    plain = derive.parsed(flights(PROFILE.hello, 1)[0])
    if not offered:
        return plain
    identities = vector(2, b"".join(vector(2, one) + struct.pack(">I", 7) for one in offered))
    binders = vector(2, b"".join(vector(1, bytes(32)) for _ in offered))
    return ClientHello(
        plain.version,
        plain.random,
        plain.session_id,
        plain.ciphers,
        plain.compression,
        (*plain.extensions, (41, identities + binders)),
    )


def test_how_tickets_are_used() -> None:
    none = capture.tickets([_with_tickets(), _with_tickets()])
    assert (none.identities, none.added) == (0, ())
    once = capture.tickets([_with_tickets(), _with_tickets(b"a"), _with_tickets(b"b")])
    assert once == schema.Resumption(
        identities=1, tickets_used_again=False, early_data=False, added=(41,), removed=(), last=True
    )
    again = capture.tickets([_with_tickets(), _with_tickets(b"a", b"b"), _with_tickets(b"a")])
    assert (again.identities, again.tickets_used_again) == (2, True)
    assert capture.identities(_with_tickets(b"a", b"bc")) == (b"a", b"bc")
    assert ja4(_with_tickets()) == PROFILE.ja4
