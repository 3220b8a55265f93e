"""The local port serves the reader's own programs and nobody else's: told by the kernel, before a byte is read."""

from __future__ import annotations

import json
import os
import socket
import stat
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from rozaneh.engine import _native
from tests.interop.conftest import Start
from tests.interop.origin import Origin, content_hash
from tests.interop.programs import Refused, fetch, tunnel
from tests.interop.rig import DEADLINE, LOOPBACK, Document, Running, direct_document, until

SAME_USER: Document = {"type": "same_user"}
PEER_CRED: Document = {"type": "peer_cred"}

#: Becomes the user of argv[1] (0 stays root), connects, says hello in SOCKS5 or not, tells what came and how it ended.
STRANGER = """
import os, socket, sys
uid, family, place, hello = int(sys.argv[1]), sys.argv[2], sys.argv[3], bytes.fromhex(sys.argv[4])
if uid:
    os.setgroups([]); os.setgid(uid); os.setuid(uid)
sock = socket.socket({"4": socket.AF_INET, "6": socket.AF_INET6, "unix": socket.AF_UNIX}[family])
sock.settimeout(20)
try:
    if family == "unix":
        sock.connect(place)
    else:
        host, port = place.rsplit("|", 1)
        sock.connect((host, int(port)))
    if hello:
        sock.sendall(hello)
    data = b""
    while len(data) < 2:
        part = sock.recv(2)
        if not part:
            break
        data += part
    print("said", data.hex())
except ConnectionError as error:
    print("said", "reset" if isinstance(error, (ConnectionResetError, BrokenPipeError)) else type(error).__name__)
except PermissionError:
    print("said denied")
"""

HELLO = "050100"
NOBODY = 65534
SECOND = 4242


def ask(uid: int, family: str, place: str, hello: str = HELLO) -> str:
    """What a program of that user hears."""
    finished = subprocess.run(
        [sys.executable, "-c", STRANGER, str(uid), family, place, hello],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return finished.stdout.strip().removeprefix("said").strip()


#: A refusal is an end without a byte: FIN, or a reset where bytes were left unread.
REFUSED = ("", "reset")


@pytest.mark.root
@pytest.mark.parametrize(("bind", "family"), [("127.0.0.1:0", "4"), ("[::1]:0", "6")], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize(
    "hello", [HELLO, "", b"GET http://a/ HTTP/1.1\r\n\r\n".hex()], ids=["socks5", "silent", "http"]
)
def test_another_user_hears_nothing(start: Start, bind: str, family: str, hello: str) -> None:
    proxy = start(direct_document(allow=LOOPBACK, bind=bind, auth=SAME_USER))
    host, port = proxy.place
    for turned_away, uid in enumerate((SECOND, NOBODY), 1):
        assert ask(uid, family, f"{host}|{port}", hello) in REFUSED
        assert proxy.counters()["turned_away"] == turned_away
    # The same program of our own user is served.
    assert ask(os.getuid(), family, f"{host}|{port}") == "0500"
    assert proxy.counters()["turned_away"] == 2


@pytest.mark.root
def test_mapped_addresses_are_looked_up_too(start: Start) -> None:
    """An IPv4 program at a dual-stack socket of its own: the kernel knows it under the IPv6 family."""
    proxy = start(direct_document(allow=LOOPBACK, auth=SAME_USER))
    place = f"::ffff:127.0.0.1|{proxy.place[1]}"
    assert ask(SECOND, "6", place) in REFUSED
    assert ask(os.getuid(), "6", place) == "0500"


@pytest.mark.root
def test_the_owner_is_whoever_holds_it(start: Start, origin: Origin) -> None:
    """A proxy that runs as another user serves that user, and not root."""
    program = """
import json, os, sys
os.setgroups([]); os.setgid(4242); os.setuid(4242)
from rozaneh.engine import _native
engine = _native.Engine(sys.stdin.readline())
engine.start()
print(json.loads(engine.listeners())[0]["address"], flush=True)
sys.stdin.readline()
print(engine.counters(), flush=True)
"""
    document = json.dumps(direct_document(allow=LOOPBACK, auth=SAME_USER))
    with subprocess.Popen(
        [sys.executable, "-c", "from rozaneh.engine import _native\n" + program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdin
            assert process.stdout
            process.stdin.write(document + "\n")
            process.stdin.flush()
            host, _, port = process.stdout.readline().strip().rpartition(":")
            assert ask(0, "4", f"{host}|{port}") in REFUSED
            assert ask(NOBODY, "4", f"{host}|{port}") in REFUSED
            assert ask(SECOND, "4", f"{host}|{port}") == "0500"
            process.stdin.write("\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["turned_away"] == 2
        finally:
            process.kill()


def test_a_socket_that_closed_early_is_nobodys(start: Start, origin: Origin) -> None:
    """Gone before it was looked up, it would show as root's: it must not be served, and must not harm anybody."""
    proxy = start(direct_document(allow=LOOPBACK, auth=SAME_USER))
    request = b"\x05\x01\x00\x05\x01\x00\x01\x7f\x00\x00\x01" + struct.pack("!H", origin.echo)
    for linger in (True, False):
        for _ in range(100):
            with socket.create_connection(proxy.place, timeout=DEADLINE) as sock:
                if linger:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.sendall(request)
    until(lambda: proxy.counters()["connections_open"] == 0, "all of them are over")
    assert fetch(proxy.place, origin.http, 1000) == content_hash(1000)


@pytest.mark.root
def test_a_unix_socket_is_ours_alone(start: Start, origin: Origin, request: pytest.FixtureRequest) -> None:
    """0600, and the peer's credentials besides: a second user is refused by both."""
    # Reachable by name for everybody, so that only the socket's own rules decide.
    folder = tempfile.TemporaryDirectory()
    request.addfinalizer(folder.cleanup)
    Path(folder.name).chmod(0o755)
    path = Path(folder.name) / "proxy"
    proxy = start(direct_document(allow=LOOPBACK, bind=f"unix:{path}", auth=PEER_CRED))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert fetch(str(path), origin.http, 1000) == content_hash(1000)
    assert ask(SECOND, "unix", str(path)) == "denied"
    # Even with the mode opened by mistake.
    path.chmod(0o666)
    assert ask(SECOND, "unix", str(path)) in REFUSED
    assert proxy.counters()["turned_away"] == 1
    assert ask(os.getuid(), "unix", str(path)) == "0500"
    proxy.stop()
    until(lambda: not path.exists(), "the socket's name is taken away")


def test_a_password_where_that_is_asked(start: Start, origin: Origin) -> None:
    """The third way in, for programs of other machines or users: right, wrong, missing; both protocols."""
    import base64
    import hashlib

    auth = {"type": "password", "user": "reader", "password_sha256": hashlib.sha256(b"secret").hexdigest()}
    proxy = start(direct_document(allow=LOOPBACK, auth=auth))
    with tunnel(proxy.place, "127.0.0.1", origin.echo, credentials=("reader", "secret")) as sock:
        sock.sendall(b"hello")
        assert sock.recv(5) == b"hello"
    for wrong in (("reader", "Secret"), ("Reader", "secret"), ("reader", ""), ("", "secret"), None):
        with pytest.raises(Refused):
            tunnel(proxy.place, "127.0.0.1", origin.echo, credentials=wrong).close()
    before = origin.accepted
    for value, status in (
        ("reader:secret", b"200"),
        ("reader:wrong", b"407"),
        ("secret:reader", b"407"),
        (None, b"407"),
    ):
        field = b"" if value is None else b"Proxy-Authorization: Basic " + base64.b64encode(value.encode()) + b"\r\n"
        with socket.create_connection(proxy.place, timeout=DEADLINE) as sock:
            sock.sendall(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\nHost: a\r\n" % origin.echo + field + b"\r\n")
            assert sock.recv(4096).split(b" ")[1] == status
    assert origin.accepted == before + 1


@pytest.mark.parametrize(
    ("bind", "auth", "where"),
    [
        ("0.0.0.0:0", SAME_USER, "listeners[0].auth"),
        ("[::]:0", SAME_USER, "listeners[0].auth"),
        ("192.0.2.1:0", SAME_USER, "listeners[0].auth"),
        ("127.0.0.1:0", PEER_CRED, "listeners[0].auth"),
        ("unix:/nowhere/proxy", SAME_USER, "listeners[0].auth"),
        ("127.0.0.1:0", {"type": "none"}, "listeners[0]"),
        ("127.0.0.1:0", None, "listeners[0]"),
        ("127.0.0.1:0", {}, "listeners[0]"),
        ("127.0.0.1:0", {"type": "password", "user": "", "password_sha256": "00" * 32}, "listeners[0].auth"),
        ("127.0.0.1:0", {"type": "password", "user": "u", "password_sha256": ""}, "listeners[0]"),
    ],
)
def test_there_is_no_open_one(bind: str, auth: Document | None, where: str) -> None:
    """No configuration serves whoever comes."""
    document = direct_document(bind=bind)
    document["listeners"][0]["auth"] = auth
    with pytest.raises(_native.ConfigError) as error:
        Running(document)
    assert str(error.value).startswith(where)
    del document["listeners"][0]["auth"]
    with pytest.raises(_native.ConfigError):
        Running(document)
