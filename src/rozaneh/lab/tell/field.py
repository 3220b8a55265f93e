"""The network of a trial: one prober, and every server on a machine of its own, all at the same distance.

Each server listens at port 443 of its own address, so that neither ports nor addresses say which is which. Addresses
stand for nobody: no packet leaves the namespaces.
"""

from __future__ import annotations

from collections.abc import Sequence

from rozaneh.lab import worlds
from rozaneh.lab.worlds import World

PROBER = "prober"
PORT = 443


def address(number: int) -> str:
    """Where the server of this number stands."""
    return f"93.184.{number + 1}.10"


def world(servers: Sequence[str]) -> World:
    """A prober and these servers."""
    # A burst of visits must find room in the queue of connections nobody has accepted yet.
    sysctl = {"net.core.somaxconn": "16384", "net.ipv4.tcp_max_syn_backlog": "16384"}
    found = World(
        schema_=worlds.SCHEMA,
        name="tell",
        summary="one prober and the servers it tries to tell apart",
        reader=PROBER,
        edge=servers[0],
        resolver=PROBER,
        nodes=(
            worlds.Node(name=PROBER, kind="host"),
            *(worlds.Node(name=name, kind="host", sysctl=sysctl) for name in servers),
        ),
        links=tuple(
            worlds.Link(
                ends=(
                    worlds.End(node=PROBER, addresses=(f"93.184.{number + 1}.1",)),
                    worlds.End(node=name, addresses=(address(number),)),
                )
            )
            for number, name in enumerate(servers)
        ),
    )
    worlds.check(found)
    return found
