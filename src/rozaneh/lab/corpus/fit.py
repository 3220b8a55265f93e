"""Fits what papers leave out: the models of ML-01 and ML-02, from recorded flows whose truth is known.

ML-01 learns as the paper does, from plain TLS flows of one version against flows without TLS, never from tunnels; its
two thresholds are those that name the most TLS flows while at most a set share of the benign ones (flows without TLS,
and TLS flows behind their own handshake) is named. ML-02 keeps its published centroids and limits; only the covariances
come from here: of the inner handshakes' bursts, around their own mean.

`python -m rozaneh.lab.corpus.fit FOLDER [EACH]` records a training and a test corpus (EACH flows of every way, version
and pattern; 24 by default, some four minutes) and writes the models' files to FOLDER, from where they are copied to
`judges/data`.
"""

from __future__ import annotations

import math
import platform
import ssl
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from rozaneh.lab.codec import fingerprint
from rozaneh.lab.corpus import record
from rozaneh.lab.corpus.record import Labelled
from rozaneh.lab.judges import ja4, matrix, ml01, ml02, records
from rozaneh.lab.judges.base import Rate
from rozaneh.lab.judges.flowsfrom import Data, Flow

# f of the paper [P]; window lengths too.
_GRAMS = 100
_WINDOWS = {"1.2": 5, "1.3": 3}
# Benign training flows that may be named: the GFW's 0.6 % is "the ceiling used by the authors" [P]; with some hundred
# flows that is a handful, so the share holds for the training set only and the test set's rate is given beside it.
_FALSE = 0.006
# Variance added to every burst (bytes squared), so that the few certificate chains of a lab do not make it blind.
_RIDGE = 60.0**2
_TINY = 1e-6
_EACH = 24
_POSSIBLE = (4 * 2) ** 3
# Distances beyond this share of a training class are outliers and are left out when the model is made again [P].
_KEPT = 0.97

Sample = tuple[list[Data], float]


def ml01_model(flows: Sequence[Labelled], corpus: str) -> ml01.Model:
    """The model of ML-01 from a training corpus."""
    others = _samples(flows, lambda one: one.visit.way in ("plain", "noise>plain"), whole=True)
    hidden = _samples(flows, lambda one: one.visit.way == "tls", whole=False)
    versions = {}
    for name, window in _WINDOWS.items():
        plain_tls = [one for one in flows if one.visit.way == "tls" and one.visit.version == name]
        tls = _samples(plain_tls, lambda _: True, whole=True)
        versions[name] = _version(tls, others, hidden, window)
        versions[f"{name} padded"] = _version(_padded(tls), others, hidden, window, directions=True)
    return ml01.Model(corpus, versions)


def _padded(samples: Sequence[Sample]) -> list[Sample]:
    """The same flows as a tunnel that pads would carry them: up to 900 bytes more on short packets, as Vision does."""
    rng = Random("padding")  # noqa: S311 - the same corpus must give the same model
    return [
        ([Data(one.when, one.size + (rng.randrange(901) if one.size < 900 else 0), one.up) for one in packets], rtt)
        for packets, rtt in samples
    ]


def _version(
    tls: Sequence[Sample],
    others: Sequence[Sample],
    hidden: Sequence[Sample],
    window: int,
    *,
    directions: bool = False,
) -> ml01.Version:
    model = _derive(tls, others, window, directions)
    scored = [(ml01.measure(packets, rtt, model, 0), (packets, rtt)) for packets, rtt in tls]
    limits = [_quantile([scores[at] for scores, _ in scored], _KEPT) for at in (0, 1)]
    kept = [sample for scores, sample in scored if scores[0] <= limits[0] and scores[1] <= limits[1]]
    model = _derive(kept or tls, others, window, directions)
    good = [ml01.measure(packets, rtt, model, 0) for packets, rtt in tls]
    # Benign flows are scored as the judge will score them: with the overhead of a tunnel taken off, and without.
    bad = [
        ml01.measure(packets, rtt, model, overhead)
        for packets, rtt in (*others, *hidden)
        for overhead in (0, model.overhead)
    ]
    ratio, distance = _thresholds(good, bad)
    return msgspec.structs.replace(model, ratio=ratio, distance=distance)


def _derive(tls: Sequence[Sample], others: Sequence[Sample], window: int, directions: bool) -> ml01.Version:
    classes = [[ml01.gram_shares(packets, 0, directions=directions) for packets, _ in side] for side in (tls, others)]
    chosen = _telling(classes[0], classes[1])
    grams = {gram: (_pooled(classes[0], gram), _pooled(classes[1], gram)) for gram in chosen}
    rows = [bursts[:window] for packets, rtt in tls if len(bursts := ml01.signed_bursts(packets, rtt, 0)) >= window]
    centre = matrix.mean(rows)
    inverted = matrix.inverse(matrix.covariance(rows, centre, _RIDGE))
    return ml01.Version(window, grams, centre, inverted, math.inf, math.inf, directions=directions)


def _telling(tls: Sequence[dict[str, float]], others: Sequence[dict[str, float]]) -> list[str]:
    """The 3-grams that vary little within a class and much between them (the paper's Distinc) [P]."""
    every = sorted({gram for shares in (*tls, *others) for gram in shares})
    scores = {}
    for gram in every:
        own = [_pooled(side, gram) for side in (tls, others)]
        within = across = 0.0
        for number, side in enumerate((tls, others)):
            values = [shares.get(gram, 0.0) for shares in side]
            within += math.fsum((value - own[number]) ** 2 for value in values) / len(values)
            across += math.fsum((value - own[1 - number]) ** 2 for value in values) / len(values)
        # The formula as printed has the variance within over that across; the text wants it the other way round.
        scores[gram] = across / (within + _TINY)
    return sorted(every, key=lambda gram: (-scores[gram], gram))[:_GRAMS]


def _pooled(side: Sequence[dict[str, float]], gram: str) -> float:
    """A 3-gram's probability in a class; half a count is added to each, for what some hundred flows have not shown."""
    each = ml01.PACKETS - 2
    count = each * math.fsum(shares.get(gram, 0.0) for shares in side)
    return (count + 0.5) / (each * len(side) + 0.5 * _POSSIBLE)


def _thresholds(good: Sequence[tuple[float, float]], bad: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The pair that names most of `good` while at most the allowed share of `bad` is named."""
    allowed = math.floor(_FALSE * len(bad))
    best = (-1, 0.0, 0.0)
    for ratio in sorted({round(one[0], 6) for one in good}):
        reached = sorted(distance for value, distance in bad if value <= ratio)
        # Just under the distance of the first benign flow too many.
        limit = math.inf if len(reached) <= allowed else math.nextafter(reached[allowed], 0.0)
        inside = [distance for value, distance in good if value <= ratio + 1e-6 and distance <= limit]
        if inside and len(inside) > best[0]:
            best = (len(inside), ratio + 1e-6, max(inside))
    if best[0] < 0:
        raise ValueError("no thresholds tell these flows apart")
    return best[1], best[2]


def ml02_model(flows: Sequence[Labelled], corpus: str) -> ml02.Model:
    """The model of ML-02: published centroids and limits, covariances of the corpus' inner handshakes.

    One factor for all of them makes them as narrow as it takes to name no more benign TLS flows than allowed.
    """
    rows: dict[str, list[list[float]]] = {"1.2": [], "1.3": []}
    for one in flows:
        if one.tunnel and one.visit.version in rows:
            windows = ml02.windows(one.flow)
            if windows:
                rows[one.visit.version].append(windows[0])
    centroids = {}
    for name, (mean, limit, least) in ml02.PUBLISHED.items():
        own = rows["1.2" if name == "tls-1.2" else "1.3"]
        spread = matrix.covariance(own, matrix.mean(own), _RIDGE)
        centroids[name] = ml02.Centroid(list(mean), limit, matrix.inverse(spread), least)
    wide = ml02.Model(corpus, centroids)
    benign = sorted(_least_part(one.flow, wide) for one in flows if one.visit.way == "tls")
    factor = max(1.0, 1.0 / benign[math.floor(_FALSE * len(benign))]) * 1.000001
    narrow = {
        name: msgspec.structs.replace(one, inverted=[[cell * factor**2 for cell in row] for row in one.inverted])
        for name, one in centroids.items()
    }
    return ml02.Model(corpus, narrow)


def _least_part(flow: Flow, model: ml02.Model) -> float:
    """How near a flow comes to a centroid, in parts of that centroid's limit."""
    return min(
        (
            max(_TINY, matrix.mahalanobis(window, one.mean, one.inverted) / one.limit)
            for window in ml02.windows(flow)
            for one in model.centroids.values()
            if window[0] >= one.least_first
        ),
        default=math.inf,
    )


def measured(judge: Callable[[Flow], Any], flows: Iterable[Labelled]) -> dict[str, Any]:
    """How often a judge flags each way, with intervals; flows it cannot judge are left out."""
    counts: dict[str, list[bool]] = {}
    for one in flows:
        verdict = judge(one.flow)
        if verdict.judged:
            real = f" {one.visit.pattern}" if one.visit.number < 0 else ""
            label = one.visit.way if one.visit.version == "-" else f"{one.visit.way} {one.visit.version}{real}"
            counts.setdefault(label, []).append(verdict.flagged)
    return {label: Rate(sum(flags), len(flags)).as_json() for label, flags in sorted(counts.items())}


def _samples(flows: Sequence[Labelled], wanted: Callable[[Labelled], bool], *, whole: bool) -> list[Sample]:
    """The first packets of the flows that have enough, whole or behind their outer handshake."""
    found = []
    for one in flows:
        if wanted(one):
            packets = one.flow.packets if whole else records.without_handshake(one.flow)
            if len(packets) >= ml01.PACKETS:
                found.append((packets[: ml01.PACKETS], ml01.rtt(one.flow)))
    return found


def _quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


def describe(settings: record.Settings, flows: Sequence[Labelled]) -> str:
    """What a corpus is, for the models' files."""
    return (
        f"{len(flows)} flows made in a world of the lab (seed {settings.seed}, {settings.each} of each way, TLS version"
        " and pattern: browse, download, video-like, chat-like, login;"
        f" {settings.rounds} rounds of real Chromium and curl;"
        f" round trip {settings.round_trip_ms:g} ms; nine certificate chains;"
        f" {ssl.OPENSSL_VERSION}, Python {platform.python_version()}, Linux TCP)"
    )


def main(arguments: Sequence[str]) -> int:
    """Records, fits, measures on a second corpus, and writes the files."""
    folder = Path(arguments[0])
    each = int(arguments[1]) if len(arguments) > 1 else _EACH
    settings = record.Settings(each=each, seed=1, rounds=max(1, each // 4))
    training = record.record(settings, folder / "training")
    testing = record.record(replace(settings, seed=2), folder / "testing")
    write(folder, training, testing, describe(settings, training))
    return 0


def write(folder: Path, training: Sequence[Labelled], testing: Sequence[Labelled], corpus: str) -> None:
    """Fits on one corpus, measures on another, and writes `ml01.json`, `ml02.json` and `ja4.json`."""
    one, two = ml01_model(training, corpus), ml02_model(training, corpus)
    one = msgspec.structs.replace(one, measured=measured(lambda flow: ml01.verdict(flow, one), testing))
    two = msgspec.structs.replace(two, measured=measured(lambda flow: ml02.verdict(flow, two), testing))
    seen = Counter(said for flow in training if flow.visit.way == "tls" and (said := _ja4(flow.flow)))
    fingerprints = ja4.Corpus(corpus, dict(seen.most_common()))
    for name, fitted in (("ml01", one), ("ml02", two), ("ja4", fingerprints)):
        text = msgspec.json.format(msgspec.json.encode(fitted), indent=1)
        (folder / f"{name}.json").write_bytes(text + b"\n")


def _ja4(flow: Flow) -> str:
    found = ja4.hello_of(flow)
    return fingerprint.ja4(*found) if found else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
