"""ML-01: TLS handshakes inside tunnels, by 3-grams of packet sizes and by bursts (Xue et al., USENIX Security 2024).

Written from the paper [P]: the first 25 data packets (flows with fewer are not judged), the outer TLS handshake taken
away first; sizes in four groups with their direction, the 100 most telling 3-grams, the ratio of two chi-squared
distances; bursts (same direction, pauses under three round trips), the least Mahalanobis distance of any window of five
(TLS 1.2 inside) or three (1.3) bursts. A flow is a tunnel only if both agree. For tunnels that pad there is, as in the
paper, a second model of each version that counts directions only and was fitted on padded flows; a flow that any model
takes for a tunnel is flagged, and `details` say which.

Not published are the probabilities, means, covariances and thresholds. They are FITTED here on a corpus made in the lab
(`rozaneh.lab.corpus`, whose description is in the model's file), so rates compare ways with each other and with the
lab's benign flows; they are not the paper's rates.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from rozaneh.lab.judges import flowsfrom, matrix, records
from rozaneh.lab.judges.base import Flagged
from rozaneh.lab.judges.flowsfrom import Data, Flow

BASIS = "method published (USENIX Security 2024 [P]); parameters fitted on the lab's corpus"

# Of benign flows of the lab's test corpus (see the model's `measured`); what host verdicts reckon with.
FALSE_POSITIVE = 0.02

# W_o, and bursts end at three round trips [P].
PACKETS = 25
_ROUND_TRIPS = 3.0
# Where the capture has no handshake to measure a round trip by, and the shortest that counts: on a line without delay
# programs' own pauses are longer than three round trips. Both ours.
_RTT_S = 0.05
_LEAST_RTT_S = 0.01
# Upper ends of the size groups L1 to L3 [P].
_GROUPS = (160, 600, 1_210)
_TINY = 1e-6

Gram = tuple[int, int, int]


class Version(msgspec.Struct, frozen=True):
    """The model for one version of the TLS inside.

    Attributes:
        window: Bursts compared: 5 for TLS 1.2, 3 for 1.3 [P].
        grams: 3-grams of signed size groups, as text `2,-4,1`, with their probability in TLS and in other flows.
        mean, inverted: Of the first bursts of TLS flows.
        ratio: At most this ratio of chi-squared distances (to TLS, to others); fitted.
        distance: At most this Mahalanobis distance; fitted.
        overhead: Bytes a tunnel adds to each packet; 20 to 60 in the paper, the middle by default.
        directions: Sizes are not grouped, only directions count: for tunnels that pad (the paper's C2 and C3 [P]).
    """

    window: int
    grams: dict[str, tuple[float, float]]
    mean: list[float]
    inverted: list[list[float]]
    ratio: float
    distance: float
    overhead: int = 40
    directions: bool = False


class Model(msgspec.Struct, frozen=True):
    """What was fitted, and on what."""

    corpus: str
    versions: dict[str, Version]
    measured: dict[str, Any] = {}


@cache
def model() -> Model:
    """The model that comes with the lab."""
    return msgspec.json.decode(resources.files(__package__).joinpath("data/ml01.json").read_bytes(), type=Model)


def judge(capture: Path, fitted: Model | None = None) -> list[Flagged]:
    """The verdicts on a capture's TCP flows."""
    fitted = fitted or model()
    return [verdict(flow, fitted) for flow in flowsfrom.read(capture) if flow.protocol == "tcp"]


def verdict(flow: Flow, fitted: Model) -> Flagged:
    """The verdict on one flow."""
    packets = records.without_handshake(flow)[:PACKETS]
    if len(packets) < PACKETS:
        why = f"{len(packets)} data packets, {PACKETS} are needed"
        return Flagged(flow.name, flow.host, False, why, False, flow.began)
    details: dict[str, Any] = {}
    hit = ""
    for name, version in fitted.versions.items():
        ratio, distance = measure(packets, rtt(flow), version, version.overhead)
        details[name] = {"ratio": round(ratio, 3), "distance": round(distance, 3)}
        if ratio <= version.ratio and distance <= version.distance and not hit:
            hit = f"as TLS {name} inside: ratio {ratio:.2f}, distance {distance:.2f}"
    why = hit or "; ".join(f"TLS {name}: {one['ratio']}, {one['distance']}" for name, one in details.items())
    return Flagged(flow.name, flow.host, bool(hit), why, True, flow.began, details)


def rtt(flow: Flow) -> float:
    """The round trip a burst's pauses are measured by."""
    return _RTT_S if flow.rtt is None else max(_LEAST_RTT_S, flow.rtt)


def measure(packets: list[Data], round_trip: float, version: Version, overhead: int) -> tuple[float, float]:
    """The ratio of chi-squared distances and the least Mahalanobis distance of the packets."""
    shares = gram_shares(packets, overhead, directions=version.directions)
    return ratio(shares, version.grams), least_distance(packets, round_trip, version, overhead)


def group(packet: Data, overhead: int, *, directions: bool = False) -> int:
    """The size group 1 to 4 (always 1 with `directions`), negative from the server."""
    if directions:
        return 1 if packet.up else -1
    size = max(1, packet.size - overhead)
    number = 1 + sum(size > limit for limit in _GROUPS)
    return number if packet.up else -number


def gram_shares(packets: list[Data], overhead: int, *, directions: bool = False) -> dict[str, float]:
    """The share of each 3-gram among the packets' 3-grams."""
    groups = [group(packet, overhead, directions=directions) for packet in packets]
    grams = Counter(f"{one},{two},{three}" for (one, two), (_, three) in pairwise(pairwise(groups)))
    total = sum(grams.values())
    return {gram: count / total for gram, count in grams.items()} if total else {}


def ratio(shares: dict[str, float], grams: dict[str, tuple[float, float]]) -> float:
    """Distance to TLS over distance to other flows: small for what looks like TLS."""
    to_tls = to_other = 0.0
    for gram, (in_tls, in_other) in grams.items():
        share = shares.get(gram, 0.0)
        to_tls += (share - in_tls) ** 2 / (in_tls + _TINY)
        to_other += (share - in_other) ** 2 / (in_other + _TINY)
    return to_tls / (to_other + _TINY)


def signed_bursts(packets: list[Data], round_trip: float, overhead: int) -> list[float]:
    """Bursts as signed sums of bytes."""
    found = records.bursts(packets, gap=_ROUND_TRIPS * round_trip, overhead=overhead)
    return [float(burst.size if burst.up else -burst.size) for burst in found]


def least_distance(packets: list[Data], round_trip: float, version: Version, overhead: int) -> float:
    """The least distance of any window of bursts; infinite when there is none."""
    found = signed_bursts(packets, round_trip, overhead)
    windows = (found[at : at + version.window] for at in range(len(found) - version.window + 1))
    distances = (matrix.mahalanobis(window, version.mean, version.inverted) for window in windows)
    return min(distances, default=float("inf"))
