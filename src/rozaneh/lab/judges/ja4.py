"""ML-13: the JA4 of every ClientHello, over TCP, QUIC and DTLS, held against a list or a corpus.

Three modes, as censors use them: `denylist` flags what is listed, `allowlist` what is not, `rare` what has less than a
share of a corpus ("uncommon fingerprint = blockable for free"). The corpus that comes with the lab is small (the
browsers and programs of this lab, with their versions in its file): pass counts of your own for another population.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Literal

import msgspec

from rozaneh.lab.codec import clienthello, fingerprint
from rozaneh.lab.codec.clienthello import ClientHello
from rozaneh.lab.codec.quicframes import Habits, HelloReader
from rozaneh.lab.judges import flowsfrom
from rozaneh.lab.judges.base import Flagged
from rozaneh.lab.judges.flowsfrom import Flow

BASIS = "JA4 as published; the corpus of `rare` was made in the lab"

Mode = Literal["denylist", "allowlist", "rare"]


class Corpus(msgspec.Struct, frozen=True):
    """How often each JA4 was seen, and where."""

    corpus: str
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Settings:
    """How fingerprints are judged.

    Attributes:
        mode: See the module.
        patterns: JA3 or JA4 values of the lists; `*` and `?` as in a shell.
        counts: The corpus of `rare`; the lab's own without one.
        share: Below this share of the corpus a fingerprint is rare.
    """

    mode: Mode = "rare"
    patterns: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    share: float = 0.01


@cache
def corpus() -> Corpus:
    """The corpus that comes with the lab."""
    return msgspec.json.decode(resources.files(__package__).joinpath("data/ja4.json").read_bytes(), type=Corpus)


def judge(capture: Path, settings: Settings | None = None) -> list[Flagged]:
    """The verdicts on a capture's flows; those without a ClientHello are not judged."""
    settings = settings or Settings()
    return [_flow(flow, settings) for flow in flowsfrom.read(capture)]


def _flow(flow: Flow, settings: Settings) -> Flagged:
    found = hello_of(flow)
    if found is None:
        return Flagged(flow.name, flow.host, False, "no ClientHello", False, flow.began)
    hello, transport = found
    said = fingerprint.ja4(hello, transport)
    details = {"ja4": said, "ja3": fingerprint.ja3(hello), "server_name": hello.server_name}
    if settings.mode == "rare":
        counts = settings.counts or corpus().counts
        total = sum(counts.values())
        share = counts.get(said, 0) / total if total else 0.0
        return Flagged(
            flow.name,
            flow.host,
            share < settings.share,
            f"{said} is {share:.2%} of the corpus",
            True,
            flow.began,
            details,
        )
    listed = fingerprint.matches(hello, settings.patterns, transport)
    flagged = (listed is not None) == (settings.mode == "denylist")
    why = f"{said} is {'listed' if listed else 'not listed'}"
    return Flagged(flow.name, flow.host, flagged, why, True, flow.began, details)


def hello_of(flow: Flow) -> tuple[ClientHello, fingerprint.Transport] | None:
    """The flow's ClientHello, and what carried it."""
    if flow.protocol == "tcp":
        found = clienthello.parse(bytes(flow.up))
        return (found, "t") if isinstance(found, ClientHello) else None
    reader = HelloReader(Habits(crypto="full", datagrams=len(flow.datagrams) + 1))
    for datagram in flow.datagrams:
        quic = reader.add(datagram)
        if isinstance(quic, ClientHello):
            return quic, "q"
    for datagram in flow.datagrams:
        dtls = clienthello.parse_dtls(datagram)
        if isinstance(dtls, ClientHello):
            return dtls, "d"
    return None


def counted(capture: Path) -> dict[str, int]:
    """How often each JA4 occurs in a capture: a corpus of one's own."""
    counts: dict[str, int] = {}
    for verdict in judge(capture, Settings("allowlist")):
        if verdict.judged:
            said = verdict.details["ja4"]
            counts[said] = counts.get(said, 0) + 1
    return counts
