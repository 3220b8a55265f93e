"""First flights of real clients, sent again: at once, after restarts, at another edge, and when they have grown old.

Between reader and edge stands a recorder, as a censor's; between edge and cover stands a tap. Where the ServerHello
that a prober got is one that the cover sent, key share included, the prober spoke with the cover and with nobody else.
A ServerHello that the cover has not sent is the edge's own: that replay was accepted. Every replay also goes on with a
record that nobody else sends, and the tap tells whether the edge passed that on.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Literal

from rozaneh.lab import isolate
from rozaneh.lab.nodes import Node
from rozaneh.lab.processes import Process
from rozaneh.lab.services.pki import Authority
from rozaneh.lab.tell import covers, edges
from rozaneh.lab.tell import field as field_
from rozaneh.lab.tell.covers import COVERS, INNER, Place, Site
from rozaneh.lab.tell.seen import Seen
from rozaneh.lab.tell.talk import Hear, Plain, Say
from rozaneh.lab.tell.tapping import first_record
from rozaneh.lab.tell.trial import HOST, steal
from rozaneh.lab.tell.visits import Visits
from rozaneh.lab.world import Raised

Way = Literal["h2+reality", "h2+tls", "xray"]

# The replay window is 120 s and the filter's memory 240 s (issue 5 section 4): this is beyond both.
LATER_S = 300
# Shares of the replays by phase.
PHASES: Mapping[str, float] = {
    "at once": 0.2,
    "after a clean restart": 0.2,
    "after kill -9": 0.2,
    "after kill -9, without the filter's file": 0.1,
    "at a second edge with its own keys": 0.15,
    f"after {LATER_S} s": 0.15,
}
_TAPPED: Place = ("127.0.0.1", 8_444)
_RECORDED: Place = ("127.0.0.1", 7_443)
_XRAY_SOCKS = 7_080
_MOST = 64
_OBSERVE_S = 20.0
_READY_S = 20.0
_SETTLE_S = 10.0
# A server that answers and closes takes a moment, seconds on a busy machine; its patience is longer than this.
_AT_ONCE_S = 5.0
_VISITS_S = 120.0
# Flights recorded for each phase; each is sent many times. Xray's client takes seconds for each.
_FLIGHTS: dict[Way, int] = {"h2+reality": 40, "h2+tls": 40, "xray": 4}
_FRESH = 20
# Debian's libfaketime moves the wall clock of one process, and that alone.
_FAKETIME = (
    "/usr/lib/{machine}-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
)


@dataclass(frozen=True, slots=True)
class Flight:
    """What a real client said: before the first answer, and in all."""

    first: bytes
    whole: bytes


@dataclass(slots=True)
class Phase:
    """What became of one phase's replays.

    Attributes:
        name: When or where they were sent.
        sent: How many.
        passed_on: How many went on as far as the cover with what they said behind the answer.
        same_hello: How many got a ServerHello that the cover had sent.
        accepted: How many were neither.
        classes: The kinds of answers, and how many of each.
        reader: What a real reader's visit came to after it.
    """

    name: str
    sent: int
    passed_on: int
    same_hello: int
    accepted: int
    classes: dict[str, int]
    reader: str = ""


@dataclass(slots=True)
class Replayed:
    """A whole experiment.

    Attributes:
        way: Of the edge.
        phases: What was sent when.
        bare: The kinds of answers of the bare cover to the same replays.
        fresh: Control: intercepted flights that never arrived, of which so many were accepted.
        clock: Control: what readers' visits came to when the edge's clock was moved, by the reader's own offset.
        skipped: Phases that could not be, and why.
    """

    way: Way
    phases: list[Phase] = field(default_factory=list)
    bare: dict[str, int] = field(default_factory=dict)
    fresh: tuple[int, int] = (0, 0)
    clock: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    @property
    def sent(self) -> int:
        """All replays."""
        return sum(phase.sent for phase in self.phases)

    @property
    def accepted(self) -> int:
        """Those that were."""
        return sum(phase.accepted for phase in self.phases)

    @property
    def as_it_must(self) -> bool:
        """Whether nothing was accepted that must not be, everything that must be, and no answer gives an edge away."""
        fresh = self.fresh[0] == self.fresh[1]
        return not self.accepted and not self.strange and fresh and all(one.reader == "ok" for one in self.phases)

    @property
    def strange(self) -> list[str]:
        """Kinds of answers that the bare cover does not give."""
        return sorted({kind for phase in self.phases for kind in phase.classes} - set(self.bare))


def way(name: str) -> Way:
    """The way of this name."""
    for known in _FLIGHTS:
        if known == name:
            return known
    raise ValueError(f"there is no way {name!r}")


def faketime() -> Path | None:
    """Debian's libfaketime, where it is installed."""
    machine = os.uname().machine
    found = (Path(place.format(machine=machine)) for place in _FAKETIME)
    return next((path for path in found if path.exists()), None)


def run(way: Way, count: int, *, seed: int = 0, note: Callable[[str], None] = lambda _: None) -> Replayed:
    """Sends about `count` replays in all."""
    program = COVERS["nginx"].program()
    if program is None:
        raise isolate.LabUnavailable("nginx is missing: `apt-get install nginx-light`")
    return isolate.run(lambda: _Experiment(way, count, seed, program, note).run())


class _Experiment:
    """The machines and what happens on them; lives inside the namespaces."""

    def __init__(self, way: Way, count: int, seed: int, nginx: Path, note: Callable[[str], None]) -> None:
        self._way, self._count, self._nginx, self._note = way, count, nginx, note
        self._rng = Random(f"{seed}/replays")  # noqa: S311 - the same seed, the same order
        root = isolate.scratch() / "pages"
        root.mkdir()
        covers.pages(root)
        authority = Authority(isolate.scratch() / "authority", "A lab's authority")
        self._site = Site(HOST, authority.issue(HOST), root)
        names = ("edge", "second", "bare")
        self._world = field_.world(names)
        self._places = {name: (field_.address(number), field_.PORT) for number, name in enumerate(names)}
        self._keys = {name: edges.keys(f"{seed}/{name}") for name in names}
        self._running: list[Process] = []
        self._edges: dict[str, Process] = {}
        self._clock = isolate.scratch() / "clock"
        self._clock.write_text("+0\n")
        self._found = Replayed(way)

    def run(self) -> Replayed:
        with Raised(self._world) as raised:
            self._nodes = raised.nodes
            try:
                self._raise()
                possible = sum(share for name, share in PHASES.items() if self._possible(name))
                for name, share in PHASES.items():
                    if self._possible(name):
                        self._phase(name, round(self._count * share / possible))
                return self._found
            finally:
                for process in (*self._edges.values(), *reversed(self._running)):
                    process.kill()

    def _possible(self, name: str) -> bool:
        """Whether a phase can be; why not is said in the outcome."""
        if "filter" in name and self._way == "h2+tls":
            self._found.skipped[name] = "this way has no such filter: nothing of a first flight opens it"
        elif name == f"after {LATER_S} s" and (self._way == "xray" or faketime() is None):
            self._found.skipped[name] = "the edge's clock cannot be moved here (Debian: faketime)"
        return name not in self._found.skipped

    @property
    def _prober(self) -> Node:
        return self._nodes[field_.PROBER]

    def _raise(self) -> None:
        nginx = COVERS["nginx"]
        if self._way != "h2+tls":
            for name in ("edge", "second"):
                self._running.append(nginx.start(self._nodes[name], self._nginx, self._site, INNER))
                self._running.append(self._tap(self._nodes[name], _TAPPED, INNER, whole=False))
            self._running.append(nginx.start(self._nodes["bare"], self._nginx, self._site, self._places["bare"]))
        else:
            empty = edges.tls(self._places["bare"], self._site, accounts=False)
            self._running.append(edges.start(self._nodes["bare"], "empty", empty))
        for name in ("edge", "second"):
            self._edges[name] = self._start(name)
        self._running.append(self._tap(self._prober, _RECORDED, self._places["edge"], whole=True))
        if self._way == "xray":
            own = self._keys["edge"]
            self._running.append(edges.xray_reader(self._prober, _RECORDED, self._site, own, _XRAY_SOCKS))

    def _tap(self, node: Node, listen: Place, target: Place, *, whole: bool) -> Process:
        places = [f"{host}:{port}" for host, port in (listen, target)]
        argv = [sys.executable, "-m", "rozaneh.lab.tell.tapping", *places, str(node.folder / "tap")]
        process = node.spawn([*argv, "whole" if whole else "tail"])
        process.wait_line("ready", _READY_S)
        return process

    def _start(self, name: str) -> Process:
        node, place, own = self._nodes[name], self._places[name], self._keys[name]
        if self._way == "xray":
            return edges.xray(node, place, self._site, own, inner=_TAPPED)
        if self._way == "h2+tls":
            document = edges.tls(place, self._site, accounts=True)
        else:
            document = edges.reality(place, self._site, own, node.folder, inner=_TAPPED)
        library = faketime()
        env = {}
        if library and name == "edge":
            env = {
                "LD_PRELOAD": str(library),
                "FAKETIME_TIMESTAMP_FILE": str(self._clock),
                "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }
        return edges.start(node, "edge", document, env=env)

    def _phase(self, name: str, count: int) -> None:
        self._note(f"{self._way}: {count} replays {name}")
        flights = self._record(min(_FLIGHTS[self._way], count))
        server = "edge"
        if name.startswith(("after a clean", "after kill")):
            self._restart(clean="clean" in name, keep="without" not in name)
        elif name.startswith("at a second"):
            server = "second"
        elif name == f"after {LATER_S} s":
            self._clock.write_text(f"+{LATER_S}\n")
            for offset in (0, LATER_S):
                self._found.clock[f"reader's offset {offset} s"] = self._visit(offset)
        phase = self._replay(name, flights, count, server)
        phase.reader = self._visit(LATER_S if self._clock.read_text() != "+0\n" else 0)
        self._found.phases.append(phase)
        if name == "at once":
            sample = self._sent(flights, min(count, 400), self._places["bare"])
            self._found.bare = dict(Counter(kind(seen) for _, seen, _ in sample))
            self._fresh()

    def _restart(self, *, clean: bool, keep: bool) -> None:
        if clean:
            self._edges["edge"].stop()
        else:
            self._edges["edge"].kill()
        if not keep:
            for path in self._nodes["edge"].folder.glob("replays*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        self._edges["edge"] = self._start("edge")

    def _visit(self, offset: int) -> str:
        """How far a real reader comes now."""
        if self._way == "xray":
            return ""
        return str(self._visits(offset, 1, self._places["edge"])[0]["stage"])

    def _visits(self, offset: int, count: int, place: Place) -> list[dict[str, Any]]:
        path = self._prober.folder / "reader.json"
        own = self._keys["edge"] if self._way == "h2+reality" else None
        path.write_text(json.dumps(edges.reader(place, self._site, own, offset=offset)), "utf-8")
        argv = [sys.executable, "-m", "rozaneh.lab.tell.visiting", str(path), str(count)]
        code, text = self._prober.run(argv, timeout=_VISITS_S)
        if code:
            raise isolate.Failed(f"the reader's client failed: {text.strip()[-500:]}")
        return [json.loads(line) for line in text.splitlines()]

    def _record(self, wanted: int) -> list[Flight]:
        """Has real readers visit the edge through the recorder; each visit that got in is a flight."""
        before = len(self._recorded())
        if self._way == "xray":
            self._prober.call(lambda: _through_socks(_XRAY_SOCKS, wanted))
        else:
            for result in self._visits(0, wanted, _RECORDED):
                if not result["ok"]:
                    raise isolate.Failed(f"a reader did not get in: {result}")
        _until(lambda: len(self._recorded()) >= before + wanted)
        lines = self._recorded()[before:]
        flights = [Flight(bytes.fromhex(one["up"])[: one["first"]], bytes.fromhex(one["up"])) for one in lines]
        flights = [one for one in flights if one.first]
        if len(flights) < wanted:
            raise isolate.Failed(f"{len(flights)} of {wanted} visits were recorded")
        return flights

    def _recorded(self) -> list[dict[str, Any]]:
        return _lines(self._prober.folder / "tap")

    def _replay(self, name: str, flights: Sequence[Flight], count: int, server: str) -> Phase:
        taken = self._nodes[server].folder / "tap"
        before = self._counters(server)
        sent = self._sent(flights, count, self._places[server])
        classes = Counter(kind(seen) for _, seen, _ in sent)
        if self._way == "h2+tls":
            # Nothing lies behind this edge; whoever is accepted is counted by it.
            used = sum(after != before[key] for key, after in self._counters(server).items())
            return Phase(name, count, 0, 0, used, dict(classes))
        _until(lambda: not _accepted(sent, _lines(taken)))
        lines = _lines(taken)
        tails, hellos = _heard(lines)
        passed = sum(token in tails for token, _, _ in sent)
        same = sum(hello in hellos for _, _, hello in sent)
        return Phase(name, count, passed, same, _accepted(sent, lines), dict(classes))

    def _counters(self, server: str) -> dict[str, Any]:
        """What an edge counts of its readers, one value a key; of the others taps tell more."""
        if self._way != "h2+tls":
            return {}
        found = edges.counters(self._edges[server])
        user = found["users"].get("reader", {})
        return {"tunnels": found["tunnels_total"], "up": user.get("up"), "down": user.get("down")}

    def _fresh(self) -> None:
        """Control: flights that the edge has never seen must be taken for a reader's."""
        if self._way != "h2+reality":
            return
        path = self._prober.folder / "fresh.json"
        document = edges.reader(self._places["edge"], self._site, self._keys["edge"])
        path.write_text(json.dumps(document), "utf-8")
        flights = self._prober.call(lambda: steal(["engine", str(path)], _FRESH))
        once = [Flight(one, one) for one in flights]
        phase = self._replay("fresh", once, _FRESH, "edge")
        self._found.fresh = (phase.accepted, phase.sent)

    def _sent(self, flights: Sequence[Flight], count: int, place: Place) -> list[tuple[str, Seen, str]]:
        """Sends flights in turn, each followed by a record of its own: token, what came, and the answer's digest."""
        seeds = [self._rng.randbytes(16) for _ in range(count)]

        def send() -> list[tuple[str, Seen, str]]:
            found: list[tuple[str, Seen, str]] = []
            visits = Visits(most=_MOST)
            for number, token in enumerate(seeds):
                flight = flights[number % len(flights)]
                # Every other one says all that the client said.
                said = flight.whole if number // len(flights) % 2 else flight.first
                talk = Plain([Say(said), Hear(), Say(b"\x17\x03\x03\x00\x20" + bytes(16) + token)])
                visits.begin(talk, place, _OBSERVE_S, _keep(found, token.hex(), talk))
            visits.run()
            return found

        return self._prober.call(send)


def kind(seen: Seen) -> str:
    """An answer without what varies from one handshake to the next: the lengths of signatures."""
    kinds = " ".join(f"{kind}:{_about(length)}" for kind, length in seen.records)
    when = "" if seen.end == "open" else " at once" if seen.end_s < _AT_ONCE_S else f" after {round(seen.end_s)} s"
    return f"{seen.end}{when} {kinds}".strip()


def _about(length: int) -> str:
    """A record's length; ECDSA signatures have 70 to 72 bytes, and a certificate has one as well."""
    return str(length) if length < 60 or length in range(110, 130) else f"{round(length / 8) * 8}"


def _keep(found: list[tuple[str, Seen, str]], token: str, talk: Plain) -> Callable[[Seen], None]:
    return lambda seen: found.append((token, seen, first_record(talk.raw)))


def _through_socks(port: int, count: int) -> None:
    """So many connections through a client's SOCKS port, each to the server's own cover, which says that is no TLS."""
    for _ in range(count):
        with socket.create_connection(("127.0.0.1", port), timeout=_OBSERVE_S) as through:
            # RFC 1928: no authentication, CONNECT to an address.
            place = socket.inet_aton(INNER[0]) + INNER[1].to_bytes(2, "big")
            through.sendall(b"\x05\x01\x00")
            through.recv(2)
            through.sendall(b"\x05\x01\x00\x01" + place)
            through.recv(10)
            through.sendall(b"hello\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                while through.recv(4_096):
                    pass


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]


def _heard(lines: Sequence[Mapping[str, Any]]) -> tuple[set[str], set[str]]:
    """What a tap has seen: the ends of what was said, and the first records of what was answered."""
    return {one["up"][-32:] for one in lines}, {one["answer"] for one in lines if one["answer"]}


def _accepted(sent: Sequence[tuple[str, Seen, str]], lines: Sequence[Mapping[str, Any]]) -> int:
    """How many of these were answered with a ServerHello that the cover has not sent."""
    _, hellos = _heard(lines)
    return sum(bool(hello) and hello not in hellos for _, _, hello in sent)


def _until(done: Callable[[], bool]) -> None:
    """Waits for what another process is about to write, and no longer than a bound; the caller looks itself."""
    end = time.monotonic() + _SETTLE_S
    while not done() and time.monotonic() < end:
        select.select([], [], [], 0.05)
