"""Sends a client's first flight again, whole and damaged, as China's prober does, and says what that gives away.

IMC 2020 (CN-07) [P]: R1 is identical, R2 differs in byte 0, R3 in bytes 0 to 7 and 62 to 63, R4 in byte 16, R5 in
bytes 6 and 16; NR1 is random bytes of lengths around 8, 12, 16, 22, 33, 41 and 49, NR2 221 random bytes. R3 and R4 were
seen only after the server had answered R1 or R2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from rozaneh.lab.judges import flowsfrom
from rozaneh.lab.prober.attempt import Reaction
from rozaneh.lab.prober.examine import Target
from rozaneh.lab.prober.probes import ProbeMessage

# Which bytes each kind changes [P].
CHANGED: dict[str, tuple[int, ...]] = {
    "R1": (),
    "R2": (0,),
    "R3": (*range(8), 62, 63),
    "R4": (16,),
    "R5": (6, 16),
}
_AFTER_AN_ANSWER = ("R3", "R4")
_AROUND = (8, 12, 16, 22, 33, 41, 49)
_NR2 = 221
# "Prober gives up <10 s" [P]; a default, `observe` says otherwise.
OBSERVE_S = 10.0

# Lets so many seconds pass for the server; False when it cannot.
Wait = Callable[[float], bool]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing a replay showed about the server."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a server did with replays.

    Attributes:
        reactions: By probe.
        findings: What they tell a censor.
        later: The reaction to an identical replay after so many seconds.
        not_simulated: Delays asked for that could not be made to pass for the server.
    """

    reactions: dict[str, Reaction]
    findings: list[Finding]
    later: dict[float, Reaction] = field(default_factory=dict)
    not_simulated: tuple[float, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether it answered a replay: the censor has its proxy."""
        return any(finding.name == "accepts-replay" for finding in self.findings)


def variant(kind: str, flight: bytes, rng: Random) -> ProbeMessage:
    """The first flight as replay `kind` sends it; every changed byte really differs."""
    if kind not in CHANGED:
        raise ValueError(f"there is no replay {kind!r}; there are: {', '.join(CHANGED)}")
    altered = bytearray(flight)
    for at in CHANGED[kind]:
        if at < len(altered):
            altered[at] ^= rng.randrange(1, 256)
    return ProbeMessage(kind, bytes(altered))


def random_probes(rng: Random) -> list[ProbeMessage]:
    """NR1 in all its lengths, and NR2."""
    lengths = [length for around in _AROUND for length in (around - 1, around, around + 1)]
    return [
        *(ProbeMessage(f"NR1-{length}", rng.randbytes(length)) for length in lengths),
        ProbeMessage("NR2", rng.randbytes(_NR2)),
    ]


def replay(
    target: Target,
    flight: bytes,
    *,
    seed: int = 0,
    observe: float = OBSERVE_S,
    delays: Sequence[float] = (),
    wait: Wait | None = None,
) -> Replayed:
    """Replays `flight` at `target`, with junk of the same length beside it as the control.

    Outside a world, `target` comes from `examine.reach`, which asks for proof of control. For each of `delays` an
    identical replay is sent after `wait(seconds)`, which lets the server's own clock pass (an injected clock, or a
    server under faketime) and says whether it could; where it could not, the delay is reported as not simulated.
    """
    rng = Random(f"{seed}/replay")  # noqa: S311 - reproducible probes
    first = [variant(kind, flight, rng) for kind in CHANGED if kind not in _AFTER_AN_ANSWER]
    later = [variant(kind, flight, rng) for kind in _AFTER_AN_ANSWER]
    first.append(ProbeMessage("junk", rng.randbytes(len(flight))))
    first += random_probes(rng)
    reactions = target.react({message.name: message.payload for message in first}, observe)
    if any(reactions[kind].kind == "data" for kind in ("R1", "R2")):
        reactions |= target.react({message.name: message.payload for message in later}, observe)
    again: dict[float, Reaction] = {}
    unable = []
    for seconds in delays:
        if wait is not None and wait(seconds):
            again[seconds] = target.react({"R1": flight}, observe)["R1"]
        else:
            unable.append(seconds)
    return Replayed(reactions, [*findings(reactions), *_late(again, reactions)], again, tuple(unable))


def _late(again: Mapping[float, Reaction], reactions: Mapping[str, Reaction]) -> list[Finding]:
    return [
        Finding("accepts-replay", f"R1 was answered with {seen.received} bytes after {seconds:g} s")
        for seconds, seen in again.items()
        if seen.kind == "data" and reactions["junk"].kind != "data"
    ]


def findings(reactions: Mapping[str, Reaction]) -> list[Finding]:
    """What the reactions tell: replays answered, replays told from junk, lengths told from lengths."""
    found = []
    for kind in CHANGED:
        seen = reactions.get(kind)
        if seen and seen.kind == "data" and reactions["junk"].kind != "data":
            found.append(Finding("accepts-replay", f"{kind} was answered with {seen.received} bytes, junk was not"))
    for kind in CHANGED:
        seen = reactions.get(kind)
        if seen and seen.kind != "data" and _class(seen) != _class(reactions["junk"]):
            text = f"{kind}: {seen.short()}, junk of that length: {reactions['junk'].short()}"
            found.append(Finding("tells-replay-from-junk", text))
    groups: dict[str, list[int]] = {}
    for name, seen in reactions.items():
        if name.startswith("NR1-"):
            groups.setdefault(_class(seen), []).append(int(name[4:]))
    if len(groups) > 1:
        text = "; ".join(f"{how}: {_ranges(lengths)}" for how, lengths in groups.items())
        found.append(Finding("reacts-to-length", text))
    return found


def first_flights(capture: Path, *, least: int = 1) -> list[tuple[flowsfrom.Flow, bytes]]:
    """Each TCP flow of a capture with what its client sent before the server's first byte."""
    found = []
    for flow in flowsfrom.read(capture):
        flight = flow.first_flight() if flow.protocol == "tcp" else b""
        if len(flight) >= least:
            found.append((flow, flight))
    return found


def _class(seen: Reaction) -> str:
    """The reaction without its exact time: at once (under two seconds) or later."""
    if seen.closed == "timeout":
        return f"{seen.kind} open" if seen.kind == "data" else "open"
    return f"{seen.kind} {seen.closed} {'at once' if seen.closed_s < 2 else 'later'}"


def _ranges(lengths: Iterable[int]) -> str:
    ordered = sorted(lengths)
    return f"{ordered[0]} to {ordered[-1]} B" if len(ordered) > 1 else f"{ordered[0]} B"
