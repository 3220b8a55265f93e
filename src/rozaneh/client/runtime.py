"""A running client: performs what the connector decides, with the real engine, clock and disk.

The order that keeps a reader safe: an invite is judged before anything is dialled; a roster is verified and persisted
before it is used; programs are told "ready" only when an edge has authenticated us.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from rozaneh.client import connector as c
from rozaneh.client import memory as mem
from rozaneh.client.localproxy import LocalProxy
from rozaneh.client.upstreams import looks, to_upstream
from rozaneh.core.addresses import Endpoint
from rozaneh.core.clock import Clock, SystemClock
from rozaneh.core.control import ControlServer
from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.files import DirectoryLock, private_dir, sweep
from rozaneh.core.tasks import background, every, on_signals
from rozaneh.engine.config import ROSTER_AUTHORITY, EngineConfig, ProbeResult
from rozaneh.engine.engine import Engine, EngineLike
from rozaneh.fleet import roster
from rozaneh.fleet.credentials import Credentials
from rozaneh.fleet.invites import Invite
from rozaneh.ways.grammar import Way

T = TypeVar("T")

PROBE_SECONDS = 10.0  # TCP and TLS over a path with 2 s round trips and one loss (RFC 6298: 1 s, then doubled)
FETCH_SECONDS = 15.0
REFRESH_SECONDS = 6 * 3600.0  # a roster is renewed daily: four chances a day to see it
SKEW_LIMIT = 86_400  # the roster rules tolerate this much
_EVENT_BATCH = 64
_EVENT_WAIT = 0.5  # how long a stop may wait for the thread that listens to the engine
_MAX_WORKERS = 2  # one reader's browser
_CARRIER_EVENTS = frozenset({"carrier_lost", "carrier_failed"})


@dataclass(frozen=True, slots=True)
class Ready:
    """What the person is told when programs can use the way out."""

    listen: str
    way: str
    refreshed: bool


def client_config(
    proxy: LocalProxy, candidates: tuple[c.Candidate, ...], serve: int, credentials: Credentials, clock_offset: int = 0
) -> EngineConfig:
    """The engine's configuration: every candidate an upstream, the listener behind one of them."""
    upstreams = [
        to_upstream(candidate.way, tag_of(i), credentials, clock_offset=clock_offset)
        for i, candidate in enumerate(candidates)
    ]
    return EngineConfig(
        workers=min(os.cpu_count() or 1, _MAX_WORKERS),
        looks=looks(upstreams),
        listeners=[proxy.listener(tag_of(serve))],
        upstreams=upstreams,
    )


def tag_of(index: int) -> str:
    """The engine's name for a candidate."""
    return f"way{index}"


def candidates_for(invite: Invite, verified: roster.Verified | None, last_good: str | None) -> tuple[c.Candidate, ...]:
    """The ways to try: the one that worked last, then the roster's, then the invite's own.

    A roster that is valid is the truth: a way of the invite that is no longer in it was retired, and may only fetch.
    Without one the invite's ways carry everything, for the invite is the root of trust and does not expire; those of an
    expired roster may only fetch. Where a roster knows the edge of an invite's way, its line replaces the invite's: it
    may demand more (an ML-DSA signature), and what was once demanded is never dropped for being inconvenient.
    """
    found: dict[Way, c.Candidate] = {}
    current = verified is not None and verified.standing is roster.Standing.CURRENT
    known = {same_edge(way): way for way in reversed(verified.ways if verified is not None else ())}
    for way in verified.ways if verified is not None else ():
        found[way] = c.Candidate(way, fetch_only=not current)
    for way in invite.ways:
        latest = known.get(same_edge(way))
        if latest is None:
            found[way] = c.Candidate(way, fetch_only=current)
        elif not current:
            found[latest] = c.Candidate(latest)
    ordered = list(found.values())
    ordered.sort(key=lambda candidate: (candidate.fetch_only, str(candidate.way) != last_good))
    return tuple(ordered)


_MANNER = frozenset({"mldsa", "look", "carriers"})  # how an edge is dialled; everything else says which edge it is


def same_edge(way: Way) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    """What two ways have in common when they lead to one edge by one transport, whatever else they ask for."""
    return tuple(
        (layer.transport.name, tuple((name, value) for name, value in layer.values.items() if name not in _MANNER))
        for layer in way.layers
    )


def refuse_loops(proxy: LocalProxy, candidates: tuple[c.Candidate, ...]) -> None:
    """Refuse a way that leads back into our own listener.

    Raises:
        Fault: POLICY_DENIED.
    """
    if proxy.port is None:
        return
    here = Endpoint.parse(proxy.bind)
    for candidate in candidates:
        there = Endpoint.parse(candidate.way.last.get("address") or "")
        if there.port == here.port and (there.address == here.address or there.address.is_loopback):
            raise Fault(
                FaultKind.POLICY_DENIED, "The invite leads back to this device's own proxy", hint="do not use it"
            )


def clock_offset(probe: ProbeResult, now: int) -> int | None:
    """The cover's date less this device's time, where it was the cover that answered and it said one."""
    return probe.server_date - now if probe.stage == "cover" and probe.server_date is not None else None


def stage_of(probe: ProbeResult, way: Way) -> str:
    """How far a way came, in the connector's words.

    Behind REALITY nothing is pinned: there the engine's ``pin`` says that the certificate was neither the edge's nor
    one that a browser would accept, which it also finds where this device's date lies outside the certificate's.
    """
    return "certificate" if probe.stage == "pin" and way.last.transport.name.endswith("+reality") else probe.stage


def span(seconds: int) -> str:
    """A length of time as a person says it."""
    seconds = abs(seconds)
    if seconds < 120:
        return f"{seconds} seconds"
    if seconds < 7200:
        return f"{seconds // 60} minutes"
    return f"{seconds // 3600} hours" if seconds < 172_800 else f"{seconds // 86_400} days"


class ClientRuntime:
    """One run of ``connect``, from lock to the last tunnel."""

    def __init__(
        self,
        directory: Path,
        invite: Invite,
        proxy: Callable[[mem.Memory], LocalProxy],
        *,
        clock: Clock | None = None,
        engine: Callable[[EngineConfig], EngineLike] = Engine,
        say: Callable[[str], None] = lambda _: None,
        warn: Callable[[str], None] = lambda _: None,
        keep_port: bool = True,
    ) -> None:
        self._directory = directory
        self._invite = invite
        self._decide_proxy = proxy
        self._clock = clock or SystemClock()
        self._make_engine = engine
        self._say = say
        self._warn = warn
        self._keep_port = keep_port
        self._queue: asyncio.Queue[c.Event] = asyncio.Queue(maxsize=64)
        self._stopped = asyncio.Event()
        self._opened = asyncio.Event()
        self._refreshed = False
        self._serving = 0
        self._offset = 0

    def stop(self) -> None:
        """End the run; programs' tunnels are cut."""
        self._stopped.set()

    async def run(self, ready: Callable[[Ready], None], work: Callable[[Ready], T] | None = None) -> T | None:
        """Connect and stay connected until told to stop, or until ``work`` (run in a thread once ready) has finished.

        Returns:
            What ``work`` returned, or None.

        Raises:
            Fault: when no edge can be used, or ``work`` raised one.
        """
        private_dir(self._directory)
        with DirectoryLock(self._directory).take():
            sweep(self._directory)
            self._memory = mem.load(self._directory)
            self._credentials = self._invite.credentials()
            proxy = self._decide_proxy(self._memory)
            self._proxy = proxy
            self._candidates = candidates_for(self._invite, self._known_roster(), self._memory.last_good)
            refuse_loops(proxy, self._candidates)
            self._engine = self._make_engine(client_config(proxy, self._candidates, 0, self._credentials))
            await asyncio.to_thread(self._engine.start)
            try:
                return await self._serve(ready, work)
            finally:
                # Blocking: the engine's own threads end here, and nothing else has to run any more.
                self._engine.stop(0.0)

    async def _serve(self, ready: Callable[[Ready], None], work: Callable[[Ready], T] | None) -> T | None:
        control = ControlServer(self._directory, {"stop": self._on_stop})
        undo = on_signals(self.stop)
        result: T | None = None
        try:
            async with background() as beside:
                await control.open()
                first: asyncio.Future[Ready] = asyncio.get_running_loop().create_future()
                beside.start(self._drive(first), "connector")
                beside.start(self._events(), "events")
                beside.start(every(REFRESH_SECONDS, self._refresh_later()), "refresh")
                stopping = beside.start(self._stopped.wait(), "stop")
                await asyncio.wait({first, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if first.done():
                    self._keep(first.result())
                    ready(first.result())
                    if work is None:
                        await self._stopped.wait()
                    else:
                        working = beside.start(asyncio.to_thread(work, first.result()), "work")
                        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
                        result = working.result() if working.done() else None
        finally:
            undo()
            await control.close()
        return result

    def _keep(self, ready: Ready) -> None:
        """Persist what has proven good: the invite, the port, the way."""
        mem.store_invite(self._directory, self._invite)
        port = self._proxy.port if self._keep_port else self._memory.port
        way = str(self._candidates[self._serving].way)
        if (port, way) != (self._memory.port, self._memory.last_good):
            self._memory = msgspec.structs.replace(self._memory, port=port, last_good=way)
            mem.save(self._directory, self._memory)

    # ---- the connector's hands

    async def _drive(self, first: asyncio.Future[Ready]) -> None:
        machine = c.Connector(self._candidates, random.SystemRandom().random)
        pending: list[c.Event] = [c.Start()]
        while True:
            event = pending.pop(0) if pending else await self._queue.get()
            for command in machine.feed(event):
                answer = await self._perform(command, first)
                if answer is not None:
                    pending.append(answer)

    async def _perform(self, command: c.Command, first: asyncio.Future[Ready]) -> c.Event | None:
        match command:
            case c.Probe(index):
                self._say(f"Trying way {index + 1} of {len(self._candidates)}, usually under 10 s")
                probe = await asyncio.to_thread(self._engine.probe, tag_of(index), PROBE_SECONDS)
                self._watch_clock(probe)
                stage = stage_of(probe, self._candidates[index].way)
                return c.ProbeOk() if probe.ok else c.ProbeFailed(stage, clock_offset(probe, self._clock.now()))
            case c.Fetch(index):
                return await self._fetch(index)
            case c.Adopt(candidates):
                refuse_loops(self._proxy, candidates)
                current = self._candidates[self._serving].way
                serve = next((i for i, candidate in enumerate(candidates) if candidate.way == current), 0)
                await self._reload(candidates, serve)
            case c.Serve(index):
                await self._reload(self._candidates, index)
                if not first.done():
                    first.set_result(self._ready())
                else:
                    self._say("Connected again")
                    self._keep(self._ready())
            case c.Correct(seconds):
                side = "behind" if seconds > 0 else "ahead"
                self._warn(
                    f"This device's clock is {side} by {span(seconds)}, says the website in front of the edge;"
                    " trying again with its time. Set the clock: other programs need it too"
                )
                self._offset = seconds
                await self._reload(self._candidates, self._serving, force=True)
            case c.Rest(seconds):
                # A program's own attempt may open a carrier first: then there is nothing to wait for.
                self._opened.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await self._opened.wait()
                return c.TimerFired()
            case c.Warn(fault):
                self._warn(str(fault))
            case c.GiveUp(fault):
                raise fault
        return None

    async def _reload(self, candidates: tuple[c.Candidate, ...], serve: int, *, force: bool = False) -> None:
        if candidates == self._candidates and serve == self._serving and not force:
            return
        config = client_config(self._proxy, candidates, serve, self._credentials, self._offset)
        await asyncio.to_thread(self._engine.reload, config)
        self._candidates, self._serving = candidates, serve

    def _ready(self) -> Ready:
        address = next((item.address for item in self._engine.listeners() if item.tag == "local"), self._proxy.bind)
        listen = self._proxy.bind if self._proxy.port is None else address
        return Ready(listen, self._candidates[self._serving].way.redacted(), self._refreshed)

    def _watch_clock(self, probe: ProbeResult) -> None:
        """Measure this device's clock against the edge's, and only say so: the clock is the person's."""
        if probe.ok and probe.server_date is not None:
            skew = self._clock.now() - probe.server_date
            if abs(skew) > SKEW_LIMIT:
                self._warn(f"This device's clock is {'ahead' if skew > 0 else 'behind'} by {abs(skew) // 3600} hours")

    # ---- rosters

    def _known_roster(self) -> roster.Verified | None:
        seen = self._memory.seen.get(mem.key_of(self._invite))
        if seen is None:
            return None
        try:
            return self._verify(seen.bytes(), seen.highest())
        except Fault as fault:
            self._warn(f"The stored roster is not used: {fault}")
            return None

    def _verify(self, document: bytes, highest: roster.Highest | None) -> roster.Verified:
        invite = self._invite
        return roster.verify(
            document, invite.issuer, invite.compartment, self._clock.now(), highest, local=invite.local
        )

    async def _fetch(self, index: int) -> c.Event:
        try:
            document = await asyncio.to_thread(
                self._engine.fetch, tag_of(index), ROSTER_AUTHORITY, roster.MAX_BYTES, FETCH_SECONDS
            )
        except Fault as fault:
            self._warn(str(fault))
            return c.RosterMissing()
        seen = self._memory.seen.get(mem.key_of(self._invite))
        try:
            verified = self._verify(document, seen.highest() if seen else None)
        except Fault as fault:
            return c.RosterRefused(fault)
        if seen is None or verified.highest != seen.highest():
            self._memory = mem.remember_roster(
                self._directory, self._memory, self._invite, verified.highest, verified.document
            )
        self._refreshed = True
        candidates = candidates_for(self._invite, verified, str(self._candidates[index].way))
        return c.RosterUnchanged() if set(candidates) == set(self._candidates) else c.RosterNew(candidates)

    def _refresh_later(self) -> Callable[[], Any]:
        waiting = True

        async def ask() -> None:
            nonlocal waiting
            if waiting:  # the first roster comes with the first connection
                waiting = False
                return
            await self._queue.put(c.RefreshDue())

        return ask

    # ---- events and requests

    async def _events(self) -> None:
        while True:
            for event in await asyncio.to_thread(self._engine.events, _EVENT_BATCH, _EVENT_WAIT):
                if event.kind == "carrier_open":
                    self._opened.set()
                mine = event.upstream in (None, tag_of(self._serving))
                if event.kind in _CARRIER_EVENTS and mine and not self._queue.full():
                    self._queue.put_nowait(c.CarrierFailed())

    def _on_stop(self, _: Mapping[str, Any]) -> dict[str, Any]:
        self.stop()
        return {}
