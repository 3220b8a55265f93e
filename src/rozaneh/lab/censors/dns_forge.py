"""DNS-FORGE: queries for listed names never arrive; one forged answer comes back instead (catalogue IR-01, in short).

One injector in the path, for scenarios that need no more: A queries get `10.10.34.36` (about 87 % of names there
[C FOCI'25 table 2]), AAAA queries `d0::11` [T ooni/backend#543], other types an empty answer (not documented: a choice
of ours). `dns_inject` has the rest of the catalogue's entry.
"""

from __future__ import annotations

from random import Random
from typing import ClassVar

from rozaneh.lab.api import Params, Verdict
from rozaneh.lab.censors import dns_inject
from rozaneh.lab.censors.base import Settings, read_settings
from rozaneh.lab.packet import Packet


class DnsForgeSettings(Settings, frozen=True, kw_only=True):
    """`names` match with everything below them; `ports` are UDP ports; `ttl` is the record's, in seconds."""

    names: tuple[str, ...]
    ipv4: str = "10.10.34.36"
    ipv6: str = "d0::11"
    ttl: int = 60
    ports: tuple[int, ...] = (53,)


class Censor:
    """Answers in the resolver's name and drops the query."""

    protocols: ClassVar[str] = "udp"

    def __init__(self, params: Params, rng: Random) -> None:
        settings = read_settings(DnsForgeSettings, params)
        injector = {
            "ipv4": (settings.ipv4,),
            "ipv6": (settings.ipv6,),
            "record_ttl": (settings.ttl, settings.ttl),
            "dont_fragment": True,
        }
        self._injector = dns_inject.Censor(
            {"names": settings.names, "ports": settings.ports, "injectors": [injector]}, rng
        )

    def packet(self, p: Packet, now: float) -> Verdict:
        """Looks at queries that leave."""
        return self._injector.packet(p, now)
