"""HTTP-BLOCK: a plain HTTP request for a listed host gets the censor's page instead of the site's (catalogue IR-02).

Any TCP port, from the SYN on [C IRBlock 3.2]; the method is read case-sensitively and the version must be HTTP/
[C FOCI'25 table 1]. The page comes as one FIN+PSH+ACK [C Bock USENIX'21 table 4] in the server's name; the request
goes no further and the server gets a reset. Then 180 s of silence for the four-tuple, restarted by each hit
[C WOOT'21]. `segments` says whether a request head spread over several segments is put together.
"""

from __future__ import annotations

import html
import re
from random import Random

from rozaneh.lab.api import Drop, Inject, Params, Pass, Verdict
from rozaneh.lab.censors.base import Settings, listed, read_settings, reset_receiver
from rozaneh.lab.packet import ACK, FIN, PSH, SYN, Packet, tcp_packet
from rozaneh.lab.residual import Residual
from rozaneh.lab.streams import FirstBytes

_METHODS = (b"GET ", b"POST ", b"HEAD ", b"CONNECT ", b"OPTIONS ", b"DELETE ", b"PUT ")
_HOST = re.compile(rb"\r\n[Hh][Oo][Ss][Tt]:[ \t]*([^\r\n]+)\r\n")
_MAX_HEAD = 8_192


class HttpBlockSettings(Settings, frozen=True, kw_only=True):
    """`names` match with everything below them; `frame` is the address the page's iframe shows.

    `text` stands above it: today's browsers refuse to show a private address inside a public page.
    """

    names: tuple[str, ...]
    frame: str = "http://10.10.34.36/"
    text: str = ""
    segments: bool = False
    residual_s: float = 180.0
    residual_restarts: bool = True


class HttpBlock:
    """Reads the head of each connection's first HTTP requests from the inside."""

    def __init__(self, params: Params, rng: Random) -> None:
        self._settings = read_settings(HttpBlockSettings, params)
        self._names = frozenset(name.lower() for name in self._settings.names)
        self._residual = Residual(self._settings.residual_s, restarts=self._settings.residual_restarts)
        self._rng = rng
        body = (
            '<html><head><meta http-equiv="Content-Type" content="text/html; charset=utf-8"></head><body>'
            f'{html.escape(self._settings.text)}<iframe src="{self._settings.frame}"'
            ' style="width: 100%; height: 100%" scrolling="no"'
            ' marginwidth="0" marginheight="0" frameborder="0"></iframe></body></html>\r\n'
        )
        self._page = (
            "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Type: text/html; charset=utf-8\r\n"
            f"Content-Length: {len(body.encode())}\r\n\r\n{body}"
        ).encode()

    def packet(self, p: Packet, now: float) -> Verdict:
        """Looks at requests that leave."""
        tcp = p.tcp
        if tcp is None:
            return Pass()
        if len(self._residual) and self._residual.hit(p.flow_key(), now):
            return Drop("residual")
        if not p.outbound:
            return Pass()
        flow = p.flow
        if tcp.flags & (SYN | ACK) == SYN:
            flow["first"] = FirstBytes(tcp.seq + 1, _MAX_HEAD)
            return Pass()
        first = flow.get("first")
        head = p.payload
        if not head or first is None:
            return Pass()
        if self._settings.segments:
            first.add(tcp.seq, head)
            head = bytes(first.data)
        host = _host(head)
        if host is None or not listed(host, self._names):
            # Put together, only the first request of a connection is read; packet by packet, every one.
            if self._settings.segments and (host is not None or first.full or not _may_become_request(head)):
                del flow["first"]
            return Pass()
        self._residual.add(p.flow_key(), now)
        why = f"host {host}"
        page = tcp_packet(
            p.ip.dst_bytes,
            p.ip.src_bytes,
            tcp.dport,
            tcp.sport,
            seq=tcp.ack,
            ack=tcp.seq + len(p.payload),
            flags=FIN | PSH | ACK,
            window=2_000,
            payload=self._page,
            ident=self._rng.randrange(1 << 16),
        )
        return [Drop(why), Inject(page, to="in", why=why), reset_receiver(p, tcp, why=why)]


def _host(head: bytes) -> str | None:
    """The host a request's head names, or None when this is not a request, or its Host line is not whole yet."""
    if not head.startswith(_METHODS) or b" HTTP/" not in head.partition(b"\r\n")[0]:
        return None
    found = _HOST.search(head.partition(b"\r\n\r\n")[0] + b"\r\n" if b"\r\n\r\n" in head else head)
    return found.group(1).partition(b":")[0].decode("ascii", errors="replace").strip().lower() if found else None


def _may_become_request(head: bytes) -> bool:
    """Whether `head` is, or is the beginning of, a request whose head has not ended."""
    begun = any(head.startswith(method) or method.startswith(head) for method in _METHODS)
    return begun and b"\r\n\r\n" not in head
