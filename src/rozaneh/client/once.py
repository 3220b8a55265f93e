"""One page through the way out: a small HTTP client of our own, standing above the proxy like any other program.

This is the one place where bytes of a page pass through Python, because here the page is what the person asked this
program for. It speaks to the local listener as curl would (CONNECT on a unix socket that only this process's user can
open), checks the site's certificate against the system's authorities, follows no redirect and sends nothing that
names this program.
"""

from __future__ import annotations

import hashlib
import http.client
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from rozaneh.core.errors import Fault, FaultKind

TIMEOUT = 60.0  # without a byte; a slow site over a slow way still answers
_CHUNK = 64 * 1024
_MAX_URL = 8192  # what web servers take in a request line


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL leads, taken apart and checked."""

    secure: bool
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """``host:port`` as CONNECT wants it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def host_header(self) -> str:
        """The Host header: the port only where it is not the scheme's own (RFC 9110 section 7.2)."""
        usual = 443 if self.secure else 80
        return self.authority if self.port != usual else self.authority.rpartition(":")[0]


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came back."""

    status: int
    size: int
    sha256: str


def parse_url(url: str) -> Target:
    """Take an ``http`` or ``https`` URL apart.

    Raises:
        Fault: USAGE for anything else; the text does not repeat the URL.
    """
    bad = Fault(FaultKind.USAGE, "The URL given to `--once` cannot be used", hint="it begins with http:// or https://")
    if len(url) > _MAX_URL or not url.isascii() or any(c <= " " or c == "\x7f" for c in url):
        raise bad
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise bad from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None or port == 0:
        raise bad
    secure = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(secure, parts.hostname, port or (443 if secure else 80), path)


def fetch(
    socket_path: str, target: Target, sink: Callable[[bytes], None], context: ssl.SSLContext | None = None
) -> Fetched:
    """GET ``target`` through the local listener and hand the body to ``sink`` as it comes.

    Raises:
        Fault: EDGE_UNREACHABLE when the page did not come through; INTERFERENCE when somebody else's certificate did.
    """
    connection = _Tunnelled(socket_path, target, context or ssl.create_default_context())
    try:
        connection.request("GET", target.path, headers={"Host": target.host_header, "Accept": "*/*"})
        response = connection.getresponse()
        digest, size = hashlib.sha256(), 0
        while chunk := response.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            sink(chunk)
        if response.length:  # what Content-Length promised and did not come: `read` ends quietly there
            raise http.client.IncompleteRead(b"", response.length)
        return Fetched(response.status, size, digest.hexdigest())
    except ssl.SSLCertVerificationError as error:
        raise Fault(
            FaultKind.INTERFERENCE,
            "The page's certificate cannot be trusted",
            why="somebody between the edge and the site may answer in its place",
        ) from error
    except (OSError, http.client.HTTPException) as error:
        raise Fault(
            FaultKind.EDGE_UNREACHABLE, "The page did not come through", hint="try again, or try another page"
        ) from error
    finally:
        connection.close()


class _Tunnelled(http.client.HTTPConnection):
    """An HTTP connection over CONNECT over a unix socket."""

    def __init__(self, path: str, target: Target, context: ssl.SSLContext) -> None:
        super().__init__(target.host, target.port, timeout=TIMEOUT)
        self._path = path
        self._target = target
        self._context = context

    def connect(self) -> None:
        """Open the tunnel and, for https, TLS inside it."""
        raw = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            raw.settimeout(TIMEOUT)
            raw.connect(self._path)
            authority = self._target.authority
            raw.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode("ascii"))
            status = _answer(raw)
            if status != 200:
                if status == 403:
                    raise Fault(
                        FaultKind.EDGE_UNREACHABLE,
                        "The edge does not go there",
                        why="its operator's rules forbid that address",
                    )
                raise Fault(FaultKind.EDGE_UNREACHABLE, "The edge could not reach the page", hint="try another page")
            self.sock = (
                self._context.wrap_socket(raw, server_hostname=self._target.host) if self._target.secure else raw
            )
        except BaseException:
            raw.close()
            raise


def _answer(raw: socket.socket) -> int:
    """Read the proxy's answer to CONNECT, byte by byte so that nothing of the tunnel is taken."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = raw.recv(1)
        if not byte or len(head) > 16 * 1024:
            raise ConnectionResetError("the proxy said no whole answer")
        head += byte
    words = head.split(b"\r\n", 1)[0].split(b" ", 2)
    if len(words) < 2 or not words[1].isdigit():
        raise ConnectionResetError("the proxy said no whole answer")
    return int(words[1])
