"""The whole experiment: covers bare, twice, and behind edges; all asked; and what telling them apart came to."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rozaneh.lab import isolate
from rozaneh.lab.processes import Process
from rozaneh.lab.services.pki import Authority
from rozaneh.lab.tell import asking, battery, covers, edges, field, stolen
from rozaneh.lab.tell.asking import Group
from rozaneh.lab.tell.covers import COVERS, INNER, Cover, Site
from rozaneh.lab.tell.seen import Seen
from rozaneh.lab.tell.verdict import JITTER_S, LIMIT, LINES_S, Comparison, Difference, Share, compare, differences
from rozaneh.lab.world import Raised

HOST = "garden-photos.example"
# The most connections at once: below what a process may open (20,000 here), and a server needs two for each of them.
MOST = 6_000
_STEAL_S = 120.0
# Times count as different below this probability: several comparisons a run, all of which must pass by chance.
_BY_CHANCE = 1e-3
# What must be told has to be told clearly.
_KNOWN = 0.65
# Where Xray's client is led to on the prober's loopback, and its SOCKS port there.
_XRAY_OUT, _XRAY_SOCKS = 7_443, 7_080

Kind = Literal["bare", "reality", "careless", "xray", "tls", "tls-empty"]
Role = Literal["subject", "control", "known", "note"]


@dataclass(frozen=True, slots=True)
class Server:
    """One machine: its name, what runs on it, and the kind of cover."""

    name: str
    kind: Kind
    cover: str


@dataclass(frozen=True, slots=True)
class Pair:
    """Two servers to be told apart, and why: a subject, a control that must fail, or one that must succeed."""

    here: str
    there: str
    role: Role
    about: str


@dataclass(frozen=True, slots=True)
class Set:
    """Servers that get the same probes, and the pairs among them."""

    name: str
    way: Literal["h2+reality", "h2+tls", "xray"]
    servers: tuple[Server, ...]
    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class Size:
    """How much is asked: every so manieth probe, so many rounds, each watched for so long.

    Attributes:
        every: 1 sends all probes.
        rounds: Two at least.
        observe: Seconds each connection is watched.
        patience: Seconds covers wait for a silent client; None leaves each its own.
        stolen: Every so manieth of the probes that begin with an intercepted first flight; 0 for none.
    """

    every: int
    rounds: int
    observe: float
    patience: int | None
    stolen: int


# nginx gives a silent client 60 s before a request and 75 s behind one; both are seen to end.
WHOLE = Size(every=1, rounds=3, observe=80.0, patience=None, stolen=2)
SMALL = Size(every=9, rounds=3, observe=4.0, patience=2, stolen=6)


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one pair.

    Attributes:
        set_name: The set it belongs to.
        pair: The pair.
        afar: Compared with times blurred as a path between countries blurs them.
        beside: Compared with every microsecond, as from a neighbouring machine.
        tells: Differences that were there in every round and every time they were asked for again.
        lines: The best classifier's share on lines that vary so many seconds, for subjects and controls.
        intercepted: The same two for probes that begin with an intercepted first flight, where those were sent.
    """

    set_name: str
    pair: Pair
    afar: Comparison
    beside: Comparison
    tells: list[Difference]
    lines: list[tuple[float, Share]]
    intercepted: tuple[Comparison, list[Difference]] | None = None

    def why_told(self) -> list[str]:
        """Why a censor tells these two servers apart; empty when he cannot."""
        found = []
        if self.afar.accuracy > LIMIT:
            found.append(f"{self.afar.accuracy:.1%} of the answers were put to the right server")
        if self.tells:
            found.append(f"{len(self.tells)} probes were answered differently every time")
        if self.afar.patience.p < _BY_CHANCE:
            found.append(f"silent connections are closed at other times (p = {self.afar.patience.p:.1g})")
        if self.intercepted and self.intercepted[1]:
            found.append(
                f"{len(self.intercepted[1])} probes behind an intercepted first flight were answered differently"
            )
        return found

    @property
    def as_it_must(self) -> bool:
        """Whether a subject and a control cannot be told, and what must be told is; notes may be either."""
        told = bool(self.why_told())
        return {"subject": not told, "control": not told, "known": self.afar.accuracy > _KNOWN, "note": True}[
            self.pair.role
        ]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A whole trial.

    Attributes:
        told: Every pair.
        probes: How many probes each set of servers was sent a round.
        visits: Connections made in all.
        versions: Of the covers and whatever else took part.
    """

    told: list[Told]
    probes: dict[str, int]
    visits: int
    versions: dict[str, str]


def missing(name: str) -> str:
    """Why this cover cannot run here; empty when it can."""
    return "" if COVERS[name].program() else f"{COVERS[name].about} is not installed"


def sets(names: Sequence[str], ways: Sequence[str], *, known: bool = True) -> list[Set]:
    """Which servers stand for these covers and ways; the first cover's set has the controls that must succeed."""
    found: list[Set] = []
    for number, cover in enumerate(names if "h2+reality" in ways else ()):
        servers = [
            Server(f"{cover}-edge", "reality", cover),
            Server(f"{cover}-bare", "bare", cover),
            Server(f"{cover}-bare-2", "bare", cover),
        ]
        pairs = [
            Pair(servers[0].name, servers[1].name, "subject", f"h2+reality before {cover}, and bare {cover}"),
            Pair(servers[2].name, servers[1].name, "control", f"bare {cover} twice"),
        ]
        if known and number == 0:
            other = next((one for one in COVERS if one != cover and not missing(one)), None)
            if other:
                servers.append(Server(f"{other}-stranger", "bare", other))
                pairs.append(Pair(servers[-1].name, servers[1].name, "known", f"bare {other}, and bare {cover}"))
            if cover == "nginx":
                servers.append(Server("nginx-careless", "careless", cover))
                text = "h2+reality before nginx that names its port in redirects, and bare nginx"
                pairs.append(Pair("nginx-careless", servers[1].name, "note", text))
        found.append(Set(cover, "h2+reality", tuple(servers), tuple(pairs)))
    if "xray" in ways:
        cover = names[0]
        servers = [
            Server("xray-edge", "xray", cover),
            Server("xray-bare", "bare", cover),
            Server("xray-bare-2", "bare", cover),
        ]
        pairs = [
            Pair("xray-edge", "xray-bare", "note", f"Xray's REALITY before {cover}, and bare {cover}"),
            Pair("xray-bare-2", "xray-bare", "control", f"bare {cover} twice, asked the same"),
        ]
        found.append(Set("xray", "xray", tuple(servers), tuple(pairs)))
    if "h2+tls" in ways:
        servers = [
            Server("tls-edge", "tls", ""),
            Server("tls-empty", "tls-empty", ""),
            Server("tls-empty-2", "tls-empty", ""),
        ]
        pairs = [
            Pair("tls-edge", "tls-empty", "subject", "h2+tls with accounts, and without"),
            Pair("tls-empty-2", "tls-empty", "control", "h2+tls without accounts, twice"),
        ]
        found.append(Set("tls", "h2+tls", tuple(servers), tuple(pairs)))
    return found


def run(wanted: Sequence[Set], size: Size, *, seed: int = 0, note: Callable[[str], None] = lambda _: None) -> Outcome:
    """Raises the network, asks everything, and compares.

    Args:
        wanted: From `sets`.
        size: `WHOLE`, `SMALL` or one's own.
        seed: Of everything random but the covers' and clients' own.
        note: Told how far it is.
    """
    programs: dict[str, Path] = {}
    versions: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in {server.cover for one in wanted for server in one.servers if server.cover}:
            cover = COVERS[name]
            program = cover.program()
            if program is None:
                raise isolate.LabUnavailable(missing(name))
            versions[name] = cover.version(program)
            programs[name] = program if name != "go" else (covers.build_go(Path(folder)) or program)
        note("raising the network")
        groups, intercepted = isolate.run(lambda: _inside(wanted, size, seed, programs, note))
    note("telling servers apart")
    told = [
        _told(one.name, pair, group, other, seed)
        for one, group, other in zip(wanted, groups, intercepted, strict=True)
        for pair in one.pairs
    ]
    visits = sum(
        len(each)
        for group in [*groups, *intercepted]
        for every in (group.answers, group.again)
        for by_probe in every.values()
        for each in by_probe.values()
    )
    probes = {
        one.name: len(group.families) + len(other.families)
        for one, group, other in zip(wanted, groups, intercepted, strict=True)
    }
    return Outcome(told, probes, visits, versions)


@dataclass(slots=True)
class Answered:
    """What a group said, without the probes' conversations, which do not leave the process."""

    families: dict[str, str]
    answers: dict[str, dict[str, list[Seen]]]
    again: dict[str, dict[str, list[Seen]]]


def _told(name: str, pair: Pair, group: Answered, other: Answered, seed: int) -> Told:
    here, there = group.answers[pair.here], group.answers[pair.there]
    intercepted = None
    if pair.here in other.answers and pair.there in other.answers:
        mine, theirs = other.answers[pair.here], other.answers[pair.there]
        compared = compare(mine, theirs, other.families, jitter=JITTER_S, seed=seed)
        intercepted = (compared, _confirmed(other, pair))
    lines = LINES_S if pair.role in ("subject", "control") else ()
    return Told(
        name,
        pair,
        compare(here, there, group.families, jitter=JITTER_S, seed=seed),
        compare(here, there, group.families, jitter=0.0, seed=seed),
        _confirmed(group, pair),
        [(each, compare(here, there, group.families, jitter=each, seed=seed).best) for each in lines],
        intercepted,
    )


def _confirmed(group: Answered, pair: Pair) -> list[Difference]:
    """What differed in all rounds and differed still when it was asked for again."""
    found = differences(group.answers[pair.here], group.answers[pair.there])
    whole = [
        {probe: [*said, *group.again.get(side, {}).get(probe, ())] for probe, said in group.answers[side].items()}
        for side in (pair.here, pair.there)
    ]
    still = {one.probe for one in differences(*whole)}
    return [one for one in found if one.probe in still]


def _inside(
    wanted: Sequence[Set], size: Size, seed: int, programs: dict[str, Path], note: Callable[[str], None]
) -> tuple[list[Answered], list[Answered]]:
    everything = [server for one in wanted for server in one.servers]
    root = isolate.scratch() / "pages"
    root.mkdir()
    covers.pages(root)
    authority = Authority(isolate.scratch() / "authority", "A lab's authority")
    site = Site(HOST, authority.issue(HOST), root, size.patience)
    world = field.world([server.name for server in everything])
    running: list[Process] = []
    places = {server.name: (field.address(n), field.PORT) for n, server in enumerate(everything)}
    with Raised(world) as raised:
        try:
            for server in everything:
                running += _start(raised, server, site, places[server.name], programs, seed)
            prober = raised.nodes[field.PROBER]
            if any(one.way == "xray" for one in wanted):
                own = edges.keys(f"{seed}/xray-edge")
                running.append(edges.xray_reader(prober, ("127.0.0.1", _XRAY_OUT), site, own, _XRAY_SOCKS))

            def ask() -> tuple[list[Answered], list[Answered]]:
                return _ask(wanted, size, seed, places, site, prober.folder, note)

            return prober.call(ask)
        finally:
            for process in reversed(running):
                process.kill()


def _start(
    raised: Raised, server: Server, site: Site, place: covers.Place, programs: dict[str, Path], seed: int
) -> list[Process]:
    node = raised.nodes[server.name]
    own = edges.keys(f"{seed}/{server.name}")
    if server.kind in ("tls", "tls-empty"):
        return [edges.start(node, "edge", edges.tls(place, site, accounts=server.kind == "tls"))]
    cover: Cover = COVERS[server.cover]
    program = programs[server.cover]
    if server.kind == "bare":
        return [cover.start(node, program, site, place)]
    careful = dataclasses.replace(site, port_in_redirect=server.kind == "careless")
    started = [cover.start(node, program, careful, INNER)]
    if server.kind == "xray":
        return [*started, edges.xray(node, place, site, own)]
    return [*started, edges.start(node, "edge", edges.reality(place, site, own, node.folder))]


def _ask(
    wanted: Sequence[Set],
    size: Size,
    seed: int,
    places: dict[str, covers.Place],
    site: Site,
    folder: Path,
    note: Callable[[str], None],
) -> tuple[list[Answered], list[Answered]]:
    groups, intercepted = [], []
    for one in wanted:
        client = _client(one, places[one.servers[0].name], site, folder, seed)
        theirs = {server.name: places[server.name] for server in one.servers}
        # What must be told differs in most answers; asking for those again would say nothing new for half an hour.
        pairs = [(pair.here, pair.there) for pair in one.pairs if pair.role != "known"]
        hello = steal(client, 1)[0]
        groups.append(Group(one.name, battery.battery(hello, site.name, seed, size.every), theirs, pairs))
        # An intercepted flight opens this set's edge only; to the other edges it says nothing.
        few = pairs[:2] if size.stolen and one.way != "h2+tls" else []
        pool = stolen.Stolen(len({name for pair in few for name in pair}))
        probes = stolen.battery(pool, seed, size.stolen) if few else []
        places_of_few = {name: theirs[name] for pair in few for name in pair}
        intercepted.append(Group(f"{one.name}, intercepted", probes, places_of_few, few, _refill(pool, client)))
    every = [*intercepted, *groups]
    note(f"{sum(len(one.probes) * len(one.places) for one in every)} visits a round")
    asking.ask(every, rounds=size.rounds, observe=size.observe, most=MOST, seed=seed, note=note)
    return [_answered(one) for one in groups], [_answered(one) for one in intercepted]


def _answered(group: Group) -> Answered:
    return Answered(group.families, group.answers, group.again)


def _client(one: Set, place: covers.Place, site: Site, folder: Path, seed: int) -> list[str]:
    """How to have a real client of a set's first server begin a connection: arguments of `thief`."""
    if one.way == "xray":
        return ["socks", str(_XRAY_OUT), str(_XRAY_SOCKS)]
    own = edges.keys(f"{seed}/{one.servers[0].name}") if one.way == "h2+reality" else None
    path = folder / f"{one.name}.json"
    path.write_text(json.dumps(edges.reader(place, site, own)), "utf-8")
    return ["engine", str(path)]


def _refill(pool: stolen.Stolen, client: list[str]) -> Callable[[int], None]:
    def refill(count: int) -> None:
        if count:
            pool.fill(steal(client, count))

    return refill


def steal(client: Sequence[str], count: int) -> list[bytes]:
    """First flights of a client (arguments of `thief`); none of them ever reaches its server."""
    argv = [sys.executable, "-m", "rozaneh.lab.tell.thief", *client, str(count)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=_STEAL_S)
    flights = [bytes.fromhex(line) for line in done.stdout.split()]
    if done.returncode or len(flights) != count or not all(flights):
        raise isolate.Failed(f"the client began {len(flights)} of {count} connections: {done.stderr.strip()[-500:]}")
    return flights
