"""DNS-INJECT: queries for listed names are answered in the resolver's name, by one or several injectors.

Iran and China are parameter sets of this kind.

* Iran (catalogue IR-01): in the path, so the query goes no further (`drop`) [C FOCI'26 Lange 6.2]. Each name belongs
  to one injector (`answering = "one"`): `10.10.34.36` for about 87 % of names and `10.10.34.34` for about 13 %
  [C FOCI'25 table 2]; the third, `10.10.34.35`, answers with a TTL derived from the query's [C IRBlock table 2]. IPv6
  answers are `d0::11` [T ooni/backend#543]. `static` holds names with a right but fixed address (SafeSearch)
  [C FOCI'25].
* China (CN-01): on the path (`drop = false`; the rule's `on_path`), three injectors of which each answers for its own
  list (`answering = "all"`), within 0.2 ms of each other [C FOCI'20]: the first with DF 0, a counting TTL, AA set and
  record TTL 60, the second with DF 1, a random TTL, the third with DF 0, IPID 0 and the query's own TTL. Answers come
  from a pool of 1,781 addresses of which 600 make 99 %; AAAA answers are in `2001::/32` with an IPv4 address at the end
  [C USENIX'21, FOCI'25]. A query with two questions is not read, which is what evades it [C GET/out].

Any address of a resolver, and any that has none. Which name belongs to which injector is the same in every run.
"""

from __future__ import annotations

import ipaddress
import socket
from random import Random
from typing import ClassVar, Literal

import msgspec

from rozaneh.lab import dnsmessage
from rozaneh.lab.api import DONE, PASS, Action, Drop, Inject, Params, Verdict
from rozaneh.lab.censors.base import Settings, read_settings
from rozaneh.lab.names import NameList, place
from rozaneh.lab.packet import UDP, Packet, ip_packet, packed_address, transport_checksum

_COMMON_SHARE = 0.99  # of a pool's answers come from its `pool_common` addresses (CN-01)


class InjectorSettings(Settings, frozen=True, kw_only=True):
    """One injector: for which names it answers, with what, and what its packets look like.

    Attributes:
        share: Its share of names where each name has one injector; shares are weighed against each other.
        names: Its own list, with everything below each name; empty means the rule's.
        ipv4: Addresses its A answers have (one, chosen at random, when there are several).
        ipv6: The same for AAAA.
        pool: So many more IPv4 addresses, made from `pool_prefix`; AAAA answers then carry them in `2001::/32`.
        pool_common: How many of the pool's make 99 % of the answers.
        pool_prefix: Where the pool's addresses lie.
        record_ttl: The record's TTL in seconds, from and to.
        ip_ttl: The packet's TTL: a number, the query's own at this place (`mirror`), `random`, or one more each time
            (`count`).
        ip_ttl_range: From where to where a random or counting TTL goes.
        dont_fragment: The DF bit.
        ident: The IPv4 identification: `random` or `zero`.
        authoritative: The AA bit.
        delay_ms: How long after the query, from and to, in raw time.
    """

    share: float = 1.0
    names: tuple[str, ...] = ()
    ipv4: tuple[str, ...] = ()
    ipv6: tuple[str, ...] = ()
    pool: int = 0
    pool_common: int = 0
    pool_prefix: str = "198.18.0.0/15"
    record_ttl: tuple[int, int] = (60, 60)
    ip_ttl: int | Literal["mirror", "random", "count"] = 64
    ip_ttl_range: tuple[int, int] = (40, 240)
    dont_fragment: bool = False
    ident: Literal["random", "zero"] = "random"
    authoritative: bool = False
    delay_ms: tuple[float, float] = (0.0, 0.0)


class DnsInjectSettings(Settings, frozen=True, kw_only=True):
    """For which names, by which injectors.

    Attributes:
        names: Listed names, with everything below them.
        exact: Listed names, only themselves.
        substrings: Listed parts of names.
        injectors: Who answers.
        answering: `one`: each listed entry belongs to one injector; `all`: every injector that lists the name answers.
        drop: Whether the query goes no further.
        inbound: Whether queries from outside are answered as well.
        case_sensitive: Whether a name in other letters than lower-case ones passes.
        static: Names that always get these addresses.
        ports: UDP ports that are looked at.
    """

    injectors: tuple[InjectorSettings, ...]
    names: tuple[str, ...] = ()
    exact: tuple[str, ...] = ()
    substrings: tuple[str, ...] = ()
    answering: Literal["one", "all"] = "one"
    drop: bool = True
    inbound: bool = False
    case_sensitive: bool = False
    static: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    ports: tuple[int, ...] = (53,)


class Injector:
    """One of the boxes that answer."""

    def __init__(self, settings: InjectorSettings, rng: Random) -> None:
        _check(settings)
        self.settings = settings
        self.names = NameList(settings.names)
        self._rng = rng
        self._counter = settings.ip_ttl_range[0] - 1
        self._pool = _pool(settings, rng)

    def answer(self, query: dnsmessage.Query, p: Packet, fixed: tuple[str, ...] = ()) -> Inject:
        """Its packet to whoever sent the query."""
        settings, rng = self.settings, self._rng
        addresses = list(fixed) or self._addresses(query.kind)
        message = dnsmessage.answer(
            query, addresses, ttl=rng.randint(*settings.record_ttl), authoritative=settings.authoritative
        )
        udp = p.udp
        if udp is None:
            raise ValueError("a query that is not UDP")
        body = udp.dport.to_bytes(2, "big") + udp.sport.to_bytes(2, "big") + (8 + len(message)).to_bytes(2, "big")
        source, target = p.ip.dst_bytes, p.ip.src_bytes
        total = transport_checksum(source, target, UDP, body + b"\0\0" + message)
        raw = ip_packet(
            source,
            target,
            UDP,
            body + total.to_bytes(2, "big") + message,
            ttl=self._ttl(p.ip.ttl),
            ident=rng.randrange(1 << 16) if settings.ident == "random" else 0,
            dont_fragment=settings.dont_fragment,
        )
        delay = rng.uniform(*settings.delay_ms) / 1_000
        return Inject(raw, to="in" if p.outbound else "out", delay=delay, why=f"name {query.name}")

    def _ttl(self, own: int) -> int:
        settings = self.settings
        low, high = settings.ip_ttl_range
        match settings.ip_ttl:
            case "mirror":
                return own
            case "random":
                return self._rng.randint(low, high)
            case "count":
                self._counter = self._counter + 1 if self._counter < high else low
                return self._counter
            case fixed:
                return fixed

    def _addresses(self, kind: int) -> list[str]:
        """What it says the name's address is."""
        settings, rng = self.settings, self._rng
        if kind == dnsmessage.A and self._pool:
            return [self._from_pool()]
        if kind == dnsmessage.AAAA and self._pool and not settings.ipv6:
            # Teredo's prefix, zeroes, and an IPv4 address in the low 32 bits (CN-01).
            packed = b"\x20\x01" + bytes(10) + socket.inet_aton(self._from_pool())
            return [socket.inet_ntop(socket.AF_INET6, packed)]
        known = settings.ipv4 if kind == dnsmessage.A else settings.ipv6 if kind == dnsmessage.AAAA else ()
        return [known[0] if len(known) == 1 else rng.choice(known)] if known else []

    def _from_pool(self) -> str:
        common = self.settings.pool_common or len(self._pool)
        if common < len(self._pool) and self._rng.random() >= _COMMON_SHARE:
            return self._pool[self._rng.randrange(common, len(self._pool))]
        return self._pool[self._rng.randrange(min(common, len(self._pool)))]


class Censor:
    """Answers queries for listed names."""

    protocols: ClassVar[str] = "udp"

    def __init__(self, params: Params, rng: Random) -> None:
        settings = read_settings(DnsInjectSettings, params)
        if not settings.injectors:
            raise ValueError("a DNS injector without injectors")
        self._settings = settings
        self._names = NameList(settings.names, settings.exact, settings.substrings)
        self._injectors = [Injector(each, rng) for each in settings.injectors]
        self._total = sum(each.share for each in settings.injectors)
        if self._total <= 0:
            raise ValueError("the injectors' shares add up to nothing")
        self._static = {name.lower().rstrip("."): addresses for name, addresses in settings.static.items()}
        for addresses in self._static.values():
            for address in addresses:
                packed_address(address)
        self._ports = frozenset(settings.ports)

    def packet(self, p: Packet, now: float) -> Verdict:
        """Looks at queries."""
        udp = p.udp
        if udp is None:
            return PASS
        if udp.dport not in self._ports:
            return DONE if udp.sport not in self._ports else PASS
        if not p.outbound and not self._settings.inbound:
            return PASS
        query = dnsmessage.read_query(p.payload)
        if query is None or (self._settings.case_sensitive and query.name_as_sent != query.name):
            return PASS
        answers: list[Action] = []
        fixed = self._static.get(query.name)
        if fixed:
            answers.append(self._injectors[0].answer(query, p, fixed))
        else:
            answers += [injector.answer(query, p) for injector in self._answering(query.name)]
        if not answers:
            return PASS
        return [Drop(f"name {query.name}"), *answers] if self._settings.drop else answers

    def _answering(self, name: str) -> list[Injector]:
        """Those of the injectors that answer for `name`."""
        entry = self._names.find(name)
        if self._settings.answering == "all":
            return [
                injector
                for injector in self._injectors
                if (injector.names.find(name) if injector.names else entry) is not None
            ]
        for injector in self._injectors:
            if injector.names and injector.names.find(name) is not None:
                return [injector]
        if entry is None:
            return []
        at = place(entry) * self._total
        for injector in self._injectors:
            at -= injector.settings.share
            if at < 0:
                return [injector]
        return [self._injectors[-1]]


def _check(settings: InjectorSettings) -> None:
    """Whether an injector's parameters make sense; `ValueError` or `OSError` says what does not."""
    for address in (*settings.ipv4, *settings.ipv6):
        packed_address(address)
    if not all(":" not in address for address in settings.ipv4) or not all(":" in a for a in settings.ipv6):
        raise ValueError("an injector's ipv4 or ipv6 has an address of the other kind")
    low, high = settings.ip_ttl_range
    fixed = settings.ip_ttl if isinstance(settings.ip_ttl, int) else 1
    if not (1 <= low <= high <= 255 and 1 <= fixed <= 255):
        raise ValueError("an IP TTL lies between 1 and 255")
    if settings.share < 0 or settings.pool < 0 or settings.pool_common < 0:
        raise ValueError("an injector's share and pool may not be negative")
    for first, last in (settings.record_ttl, settings.delay_ms):
        if not 0 <= first <= last:
            raise ValueError("record_ttl and delay_ms go from a smaller number to a larger one")


def _pool(settings: InjectorSettings, rng: Random) -> list[str]:
    """The addresses of an injector's pool, in the order of how common they are."""
    if not settings.pool:
        return []
    network = ipaddress.IPv4Network(settings.pool_prefix)
    if settings.pool > network.num_addresses:
        raise ValueError(f"there are not {settings.pool} addresses in {settings.pool_prefix}")
    return [str(network[index]) for index in rng.sample(range(network.num_addresses), settings.pool)]
