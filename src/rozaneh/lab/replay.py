"""A capture through a chain again: the same capture, clock and seed give the same decisions.

The capture's own times are the clock, raw and lab alike. Which way a packet went is told by its addresses.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rozaneh.lab import pcap
from rozaneh.lab.api import Inject
from rozaneh.lab.chain import MALFORMED, Act, Chain, Outcome
from rozaneh.lab.clock import LabClock, VirtualTime
from rozaneh.lab.fragments import FragmentPolicy
from rozaneh.lab.packet import parse
from rozaneh.lab.router import TIMER_S
from rozaneh.lab.rules import Prefixes, RuleConfig, build


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of one packet of a capture, or (`number` -1) what a timer did on its own."""

    number: int
    time: float
    forward: bytes | None
    more: tuple[bytes, ...]
    delay: float
    injected: tuple[Inject, ...]
    acts: tuple[Act, ...]


def replay(
    capture: Path | Iterable[tuple[float, bytes]],
    rules: Sequence[RuleConfig],
    seed: int = 0,
    inside_prefixes: Sequence[str] = ("0.0.0.0/0", "::/0"),
    *,
    time_of_day: float = 12.0,
    fragments: FragmentPolicy | None = None,
) -> list[Decision]:
    """Every decision of the chain `rules` over a capture.

    Args:
        capture: A capture file, or its packets as (time, bytes) pairs. Times that run back count as the latest one.
        rules: The chain, in order.
        seed: What everything drawn at random comes from.
        inside_prefixes: Where a packet that leaves comes from; one whose source lies elsewhere comes in.
        time_of_day: The hour of the lab's day at the first packet.
        fragments: What becomes of IP fragments.
    """
    for prefix in inside_prefixes:
        ipaddress.ip_network(prefix)
    inside = Prefixes(tuple(inside_prefixes))
    raw_clock = VirtualTime()
    chain: Chain | None = None
    first = 0.0
    next_timer = TIMER_S
    decisions: list[Decision] = []
    for number, (when, raw) in enumerate(pcap.read(capture) if isinstance(capture, Path) else capture):
        if chain is None:
            first = when
            chain = Chain([build(rule, seed) for rule in rules], LabClock(time_of_day, raw_clock), fragments)
        now = max(raw_clock.value, when - first)
        while chain.has_timers and next_timer <= now:
            made = chain.timers(next_timer)
            if made.injected or made.acts:
                decisions.append(_decision(-1, next_timer, made))
            next_timer += TIMER_S
        raw_clock.value = now
        packet = parse(raw, True)
        if packet is None:
            decisions.append(_decision(number, now, MALFORMED))
            continue
        outcome = chain.judge(raw, packet.ip.src_bytes in inside, now, now)
        decisions.append(_decision(number, now, outcome or Outcome(raw)))
    return decisions


def _decision(number: int, now: float, outcome: Outcome) -> Decision:
    return Decision(
        number,
        now,
        outcome.forward,
        tuple(outcome.more),
        outcome.delay,
        tuple(outcome.injected),
        tuple(outcome.acts),
    )
