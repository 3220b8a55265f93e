"""ML-07: first packets that look like nothing but noise: entropy of small blocks, and a least length (Wang, CCS 2015).

The first 2,048 bytes of a flow's first packet with data are cut into blocks of 8; if their entropies are distributed
as those of uniform bytes (Kolmogorov-Smirnov) and the packet has at least 149 bytes, the flow is flagged [C]. The
distribution for uniform bytes is computed, not sampled. At which significance the test gives up is not in what could be
read of the paper: 0.05 is ours, and a setting. Flows whose protocol can be named (TLS, HTTP, SSH, DNS over TCP) are
never flagged, as the paper sorts them out first.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

from rozaneh.lab.judges import flowsfrom, records
from rozaneh.lab.judges.base import Flagged

BASIS = "published (Wang CCS'15 [C]); significance 0.05 is ours"

# "FPR 0.24 to 0.33 %" [C]; what host verdicts reckon with.
FALSE_POSITIVE = 0.0033

_METHODS = (b"GET ", b"POST ", b"HEAD ", b"PUT ", b"OPTIONS ", b"CONNECT ", b"DELETE ", b"PRI * HTTP/2")


@dataclass(frozen=True, slots=True)
class Settings:
    """The numbers of the test; `block`, `most` and `least` as published [C]."""

    block: int = 8
    most: int = 2_048
    least: int = 149
    significance: float = 0.05


def judge(capture: Path, settings: Settings | None = None) -> list[Flagged]:
    """The verdicts on a capture's TCP flows."""
    settings = settings or Settings()
    return [_flow(flow, settings) for flow in flowsfrom.read(capture) if flow.protocol == "tcp"]


def _flow(flow: flowsfrom.Flow, settings: Settings) -> Flagged:
    first = flow.first_segment[: settings.most]
    if not first:
        return Flagged(flow.name, flow.host, False, "the client sent nothing", False, flow.began)
    known = protocol(flow)
    if known:
        return Flagged(flow.name, flow.host, False, known, True, flow.began)
    if len(flow.first_segment) < settings.least:
        return Flagged(flow.name, flow.host, False, f"only {len(first)} B", True, flow.began)
    p = uniform(first, settings.block)
    why = f"{len(first)} B, entropy of blocks as of noise with p = {p:.3g}"
    return Flagged(flow.name, flow.host, p >= settings.significance, why, True, flow.began, {"p": p})


def protocol(flow: flowsfrom.Flow) -> str:
    """The protocol a flow shows openly; empty when it shows none."""
    up = bytes(flow.up[:64])
    if records.is_tls(flow):
        return "TLS"
    if up.startswith(_METHODS):
        return "HTTP"
    if up.startswith(b"SSH-") or flow.down.startswith(b"SSH-"):
        return "SSH"
    if len(up) >= 14 and flow.server[1] == 53 and int.from_bytes(up[:2], "big") + 2 == len(flow.first_flight()):
        return "DNS"
    return ""


def uniform(data: bytes, block: int = 8) -> float:
    """The p-value of "the blocks' entropies are those of uniform bytes" (one-sample KS against the exact law).

    The law is discrete, so the test errs on the side of calling data uniform, never the other way.
    """
    entropies = sorted(_entropy(data[at : at + block]) for at in range(0, len(data) - block + 1, block))
    n = len(entropies)
    if not n:
        return 0.0
    law = _law(block)
    distance, below = 0.0, 0
    expected = 0.0
    seen = {value: len(list(group)) for value, group in groupby(entropies)}
    for value in sorted(law.keys() | seen.keys()):
        expected += law.get(value, 0.0)
        below += seen.get(value, 0)
        distance = max(distance, abs(expected - below / n))
    return _kolmogorov(distance, n)


def _entropy(block: bytes) -> float:
    return _of_counts(tuple(Counter(block).values()))


def _of_counts(counts: tuple[int, ...]) -> float:
    n = sum(counts)
    # Rounded, so that the same multiset of counts gives the same number in whatever order it was added.
    return round(math.fsum(-count / n * math.log2(count / n) for count in counts), 9)


@cache
def _law(block: int) -> dict[float, float]:
    """Each entropy a block of uniform bytes can have, with its probability: over all partitions of `block`."""
    law: dict[float, float] = {}
    for parts in _partitions(block, block):
        ways = math.factorial(block)
        for part in parts:
            ways //= math.factorial(part)
        # Which byte values have these counts: ordered choices, over those of equal counts.
        values = math.perm(256, len(parts))
        for repeated in Counter(parts).values():
            values //= math.factorial(repeated)
        entropy = _of_counts(parts)
        law[entropy] = law.get(entropy, 0.0) + ways * values / 256**block
    return law


def _partitions(n: int, largest: int) -> list[tuple[int, ...]]:
    if n == 0:
        return [()]
    return [(part, *rest) for part in range(min(n, largest), 0, -1) for rest in _partitions(n - part, part)]


def _kolmogorov(distance: float, n: int) -> float:
    """The asymptotic p-value with Stephens' correction for small n."""
    root = math.sqrt(n)
    x = (root + 0.12 + 0.11 / root) * distance
    if x < 0.2:
        return 1.0
    total = 2 * math.fsum((-1) ** (k - 1) * math.exp(-2 * (k * x) ** 2) for k in range(1, 101))
    return min(1.0, max(0.0, total))
