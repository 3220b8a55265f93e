"""Addresses and host names as validated values: one spelling each, nothing that resolves or surprises.

Only the canonical text of an address is accepted (no octal, no short forms, no zone, no mapped IPv4), because every
second spelling of an address is a way around a rule about addresses.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_HOST = 253  # RFC 1035 section 2.3.4, as text without the final dot
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)\Z")  # RFC 1123 section 2.1; underscores occur in the wild
_PORT = re.compile(r"[1-9][0-9]{0,4}\Z")

# Not in `is_global`'s table, or global there although the packet ends at an address chosen by whoever translates.
_TRANSLATED: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "::ffff:0:0/96",  # RFC 4291 section 2.5.5.2, IPv4-mapped
        "::/96",  # RFC 4291 section 2.5.5.1, IPv4-compatible
        "64:ff9b::/96",  # RFC 6052, NAT64
        "64:ff9b:1::/48",  # RFC 8215, local NAT64
        "2002::/16",  # RFC 3056, 6to4
        "2001::/32",  # RFC 4380, Teredo
        "2001:20::/28",  # RFC 7343, ORCHIDv2
        "3fff::/20",  # RFC 9637, documentation
        "5f00::/16",  # RFC 9602, SRv6 segment identifiers
        "fec0::/10",  # RFC 3879, site-local
        "100::/64",  # RFC 6666, discard
        "192.88.99.0/24",  # RFC 7526, 6to4 relay anycast
        "100.64.0.0/10",  # RFC 6598, carrier-grade NAT
        "192.0.0.0/24",  # RFC 6890, protocol assignments
        "198.18.0.0/15",  # RFC 2544, benchmarking
    )
)


def parse_address(text: str) -> Address:
    """The address of its canonical text.

    Raises:
        ValueError: anything else than the one canonical spelling.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        # The library's text repeats the value, which may be an edge's address.
        raise ValueError("this is not an IP address") from None
    if str(address) != text:
        raise ValueError("the address is not in its canonical form")
    if isinstance(address, ipaddress.IPv6Address) and (address.scope_id or address.ipv4_mapped):
        raise ValueError("an address with a zone or a mapped address is not accepted")
    return address


def parse_network(text: str) -> Network:
    """``ADDR`` or ``ADDR/N`` without host bits.

    Raises:
        ValueError: not a network, or bits are set behind the prefix.
    """
    try:
        network = ipaddress.ip_network(text, strict=True)
    except ValueError:
        raise ValueError("this is not a network, or it has bits set behind its prefix") from None
    if "/" in text and "." in text.partition("/")[2]:
        raise ValueError("write the prefix as a number")
    return network


def is_global(address: Address) -> bool:
    """Whether packets to ``address`` leave for the open internet: globally reachable, unicast, not translated."""
    if address.is_multicast or not address.is_global or address.is_unspecified:
        return False
    return not any(address.version == network.version and address in network for network in _TRANSLATED)


def is_usable(address: Address) -> bool:
    """Whether an edge could stand at ``address`` at all, be it only on this machine or in this house."""
    if address.is_multicast or address.is_unspecified:
        return False
    return str(address) != "255.255.255.255"


def check_host(text: str) -> str:
    """A DNS name in its one spelling: lower-case ASCII labels, no final dot, no address in disguise.

    Raises:
        ValueError: anything else, look-alike letters of other scripts included.
    """
    if not 0 < len(text) <= MAX_HOST:
        raise ValueError(f"a host name has 1 to {MAX_HOST} characters")
    labels = text.split(".")
    if not all(_LABEL.match(label) for label in labels):
        raise ValueError("a host name is made of lower-case ASCII letters, digits and hyphens")
    # The URL standard reads a name whose last label is a number as an IPv4 address (WHATWG URL, "ends in a number").
    if labels[-1].isdigit() or re.match(r"0x[0-9a-f]*\Z", labels[-1]):
        raise ValueError("an address is not a host name")
    return text


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """An address and a port."""

    address: Address
    port: int

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """``203.0.113.5:443`` or ``[2001:db8::1]:443``.

        Raises:
            ValueError: anything else.
        """
        host, colon, port = text.rpartition(":")
        if not colon or not _PORT.match(port) or int(port) > 65535:
            raise ValueError("write it as ADDRESS:PORT")
        if host.startswith("[") and host.endswith("]"):
            address = parse_address(host[1:-1])
            if address.version != 6:
                raise ValueError("only IPv6 addresses stand in brackets")
        else:
            address = parse_address(host)
            if address.version != 4:
                raise ValueError("write an IPv6 address in brackets")
        return cls(address, int(port))

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if self.address.version == 6 else f"{self.address}:{self.port}"


def local_addresses() -> set[Address]:
    """The addresses of this machine's interfaces, as far as the system tells without asking anybody."""
    found: set[Address] = set()
    for path, pick in (("/proc/net/fib_trie", _from_fib_trie), ("/proc/net/if_inet6", _from_if_inet6)):
        try:
            with open(path, encoding="ascii", errors="replace") as file:
                found |= pick(file.read().splitlines())
        except OSError:
            # Not Linux, or /proc is hidden: the caller still has the addresses the operator named.
            continue
    return found


def _from_fib_trie(lines: list[str]) -> set[Address]:
    # A local address is a leaf "|-- A.B.C.D" whose next line reads "/32 host LOCAL" (net/ipv4/fib_trie.c).
    found: set[Address] = set()
    leaf = ""
    for line in lines:
        words = line.split()
        if words[:1] == ["|--"] and len(words) > 1:
            leaf = words[1]
        elif leaf and words[:3] == ["/32", "host", "LOCAL"]:
            found.add(ipaddress.IPv4Address(leaf))
    return found


def _from_if_inet6(lines: list[str]) -> set[Address]:
    return {ipaddress.IPv6Address(int(words[0], 16)) for words in (line.split() for line in lines) if words}
