"""The doctor tells apart this device, its network, somebody between, and the edge."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from rozaneh.client import diagnose as d
from rozaneh.client import memory as mem
from rozaneh.core.addresses import Endpoint
from rozaneh.core.clock import FakeClock
from rozaneh.core.files import private_dir
from rozaneh.engine.config import ProbeResult
from rozaneh.fleet import roster
from tests.client.test_runtime import World, issue
from tests.fakes import FakeNet
from tests.fleet.builders import KEY, NOW, invite, reality, way

OK = ProbeResult(ok=True, stage="ok", rtt_ms=40.4, server_date=NOW)


def nothing(_: str) -> list[str]:
    raise socket.gaierror("no such name")


def failed(stage: str) -> ProbeResult:
    return ProbeResult(ok=False, stage=stage)


def test_names() -> None:
    asked: list[str] = []

    def lie(name: str) -> list[str]:
        asked.append(name)
        return ["10.10.34.36"]

    assert d.check_names(nothing).verdict is d.Verdict.OK
    assert d.check_names(lambda _: []).verdict is d.Verdict.OK
    assert d.check_names(lie).verdict is d.Verdict.ATTENTION
    d.check_names(lie)
    assert asked[0] != asked[1]
    assert all(name.endswith(".invalid") for name in asked)


@pytest.mark.parametrize(
    ("skew", "verdict"),
    [
        (0, "OK"),
        (300, "OK"),
        (-300, "OK"),
        (301, "ATTENTION"),
        (-7200, "ATTENTION"),
        (86_401, "BROKEN"),
        (-400 * 86_400, "BROKEN"),
    ],
)
def test_clock_against_the_edge(skew: int, verdict: str) -> None:
    check = d.check_clock(NOW + skew, [failed("connect"), OK], None)
    assert check.verdict.name == verdict
    assert verdict == "OK" or ("ahead" if skew > 0 else "behind") in check.detail


def test_clock_against_the_cover_where_no_edge_lets_us_in() -> None:
    cover = ProbeResult(ok=False, stage="cover", server_date=NOW)
    assert "ahead" in d.check_clock(NOW + 7200, [failed("connect"), cover], None).detail
    edge = ProbeResult(ok=True, stage="ok", server_date=NOW + 7200)
    assert d.check_clock(NOW + 7200, [cover, edge], None).verdict is d.Verdict.OK


def test_a_wrong_clock_is_corrected_for_reality_and_told(tmp_path: Path) -> None:
    world = World(tmp_path / "state")
    world.invite = invite(reality("127.0.0.1:443"), local=True)
    world.reality_edge(reality("127.0.0.1:443"), None)
    world.net.server_date, world.net.reader_date = NOW, NOW - 7200
    world.clock.wall = NOW - 7200
    checks = {c.name: c for c in d.diagnose(world.directory, world.invite, world.clock, world.net.engine, nothing)}
    assert checks["clock"].verdict is d.Verdict.ATTENTION
    assert "behind by 2 hours" in checks["clock"].detail
    assert checks["edge"].verdict is d.Verdict.OK


def test_clock_without_an_edge() -> None:
    known = roster.read(issue(1, way()), KEY.public())
    assert d.check_clock(NOW, [failed("connect")], known).verdict is d.Verdict.ATTENTION
    assert d.check_clock(NOW - 2 * 86_400, [failed("connect")], known).verdict is d.Verdict.BROKEN
    assert d.check_clock(NOW, [], None).verdict is d.Verdict.ATTENTION


def test_edge() -> None:
    assert d.check_edge([OK]).verdict is d.Verdict.OK
    assert "40 ms" in d.check_edge([OK]).detail
    assert d.check_edge([failed("tls"), OK]).verdict is d.Verdict.ATTENTION
    for stage, word in (
        ("connect", "no edge answered"),
        ("tls", "broke"),
        ("pin", "somebody else"),
        ("auth", "invite"),
        ("cover", "website"),
    ):
        check = d.check_edge([failed(stage)])
        assert check.verdict is d.Verdict.BROKEN
        assert word in check.detail
        assert check.hint


def test_network() -> None:
    assert d.check_network([Endpoint.parse("127.0.0.1:443")]).verdict is d.Verdict.OK
    assert d.check_network([]).verdict is d.Verdict.BROKEN


def test_without_an_invite(tmp_path: Path) -> None:
    checks = d.diagnose(tmp_path / "missing", None, FakeClock(), FakeNet().engine, nothing)
    assert [check.name for check in checks] == ["invite", "names"]
    assert d.worst(checks) is d.Verdict.ATTENTION


def test_all_of_it_and_the_state_is_only_read(tmp_path: Path) -> None:
    world = World(tmp_path / "state")
    world.net.server_date = NOW
    world.edge(way("127.0.0.1:443"), None)
    world.invite = invite(way("127.0.0.1:443"), local=True)
    private_dir(world.directory)
    mem.save(world.directory, mem.Memory())
    before = {path.name: path.read_bytes() for path in world.directory.iterdir()}
    checks = d.diagnose(world.directory, world.invite, world.clock, world.net.engine, nothing)
    assert {check.name: check.verdict.name for check in checks} == dict.fromkeys(
        ["clock", "network", "names", "edge"], "OK"
    )
    assert {path.name: path.read_bytes() for path in world.directory.iterdir()} == before


def test_a_stored_roster_is_used_and_a_refused_one_still_tells_the_time(tmp_path: Path) -> None:
    world = World(tmp_path / "state")
    private_dir(world.directory)
    document = issue(5, way("127.0.0.1:444"))
    seen = roster.Highest(5, "x")
    mem.remember_roster(world.directory, mem.Memory(), world.invite, seen, document)
    world.clock.wall = NOW - 3 * 86_400
    checks = {c.name: c for c in d.diagnose(world.directory, world.invite, world.clock, world.net.engine, nothing)}
    assert checks["clock"].verdict is d.Verdict.BROKEN
    assert checks["edge"].verdict is d.Verdict.BROKEN


def test_no_check_names_an_edge_or_a_reader() -> None:
    for check in [
        d.check_edge([OK]),
        d.check_edge([failed("tls")]),
        d.check_network([Endpoint.parse("93.184.215.14:443")]),
    ]:
        assert "93.184" not in check.detail + check.hint
