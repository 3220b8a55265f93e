"""curl through client and edge, by both proxy protocols: HTTP/1.1 and HTTP/2, large both ways, many at once."""

from __future__ import annotations

import hashlib
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.conftest import Start
from tests.interop.names import Names
from tests.interop.origin import BLOCK, Origin, content_hash
from tests.interop.programs import tunnel
from tests.interop.rig import ALICE, DEADLINE, LOOPBACK, Identity, Running, client_document, edge_document, until, way
from tests.interop.web import LARGE, LARGE_SHA256, NAME, Site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The site, and no large files left behind."""
    folder = tmp_path_factory.mktemp("web")
    with Site(folder) as running:
        yield running
    shutil.rmtree(folder)


@pytest.fixture
def world(start: Start, identity: Identity) -> Iterator[tuple[Running, Running]]:
    """Client and edge; names lead to loopback, but only at the edge."""
    with Names() as names:
        edge = start(edge_document(identity, users=[ALICE], allow=LOOPBACK, resolver=names.address))
        yield start(client_document(way(edge.address, identity, ALICE))), edge


@pytest.fixture(params=["socks5h", "http"])
def proxy(request: pytest.FixtureRequest, world: tuple[Running, Running]) -> str:
    """What curl's ``--proxy`` gets."""
    return f"{request.param}://{world[0].address}"


def curl(proxy: str, *args: str | Path, timeout: float = 60) -> subprocess.CompletedProcess[bytes]:
    """Runs curl without its configuration; fails where it does."""
    argv = ["curl", "-q", "--silent", "--show-error", "--fail", "--proxy", proxy, "--max-time", str(timeout), *args]
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout + 10, check=True)


def sha256(path: Path) -> str:
    """Of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@pytest.mark.parametrize("version", ["1.1", "2"])
def test_a_page(proxy: str, site: Site, version: str) -> None:
    done = curl(proxy, f"--http{version}", "--cacert", site.authority, "-w", "|%{http_version}", site.url())
    assert b"The page of the site." in done.stdout
    assert done.stdout.endswith(b"|" + version.encode())


@pytest.mark.parametrize("version", ["1.1", "2"])
def test_a_large_download(proxy: str, site: Site, version: str, tmp_path: Path) -> None:
    target = tmp_path / "large"
    curl(proxy, f"--http{version}", "--cacert", site.authority, "-o", target, site.url("/large"))
    assert target.stat().st_size == LARGE
    assert sha256(target) == LARGE_SHA256
    target.unlink()


@pytest.mark.parametrize("form", ["forward", "tunnel"])
def test_plain_http(proxy: str, origin: Origin, form: str) -> None:
    """``forward`` sends an HTTP proxy the absolute form; to SOCKS5 both are tunnels."""
    extra = ["--proxytunnel"] if form == "tunnel" and proxy.startswith("http") else []
    done = curl(proxy, *extra, f"http://{NAME}:{origin.http}/bytes/3000000")
    assert hashlib.sha256(done.stdout).hexdigest() == content_hash(3_000_000)


@pytest.mark.parametrize("how", ["length", "chunked", "expect"])
def test_a_large_upload(proxy: str, origin: Origin, how: str, tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_bytes(BLOCK * 40)
    field = {"length": "Expect:", "chunked": "Transfer-Encoding: chunked", "expect": "Expect: 100-continue"}[how]
    done = curl(proxy, "-X", "POST", "-H", field, "-T", body, f"http://{NAME}:{origin.http}/hash")
    assert done.stdout.decode() == content_hash(40 * len(BLOCK))


@pytest.mark.parametrize("version", ["1.1", "2"])
def test_two_hundred_at_once(proxy: str, site: Site, version: str, tmp_path: Path) -> None:
    """Over HTTP/1.1 each fetch is a tunnel of its own."""
    args = ["--parallel", "--parallel-max", "200", "--parallel-immediate"] if version == "1.1" else ["--parallel"]
    curl(
        proxy, f"--http{version}", *args, "--cacert", site.authority,
        "-o", str(tmp_path / "#1"), site.url("/n/[0-199]"),
    )  # fmt: skip
    assert {path.read_text() for path in tmp_path.iterdir()} == {f"number {n}\n" for n in range(200)}


def test_tunnels_are_counted_and_over(world: tuple[Running, Running], origin: Origin) -> None:
    client, edge = world
    curl(f"socks5h://{client.address}", f"http://{NAME}:{origin.http}/bytes/1000")
    until(lambda: edge.counters()["tunnels_open"] == 0 == client.counters()["tunnels_open"], "the tunnel is over")
    assert edge.counters()["tunnels_total"] == client.counters()["tunnels_total"] == 1
    assert edge.counters()["bytes_down"] == client.counters()["bytes_down"] > 1000


def test_half_close(world: tuple[Running, Running], origin: Origin) -> None:
    """The end of the upload arrives while the answer is still to come; and the other way round."""
    client, _ = world
    for size in (0, 1, 5, len(BLOCK), 20 * len(BLOCK)):
        with tunnel(client.place, NAME, origin.digest) as sock:
            left = size
            while left:
                part = BLOCK[: min(left, len(BLOCK))]
                sock.sendall(part)
                left -= len(part)
            sock.shutdown(socket.SHUT_WR)
            answer = b""
            while part := sock.recv(128):
                answer += part
            assert answer.decode() == content_hash(size)


def test_the_far_end_may_finish_first(world: tuple[Running, Running]) -> None:
    """A server that ends its side and goes on reading hears everything to the end."""
    client, _ = world
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(DEADLINE)
        with tunnel(client.place, "127.0.0.1", server.getsockname()[1]) as sock:
            far, _ = server.accept()
            with far:
                far.settimeout(DEADLINE)
                far.sendall(b"bye")
                far.shutdown(socket.SHUT_WR)
                assert sock.recv(16) == b"bye"
                assert sock.recv(16) == b""
                sock.sendall(BLOCK)
                sock.shutdown(socket.SHUT_WR)
                digest = hashlib.sha256()
                while part := far.recv(1 << 16):
                    digest.update(part)
                assert digest.hexdigest() == content_hash(len(BLOCK))


@pytest.mark.parametrize("side", ["near", "far"])
def test_a_reset_arrives_as_a_reset(world: tuple[Running, Running], side: str) -> None:
    """Neither end takes a broken stream for a finished one."""
    client, _ = world
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(DEADLINE)
        with tunnel(client.place, "127.0.0.1", server.getsockname()[1]) as near:
            far, _ = server.accept()
            with far:
                far.settimeout(DEADLINE)
                near.sendall(b"ping")
                assert far.recv(16) == b"ping"
                breaks, hears = (near, far) if side == "near" else (far, near)
                breaks.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                breaks.close()
                with pytest.raises(ConnectionResetError):
                    hears.recv(16)


def test_what_is_refused_is_told(world: tuple[Running, Running], origin: Origin) -> None:
    """Once the edge's habits are known a refusal comes as an early end; at first as a reply. Never as success."""
    client, edge = world
    for target in ("127.0.0.1:1", "10.0.0.1:80", "127.0.0.1:25"):
        for scheme in ("socks5h", "http"):
            done = subprocess.run(
                ["curl", "-q", "--silent", "--fail", "--max-time", "20", "--proxy", f"{scheme}://{client.address}", f"http://{target}/"],
                stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False,
            )  # fmt: skip
            assert done.returncode != 0
            assert done.stdout == b""
    assert edge.counters()["refused"] == {"policy": 4, "refused": 2}
