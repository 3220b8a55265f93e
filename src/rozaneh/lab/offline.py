"""A chain of censors with a clock that stands still and no sockets: timers, oracles and tables are tested with it.

`jump` moves the lab's clock alone, as a running middlebox's does; `wait` lets both clocks run on.
"""

from __future__ import annotations

from collections.abc import Sequence

from rozaneh.lab.api import Probe, Probed
from rozaneh.lab.chain import MALFORMED, Asked, Chain, Outcome
from rozaneh.lab.clock import LabClock, VirtualTime
from rozaneh.lab.fragments import FragmentPolicy
from rozaneh.lab.rules import Rule, RuleConfig, build

__all__ = ["MALFORMED", "Offline", "Outcome"]


class Offline:
    """A chain one packet at a time."""

    def __init__(
        self,
        rules: Sequence[RuleConfig | Rule],
        *,
        seed: int = 0,
        start: float = 0.0,
        time_of_day: float = 12.0,
        fragments: FragmentPolicy | None = None,
    ) -> None:
        self._raw = VirtualTime(start)
        self._clock = LabClock(time_of_day, self._raw)
        made = [rule if isinstance(rule, Rule) else build(rule, seed) for rule in rules]
        self.rules = made
        self.chain = Chain(made, self._clock, fragments)
        self._asked: list[Asked] = []

    @property
    def now(self) -> float:
        """Lab time."""
        return self._clock.now()

    @property
    def raw_now(self) -> float:
        """Raw time, which policers read."""
        return self._raw.value

    @property
    def hour(self) -> float:
        """The hour of the lab's day."""
        return self._clock.hour(self.now)

    @property
    def errors(self) -> int:
        """How often a rule raised, or did what it may not."""
        return self.chain.errors

    @property
    def probes(self) -> list[Probe]:
        """What the prober was asked for and `answer` has not answered, oldest first."""
        return [asked.probe for asked in self._asked]

    def jump(self, seconds: float) -> None:
        """Moves lab time forward."""
        self._clock.jump(seconds)

    def wait(self, seconds: float) -> None:
        """Lets raw time, and lab time with it, run on."""
        if seconds < 0:
            raise ValueError(f"time does not run back by {-seconds:g} s")
        self._raw.value += seconds

    def send(self, raw: bytes, outbound: bool = True) -> Outcome:
        """What becomes of a packet; `MALFORMED` when it is none."""
        if len(raw) < 20:
            return MALFORMED
        outcome = self.chain.judge(raw, outbound, self.now, self._raw.value)
        if outcome is None:
            return Outcome(raw)
        self._asked += outcome.probes
        return outcome

    def timers(self) -> Outcome:
        """Calls the censors' timers once."""
        outcome = self.chain.timers(self.now)
        self._asked += outcome.probes
        return outcome

    def answer(self, result: Probed) -> Outcome:
        """Tells the rule that asked for `result.probe` what came of it."""
        for asked in self._asked:
            if asked.probe is result.probe or asked.probe == result.probe:
                self._asked.remove(asked)
                return self.chain.probed(asked.rule, result, self.now)
        raise LookupError(f"nobody asked for {result.probe.kind} to {result.probe.address}")
