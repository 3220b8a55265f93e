"""The active prober: each known-bad server is named by its own tree of NDSS'20 alone, ordinary servers by none.

The servers are small models of the programs the paper measured; they share the prober's injected clock, so that 90 and
300 seconds pass at once. Their thresholds come out of how they read and close, and are compared with table II.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from rozaneh.lab.prober import replay, toys
from rozaneh.lab.prober.examine import Modelled, Report, examine
from rozaneh.lab.prober.simulated import Clock
from rozaneh.lab.verify.base import Check

_SOURCE = "NDSS'20 (Frolov et al.) figures 3-8 [P]"
_TABLE = "NDSS'20 table II [P]"
# Start-ups of each model: obfs4 and Lampshade draw times and thresholds when they start.
_STARTS = 20

# Table II: the smallest and the largest close threshold and reset threshold; None means that there is none.
_LIMITS: dict[str, tuple[tuple[int, int] | None, tuple[int, int] | None]] = {
    "obfs4": ((8_192, 16_384), (8_193, 17_832)),
    "ossh": ((24, 24), (25, 25)),
    "lampshade": ((256, 256), (257, 257)),
    "ss-python": ((50, 50), None),
    "ss-outline": ((50, 50), (51, 51)),
    "mtproto": (None, None),
}


def checks(seed: int) -> Iterator[Check]:
    """The trees, the thresholds and the replays, on models."""
    for model, (_, tree) in toys.MODELS.items():
        reports = [_examine(model, seed + start, limits=False) for start in range(_STARTS)]
        named = sorted({name for report in reports for name in report.identified})
        expected = [tree] if tree else []
        fine = all(report.identified == expected for report in reports)
        yield Check(
            f"{model}: named by {'its own tree alone' if tree else 'no tree'}",
            _SOURCE,
            ", ".join(expected) or "none",
            ", ".join(named) or "none",
            fine,
            len(reports),
        )
    for model, (close, reset) in _LIMITS.items():
        found = _examine(model, seed, limits=True).thresholds
        assert found is not None  # noqa: S101 - asked for
        fine = _within(found.close, close) and _within(found.reset, reset) and found.stable
        if model == "obfs4" and found.close and found.reset:
            # The next multiple of 1,448 (the size of its reads), and the one byte more that is then left unread.
            fine = fine and found.reset == -(-found.close // 1_448) * 1_448 + 1
        yield Check(
            f"{model}: closes and resets at its own byte counts",
            _TABLE,
            f"close {_range(close)}, reset {_range(reset)}",
            f"close {found.close or 'never'}, reset {found.reset or 'never'}",
            fine,
        )
    yield from _replays(seed)


def _replays(seed: int) -> Iterator[Check]:
    """Replays, against a server that answers what it knows and one that keeps what it has seen."""
    flight = Random(f"{seed}/flight").randbytes(195)  # noqa: S311 - a reproducible first flight
    for filtered in (False, True):
        clock = Clock()
        server = toys.Replayable(flight, filtered)
        done = replay.replay(Modelled(server, clock, _rng(seed)), flight, seed=seed)
        names = sorted({finding.name for finding in done.findings})
        wanted = [] if filtered else ["accepts-replay"]
        yield Check(
            f"replay: {'a replay filter with a constant reaction' if filtered else 'a server without a replay filter'}",
            "IMC'20 (Shadowsocks), replay probes R1-R5, NR1, NR2 [P]",
            ", ".join(wanted) or "nothing",
            ", ".join(names) or "nothing",
            names == wanted,
            len(done.reactions),
        )


def _examine(model: str, seed: int, *, limits: bool) -> Report:
    clock = Clock()
    target = Modelled(toys.Toy(model, seed, clock), clock, _rng(seed))
    return examine(target, model, seed=seed, limits=limits)


def _rng(seed: int) -> Random:
    return Random(f"{seed}/probes")  # noqa: S311 - the same seed must give the same result


def _within(value: int | None, span: tuple[int, int] | None) -> bool:
    if value is None or span is None:
        return value is None and span is None
    return span[0] <= value <= span[1]


def _range(span: tuple[int, int] | None) -> str:
    if span is None:
        return "never"
    return f"{span[0]}" if span[0] == span[1] else f"{span[0]} to {span[1]}"
