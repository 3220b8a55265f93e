"""What a censor is written with: its answers about a packet, and the packet's and the censor's shape.

A censor is a class with `__init__(self, params, rng)` and `packet(self, p, now)`, which returns `Pass()`, `Drop()` or a
list of actions; `timer(self, now)` may be there too and returns a list of actions. `p` is a
`rozaneh.lab.packet.Packet`: `.raw` (from the IP header), `.outbound`, `.ip`, `.tcp` or `.udp`, `.payload`, and `.flow`,
a dict of this censor's own that lives as long as the flow. `now` is the lab's clock in seconds.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from rozaneh.lab.packet import Packet

__all__ = ["Action", "Censor", "Delay", "Drop", "Inject", "Params", "Pass", "Replace", "Verdict"]

Params = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Pass:
    """The packet goes on unchanged."""


@dataclass(frozen=True, slots=True)
class Drop:
    """The packet goes no further. `why` is shown in the timeline."""

    why: str = ""


@dataclass(frozen=True, slots=True)
class Inject:
    """Sends a packet of the censor's own making, from its IP header on, `delay` seconds (of real time) from now."""

    raw: bytes
    to: Literal["in", "out"] = "in"
    delay: float = 0.0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Replace:
    """Another packet goes on in this one's place, and the censors further down see that one."""

    raw: bytes
    why: str = ""


@dataclass(frozen=True, slots=True)
class Delay:
    """The packet goes on `seconds` (of real time) later."""

    seconds: float
    why: str = ""


Action = Pass | Drop | Inject | Replace | Delay
Verdict = Pass | Drop | Sequence[Action]


class Censor(Protocol):
    """The shape every censor has, ours and a user's."""

    def __init__(self, params: Params, rng: random.Random) -> None: ...

    def packet(self, p: Packet, now: float) -> Verdict:
        """Judges one packet."""
        ...
