"""A site of the open internet: Debian's nginx with HTTP/2 under a throwaway authority, and one large file."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from rozaneh.lab.services.pki import Authority
from tests.interop.nginx_oracle import Nginx, free_port
from tests.interop.origin import BLOCK, content_hash

NAME = "site.test"
LARGE = 100 * len(BLOCK)
LARGE_SHA256 = content_hash(LARGE)

SERVER = """
    server {{
        listen 127.0.0.1:{port} ssl http2;
        server_name {name};
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        root {root};
        keepalive_requests 100000;
    }}
"""


class Site:
    """``https://site.test:port/``: an index page, ``large`` (100 MiB) and ``n/0`` to ``n/199``."""

    def __init__(self, folder: Path) -> None:
        authority = Authority(folder / "authority", "throwaway")
        files = authority.issue(NAME)
        self.authority = authority.trusted
        self.root = folder / "site"
        self.port = free_port()
        (self.root / "n").mkdir(parents=True)
        self.root.joinpath("index.html").write_text("<!DOCTYPE html><title>site</title><p>The page of the site.</p>")
        for number in range(200):
            (self.root / "n" / str(number)).write_text(f"number {number}\n")
        with (self.root / "large").open("wb") as large:
            for _ in range(100):
                large.write(BLOCK)
        server = SERVER.format(port=self.port, name=NAME, certificate=files.certificate, key=files.key, root=self.root)
        self._nginx = Nginx(folder / "nginx", self.root, extra=server)

    def __enter__(self) -> Site:
        self._nginx.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._nginx.stop()

    def url(self, path: str = "/") -> str:
        """An address on the site."""
        return f"https://{NAME}:{self.port}{path}"
