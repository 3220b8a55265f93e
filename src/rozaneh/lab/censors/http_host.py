"""Acts on plain HTTP requests by their Host or by a keyword in their path (catalogue IR-02, CN-02, CN-04, X-07).

Only the request line and Host are read, never a body; the method letter case and all, and the version must begin with
`HTTP/` [C FOCI'25 table 1]. A match brings resets, drops, or Iran's page: one FIN+PSH+ACK of 402 to 405 bytes of frame
[C Bock USENIX'21 table 4], `403 Forbidden` around a frame of the block page's address [T #226].
"""

from __future__ import annotations

import html
from random import Random
from typing import Literal

from rozaneh.lab.api import Params, Verdict
from rozaneh.lab.censors.base import read_settings
from rozaneh.lab.codec.httprequest import METHODS, Request, parse
from rozaneh.lab.names import NameList, place
from rozaneh.lab.packet import Packet
from rozaneh.lab.strikes import StrikeSettings
from rozaneh.lab.tcb import expand
from rozaneh.lab.tcpfilter import TcpFilter
from rozaneh.lab.watch import MORE, NEXT, Reading

# 402 to 405 bytes of frame [C] less 54 of Ethernet, IPv4 and TCP headers.
_PAGE_BYTES = (348, 351)
_NEW_BODY_BYTES = 337  # Content-Length of the newer page [T #226]


class HttpHostSettings(StrikeSettings, frozen=True, kw_only=True):
    """Which requests are meant, and what page they get.

    Other than for TLS, what is no request does not end the watch (a decoy in front does not help [C lib-erate IMC'17]),
    but `looks` segments in a row that are none do.

    Attributes:
        names: Hosts that match with everything below them.
        exact: Hosts that match alone.
        substrings: What matches anywhere in a host.
        spared: Hosts that never match, with everything below them.
        paths: Keywords that match anywhere in the path, upper and lower case alike.
        methods: The methods this box knows.
        any_case: Whether it knows them in any letter case.
        version: How the version must begin.
        page: The page a match gets: none, Iran's of 2020, or its newer form with Content-Type and Content-Length.
        frame: The address the page's frame shows.
        text: What stands above the frame; with a text the page has the length it needs.
        reset_share: The share of listed hosts that get resets in the page's place (IR-01: names forged to .34 do).
    """

    names: tuple[str, ...] = ()
    exact: tuple[str, ...] = ()
    substrings: tuple[str, ...] = ()
    spared: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    gives_up: bool = False
    looks: int = 16
    methods: tuple[str, ...] = METHODS
    any_case: bool = False
    version: str = "HTTP/"
    page: Literal["", "iran-2020", "iran-2024"] = ""
    frame: str = "http://10.10.34.36/?type=Invalid Keyword&policy=MainPolicy "
    text: str = ""
    reset_share: float = 0.0


class Censor(TcpFilter[tuple[Request, str]]):
    """Reads the heads of each connection's requests."""

    def __init__(self, params: Params, rng: Random) -> None:
        given = expand(params)
        settings = read_settings(HttpHostSettings, given)
        super().__init__(settings, rng, self._read)
        self._settings = settings
        self._rng = rng
        self._names = NameList(settings.names, settings.exact, settings.substrings)
        self._spared = NameList(settings.spared)
        self._paths = tuple(word.lower() for word in settings.paths)

    def match(self, found: tuple[Request, str], p: Packet) -> str | None:
        """What `_read` returns is a match."""
        return found[1]

    def strike(self, found: tuple[Request, str], p: Packet, now: float, why: str) -> Verdict:
        """The page, the resets, or both."""
        settings = self._settings
        if not settings.page:
            return self._strike.hit(p, now, why)
        entry = self._names.find(found[0].host or "") or ""
        if settings.reset_share and place(entry) < settings.reset_share:
            return self._strike.hit(p, now, why)
        return self._strike.hit(p, now, why, page=self._page())

    def _read(self, data: bytes, p: Packet) -> tuple[Request, str] | Reading | None:
        settings = self._settings
        request = parse(data, methods=settings.methods, version=settings.version, any_case=settings.any_case)
        if request is None:
            return None
        if not isinstance(request, Request):
            return MORE
        why = self._why(request)
        if why is not None:
            return request, why
        return NEXT if request.whole else MORE

    def _why(self, request: Request) -> str | None:
        host = request.host
        if host is not None and self._names.find(host) and not self._spared.find(host):
            return f"host {host}"
        if self._paths:
            path = request.path.lower()
            for word in self._paths:
                if word in path:
                    return f"keyword {word} in the path"
        return None

    def _page(self) -> bytes:
        settings = self._settings
        start = '<html><head><meta http-equiv="Content-Type" content="text/html; charset=utf-8"></head><body>'
        end = (
            f'{html.escape(settings.text)}<iframe src="{settings.frame}" style="width: 100%; height: 100%"'
            ' scrolling="no" frameborder="0"></iframe></body></html>'
        )
        body = (start + end).encode()
        if settings.page == "iran-2024":
            body += b"\n" * (_NEW_BODY_BYTES - len(body))
            head = f"Content-Type: text/html; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
            return b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\n" + head.encode() + b"\r\n" + body
        page = b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n" + body
        return page + b"\n" * (self._rng.randint(*_PAGE_BYTES) - len(page))
