"""An edge on the real engine, with real readers: revocation, draining, restarts, strangers."""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.programs import (
    DEADLINE,
    KILL,
    TERM,
    Echo,
    Program,
    answer,
    echoes,
    free_port,
    program,
    run,
    serving,
    tunnel,
    until,
)


@dataclass
class Site:
    """An edge's directory and what ``edge init`` said."""

    directory: str
    home: str
    listen: str

    def up(self) -> Program:
        """The running edge."""
        return Program("edge", "up", "--dir", self.directory, "--json")

    def invite(self) -> tuple[str, bytes]:
        """A new invite: id and link."""
        made = answer(run("invite", "new", "--dir", self.directory, "--json"))
        return made["id"], made["link"].encode()

    def status(self) -> dict[str, object]:
        """What ``edge status`` says."""
        return answer(run("edge", "status", "--dir", self.directory, "--json"))

    def connect(self, link: bytes, name: str = "reader") -> Program:
        """A reader who stays connected."""
        path = Path(self.home) / f"{name}.invite"
        path.write_bytes(link)
        return Program("connect", str(path), "--dir", f"{self.home}/{name}", "--json")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """An edge on loopback that lets readers reach loopback."""
    directory, listen = str(tmp_path / "edge"), f"127.0.0.1:{free_port()}"
    done = run(
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
        "--json",
    )
    assert answer(done)["local"] is True
    return Site(directory, str(tmp_path), listen)


@pytest.fixture
def edge(site: Site) -> Iterator[Program]:
    """It, running."""
    running = site.up()
    try:
        ready = running.ready()
        assert (ready["schema"], ready["state"], ready["listen"]) == ("rozaneh.edge.up/1", "ready", site.listen)
        yield running
    finally:
        running.close()


@pytest.fixture
def echo() -> Iterator[int]:
    """An echo service behind the edge."""
    with serving(Echo) as port:
        yield port


@pytest.mark.usefixtures("edge")
def test_a_revoked_invite_is_cut_within_a_second_and_stays_out(site: Site, echo: int) -> None:
    account, link = site.invite()
    _, other_link = site.invite()
    reader, other = site.connect(link), site.connect(other_link, "other")
    try:
        mine = tunnel(reader.ready()["listen"], echo)
        theirs = tunnel(other.ready()["listen"], echo)
        with mine, theirs:
            assert echoes(mine)
            assert echoes(theirs)
            done = run("invite", "revoke", "--dir", site.directory, account)
            revoked = time.monotonic()
            assert done.returncode == 0
            mine.settimeout(DEADLINE)
            assert not echoes(mine)
            assert time.monotonic() - revoked < 1.0
            assert echoes(theirs)
    finally:
        reader.close()
        other.close()
    again = run("connect", "-", "--dir", f"{site.home}/again", "--once", f"http://127.0.0.1:{echo}/", stdin=link)
    assert again.returncode == 7, again.stderr
    assert b"invite" in again.stderr


@pytest.mark.usefixtures("edge")
def test_an_invite_made_while_the_edge_runs_works_at_once(site: Site, echo: int) -> None:
    _, link = site.invite()
    reader = site.connect(link)
    try:
        with tunnel(reader.ready()["listen"], echo) as connection:
            assert echoes(connection)
            status = site.status()
            assert (status["state"], status["people"], status["tunnels"]) == ("up", "<5", "<5")
    finally:
        reader.close()


@pytest.mark.usefixtures("edge")
def test_one_process_a_directory(site: Site) -> None:
    done = run("edge", "up", "--dir", site.directory)
    assert done.returncode == 1
    assert b"in use" in done.stderr


def test_sigterm_drains_and_the_last_tunnel_ends_it(site: Site, edge: Program, echo: int) -> None:
    _, link = site.invite()
    reader = site.connect(link)
    try:
        with tunnel(reader.ready()["listen"], echo) as connection:
            assert echoes(connection)
            edge.signal(TERM)
            until(lambda: not accepts(site.listen))
            assert echoes(connection)
            assert edge.process.poll() is None
        assert edge.wait() == 0
    finally:
        reader.close()
    assert site.status()["bytes_up"] == 32  # two tokens, on disk although the edge has ended


def test_a_second_sigterm_stops_now(site: Site, edge: Program, echo: int) -> None:
    _, link = site.invite()
    reader = site.connect(link)
    try:
        with tunnel(reader.ready()["listen"], echo) as connection:
            assert echoes(connection)
            edge.signal(TERM)
            until(lambda: not accepts(site.listen))
            edge.signal(TERM)
            assert edge.wait() == 0
            assert not echoes(connection)
    finally:
        reader.close()


def test_a_killed_edge_comes_back_and_its_reader_too(site: Site, edge: Program, echo: int) -> None:
    _, link = site.invite()
    reader = site.connect(link)
    try:
        proxy = reader.ready()["listen"]
        edge.signal(KILL)
        edge.wait()
        assert site.status()["state"] == "down"
        with program("edge", "up", "--dir", site.directory, "--json") as again:
            again.ready()

            def back() -> bool:
                try:
                    with tunnel(proxy, echo) as connection:
                        return echoes(connection)
                except (AssertionError, OSError):
                    return False

            until(back, 3 * DEADLINE)
    finally:
        reader.close()


@pytest.mark.usefixtures("edge")
def test_a_stranger_gets_a_web_server(site: Site) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    host, _, port = site.listen.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=DEADLINE) as raw:  # noqa: SIM117
        with context.wrap_socket(raw, server_hostname="news.example") as tls:
            tls.sendall(b"GET / HTTP/1.1\r\nHost: news.example\r\nConnection: close\r\n\r\n")
            received = b""
            while chunk := tls.recv(65536):
                received += chunk
            certificate = tls.getpeercert(binary_form=True) or b""
    assert received.startswith(b"HTTP/1.1 200 OK\r\nServer: nginx")
    for word in (b"ozaneh", b"edge", b"roster"):
        assert word not in received.lower()
        assert word not in certificate.lower()


@pytest.mark.usefixtures("edge")
def test_nothing_the_edge_keeps_names_a_destination_or_a_secret(site: Site, echo: int) -> None:
    _, link = site.invite()
    reader = site.connect(link)
    try:
        with tunnel(reader.ready()["listen"], echo) as connection:
            assert echoes(connection)
            run("edge", "status", "--dir", site.directory)
    finally:
        reader.close()
    disk = b"".join(path.read_bytes() for path in Path(site.directory).iterdir() if path.is_file())
    assert f"127.0.0.1:{echo}".encode() not in disk
    assert link not in disk


def test_edge_up_on_a_port_that_is_taken(site: Site) -> None:
    host, _, port = site.listen.rpartition(":")
    with socket.socket() as holder:
        holder.bind((host, int(port)))
        holder.listen()
        done = run("edge", "up", "--dir", site.directory, "--json")
    assert done.returncode == 5
    assert json.loads(done.stdout)["error"]["kind"] == "local_network"


def accepts(listen: str) -> bool:
    """Whether somebody accepts there."""
    host, _, port = listen.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True
