"""A running client against a running edge, joined by the fake engine's network."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rozaneh.client import connector as c
from rozaneh.client import memory as mem
from rozaneh.client.localproxy import LocalProxy
from rozaneh.client.runtime import ClientRuntime, Ready, candidates_for, refuse_loops
from rozaneh.core.clock import FakeClock
from rozaneh.core.errors import Fault, FaultKind
from rozaneh.engine.config import (
    ROSTER_AUTHORITY,
    EngineConfig,
    Event,
    H2Listener,
    H2Upstream,
    RealityCover,
    RealityListener,
    RealitySecurity,
    SameUser,
    Service,
    Stock,
    User,
)
from rozaneh.fleet import roster
from rozaneh.fleet.invites import Invite
from rozaneh.ways.catalogue import encode_key
from rozaneh.ways.grammar import Way, parse
from tests.fakes import FakeEngine, FakeNet
from tests.fleet.builders import KEY, MLDSA, NOW, REALITY_PRIVATE, SHORT_ID, invite, reality, way

HERE = "127.0.0.1:23456"
FIRST, SECOND = way("93.184.215.14:443"), way("93.184.215.15:443")
DAY = 86_400


@dataclass
class World:
    """A network with edges of one issuer, and a reader's directory."""

    directory: Path
    net: FakeNet = field(default_factory=FakeNet)
    clock: FakeClock = field(default_factory=lambda: FakeClock(NOW))
    invite: Invite = field(default_factory=invite)
    said: list[str] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)
    engines: list[FakeEngine] = field(default_factory=list)

    def edge(self, at: Way, document: bytes | None) -> FakeEngine:
        """An edge that knows the reader and hands out ``document``."""
        user, password = self.invite.credentials().digests()
        documents = {} if document is None else {"default": base64.b64encode(document).decode()}
        engine = self.net.engine(
            EngineConfig(
                listeners=[
                    H2Listener(
                        tag="edge",
                        bind=at.last.get("address") or "",
                        cert_file="",
                        key_file="",
                        cover=Stock(),
                        upstream="direct",
                        services=[Service(authority=ROSTER_AUTHORITY, documents=documents)],
                    )
                ],
                users=[User(id="inv_a", user_sha256=user, password_sha256=password)],
            )
        )
        engine.start()
        return engine

    def reality_edge(self, at: Way, document: bytes | None, key: bytes = REALITY_PRIVATE) -> FakeEngine:
        """The same edge behind REALITY, with the keys of ``builders.reality``."""
        plain = self.edge(way("127.0.0.1:1"), document).config
        self.net.listening.pop("127.0.0.1:1")
        (listener,) = plain.listeners
        assert isinstance(listener, H2Listener)
        fronted = RealityListener(
            tag="edge",
            bind=at.last.get("address") or "",
            upstream="direct",
            private_key=encode_key(key),
            server_names=[at.last.get("name") or ""],
            short_ids=[SHORT_ID.hex()],
            cover=RealityCover(address="127.0.0.1:8443"),
            replay_file="",
            services=listener.services,
        )
        engine = self.net.engine(msgspec.structs.replace(plain, listeners=[fronted]))
        engine.start()
        return engine

    def client(self, **more: Any) -> ClientRuntime:
        """A client that has not begun."""

        def make(config: EngineConfig) -> FakeEngine:
            self.engines.append(self.net.engine(config))
            return self.engines[-1]

        return ClientRuntime(
            self.directory,
            self.invite,
            lambda _: LocalProxy(HERE, SameUser()),
            clock=self.clock,
            engine=make,
            say=self.said.append,
            warn=self.warned.append,
            **more,
        )

    def served_by(self) -> str:
        """The address behind the client's listener."""
        config = self.engines[-1].config
        tag = config.listeners[0].upstream
        return next(x.address for x in config.upstreams if x.tag == tag)  # type: ignore[union-attr]

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[Ready]:
        """A client for a block."""
        runtime = self.client()
        ready: asyncio.Future[Ready] = asyncio.get_running_loop().create_future()
        task = asyncio.get_running_loop().create_task(runtime.run(ready.set_result))
        done, _ = await asyncio.wait({ready, task}, return_when=asyncio.FIRST_COMPLETED, timeout=10)
        if task in done:
            task.result()
        try:
            yield ready.result()
        finally:
            runtime.stop()
            await asyncio.wait_for(task, 10)

    def connect(self, inside: Callable[[], None] = lambda: None) -> Ready:
        """Connect, look, disconnect."""

        async def run() -> Ready:
            async with self.connected() as ready:
                inside()
                return ready

        return asyncio.run(run())

    def refused(self) -> Fault:
        """Connect, and be refused."""
        with pytest.raises(Fault) as caught:
            self.connect()
        return caught.value


@pytest.fixture(autouse=True)
def no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds follow each other at once."""
    monkeypatch.setattr("rozaneh.client.connector._FIRST_REST", 0.0)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "state")


def issue(sequence: int, *ways: Way, now: int = NOW) -> bytes:
    return roster.issue(KEY, "default", sequence, now, ways)


def test_ready_when_an_edge_has_authenticated_us_and_the_roster_is_kept(world: World) -> None:
    world.edge(FIRST, issue(5, FIRST))
    ready = world.connect()
    assert ready == Ready(HERE, FIRST.redacted(), True)
    memory = mem.load(world.directory)
    assert memory.seen[mem.key_of(world.invite)].sequence == 5
    assert (memory.port, memory.last_good) == (23_456, str(FIRST))
    assert mem.stored_invite(world.directory) == world.invite


def test_a_roster_moves_the_reader_to_a_new_edge(world: World) -> None:
    old = world.edge(FIRST, issue(5, SECOND))
    world.edge(SECOND, issue(5, SECOND))
    seen: list[str] = []
    world.connect(lambda: seen.append(world.served_by()))
    old.stop()
    world.connect(lambda: seen.append(world.served_by()))
    assert seen == ["93.184.215.15:443"] * 2


def test_a_retired_way_only_brings_newer_rosters(world: World) -> None:
    old = world.edge(FIRST, issue(5, SECOND))
    new = world.edge(SECOND, issue(5, SECOND))
    world.connect()
    new.stop()
    assert world.refused().kind is FaultKind.EDGE_UNREACHABLE
    old.stop()
    world.edge(FIRST, issue(6, FIRST))
    seen: list[str] = []
    world.connect(lambda: seen.append(world.served_by()))
    assert seen == ["93.184.215.14:443"]


def test_what_worked_last_is_tried_first(world: World) -> None:
    world.edge(FIRST, issue(5, FIRST, SECOND))
    world.edge(SECOND, issue(5, FIRST, SECOND))
    world.net.broken["93.184.215.14:443"] = "connect"
    world.invite = invite(FIRST, SECOND)
    world.connect()
    assert mem.load(world.directory).last_good == str(SECOND)
    world.net.broken.clear()
    world.said.clear()
    seen: list[str] = []
    world.connect(lambda: seen.append(world.served_by()))
    assert seen == ["93.184.215.15:443"]


def test_a_roster_that_goes_back_ends_with_10(world: World) -> None:
    edge = world.edge(FIRST, issue(5, FIRST))
    world.connect()
    edge.stop()
    edge = world.edge(FIRST, issue(4, FIRST))
    fault = world.refused()
    assert (fault.kind, fault.kind.exit_code) == (FaultKind.INTEGRITY, 10)
    edge.stop()
    world.edge(FIRST, issue(5, FIRST, now=NOW + 1))
    assert world.refused().kind.exit_code == 10
    assert mem.load(world.directory).seen[mem.key_of(world.invite)].sequence == 5


def test_a_stranger_cannot_sign_a_roster(world: World) -> None:
    document = bytearray(issue(5, FIRST))
    document[-5] ^= 1
    world.edge(FIRST, bytes(document))
    assert world.refused().kind is FaultKind.INTEGRITY
    assert mem.stored_invite(world.directory) is None


def test_the_highest_is_on_disk_before_the_roster_is_used(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.edge(FIRST, issue(5, SECOND))
    world.edge(SECOND, issue(5, SECOND))
    order: list[str] = []
    remember = mem.remember_roster

    def spy(*args: Any) -> mem.Memory:
        order.append("persisted")
        return remember(*args)

    reload = FakeEngine.reload

    def spy_reload(engine: FakeEngine, config: EngineConfig) -> None:
        order.append("used")
        reload(engine, config)

    monkeypatch.setattr(mem, "remember_roster", spy)
    monkeypatch.setattr(FakeEngine, "reload", spy_reload)
    world.connect()
    assert order[:2] == ["persisted", "used"]


def test_a_roster_that_cannot_be_persisted_is_not_used(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> mem.Memory:
        raise Fault(FaultKind.PERMISSION, "The disk is full")

    world.edge(FIRST, issue(5, SECOND))
    monkeypatch.setattr(mem, "remember_roster", full)
    assert world.refused().kind is FaultKind.PERMISSION
    assert world.engines[-1].reloads == 0


def test_without_a_roster_the_invites_own_way_still_serves(world: World) -> None:
    world.edge(FIRST, None)
    ready = world.connect()
    assert not ready.refreshed
    assert world.warned


def test_an_expired_roster_only_fetches(world: World) -> None:
    edge = world.edge(FIRST, issue(5, FIRST, SECOND))
    world.connect()
    edge.stop()
    world.clock.advance(30 * DAY)
    # Only the roster's way answers, and it has nothing newer to give: it may not carry anything.
    second = world.edge(SECOND, issue(5, FIRST, SECOND))
    assert world.refused().kind is FaultKind.EDGE_UNREACHABLE
    second.stop()
    # It hands out a newer one: the reader follows.
    world.edge(SECOND, issue(6, SECOND, now=NOW + 30 * DAY))
    seen: list[str] = []
    world.connect(lambda: seen.append(world.served_by()))
    assert seen == ["93.184.215.15:443"]


def test_a_clock_that_is_days_behind_is_told(world: World) -> None:
    world.clock.wall = NOW - 10 * DAY
    world.net.server_date = NOW
    world.edge(FIRST, issue(5, FIRST))
    fault = world.refused()
    assert (fault.kind, fault.kind.exit_code) == (FaultKind.CLOCK_WRONG, 10)
    assert "clock" in " ".join(world.warned)
    assert world.clock.wall == NOW - 10 * DAY


@pytest.mark.parametrize(
    ("stage", "kind"),
    [
        ("connect", FaultKind.EDGE_UNREACHABLE),
        ("tls", FaultKind.INTERFERENCE),
        ("pin", FaultKind.INTERFERENCE),
        ("auth", FaultKind.EDGE_REFUSED),
    ],
)
def test_why_it_does_not_work(world: World, stage: str, kind: FaultKind) -> None:
    world.edge(FIRST, issue(5, FIRST))
    world.net.broken["93.184.215.14:443"] = stage
    assert world.refused().kind is kind
    assert mem.stored_invite(world.directory) is None


def test_a_lost_carrier_moves_to_the_other_way_and_back_in_business(world: World) -> None:
    world.invite = invite(FIRST, SECOND)
    world.edge(FIRST, issue(5, FIRST, SECOND))
    world.edge(SECOND, issue(5, FIRST, SECOND))

    async def run() -> None:
        async with world.connected():
            engine = world.engines[-1]
            assert world.served_by() == "93.184.215.14:443"
            world.net.broken["93.184.215.14:443"] = "connect"
            engine.emit(Event(kind="carrier_lost", upstream="way0"))
            await asyncio.to_thread(engine.wait_until, lambda _: world.served_by() == "93.184.215.15:443")

    asyncio.run(run())


def test_one_process_a_directory(world: World) -> None:
    world.edge(FIRST, issue(5, FIRST))

    async def run() -> None:
        async with world.connected():
            with pytest.raises(Fault) as caught:
                await world.client().run(lambda _: None)
            assert caught.value.kind is FaultKind.BUSY

    asyncio.run(run())


def test_work_runs_once_ready_and_its_result_comes_back(world: World) -> None:
    world.edge(FIRST, issue(5, FIRST))
    assert asyncio.run(world.client().run(lambda _: None, lambda ready: ready.listen)) == HERE
    assert world.engines[-1].state == "stopped"


def test_works_fault_comes_out(world: World) -> None:
    def fail(_: Ready) -> None:
        raise Fault(FaultKind.INTERFERENCE, "no")

    world.edge(FIRST, issue(5, FIRST))
    with pytest.raises(Fault) as caught:
        asyncio.run(world.client().run(lambda _: None, fail))
    assert caught.value.kind is FaultKind.INTERFERENCE


def test_loops_to_our_own_listener_are_refused() -> None:
    proxy = LocalProxy(HERE, SameUser())
    for address in (HERE, "127.0.0.2:23456", "[::1]:23456"):
        looping = candidates_for(invite(way(address), local=True), None, None)
        with pytest.raises(Fault) as caught:
            refuse_loops(proxy, looping)
        assert caught.value.kind is FaultKind.POLICY_DENIED
    refuse_loops(proxy, candidates_for(invite(way("127.0.0.1:443"), local=True), None, None))
    refuse_loops(LocalProxy("unix:/x", SameUser()), candidates_for(invite(way(HERE), local=True), None, None))


def test_a_looping_invite_ends_before_anything_starts(world: World) -> None:
    world.invite = invite(way(HERE), local=True)
    assert world.refused().kind is FaultKind.POLICY_DENIED
    assert world.engines == []


def test_a_damaged_stored_roster_is_fetched_anew(world: World) -> None:
    world.edge(FIRST, issue(5, FIRST))
    world.connect()
    memory = mem.load(world.directory)
    seen = memory.seen[mem.key_of(world.invite)]
    mem.save(
        world.directory,
        mem.Memory(seen={mem.key_of(world.invite): mem.Seen(seen.sequence, seen.digest, "AAAA")}),
    )
    assert world.connect().refreshed
    assert "stored roster" in " ".join(world.warned)


REALITY = reality("93.184.215.16:443")


def security(world: World) -> RealitySecurity:
    """The REALITY part of the way that is served."""
    config = world.engines[-1].config
    tag = config.listeners[0].upstream
    upstream = next(x for x in config.upstreams if x.tag == tag)
    assert isinstance(upstream, H2Upstream)
    assert isinstance(upstream.security, RealitySecurity)
    return upstream.security


def test_reality_and_the_rosters_way_replaces_the_invites(world: World) -> None:
    """The invite cannot carry the ML-DSA key; the roster does, and from then on it is asked for."""
    world.invite = invite(REALITY)
    world.reality_edge(REALITY, issue(1, reality("93.184.215.16:443", mldsa=MLDSA)))
    world.connect(lambda: None)
    assert security(world).mldsa65 == encode_key(MLDSA)
    assert [x.tag for x in world.engines[-1].config.upstreams] == ["way0"]
    world.connect(lambda: None)
    assert security(world).mldsa65 == encode_key(MLDSA)
    assert world.engines[-1].config.looks.keys() == {"chromium"}


def test_an_expired_roster_still_says_how_the_invites_edge_is_dialled() -> None:
    richer = reality("93.184.215.16:443", mldsa=MLDSA)
    document = issue(1, richer, FIRST)
    late = NOW + 30 * DAY
    verified = roster.verify(document, KEY.public(), "default", late, None)
    assert candidates_for(invite(REALITY), verified, None) == (
        c.Candidate(richer),
        c.Candidate(FIRST, fetch_only=True),
    )


def test_another_key_at_the_same_address_is_another_edge() -> None:
    document = issue(1, parse(str(REALITY).replace(SHORT_ID.hex(), "ff" * 8)))
    verified = roster.verify(document, KEY.public(), "default", NOW, None)
    found = candidates_for(invite(REALITY), verified, None)
    assert [x.fetch_only for x in found] == [False, True]
    assert found[1].way == REALITY


@pytest.mark.parametrize("offset", [121, 3600, -3600, -400 * DAY])
def test_a_wrong_clock_is_told_and_corrected_for_reality_alone(world: World, offset: int) -> None:
    world.invite = invite(REALITY)
    world.clock.wall = world.net.reader_date = NOW - offset
    world.net.server_date = NOW
    world.reality_edge(REALITY, None)
    world.connect(lambda: None)
    assert security(world).clock_offset_s == offset
    assert [text for text in world.warned if ("behind" if offset > 0 else "ahead") in text]


def test_a_certificate_nobody_would_accept_points_to_the_clock_too(world: World) -> None:
    world.invite = invite(REALITY)
    world.net.broken[REALITY.last.get("address") or ""] = "pin"
    fault = world.refused()
    assert fault.kind is FaultKind.INTERFERENCE
    assert "clock" in fault.what
    world.invite = invite(FIRST)
    world.net.broken[FIRST.last.get("address") or ""] = "pin"
    assert "clock" not in world.refused().what


def test_a_key_that_does_not_fit_is_told_and_the_other_way_used(world: World) -> None:
    world.invite = invite(REALITY, FIRST)
    world.reality_edge(REALITY, None, key=bytes(range(1, 33)))
    world.net.server_date = NOW
    world.edge(FIRST, None)
    world.connect(lambda: None)
    assert world.served_by() == FIRST.last.get("address")
    world.net.listening.pop(FIRST.last.get("address") or "")
    fault = world.refused()
    assert fault.kind is FaultKind.EDGE_REFUSED
    assert "website" in fault.what
