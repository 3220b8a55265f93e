"""ML-02: nDPI's obfuscated-TLS heuristic, written anew from its published description and centroids [P].

Packets before each direction's ChangeCipherSpec are skipped when the flow is TLS, and 24 bytes are taken from each
packet; consecutive packets of one direction are a burst; four bursts that start with the client's (of at most three
packets) are compared, within 25 packets, with three centroids: Chrome with post-quantum hello, TLS 1.3 (Firefox), TLS
1.2. A flow matches below a Mahalanobis distance of 3.0, 3.0 (and a first burst of at least 517 B) and 3.5. The
centroids and limits are published; the covariances are not in what was read and are FITTED on the lab's corpus. nDPI
itself is the judge `ndpi`; this one is a second opinion that shows its numbers.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from rozaneh.lab.judges import flowsfrom, matrix, records
from rozaneh.lab.judges.base import Flagged
from rozaneh.lab.judges.flowsfrom import Flow

BASIS = "centroids and limits published (nDPI [P]); covariances fitted on the lab's corpus"

# Of benign flows of the lab's test corpus (see the model's `measured`); what host verdicts reckon with.
FALSE_POSITIVE = 0.006

PACKETS = 25
_OVERHEAD = 24
_FIRST_BURST = 3
_WINDOW = 4


class Centroid(msgspec.Struct, frozen=True):
    """One kind of inner handshake.

    Attributes:
        mean: Bytes of the four bursts [P].
        limit: A distance below this is a match [P].
        least_first: Bytes the first burst must have [P].
        inverted: The inverse covariance; fitted.
    """

    mean: list[float]
    limit: float
    inverted: list[list[float]]
    least_first: int = 0


# Published means and limits; `data/ml02.json` has them too, with what was fitted to them.
PUBLISHED: dict[str, tuple[tuple[float, ...], float, int]] = {
    "chrome-pq": ((1_850, 4_903, 785, 1_051), 3.0, 0),
    "tls-1.3": ((641, 4_649, 448, 1_094), 3.0, 517),
    "tls-1.2": ((213, 4_515, 108, 308), 3.5, 0),
}


class Model(msgspec.Struct, frozen=True):
    """The centroids, and on what their covariances were fitted."""

    corpus: str
    centroids: dict[str, Centroid]
    measured: dict[str, Any] = {}


@cache
def model() -> Model:
    """The model that comes with the lab."""
    return msgspec.json.decode(resources.files(__package__).joinpath("data/ml02.json").read_bytes(), type=Model)


def judge(capture: Path, fitted: Model | None = None) -> list[Flagged]:
    """The verdicts on a capture's TCP flows."""
    fitted = fitted or model()
    return [verdict(flow, fitted) for flow in flowsfrom.read(capture) if flow.protocol == "tcp"]


def verdict(flow: Flow, fitted: Model) -> Flagged:
    """The verdict on one flow."""
    found = windows(flow)
    if not found:
        return Flagged(flow.name, flow.host, False, "fewer than four bursts", bool(flow.packets), flow.began)
    apart = [
        (matrix.mahalanobis(window, one.mean, one.inverted) - one.limit, name, window)
        for window in found
        for name, one in fitted.centroids.items()
        if window[0] >= one.least_first
    ]
    nearest = min(apart, default=None)
    if nearest is None:
        return Flagged(flow.name, flow.host, False, "no first burst is long enough", True, flow.began)
    beyond, name, window = nearest
    distance = beyond + fitted.centroids[name].limit
    sizes = "/".join(f"{size:.0f}" for size in window)
    why = f"bursts {sizes} lie {distance:.2f} from {name} ({fitted.centroids[name].limit} is the limit)"
    return Flagged(flow.name, flow.host, beyond < 0, why, True, flow.began, {"distance": round(distance, 3)})


def windows(flow: Flow) -> list[list[float]]:
    """Every four bursts of the flow that could be an inner handshake."""
    tls = records.is_tls(flow)
    packets = (records.after_change_cipher(flow) if tls else flow.packets)[:PACKETS]
    found = records.bursts(packets, overhead=_OVERHEAD if tls else 0)
    return [
        [float(burst.size) for burst in found[at : at + _WINDOW]]
        for at in range(len(found) - _WINDOW + 1)
        if found[at].up and found[at].packets <= _FIRST_BURST
    ]
