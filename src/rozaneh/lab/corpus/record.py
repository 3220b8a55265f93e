"""Raises a world, plays a seeded list of flows through it, and keeps the capture at the censor with each flow's truth.

The line has a round trip, because bursts are told by it. Certificate chains have several lengths and key kinds, as
sites do: an inner handshake's size is what detectors see.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import msgspec

from rozaneh.lab import isolate, worlds
from rozaneh.lab.browser import chromium
from rozaneh.lab.corpus import patterns
from rozaneh.lab.corpus.chains import make_chains
from rozaneh.lab.corpus.service import COVER, PORTS, Config
from rozaneh.lab.corpus.visitor import Plan, Visit
from rozaneh.lab.judges import flowsfrom
from rozaneh.lab.judges.flowsfrom import Flow
from rozaneh.lab.links import LinkModel
from rozaneh.lab.nodes import Node
from rozaneh.lab.processes import NotReady
from rozaneh.lab.services.internet import Internet
from rozaneh.lab.world import Raised

_WORLD = "newsstand"
_SERVER = "server"
_READY_S = 60.0
_PLAY_S = 900.0


@dataclass(frozen=True, slots=True)
class Labelled:
    """A flow of the corpus with its truth."""

    flow: Flow
    visit: Visit

    @property
    def tunnel(self) -> bool:
        """Whether something runs inside something."""
        return ">" in self.visit.way


@dataclass(frozen=True, slots=True)
class Phase:
    """When a real program browsed, with which TLS."""

    program: str
    version: str
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Settings:
    """What to record.

    Attributes:
        each: Flows for every way, TLS version and pattern.
        seed: Of everything drawn.
        round_trip_ms: The line's; two directions, half each.
        at_once: Flows at the same time.
        ways: Which ways; all by default.
        rounds: How often Chromium (with a fresh profile) and curl (with either TLS) visit every site of the world.
    """

    each: int = 12
    seed: int = 0
    round_trip_ms: float = 30.0
    at_once: int = 6
    ways: tuple[str, ...] = tuple(PORTS)
    rounds: int = 0


def plan(settings: Settings, names: Sequence[str]) -> list[Visit]:
    """The flows to play, in a drawn order."""
    rng = Random(f"{settings.seed}/plan")  # noqa: S311 - the same seed gives the same corpus
    visits = []
    for way in settings.ways:
        versions = ("1.2", "1.3") if way.endswith("tls") else ("-",)
        for version in versions:
            for pattern in patterns.KINDS:
                for _ in range(settings.each):
                    visits.append((way, pattern, rng.randrange(1 << 30), version, rng.choice(list(names))))
    rng.shuffle(visits)
    return [Visit(number, *visit) for number, visit in enumerate(visits)]


def record(settings: Settings, folder: Path, say: Callable[[str], None] = lambda _: None) -> list[Labelled]:
    """Records the corpus; `folder` keeps the capture. Needs what worlds need."""
    folder.mkdir(parents=True, exist_ok=True)
    made, phases = isolate.run(lambda: _inside(settings, folder.absolute()))
    say(f"{len(made)} flows played")
    capture = folder / "reader-side.pcap"
    server = worlds.load(_WORLD).addresses(_SERVER)[0]
    return [*labelled(capture, made, server), *browsed(capture, phases)]


def labelled(capture: Path, made: Sequence[tuple[Visit, int]], server: str) -> list[Labelled]:
    """The capture's flows with their truth, by way and client port; ports used twice say nothing and are left out."""
    times = Counter((PORTS[visit.way], port) for visit, port in made)
    by_port = {(PORTS[visit.way], port): visit for visit, port in made if times[PORTS[visit.way], port] == 1}
    found = []
    for flow in flowsfrom.read(capture):
        visit = by_port.get((flow.server[1], flow.client[1]))
        if visit is not None and flow.whole and flow.server[0] == server:
            found.append(Labelled(flow, visit))
    return found


def browsed(capture: Path, phases: Sequence[Phase]) -> list[Labelled]:
    """The flows of real browsers in the capture: HTTPS to a site while that program ran."""
    sites = {address for site in worlds.load(_WORLD).sites for address in site.addresses}
    found = []
    for flow in flowsfrom.read(capture):
        if flow.protocol != "tcp" or flow.server[0] not in sites or flow.server[1] != 443 or not flow.whole:
            continue
        for phase in phases:
            if phase.began <= flow.began <= phase.ended:
                found.append(Labelled(flow, Visit(-1, "tls", phase.program, 0, phase.version, "")))
    return found


def _inside(settings: Settings, folder: Path) -> tuple[list[tuple[Visit, int]], list[Phase]]:
    data = worlds.load(_WORLD)
    half = LinkModel(delay_ms=settings.round_trip_ms / 2)
    with Raised(data, captures=folder, seed=settings.seed, link_in=half, link_out=half) as world:
        server, reader = world.nodes[_SERVER], world.reader
        address = data.addresses(_SERVER)[0]
        certificates = make_chains(server.folder / "chains", COVER)
        names = [one.name for one in certificates.leaves]
        _serve(server, Config(address, certificates.leaves))
        visits = plan(settings, names)
        wanted = Plan(address, str(certificates.authority), visits, settings.at_once)
        path = reader.folder / "plan.json"
        path.write_bytes(msgspec.json.encode(wanted))
        errors = reader.folder / "visitor.log"
        argv = [sys.executable, "-m", "rozaneh.lab.corpus.visitor", str(path)]
        code, output = reader.run(argv, timeout=_PLAY_S, errors=errors)
        if code:
            raise NotReady(f"the visitor ended with {code}: {errors.read_text()[-2000:]}")
        phases = _browse(world, settings.rounds) if settings.rounds else []
        world.censor.stats()  # the capture is on disk when this returns
    by_number = {visit.number: visit for visit in visits}
    done = (json.loads(line) for line in output.splitlines())
    return [(by_number[one["number"]], one["port"]) for one in done], phases


def _browse(world: Raised, rounds: int) -> list[Phase]:
    internet = Internet(world)
    chromium.trust(world.reader, internet.authority)
    urls = [f"https://{site.name}/" for site in world.data.sites]
    phases = []
    for number in range(rounds):
        began = time.time()
        with chromium.Chromium(world.reader, f"corpus-{number}") as browser:
            for url in urls * 3:  # a reader goes on reading: the connection is used again
                browser.open(url)
        phases.append(Phase("chromium", "1.3", began, time.time()))
        for version in ("1.2", "1.3"):
            began = time.time()
            for url in (*urls, *(f"{each}64k.bin" for each in urls)):
                argv = [
                    "curl",
                    "-sS",
                    "-o",
                    "/dev/null",
                    "--tls-max",
                    version,
                    "--cacert",
                    str(internet.authority),
                    url,
                ]
                code, output = world.reader.run(argv)
                if code:
                    raise NotReady(f"curl ended with {code}: {output}")
            phases.append(Phase("curl", version, began, time.time()))
    return phases


def _serve(node: Node, config: Config) -> None:
    path = node.folder / "service.json"
    path.write_bytes(msgspec.json.encode(config))
    argv = [sys.executable, "-m", "rozaneh.lab.corpus.service", str(path)]
    process = node.spawn(argv, errors=node.folder / "service.log")
    process.wait_line('"ready"', _READY_S)
    _running.append(process)


# Kept until the namespaces end, and with them the program: a Process that is collected closes its pipe.
_running: list[object] = []
