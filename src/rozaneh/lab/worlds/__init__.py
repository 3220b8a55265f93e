"""Worlds as data: nodes, links, addresses, names and services, read from the TOML files beside this one.

A world says nothing about what a censor does: it only says at which node one may stand (`kind = "censor"`). Addresses
look globally routable on purpose, so that an edge's default policy is in force; nothing ever leaves the namespaces.

Where an address lies decides verdicts, so a world labels its prefixes (`places`). Five labels are placements of a
server; a node may have one address in each of them. Other labels name what rules speak of (segments inside, resolvers).
"""

from __future__ import annotations

import ipaddress
import tomllib
from collections import Counter
from typing import Literal

import msgspec

from rozaneh.lab.datafiles import DataFiles

__all__ = [
    "PLACEMENTS",
    "SCHEMA",
    "BlockPage",
    "Delegation",
    "End",
    "Link",
    "Node",
    "Place",
    "Segment",
    "Site",
    "World",
    "WorldError",
    "check",
    "load",
    "names",
    "parse",
]

SCHEMA = "rozaneh.lab.world/1"

# What a measurement would call the address of a server (issue 4 section 2); every other label is a world's own.
PLACEMENTS = ("domestic", "cdn", "hosting-suspect", "hosting-clean", "allowlisted")

# The largest name a Linux interface may have is 15 characters; nodes name theirs eth0, eth1, …
_MAX_LINKS = 100


class WorldError(ValueError):
    """A world's file is not what it must be; the text names the place."""


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Node(_Strict, frozen=True, kw_only=True):
    """One machine: `host` runs programs, `router` forwards in its kernel, `censor` forwards through the lab's router.

    `label` is where a measurement would say that it stands (domestic, hosting-clean, …).
    """

    name: str
    kind: Literal["host", "router", "censor"]
    label: str = ""
    names: tuple[str, ...] = ()
    sysctl: dict[str, str] = {}


class End(_Strict, frozen=True, kw_only=True):
    """One end of a link: the node, and the addresses it has there (IPv4 and IPv6, without prefix lengths)."""

    node: str
    addresses: tuple[str, ...] = ()


class Link(_Strict, frozen=True, kw_only=True):
    """A cable between two nodes; at a censor node the first end given is the side of the reader."""

    ends: tuple[End, End]
    mtu: int = 1500


class Site(_Strict, frozen=True, kw_only=True):
    """A web site: real nginx, HTTPS under the world's authority, port 80 redirecting as sites do."""

    name: str
    node: str
    addresses: tuple[str, ...]
    title: str
    text: str
    colour: str


class BlockPage(_Strict, frozen=True, kw_only=True):
    """The page the censor's own web server shows, over HTTP, and over HTTPS with a certificate nobody trusts."""

    node: str
    title: str
    text: str


class Place(_Strict, frozen=True, kw_only=True):
    """Prefixes that share a label: one of `PLACEMENTS`, or a name of the world's own that rules refer to."""

    label: str
    prefixes: tuple[str, ...]
    about: str = ""


class Segment(_Strict, frozen=True, kw_only=True):
    """One access network inside (fixed, mobile): the node of its reader."""

    name: str
    node: str


class Delegation(_Strict, frozen=True, kw_only=True):
    """A zone whose name server runs on `node`: resolvers pass queries for it and all below it on to that node."""

    zone: str
    node: str


class World(_Strict, frozen=True, kw_only=True):
    """A whole world. `congestion_control` is a list of wishes: the first the kernel allows in a namespace is used.

    `resolver` is the one every node's resolv.conf names; `resolvers` are all that answer (empty: only that one).
    `segments` says which node reads on which access network; `prober` is the node active probes come from.
    """

    schema_: str = msgspec.field(name="schema")
    name: str
    summary: str
    reader: str
    edge: str
    resolver: str
    congestion_control: tuple[str, ...] = ("cubic", "reno")
    nodes: tuple[Node, ...]
    links: tuple[Link, ...]
    sites: tuple[Site, ...] = ()
    block_page: BlockPage | None = None
    resolvers: tuple[str, ...] = ()
    segments: tuple[Segment, ...] = ()
    prober: str = ""
    delegations: tuple[Delegation, ...] = ()
    places: tuple[Place, ...] = ()

    def node(self, name: str) -> Node:
        """The node called `name`."""
        return next(node for node in self.nodes if node.name == name)

    def addresses(self, node: str) -> list[str]:
        """All addresses of a node, in the order of the file."""
        return [address for link in self.links for end in link.ends if end.node == node for address in end.addresses]

    def zone(self, server_label: str = "") -> dict[str, list[str]]:
        """Every name of this world and its addresses: what the resolvers answer.

        With `server_label`, names of the edge's node point at its addresses there, and only at those.
        """
        zone = {name: self.addresses(node.name) for node in self.nodes for name in node.names}
        if server_label:
            there = self.addresses_at(server_label, self.edge)
            zone.update(dict.fromkeys(self.node(self.edge).names, there))
        zone.update({site.name: list(site.addresses) for site in self.sites})
        return zone

    def resolver_addresses(self) -> list[str]:
        """The addresses every node's resolv.conf names."""
        return self.addresses(self.resolver)

    def resolver_nodes(self) -> tuple[str, ...]:
        """Every node that runs a resolver, the one of resolv.conf first."""
        return tuple(dict.fromkeys((self.resolver, *self.resolvers)))

    def labels(self) -> list[str]:
        """The labels of this world's places, in the order of the file."""
        return list(dict.fromkeys(place.label for place in self.places))

    def prefixes(self, label: str) -> tuple[str, ...]:
        """The prefixes that bear `label`; `WorldError` names the labels there are."""
        found = tuple(prefix for place in self.places if place.label == label for prefix in place.prefixes)
        if not found:
            raise WorldError(f"world {self.name!r} has no place {label!r}; it has: {', '.join(self.labels())}")
        return found

    def addresses_at(self, label: str, node: str = "server") -> list[str]:
        """The addresses `node` has in the places labelled `label`, in the order of the file."""
        networks = [ipaddress.ip_network(prefix) for prefix in self.prefixes(label)]
        return [text for text in self.addresses(node) if any(ipaddress.ip_address(text) in net for net in networks)]

    def address_at(self, label: str, version: Literal[4, 6] = 4, node: str = "server") -> str:
        """The address of `node` in the places labelled `label`; `WorldError` when it has none there."""
        for text in self.addresses_at(label, node):
            if (":" in text) == (version == 6):
                return text
        raise WorldError(f"node {node!r} has no IPv{version} address at {label!r}")

    def placement_of(self, address: str) -> str:
        """Which of `PLACEMENTS` an address lies in (the longest prefix counts); empty when none does."""
        found = ipaddress.ip_address(address)
        best, label = -1, ""
        for place in self.places:
            for prefix in place.prefixes if place.label in PLACEMENTS else ():
                network = ipaddress.ip_network(prefix)
                if found in network and network.prefixlen > best:
                    best, label = network.prefixlen, place.label
        return label

    def seen_from(self, segment: str) -> World:
        """The same world with the reader on another access network; `WorldError` names those there are."""
        for found in self.segments:
            if found.name == segment:
                return msgspec.structs.replace(self, reader=found.node)
        there = ", ".join(found.name for found in self.segments) or "none"
        raise WorldError(f"world {self.name!r} has no segment {segment!r}; it has: {there}")


_FILES = DataFiles(__name__, "world", WorldError)


def names() -> list[str]:
    """The worlds that come with the lab."""
    return _FILES.names()


def load(name: str) -> World:
    """The world called `name`, or the one in the file at that path when it ends in .toml."""
    return parse(_FILES.text(name))


def parse(text: str) -> World:
    """Reads and checks a world."""
    try:
        world = msgspec.convert(tomllib.loads(text), World)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise WorldError(str(error)) from error
    check(world)
    return world


def check(world: World) -> None:
    """Refuses a world whose parts do not fit: unknown nodes, doubled or malformed addresses, cables left loose."""
    if world.schema_ != SCHEMA:
        raise WorldError(f"schema is {world.schema_!r}, expected {SCHEMA!r}")
    known = Counter(node.name for node in world.nodes)
    doubled = [name for name, times in known.items() if times > 1]
    if doubled:
        raise WorldError(f"node {doubled[0]!r} is there twice")
    mentioned = [end.node for link in world.links for end in link.ends]
    mentioned += [world.reader, world.edge, world.resolver, *(site.node for site in world.sites)]
    mentioned += [world.block_page.node] if world.block_page else []
    mentioned += [world.prober] if world.prober else []
    mentioned += [*world.resolvers, *(segment.node for segment in world.segments)]
    mentioned += [delegation.node for delegation in world.delegations]
    for name in mentioned:
        if name not in known:
            raise WorldError(f"there is no node {name!r}")
    links = Counter(end.node for link in world.links for end in link.ends)
    for node in world.nodes:
        if node.kind == "censor" and links[node.name] != 2:
            raise WorldError(f"censor {node.name!r} needs exactly two links, it has {links[node.name]}")
        if not 1 <= links[node.name] <= _MAX_LINKS:
            raise WorldError(f"node {node.name!r} has {links[node.name]} links")
    every = [address for link in world.links for end in link.ends for address in end.addresses]
    for address in every:
        _check_address(address)
    for address, times in Counter(every).items():
        if times > 1:
            raise WorldError(f"address {address} is there twice")
    for site in world.sites:
        for address in site.addresses:
            if address not in world.addresses(site.node):
                raise WorldError(f"site {site.name!r}: {address} is not an address of {site.node!r}")
    for place in world.places:
        for prefix in place.prefixes:
            _check_prefix(prefix)


def _check_address(text: str) -> None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise WorldError(str(error)) from error
    if str(address) != text:
        raise WorldError(f"address {text} is not in its usual form, {address}")


def _check_prefix(text: str) -> None:
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        raise WorldError(str(error)) from error
    if str(network) != text:
        raise WorldError(f"prefix {text} is not in its usual form, {network}")
