"""DNS-FORGE: queries for listed names never arrive; a forged answer comes back instead (catalogue IR-01).

Any resolver's address, UDP port 53. In the path: the query is dropped, so there is no second, honest answer to wait
for [C FOCI'26 Lange 6.2]. A queries get `10.10.34.36` (about 87 % of names there [C FOCI'25 table 2]), AAAA queries
`d0::11` [T ooni/backend#543], other types an empty answer (not documented: a choice of ours). TTL low [C].
"""

from __future__ import annotations

from random import Random

from rozaneh.lab import dnsmessage
from rozaneh.lab.api import Drop, Inject, Params, Pass, Verdict
from rozaneh.lab.censors.base import Settings, listed, read_settings
from rozaneh.lab.packet import Packet, packed_address, udp_packet


class DnsForgeSettings(Settings, frozen=True, kw_only=True):
    """`names` match with everything below them; `ports` are UDP ports; `ttl` is the record's, in seconds."""

    names: tuple[str, ...]
    ipv4: str = "10.10.34.36"
    ipv6: str = "d0::11"
    ttl: int = 60
    ports: tuple[int, ...] = (53,)


class DnsForge:
    """Answers in the resolver's name and drops the query."""

    def __init__(self, params: Params, rng: Random) -> None:
        settings = read_settings(DnsForgeSettings, params)
        for address in (settings.ipv4, settings.ipv6):
            packed_address(address)
        self._names = frozenset(name.lower() for name in settings.names)
        self._ports = frozenset(settings.ports)
        self._settings = settings
        self._rng = rng

    def packet(self, p: Packet, now: float) -> Verdict:
        """Looks at queries that leave."""
        udp = p.udp
        if not p.outbound or udp is None or udp.dport not in self._ports:
            return Pass()
        query = dnsmessage.read_query(p.payload)
        if query is None or not listed(query.name, self._names):
            return Pass()
        settings = self._settings
        forged = dnsmessage.answer(query, [settings.ipv4, settings.ipv6], ttl=settings.ttl, authoritative=False)
        raw = udp_packet(
            p.ip.dst_bytes, p.ip.src_bytes, udp.dport, udp.sport, forged, ident=self._rng.randrange(1 << 16)
        )
        why = f"name {query.name}"
        return [Drop(why), Inject(raw, to="in", why=why)]
