"""A running edge: users follow the database within a second, rosters renew, draining lets tunnels end."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace

import pytest

from rozaneh.client.runtime import same_edge
from rozaneh.core.addresses import Endpoint, parse_address
from rozaneh.core.control import CONTROL, ask
from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.files import is_locked
from rozaneh.edge import journal
from rozaneh.edge.accounts import create, revoke
from rozaneh.edge.database import Database
from rozaneh.edge.reality import load_keys, make_keys
from rozaneh.edge.runtime import POLL_SECONDS, EdgeRuntime, Ready, edge_config
from rozaneh.edge.visit import ML_DSA_RECORD, Visit
from rozaneh.engine.config import (
    ROSTER_AUTHORITY,
    Counters,
    Direct,
    EngineConfig,
    Event,
    H2Listener,
    RealityCover,
    RealityListener,
    UserCounters,
)
from rozaneh.fleet import roster
from rozaneh.fleet.invites import decode
from tests.edge.conftest import MadeEdge
from tests.fakes import FakeEngine, FakeNet


@dataclass
class Running:
    """A runtime in this test's own loop."""

    runtime: EdgeRuntime
    engine: FakeEngine
    ready: Ready
    task: asyncio.Task[None]
    warnings: list[str]


@contextlib.asynccontextmanager
async def running(
    edge: MadeEdge, look: Callable[[Endpoint, str], Visit | None] = lambda at, name: None
) -> AsyncIterator[Running]:
    """Run the edge until the block ends."""
    net, warnings = FakeNet(), list[str]()
    engines: list[FakeEngine] = []

    def make(config: EngineConfig) -> FakeEngine:
        engines.append(net.engine(config))
        return engines[-1]

    runtime = EdgeRuntime(edge.directory, clock=edge.clock, engine=make, look=look, warn=warnings.append)
    ready: asyncio.Future[Ready] = asyncio.get_running_loop().create_future()
    task = asyncio.get_running_loop().create_task(runtime.run(ready.set_result))
    done, _ = await asyncio.wait({ready, task}, return_when=asyncio.FIRST_COMPLETED, timeout=10)
    if task in done:
        task.result()
    try:
        yield Running(runtime, engines[0], ready.result(), task, warnings)
    finally:
        runtime.stop()
        runtime.stop()
        await asyncio.wait_for(task, 10)


def new(edge: MadeEdge, lifetime: int | None = None) -> tuple[str, str]:
    """An account and its link, made by "another process"."""
    with Database(edge.directory) as db:
        made = create(edge.directory, edge.settings, db, edge.clock, lifetime=lifetime)
    return made.account.id, made.link.reveal()


def gone(edge: MadeEdge, account: str) -> None:
    with Database(edge.directory) as db:
        assert revoke(db, edge.clock, account)


async def until(engine: FakeEngine, condition: Callable[[FakeEngine], bool], deadline: float = 5.0) -> None:
    await asyncio.to_thread(engine.wait_until, condition, deadline)


def test_it_serves_what_was_chosen(edge: MadeEdge) -> None:
    new(edge)

    async def run() -> None:
        async with running(edge) as edge_up:
            assert edge_up.ready == Ready("93.184.215.14:443", "news.example", 1, ())
            (listener,) = edge_up.engine.config.listeners
            assert isinstance(listener, H2Listener)
            assert [service.authority for service in listener.services] == [ROSTER_AUTHORITY]
            assert is_locked(edge.directory)
            assert (edge.directory / CONTROL).exists()
        assert edge_up.engine.state == "stopped"
        assert not is_locked(edge.directory)
        assert not (edge.directory / CONTROL).exists()

    asyncio.run(run())


def test_a_poke_applies_at_once(edge: MadeEdge) -> None:
    account, _ = new(edge)

    async def run() -> None:
        async with running(edge) as edge_up:
            gone(edge, account)
            assert await asyncio.to_thread(ask, edge.directory, "poke") is not None
            assert edge_up.engine.users == []
            assert edge_up.engine.cut == [account]

    asyncio.run(run())


def test_without_a_poke_the_database_is_looked_at_within_a_second(edge: MadeEdge) -> None:
    account, _ = new(edge)

    async def run() -> None:
        async with running(edge) as edge_up:
            other, _ = new(edge)
            await until(edge_up.engine, lambda e: {u.id for u in e.users} == {account, other}, deadline=1.0)
            gone(edge, account)
            await until(edge_up.engine, lambda e: {u.id for u in e.users} == {other}, deadline=1.0)
            assert edge_up.engine.cut == [account]

    asyncio.run(run())
    assert POLL_SECONDS <= 0.5


def test_an_account_expires_while_the_edge_runs(edge: MadeEdge) -> None:
    account, _ = new(edge, lifetime=60)

    async def run() -> None:
        async with running(edge) as edge_up:
            edge.clock.advance(59)
            await asyncio.to_thread(ask, edge.directory, "poke")
            assert [user.id for user in edge_up.engine.users] == [account]
            edge.clock.advance(1)
            await until(edge_up.engine, lambda e: e.users == [])

    asyncio.run(run())


def test_a_second_process_is_refused(edge: MadeEdge) -> None:
    async def run() -> None:
        async with running(edge):
            with pytest.raises(Fault) as caught:
                await EdgeRuntime(edge.directory, engine=FakeNet().engine).run(lambda _: None)
            assert caught.value.kind is FaultKind.BUSY

    asyncio.run(run())


def test_the_roster_it_serves_is_the_one_readers_verify(edge: MadeEdge) -> None:
    _, link = new(edge)
    invite = decode(link)

    async def run() -> bytes:
        async with running(edge) as edge_up:
            (listener,) = edge_up.engine.config.listeners
            assert isinstance(listener, H2Listener)
            return base64.b64decode(listener.services[0].documents["default"])

    document = asyncio.run(run())
    verified = roster.verify(document, invite.issuer, invite.compartment, edge.clock.now(), None)
    assert verified.ways == invite.ways


def test_the_roster_renews_after_a_day_and_counts_upwards(edge: MadeEdge) -> None:
    async def run() -> tuple[int, int, int]:
        async with running(edge) as edge_up:
            first = edge_up.runtime._rosters["default"].sequence
            await edge_up.runtime._renew()
            same = edge_up.runtime._rosters["default"].sequence
            assert edge_up.engine.reloads == 0
            edge.clock.advance(roster.RENEW_AFTER)
            await edge_up.runtime._renew()
            assert edge_up.engine.reloads == 1
            return first, same, edge_up.runtime._rosters["default"].sequence

    first, same, later = asyncio.run(run())
    assert first == same < later


def test_a_certificate_renewed_in_place_is_loaded(edge: MadeEdge) -> None:
    async def run() -> None:
        async with running(edge) as edge_up:
            await edge_up.runtime._renew()
            assert edge_up.engine.reloads == 0
            os.utime(edge.directory / "cert.pem", (1, 1))
            await edge_up.runtime._renew()
            await edge_up.runtime._renew()
            assert edge_up.engine.reloads == 1

    asyncio.run(run())


def test_a_roster_that_cannot_be_renewed_warns_and_serving_goes_on(
    edge: MadeEdge, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise Fault(FaultKind.FAILED, "The disk is full")

    async def run() -> None:
        async with running(edge) as edge_up:
            monkeypatch.setattr("rozaneh.edge.runtime.current", broken)
            await edge_up.runtime._renew()
            assert edge_up.warnings == ["Could not renew the roster or the certificate: The disk is full"]
            assert not edge_up.task.done()

    asyncio.run(run())


def test_sigterm_drains_and_the_last_tunnel_ends_it(edge: MadeEdge) -> None:
    async def run() -> None:
        async with running(edge) as edge_up:
            edge_up.engine.numbers = Counters(tunnels_open=1)
            os.kill(os.getpid(), signal.SIGTERM)
            await until(edge_up.engine, lambda e: e.drained)
            assert edge_up.engine.state == "running"
            edge_up.engine.numbers = Counters()
            await asyncio.wait_for(asyncio.shield(edge_up.task), 5)
            assert edge_up.engine.state == "stopped"

    asyncio.run(run())


def test_a_second_signal_stops_now(edge: MadeEdge) -> None:
    async def run() -> None:
        async with running(edge) as edge_up:
            edge_up.engine.numbers = Counters(tunnels_open=1)
            os.kill(os.getpid(), signal.SIGTERM)
            await until(edge_up.engine, lambda e: e.drained)
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.wait_for(asyncio.shield(edge_up.task), 5)

    asyncio.run(run())


def test_bytes_are_on_disk_after_the_end_and_never_counted_twice(edge: MadeEdge) -> None:
    account, _ = new(edge)

    async def run(up: int) -> None:
        async with running(edge) as edge_up:
            edge_up.engine.numbers = Counters(users={account: UserCounters(up=up, down=2 * up)})
            edge_up.runtime._record()

    asyncio.run(run(100))
    asyncio.run(run(11))
    with Database(edge.directory) as db:
        assert journal.totals(db)[account] == journal.Total(111, 222)


def test_status_over_the_control_socket_hides_small_numbers(edge: MadeEdge) -> None:
    async def run() -> None:
        async with running(edge) as edge_up:
            edge_up.engine.numbers = Counters(tunnels_open=3, users={"inv_a": UserCounters(tunnels_open=3)})
            answer = await asyncio.to_thread(ask, edge.directory, "status")
            assert answer is not None
            assert (answer["people"], answer["tunnels"]) == ("<5", "<5")

    asyncio.run(run())


def test_an_engine_that_cannot_start_leaves_no_lock(edge: MadeEdge) -> None:
    net = FakeNet()
    net.listening["93.184.215.14:443"] = FakeEngine(EngineConfig(), net)
    with pytest.raises(Fault) as caught:
        asyncio.run(EdgeRuntime(edge.directory, clock=edge.clock, engine=net.engine).run(lambda _: None))
    assert caught.value.kind is FaultKind.LOCAL_NETWORK
    assert not is_locked(edge.directory)


def test_the_configuration_names_every_own_address(edge: MadeEdge) -> None:
    config = edge_config(edge.directory, edge.settings, [], {})
    assert {"93.184.215.14", "127.0.0.1"} <= set(config.policy.own_addresses)
    everywhere = replace(edge.settings, listen=Endpoint.parse("0.0.0.0:443"), egress=parse_address("93.184.215.15"))
    config = edge_config(edge.directory, everywhere, [], {})
    assert {"93.184.215.14", "93.184.215.15", "127.0.0.1"} <= set(config.policy.own_addresses)
    assert "0.0.0.0" not in config.policy.own_addresses  # noqa: S104
    assert config.upstreams == [Direct(tag="direct", egress=["93.184.215.15"])]


GOOD = Visit(
    for_name=True, borrowable=True, self_signed=False, expires=0, largest_record=ML_DSA_RECORD, software="nginx"
)


def borrow(edge: MadeEdge, cover: str, **more: bool) -> None:
    """Let the edge stand in front of a web server."""
    edge.settings = replace(edge.settings, cover=cover, **more)
    (edge.directory / "edge.toml").write_text(edge.settings.to_toml())


def test_behind_reality_with_a_site_of_its_own(fronted: MadeEdge) -> None:
    keys = load_keys(fronted.directory)

    async def run() -> None:
        async with running(fronted) as edge_up:
            assert edge_up.ready.listen == "93.184.215.14:443"
            edge, cover = edge_up.engine.config.listeners
            assert isinstance(edge, RealityListener)
            assert (edge.bind, edge.cover) == ("93.184.215.14:443", RealityCover(listener="cover"))
            assert (edge.private_key, edge.short_ids) == (keys.private_key, list(keys.short_ids))
            assert edge.server_names == ["news.example"]
            assert edge.replay_file == str(fronted.directory / "replays")
            assert [service.authority for service in edge.services] == [ROSTER_AUTHORITY]
            assert isinstance(cover, H2Listener)
            assert (cover.tag, cover.bind, cover.services) == ("cover", "127.0.0.1:0", [])
            assert edge_up.warnings == []

    asyncio.run(run())


def test_the_roster_names_the_way_with_its_ml_dsa_key(fronted: MadeEdge) -> None:
    (fronted.directory / "reality.key").unlink()
    keys = make_keys(fronted.directory, post_quantum=True)
    borrow(fronted, "tls:127.0.0.1:8443", post_quantum=True)
    _, link = new(fronted)

    async def run() -> bytes:
        async with running(fronted, lambda at, name: GOOD) as edge_up:
            (edge,) = edge_up.engine.config.listeners
            assert isinstance(edge, RealityListener)
            assert (edge.mldsa65_seed, edge.cover) == (keys.mldsa65_seed, RealityCover(address="127.0.0.1:8443"))
            (user,) = edge_up.engine.users
            assert user.vless_sha256 == decode(link).credentials().vless_digest()
            assert edge_up.warnings == []
            return base64.b64decode(edge.services[0].documents["default"])

    document = asyncio.run(run())
    invite = decode(link)
    verified = roster.verify(document, invite.issuer, "default", fronted.clock.now(), None)
    (way,), (short,) = verified.ways, invite.ways
    assert (way.last.get("mldsa"), short.last.get("mldsa")) == (keys.mldsa65_key(), None)
    assert same_edge(way) == same_edge(short)


def test_a_web_server_that_would_not_do_is_told_and_the_edge_starts(fronted: MadeEdge) -> None:
    borrow(fronted, "tls:127.0.0.1:8443")
    seen: list[tuple[str, str]] = []

    def look(at: Endpoint, name: str) -> Visit | None:
        seen.append((str(at), name))
        return None

    async def run() -> None:
        async with running(fronted, look) as edge_up:
            assert [text for text in edge_up.warnings if "nobody gets in" in text]

    asyncio.run(run())
    assert seen == [("127.0.0.1:8443", "news.example")]


def test_a_cover_that_moves_is_followed(fronted: MadeEdge, monkeypatch: pytest.MonkeyPatch) -> None:
    borrow(fronted, "tls:site.example:443")
    addresses = ["93.184.215.20", "93.184.215.20", "93.184.215.21"]
    monkeypatch.setattr("rozaneh.edge.runtime.RENEW_SECONDS", 0.01)
    monkeypatch.setattr(
        "rozaneh.edge.runtime.resolve",
        lambda site: Endpoint.parse(f"{addresses.pop(0) if len(addresses) > 1 else addresses[0]}:443"),
    )

    def moved(engine: FakeEngine) -> bool:
        listener = engine.config.listeners[0]
        return isinstance(listener, RealityListener) and listener.cover.address == "93.184.215.21:443"

    async def run() -> None:
        async with running(fronted, lambda at, name: GOOD) as edge_up:
            await until(edge_up.engine, moved)

    asyncio.run(run())


def test_trouble_with_the_cover_is_told_and_its_end_too(fronted: MadeEdge) -> None:
    async def run() -> list[str]:
        async with running(fronted) as edge_up:
            heard = asyncio.Event()
            loop = asyncio.get_running_loop()

            def warn(text: str) -> None:
                edge_up.warnings.append(text)
                if "again" in text:
                    loop.call_soon(heard.set)

            edge_up.runtime._warn = warn
            for kind in (
                "listener",
                "cover_learned",
                "filter_lost",
                "cover_unusable",
                "cover_learned",
                "something_new",
            ):
                edge_up.engine.emit(Event(kind=kind))
            await asyncio.wait_for(heard.wait(), 10)
            return edge_up.warnings

    lost, unusable, again = asyncio.run(run())
    assert "two minutes" in lost
    assert "doctor" in unusable
    assert "readers get in" in again
