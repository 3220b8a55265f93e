"""Raises a world from its data: nodes, cables, addresses, routes, and the router where a censor stands.

Every address is a /32 or /128 and every cable stands for itself: the gateway of each interface is 169.254.1.1 (or
fe80::1), a fixed neighbour with the hardware address of the cable's other end, so there is no ARP and no neighbour
discovery that a censor would have to understand. Must run inside `isolate.run`.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import msgspec

from rozaneh.lab import isolate, linux, routes
from rozaneh.lab.fragments import FragmentPolicy
from rozaneh.lab.links import LinkModel
from rozaneh.lab.middlebox import Middlebox
from rozaneh.lab.nodes import Node
from rozaneh.lab.prober import lab as prober
from rozaneh.lab.router import Config, RuleConfig, Side
from rozaneh.lab.rules import build
from rozaneh.lab.worlds import World

_GATEWAY = {4: "169.254.1.1", 6: "fe80::1"}

# Nothing a kernel says of its own accord may blur a capture or a count; addresses count at once.
_SYSCTLS = {
    "net.ipv4.conf.all.rp_filter": "0",
    "net.ipv4.conf.default.rp_filter": "0",
    "net.ipv4.conf.all.send_redirects": "0",
    "net.ipv4.conf.default.send_redirects": "0",
    "net.ipv6.conf.all.disable_ipv6": "0",
    "net.ipv6.conf.default.disable_ipv6": "0",
    "net.ipv6.conf.all.accept_dad": "0",
    "net.ipv6.conf.default.accept_dad": "0",
    "net.ipv6.conf.all.accept_ra": "0",
    "net.ipv6.conf.default.accept_ra": "0",
    "net.ipv6.conf.default.router_solicitations": "0",
    "net.ipv4.ip_unprivileged_port_start": "0",
}
_NOWHERE = Side(interface="", gateway_mac="", peer_mac="")
_FORWARD = {"net.ipv4.ip_forward": "1", "net.ipv6.conf.all.forwarding": "1"}


class Raised:
    """A world that stands. Leaving the `with` block ends its programs; its namespaces end with `isolate.run`."""

    def __init__(
        self,
        data: World,
        *,
        rules: Sequence[RuleConfig] = (),
        captures: Path | None = None,
        seed: int = 0,
        link_in: LinkModel | None = None,
        link_out: LinkModel | None = None,
        time_of_day: float = 12.0,
        fragments: Literal["ignore", "drop", "reassemble"] | FragmentPolicy | Mapping[str, Any] | None = None,
        replay_window_s: float | None = None,
    ) -> None:
        """Raises it.

        Args:
            data: The world; what a profile changes in it (no IPv6, kernels' settings) is in there already.
            rules: The censors at its `censor` node.
            captures: The folder for captures and acts; none without it.
            seed: What everything drawn at random comes from.
            link_in: The line behind the censor towards the reader; a perfect one by default.
            link_out: The line behind it towards the internet.
            time_of_day: The hour the lab's day begins at.
            fragments: What the censor does with IP fragments; a mapping has the keys of `FragmentPolicy`. Nothing,
                or an empty mapping, means `ignore`.
            replay_window_s: How old a first flight the server takes by its own clock, which does not jump; None when
                it has no such limit.
        """
        # The router starts in another folder.
        rules = [
            msgspec.structs.replace(rule, file=str(Path(rule.file).resolve())) if rule.file else rule for rule in rules
        ]
        for rule in rules:
            build(rule, seed)  # a rule that cannot be is told here, before anything stands
        self.data = data
        self.folder = isolate.scratch() / data.name
        self.folder.mkdir(mode=0o700)
        resolvers = data.resolver_addresses()
        self.nodes = {node.name: Node(node.name, self.folder / node.name, resolvers) for node in data.nodes}
        self._lay_cables()
        self.congestion_control = ""
        for node in data.nodes:
            self.congestion_control = self._settle(node.name)
        self.prober = self._pool(rules, seed)
        try:
            self.middlebox = self._middlebox(
                captures,
                Config(
                    inside=_NOWHERE,
                    outside=_NOWHERE,
                    rules=list(rules),
                    seed=seed,
                    link_in=link_in or LinkModel(),
                    link_out=link_out or LinkModel(),
                    time_of_day=time_of_day,
                    fragments=_fragments(fragments),
                    replay_window_s=replay_window_s,
                ),
            )
        except BaseException:
            if self.prober:
                self.prober.stop()
            raise

    def __enter__(self) -> Raised:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self.middlebox:
                self.middlebox.stop()
        finally:
            if self.prober:
                self.prober.stop()

    @property
    def censor(self) -> Middlebox:
        """The router where the censor stands; `LookupError` in a world without such a place."""
        if self.middlebox is None:
            raise LookupError(f"world {self.data.name!r} has no node of the kind censor")
        return self.middlebox

    @property
    def reader(self) -> Node:
        """The node readers' programs run on."""
        return self.nodes[self.data.reader]

    @property
    def edge(self) -> Node:
        """The node an edge runs on."""
        return self.nodes[self.data.edge]

    def _lay_cables(self) -> None:
        numbers = routes.interface_numbers(self.data)
        lines = []
        for index, link in enumerate(self.data.links):
            ends = [
                f"name eth{numbers[index, side]} netns {self.nodes[end.node].pid} mtu {link.mtu}"
                f" address {self._interface_mac(index, side)}"
                for side, end in enumerate(link.ends)
            ]
            lines.append(f"link add {ends[0]} type veth peer {ends[1]}")
        _ip(lines)

    def _interface_mac(self, index: int, side: int) -> str:
        """What the interface itself bears: at a censor's end not the address its neighbour sends to."""
        mac = routes.mac(index, side)
        end = self.data.links[index].ends[side]
        return mac.replace("02:52:5a:00", "02:52:5a:ff") if self.data.node(end.node).kind == "censor" else mac

    def _settle(self, name: str) -> str:
        """Addresses, routes, neighbours and settings of one node; returns its congestion control."""
        node = self.data.node(name)
        numbers = routes.interface_numbers(self.data)
        own = routes.ends_of(self.data, name)
        hops = routes.first_hops(self.data, name)
        settings = dict(_SYSCTLS)
        if node.kind == "censor":
            # Its kernel must not answer for the router: no IPv6 at all, and IPv4 without an address.
            settings["net.ipv6.conf.all.disable_ipv6"] = settings["net.ipv6.conf.default.disable_ipv6"] = "1"
        if node.kind == "router":
            settings.update(_FORWARD)
        if node.kind == "host" and not any(":" in address for address in self.data.addresses(name)):
            settings["net.ipv6.conf.all.disable_ipv6"] = settings["net.ipv6.conf.default.disable_ipv6"] = "1"
        settings.update(node.sysctl)
        gates = [gate for family, gate in _GATEWAY.items() if family == 4 or not _v6_off(settings)]
        lines = ["link set lo up"]
        for index, side in own:
            device = f"eth{numbers[index, side]}"
            lines.append(f"link set {device} up")
            if node.kind == "censor":
                continue
            for address in self.data.links[index].ends[side].addresses:
                lines.append(f"address add {address} dev {device}{' nodad' if ':' in address else ''}")
            peer = routes.mac(index, 1 - side)
            lines += [f"neigh replace {gate} lladdr {peer} dev {device} nud permanent" for gate in gates]
        if node.kind != "censor":
            if len(own) == 1:
                lines += [f"route add default via {gate} dev eth0 onlink" for gate in gates]
            else:
                lines += [
                    f"route add {address} via {_GATEWAY[6 if ':' in address else 4]} dev eth{numbers[hop]} onlink"
                    for address, hop in hops.items()
                ]
        wishes = self.data.congestion_control
        devices = [f"eth{numbers[end]}" for end in own]

        def configure() -> str:
            for key, value in settings.items():
                _sysctl(key, value)
            for device in devices:
                # No link-local address: nothing is sent that nobody asked for.
                _ip([f"link set {device} addrgenmode none"])
            _ip(lines)
            for device in devices:
                linux.offloads_off(device)
            return _first_allowed(wishes)

        return self.nodes[name].call(configure)

    def _pool(self, rules: Sequence[RuleConfig], seed: int) -> prober.Pool | None:
        """The active prober, where the world has a place for it and a rule wants to hear of probes."""
        if not self.data.prober or not any(hasattr(build(rule, seed).censor, "probed") for rule in rules):
            return None
        sources = tuple(self.data.addresses(self.data.prober))
        return prober.Pool(self.nodes[self.data.prober], prober.Config(sources=sources, seed=seed))

    def _middlebox(self, captures: Path | None, config: Config) -> Middlebox | None:
        place = next((node for node in self.data.nodes if node.kind == "censor"), None)
        if place is None:
            return None
        ends = routes.ends_of(self.data, place.name)
        numbers = routes.interface_numbers(self.data)
        sides = [
            Side(
                interface=f"eth{numbers[end]}",
                gateway_mac=routes.mac(*end),
                peer_mac=routes.mac(end[0], 1 - end[1]),
                capture=str(captures / f"{label}.pcap") if captures else None,
            )
            for end, label in zip(ends, ("reader-side", "internet-side"), strict=True)
        ]
        acts = str((captures or self.folder) / "acts.jsonl")
        config = msgspec.structs.replace(config, inside=sides[0], outside=sides[1], acts=acts)
        return Middlebox(self.nodes[place.name], config, self.prober.socket if self.prober else None)


def _fragments(
    wanted: Literal["ignore", "drop", "reassemble"] | FragmentPolicy | Mapping[str, Any] | None,
) -> Literal["ignore", "drop", "reassemble"] | FragmentPolicy:
    if isinstance(wanted, Mapping):
        return msgspec.convert(dict(wanted), FragmentPolicy) if wanted else "ignore"
    return wanted or "ignore"


def _v6_off(settings: Mapping[str, str]) -> bool:
    return settings["net.ipv6.conf.all.disable_ipv6"] == "1"


def _sysctl(key: str, value: str) -> None:
    Path("/proc/sys", *key.split(".")).write_text(value)


def _first_allowed(wishes: Sequence[str]) -> str:
    """Sets the first congestion control of `wishes` that the kernel lets this namespace have."""
    for wish in wishes:
        try:
            _sysctl("net.ipv4.tcp_congestion_control", wish)
        except OSError:
            continue
        return wish
    raise OSError(f"none of {', '.join(wishes)} may be the congestion control here")


def _ip(lines: list[str]) -> None:
    """Runs lines of iproute2's `ip`, all or none reported."""
    done = subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, capture_output=True, check=False)
    if done.returncode:
        raise OSError(f"ip: {done.stderr.strip()}")
