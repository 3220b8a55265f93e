"""What must stand in a world before subjects run there: its internet, the server's certificate, its cover site."""

from __future__ import annotations

from pathlib import Path

from rozaneh.lab.services import nginx
from rozaneh.lab.services.internet import Internet
from rozaneh.lab.subjects import tunnel, values
from rozaneh.lab.world import Raised

AUTHORITY = "authority"


class Prepared:
    """The services of one world, all answering; keep it for as long as the world stands.

    `authority` is the file with the root that every program in the world trusts. With `chains` the sites'
    certificates have chains as long as those of the internet. The server's own stays a small one: nDPI does not look
    inside where the outer certificate takes a packet more (`carriers.shortened`).
    """

    def __init__(self, world: Raised, *, chains: bool = False) -> None:
        self.internet = Internet(world, chains=chains)
        self.authority: Path = self.internet.authority
        name = server_name(world)
        files = self.internet.root.issue(name)
        cover = nginx.start_cover(world.edge, name, files, values.COVER_PORT)
        self._resolver = tunnel.prepare(world)
        nginx.ready(cover)
        tunnel.ready(self._resolver)
        self._cover = cover


def server_name(world: Raised) -> str:
    """The name the server's certificate and its clients use."""
    return world.data.node(world.data.edge).names[0]
