"""Which way each address lies from each node: shortest paths over a world's links, as pure data."""

from __future__ import annotations

from collections import deque

from rozaneh.lab.worlds import World


def interface_numbers(world: World) -> dict[tuple[int, int], int]:
    """The number of the interface at each link's end: {(link, end): n} for ethn, counted per node in file order."""
    counts: dict[str, int] = {}
    numbers: dict[tuple[int, int], int] = {}
    for index, link in enumerate(world.links):
        for side, end in enumerate(link.ends):
            numbers[index, side] = counts.get(end.node, 0)
            counts[end.node] = numbers[index, side] + 1
    return numbers


def ends_of(world: World, node: str) -> list[tuple[int, int]]:
    """The (link, end) pairs of a node, in file order."""
    return [
        (index, side)
        for index, link in enumerate(world.links)
        for side, end in enumerate(link.ends)
        if end.node == node
    ]


def mac(link: int, side: int) -> str:
    """The hardware address of a link's end; locally administered (IEEE 802, second bit of the first byte)."""
    return f"02:52:5a:00:{link:02x}:{side + 1:02x}"


def first_hops(world: World, node: str) -> dict[str, tuple[int, int]]:
    """For every address in the world that is not this node's: the (link, own end) a packet to it leaves by."""
    hops: dict[str, tuple[int, int]] = {}
    seen = {node}
    queue: deque[tuple[str, tuple[int, int] | None]] = deque([(node, None)])
    while queue:
        here, first = queue.popleft()
        for index, link in enumerate(world.links):
            for side, end in enumerate(link.ends):
                other = link.ends[1 - side]
                if end.node != here or other.node in seen:
                    continue
                seen.add(other.node)
                leaving = first or (index, side)
                for address in world.addresses(other.node):
                    hops[address] = leaving
                queue.append((other.node, leaving))
    return hops
