"""Sends the probes: every probe of a round to all servers of its group at about the same moment, in shuffled order.

What a busy machine does to one server it does to its neighbours then, and no server is always asked first.
"""

from __future__ import annotations

import functools
import resource
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from rozaneh.lab.isolate import Failed
from rozaneh.lab.tell.battery import Probe
from rozaneh.lab.tell.seen import Seen
from rozaneh.lab.tell.talk import Hear, Inside, Leave, Offer, Say
from rozaneh.lab.tell.verdict import differences
from rozaneh.lab.tell.visits import Place, Visits

# A difference that was there in every round is asked for so often again before it counts.
AGAIN = 6

# Connections begun a second. A busy prober or server says more about its machine than about what it runs.
PER_SECOND = 250.0

# A page takes no longer, however busy the machine is.
_PAGE_S = 20.0

Note = Callable[[str], None]


class SilentServer(Failed):
    """A server stopped answering during a trial."""


@dataclass(slots=True)
class Group:
    """Servers that get the same probes.

    Attributes:
        name: What it is called.
        probes: What they are asked.
        places: Where each server stands, by name.
        pairs: Servers that are compared with each other: differences between them are asked for again.
        refill: Called before a round with how many times its probes will be asked: they use something up.
        answers: What each said, by server and probe, one a round.
        again: The same for what was asked again.
    """

    name: str
    probes: Sequence[Probe]
    places: dict[str, Place]
    pairs: Sequence[tuple[str, str]]
    refill: Callable[[int], None] | None = None
    answers: dict[str, dict[str, list[Seen]]] = field(default_factory=dict)
    again: dict[str, dict[str, list[Seen]]] = field(default_factory=dict)

    @property
    def families(self) -> dict[str, str]:
        """Which family each probe belongs to."""
        return {probe.name: probe.family for probe in self.probes}


def ask(groups: Sequence[Group], *, rounds: int, observe: float, most: int, seed: int, note: Note) -> None:
    """Asks everything `rounds` times, and again what differed each time between the two servers of a pair."""
    _allow_many_files()
    for turn in range(rounds):
        _round(groups, 1, observe, most, Random(f"{seed}/{turn}/order"))  # noqa: S311 - the same seed, the same order
        note(f"round {turn + 1} of {rounds} is over")
    repeated = []
    for group in groups:
        names = {
            one.probe for here, there in group.pairs for one in differences(group.answers[here], group.answers[there])
        }
        probes = [probe for probe in group.probes if probe.name in names]
        if probes:
            repeated.append(Group(group.name, probes, group.places, (), group.refill, group.again))
    note(f"asking again: {sum(len(one.probes) for one in repeated)} probes")
    _round(repeated, AGAIN, observe, most, Random(f"{seed}/again"))  # noqa: S311 - as above
    dumb = silent({server: place for group in groups for server, place in group.places.items()})
    if dumb:
        raise SilentServer(f"no page from {', '.join(dumb)} in the end: what was seen before says nothing")


def silent(places: Mapping[str, Place]) -> list[str]:
    """The servers that answer an ordinary request with nothing: all else that was seen of them is worthless."""
    heard: dict[str, Seen] = {}
    visits = Visits()
    for server, place in places.items():
        talk = Inside(Offer(None, ("http/1.1",)), [Say(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), Hear(), Leave()])
        visits.begin(talk, place, _PAGE_S, functools.partial(heard.__setitem__, server))
    visits.run()
    return [server for server, seen in heard.items() if not seen.size]


def _round(groups: Sequence[Group], times: int, observe: float, most: int, rng: Random) -> None:
    """Every probe of every group to all its servers, so many times; what is used up goes first, while it is fresh."""
    visits = Visits(most=most, per_second=PER_SECOND)
    for group in groups:
        if group.refill:
            group.refill(len(group.probes) * times)
    order = [(group, probe) for group in groups for probe in group.probes for _ in range(times)]
    rng.shuffle(order)
    order.sort(key=lambda one: one[0].refill is None)
    for group, probe in order:
        places = list(group.places.items())
        rng.shuffle(places)
        for server, place in places:
            kept = group.answers.setdefault(server, {}).setdefault(probe.name, [])
            visits.begin(probe.talk(), place, observe, kept.append)
    visits.run()


def _allow_many_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
