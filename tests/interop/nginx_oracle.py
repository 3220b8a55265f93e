"""A private nginx on loopback, configured as Debian ships it, to compare the cover with.

The binary, the MIME table and the server block are Debian's own; only paths, ports and the number of workers differ,
none of which shows on the wire.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

MIME_TYPES = Path("/etc/nginx/mime.types")

CONFIG = """\
worker_processes 1;
daemon off;
pid {base}/nginx.pid;
error_log {base}/error.log info;
events {{ worker_connections 768; }}
http {{
    sendfile on;
    tcp_nopush on;
    types_hash_max_size 2048;
    include {mime};
    default_type application/octet-stream;
    ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3;
    ssl_prefer_server_ciphers on;
    access_log off;
    gzip on;
    client_body_temp_path {base}/body;
    proxy_temp_path {base}/proxy;
    fastcgi_temp_path {base}/fastcgi;
    uwsgi_temp_path {base}/uwsgi;
    scgi_temp_path {base}/scgi;
{extra}
    server {{
        listen 127.0.0.1:{plain} default_server;
{tls}
        root {root};
        index index.html index.htm index.nginx-debian.html;
        server_name _;
        location / {{
            try_files $uri $uri/ =404;
        }}
    }}
}}
"""

TLS = """\
        listen 127.0.0.1:{port} ssl http2 default_server;
        ssl_certificate {cert};
        ssl_certificate_key {key};
"""


def free_port() -> int:
    """Returns a loopback port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_listening(port: int, process: subprocess.Popen[bytes], deadline: float = 20.0) -> None:
    """Returns once the port accepts; raises if the process ended or the deadline passed."""
    end = time.monotonic() + deadline
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError as error:
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"nothing listens on {port}") from error


@dataclass
class Nginx:
    """One running nginx; ``stop`` ends it and its worker."""

    base: Path
    root: Path
    extra: str = ""
    tls: bool = False
    plain_port: int = field(default_factory=free_port)
    tls_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> Nginx:
        """Writes the configuration and starts the server in the foreground of its own process."""
        binary = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
        if binary is None:
            raise RuntimeError("nginx is missing: install Debian's package nginx-light")
        self.base.mkdir(parents=True, exist_ok=True)
        tls = ""
        if self.tls:
            cert, key = self.base / "cert.pem", self.base / "key.pem"
            self_signed(cert, key)
            tls = TLS.format(port=self.tls_port, cert=cert, key=key)
        text = CONFIG.format(
            base=self.base, mime=MIME_TYPES, plain=self.plain_port, root=self.root, extra=self.extra, tls=tls
        )
        # A worker of root's nginx would become www-data and could not read a private temporary directory.
        if os.geteuid() == 0:
            text = "user root;\n" + text
        config = self.base / "nginx.conf"
        config.write_text(text)
        self.process = subprocess.Popen(
            [binary, "-p", str(self.base), "-c", str(config), "-e", str(self.base / "error.log")],
            stdin=subprocess.DEVNULL,
        )
        try:
            wait_listening(self.plain_port, self.process)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Ends the master, which ends its worker."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def self_signed(cert: Path, key: Path) -> None:
    """Writes a P-256 certificate for ``cover.test`` and its key with openssl."""
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=cover.test"
    subprocess.run(
        [*words.split(), "-addext", "subjectAltName=DNS:cover.test", "-out", str(cert), "-keyout", str(key)],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
