"""Who sends how much, and when, in one flow: scripts drawn from a seed, the same at both ends.

Sizes and times are ours: what such programs do at heart, not a trace of anybody's. They are named in the models' files.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

KINDS = ("browse", "download", "video", "chat", "login")


@dataclass(frozen=True, slots=True)
class Step:
    """One message: from the client or the server, so many bytes, after so long a pause."""

    up: bool
    size: int
    pause: float = 0.0


def script(kind: str, seed: int) -> list[Step]:
    """The steps of one flow of `kind`; `ValueError` when there is no such kind."""
    rng = Random(f"{kind}/{seed}")  # noqa: S311 - both ends must draw the same
    steps: list[Step] = []
    if kind == "browse":  # a page and what it needs, one request after the other
        for _ in range(rng.randint(3, 9)):
            steps.append(Step(True, rng.randint(60, 700), rng.choice((0.0, 0.0, 0.02, 0.08))))
            steps.append(Step(False, _object(rng), rng.choice((0.0, 0.005, 0.02))))
    elif kind == "download":
        steps += [Step(True, rng.randint(80, 400)), Step(False, rng.randint(60_000, 400_000))]
    elif kind == "video":  # segments at a pace
        steps += [Step(True, rng.randint(200, 600)), Step(False, rng.randint(800, 4_000))]
        for _ in range(rng.randint(3, 6)):
            steps.append(Step(True, rng.randint(200, 600), 0.1 + 0.1 * rng.random()))
            steps.append(Step(False, rng.randint(20_000, 90_000)))
    elif kind == "chat":  # short messages both ways, with answers and typing notices
        for _ in range(rng.randint(12, 24)):
            up = rng.random() < 0.5
            steps.append(Step(up, rng.randint(20, 260), rng.choice((0.0, 0.01, 0.05))))
            if rng.random() < 0.3:
                steps.append(Step(not up, rng.randint(10, 40)))
    elif kind == "login":  # requests and answers of middling size: mail, databases, APIs
        for _ in range(rng.randint(7, 14)):
            steps.append(Step(True, rng.randint(15, 500)))
            steps.append(
                Step(False, rng.choice((rng.randint(20, 200), rng.randint(200, 1_500), rng.randint(1_500, 6_000))))
            )
    else:
        raise ValueError(f"there is no pattern {kind!r}; there are: {', '.join(KINDS)}")
    return steps


def _object(rng: Random) -> int:
    """A web object's size: mostly some kilobytes, now and then many (log-normal)."""
    return max(150, min(200_000, int(rng.lognormvariate(8.6, 1.2))))
