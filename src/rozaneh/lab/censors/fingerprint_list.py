"""FINGERPRINT-LIST: TLS clients are told apart by JA3 and JA4 and some of them get no answer (catalogue IR-07, ML-13).

`deny` drops listed fingerprints (Iran, November 2022: two of Chrome 107's, per network and for days, Firefox passed [T
net4people #153]), `allow` drops all others, `rare` those that fewer than `rare_below` of all hellos have: uncommon ones
cost a censor nothing [C FOCI'23 on ShadowTLS]. What is common is known from `corpus` (shares of real traffic) and from
the hellos the box itself sees. `action = "drop_out"` loses the hello itself, `mute` the server's answer [T net4people
#441: the hello was seen leaving and nothing came back].
"""

from __future__ import annotations

from random import Random
from typing import ClassVar, Literal

import msgspec

from rozaneh.lab.api import Params
from rozaneh.lab.censors.base import read_settings
from rozaneh.lab.codec import fingerprint
from rozaneh.lab.codec.clienthello import ClientHello
from rozaneh.lab.names import NameList
from rozaneh.lab.packet import Packet
from rozaneh.lab.tspu import HelloRule, PunishSettings

_MAX_KNOWN = 65_536


class FingerprintListSettings(PunishSettings, frozen=True, kw_only=True):
    """Which fingerprints; every port, since reports name none, and whole hellos, which a fingerprint needs.

    Attributes:
        mode: Whether `fingerprints` are dropped, are the only ones let through, or rare ones are dropped.
        fingerprints: JA3 or JA4 patterns (`*`, `?`); in mode `rare`, those that are never dropped.
        corpus: In mode `rare`, the shares of fingerprints in ordinary traffic, as patterns.
        rare_below: In mode `rare`, the share below which a fingerprint counts as rare. The lab's own choice.
        learn: In mode `rare`, how many hellos the box watches before its own counts say anything; 0 for never.
        spare: Names that are never punished, with everything below them.
    """

    ports: tuple[int, ...] = ()
    segments: Literal["none", "in_order", "full"] = "full"
    records: Literal["none", "buffered", "full"] = "full"
    initiator: Literal["inside", "outside", "any"] = "any"
    action: Literal["rewrite", "delayed_drop", "drop", "mute", "drop_out"] = "drop_out"
    mode: Literal["deny", "allow", "rare"] = "deny"
    fingerprints: tuple[str, ...] = ()
    corpus: dict[str, float] = msgspec.field(default_factory=dict)
    rare_below: float = 0.001
    learn: int = 0
    spare: tuple[str, ...] = ()


class Censor(HelloRule):
    """Judges connections by their ClientHello's fingerprint."""

    protocols: ClassVar[str] = "tcp"

    def __init__(self, params: Params, rng: Random) -> None:
        settings = read_settings(FingerprintListSettings, params)
        if not 0 <= settings.rare_below <= 1:
            raise ValueError(f"rare_below is {settings.rare_below:g}, it must lie between 0 and 1")
        if settings.mode != "rare" and not settings.fingerprints:
            raise ValueError(f"mode {settings.mode} needs fingerprints")
        super().__init__(settings, rng)
        self._settings = settings
        self._spare = NameList(settings.spare)
        self._common = tuple(pattern for pattern, share in settings.corpus.items() if share >= settings.rare_below)
        self._counts: dict[str, int] = {}
        self._seen = 0

    def why(self, hello: ClientHello, p: Packet, now: float) -> str:
        """Names the fingerprint that is not welcome."""
        settings = self._settings
        if not hello.whole:  # a fingerprint of half a hello is nobody's
            return ""
        value = fingerprint.ja4(hello)
        listed = fingerprint.matches(hello, settings.fingerprints)
        if settings.mode == "rare":
            unwanted = self._rare(hello, value) and listed is None
        else:
            unwanted = (listed is not None) == (settings.mode == "deny")
        if not unwanted or (hello.server_name is not None and self._spare.find(hello.server_name) is not None):
            return ""
        return f"fingerprint {listed or value}"

    def _rare(self, hello: ClientHello, value: str) -> bool:
        """Whether few have this fingerprint, by the corpus and by what was seen here."""
        settings = self._settings
        if settings.learn:
            self._seen += 1
            if value in self._counts or len(self._counts) < _MAX_KNOWN:
                self._counts[value] = self._counts.get(value, 0) + 1
        if fingerprint.matches(hello, self._common) is not None:
            return False
        if settings.learn:
            if self._seen <= settings.learn:
                return False
            return self._counts.get(value, 0) < settings.rare_below * self._seen
        return True
