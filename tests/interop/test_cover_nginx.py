"""The cover against a real nginx: the same bytes in, the same bytes out."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.interop import cover_cases
from tests.interop.cover_cases import CASES, MTIME, get
from tests.interop.cover_talk import normal, talk
from tests.interop.nginx_oracle import Nginx

ROOT = Path(__file__).resolve().parents[2]
STOCK_PAGE = ROOT / "crates/transport/src/cover/stock/index.nginx-debian.html"
NAMES = [name for name, _ in CASES]
GROUPS = sorted({name.split()[0] for name in NAMES})
STOCK_PATHS = [
    b"/",
    b"/index.nginx-debian.html",
    b"/index.html",
    b"/missing",
    b"/index.nginx-debian.html/",
    b"//",
    b"/?x",
]
CLOSING = ("connect", "version ", "method TRACE", "header ", "0.9", "pipelined after 4", "tls", "ssh")
PACED = ("uri ", "header ", "version ", "host ", "absolute", "0.9", "pipelined", "one ", "te ")
#: Answers that pass through a proxying cover as they are. Requests that the two ends frame differently are left out.
PROXIED = ("uri ", "If-", "304 ", "range ", "gzip ae ", "chrome ", "method ", "connection ", "pipelined after")


class Cover:
    """The example program that serves one cover over plain HTTP."""

    def __init__(self, program: Path, *arguments: str) -> None:
        self.process = subprocess.Popen([program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def __enter__(self) -> Cover:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate(timeout=20)


@pytest.fixture(scope="module")
def program() -> Path:
    """The example, built with the release profile where one was built already."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    profile = "release" if (target / "release").is_dir() else "debug"
    cargo = shutil.which("cargo", path=os.environ.get("PATH", "") + os.pathsep + str(Path.home() / ".cargo/bin"))
    assert cargo is not None, "cargo is needed to build the example"
    command = [cargo, "build", "--quiet", "-p", "rozaneh-transport", "--example", "cover_server"]
    command += ["--release"] if profile == "release" else []
    subprocess.run(command, cwd=ROOT, check=True, stdin=subprocess.DEVNULL)
    return target / profile / "examples" / "cover_server"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the site in it."""
    base = tmp_path_factory.mktemp("cover")
    cover_cases.build_site(base / "site")
    return base


@pytest.fixture(scope="module")
def oracle(base: Path) -> Iterator[int]:
    """A real nginx that serves the site; its port."""
    with ExitStack() as stack:
        nginx = Nginx(base / "nginx", base / "site").start()
        stack.callback(nginx.stop)
        yield nginx.plain_port


@pytest.fixture(scope="module")
def cover(base: Path, program: Path) -> Iterator[int]:
    """Our cover of the site; its port."""
    with Cover(program, "directory", str(base / "site")) as running:
        yield running.port


def test_the_names_are_distinct() -> None:
    """Every case can be told from the others."""
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("group", GROUPS)
def test_the_same_bytes(group: str, oracle: int, cover: int) -> None:
    """Status line, headers in order, framing and body are nginx's, and so is who ends the connection."""
    differing: list[str] = []
    for name, request_bytes in CASES:
        if name.split()[0] != group:
            continue
        theirs, ours = talk(oracle, request_bytes), talk(cover, request_bytes)
        same = normal(ours.data, cover) == normal(theirs.data, oracle)
        if not same or ours.end != "FIN" or theirs.end != "FIN":
            differing.append(f"{name}: {theirs!r:.600} but {ours!r:.600}")
    assert not differing, "\n".join(differing[:5])


def test_closes_unasked(oracle: int, cover: int) -> None:
    """Where an answer says that the connection closes, it does, and a kept one answers the next request."""
    seen = 0
    for name, request_bytes in CASES:
        if not name.startswith(CLOSING):
            continue
        told = talk(oracle, request_bytes).data
        if b"Connection: close" not in told and told.startswith(b"HTTP/1.1"):
            continue
        if not told:
            continue
        theirs, ours = talk(oracle, request_bytes, finish=False), talk(cover, request_bytes, finish=False)
        assert normal(ours.data, cover) == normal(theirs.data, oracle), name
        assert ours.end == theirs.end == "FIN", name
        seen += 1
    assert seen > 40


@pytest.mark.parametrize("step", [1, 7])
def test_any_pace(step: int, cover: int) -> None:
    """However a request is cut into segments, it means the same."""
    for name, request_bytes in CASES:
        small = len(request_bytes) < 1500 and not name.startswith("chunked")
        if small and name.startswith(PACED):
            whole, cut = talk(cover, request_bytes), talk(cover, request_bytes, step=step)
            assert normal(cut.data, cover) == normal(whole.data, cover), name


def test_stock(tmp_path: Path, program: Path) -> None:
    """Without any site of its own the cover is a fresh Debian nginx."""
    root = tmp_path / "html"
    root.mkdir()
    shutil.copyfile(STOCK_PAGE, root / STOCK_PAGE.name)
    for path in (root / STOCK_PAGE.name, root):
        os.utime(path, (MTIME, MTIME))
    with ExitStack() as stack:
        nginx = Nginx(tmp_path / "nginx", root).start()
        stack.callback(nginx.stop)
        ours = stack.enter_context(Cover(program, "stock", str(MTIME)))
        for target in STOCK_PATHS:
            for method in (b"GET", b"HEAD", b"POST", b"PUT", b"FOO"):
                for more in (b"X: y", b"Accept-Encoding: gzip", b"Range: bytes=1-5", b"User-Agent: Chrome/1"):
                    data = get(target, more, method=method)
                    told = normal(talk(nginx.plain_port, data).data, nginx.plain_port)
                    assert normal(talk(ours.port, data).data, ours.port) == told, data


def test_stock_page_is_debians() -> None:
    """The page we carry is the page of the package."""
    assert STOCK_PAGE.read_bytes() == Path("/usr/share/nginx/html/index.html").read_bytes()


def test_proxy_passes_answers_through(oracle: int, program: Path) -> None:
    """A proxying cover shows the site itself: status, header order and spelling, framing, body."""
    seen = 0
    with Cover(program, "proxy", f"http://127.0.0.1:{oracle}") as proxy:
        for name, data in CASES:
            if not name.startswith(PROXIED) or name == "gzip 1.0":
                continue
            # The site's redirects name the site; the cover's name the host asked for, as it was written.
            theirs = normal(talk(oracle, data).data, oracle).replace(b":PORT/", b"/")
            assert normal(talk(proxy.port, data).data, oracle) == theirs, name
            seen += 1
    assert seen > 200


def test_proxy_without_its_site(program: Path) -> None:
    """A site that is down is nginx's 502."""
    with Cover(program, "proxy", "http://127.0.0.1:9") as proxy:
        said = talk(proxy.port, get(b"/")).data
        assert said.startswith(b"HTTP/1.1 502 Bad Gateway\r\nServer: nginx/1.22.1\r\n")
        assert b"<center><h1>502 Bad Gateway</h1></center>" in said


def test_proxy_carries_bodies(oracle: int, program: Path) -> None:
    """Uploads reach the site, sized and chunked; one that is too large does not."""
    small, large = b"x" * 100_000, b"x" * 1_048_577
    with Cover(program, "proxy", f"http://127.0.0.1:{oracle}") as proxy:
        sized = get(b"/hello.txt", b"Content-Length: %d" % len(small), method=b"POST") + small
        chunked = get(b"/hello.txt", b"Transfer-Encoding: chunked") + b"%x\r\n%s\r\n0\r\n\r\n" % (len(small), small)
        for data in (sized + get(b"/data.json"), chunked + get(b"/data.json")):
            theirs = normal(talk(oracle, data).data, oracle)
            assert normal(talk(proxy.port, data).data, proxy.port) == theirs
            assert theirs.count(b"HTTP/1.1 ") == 2
        refused = get(b"/", b"Content-Length: %d" % len(large), method=b"POST") + large
        assert talk(proxy.port, refused).data.startswith(b"HTTP/1.1 413 ")
