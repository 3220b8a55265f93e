"""Our client at an edge behind REALITY: let in with the right key; with a wrong one, a browser's visit to the cover."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from rozaneh.data import browsers
from rozaneh.lab.browser import handshakes, opening
from rozaneh.lab.services.pki import Authority, Files
from tests.interop.conftest import Start
from tests.interop.origin import Origin
from tests.interop.programs import Place, exactly, greet
from tests.interop.rig import ALICE, DEADLINE, LOOPBACK, SERVER_NAME, Account, Document, Running, look, until

PRIVATE = bytes(range(32))
SHORT = "0123456789abcdef"
STRANGER = Account("inv_none", "nobody", "nothing")


def text(raw: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def public(private: bytes) -> str:
    """The key that belongs to a private one."""
    return text(X25519PrivateKey.from_private_bytes(private).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "Covers")


@pytest.fixture(scope="module")
def files(authority: Authority) -> Files:
    return authority.issue(SERVER_NAME)


def edge(folder: Path, files: Files, cover: Document) -> Document:
    """An edge behind REALITY, and a site of its own beside it."""
    site = {"tag": "site", "type": "h2", "bind": "127.0.0.1:0", "upstream": "direct", "cover": {"type": "stock"}}
    return {
        "schema": "rozaneh.engine/1",
        "listeners": [
            {
                "tag": "edge",
                "type": "reality",
                "bind": "127.0.0.1:0",
                "upstream": "direct",
                "private_key": text(PRIVATE),
                "server_names": [SERVER_NAME],
                "short_ids": [SHORT],
                "cover": cover,
                "replay_file": str(folder / "seen"),
                "services": [
                    {
                        "authority": "roster.rozaneh.invalid:443",
                        "documents": {"default": base64.b64encode(b"roster").decode()},
                    }
                ],
            },
            site | {"cert_file": str(files.certificate), "key_file": str(files.key)},
        ],
        "upstreams": [{"tag": "direct", "type": "direct"}],
        "users": [ALICE.entry()],
        "policy": {"allow": LOOPBACK},
    }


def client(address: str, ca_file: Path, name: str = "chromium", user: Account = ALICE, **security: object) -> Document:
    """A reader's end."""
    right = {"type": "reality", "public_key": public(PRIVATE), "short_id": SHORT, "ca_file": str(ca_file)}
    return {
        "schema": "rozaneh.engine/1",
        "looks": {name: look(name)},
        "listeners": [
            {"tag": "l", "type": "proxy", "bind": "127.0.0.1:0", "auth": {"type": "same_user"}, "upstream": "way"}
        ],
        "upstreams": [
            {
                "tag": "way",
                "type": "h2",
                "address": address,
                "server_name": SERVER_NAME,
                "user": user.user,
                "password": user.password,
                "carriers": 1,
                "look": name,
                "security": right | security,
            }
        ],
    }


@pytest.fixture
def running(start: Start, tmp_path: Path, files: Files) -> Running:
    return start(edge(tmp_path, files, {"listener": "site"}))


def through(proxy: Place, port: int, data: bytes) -> bytes:
    """What an echo behind the edge makes of this."""
    with socket.create_connection(proxy, timeout=DEADLINE) as tcp:
        greet(tcp)
        tcp.sendall(b"\x05\x01\x00\x01" + socket.inet_aton("127.0.0.1") + port.to_bytes(2, "big"))
        assert exactly(tcp, 10)[1] == 0
        tcp.sendall(data)
        return exactly(tcp, len(data))


@pytest.mark.parametrize("name", browsers.names())
def test_a_friend_is_let_in_and_its_streams_pass(
    start: Start, running: Running, authority: Authority, origin: Origin, name: str
) -> None:
    reader = start(client(running.address, authority.trusted, name))
    found = reader.probe()
    assert (found["stage"], found["ok"]) == ("ok", True), found
    data = hashlib.shake_256(b"x").digest(300_000)
    assert through(reader.place, origin.echo, data) == data


WRONG: dict[str, dict[str, Any]] = {
    "key": {"public_key": public(bytes(32)[:-1] + b"\x09")},
    "short id": {"short_id": "0123456789abcdee"},
    "clock": {"clock_offset_s": 3_600},
}


@pytest.mark.parametrize("what", WRONG)
def test_who_is_not_let_in_learns_the_covers_date(
    start: Start, running: Running, authority: Authority, what: str
) -> None:
    reader = start(client(running.address, authority.trusted, **WRONG[what]))
    found = reader.probe()
    assert found["stage"] == "cover", found
    assert abs(found["server_date"] - time.time()) < 60
    assert reader.event("carrier_failed")["stage"] == "cover"


def test_a_cover_that_is_not_believed_is_somebody_else(start: Start, running: Running, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other", "Others")
    reader = start(client(running.address, other.trusted, short_id="0" * 16))
    assert reader.probe()["stage"] == "pin"


def test_an_edge_that_does_not_know_the_account(start: Start, running: Running, authority: Authority) -> None:
    assert start(client(running.address, authority.trusted, user=STRANGER)).probe()["stage"] == "auth"


@pytest.fixture
def cover(files: Files) -> Iterator[handshakes.Server]:
    with handshakes.Server(files) as server:
        yield server


@pytest.mark.parametrize("name", browsers.names())
def test_the_cover_sees_a_browser_that_opens_its_page(
    start: Start, tmp_path: Path, files: Files, authority: Authority, cover: handshakes.Server, name: str
) -> None:
    """Its opening is the profile's in every part; nothing else is said, and no ticket is used."""
    at = start(edge(tmp_path, files, {"address": f"127.0.0.1:{cover.port}"}))
    reader = start(client(at.address, authority.trusted, name, short_id="0" * 16))
    assert reader.probe()["stage"] == "cover"

    def over() -> bool:
        return any(one.plain and one.ended is not None for one in cover.conversations())

    until(over, "the visit ends")
    (seen,) = [one for one in cover.conversations() if one.plain]
    profile = browsers.load(name).http2
    assert profile is not None
    found = opening.read(seen.plain)
    assert found is not None
    # Firefox acknowledges the server's SETTINGS before its request where they come in time.
    assert json.loads(json.dumps(found.opening)) in (
        [list(part) for part in profile.opening],
        [["PREFACE", "SETTINGS", "WINDOW_UPDATE"], ["HEADERS"]],
    )
    assert [getattr(found, key) for key in ("settings", "window_update", "first_stream", "priority", "pseudo")] == [
        getattr(profile, key) for key in ("settings", "window_update", "first_stream", "priority", "pseudo")
    ]
    assert (found.headers, found.values, found.stream_update) == (
        profile.headers,
        profile.values,
        profile.stream_update,
    )
    assert not seen.resumed
    requests = [
        one for one in opening.frames(b"".join(seen.plain), len(opening.PREFACE)) if one.kind == opening.HEADERS
    ]
    assert len(requests) == 1
