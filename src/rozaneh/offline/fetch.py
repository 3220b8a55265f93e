"""Fetches pages for a bundle, by rules that hold for every address on the way.

Libraries that parse never get an address, only bytes: several of them fetch by themselves, past every rule. Here each
redirect is a new question, a name is resolved once and what it resolved to is checked and then dialled (so that it
cannot be something else a moment later), only public addresses are dialled unless the operator said that a source is a
host of their own, sizes and times are bounded, and `robots.txt` (RFC 9309) is asked first.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
import urllib.robotparser
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import httpcore2
import httpx2

from rozaneh import __version__
from rozaneh.core.addresses import is_global
from rozaneh.offline.manifest import check_url

MAX_BYTES = 10 << 20  # the bound; the longest page of the largest news sites is a tenth of it
MAX_SECONDS = 30.0
MAX_REDIRECTS = 5
_ROBOTS_BYTES = 500 << 10  # RFC 9309 section 2.5: at least 500 KiB are to be read
_CHUNK = 1 << 16
_PORTS = frozenset({80, 443})
AGENT = f"rozaneh/{__version__}"


class FetchError(Exception):
    """Why a page was not fetched, in words that name no address."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A page: where it was in the end, what it says it is, and its bytes."""

    url: str
    content_type: str
    content: bytes


class Fetcher:
    """Fetches, with connections kept for more than one page of a site.

    Args:
        allow_private: Hosts (lower-case names or addresses) that are the operator's own and may stand anywhere.
        authority: Certificates to trust instead of the system's, as PEM.
        clock: Seconds that only go forward.
    """

    def __init__(
        self,
        allow_private: Iterable[str] = (),
        *,
        authority: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._private = frozenset(allow_private)
        self._clock = clock
        self._robots: dict[str, urllib.robotparser.RobotFileParser | None] = {}
        self._lock = threading.Lock()
        context = ssl.create_default_context(cadata=authority)
        self._client = httpx2.Client(
            transport=_Transport(context, _Checked(self._private)),
            follow_redirects=False,
            trust_env=False,
            timeout=MAX_SECONDS,
            headers={"user-agent": AGENT, "accept-encoding": "gzip, deflate"},
        )

    def __enter__(self) -> Fetcher:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def fetch(self, url: str, *, limit: int = MAX_BYTES) -> Fetched:
        """The page at `url`, wherever it leads.

        Raises:
            FetchError: a rule forbids it, or it could not be had.
        """
        until = self._clock() + MAX_SECONDS
        for _ in range(MAX_REDIRECTS + 1):
            if not self._welcome(url, until):
                raise FetchError("the site's robots.txt asks programs to stay away")
            status, headers, content = self._one(url, until, limit)
            if status in (301, 302, 303, 307, 308) and headers.get("location"):
                url = urljoin(url, headers["location"]).partition("#")[0]
                continue
            if status != 200:
                raise FetchError(f"the site answered {status}")
            return Fetched(url, headers.get("content-type", ""), content)
        raise FetchError(f"it leads on more than {MAX_REDIRECTS} times")

    def _one(self, url: str, until: float, limit: int) -> tuple[int, httpx2.Headers, bytes]:
        self._check(url)
        left = until - self._clock()
        if left <= 0:
            raise FetchError(f"it took longer than {MAX_SECONDS:g} seconds")
        content = bytearray()
        try:
            with self._client.stream("GET", url, timeout=left) as response:
                for chunk in response.iter_bytes(_CHUNK):
                    content += chunk
                    if len(content) > limit:
                        raise FetchError(f"it is longer than {limit} bytes")
                    if self._clock() > until:
                        raise FetchError(f"it took longer than {MAX_SECONDS:g} seconds")
                return response.status_code, response.headers, bytes(content)
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
            raise FetchError(_words(error)) from None

    def _check(self, url: str) -> None:
        try:
            check_url(url)
            parts = urlsplit(url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError as error:
            raise FetchError(str(error)) from None
        if port not in _PORTS and (parts.hostname or "") not in self._private:
            raise FetchError("web pages stand at ports 80 and 443")

    def _welcome(self, url: str, until: float) -> bool:
        self._check(url)
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        with self._lock:
            known = origin in self._robots
            rules = self._robots.get(origin)
        if not known:
            rules = self._ask_robots(origin, until)
            with self._lock:
                self._robots[origin] = rules
        return rules is None or rules.can_fetch(AGENT, url)

    def _ask_robots(self, origin: str, until: float) -> urllib.robotparser.RobotFileParser | None:
        url = f"{origin}/robots.txt"
        rules = urllib.robotparser.RobotFileParser()
        for _ in range(MAX_REDIRECTS):  # RFC 9309 section 2.3.1.2: at least five
            status, headers, content = self._one(url, until, _ROBOTS_BYTES)
            if status in (301, 302, 303, 307, 308) and headers.get("location"):
                url = urljoin(url, headers["location"])
                continue
            if status >= 500:
                raise FetchError("the site cannot say what programs may read (RFC 9309 section 2.3.1.4)")
            if status != 200:
                return None
            rules.parse(content.decode("utf-8", "replace").splitlines())
            return rules
        return None


class _Checked(httpcore2.NetworkBackend):
    """Dials what a name resolved to, once that has been checked."""

    def __init__(self, private: frozenset[str]) -> None:
        self._private = private
        self._plain = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise httpcore2.ConnectError("its name is not known") from None
        addresses = [ipaddress.ip_address(entry[4][0]) for entry in found]
        if host not in self._private and not all(is_global(address) for address in addresses):
            # One address inside is enough: a name that is both is a trick.
            raise httpcore2.ConnectError("its name leads into a private network")
        last: Exception = httpcore2.ConnectError("nothing answered")
        for address in addresses:
            try:
                return self._plain.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                last = error
        raise last


class _Transport(httpx2.BaseTransport):
    """httpx2 over a pool that dials through `_Checked`, which httpx2's own transport cannot be given."""

    def __init__(self, context: ssl.SSLContext, backend: httpcore2.NetworkBackend) -> None:
        self._pool = httpcore2.ConnectionPool(ssl_context=context, max_connections=16, network_backend=backend)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        asked = httpcore2.Request(
            request.method,
            httpcore2.URL(
                scheme=request.url.raw_scheme,
                host=request.url.raw_host,
                port=request.url.port,
                target=request.url.raw_path,
            ),
            headers=request.headers.raw,
            content=b"",
            extensions=request.extensions,
        )
        try:
            answer = self._pool.handle_request(asked)
        except (httpcore2.NetworkError, httpcore2.TimeoutException, httpcore2.ProtocolError) as error:
            raise httpx2.TransportError(str(error)) from error
        except httpcore2.UnsupportedProtocol as error:
            raise httpx2.UnsupportedProtocol(str(error)) from error
        return httpx2.Response(answer.status, headers=answer.headers, stream=_Stream(answer))

    def close(self) -> None:
        self._pool.close()


class _Stream(httpx2.SyncByteStream):
    def __init__(self, answer: httpcore2.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._answer.iter_stream()
        except (httpcore2.NetworkError, httpcore2.TimeoutException, httpcore2.ProtocolError) as error:
            raise httpx2.TransportError(str(error)) from error

    def close(self) -> None:
        self._answer.close()


def _words(error: Exception) -> str:
    """A transport's complaint without the addresses it may name."""
    text = str(error)
    known = ("its name is not known", "its name leads into a private network", "nothing answered")
    if text in known:
        return text
    if "CERTIFICATE" in text.upper():
        return "its certificate is not good"
    if "timed out" in text:
        return "it did not answer in time"
    return "the connection failed"
