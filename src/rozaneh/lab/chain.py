"""A chain of censors as one judge: each packet goes through all of them, and what was done to it is written down."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Literal

from rozaneh.lab.api import Censor, Delay, Drop, Inject, Pass, Replace, Verdict
from rozaneh.lab.flows import FlowTable
from rozaneh.lab.packet import Packet, parse


@dataclass(frozen=True, slots=True)
class Rule:
    """One censor in the chain, under the id its acts are reported with."""

    id: str
    censor: Censor


@dataclass(frozen=True, slots=True)
class Act:
    """One thing a rule did."""

    rule: str
    action: Literal["drop", "inject", "replace", "delay", "error"]
    why: str
    flow: int
    packet: str


@dataclass(slots=True)
class Outcome:
    """What happens to one packet: what goes on (None: nothing), when, and what the censors send themselves."""

    forward: bytes | None
    delay: float = 0.0
    injected: list[Inject] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)


class Chain:
    """Runs packets through rules in order. A dropped packet reaches none of the rules behind."""

    def __init__(self, rules: list[Rule]) -> None:
        self._rules = rules
        self._flows = FlowTable(len(rules))
        self.errors = 0

    def decide(self, packet: Packet, now: float) -> Outcome:
        """What becomes of `packet` at lab time `now`."""
        outcome = Outcome(packet.raw)
        flow = self._flows.find(packet, now)
        number = flow.number if flow else 0
        for index, rule in enumerate(self._rules):
            if flow is not None:
                packet.flow = flow.memory[index]
            try:
                verdict = rule.censor.packet(packet, now)
                if type(verdict) is Pass:
                    continue
                replaced = self._apply(rule.id, verdict, packet, number, outcome)
            except Exception as error:  # noqa: BLE001 - a user's censor may raise anything
                self.errors += 1
                outcome.forward = None
                outcome.acts.append(Act(rule.id, "error", repr(error), number, packet.describe()))
                return outcome
            if outcome.forward is None:
                return outcome
            if replaced is not None:
                packet = replaced
        return outcome

    def timers(self, now: float) -> Outcome:
        """What the censors send of their own accord: calls every `timer` there is."""
        outcome = Outcome(None)
        for rule in self._rules:
            timer = getattr(rule.censor, "timer", None)
            if timer is None:
                continue
            try:
                for action in timer(now):
                    if not isinstance(action, Inject):
                        raise TypeError(f"a timer may only inject, not {action!r}")
                    outcome.injected.append(action)
                    outcome.acts.append(Act(rule.id, "inject", action.why, 0, "timer"))
            except Exception as error:  # noqa: BLE001 - a user's censor may raise anything
                self.errors += 1
                outcome.acts.append(Act(rule.id, "error", repr(error), 0, "timer"))
        return outcome

    @property
    def has_timers(self) -> bool:
        """Whether any censor wants its `timer` called."""
        return any(hasattr(rule.censor, "timer") for rule in self._rules)

    def _apply(self, rule: str, verdict: Verdict, packet: Packet, flow: int, outcome: Outcome) -> Packet | None:
        """Notes a verdict's actions in `outcome`; returns the packet that stands in for this one, if any."""
        actions = [verdict] if isinstance(verdict, Drop) else verdict
        if isinstance(actions, Pass):
            return None
        stand_in: Packet | None = None
        text = packet.describe()
        for action in actions:
            match action:
                case Drop(why=why):
                    outcome.forward = None
                    outcome.acts.append(Act(rule, "drop", why, flow, text))
                case Inject(why=why):
                    outcome.injected.append(action)
                    outcome.acts.append(Act(rule, "inject", why, flow, text))
                case Replace(raw=raw, why=why):
                    stand_in = parse(raw, packet.outbound)
                    if stand_in is None:
                        raise ValueError("Replace with what is not an IP packet")
                    if outcome.forward is not None:
                        outcome.forward = raw
                    outcome.acts.append(Act(rule, "replace", why, flow, text))
                case Delay(seconds=seconds, why=why):
                    outcome.delay += seconds
                    outcome.acts.append(Act(rule, "delay", why, flow, text))
                case Pass():
                    pass
                case _:
                    raise TypeError(f"not an action: {action!r}")
        return stand_in


def seeded(seed: int, rule: str) -> random.Random:
    """The random numbers of one rule: the same for the same seed, whatever other rules stand beside it."""
    return random.Random(f"{seed}/{rule}")  # noqa: S311 - repeatability is the point
