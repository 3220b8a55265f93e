"""Reads the head of a plain HTTP/1 request as censors do: the request line and Host, nothing else, never raising.

Real boxes differ from RFC 9112 in known ways, which are arguments here: the method is compared letter case and all, and
the version only has to begin right (Iran [C FOCI'25 table 1]; the GFW looks at path and Host only [C Rambert'21]).
"""

from __future__ import annotations

from dataclasses import dataclass

from rozaneh.lab.codec.clienthello import MORE, More

METHODS = ("GET", "POST", "HEAD", "CONNECT", "OPTIONS", "DELETE", "PUT")
MAX_HEAD = 16_384
_BREAK = b"\r\n"


@dataclass(frozen=True, slots=True)
class Request:
    """What a request's head says; `host` is lower-cased and without a port, None where no whole Host line was read."""

    method: str
    target: str
    version: str
    host: str | None
    whole: bool

    @property
    def path(self) -> str:
        """The target without scheme and authority."""
        rest = self.target.partition("://")[2]
        return "/" + rest.partition("/")[2] if rest else self.target


def parse(
    data: bytes, *, methods: tuple[str, ...] = METHODS, version: str = "HTTP/", any_case: bool = False
) -> Request | More | None:
    """The request in the first bytes of a stream; one whose head has not ended comes with `whole` False.

    `MORE` where even the request line has not ended, None where these bytes begin no request.
    """
    line, ended, rest = data[:MAX_HEAD].partition(_BREAK)
    name, space, remainder = line.partition(b" ")
    found = _method(name, bool(space), methods, any_case)
    if found is None:
        return None
    if not ended:
        return MORE if len(data) < MAX_HEAD else None
    target, space, protocol = remainder.rpartition(b" ")
    if not space or not target or not protocol.startswith(version.encode()):
        return None
    head, whole, _ = (_BREAK + rest).partition(_BREAK * 2)
    host = _host(head if whole else head.rpartition(_BREAK)[0])
    return Request(found, _text(target), _text(protocol), host, bool(whole))


def _method(name: bytes, ended: bool, methods: tuple[str, ...], any_case: bool) -> str | None:
    """The method that `name` is, or while it has not ended may become."""
    given = name.upper() if any_case else name
    for method in methods:
        wanted = method.encode()
        if given == wanted if ended else wanted.startswith(given):
            return method
    return None


def _host(lines: bytes) -> str | None:
    for line in lines.split(_BREAK):
        name, colon, value = line.partition(b":")
        if colon and name.strip().lower() == b"host":
            return _without_port(_text(value.strip(b" \t")).lower())
    return None


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host


def _text(data: bytes) -> str:
    return data.decode("latin-1")
