"""A rule that watches TCP flows for one thing and strikes where it finds it: what the name filters have in common.

A subclass says how to `read` a flow (through `watch.Watch`) and whether what was read is a `match`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from random import Random
from typing import Generic, Literal, TypeVar

from rozaneh.lab.api import DONE, PASS, Verdict
from rozaneh.lab.packet import Packet
from rozaneh.lab.strikes import Strike, StrikeSettings
from rozaneh.lab.watch import WAIT, Looking, Read, Watch, stateless

T = TypeVar("T")


class TcpFilter(ABC, Generic[T]):
    """One rule. `protocols` is what the chain shows it: all of it only where a whole reader can be banned."""

    protocols: Literal["tcp", "udp", "any"] = "tcp"

    def __init__(self, settings: StrikeSettings, rng: Random, read: Read[T]) -> None:
        self._watch = Watch(settings, rng, read)
        self._strike = Strike(settings, rng)
        self._done: Verdict = PASS if self._strike.wide else DONE
        self._stateless = stateless(settings)
        if settings.ban_s:
            self.protocols = "any"

    @abstractmethod
    def match(self, found: T, p: Packet) -> str | None:
        """Why the rule acts on what it read, in words a person understands; None where it does not."""

    def strike(self, found: T, p: Packet, now: float, why: str) -> Verdict:
        """What the match brings."""
        return self._strike.hit(p, now, why)

    def packet(self, p: Packet, now: float) -> Verdict:
        """Judges one packet: by what stood before, then by what it brings."""
        standing = self._strike.standing(p, now)
        if standing is not None:
            return standing
        flow = p.flow
        if "gone" in flow:
            return self._done
        found = self._watch.look(p, now)
        if found is WAIT:
            return PASS
        if isinstance(found, Looking):
            return self._gone(p)
        why = self.match(found, p)
        if why is None:
            return PASS if self._stateless else self._gone(p)
        return self.strike(found, p, now, why)

    def _gone(self, p: Packet) -> Verdict:
        """Nothing more will come of this flow, unless it was struck."""
        if "struck" in p.flow:
            return PASS
        if self._strike.wide:
            p.flow["gone"] = True
        return self._done
