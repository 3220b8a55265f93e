"""Starts every service a world's data asks for, all at once, and waits until each one answers."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rozaneh.lab.processes import Process
from rozaneh.lab.services import nginx
from rozaneh.lab.services.pki import Authority
from rozaneh.lab.world import Raised

_READY_S = 15.0


class Internet:
    """The running services of one world; `authority` is the file with the root that its browsers trust."""

    def __init__(self, world: Raised) -> None:
        data = world.data
        folder = world.folder
        trusted = Authority(folder / "authority", "Lab Internet Root")
        self.authority: Path = trusted.trusted
        servers: list[Process] = []
        if data.block_page:
            stranger = Authority(folder / "stranger", "Content Filtering System")
            servers.append(nginx.start_block_page(world.nodes[data.block_page.node], data.block_page, stranger))
        for name in dict.fromkeys(site.node for site in data.sites):
            sites = [site for site in data.sites if site.node == name]
            servers.append(nginx.start_sites(world.nodes[name], sites, trusted))
        resolver = self._resolver(world)
        for server in servers:
            nginx.ready(server)
        resolver.wait_line("ready", _READY_S)
        # Held so that their output pipes stay open; the namespaces end them.
        self._processes = [*servers, resolver]

    @staticmethod
    def _resolver(world: Raised) -> Process:
        node = world.nodes[world.data.resolver]
        zone = node.folder / "zone.json"
        zone.write_text(json.dumps(world.data.zone()), encoding="utf-8")
        argv = [sys.executable, "-m", "rozaneh.lab.services.resolver", str(zone), *world.data.resolver_addresses()]
        return node.spawn(argv)
