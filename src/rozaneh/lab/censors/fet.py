"""FET: a TCP connection whose first bytes look like nothing known is dropped (catalogue CN-05).

China's detector of fully encrypted traffic, November 2021 to March 2023 [P gfw-report/usenixsecurity23-artifact]. The
first payload a client sends passes if any of five exemptions holds; a quarter of the others are acted on (p = 0.263
[C section 6]), and then everything the client sends to that address and port is dropped for 180 s [P; direction M].

The third byte of a TLS record's head is 0x00 to 0x09 in the paper and in a comment of the artefact, 0x00 to 0x0f in
the artefact's code: `variant` is `paper` (the default, because it is what was measured and written down) or
`artefact`. nDPI's copy of the rule (`ndpi`) counts a printable prefix of fewer than six bytes when there are no more,
a run of exactly 20, and has no fifth exemption, for it asks only about protocols it does not know [P].
Destinations are gated by the rule's `outside` (certain hosting ranges only).
"""

from __future__ import annotations

from random import Random
from typing import ClassVar, Literal

from rozaneh.lab.api import PASS, Drop, Params, Verdict
from rozaneh.lab.censors.base import Settings, first_payload, read_settings
from rozaneh.lab.codec import classify
from rozaneh.lab.packet import Packet
from rozaneh.lab.residual import Key, Residual

Variant = Literal["paper", "artefact", "ndpi"]


class FetSettings(Settings, frozen=True, kw_only=True):
    """The thresholds of the exemptions, how often the rule acts, and for how long.

    Attributes:
        variant: Whose version of the details: `paper`, `artefact` or `ndpi`.
        rate: The share of matching connections that are acted on.
        low: Up to this many bits set a byte, a payload passes (Ex1).
        high: From this many on, too (Ex1).
        prefix: So many printable bytes at the start pass (Ex2).
        fraction: More than this share of printable bytes passes (Ex3).
        run: More than so many printable bytes in a row pass (Ex4; `ndpi`: so many).
        verbs: What else a payload may start with (Ex5).
        residual_s: For how long the client's packets are dropped, in lab seconds.
        residual_key: What counts as the same.
        residual_restarts: Whether each dropped packet begins the time again.
        needs_syn: Whether the connection's SYN must have been seen.
    """

    variant: Variant = "paper"
    rate: float = 0.263
    low: float = 3.4
    high: float = 4.6
    prefix: int = 6
    fraction: float = 0.5
    run: int = 20
    verbs: tuple[str, ...] = ("GET ", "PUT ", "POST ", "HEAD ")
    residual_s: float = 180.0
    residual_key: Key = "3-tuple"
    residual_restarts: bool = False
    needs_syn: bool = True


class Exemptions:
    """The five exemptions, without a connection around them."""

    def __init__(self, settings: FetSettings) -> None:
        self._settings = settings
        self._verbs = tuple(verb.encode("ascii") for verb in settings.verbs)
        self._third = {"paper": 0x09, "artefact": 0x0F, "ndpi": -1}[settings.variant]
        self._run = settings.run - (settings.variant == "ndpi")

    def find(self, payload: bytes) -> str:
        """Which exemption a first payload has (`Ex1` to `Ex5`); `""` when it has none."""
        settings = self._settings
        if not settings.low < classify.popcount(payload) < settings.high:
            return "Ex1"
        wanted = min(settings.prefix, len(payload)) if settings.variant == "ndpi" else settings.prefix
        if classify.printable_prefix(payload[:wanted]) >= wanted:
            return "Ex2"
        if classify.printable_fraction(payload) > settings.fraction:
            return "Ex3"
        if classify.printable_run(payload) > self._run:
            return "Ex4"
        if len(payload) >= 3 and payload[0] in (0x16, 0x17) and payload[1] == 3 and payload[2] <= self._third:
            return "Ex5"
        if settings.variant != "ndpi" and payload.startswith(self._verbs):
            return "Ex5"
        return ""


class Censor:
    """Looks at the first payload of each connection from the inside."""

    protocols: ClassVar[str] = "tcp"

    def __init__(self, params: Params, rng: Random) -> None:
        settings = read_settings(FetSettings, params)
        if not 0 <= settings.rate <= 1:
            raise ValueError("rate must lie between 0 and 1")
        self._settings = settings
        self._exemptions = Exemptions(settings)
        self._residual = Residual(settings.residual_s, settings.residual_key, restarts=settings.residual_restarts)
        self._rng = rng

    def packet(self, p: Packet, now: float) -> Verdict:
        """Drops what is blocked, else judges a connection once."""
        if not p.outbound:
            return PASS
        if self._residual.hit(p, now):
            return Drop("residual")
        first = first_payload(p)
        if first is None:
            return PASS
        payload, syn = first
        if (self._settings.needs_syn and not syn) or not p.inside_first:
            return PASS
        if self._exemptions.find(payload) or self._rng.random() >= self._settings.rate:
            return PASS
        self._residual.add(p, now)
        return Drop(f"fully encrypted first payload, {len(payload)} bytes")
