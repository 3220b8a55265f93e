"""Web servers as anybody runs them: Debian's nginx, Debian's Caddy, and one written with Go's standard library.

The bare cover and the cover behind an edge are the same program with the same configuration, certificate and files;
only where they listen differs. Two things of it would show in an answer and are set as an operator must set them:
nginx's redirects name no port (`port_in_redirect off`), and Caddy offers no HTTP/3, which would name one as well.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rozaneh.lab.isolate import LabUnavailable
from rozaneh.lab.nodes import Node
from rozaneh.lab.processes import NotReady, Process
from rozaneh.lab.services import nginx
from rozaneh.lab.services.pki import Files

# Where a cover listens on its machine's own loopback when an edge stands before it.
INNER = ("127.0.0.1", 8443)
_READY_S = 20.0
# One moment for all files, so that what is derived from it (ETag, Last-Modified) is one as well.
_MOMENT = 1_700_000_000
_GO_FOLDERS = ("/usr/local/go/bin", "/usr/lib/go/bin")
_GO_BUILD_S = 300.0

Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Site:
    """What every cover of a trial serves: a name, a certificate, files.

    Attributes:
        name: The name the certificate is for.
        files: Certificate and key.
        root: The folder of its pages.
        patience: Seconds it waits for a client that says nothing; None leaves each server its own.
        port_in_redirect: Whether nginx names its port in redirects, as it does where nobody forbids it.
    """

    name: str
    files: Files
    root: Path
    patience: int | None = None
    port_in_redirect: bool = False


@dataclass(frozen=True, slots=True)
class Cover:
    """A kind of web server: its name, where its program is, and how it starts."""

    name: str
    about: str
    program: Callable[[], Path | None]
    version: Callable[[Path], str]
    start: Callable[[Node, Path, Site, Place], Process]


def pages(root: Path) -> None:
    """A small site: a front page, a picture's worth of bytes, a directory."""
    (root / "dir").mkdir(parents=True)
    words = "".join(f"<p>Bed {n}: sown in week {n % 52}, watered twice.</p>\n" for n in range(60))
    (root / "index.html").write_text(f"<!doctype html>\n<title>Garden</title>\n{words}", "utf-8")
    (root / "dir" / "index.html").write_text("<!doctype html>\n<title>Seeds</title>\n", "utf-8")
    for path in [root, *root.rglob("*")]:
        os.utime(path, (_MOMENT, _MOMENT))


_NGINX = """\
daemon off;
master_process off;
user root root;
pid {folder}/nginx.pid;
error_log stderr notice;
worker_rlimit_nofile 20000;
events {{ worker_connections 16384; }}
http {{
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log off;
    sendfile on;
    tcp_nopush on;
    {patience}
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen {address}:{port} ssl http2 default_server backlog=16384;
        server_name {name};
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3;
        port_in_redirect {redirect};
        root {root};
        index index.html;
        location / {{ try_files $uri $uri/ =404; }}
    }}
}}
"""


def _nginx(node: Node, program: Path, site: Site, place: Place) -> Process:
    folder = node.folder / "nginx"
    folder.mkdir()
    patience = f"client_header_timeout {site.patience}; keepalive_timeout {site.patience};" if site.patience else ""
    (folder / "nginx.conf").write_text(
        _NGINX.format(
            folder=folder,
            patience=patience,
            address=place[0],
            port=place[1],
            name=site.name,
            certificate=site.files.certificate,
            key=site.files.key,
            redirect="on" if site.port_in_redirect else "off",
            root=site.root,
        ),
        "utf-8",
    )
    return _ready(node, [str(program), "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")], place)


def _caddy(node: Node, program: Path, site: Site, place: Place) -> Process:
    server: dict[str, object] = {
        "listen": [f"{place[0]}:{place[1]}"],
        "automatic_https": {"disable": True},
        "tls_connection_policies": [{}],
        "protocols": ["h1", "h2"],
        "routes": [{"handle": [{"handler": "file_server", "root": str(site.root)}]}],
    }
    if site.patience:
        server |= {"read_header_timeout": f"{site.patience}s", "idle_timeout": f"{site.patience}s"}
    loaded = [{"certificate": str(site.files.certificate), "key": str(site.files.key)}]
    config = {
        "admin": {"disabled": True, "config": {"persist": False}},
        "logging": {"logs": {"default": {"level": "INFO"}}},
        "apps": {"tls": {"certificates": {"load_files": loaded}}, "http": {"servers": {"site": server}}},
    }
    path = node.folder / "caddy.json"
    path.write_text(json.dumps(config), "utf-8")
    return _ready(node, [str(program), "run", "--config", str(path)], place)


def _go(node: Node, program: Path, site: Site, place: Place) -> Process:
    patience = str(site.patience or 0)
    files = [str(site.files.certificate), str(site.files.key), str(site.root)]
    return _ready(node, [str(program), f"{place[0]}:{place[1]}", *files, patience], place)


def _ready(node: Node, argv: list[str], place: Place) -> Process:
    """Starts a server and returns when it accepts. Its log is a file: a pipe nobody reads fills up and stops it."""
    process = node.spawn(argv, log=node.folder / "cover.log")
    if not node.call(lambda: accepts(place, _READY_S)):
        process.kill()
        raise NotReady(f"{Path(argv[0]).name} does not listen: {process.output()}")
    return process


def accepts(place: Place, seconds: float) -> bool:
    """Waits until something accepts connections at `place`, no longer than so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket() as tried:
            if tried.connect_ex(place) == 0:
                return True
        select.select([], [], [], 0.02)
    return False


def go_compiler() -> Path | None:
    """Go's compiler, on PATH or where its own installer puts it."""
    found = shutil.which("go") or shutil.which("go", path=os.pathsep.join(_GO_FOLDERS))
    return Path(found) if found else None


def build_go(folder: Path) -> Path | None:
    """Builds the server written in Go into `folder`; None where there is no compiler."""
    compiler = go_compiler()
    if compiler is None:
        return None
    program = folder / "goserver"
    source = Path(__file__).with_name("goserver.go")
    environment = os.environ | {"CGO_ENABLED": "0", "GO111MODULE": "off", "GOFLAGS": ""}
    done = subprocess.run(
        [str(compiler), "build", "-o", str(program), str(source)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=_GO_BUILD_S,
    )
    if done.returncode:
        raise LabUnavailable(f"the server written in Go does not build: {done.stderr.strip()[-500:]}")
    return program


def _which(name: str) -> Path | None:
    found = shutil.which(name)
    return Path(found) if found else None


def _said(argv: list[str]) -> str:
    """What a program calls its version."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=20)
    return (done.stdout + done.stderr).strip().partition("\n")[0]


COVERS = {
    cover.name: cover
    for cover in (
        Cover("nginx", "Debian's nginx", nginx.find, lambda program: _said([str(program), "-v"]), _nginx),
        Cover(
            "caddy", "Debian's Caddy", lambda: _which("caddy"), lambda program: _said([str(program), "version"]), _caddy
        ),
        Cover("go", "net/http of Go", go_compiler, lambda program: _said([str(program), "version"]), _go),
    )
}
