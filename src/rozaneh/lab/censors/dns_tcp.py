"""DNS-TCP: a query for a listed name over TCP is answered with the censor's malformed message (catalogue IR-01).

The answer's question has no class and its counts promise a record that is not there, so strict parsers fail and sloppy
ones take the forged address [T net4people/bbs #226, #451, bytes quoted there]. Queries cut into segments are put
together only "when load permits" [C FOCI'26]: `segments_rate` is the share of connections for which it does. The query
goes no further, and neither does the rest of the connection from the inside.
"""

from __future__ import annotations

from random import Random
from typing import ClassVar

from rozaneh.lab import dnsmessage
from rozaneh.lab.api import DONE, PASS, Drop, Inject, Params, Verdict
from rozaneh.lab.censors.base import Settings, read_settings, reply
from rozaneh.lab.names import NameList, place
from rozaneh.lab.packet import ACK, PSH, SYN, Packet, packed_address
from rozaneh.lab.reassembly import Stream

_MAX_STREAM = 4_096  # bytes of queries that are looked at


class DnsTcpSettings(Settings, frozen=True, kw_only=True):
    """For which names, and what the answer looks like.

    Attributes:
        names: Listed names, with everything below them.
        exact: Listed names, only themselves.
        substrings: Listed parts of names.
        addresses: IPv4 addresses of the answers; a name always gets the same.
        shares: The addresses' shares of names; empty means equal ones.
        flags: The answer's flags.
        record_ttl: The record's TTL in seconds.
        ip_ttl: The packets' TTL.
        segments_rate: The share of connections whose segments are put together.
        ports: TCP ports that are looked at.
    """

    names: tuple[str, ...] = ()
    exact: tuple[str, ...] = ()
    substrings: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ("10.10.34.36",)
    shares: tuple[float, ...] = ()
    flags: int = 0x81A0
    record_ttl: int = 418
    ip_ttl: int = 64
    segments_rate: float = 0.5
    ports: tuple[int, ...] = (53,)


class Censor:
    """Reads queries of connections from the inside."""

    protocols: ClassVar[str] = "tcp"

    def __init__(self, params: Params, rng: Random) -> None:
        settings = read_settings(DnsTcpSettings, params)
        if not settings.addresses or any(len(packed_address(address)) != 4 for address in settings.addresses):
            raise ValueError("addresses must be IPv4 addresses, at least one")
        if settings.shares and len(settings.shares) != len(settings.addresses):
            raise ValueError("shares must be as many as addresses")
        self._settings = settings
        self._shares = settings.shares or (1.0,) * len(settings.addresses)
        self._names = NameList(settings.names, settings.exact, settings.substrings)
        self._ports = frozenset(settings.ports)
        self._rng = rng

    def packet(self, p: Packet, now: float) -> Verdict:
        """Follows connections to a resolver."""
        tcp = p.tcp
        if tcp is None:
            return PASS
        if p.outside_port not in self._ports:
            return DONE
        flow = p.flow
        if not p.outbound:
            return PASS
        if "blocked" in flow:
            return Drop("answered already")
        if tcp.flags & (SYN | ACK) == SYN:
            joined = self._rng.random() < self._settings.segments_rate
            stream = flow["stream"] = Stream("full" if joined else "none", limit=_MAX_STREAM)
            stream.start(tcp.seq)
            return PASS
        payload = p.payload
        known: Stream | None = flow.get("stream")
        if not payload or known is None:
            return PASS
        read = known.add(tcp.seq, payload)
        for message in _messages(read):
            query = dnsmessage.read_query(message)
            if query is not None and (entry := self._names.find(query.name)) is not None:
                flow["blocked"] = True
                why = f"name {query.name}"
                return [Drop(why), self._answer(query, entry, p, why)]
        return DONE if known.full else PASS

    def _answer(self, query: dnsmessage.Query, entry: str, p: Packet, why: str) -> Inject:
        settings, tcp = self._settings, p.tcp
        if tcp is None:
            raise ValueError("a query that is not TCP")
        at = place(entry) * sum(self._shares)
        address = settings.addresses[-1]
        for share, candidate in zip(self._shares, settings.addresses, strict=True):
            at -= share
            if at < 0:
                address = candidate
                break
        message = dnsmessage.malformed_answer(query, address, ttl=settings.record_ttl, flags=settings.flags)
        return reply(
            p,
            tcp,
            PSH | ACK,
            ack=tcp.seq + len(p.payload),
            window=65_535,
            payload=len(message).to_bytes(2, "big") + message,
            ttl=settings.ip_ttl,
            ident=self._rng.randrange(1 << 16),
            why=why,
        )


def _messages(stream: bytes) -> list[bytes]:
    """The whole messages at a stream's beginning, each with its length in front (RFC 1035 4.2.2)."""
    found: list[bytes] = []
    at = 0
    while at + 2 <= len(stream):
        size = int.from_bytes(stream[at : at + 2], "big")
        if size == 0 or at + 2 + size > len(stream):
            break
        found.append(stream[at + 2 : at + 2 + size])
        at += 2 + size
    return found
