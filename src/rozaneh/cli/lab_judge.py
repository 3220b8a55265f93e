"""``rozaneh lab judge``, ``probe``, ``verify``: what outsiders make of traffic and servers, and of the lab itself."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rozaneh.cli.lab_common import faults
from rozaneh.cli.options import command_output
from rozaneh.cli.output import Output
from rozaneh.core.errors import Fault, FaultKind

if TYPE_CHECKING:
    from rozaneh.lab.judges.base import Rate
    from rozaneh.lab.prober.control import Challenge
    from rozaneh.lab.prober.replay import Replayed

JUDGE_SCHEMA = "rozaneh.lab.judge/1"
REPLAY_SCHEMA = "rozaneh.lab.replay/1"
VERIFY_SCHEMA = "rozaneh.lab.verify/1"
_PROOF_HINT = "make the address serve the token, or probe inside a world: `rozaneh lab shell`"


@click.command()
@click.argument("capture", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--judge", "names", metavar="J", multiple=True, help="Only this judge; may be repeated.")
@command_output
def judge(output: Output, capture: Path, names: tuple[str, ...]) -> None:
    """Ask the judges what they make of the flows in CAPTURE, a pcap file.

    Example: rozaneh lab judge demo/out/reader-side.pcap
    """
    with faults():
        from rozaneh.lab import judges

        known = judges.names()
        for name in names:
            if name not in known:
                raise Fault(FaultKind.USAGE, f"There is no judge {name!r}", hint=f"there are: {', '.join(known)}")
        found = []
        for name in dict.fromkeys(names or known):
            why = judges.missing(name)
            if why:
                output.warn(f"{name} cannot be asked here: {why}")
                continue
            output.note(f"{name}: {judges.about(name)}")
            found.append(judges.run(name, capture))
    if not found:
        raise Fault(
            FaultKind.UNSUPPORTED, "No judge can be asked here", hint="in a checkout, `make test` installs them"
        )
    rows = [
        (one.judge, _rate(one.flows), _interval(one.flows), _rate(one.host_rate), one.basis.partition("\n")[0])
        for one in found
    ]
    output.table(("judge", "flows flagged", "95 % interval", "hosts flagged", "rests on"), rows)
    for one in found:
        for flow in one.verdicts:
            if flow.flagged:
                output.data(f"{one.judge}: {flow.flow}: {flow.why}")
    output.answer(JUDGE_SCHEMA, {"judges": [one.as_json() for one in found]})


def _rate(rate: Rate) -> str:
    return f"{rate.flagged} of {rate.of}"


def _interval(rate: Rate) -> str:
    low, high = rate.interval
    return f"{low:.2f} to {high:.2f}"


@click.command()
@click.argument("server", metavar="ADDR:PORT")
@click.option("--like", metavar="ADDR:PORT", help="A server it should look like: says how they differ.")
@click.option("--observe", type=click.FloatRange(1, 600), metavar="SECONDS", help="How long to watch a connection.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, metavar="K", help="Of the random probes.")
@click.option("--proof-port", type=click.IntRange(1, 65_535), metavar="PORT", help="Where the token is sent as a line.")
@click.option(
    "--replay",
    "recording",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="CAPTURE",
    help="Replay the first flight of a client from this pcap file instead.",
)
@command_output
def probe(
    output: Output,
    server: str,
    like: str | None,
    observe: float | None,
    seed: int,
    proof_port: int | None,
    recording: Path | None,
) -> None:
    """Probe a server as censors do, and say what it gives away.

    Elsewhere than on this machine and in the lab's worlds an address is probed only when it serves a token that proves
    it is yours; then at most five probes a second and 300 in all.

    Example: rozaneh lab probe 127.0.0.1:8443 --like 127.0.0.1:443
    """
    address, port = _split(server)
    other = _split(like) if like else None
    if other and recording:
        raise Fault(FaultKind.USAGE, "--like and --replay are two experiments", hint="run one after the other")
    with faults():
        from rozaneh.lab.prober import control, examine, replay
        from rozaneh.lab.prober.attempt import OBSERVE_S

        def prove(asked: Challenge) -> str:
            output.note(asked.instructions(proof_port))
            if not sys.stdin.isatty():
                raise control.NotProven("nobody is there to serve the token: standard input is no terminal")
            output.note("Press Enter when it does.")
            sys.stdin.readline()
            return control.prove(asked, proof_port)

        try:
            if recording:
                flight = _first_flight(recording, port)
                target = examine.reach(address, port, prove)
                _show_replay(output, replay.replay(target, flight, seed=seed, observe=observe or replay.OBSERVE_S))
                return
            found = examine.probe(address, port, like=other, observe=observe or OBSERVE_S, seed=seed, prove=prove)
        except control.NotProven as error:
            raise Fault(FaultKind.POLICY_DENIED, str(error), hint=_PROOF_HINT) from error
    output.table(("probe", "reaction"), [(name, one.short()) for name, one in found.reactions.items()])
    output.data("")
    named = ", ".join(found.identified)
    output.data(f"Looks like {named}" if named else "No decision tree of NDSS'20 names it")
    if other:
        output.data("")
        if found.differences:
            output.table(
                ("difference", "here", "there"), [(one.what, one.here, one.there) for one in found.differences]
            )
        else:
            output.data("No difference was seen")
    if not found.conclusive:
        output.warn(
            f"Watched for {found.observed:g} s: a slow server looks silent. The trees were made with {OBSERVE_S:g} s"
        )
    content = found.as_json()
    output.answer(content.pop("schema"), content)


def _first_flight(capture: Path, port: int) -> bytes:
    """What a client of the capture sent first to a server at `port`."""
    from rozaneh.lab.prober import replay

    flights = [flight for flow, flight in replay.first_flights(capture) if flow.server[1] == port]
    if not flights:
        raise Fault(
            FaultKind.USAGE, f"No client speaks to a TCP port {port} in {capture}", hint="capture its beginning"
        )
    return flights[0]


def _show_replay(output: Output, found: Replayed) -> None:
    output.table(("probe", "reaction"), [(name, one.short()) for name, one in found.reactions.items()])
    output.data("")
    for one in found.findings:
        output.data(f"{one.name}: {one.text}")
    output.data("It answers replays: a censor has its proxy" if found.accepted else "No replay was answered")
    reactions = {name: {"reaction": one.kind, "received": one.received} for name, one in found.reactions.items()}
    findings = [{"name": one.name, "text": one.text} for one in found.findings]
    output.answer(REPLAY_SCHEMA, {"accepted": found.accepted, "reactions": reactions, "findings": findings})


def _split(text: str) -> tuple[str, int]:
    address, _, port = text.rpartition(":")
    address = address.removeprefix("[").removesuffix("]")
    if not address or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise Fault(FaultKind.USAGE, f"{text!r} is not ADDR:PORT", hint="IPv6 is written as [ADDR]:PORT")
    return address, int(port)


@click.command()
@click.option("--topic", "only", metavar="T", multiple=True, help="Only this topic; may be repeated.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, metavar="K", help="Of everything random.")
@command_output
def verify(output: Output, only: tuple[str, ...], seed: int) -> None:
    """Test the lab itself against what the sources say censors do.

    Example: rozaneh lab verify --topic timers
    """
    with faults():
        from rozaneh.lab import verify as tests

        known = tests.topics()
        for topic in only:
            if topic not in known:
                raise Fault(FaultKind.USAGE, f"There is no topic {topic!r}", hint=f"there are: {', '.join(known)}")
        found = []
        for result in tests.run(seed, only or None):
            found.append(result)
            check = result.check
            count = f" (n = {check.n})" if check.n is not None else ""
            mark = "ok  " if check.ok else "FAIL"
            output.note(f"{mark} {result.topic}: {check.name}{count}")
    failed = [one for one in found if not one.check.ok]
    for one in failed:
        check = one.check
        output.data(f"{one.topic}: {check.name}: expected {check.expected}, measured {check.measured} [{check.source}]")
    output.data(f"{len(found) - len(failed)} of {len(found)} checks agree with their sources")
    checks = [
        {
            "topic": one.topic,
            "name": one.check.name,
            "source": one.check.source,
            "expected": one.check.expected,
            "measured": one.check.measured,
            "n": one.check.n,
            "ok": one.check.ok,
        }
        for one in found
    ]
    output.answer(VERIFY_SCHEMA, {"ok": not failed, "checks": checks})
    if failed:
        raise Fault(FaultKind.FAILED, "The lab differs from its sources", why=f"{len(failed)} checks failed")
