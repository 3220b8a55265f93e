"""What a tun subject finds ready in a world: a server that forwards, an address routed to it, a resolver behind it.

The tunnel's client end gets an address of its own that the world's routers send to the server, as an operator with a
spare address does it; so nothing is translated, and no packet filter is needed. The resolver behind the tunnel answers
what its provider's resolver would: names need not pass the censor in the clear.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from rozaneh.lab import routes
from rozaneh.lab.processes import Process
from rozaneh.lab.subjects import private_run, values
from rozaneh.lab.world import Raised

_GATEWAY = "169.254.1.1"
_READY_S = 15.0
_DUMMY = "lo"


def prepare(world: Raised) -> Process:
    """Makes it ready, once a world; `ready` waits for the resolver."""
    data = world.data
    numbers = routes.interface_numbers(data)
    known = next(address for address in data.addresses(data.edge) if ":" not in address)
    for node in data.nodes:
        if node.kind != "router":
            continue
        device = f"eth{numbers[routes.first_hops(data, node.name)[known]]}"
        line = f"route replace {values.TUNNEL_CLIENT} via {_GATEWAY} dev {device} onlink"
        world.nodes[node.name].call(lambda line=line: _ip(line))  # type: ignore[misc]

    def at_server() -> None:
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        _ip(f"address replace {values.TUNNEL_RESOLVER}/32 dev {_DUMMY}")

    world.edge.call(at_server)
    for end in (world.edge, world.reader):
        private_run.give(end)
    zone = str(world.folder / "zone.json")
    return world.edge.spawn([sys.executable, "-m", "rozaneh.lab.services.resolver", zone, values.TUNNEL_RESOLVER])


def ready(resolver: Process) -> None:
    """Returns when the resolver behind the tunnel answers."""
    resolver.wait_line("ready", _READY_S)


def _ip(line: str) -> None:
    done = subprocess.run(["ip", *line.split()], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"ip {line}: {done.stderr.strip()}")
