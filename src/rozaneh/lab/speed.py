"""How many packets a second the router carries through a full profile, measured: `python -m rozaneh.lab.speed`.

Real veth pairs, the real router process with real sends, and a process that feeds both its sides at once: 50 new flows
a second, 1,448-byte segments and their ACKs, 5 % UDP (issue 4). The feeder keeps a bounded number of packets on the
way, so nothing is lost and the router is never idle. On a shared machine the wall clock says little: the figure to look
at is packets per second of the router's own CPU time, sends and the kernel's work for them included.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TextIO

from rozaneh.lab import isolate, linux, profiles, routes, worlds
from rozaneh.lab.craft import Connection, datagram
from rozaneh.lab.nodes import Node
from rozaneh.lab.rules import RuleConfig
from rozaneh.lab.world import Raised
from rozaneh.lab.worlds import End, Link, World

# Of issue 4: at 40,000 packets a second, 50 new flows a second are one flow in 800 packets, and 5 % of those are UDP.
WANTED = 40_000
_PACKETS_PER_FLOW = WANTED // 50
_UDP_PACKETS = _PACKETS_PER_FLOW // 20
_SEGMENT = 1_448
_AT_ONCE = 40  # flows that run beside each other
_FLOWS = 80  # flows of one round; the next round has other ports

_ON_THE_WAY = 1_024
_BURST = 64
_DROPPED_S = 0.25  # without anything arriving for so long, what is missing has been dropped by a rule

_WORLD = World(
    schema_=worlds.SCHEMA,
    name="speed",
    summary="two machines and a router between them",
    reader="near",
    edge="far",
    resolver="far",
    nodes=(
        worlds.Node(name="near", kind="host"),
        worlds.Node(name="provider", kind="censor"),
        worlds.Node(name="far", kind="host"),
    ),
    links=(
        Link(ends=(End(node="near", addresses=("198.18.0.1", "2001:2::1")), End(node="provider"))),
        Link(ends=(End(node="provider"), End(node="far", addresses=("198.18.0.2", "2001:2::2")))),
    ),
)

# Nine rules as a provider of 2026 stacks them; the counter sees every packet of every flow and never has enough.
FULL: tuple[RuleConfig, ...] = (
    RuleConfig(
        id="DNS", kind="dns_inject", params={"names": ["blocked.example"], "injectors": [{"ipv4": ["10.10.34.36"]}]}
    ),
    RuleConfig(
        id="SNI-I", kind="tspu_sni", params={"names": ["blocked.example"], "action": "rewrite", "residual_s": 75.0}
    ),
    RuleConfig(
        id="SNI-II", kind="tspu_sni", params={"names": ["muted.example"], "action": "delayed_drop", "residual_s": 420.0}
    ),
    RuleConfig(
        id="SNI-IV", kind="tspu_sni", params={"names": ["dropped.example"], "action": "drop", "residual_s": 40.0}
    ),
    RuleConfig(id="HTTP", kind="http_host", params={"names": ["blocked.example"]}),
    RuleConfig(id="FET", kind="fet", params={}, outside=("203.0.113.0/24",)),
    RuleConfig(id="QUIC-SNI", kind="quic_sni", params={"names": ["blocked.example"]}),
    RuleConfig(id="SIBERIAN", kind="siberian", params={"more_than": 1_000_000}),
    RuleConfig(id="COUNTER", kind="packet_freeze", params={"packets": 1_000_000_000}),
)


@dataclass(frozen=True, slots=True)
class Speed:
    """One measurement."""

    rules: int
    packets: int
    arrived: int
    seconds: float
    router_cpu_s: float
    packets_per_second: float
    packets_per_cpu_second: float
    errors: int
    acts: int


def traffic(reader: str, server: str, resolver: str, rounds: int = _FLOWS) -> list[tuple[bytes, bool]]:
    """One round of packets and their directions, flows mixed as they would be on a line."""
    flows = [_flow(reader, server, resolver, number) for number in range(rounds)]
    running = [flows.pop() for _ in range(min(_AT_ONCE, len(flows)))]
    mixed: list[tuple[bytes, bool]] = []
    while running:
        for flow in list(running):
            step = [packet for packet, _ in zip(flow, range(3), strict=False)]
            mixed += step
            if not step:
                running.remove(flow)
                if flows:
                    running.append(flows.pop())
    return mixed


def _flow(reader: str, server: str, resolver: str, number: int) -> Iterator[tuple[bytes, bool]]:
    """A download of one TCP connection, with the UDP beside it: a lookup every other time, else a QUIC-like flow."""
    port = 20_000 + number
    if number % 2:
        yield datagram(_QUERY, client=(reader, port), server=(resolver, 53)), True
        yield datagram(_QUERY + bytes(16), client=(reader, port), server=(resolver, 53), outbound=False), False
        return
    one = Connection((reader, port), (server, 443), isn=number * 7_919)
    yield from one.handshake()
    yield one.data(_hello()), True
    for count in range((2 * _PACKETS_PER_FLOW - 2 * _UDP_PACKETS - 6) // 3):
        yield one.data(_BLOCK, outbound=False, flags=0x10), False
        yield one.data(_BLOCK, outbound=False), False
        yield one.ack(), True
        if count % 6 == 0:
            yield datagram(_SHORT_HEADER, client=(reader, port), server=(server, 443), outbound=False), False
    for flags in (True, False):
        yield one.fin(outbound=flags), flags


_BLOCK = bytes(range(256)) * 5 + bytes(168)
_SHORT_HEADER = b"\x45" + bytes(range(1, 250)) * 4
_QUERY = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04news\x07example\x00\x00\x01\x00\x01"


def _hello() -> bytes:
    """A ClientHello of the length a browser's has, for a name on no list."""
    name = b"garden-photos.example"
    sni = struct.pack("!HHHBH", 0, len(name) + 5, len(name) + 3, 0, len(name)) + name
    groups = struct.pack("!HHHH", 10, 4, 2, 0x001D)
    versions = struct.pack("!HHBHH", 43, 5, 4, 0x0304, 0x0303)
    share = struct.pack("!HHHHH", 51, 38, 36, 0x001D, 32) + bytes(range(32))
    padding = struct.pack("!HH", 21, 300) + bytes(300)
    extensions = sni + groups + versions + share + padding
    body = b"\x03\x03" + bytes(range(32)) + b"\x20" + bytes(32) + struct.pack("!HHH", 4, 0x1301, 0x1302) + b"\x01\x00"
    body += struct.pack("!H", len(extensions)) + extensions
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message


class Feeder:
    """Sends from both machines at once, keeps count of what arrives, and never has too many on the way."""

    def __init__(self, near: Node, far: Node) -> None:
        self._near, near_counter = _line(near)
        self._far, far_counter = _line(far)
        self._counters = (near_counter, far_counter)
        self._start = self.arrived()
        self._gone = 0

    def arrived(self) -> int:
        """How many packets came out of the router so far."""
        return sum(_received(counter) for counter in self._counters)

    def feed(self, frames: Sequence[tuple[bytearray, bool]], sent: int) -> int:
        """Sends all of `frames`, after `sent` others; returns how many have been sent by now."""
        near, far = self._near.send, self._far.send
        for at in range(0, len(frames), _BURST):
            self._wait(sent)
            for frame, outbound in frames[at : at + _BURST]:
                (near if outbound else far)(frame)
            sent += len(frames[at : at + _BURST])
        return sent

    def _wait(self, sent: int) -> None:
        """Until few enough packets are on the way."""
        last, since = -1, 0.0
        while (missing := sent - (arrived := self.arrived() - self._start)) - self._gone > _ON_THE_WAY:
            self._gone = min(self._gone, missing)  # some were only late
            if arrived != last:
                last, since = arrived, time.monotonic()
            elif time.monotonic() - since > _DROPPED_S:
                self._gone = missing

    def drain(self, sent: int) -> int:
        """Waits for what is still on the way; returns how many arrived."""
        limit = time.monotonic() + 1.0
        while (arrived := self.arrived() - self._start) < sent and time.monotonic() < limit:
            os.sched_yield()
        return arrived


def _line(node: Node) -> tuple[socket.socket, TextIO]:
    """A packet socket and the interface counters of a node, usable from anywhere afterwards."""
    linux.enter(node.pid, "net")
    line = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    line.bind(("eth0", 0))
    return line, open("/proc/thread-self/net/dev", encoding="ascii")


def _received(counter: TextIO) -> int:
    counter.seek(0)
    for line in counter:
        name, _, rest = line.partition(":")
        if name.strip() == "eth0":
            return int(rest.split()[1])
    raise OSError("there is no eth0")


def _frames(packets: Sequence[tuple[bytes, bool]]) -> list[tuple[bytearray, bool]]:
    """Packets as the frames the two machines would send."""
    heads = {}
    for outbound, link, side in ((True, 0, 1), (False, 1, 0)):
        own, gateway = routes.mac(link, 1 - side), routes.mac(link, side)
        heads[outbound] = bytes.fromhex((gateway + own).replace(":", "")) + b"\x08\x00"
    return [(bytearray(heads[outbound] + raw), outbound) for raw, outbound in packets]


def _other_ports(frames: Sequence[tuple[bytearray, bool]], step: int) -> None:
    """Moves every flow to another port of the reader's, checksums included (RFC 1624)."""
    for frame, outbound in frames:
        at = 34 if outbound else 36
        old = frame[at] << 8 | frame[at + 1]
        new = 20_000 + (old - 20_000 + step) % 40_000
        frame[at : at + 2] = new.to_bytes(2, "big")
        check = 34 + (16 if frame[23] == 6 else 6)
        total = (~(frame[check] << 8 | frame[check + 1]) & 0xFFFF) + (~old & 0xFFFF) + new
        total = (total & 0xFFFF) + (total >> 16)
        frame[check : check + 2] = (~((total & 0xFFFF) + (total >> 16)) & 0xFFFF).to_bytes(2, "big")


def measure(rules: Sequence[RuleConfig], packets: Sequence[tuple[bytes, bool]], seconds: float) -> Speed:
    """Feeds `packets` round after round for about `seconds`; must run inside `isolate.run`."""
    frames = _frames(packets)
    with Raised(_WORLD, rules=rules) as world:

        def feed() -> tuple[int, int, float]:
            feeder = Feeder(world.nodes["near"], world.nodes["far"])
            began = time.monotonic()
            sent = 0
            while time.monotonic() - began < seconds:
                sent = feeder.feed(frames, sent)
                _other_ports(frames, _FLOWS)
            return sent, feeder.drain(sent), time.monotonic() - began

        before = world.censor.stats()
        sent, arrived, took = world.nodes["near"].call(feed)
        after = world.censor.stats()
    cpu = after["cpu_s"] - before["cpu_s"]
    return Speed(
        rules=len(rules),
        packets=sent,
        arrived=arrived,
        seconds=round(took, 3),
        router_cpu_s=round(cpu, 3),
        packets_per_second=round(sent / took),
        packets_per_cpu_second=round(sent / cpu) if cpu else 0.0,
        errors=after["errors"],
        acts=sum(after["acts"].values()),
    )


def main(argv: Sequence[str]) -> int:
    """Measures and prints one JSON object."""
    parser = argparse.ArgumentParser(prog="rozaneh.lab.speed", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--profile", help="a profile's rules; without it nine rules that act on nothing")
    parser.add_argument("--bare", action="store_true", help="no rules at all")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--server-at", default="hosting-clean", help="the label of the server's address")
    chosen = parser.parse_args(argv[1:])
    country = worlds.load("country")
    rules: Sequence[RuleConfig] = () if chosen.bare else FULL
    if chosen.profile:
        rules = profiles.rules_for(profiles.load(chosen.profile), country)
    reader = next(address for address in country.addresses(country.reader) if ":" not in address)
    resolver = next(address for address in country.resolver_addresses() if ":" not in address)
    packets = traffic(reader, country.address_at(chosen.server_at), resolver)
    found = isolate.run(lambda: measure(rules, packets, chosen.seconds))
    sys.stdout.write(
        json.dumps({"profile": chosen.profile or ("none" if chosen.bare else "full"), **asdict(found)}) + "\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
