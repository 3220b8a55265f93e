"""``connect`` on the real engine: one page, kept ports, every kind of listener, and why it does not work."""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from rozaneh.client import memory as mem
from rozaneh.core.files import write_private
from rozaneh.edge.certs import make_certificate
from rozaneh.fleet.invites import Invite, decode, encode
from rozaneh.ways.grammar import make
from tests.programs import (
    DEADLINE,
    KILL,
    TERM,
    Echo,
    Program,
    Site,
    answer,
    echoes,
    free_port,
    page,
    program,
    run,
    serving,
    tunnel,
)


@dataclass
class World:
    """An edge that runs, a site behind it, and a reader with an invite."""

    edge: Program
    directory: str
    home: Path
    link: bytes
    site: int

    @property
    def state(self) -> str:
        """The reader's directory."""
        return str(self.home / "reader")

    def once(self, path: str, *more: str, link: bytes | None = None, **env: str) -> tuple[int, bytes, str]:
        """``connect --once`` of a page of the site."""
        url = path if "://" in path else f"http://127.0.0.1:{self.site}{path}"
        done = run("connect", "-", "--dir", self.state, "--once", url, *more, stdin=link or self.link, **env)
        return done.returncode, done.stdout, done.stderr.decode(errors="replace")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """All of it, on loopback."""
    directory, listen = str(tmp_path / "edge"), f"127.0.0.1:{free_port()}"
    init = run(
        "edge",
        "init",
        "--dir",
        directory,
        "--listen",
        listen,
        "--host",
        "news.example",
        "--way",
        "h2+tls",
        "--allow",
        "127.0.0.0/8",
    )
    assert init.returncode == 0, init.stderr
    with program("edge", "up", "--dir", directory, "--json") as edge, serving(Site) as site:
        edge.ready()
        link = run("invite", "new", "--dir", directory).stdout.strip()
        yield World(edge, directory, tmp_path, link, site)


def test_one_page_to_stdout_and_as_a_summary(world: World) -> None:
    body = page(300_000)
    code, out, err = world.once("/300000")
    assert (code, out) == (0, body), err
    code, out, err = world.once("/300000", "--json")
    assert code == 0
    summary = json.loads(out)
    assert summary == {
        "schema": "rozaneh.once/1",
        "status": 200,
        "bytes": 300_000,
        "sha256": hashlib.sha256(body).hexdigest(),
        "way": "h2+tls(address=[hidden],name=[hidden],pin=[hidden])",
    }
    assert not [name for name in os.listdir(world.state) if "sock" in name]


def test_a_state_directory_with_a_name_longer_than_a_socket_address(world: World) -> None:
    deep = world.home / ("x" * 120) / "state"
    deep.parent.mkdir()
    url = f"http://127.0.0.1:{world.site}/7"
    done = run("connect", "-", "--dir", str(deep), "--once", url, stdin=world.link)
    assert (done.returncode, done.stdout) == (0, page(7)), done.stderr
    with program("connect", "--dir", str(deep), "--json") as reader:
        reader.ready()
        assert answer(run("disconnect", "--dir", str(deep), "--json"))["was_open"] is True
        assert reader.wait() == 0


def test_a_page_over_https_is_checked(world: World) -> None:
    certs = world.home / "site"
    certs.mkdir()
    make_certificate(certs, "localhost", int(datetime.datetime.now(datetime.UTC).timestamp()))
    with secure_site(certs) as port:
        url = f"https://localhost:{port}/"
        code, out, err = world.once(url, SSL_CERT_FILE=str(certs / "cert.pem"))
        assert (code, out) == (0, b"safe"), err
        code, out, err = world.once(url)
        assert (code, out) == (6, b""), err


def test_a_page_that_is_not_there(world: World) -> None:
    code, out, err = world.once(f"http://127.0.0.1:{free_port()}/")
    assert (code, out) == (7, b"")
    assert "Traceback" not in err


def test_the_second_run_needs_no_invite_and_the_port_is_kept(world: World) -> None:
    path = world.home / "link"
    path.write_bytes(world.link)
    ports = []
    for source in ([str(path)], [], []):
        with program("connect", *source, "--dir", world.state, "--json") as reader:
            ready = reader.ready()
            assert (ready["schema"], ready["state"], ready["roster"]) == ("rozaneh.connect/1", "ready", True)
            ports.append(ready["listen"])
            reader.signal(TERM)
            assert reader.wait() == 0
    assert len(set(ports)) == 1
    assert ports[0].startswith("127.0.0.1:")


def test_disconnect_ends_it_and_a_second_connect_is_refused(world: World) -> None:
    world.once("/5")
    with program("connect", "--dir", world.state, "--json") as reader:
        reader.ready()
        busy = run("connect", "--dir", world.state)
        assert busy.returncode == 1
        assert b"disconnect" in busy.stderr
        assert answer(run("disconnect", "--dir", world.state, "--json")) == {
            "schema": "rozaneh.disconnect/1",
            "was_open": True,
        }
        assert reader.wait() == 0
    assert answer(run("disconnect", "--dir", world.state, "--json"))["was_open"] is False


def test_a_unix_socket_and_a_password(world: World) -> None:
    world.once("/5")
    with serving(Echo) as echo:
        path = world.home / "proxy.sock"
        with program("connect", "--dir", world.state, "--listen", f"unix:{path}", "--json") as reader:
            assert reader.ready()["listen"] == f"unix:{path}"
            assert (path.stat().st_mode & 0o777) == 0o600
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(DEADLINE)
                connection.connect(str(path))
                ask(connection, echo)
                assert echoes(connection)
        write_private(world.home / "password", b"long enough\n")
        flags = ["--user", "me", "--password-file", str(world.home / "password")]
        with program("connect", "--dir", world.state, *flags, "--json") as reader:
            host, _, port = reader.ready()["listen"].rpartition(":")
            with socket.create_connection((host, int(port)), timeout=DEADLINE) as connection:
                assert ask(connection, echo, expect=407)
            with socket.create_connection((host, int(port)), timeout=DEADLINE) as connection:
                ask(connection, echo, credentials="me:long enough")
                assert echoes(connection)


def test_a_killed_client_leaves_nothing_that_stops_the_next(world: World) -> None:
    world.once("/5")
    with program("connect", "--dir", world.state, "--json") as reader:
        first = reader.ready()["listen"]
        reader.signal(KILL)
        reader.wait()
    with program("connect", "--dir", world.state, "--json") as reader, serving(Echo) as echo:
        assert reader.ready()["listen"] == first
        with tunnel(first, echo) as connection:
            assert echoes(connection)


def test_a_revoked_invite_says_so(world: World) -> None:
    (row,) = answer(run("invite", "list", "--dir", world.directory, "--json"))["invites"]
    assert run("invite", "revoke", "--dir", world.directory, row["id"]).returncode == 0
    code, _, err = world.once("/5")
    assert code == 7
    assert "invite" in err
    assert not (Path(world.state) / "invite").exists()


def test_an_edge_that_is_down_and_one_that_is_somebody_else(world: World) -> None:
    world.edge.signal(KILL)
    world.edge.wait()
    code, _, err = world.once("/5")
    assert code == 7, err
    port = decode(world.link.decode()).ways[0].last.get("address")
    other = world.home / "other"
    assert port is not None
    init = run("edge", "init", "--dir", str(other), "--listen", port, "--host", "news.example", "--way", "h2+tls")
    assert init.returncode == 0
    with program("edge", "up", "--dir", str(other), "--json") as impostor:
        impostor.ready()
        code, _, err = world.once("/5")
    assert code == 6, err
    assert "Somebody else" in err


def test_a_connection_that_breaks_in_tls_looks_like_interference(world: World) -> None:
    with resetting() as port:
        mine = decode(world.link.decode())
        way = make("h2+tls", address=f"127.0.0.1:{port}", name="news.example", pin=mine.ways[0].last.get("pin"))
        link = encode(Invite(mine.issuer, mine.secret, mine.compartments, (way,), local=True)).encode()
        code, _, err = world.once("/5", link=link)
    assert code == 6, err
    assert "broke" in err


def test_a_roster_older_than_one_seen_before_ends_with_10(world: World) -> None:
    world.once("/5")
    memory = mem.load(Path(world.state))
    (key, seen), *_ = memory.seen.items()
    mem.save(Path(world.state), mem.Memory(seen={key: mem.Seen(seen.sequence + 1, seen.digest, seen.document)}))
    code, out, err = world.once("/5")
    assert (code, out) == (10, b""), err
    assert "older than one seen before" in err


def test_doctor_finds_a_healthy_edge_and_a_dead_one(world: World) -> None:
    world.once("/5")
    found = {c["name"]: c["verdict"] for c in answer(run("doctor", "--dir", world.state, "--json"))["checks"]}
    assert {name: found[name] for name in ("clock", "network", "edge")} == dict.fromkeys(
        ("clock", "network", "edge"), "healthy"
    )
    world.edge.signal(KILL)
    world.edge.wait()
    found = {c["name"]: c["verdict"] for c in answer(run("doctor", "--dir", world.state, "--json"), 2)["checks"]}
    assert found["edge"] == "broken"


def test_everything_goes_with_wipe(world: World) -> None:
    world.once("/5")
    assert run("wipe", "--yes", "--dir", world.state).returncode == 0
    assert not Path(world.state).exists()


def ask(connection: socket.socket, port: int, expect: int = 200, credentials: str | None = None) -> bool:
    """A CONNECT by hand; true when the answer is the expected one."""
    extra = ""
    if credentials is not None:
        extra = f"Proxy-Authorization: Basic {base64.b64encode(credentials.encode()).decode()}\r\n"
    connection.sendall(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{extra}\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head:
        chunk = connection.recv(4096)
        assert chunk, "the proxy hung up"
        head += chunk
    assert head.startswith(f"HTTP/1.1 {expect}".encode()), head
    return True


@contextmanager
def secure_site(certs: Path) -> Iterator[int]:
    """An HTTPS site whose page says ``safe``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certs / "cert.pem", certs / "key.pem")
    stop = threading.Event()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(0.2)

        def serve() -> None:
            while not stop.is_set():
                try:
                    raw, _ = listener.accept()
                except TimeoutError:
                    continue
                with raw:
                    raw.settimeout(DEADLINE)
                    try:
                        with context.wrap_socket(raw, server_side=True) as tls:
                            tls.recv(4096)
                            tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsafe")
                    except OSError:
                        continue  # the reader refused the certificate

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            stop.set()
            thread.join(DEADLINE)


@contextmanager
def resetting() -> Iterator[int]:
    """A port where every connection is reset after its first bytes, as a filter by name does it."""
    stop = threading.Event()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(0.2)

        def serve() -> None:
            while not stop.is_set():
                try:
                    raw, _ = listener.accept()
                except TimeoutError:
                    continue
                with raw:
                    raw.settimeout(DEADLINE)
                    raw.recv(4096)
                    # SO_LINGER 0: close sends a reset
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            stop.set()
            thread.join(DEADLINE)
