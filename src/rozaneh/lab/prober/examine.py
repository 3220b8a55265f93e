"""Probes one server with everything at once and says what it gives away, alone or beside a reference server.

Outside the lab (see `control`) a server is probed only after its address has served a token, with at most five
connections a second and 300 in all, the reference server included.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from rozaneh.lab.prober import control, probes, thresholds, trees
from rozaneh.lab.prober.attempt import OBSERVE_S, Attempt, Reaction
from rozaneh.lab.prober.control import Challenge
from rozaneh.lab.prober.pacing import Pace
from rozaneh.lab.prober.simulated import Clock, Server
from rozaneh.lab.prober.simulated import run as simulate
from rozaneh.lab.prober.sockets import Sockets
from rozaneh.lab.prober.thresholds import Thresholds

SCHEMA = "rozaneh.lab.probe/1"

# Ends this close in time count as the same: a second, or a tenth of the longer one.
_SAME_S = 1.0
_SAME_PART = 0.1

Prove = Callable[[Challenge], str]


class Target(Protocol):
    """A server that can be sent payloads, each on a connection of its own."""

    def react(self, payloads: Mapping[str, bytes], observe: float) -> dict[str, Reaction]:
        """The reaction to each payload."""
        ...


class Reached:
    """A server at an address, reached by this kernel's sockets."""

    def __init__(self, address: str, port: int, pace: Pace, *, most: int = 64) -> None:
        self.address, self.port = address, port
        self._pace = pace
        self._most = most

    def react(self, payloads: Mapping[str, bytes], observe: float) -> dict[str, Reaction]:
        """Connects at the allowed pace; the connections then stand side by side."""
        reactions: dict[str, Reaction] = {}
        sockets = Sockets(most=self._most)
        waiting = list(payloads.items())
        try:
            while waiting or sockets.busy:
                if waiting and not self._pace.wait_s():
                    self._pace.take()
                    name, payload = waiting.pop(0)
                    sockets.begin(Attempt(payload, observe=observe), self.address, self.port, _into(reactions, name))
                    continue
                sockets.step(min(60.0, self._pace.wait_s()) if waiting else 60.0)
        finally:
            sockets.close()
        return {name: reactions[name] for name in payloads}


def _into(reactions: dict[str, Reaction], name: str) -> Callable[[Attempt], None]:
    def done(attempt: Attempt) -> None:
        if attempt.reaction is not None:
            reactions[name] = attempt.reaction

    return done


class Modelled:
    """A toy server on a clock that jumps."""

    def __init__(self, server: Server, clock: Clock, rng: Random) -> None:
        self._server, self._clock, self._rng = server, clock, rng

    def react(self, payloads: Mapping[str, bytes], observe: float) -> dict[str, Reaction]:
        """One connection after the other; lab time passes, ours does not."""
        return {
            name: simulate(self._server, Attempt(payload, observe=observe), self._clock, self._rng)
            for name, payload in payloads.items()
        }


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which two servers differ."""

    what: str
    here: str
    there: str


@dataclass(frozen=True, slots=True)
class Report:
    """What probing one server showed.

    Attributes:
        where: The server, as `ADDR:PORT` or a model's name.
        observed: Seconds each connection was watched for; see `conclusive`.
        reactions: By probe, in the order sent.
        against: For each tree of NDSS'20 what speaks against it; empty text: it names this server.
        thresholds: Byte counts it closes at, when they were looked for.
        proof: Where the token was found; empty where none was needed.
        like: The same for the reference server.
        differences: How the two differ.
    """

    where: str
    observed: float
    reactions: dict[str, Reaction]
    against: dict[str, str]
    thresholds: Thresholds | None = None
    proof: str = ""
    like: Report | None = None
    differences: list[Difference] = field(default_factory=list)

    @property
    def identified(self) -> list[str]:
        """The trees that name this server."""
        return [name for name, why in self.against.items() if not why]

    @property
    def conclusive(self) -> bool:
        """Whether it was watched for as long as the trees' authors did; in less time a slow server looks silent."""
        return self.observed >= OBSERVE_S

    def as_json(self) -> dict[str, Any]:
        """The report as plain data."""
        reactions = {
            name: {
                "reaction": one.kind,
                "seconds": round(one.seconds, 3),
                "received": one.received,
                "closed": one.closed,
                "closed_s": round(one.closed_s, 3),
            }
            for name, one in self.reactions.items()
        }
        limits = self.thresholds
        return {
            "schema": SCHEMA,
            "server": self.where,
            "observed_s": self.observed,
            "conclusive": self.conclusive,
            "reactions": reactions,
            "trees": [
                {"proxy": name, "identified": not why, "against": why or None} for name, why in self.against.items()
            ],
            "identified": self.identified,
            "thresholds": None
            if limits is None
            else {"close": limits.close, "end": limits.end, "reset": limits.reset, "stable": limits.stable},
            "proof": self.proof or None,
            "like": self.like.as_json() if self.like else None,
            "differences": [{"what": one.what, "here": one.here, "there": one.there} for one in self.differences],
        }


def examine(
    target: Target, where: str, *, observe: float = OBSERVE_S, seed: int = 0, limits: bool = True, host: str = ""
) -> Report:
    """Sends the thirteen probes and three more, and looks for close thresholds when `limits` is set."""
    messages = [*probes.standard(seed, host), *(probes.make(name, seed) for name in probes.EXTRA)]
    reactions = target.react({message.name: message.payload for message in messages}, observe)
    found = None
    if limits:

        def send(count: int, number: int) -> Reaction:
            junk = Random(f"{seed}/{number}/threshold").randbytes(count)  # noqa: S311 - reproducible junk
            return target.react({"": junk}, min(observe, thresholds.WITHIN_S))[""]

        found = thresholds.find(send)
    return Report(where, observe, reactions, trees.against(reactions), found)


def compare(here: Report, there: Report) -> list[Difference]:
    """Where two servers react differently, probe by probe and in their thresholds."""
    found = []
    for name in here.reactions.keys() & there.reactions.keys():
        mine, other = here.reactions[name], there.reactions[name]
        if not _alike(mine, other):
            found.append(Difference(name, mine.short(), other.short()))
    order = {name: index for index, name in enumerate(here.reactions)}
    found.sort(key=lambda one: order[one.what])
    one, two = here.thresholds, there.thresholds
    if one and two:
        for what, mine_count, other_count in (
            ("closes after bytes", one.close, two.close),
            ("resets after bytes", one.reset, two.reset),
        ):
            if mine_count != other_count and one.stable and two.stable:
                found.append(Difference(what, _count(mine_count), _count(other_count)))
    return found


def _alike(one: Reaction, two: Reaction) -> bool:
    if (one.kind, one.closed, one.received) != (two.kind, two.closed, two.received):
        return False
    longer = max(one.closed_s, two.closed_s)
    return abs(one.closed_s - two.closed_s) <= max(_SAME_S, _SAME_PART * longer)


def _count(value: int | None) -> str:
    return "never" if value is None else str(value)


def probe(
    address: str,
    port: int,
    *,
    like: tuple[str, int] | None = None,
    observe: float = OBSERVE_S,
    seed: int = 0,
    limits: bool = True,
    prove: Prove | None = None,
) -> Report:
    """Probes the server at `address` and, with `like`, a reference server, and compares them.

    Args:
        address: A name or an address; a name is looked up once.
        port: Its TCP port.
        like: The reference server.
        observe: Seconds to watch each connection for.
        seed: Of the random probes; the same seed sends the same bytes.
        limits: Whether to look for close thresholds too (some 25 to 45 connections, three seconds each at most).
        prove: Called with a challenge for each address that needs proof; tells the person, waits, and returns
            `control.prove(challenge)`. Without it such addresses raise `control.NotProven`.
    """
    resolved = resolve(address, port)
    other = (resolve(*like), like[1]) if like else None
    proofs = {each: proof(each, prove) for each in dict.fromkeys([resolved, *([other[0]] if other else [])])}
    pace = Pace() if any(proofs.values()) else Pace(None, None)
    mine = _examined(resolved, port, pace, observe, seed, limits, proofs[resolved])
    if other is None:
        return mine
    theirs = _examined(other[0], other[1], pace, observe, seed, limits, proofs[other[0]])
    return Report(
        mine.where,
        mine.observed,
        mine.reactions,
        mine.against,
        mine.thresholds,
        mine.proof,
        theirs,
        compare(mine, theirs),
    )


def _examined(address: str, port: int, pace: Pace, observe: float, seed: int, limits: bool, proof: str) -> Report:
    host = f"[{address}]" if ":" in address else address
    found = examine(
        Reached(address, port, pace), f"{host}:{port}", observe=observe, seed=seed, limits=limits, host=host
    )
    return Report(found.where, found.observed, found.reactions, found.against, found.thresholds, proof)


def reach(address: str, port: int, prove: Prove | None = None) -> Reached:
    """The server at `address` once it may be probed, with the pace that holds there (see `probe` for `prove`)."""
    resolved = resolve(address, port)
    return Reached(resolved, port, Pace() if proof(resolved, prove) else Pace(None, None))


def proof(address: str, prove: Prove | None) -> str:
    """Where the token was found; empty where none is needed; `NotProven` when there is no proof of control."""
    if control.exempt(address):
        return ""
    asked = control.challenge(address)
    if prove is None:
        raise control.NotProven(asked.instructions())
    found = prove(asked)
    if not found:  # an empty answer must never pass for "not needed"
        raise control.NotProven(f"nothing proves that {address} may be probed")
    return found


def resolve(address: str, port: int) -> str:
    """The address behind a name, looked up once; an address is given back."""
    found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)
    return str(found[0][4][0])
