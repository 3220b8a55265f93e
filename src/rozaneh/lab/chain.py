"""A chain of censors as one judge: each packet goes through all of them, and what was done to it is written down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rozaneh.lab.api import DONE, PASS, Delay, Done, Drop, Inject, Pass, Probe, Probed, Replace, Verdict
from rozaneh.lab.clock import HOUR_S, LabClock
from rozaneh.lab.flows import Flow, FlowTable, Live
from rozaneh.lab.fragments import FragmentPolicy, Queue
from rozaneh.lab.packet import Packet, parse
from rozaneh.lab.rules import Rule, seeded

__all__ = ["MALFORMED", "Act", "Asked", "Chain", "Outcome", "Rule", "seeded"]

_TEXT = 300  # of an exception's text in an act


@dataclass(frozen=True, slots=True)
class Act:
    """One thing a rule did; `inside` and `outside` are the addresses of the flow it was done to."""

    rule: str
    action: Literal["drop", "inject", "replace", "delay", "probe", "error"]
    why: str
    flow: int
    packet: str
    inside: str = ""
    outside: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """A probe a rule asked for; `rule` is the rule's number in the chain."""

    rule: int
    probe: Probe


@dataclass(slots=True)
class Outcome:
    """What happens to one packet: what goes on (None: nothing), when, and what the censors send themselves.

    `more` are further packets that go on with it: the other fragments of a packet that was held back.
    """

    forward: bytes | None
    delay: float = 0.0
    injected: list[Inject] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    more: list[bytes] = field(default_factory=list)
    probes: list[Asked] = field(default_factory=list)


MALFORMED = Outcome(None)


class Chain:
    """Runs packets through rules in order. A dropped packet reaches none of the rules behind.

    Which rules a flow meets is settled with its first packet; a rule that says `DONE` is not asked again, and a flow
    that no rule wants any more costs one look-up. Only hours and stages are looked at with every packet.
    """

    def __init__(
        self, rules: Sequence[Rule], clock: LabClock | None = None, fragments: FragmentPolicy | None = None
    ) -> None:
        """Without a clock, the lab's day stands at noon at lab time 0 and raw time is lab time."""
        self._rules = tuple(rules)
        self._flows = FlowTable()
        self._clock = clock
        start = clock.now() if clock else 0.0
        self._start = start
        self._fragments = Queue(fragments) if fragments is not None and fragments.mode != "ignore" else None
        self._timed = [rule.gate if rule.gate is not None and rule.gate.timed else None for rule in self._rules]
        self._any = [index for index, rule in enumerate(self._rules) if not rule.protocol]
        self.errors = 0

    def __len__(self) -> int:
        return len(self._rules)

    @property
    def flows(self) -> int:
        """How many flows are remembered."""
        return len(self._flows)

    def judge(self, raw: bytes, outbound: bool, now: float, raw_time: float) -> Outcome | None:
        """What becomes of the packet `raw`; None when it goes on as it is, `MALFORMED` when it is not a packet.

        `raw` has at least 20 bytes.
        """
        # The common packets first: no IP options or extension headers, no fragments.
        flows = self._flows
        table = flows.outward if outbound else flows.inward
        flow: Flow | None = None
        if raw[0] == 0x45:
            protocol = raw[9]
            end = raw[2] << 8 | raw[3]
            if end <= len(raw) and not (raw[6] & 0x3F or raw[7]):
                at = 20
                if protocol == 6:
                    if end >= 40:
                        flow = table.get(raw[12:24] + b"\x06")
                elif protocol == 17 and end >= 28:
                    flow = table.get(raw[12:24] + b"\x11")
        elif raw[0] >> 4 == 6:
            protocol = raw[6]
            end = 40 + (raw[4] << 8 | raw[5])
            if end <= len(raw):
                at = 40
                if protocol == 6:
                    if end >= 60:
                        flow = table.get(raw[8:44] + b"\x06")
                elif protocol == 17 and end >= 48:
                    flow = table.get(raw[8:44] + b"\x11")
        if flow is None or now - flow.last > flows.idle or (protocol == 6 and raw[at + 13] & 0x12 == 2):
            packet = parse(raw, outbound)
            return MALFORMED if packet is None else self._slowly(packet, now, raw_time)
        flow.last = now
        if not flow.live:
            return None
        return self._ask(
            flow.live,
            Packet(raw, outbound, _NOTHING, protocol, at, end, raw_time, flow.inside_first, flow.key),
            now,
            flow,
        )

    def decide(self, packet: Packet, now: float, raw_time: float | None = None) -> Outcome:
        """What becomes of `packet` at lab time `now`; raw time is lab time unless it is given."""
        return self._slowly(packet, now, now if raw_time is None else raw_time) or Outcome(packet.raw)

    def timers(self, now: float) -> Outcome:
        """What the censors send of their own accord: calls every `timer` there is."""
        outcome = Outcome(None)
        for index, rule in enumerate(self._rules):
            timer = getattr(rule.censor, "timer", None)
            if timer is None:
                continue
            try:
                for action in timer(now) or ():
                    if isinstance(action, Inject):
                        outcome.injected.append(action)
                        outcome.acts.append(Act(rule.id, "inject", action.why, 0, "timer"))
                    elif isinstance(action, Probe):
                        outcome.probes.append(Asked(index, action))
                        outcome.acts.append(Act(rule.id, "probe", action.why, 0, "timer", outside=action.address))
                    else:
                        raise TypeError(f"a timer may only inject or probe, not {action!r}")
            except Exception as error:  # noqa: BLE001 - a user's censor may raise anything
                self.errors += 1
                outcome.acts.append(Act(rule.id, "error", _text(error), 0, "timer"))
        return outcome

    def probed(self, rule: int, result: Probed, now: float) -> Outcome:
        """Tells the rule of that number what came of its probe."""
        outcome = Outcome(None)
        told = getattr(self._rules[rule].censor, "probed", None)
        if told is None:
            return outcome
        try:
            told(result, now)
        except Exception as error:  # noqa: BLE001 - a user's censor may raise anything
            self.errors += 1
            outcome.acts.append(
                Act(self._rules[rule].id, "error", _text(error), 0, "probe", outside=result.probe.address)
            )
        return outcome

    @property
    def has_timers(self) -> bool:
        """Whether any censor wants its `timer` called."""
        return any(hasattr(rule.censor, "timer") for rule in self._rules)

    def _slowly(self, packet: Packet, now: float, raw_time: float) -> Outcome | None:
        """The same for a packet that begins a flow, has none, or is a fragment."""
        packet.raw_time = raw_time
        if self._fragments is not None and packet.ip.fragment:
            return self._of_fragment(self._fragments, packet, now)
        return self._whole(packet, now)

    def _whole(self, packet: Packet, now: float) -> Outcome | None:
        flow, before, new = self._flows.visit(packet, now)
        if flow is None:
            live: list[Live] = [
                (self._rules[index].censor.packet, {}, index) for index in self._any if self._rules[index].meets(packet)
            ]
            return self._ask(live, packet, now, None) if live else None
        packet.inside_first = flow.inside_first
        if new:
            self._begin(flow, before, packet)
        return self._ask(flow.live, packet, now, flow) if flow.live else None

    def _begin(self, flow: Flow, before: Flow | None, packet: Packet) -> None:
        """Settles which rules a new flow meets."""
        for index, rule in enumerate(self._rules):
            memory: dict[str, Any] = {}
            if rule.keeps_memory:
                memory = flow.memory[index] = before.memory[index] if before is not None else memory
            if rule.meets(packet):
                flow.live.append((rule.censor.packet, memory, index))

    def _of_fragment(self, queue: Queue, packet: Packet, now: float) -> Outcome | None:
        """Holds a fragment back, drops it, or lets all of a packet's fragments go on once they are there."""
        answer = queue.add(packet, now)
        if answer.why:
            return Outcome(None, acts=[_act("fragments", "drop", answer.why, 0, packet)])
        if not answer.released:
            return Outcome(None)
        first, *others = answer.released
        whole = parse(answer.whole, packet.outbound) if answer.whole else None
        if whole is not None:
            whole.raw_time = packet.raw_time
            outcome = self._whole(whole, now) or Outcome(whole.raw)
            if outcome.forward is whole.raw:  # untouched: it goes on as it came
                outcome.forward, outcome.more = first, others
            return outcome
        # Without a whole one to show, the rules see each fragment.
        joined = Outcome(None)
        for raw in answer.released:
            part = parse(raw, packet.outbound)
            if part is None:
                continue
            part.raw_time = packet.raw_time
            outcome = self._whole(part, now) or Outcome(raw)
            joined.delay = max(joined.delay, outcome.delay)
            joined.injected += outcome.injected
            joined.acts += outcome.acts
            joined.probes += outcome.probes
            if outcome.forward is None:
                continue
            if joined.forward is None:
                joined.forward = outcome.forward
            else:
                joined.more.append(outcome.forward)
        return joined

    def _ask(self, live: list[Live], packet: Packet, now: float, flow: Flow | None) -> Outcome | None:
        """Shows the packet to the rules of `live`; None when all of them let it pass."""
        outcome: Outcome | None = None
        timed = self._timed
        done: list[int] | None = None
        for method, memory, index in live:
            gate = timed[index]
            if gate is not None and not gate.open(now - self._start, self._hour(now)):
                continue
            packet.flow = memory
            try:
                verdict = method(packet, now)
                if verdict is PASS:
                    continue
                if verdict is DONE:
                    done = [index] if done is None else [*done, index]
                    continue
                if type(verdict) is Pass:
                    continue
                if type(verdict) is Done:
                    done = [index] if done is None else [*done, index]
                    continue
                if outcome is None:
                    outcome = Outcome(packet.raw)
                ends, stand_in = self._apply(index, verdict, packet, flow, outcome)
            except Exception as error:  # noqa: BLE001 - a user's censor may raise anything
                self.errors += 1
                if outcome is None:
                    outcome = Outcome(None)
                outcome.forward = None
                outcome.acts.append(
                    _act(self._rules[index].id, "error", _text(error), flow.number if flow else 0, packet)
                )
                break
            if ends:
                done = [index] if done is None else [*done, index]
            if outcome.forward is None:
                break
            if stand_in is not None:
                packet = stand_in
        if done is not None and flow is not None:
            flow.live = [entry for entry in flow.live if entry[2] not in done]
        return outcome

    def _hour(self, now: float) -> float:
        return self._clock.hour(now) if self._clock else (12.0 + now / HOUR_S) % 24

    def _apply(
        self, index: int, verdict: Verdict, packet: Packet, flow: Flow | None, outcome: Outcome
    ) -> tuple[bool, Packet | None]:
        """Notes a verdict's actions in `outcome`.

        Returns whether the rule has seen enough of the flow, and the packet that stands in for this one, if any.
        """
        rule = self._rules[index]
        actions = [verdict] if isinstance(verdict, Drop) else verdict
        if not isinstance(actions, (list, tuple)):
            raise TypeError(f"not a verdict: {verdict!r}")
        number = flow.number if flow else 0
        stand_in: Packet | None = None
        ends = False
        for action in actions:
            if rule.on_path and isinstance(action, (Drop, Replace, Delay)):
                self.errors += 1
                why = f"on the path it may not {type(action).__name__.lower()}: {action.why}"
                outcome.acts.append(_act(rule.id, "error", why, number, packet))
                continue
            match action:
                case Drop(why=why):
                    outcome.forward = None
                    outcome.acts.append(_act(rule.id, "drop", why, number, packet))
                case Inject(why=why):
                    if action.to not in ("in", "out") or parse(action.raw, action.to == "out") is None:
                        raise ValueError("Inject with what is not an IP packet, or to neither in nor out")
                    outcome.injected.append(action)
                    outcome.acts.append(_act(rule.id, "inject", why, number, packet))
                case Replace(raw=raw, why=why):
                    stand_in = parse(raw, packet.outbound)
                    if stand_in is None:
                        raise ValueError("Replace with what is not an IP packet")
                    stand_in.raw_time, stand_in.inside_first = packet.raw_time, packet.inside_first
                    if outcome.forward is not None:
                        outcome.forward = raw
                    outcome.acts.append(_act(rule.id, "replace", why, number, packet))
                case Delay(seconds=seconds, why=why):
                    outcome.delay += seconds
                    outcome.acts.append(_act(rule.id, "delay", why, number, packet))
                case Probe(why=why):
                    outcome.probes.append(Asked(index, action))
                    outcome.acts.append(_act(rule.id, "probe", why or action.kind, number, packet))
                case Done():
                    ends = True
                case Pass():
                    pass
                case _:
                    raise TypeError(f"not an action: {action!r}")
        return ends, stand_in


_NOTHING: dict[str, object] = {}  # replaced before any censor sees it


def _act(
    rule: str,
    action: Literal["drop", "inject", "replace", "delay", "probe", "error"],
    why: str,
    flow: int,
    packet: Packet,
) -> Act:
    return Act(rule, action, why, flow, packet.describe(), packet.inside, packet.outside)


def _text(error: BaseException) -> str:
    return repr(error)[:_TEXT]
