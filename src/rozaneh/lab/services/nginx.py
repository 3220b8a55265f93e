"""Debian's nginx on a node of the world: sites over HTTPS, the censor's own block page, or a server's cover site."""

from __future__ import annotations

import html
from collections.abc import Mapping
from pathlib import Path

from rozaneh.lab.isolate import LabUnavailable
from rozaneh.lab.nodes import Node
from rozaneh.lab.processes import Process
from rozaneh.lab.services import blob, picture
from rozaneh.lab.services.pki import Authority, Files, Shape
from rozaneh.lab.worlds import BlockPage, Site

_READY_S = 15.0

# One process in the foreground: nothing is left to a master that outlives it, and no other user is wanted, which a
# namespace with a single user id does not have. Nothing is logged but nginx's own start.
_FRAME = """\
daemon off;
master_process off;
user root root;
pid {folder}/nginx.pid;
error_log stderr notice;
events {{ worker_connections 512; }}
http {{
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log off;
    sendfile on;
    tcp_nopush on;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{servers}}}
"""

_SITE = """\
    server {{
{plain}        server_name {name};
        return 301 https://$host$request_uri;
    }}
    server {{
{secure}        server_name {name};
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.2 TLSv1.3;
        root {root};
        index index.html;
        location ~ \\.bin$ {{ add_header Access-Control-Allow-Origin * always; }}
    }}
"""

_COVER = """\
    server {{
        listen 127.0.0.1:{port} ssl http2 default_server;
        server_name {name};
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.2 TLSv1.3;
        root {root};
        index index.html;
    }}
"""

_BLOCK = """\
    server {{
        listen 80 default_server;
        listen [::]:80 default_server;
        listen 443 ssl default_server;
        listen [::]:443 ssl default_server;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        root {root};
        location / {{ try_files /index.html =404; }}
    }}
"""

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>
body {{ font: 20px/1.5 sans-serif; margin: 2em auto; max-width: 32em; color: #222; }}
h1 {{ color: {colour}; border-bottom: 4px solid {colour}; }}
</style>
</head>
<body>
<h1>{title}</h1>
{picture}<p id="story">{text}</p>
<p>{name}</p>
</body>
</html>
"""


def _page(title: str, text: str, colour: str, name: str, image: str) -> str:
    values = {"title": title, "text": text, "name": name}
    return _PAGE.format(
        **{key: html.escape(value) for key, value in values.items()},
        colour=colour,
        picture=f'<img src="{image}" width="{picture.WIDTH}" height="{picture.HEIGHT}" alt="">\n' if image else "",
    )


def front_page(site: Site) -> bytes:
    """What the site answers for `/`."""
    return _page(site.title, site.text, site.colour, site.name, "front.png").encode()


def _listen(addresses: tuple[str, ...], port: int, extra: str = "") -> str:
    texts = [f"[{address}]" if ":" in address else address for address in addresses]
    return "".join(f"        listen {text}:{port}{extra};\n" for text in texts)


def start_sites(
    node: Node, sites: list[Site], authority: Authority, shapes: Mapping[str, Shape] | None = None
) -> Process:
    """nginx with those sites, each with its page and the files measurements fetch; `ready` waits for it.

    `shapes` are those of the sites' certificate chains, by name.
    """
    servers = ""
    for site in sites:
        root = node.folder / "www" / site.name
        root.mkdir(parents=True)
        (root / "index.html").write_bytes(front_page(site))
        (root / "front.png").write_bytes(picture.draw(site.colour, site.name))
        for file in blob.SIZES:
            (root / file).write_bytes(blob.content(site.name, file))
        files = authority.issue(site.name, (shapes or {}).get(site.name))
        servers += _SITE.format(
            plain=_listen(site.addresses, 80),
            secure=_listen(site.addresses, 443, " ssl http2"),
            name=site.name,
            certificate=files.certificate,
            key=files.key,
            root=root,
        )
    return _start(node, servers)


def start_block_page(node: Node, page: BlockPage, stranger: Authority) -> Process:
    """nginx with the block page for every name, under an authority that no browser in the world trusts."""
    root = node.folder / "www"
    root.mkdir()
    (root / "index.html").write_text(_page(page.title, page.text, "#a40000", "", ""), "utf-8")
    files = stranger.issue("filter.invalid")
    return _start(node, _BLOCK.format(certificate=files.certificate, key=files.key, root=root))


def start_cover(node: Node, name: str, files: Files, port: int) -> Process:
    """nginx on the node's own loopback with a small site called `name`: what a server shows to those it does not know.

    It is never reached from outside by itself, only through a subject's server that passes strangers on to it.
    """
    root = node.folder / "cover"
    root.mkdir()
    (root / "index.html").write_text(_page("Garden photographs", "New pictures every week.", "#3f7d3a", name, ""))
    config = _COVER.format(port=port, name=name, certificate=files.certificate, key=files.key, root=root)
    return _start(node, config)


def _start(node: Node, servers: str) -> Process:
    folder = node.folder / "nginx"
    folder.mkdir()
    config = folder / "nginx.conf"
    config.write_text(_FRAME.format(folder=folder, servers=servers), "utf-8")
    program = find()
    if program is None:
        raise LabUnavailable("nginx is missing: `apt-get install nginx-light`")
    return node.spawn([str(program), "-e", "stderr", "-p", str(folder), "-c", str(config)])


def ready(process: Process) -> None:
    """Returns when nginx accepts connections: it names its event method right after opening its listeners."""
    process.wait_line("event method", _READY_S)


def find() -> Path | None:
    """Where nginx is; Debian puts it where ordinary users' PATH does not look."""
    for folder in ("/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin"):
        path = Path(folder, "nginx")
        if path.exists():
            return path
    return None
