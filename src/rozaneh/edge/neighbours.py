"""The operator's own web server beside the edge: the best cover there is, because it is no imitation.

Every socket of this machine that accepts TCP on loopback, or on every address, is visited once with the site's name;
the ones that answer TLS with a certificate for it are neighbours. Their files are never read and never written.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rozaneh.core.addresses import Address, Endpoint
from rozaneh.edge.visit import Visit, visit

_LISTEN = "0A"  # TCP_LISTEN, include/net/tcp_states.h
_MOST = 256  # sockets looked at; a server with more of them is no small one
_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A web server on this machine.

    Attributes:
        bound: where it listens.
        at: where it was reached, and where the edge would reach it.
        found: what it showed.
    """

    bound: Endpoint
    at: Endpoint
    found: Visit


Look = Callable[[str], Sequence[Neighbour]]


def neighbours(name: str) -> list[Neighbour]:
    """The web servers on this machine with a certificate for ``name``; those that only loopback reaches come first."""
    sockets = sorted(listening(), key=lambda bound: (not bound.address.is_loopback, bound.port, bound.address.version))
    at: dict[Endpoint, Endpoint] = {}
    for bound in sockets[:_MOST]:
        at.setdefault(_reach(bound), bound)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        visits = list(pool.map(lambda where: visit(where, name), at))
    return [
        Neighbour(bound, where, found)
        for (where, bound), found in zip(at.items(), visits, strict=True)
        if found is not None and found.for_name
    ]


def _reach(bound: Endpoint) -> Endpoint:
    if not bound.address.is_unspecified:
        return bound
    loopback = "127.0.0.1" if bound.address.version == 4 else "::1"
    return Endpoint(ipaddress.ip_address(loopback), bound.port)


def listening(folder: Path = Path("/proc/net")) -> set[Endpoint]:
    """Where TCP is accepted on loopback or on every address, as the kernel tells (nothing where it does not)."""
    found: set[Endpoint] = set()
    for name in ("tcp", "tcp6"):
        try:
            lines = (folder / name).read_text("ascii").splitlines()[1:]
        except OSError:
            continue  # not Linux, or no IPv6
        for line in lines:
            words = line.split()
            if len(words) > 3 and words[3] == _LISTEN:
                host, _, port = words[1].partition(":")
                address = _address(host)
                if address.is_loopback or address.is_unspecified:
                    found.add(Endpoint(address, int(port, 16)))
    return found


def _address(text: str) -> Address:
    # net/ipv4/tcp_ipv4.c prints 32-bit words as this machine keeps them, so each word is turned into network order.
    raw = bytes.fromhex(text)
    words = struct.unpack(f">{len(raw) // 4}I", raw)
    return ipaddress.ip_address(struct.pack(f"={len(words)}I", *words))
