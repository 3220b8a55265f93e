"""Crafted conversations between a reader and a server of a world, through rules with a virtual clock.

What a conversation meets is written as one sign a packet: `+` it went on as it was, `~` another one in its place, `-`
it went no further, `d` it went on later; behind it what was sent besides, with an arrow for the end that gets it: `r`
a RST, `R` a RST+ACK, `p` a page or other bytes in a connection, `u` a datagram.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from rozaneh.lab import craft
from rozaneh.lab.chain import Outcome
from rozaneh.lab.fragments import FragmentPolicy
from rozaneh.lab.offline import Offline
from rozaneh.lab.packet import ACK, RST, parse
from rozaneh.lab.rules import RuleConfig
from rozaneh.lab.worlds import PLACEMENTS, World

Version = Literal[4, 6]

FIRST_PORT = 45_000  # above every server's port that is used here


class Talk:
    """One reader, and all it says to a world's servers."""

    def __init__(
        self,
        world: World,
        rules: Sequence[RuleConfig],
        *,
        seed: int,
        version: Version = 4,
        time_of_day: float = 12.0,
        fragments: FragmentPolicy | None = None,
    ) -> None:
        self.world = world
        self.version: Version = version
        self.lab = Offline(rules, seed=seed, time_of_day=time_of_day, fragments=fragments)
        self.reader = address_of(world, world.reader, version)
        self.acted = False  # whether any rule did anything yet
        self._places: dict[tuple[str, str], str] = {}
        self._ports = FIRST_PORT
        self._isn = 1_000

    def at(self, label: str, node: str = "server") -> str:
        """The address of `node` at a place."""
        known = self._places.get((label, node))
        if known is None:
            known = self._places[label, node] = self.world.address_at(label, self.version, node)
        return known

    def port(self) -> int:
        """A source port that nobody used before."""
        self._ports += 1
        return self._ports

    def connection(
        self, server: str, port: int = 443, *, sport: int | None = None, timestamps: bool = True
    ) -> craft.Connection:
        """A connection nobody has begun yet; `sport` when it is to have the ports of another one."""
        self._isn += 7_919
        client = (self.reader, self.port() if sport is None else sport)
        return craft.Connection(client, (server, port), isn=self._isn, timestamps=timestamps)

    def datagram(self, payload: bytes, server: str, port: int, *, sport: int, outbound: bool = True) -> str:
        """Sends one datagram; what it met."""
        raw = craft.datagram(payload, client=(self.reader, sport), server=(server, port), outbound=outbound)
        return self.send(raw, outbound)

    def send(self, raw: bytes, outbound: bool = True) -> str:
        """Sends one packet; what it met."""
        outcome = self.lab.send(raw, outbound)
        if self.lab.errors:
            why = next((act.why for act in outcome.acts if act.action == "error"), "an exception")
            raise RuntimeError(f"a rule failed: {why}")
        self.acted = self.acted or bool(outcome.acts)
        return sign(outcome, raw)

    def handshake(self, connection: craft.Connection) -> str:
        """The three packets a connection begins with."""
        return "".join(self.send(raw, outbound) for raw, outbound in connection.handshake())

    def ask(self, connection: craft.Connection, *payloads: bytes) -> str:
        """A handshake, what the client says, and a server's answer of 300 bytes."""
        met = self.handshake(connection)
        for payload in payloads:
            met += self.send(connection.data(payload))
        return met + self.send(connection.data(bytes(300), outbound=False), False)


def sign(outcome: Outcome, raw: bytes) -> str:
    """What one packet met, in signs."""
    if outcome.forward is None:
        met = "-"
    elif outcome.forward != raw:
        met = "~"
    else:
        met = "d" if outcome.delay else "+"
    sent = []
    for inject in outcome.injected:
        packet = parse(inject.raw, inject.to == "out")
        tcp = packet.tcp if packet else None
        if tcp is None:
            letter = "u"
        elif tcp.flags & RST:
            letter = "R" if tcp.flags & ACK else "r"
        else:
            letter = "p"
        sent.append(letter + ("<" if inject.to == "in" else ">"))
    return met + "".join(dict.fromkeys(sent))


def disturbed(met: str) -> bool:
    """Whether anything but passing happened."""
    return met.strip("+") != ""


def address_of(world: World, node: str, version: Version) -> str:
    """A node's first address of one family."""
    return next(address for address in world.addresses(node) if (":" in address) == (version == 6))


def admitted(address: str, only: Iterable[str], never: Iterable[str]) -> bool:
    """Whether an address passes a gate: inside one of `only` (empty: all) and outside of all `never`."""
    found = ipaddress.ip_address(address)

    def within(prefixes: Iterable[str]) -> bool:
        return any(found in ipaddress.ip_network(prefix) for prefix in prefixes)

    only = tuple(only)
    return (not only or within(only)) and not within(never)


def world_of(config: RuleConfig, world: World, version: Version) -> World:
    """The world seen from an access network that meets the rule's gate."""
    for segment in world.segments:
        seen = world.seen_from(segment.name)
        if admitted(address_of(seen, seen.reader, version), config.inside, config.inside_not):
            return seen
    raise LookupError(f"rule {config.id!r} meets no reader of world {world.name!r}")


def servers_of(config: RuleConfig, world: World, version: Version) -> tuple[str, str]:
    """A server's address that meets the rule's gate, and its neighbour in the same network, for controls."""
    for label in ("hosting-suspect", *PLACEMENTS):
        address = world.address_at(label, version)
        if admitted(address, config.outside, config.outside_not):
            return address, str(ipaddress.ip_address(address) + 1)
    raise LookupError(f"rule {config.id!r} meets no server of world {world.name!r}")


def certain(config: RuleConfig) -> RuleConfig:
    """The same rule without chance: what is measured is then its mechanism, and not a draw."""
    chances = {"rate": 1.0, "reliability": 1.0, "residual_p": 1.0, "effect": 1.0, "onset": [[0.0, 0.0], [1.0, 0.0]]}
    forced = {name: value for name, value in chances.items() if name in config.params}
    return msgspec.structs.replace(config, params={**config.params, **forced}, share=1.0)
