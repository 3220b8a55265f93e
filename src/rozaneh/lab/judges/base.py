"""What a judge says of a capture: flow by flow, host by host, and rates with their 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

# Two-sided 95 % of the normal distribution.
_Z = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Flagged:
    """A judge's verdict on one flow.

    Attributes:
        flow: The flow as text.
        host: Its server, address and port.
        flagged: Whether the judge takes it for a tunnel.
        why: What it saw, in a few words.
        judged: False when the flow has not enough for this judge; such flows count nowhere.
        began: Unix time of its first packet.
        details: What else the judge can tell (a fingerprint, a distance).
    """

    flow: str
    host: str
    flagged: bool
    why: str
    judged: bool = True
    began: float = 0.0
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rate:
    """So many of so many, with the Wilson interval of 95 %."""

    flagged: int
    of: int

    @property
    def share(self) -> float | None:
        """The rate; None of nothing."""
        return self.flagged / self.of if self.of else None

    @property
    def interval(self) -> tuple[float, float]:
        """Where the rate lies with 95 % confidence."""
        return wilson(self.flagged, self.of)

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        low, high = self.interval
        return {"flagged": self.flagged, "of": self.of, "interval95": [round(low, 5), round(high, 5)]}


@dataclass(frozen=True, slots=True)
class Judgement:
    """A judge's verdict on a capture.

    Attributes:
        judge: Its name.
        verdicts: By flow, in the order they began.
        hosts: By host, whether the accumulated evidence flags it (see `hosts.accumulate`).
        basis: What its parameters rest on: published, or fitted in the lab.
        version: Of an outside program, empty for our own.
    """

    judge: str
    verdicts: list[Flagged]
    hosts: dict[str, bool]
    basis: str
    version: str = ""

    @property
    def flows(self) -> Rate:
        """Flows flagged, of those that could be judged."""
        judged = [one for one in self.verdicts if one.judged]
        return Rate(sum(one.flagged for one in judged), len(judged))

    @property
    def host_rate(self) -> Rate:
        """Hosts flagged, of those with a flow that could be judged."""
        return Rate(sum(self.hosts.values()), len(self.hosts))

    def row(self, subject: str) -> dict[str, Any]:
        """The line of the lab's report: `{"judge","subject","flagged","of"}`."""
        rate = self.flows
        return {"judge": self.judge, "subject": subject, "flagged": rate.flagged, "of": rate.of}

    def as_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        return {
            "judge": self.judge,
            "basis": self.basis,
            "version": self.version or None,
            "flows": self.flows.as_json(),
            "hosts": self.host_rate.as_json() | {"flagged_hosts": [host for host, bad in self.hosts.items() if bad]},
            "verdicts": [
                {
                    "flow": one.flow,
                    "host": one.host,
                    "flagged": one.flagged,
                    "judged": one.judged,
                    "why": one.why,
                    "details": one.details,
                }
                for one in self.verdicts
            ],
        }


Judge = Callable[..., list[Flagged]]


def wilson(successes: int, n: int, z: float = _Z) -> tuple[float, float]:
    """The Wilson score interval of a rate; (0, 1) of nothing. Unlike the plain one it is right at 0 of n."""
    if n <= 0:
        return 0.0, 1.0
    share = successes / n
    middle = share + z * z / (2 * n)
    spread = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low, high = (middle - spread) / (1 + z * z / n), (middle + spread) / (1 + z * z / n)
    return (0.0 if successes == 0 else low), (1.0 if successes == n else high)


def only(verdicts: Iterable[Flagged], wanted: Callable[[Flagged], bool] | None) -> list[Flagged]:
    """The verdicts that are asked for; all without a wish."""
    return [one for one in verdicts if wanted is None or wanted(one)]
