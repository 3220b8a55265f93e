"""What a capture gives away in plain: the names asked for in DNS, and names that stand in packets as they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from rozaneh.lab import pcap
from rozaneh.lab.dnsmessage import read_query
from rozaneh.lab.packet import ACK, SYN, parse

_DNS = 53


def dns_queries(capture: Path, since: float, until: float) -> Counter[str]:
    """How often each name was asked for, over UDP and TCP, between two moments (Unix time)."""
    names: Counter[str] = Counter()
    for _, raw in _between(capture, since, until):
        packet = parse(raw, outbound=True)
        if packet is None:
            continue
        message = b""
        if packet.udp and packet.udp.dport == _DNS:
            message = packet.payload
        elif packet.tcp and packet.tcp.dport == _DNS:
            message = packet.payload[2:]  # RFC 1035 4.2.2: two bytes of length
        query = read_query(message)
        if query:
            names[query.name] += 1
    return names


def names_in_clear(capture: Path, names: Iterable[str], since: float, until: float) -> Counter[str]:
    """How many packets carry each name readably: as text (TLS server name, Host) or as DNS writes it."""
    forms = {
        name: (name.encode(), b"".join(bytes((len(label),)) + label.encode() for label in name.split(".")))
        for name in names
    }
    found: Counter[str] = Counter()
    for _, raw in _between(capture, since, until):
        lower = raw.lower()
        for name, (text, labels) in forms.items():
            if text in lower or labels in lower:
                found[name] += 1
    return found


def connections_to(capture: Path, addresses: Iterable[str], since: float, until: float) -> int:
    """How many new TCP connections to, and UDP packets for, one of `addresses` left."""
    wanted = set(addresses)
    before: set[tuple[bytes, int]] = set()
    started: set[tuple[bytes, int]] = set()
    datagrams = 0
    for when, raw in pcap.read(capture):
        packet = parse(raw, outbound=True)
        if packet is None or packet.ip.dst not in wanted:
            continue
        if packet.udp and since <= when <= until:
            datagrams += 1
        if packet.tcp and packet.tcp.flags & (SYN | ACK) == SYN and when <= until:
            # Counted from the first packet on: what a closed program's kernel still repeats is nothing new.
            key = (packet.flow_key() or b"", packet.tcp.seq)
            if when < since:
                before.add(key)
            else:
                started.add(key)
    return len(started - before) + datagrams


def _between(capture: Path, since: float, until: float) -> Iterable[tuple[float, bytes]]:
    """The packets of that time, without those of TCP connections that began before it.

    A program that was closed leaves its kernel repeating unanswered ends; that says nothing about its successor.
    """
    old: set[bytes] = set()
    for when, raw in pcap.read(capture):
        if when > until:
            continue
        packet = parse(raw, outbound=True)
        tcp = packet.tcp if packet else None
        if when < since:
            if packet and tcp:
                old.update(_keys(raw))
            continue
        if packet and tcp:
            key = packet.flow_key() or b""
            if tcp.flags & (SYN | ACK) == SYN:
                old.discard(key)
            elif key in old:
                continue
        yield when, raw


def _keys(raw: bytes) -> list[bytes]:
    """A packet's flow as seen from either end: a capture does not say which side is the reader's."""
    both = (parse(raw, outbound=True), parse(raw, outbound=False))
    return [packet.flow_key() or b"" for packet in both if packet]
