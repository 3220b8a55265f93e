"""What a censor is written with: its answers about a packet, and the packet's and the censor's shape.

A censor is a class with `__init__(self, params, rng)` and `packet(self, p, now)`, which returns `Pass()`, `Drop()` or a
list of actions. `p` is a `rozaneh.lab.packet.Packet`: `.raw` (from the IP header), `.outbound`, `.ip`, `.tcp` or
`.udp`, `.payload`, `.flow` (a dict of this censor's own that lives as long as the flow), `.raw_time` (real time, for
what kernels measure). `now` is the lab's clock in seconds, which may jump forward. `rng` is seeded: everything random
comes from it.

A censor may have more, all of it optional:

* `timer(self, now)`, called about twenty times a second and after each jump of the lab's clock, returns a list of
  `Inject` and `Probe`;
* `probed(self, result, now)` hears what came of its probes;
* `protocols`, a class attribute, `"tcp"`, `"udp"` or `"any"`: what it is shown; `"any"` includes ICMP and fragments;
* `own_tcb = True`, a class attribute: a second SYN on the same ports does not empty `p.flow`.

`DONE` says the same as `PASS`, and that the rest of the flow need not be shown: use it wherever it is true.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from rozaneh.lab.packet import Packet

__all__ = [
    "DONE",
    "PASS",
    "Action",
    "Censor",
    "Delay",
    "Done",
    "Drop",
    "Inject",
    "Params",
    "Pass",
    "Probe",
    "Probed",
    "Replace",
    "Verdict",
]

Params = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Pass:
    """The packet goes on unchanged."""


@dataclass(frozen=True, slots=True)
class Done:
    """The packet goes on unchanged, and this censor need not be shown the rest of its flow."""


PASS = Pass()
DONE = Done()


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


@dataclass(frozen=True, slots=True)
class Probe:
    """Has the active prober connect to `address` from an address of its own, `after` seconds of lab time from now.

    It sends `payload`, and the censor's `probed(result, now)` hears what came back; `kind` names the probe (R1, NR2).
    """

    address: str
    port: int
    payload: bytes
    kind: str
    after: float = 0.0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Probed:
    """What came of a `Probe`: how the server reacted, after how many seconds, with how many bytes."""

    probe: Probe
    reaction: Literal["data", "fin", "rst", "timeout", "refused"]
    seconds: float
    received: int


# What may stand in a verdict's list. `Pass` and `Done` there change nothing else in it.
Action = Pass | Done | Drop | Inject | Replace | Delay | Probe
Verdict = Pass | Done | Drop | Sequence[Action]


class Censor(Protocol):
    """The shape every censor has, ours and a user's."""

    def __init__(self, params: Params, rng: random.Random) -> None: ...

    def packet(self, p: Packet, now: float) -> Verdict:
        """Judges one packet."""
        ...
