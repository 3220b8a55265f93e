"""What is wrong: this device, its network, somebody between, or the edge. Each check says what it saw and what to do.

Nobody outside is asked: the only parties a check talks to are the system's own resolver (about a name that exists
nowhere) and the edge itself. No blocked site is named, so the diagnosis tells a listener nothing about its reader.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import msgspec

from rozaneh.client import memory as mem
from rozaneh.client.connector import CLOCK_OFF, explain
from rozaneh.client.runtime import PROBE_SECONDS, candidates_for, clock_offset, span, stage_of, tag_of
from rozaneh.client.upstreams import looks, to_upstream
from rozaneh.core.addresses import Endpoint
from rozaneh.core.clock import Clock
from rozaneh.core.errors import Fault, FaultKind
from rozaneh.engine.config import EngineConfig, ProbeResult
from rozaneh.engine.engine import EngineLike
from rozaneh.fleet import roster
from rozaneh.fleet.invites import Invite
from rozaneh.ways.grammar import Way

CLOCK_ATTENTION = 300  # TLS and signatures still work; a log or a ticket would not
Resolve = Callable[[str], Sequence[str]]


class Verdict(Enum):
    """How a check came out; the worst one is the exit code."""

    OK = 0
    ATTENTION = 1
    BROKEN = 2


@dataclass(frozen=True, slots=True)
class Check:
    """One finding."""

    name: str
    verdict: Verdict
    detail: str
    hint: str = ""


def worst(checks: Sequence[Check]) -> Verdict:
    """The verdict over all checks."""
    return max((check.verdict for check in checks), key=lambda verdict: verdict.value, default=Verdict.OK)


def check_names(resolve: Resolve) -> Check:
    """Whether the network's resolver invents answers.

    The name lies under ``.invalid``, which no honest resolver answers (RFC 6761 section 6.4); its label is random, so
    no cache helps.
    """
    label = secrets.token_hex(8)
    try:
        answers = resolve(f"{label}.invalid")
    except OSError:
        return Check("names", Verdict.OK, "no answer is invented for a name that does not exist")
    if not answers:
        return Check("names", Verdict.OK, "no answer is invented for a name that does not exist")
    return Check(
        "names",
        Verdict.ATTENTION,
        "the network answers for a name that does not exist",
        "a login page may be waiting: open any page in a browser; once connected, names are looked up at the edge",
    )


def check_network(endpoints: Sequence[Endpoint]) -> Check:
    """Whether this device has a path towards the edge at all; nothing is sent."""
    for endpoint in endpoints:
        family = socket.AF_INET6 if endpoint.address.version == 6 else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((str(endpoint.address), endpoint.port))  # UDP: chooses a route and sends no packet
                return Check("network", Verdict.OK, "this device has a network")
            except OSError:
                continue
    return Check("network", Verdict.BROKEN, "this device has no path to the outside", FaultKind.LOCAL_NETWORK.hint)


def check_clock(now: int, probes: Sequence[ProbeResult], known: roster.Roster | None) -> Check:
    """This device's clock against the date of the edge or of its cover, or against the roster's times."""
    told = [probe for probe in probes if (probe.ok or probe.stage == "cover") and probe.server_date is not None]
    dates = [probe.server_date for probe in sorted(told, key=lambda probe: not probe.ok) if probe.server_date]
    if dates:
        skew = now - dates[0]
        if abs(skew) <= CLOCK_ATTENTION:
            return Check("clock", Verdict.OK, f"off by {abs(skew)} s")
        verdict = Verdict.BROKEN if abs(skew) > roster.TOLERANCE else Verdict.ATTENTION
        side = "ahead" if skew > 0 else "behind"
        return Check("clock", verdict, f"{side} by {span(skew)}", FaultKind.CLOCK_WRONG.hint)
    if known is not None and now < known.not_before - roster.TOLERANCE:
        return Check("clock", Verdict.BROKEN, "before the stored roster was made", FaultKind.CLOCK_WRONG.hint)
    return Check("clock", Verdict.ATTENTION, "not measured, because no edge answered", "compare it with another clock")


def check_edge(probes: Sequence[ProbeResult]) -> Check:
    """Whether an edge lets us in, and if not, where it stops."""
    working = [probe for probe in probes if probe.ok]
    if working:
        first = working[0].rtt_ms
        pace = "" if first is None else f", {first:.0f} ms away"
        if len(working) == len(probes):
            return Check("edge", Verdict.OK, f"{len(working)} of {len(probes)} ways work{pace}")
        return Check(
            "edge",
            Verdict.ATTENTION,
            f"{len(working)} of {len(probes)} ways work{pace}",
            "nothing to do: the others are used",
        )
    fault = explain([probe.stage for probe in probes])
    return Check("edge", Verdict.BROKEN, fault.what.lower() + (f": {fault.why}" if fault.why else ""), fault.hint)


def diagnose(
    directory: Path,
    invite: Invite | None,
    clock: Clock,
    engine: Callable[[EngineConfig], EngineLike],
    resolve: Resolve,
) -> list[Check]:
    """All checks, in the order a person would think of them.

    Raises:
        Fault: when the state cannot be read.
    """
    if invite is None:
        return [
            Check("invite", Verdict.ATTENTION, "there is none yet", "run `rozaneh connect` and paste the invite"),
            check_names(resolve),
        ]
    memory = mem.load(directory) if directory.is_dir() else mem.Memory()
    verified, known = _stored(memory, invite, clock)
    candidates = candidates_for(invite, verified, memory.last_good)
    probes = _probe(invite, [x.way for x in candidates], clock, engine)
    endpoints = [Endpoint.parse(x.way.last.get("address") or "") for x in candidates]
    stages = [stage_of(probe, x.way) for probe, x in zip(probes, candidates, strict=True)]
    probes = [msgspec.structs.replace(probe, stage=stage) for probe, stage in zip(probes, stages, strict=True)]
    return [check_clock(clock.now(), probes, known), check_network(endpoints), check_names(resolve), check_edge(probes)]


def _probe(
    invite: Invite, ways: Sequence[Way], clock: Clock, engine: Callable[[EngineConfig], EngineLike]
) -> list[ProbeResult]:
    """How far each way comes; where a cover says that the clock is off, with REALITY's timestamp corrected."""

    def config(offset: int) -> EngineConfig:
        credentials = invite.credentials()
        made = [to_upstream(way, tag_of(i), credentials, clock_offset=offset) for i, way in enumerate(ways)]
        return EngineConfig(looks=looks(made), upstreams=made)

    running = engine(config(0))
    running.start()
    try:
        probes = [running.probe(tag_of(i), PROBE_SECONDS) for i in range(len(ways))]
        offsets = [offset for probe in probes if (offset := clock_offset(probe, clock.now())) is not None]
        if offsets and abs(offsets[0]) > CLOCK_OFF:
            running.reload(config(offsets[0]))
            for i, probe in enumerate(probes):
                if probe.stage == "cover":
                    again = running.probe(tag_of(i), PROBE_SECONDS)
                    # What the cover said about the time is kept where the edge says nothing.
                    probes[i] = msgspec.structs.replace(again, server_date=again.server_date or probe.server_date)
    finally:
        running.stop(0.0)
    return probes


def _stored(memory: mem.Memory, invite: Invite, clock: Clock) -> tuple[roster.Verified | None, roster.Roster | None]:
    seen = memory.seen.get(mem.key_of(invite))
    if seen is None:
        return None, None
    known: roster.Roster | None = None
    try:
        known = roster.read(seen.bytes(), invite.issuer)
        verified = roster.verify(
            seen.bytes(), invite.issuer, invite.compartment, clock.now(), seen.highest(), local=invite.local
        )
    except Fault:
        return None, known  # the clock may be what is wrong: `known` lets that check see it
    return verified, known


def system_resolve(name: str) -> list[str]:
    """The addresses the system's resolver gives."""
    return [str(info[4][0]) for info in socket.getaddrinfo(name, 443, type=socket.SOCK_STREAM)]
