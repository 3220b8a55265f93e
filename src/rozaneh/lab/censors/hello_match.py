"""HELLO-MATCH: acts only when several parts of a ClientHello match at once (catalogue RU-14).

In 2021 www.youtube.com was cut off for one application alone: cipher list AND groups AND signature algorithms AND the
name in its exact letter case had to match; the hello reached the server and the ServerHello was dropped, which is
`action = "mute"` [T net4people #85]. Each list is compared whole and in order, GREASE values left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import ClassVar

from rozaneh.lab.api import Params
from rozaneh.lab.censors.base import read_settings
from rozaneh.lab.codec.clienthello import ClientHello, is_grease
from rozaneh.lab.packet import Packet
from rozaneh.lab.tspu import HelloRule, PunishSettings


class HelloMatchSettings(PunishSettings, frozen=True, kw_only=True):
    """What must match; an empty list is not looked at, and all that are given must match.

    Attributes:
        names: Host names, one of which must be the hello's.
        case_sensitive: Whether their letter case counts, as it did.
        ciphers: The whole cipher list.
        groups: The whole list of supported groups.
        signature_algorithms: The whole list of signature algorithms.
        extensions: The whole list of extension numbers.
        alpn: The whole list of application protocols.
    """

    names: tuple[str, ...] = ()
    case_sensitive: bool = True
    ciphers: tuple[int, ...] = ()
    groups: tuple[int, ...] = ()
    signature_algorithms: tuple[int, ...] = ()
    extensions: tuple[int, ...] = ()
    alpn: tuple[str, ...] = ()


class Censor(HelloRule):
    """Compares each connection's ClientHello with one description."""

    protocols: ClassVar[str] = "tcp"

    def __init__(self, params: Params, rng: Random) -> None:
        settings = read_settings(HelloMatchSettings, params)
        wanted = (
            settings.names,
            settings.ciphers,
            settings.groups,
            settings.signature_algorithms,
            settings.extensions,
            settings.alpn,
        )
        if not any(wanted):
            raise ValueError("a description of nothing would match every ClientHello")
        super().__init__(settings, rng)
        self._settings = settings
        names = settings.names if settings.case_sensitive else (name.lower() for name in settings.names)
        self._names = frozenset(names)
        self._alpn = tuple(protocol.encode() for protocol in settings.alpn)

    def why(self, hello: ClientHello, p: Packet, now: float) -> str:
        """Names the host (or the fingerprint) when everything matches."""
        settings = self._settings
        name = hello.server_name_as_sent if settings.case_sensitive else hello.server_name
        if self._names and name not in self._names:
            return ""
        pairs: tuple[tuple[tuple[int, ...], Iterable[int]], ...] = (
            (settings.ciphers, hello.ciphers),
            (settings.groups, hello.groups),
            (settings.signature_algorithms, hello.sig_algs),
            (settings.extensions, (kind for kind, _ in hello.extensions)),
        )
        if any(wanted and wanted != _plain(sent) for wanted, sent in pairs):
            return ""
        if self._alpn and self._alpn != hello.alpn:
            return ""
        return f"hello of {name}" if name else "hello"


def _plain(values: Iterable[int]) -> tuple[int, ...]:
    return tuple(value for value in values if not is_grease(value))
