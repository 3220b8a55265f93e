"""Starts every service a world's data asks for, all at once, and waits until each one answers."""

from __future__ import annotations

import sys
from itertools import cycle
from pathlib import Path

from rozaneh.lab.processes import Process
from rozaneh.lab.services import nginx, resolver
from rozaneh.lab.services.pki import SHAPES, Authority, Shape
from rozaneh.lab.world import Raised
from rozaneh.lab.worlds import World

_READY_S = 15.0
_ZONE = "zone.json"


class Internet:
    """The running services of one world; `authority` is the file with the root that its programs trust.

    With `chains` the sites' certificates have the shapes that sites on the internet have, in turn: for runs whose
    traffic is judged.
    """

    def __init__(self, world: Raised, *, chains: bool = False) -> None:
        data = world.data
        folder = world.folder
        trusted = Authority(folder / "authority", "Lab Internet Root")
        self.authority: Path = trusted.trusted
        self.root = trusted
        servers: list[Process] = []
        if data.block_page:
            stranger = Authority(folder / "stranger", "Content Filtering System")
            servers.append(nginx.start_block_page(world.nodes[data.block_page.node], data.block_page, stranger))
        for name in dict.fromkeys(site.node for site in data.sites):
            sites = [site for site in data.sites if site.node == name]
            servers.append(nginx.start_sites(world.nodes[name], sites, trusted, shapes(data) if chains else None))
        point(world)
        resolvers = [_resolver(world, name) for name in data.resolver_nodes()]
        for server in servers:
            nginx.ready(server)
        for started in resolvers:
            started.wait_line("ready", _READY_S)
        # Held so that their output pipes stay open; the namespaces end them.
        self._processes = [*servers, *resolvers]


def shapes(data: World) -> dict[str, Shape]:
    """The shape of every site's chain, where they have any."""
    return {site.name: shape for site, shape in zip(data.sites, cycle(SHAPES.values()), strict=False)}


def point(world: Raised, server_label: str = "") -> None:
    """From now on the names of the world's server mean its addresses at `server_label` (empty: all it has)."""
    resolver.write(world.folder / _ZONE, world.data.zone(server_label), _delegations(world.data, server_label))


def _delegations(data: World, server_label: str) -> dict[str, str]:
    """Each delegated zone and the IPv4 address its server is asked at."""
    found = {}
    for delegation in data.delegations:
        at_label = data.addresses_at(server_label, delegation.node) if server_label else []
        every = at_label or data.addresses(delegation.node)
        found[delegation.zone] = next((address for address in every if ":" not in address), every[0])
    return found


def _resolver(world: Raised, name: str) -> Process:
    argv = [sys.executable, "-m", "rozaneh.lab.services.resolver", str(world.folder / _ZONE)]
    return world.nodes[name].spawn([*argv, *world.data.addresses(name)])
