"""A rule as data: which censor, with which parameters, and the gates that decide whether a flow meets it at all.

Gates are the chain's, not the censors': addresses on both sides ("AS" variants, reputation lists), a share of flows or
paths (primitive E11, CN-11), hours of the day and stages of a roll-out (E8), and one version of IP.
"""

from __future__ import annotations

import hashlib
import ipaddress
from random import Random
from typing import Any, Literal

import msgspec

from rozaneh.lab import censors, usercensor
from rozaneh.lab.api import Censor
from rozaneh.lab.packet import TCP, UDP, Packet

_KNOWN_ADDRESSES = 65_536
_PROTOCOLS = {"any": 0, "tcp": TCP, "udp": UDP}

ShareBy = Literal["flow", "path", "destination", "connection"]


class RuleConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One censor of the chain, and when it is asked.

    Attributes:
        id: What its acts are reported under; a catalogue id where there is one.
        kind: A kind of `rozaneh.lab.censors`; empty with `file`.
        file: A Python file with a class `Censor`, instead of a kind.
        params: The censor's own parameters.
        on_path: It sees copies: it may inject, and neither drop, replace nor delay (E4).
        outside: Prefixes the address on the far side must lie in; empty means all.
        outside_not: Prefixes it must not lie in.
        inside: Prefixes the address on the readers' side must lie in; empty means all.
        inside_not: Prefixes it must not lie in.
        share: The share of flows that meet the rule.
        share_by: What a share is drawn by: a hash of the flow's five-tuple, of its two addresses, of its outside
            address, or (`connection`) a new draw for each flow.
        hours: Spans of the lab's day in hours, each from (included) to (excluded); a span may pass midnight.
        since: Lab seconds after the chain's start from which the rule is in force.
        until: Lab seconds after the chain's start from which it no longer is; 0 means never.
        version: 4 or 6 for one version of IP, 0 for both.
    """

    id: str
    kind: str = ""
    params: dict[str, Any] = {}
    file: str = ""
    on_path: bool = False
    outside: tuple[str, ...] = ()
    outside_not: tuple[str, ...] = ()
    inside: tuple[str, ...] = ()
    inside_not: tuple[str, ...] = ()
    share: float = 1.0
    share_by: ShareBy = "flow"
    hours: tuple[tuple[float, float], ...] = ()
    since: float = 0.0
    until: float = 0.0
    version: Literal[0, 4, 6] = 0


class Prefixes:
    """Whether an address lies in one of some networks; remembers the answers."""

    def __init__(self, prefixes: tuple[str, ...]) -> None:
        self._networks = [ipaddress.ip_network(prefix) for prefix in prefixes]
        self._known: dict[bytes, bool] = {}

    def __bool__(self) -> bool:
        return bool(self._networks)

    def __contains__(self, packed: bytes) -> bool:
        known = self._known.get(packed)
        if known is None:
            address = ipaddress.ip_address(packed)
            known = any(address in network for network in self._networks)
            if len(self._known) >= _KNOWN_ADDRESSES:
                self._known.clear()
            self._known[packed] = known
        return known


class Gate:
    """Which flows meet a rule, and when."""

    def __init__(self, config: RuleConfig, seed: int) -> None:
        if not 0 <= config.share <= 1:
            raise ValueError(f"rule {config.id!r}: share is {config.share:g}, it must lie between 0 and 1")
        for begin, end in config.hours:
            if not (0 <= begin <= 24 and 0 <= end <= 24):
                raise ValueError(f"rule {config.id!r}: hours run from 0 to 24, not {begin:g} to {end:g}")
        if config.since < 0 or config.until < 0:
            raise ValueError(f"rule {config.id!r}: since and until are seconds after the start, not below 0")
        try:
            self._outside, self._outside_not = Prefixes(config.outside), Prefixes(config.outside_not)
            self._inside, self._inside_not = Prefixes(config.inside), Prefixes(config.inside_not)
        except ValueError as error:
            raise ValueError(f"rule {config.id!r}: {error}") from error
        self._version = config.version
        self._share, self._share_by = config.share, config.share_by
        self._salt = f"{seed}/{config.id}/share/".encode()
        self._rng = Random(f"{seed}/{config.id}/share")  # noqa: S311 - repeatability is the point
        self._hours, self._since, self._until = config.hours, config.since, config.until
        self.timed = bool(config.hours or config.since or config.until)

    def admits(self, packet: Packet) -> bool:
        """Whether the flow that `packet` belongs to meets the rule; asked once a flow."""
        ip = packet.ip
        if self._version and ip.version != self._version:
            return False
        inside, outside = packet.inside_bytes, packet.outside_bytes
        if self._outside and outside not in self._outside:
            return False
        if self._outside_not and outside in self._outside_not:
            return False
        if self._inside and inside not in self._inside:
            return False
        if self._inside_not and inside in self._inside_not:
            return False
        return self._share >= 1 or self._drawn(packet, inside, outside)

    def open(self, elapsed: float, hour: float) -> bool:
        """Whether the rule is in force `elapsed` lab seconds after the start, at `hour` of the lab's day."""
        if elapsed < self._since or (self._until and elapsed >= self._until):
            return False
        if not self._hours:
            return True
        return any(begin <= hour < end if begin <= end else hour >= begin or hour < end for begin, end in self._hours)

    def _drawn(self, packet: Packet, inside: bytes, outside: bytes) -> bool:
        if self._share_by == "connection":
            return self._rng.random() < self._share
        if self._share_by == "destination":
            drawn = outside
        elif self._share_by == "path":
            drawn = inside + outside
        else:
            drawn = packet.flow_key() or inside + outside
        value = int.from_bytes(hashlib.blake2b(self._salt + drawn, digest_size=8).digest(), "big")
        return value < self._share * 2**64


class Rule:
    """One censor in the chain, under the id its acts are reported with."""

    __slots__ = ("censor", "gate", "id", "keeps_memory", "on_path", "protocol")

    def __init__(self, id: str, censor: Censor, gate: Gate | None = None, on_path: bool = False) -> None:
        self.id = id
        self.censor = censor
        self.gate = gate
        self.on_path = on_path
        wanted = getattr(censor, "protocols", "any")
        if wanted not in _PROTOCOLS:
            raise ValueError(f"rule {id!r}: protocols is {wanted!r}, it may be any, tcp or udp")
        self.protocol = _PROTOCOLS[wanted]
        # A censor with a connection model of its own decides itself what a second SYN on the same ports means.
        self.keeps_memory = bool(getattr(censor, "own_tcb", False))

    def meets(self, packet: Packet) -> bool:
        """Whether the flow of `packet` meets this rule."""
        if self.protocol and packet.protocol != self.protocol:
            return False
        return self.gate is None or self.gate.admits(packet)


def seeded(seed: int, rule: str) -> Random:
    """The random numbers of one rule: the same for the same seed, whatever other rules stand beside it."""
    return Random(f"{seed}/{rule}")  # noqa: S311 - repeatability is the point


def build(config: RuleConfig, seed: int) -> Rule:
    """The rule `config` describes; `ValueError` says what is wrong with it."""
    gate = Gate(config, seed)
    rng = seeded(seed, config.id)
    if bool(config.file) == bool(config.kind):
        raise ValueError(f"rule {config.id!r} needs a kind or a file, and not both")
    try:
        if config.file:
            return Rule(config.id, usercensor.load(config.file)(config.params, rng), gate, config.on_path)
        return Rule(config.id, censors.make(config.kind, config.params, rng), gate, config.on_path)
    except (ValueError, OSError) as error:
        raise ValueError(f"rule {config.id!r}: {error}") from error
