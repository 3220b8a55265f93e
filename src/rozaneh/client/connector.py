"""Which way next: the reader's state machine, without sockets, clocks or randomness of its own.

::

    NEW ──start──▶ PROBING ──probe ok──▶ FETCHING ──roster──▶ SERVING
                    ▲   │                    │                 │  ▲
                    │   └─every way failed   └─refused ▶ ENDED │  └─refresh due: FETCHING and back
                    │            ▼                             │
                    └──timer── RESTING                         └─carrier failed: PROBING, this way first

``feed(event)`` gives the commands to perform; what they bring back is fed again. The table at the end lists every
pair of state and event that means something; any other pair is a late answer to a question nobody asks any more, and
changes nothing.

A candidate marked ``fetch_only`` (of an expired roster, or retired by a newer one) may fetch a roster, no more.

REALITY's hello carries the time, so a reader whose clock is wrong meets the cover. The cover says what time it is:
where that differs enough, the same way is tried once more with REALITY's timestamp corrected (``Correct``), and only
then counts as failed. Nothing else believes the correction, and it ends with the process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import cast

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.ways.grammar import Way

ROUNDS_BEFORE_GIVING_UP = 2  # at the start a person waits: two rounds, then the truth
_FIRST_REST = 2.0
_PACE = 5.0  # while a browser would open no third connection to one edge: asking the engine costs nothing
CLOCK_OFF = 90  # the edge takes ±120 s; the rest is for the way there and for whole seconds
_LONGEST_REST = 60.0  # a phone that comes out of a tunnel is back within a minute


@dataclass(frozen=True, slots=True)
class Candidate:
    """A way that may be tried, and whether it may only fetch a roster."""

    way: Way
    fetch_only: bool = False


# ---- events


@dataclass(frozen=True, slots=True)
class Start:
    """Begin."""


@dataclass(frozen=True, slots=True)
class ProbeOk:
    """A carrier of the way that was asked for is authenticated."""


@dataclass(frozen=True, slots=True)
class ProbeFailed:
    """The way did not come up; ``stage`` is how far it came.

    Where it was the cover that answered, ``offset`` is its date less this device's time, if it said one.
    """

    stage: str
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class RosterNew:
    """A verified, persisted roster with other ways than before, or with new permission to use them."""

    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class RosterUnchanged:
    """The edge handed out the roster that is known already."""


@dataclass(frozen=True, slots=True)
class RosterMissing:
    """No roster came."""


@dataclass(frozen=True, slots=True)
class RosterRefused:
    """What came broke a rule."""

    fault: Fault


@dataclass(frozen=True, slots=True)
class CarrierFailed:
    """The engine lost the way's carrier, or could not open one."""


@dataclass(frozen=True, slots=True)
class RefreshDue:
    """The roster is old enough to ask for a newer one."""


@dataclass(frozen=True, slots=True)
class TimerFired:
    """The rest is over."""


Event = (
    Start
    | ProbeOk
    | ProbeFailed
    | RosterNew
    | RosterUnchanged
    | RosterMissing
    | RosterRefused
    | CarrierFailed
    | RefreshDue
    | TimerFired
)

# ---- commands


@dataclass(frozen=True, slots=True)
class Probe:
    """Make sure that candidate number ``index`` has an authenticated carrier."""

    index: int


@dataclass(frozen=True, slots=True)
class Fetch:
    """Ask candidate number ``index`` for the roster."""

    index: int


@dataclass(frozen=True, slots=True)
class Adopt:
    """Use this list of candidates from now on."""

    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Serve:
    """Send programs' streams through candidate number ``index``."""

    index: int


@dataclass(frozen=True, slots=True)
class Correct:
    """Add ``seconds`` to this device's time in REALITY's timestamp from now on, and say so."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Rest:
    """Wait, then feed ``TimerFired``."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Warn:
    """Tell the person, and go on."""

    fault: Fault


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Tell the person, and end."""

    fault: Fault


Command = Probe | Fetch | Adopt | Serve | Correct | Rest | Warn | GiveUp


class State(Enum):
    """Where the connector stands."""

    NEW = auto()
    PROBING = auto()
    FETCHING = auto()
    SERVING = auto()
    RESTING = auto()
    ENDED = auto()


class Connector:
    """The state machine.

    Args:
        candidates: the ways, best first; never empty.
        jitter: gives a number in [0, 1) so that readers do not come back all at once.
    """

    def __init__(self, candidates: Sequence[Candidate], jitter: Callable[[], float]) -> None:
        if not candidates:
            raise ValueError("there is no way to try")
        self.candidates = tuple(candidates)
        self.state = State.NEW
        self.served: int | None = None
        self._jitter = jitter
        self._order: list[int] = []
        self._at = 0
        self._rounds = 0
        self._ever_served = False
        self._stages: list[str] = []
        self._adopted = 0
        self._offset = 0
        self._corrected = False
        self._paced = False

    def feed(self, event: Event) -> list[Command]:
        """What to do now that ``event`` has happened."""
        handler = TABLE.get((self.state, type(event)))
        return handler(self, event) if handler else []

    # ---- transitions; each returns commands and sets the state

    def _begin_round(self, _: Event) -> list[Command]:
        self.state = State.PROBING
        first = self.served if self.served is not None else 0
        self._order = [first, *(i for i in range(len(self.candidates)) if i != first)]
        self._at = 0
        self._stages = []
        self._corrected = False
        return [Probe(self._order[0])]

    def _probed(self, _: Event) -> list[Command]:
        self.state = State.FETCHING
        return [Fetch(self._order[self._at])]

    def _failed(self, event: Event) -> list[Command]:
        event = cast(ProbeFailed, event)
        off = event.offset is not None and abs(event.offset - self._offset) > CLOCK_OFF
        if event.stage == "cover" and off and not self._corrected:
            # Once a round: two covers that disagree about the time must not send us back and forth.
            self._corrected = True
            self._offset = cast(int, event.offset)
            return [Correct(self._offset), Probe(self._order[self._at])]
        if event.stage == "cover" and event.offset is None:
            return self._next_way(ProbeFailed("undated cover"))
        return self._next_way(event)

    def _next_way(self, event: Event) -> list[Command]:
        self._stages.append(event.stage if isinstance(event, ProbeFailed) else "roster")
        self._at += 1
        if self._at < len(self._order):
            self.state = State.PROBING
            return [Probe(self._order[self._at])]
        if "busy" in self._stages:
            return self._wait_as_a_browser_would()
        self._rounds += 1
        fault = explain(self._stages)
        if not self._ever_served and (self._rounds >= ROUNDS_BEFORE_GIVING_UP or fault.kind is FaultKind.EDGE_REFUSED):
            self.state = State.ENDED
            return [GiveUp(fault)]
        self.state = State.RESTING
        rest = min(_LONGEST_REST, _FIRST_REST * 2.0 ** min(self._rounds - 1, 10))
        commands: list[Command] = [Rest(rest * (0.5 + self._jitter() / 2))]
        if self._ever_served and self._rounds == 1:
            commands.insert(0, Warn(fault))
        return commands

    def _wait_as_a_browser_would(self) -> list[Command]:
        """The engine refused to dial so soon again: nothing has failed, so the round does not count."""
        self.state = State.RESTING
        commands: list[Command] = [Rest(_PACE * (0.5 + self._jitter() / 2))]
        if not self._paced:
            self._paced = True
            commands.insert(0, Warn(explain(["busy"])))
        return commands

    def _serve(self, _: Event) -> list[Command]:
        index = self._order[self._at]
        if self.candidates[index].fetch_only:
            return self._next_way(_)
        self.state = State.SERVING
        changed = self.served != index or self._rounds > 0
        self._rounds = 0
        self._adopted = 0
        self._paced = False
        self._ever_served = True
        self.served = index
        return [Serve(index)] if changed else []

    def _adopt(self, event: Event) -> list[Command]:
        event = cast(RosterNew, event)
        current = self.candidates[self._order[self._at]].way
        self.candidates = event.candidates
        self.served = None
        self._adopted += 1
        commands: list[Command] = [Adopt(event.candidates)]
        for index, candidate in enumerate(event.candidates):
            if candidate.way == current and not candidate.fetch_only:
                # The way that brought the roster is in it and its carrier is open: no reason to look further.
                self._order, self._at = [index], 0
                return commands + self._serve(event)
        if self._adopted > 2:
            # Rosters that keep replacing each other are an edge's mistake, or its game.
            return commands + self._next_way(ProbeFailed("roster"))
        return commands + self._begin_round(event)

    def _refused(self, event: Event) -> list[Command]:
        event = cast(RosterRefused, event)
        if self._ever_served:
            return [Warn(event.fault), *self._serve(event)]
        self.state = State.ENDED
        return [GiveUp(event.fault)]

    def _refresh(self, _: Event) -> list[Command]:
        serving = cast(int, self.served)  # SERVING is only reached through `_serve`, which sets it
        self.state = State.FETCHING
        self._order, self._at = [serving], 0
        return [Fetch(serving)]


def explain(stages: Sequence[str]) -> Fault:
    """The fault that a round of failed ways amounts to.

    A refused password outweighs the rest: the edge was reached. A connection that opens and then breaks inside TLS,
    or meets another certificate, points to somebody on the path. A cover that answers says that the path is open and
    the edge took us for a stranger. Silence does not tell who is silent.
    """
    if "auth" in stages:
        return Fault(
            FaultKind.EDGE_REFUSED,
            "The edge does not accept this invite",
            why="it was revoked, has expired, or is not for this edge",
        )
    if "pin" in stages:
        return Fault(
            FaultKind.INTERFERENCE,
            "Somebody else answers in the edge's place",
            why="the certificate is not the one in the invite",
        )
    if "certificate" in stages:
        return Fault(
            FaultKind.INTERFERENCE,
            "Somebody else answers in the edge's place, or this device's clock is far off",
            why="the certificate is neither the edge's nor one that a browser would accept today",
            hint="check the date and time; if they are right, try another network",
        )
    if "cover" in stages or "undated cover" in stages:
        clock = "" if "cover" in stages else "this device's clock is wrong, "
        return Fault(
            FaultKind.EDGE_REFUSED,
            "The website in front of the edge answered, and not the edge",
            why=f"{clock}the key or the name in the invite does not fit it any more, or it accepts nobody right now",
            hint="check the date and time, then ask for a new invite" if clock else None,
        )
    if "tls" in stages:
        return Fault(
            FaultKind.INTERFERENCE,
            "The connection to the edge opened and then broke",
            why="TLS stopped after the first message; filtering by name looks like this",
        )
    if stages and all(stage == "busy" for stage in stages):
        return Fault(
            FaultKind.EDGE_UNREACHABLE,
            "Waiting up to a minute before the next try",
            why="two connections to one site within a minute is what browsers make, and a third would stand out",
            hint="",
        )
    if "roster" in stages:
        return Fault(FaultKind.EDGE_UNREACHABLE, "The edge handed out no roster that may be used")
    return Fault(
        FaultKind.EDGE_UNREACHABLE, "No edge answered", why="it is down, its address is blocked, or this network is"
    )


Handler = Callable[[Connector, Event], list[Command]]

# Private methods are named here because the table is the machine: theory above, table below, one file.
TABLE: Mapping[tuple[State, type[Event]], Handler] = {
    (State.NEW, Start): Connector._begin_round,
    (State.PROBING, ProbeOk): Connector._probed,
    (State.PROBING, ProbeFailed): Connector._failed,
    (State.FETCHING, RosterNew): Connector._adopt,
    (State.FETCHING, RosterUnchanged): Connector._serve,
    (State.FETCHING, RosterMissing): Connector._serve,
    (State.FETCHING, RosterRefused): Connector._refused,
    (State.SERVING, CarrierFailed): Connector._begin_round,
    (State.SERVING, RefreshDue): Connector._refresh,
    (State.RESTING, TimerFired): Connector._begin_round,
}
