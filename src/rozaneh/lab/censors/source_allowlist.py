"""SOURCE-ALLOWLIST: only some addresses inside reach the outside at all (catalogue IR-13, layer 1).

"Internet Pro" of 2026: 592 of 26,368 addresses of one provider, 583 of 17,920 of another, tiny shares elsewhere
[T net4people/bbs #630]. The policy is keyed on the inside address and does not change from try to try. What stays
reachable for everyone (the country itself, permitted resolvers) is the rule's `outside_not`.
"""

from __future__ import annotations

from random import Random
from typing import ClassVar

from rozaneh.lab.api import DONE, Drop, Params, Verdict
from rozaneh.lab.censors.base import Settings, read_settings
from rozaneh.lab.names import place
from rozaneh.lab.packet import Packet
from rozaneh.lab.rules import Prefixes

_MAX_KNOWN = 65_536


class SourceAllowlistSettings(Settings, frozen=True, kw_only=True):
    """Who may.

    Attributes:
        allowed: Inside prefixes that may.
        share: The share of all other inside addresses that may, too; which ones is settled by the seed.
    """

    allowed: tuple[str, ...] = ()
    share: float = 0.0


class Censor:
    """Drops by the inside address."""

    protocols: ClassVar[str] = "any"

    def __init__(self, params: Params, rng: Random) -> None:
        settings = read_settings(SourceAllowlistSettings, params)
        if not 0 <= settings.share <= 1:
            raise ValueError("share must lie between 0 and 1")
        self._share = settings.share
        self._allowed = Prefixes(settings.allowed)
        self._salt = f"{rng.getrandbits(64):016x}"
        self._known: dict[bytes, bool] = {}

    def packet(self, p: Packet, now: float) -> Verdict:
        """Lets listed readers out."""
        inside = p.inside_bytes
        may = self._known.get(inside)
        if may is None:
            may = inside in self._allowed or place(inside.hex(), self._salt) < self._share
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            self._known[inside] = may
        return DONE if may else Drop(f"{p.inside} is not on the list")
