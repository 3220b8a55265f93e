"""TSPU-SNI: a connection from inside whose ClientHello names a listed host is reset, cut off or dropped (RU-01/02/04).

One kind, three of Russia's four reactions: `action = "rewrite"` with 75 s is SNI-I, `delayed_drop` with 420 s SNI-II,
`drop` with 40 s SNI-IV [S, ids 63256792053, 68403351090, 68464958509, after Xue et al., IMC 2022]. SNI-III is the kind
`policer`. The 2022 system puts nothing together (`segments`, `records` = none); since 2024-25 both [C FOCI'25 5]. What
of a hello stands in one segment is read even when the message is longer [T net4people #65]. A browser whose hello fills
two segments is thus missed whenever its name is in the second. SNI-IV is the backup where SNI-I cannot act [S]: with
`initiator = "any"` it meets split handshakes too. IPv4 and IPv6.
"""

from __future__ import annotations

from random import Random
from typing import ClassVar

from rozaneh.lab.api import Params
from rozaneh.lab.censors.base import read_settings
from rozaneh.lab.codec.clienthello import ClientHello
from rozaneh.lab.names import NameList
from rozaneh.lab.packet import Packet
from rozaneh.lab.tspu import HelloRule, PunishSettings


class TspuSniSettings(PunishSettings, frozen=True, kw_only=True):
    """Which names, beside what every rule on ClientHellos has.

    Attributes:
        names: Names that match with everything below them.
        exact: Names that match alone.
        substrings: What a matching name has anywhere in it.
        spare: Names that never match, with everything below them, though the lists above have them.
    """

    names: tuple[str, ...] = ()
    exact: tuple[str, ...] = ()
    substrings: tuple[str, ...] = ()
    spare: tuple[str, ...] = ()


class Censor(HelloRule):
    """Judges connections by the name their ClientHello asks for."""

    protocols: ClassVar[str] = "tcp"

    def __init__(self, params: Params, rng: Random) -> None:
        settings = read_settings(TspuSniSettings, params)
        super().__init__(settings, rng)
        self._names = NameList(settings.names, settings.exact, settings.substrings)
        self._spare = NameList(settings.spare)

    def why(self, hello: ClientHello, p: Packet, now: float) -> str:
        """Names the host when it is listed."""
        name = hello.server_name
        if name is None or self._names.find(name) is None or self._spare.find(name) is not None:
            return ""
        return f"name {name}"
