"""The running router: clocks, phases, lines, probes, checksums and a failing censor, with real kernels at both ends."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from rozaneh.lab import isolate, pcap, worlds
from rozaneh.lab.links import LinkModel
from rozaneh.lab.packet import parse, transport_checksum_good
from rozaneh.lab.rules import RuleConfig
from rozaneh.lab.world import Raised

T = TypeVar("T")

NEAR, FAR, NEAR6, FAR6 = "198.18.0.1", "198.18.0.2", "2001:2::1", "2001:2::2"
PROBERS = ("198.18.9.1", "198.18.9.2", "2001:2:9::1")

WORLD = worlds.parse(f"""
schema = "rozaneh.lab.world/1"
name = "bench"
summary = "two machines, a router between them, and a prober outside"
reader = "near"
edge = "far"
resolver = "far"
prober = "prober"
nodes = [
    {{ name = "near", kind = "host" }},
    {{ name = "provider", kind = "censor" }},
    {{ name = "internet", kind = "router" }},
    {{ name = "far", kind = "host" }},
    {{ name = "prober", kind = "host" }},
]
links = [
    {{ ends = [{{ node = "near", addresses = ["{NEAR}", "{NEAR6}"] }}, {{ node = "provider" }}] }},
    {{ ends = [{{ node = "provider" }}, {{ node = "internet" }}] }},
    {{ ends = [{{ node = "internet" }}, {{ node = "far", addresses = ["{FAR}", "{FAR6}"] }}] }},
    {{ ends = [{{ node = "internet" }}, {{ node = "prober", addresses = {list(PROBERS)!r} }}] }},
]
""")


def in_world(function: Callable[[Raised], T], **how: Any) -> T:
    """Raises the small world, calls `function` in it and carries its result out."""

    def inside() -> T:
        with Raised(WORLD, **how) as world:
            return function(world)

    return isolate.run(inside)


def echo_times(world: Raised, count: int = 5, *, size: int = 100, patience: float = 2.0) -> list[float | None]:
    """Sends datagrams that come straight back, all at once: after how long each came, None for a lost one."""
    far = world.nodes["far"]
    # The server's socket outlives the call that made it, since its process waits for the datagrams.
    server = far.spawn(
        [
            "python3",
            "-c",
            "import socket,sys\n"
            "s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);s.bind(('',7007));print('ready',flush=True)\n"
            "while True:\n d,a=s.recvfrom(2000);s.sendto(d,a)",
        ]
    )
    try:
        server.wait_line("ready", 10)

        def ask() -> list[float | None]:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.settimeout(patience)
                client.connect((FAR, 7007))
                began = time.monotonic()
                for number in range(count):
                    client.send(number.to_bytes(2, "big") + bytes(size - 2))
                came: dict[int, float] = {}
                while len(came) < count:
                    try:
                        number = int.from_bytes(client.recv(2_000)[:2], "big")
                    except TimeoutError:
                        break
                    came[number] = time.monotonic() - began
                return [came.get(number) for number in range(count)]

        return world.reader.call(ask)
    finally:
        server.kill()


def connect(world: Raised, address: str, port: int, *, node: str = "near", timeout: float = 3.0) -> str:
    """What a kernel's connect says: `refused` (it got there), `timeout` or `reset`."""

    def inside() -> str:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as client:
            client.settimeout(timeout)
            try:
                client.connect((address, port))
            except ConnectionRefusedError:
                return "refused"
            except TimeoutError:
                return "timeout"
            except OSError as error:
                return error.strerror or "error"
            return "connected"

    return world.nodes[node].call(inside)


def test_a_forwarded_syn_has_a_full_checksum(tmp_path: Path) -> None:
    """With a veth's default offloads every forwarded SYN carries a partial checksum and is dropped."""

    def look(world: Raised) -> list[str]:
        return [connect(world, FAR, 81), connect(world, FAR6, 81)]

    assert in_world(look, captures=tmp_path) == ["refused", "refused"]
    for side in ("reader-side", "internet-side"):
        packets = [parse(raw, True) for _, raw in pcap.read(tmp_path / f"{side}.pcap")]
        syns = [packet for packet in packets if packet and packet.tcp and packet.tcp.flags & 0x12 == 2]
        assert len(syns) == 2
        assert all(packet is not None and transport_checksum_good(packet) for packet in packets)


TIMED = """
from rozaneh.lab.api import PASS, Drop


class Censor:
    protocols = "tcp"

    def __init__(self, params, rng):
        self.until = {}

    def packet(self, p, now):
        if not p.outbound:
            return PASS
        until = self.until.setdefault(p.outside_port, now + 180)
        return Drop(f"{until - now:.0f} s left") if now < until else PASS
"""


def test_phases_jumps_and_hours(tmp_path: Path) -> None:
    (tmp_path / "timed.py").write_text(TIMED)
    rules = [
        RuleConfig(id="T", file=str(tmp_path / "timed.py")),
        RuleConfig(id="NIGHT", kind="ip_drop", params={"prefixes": [f"{FAR}/32"]}, hours=((16.0, 24.0),)),
    ]

    def look(world: Raised) -> dict[str, Any]:
        box = world.censor
        box.phase("trial-1")
        first = connect(world, FAR, 81, timeout=0.3)
        box.jump(170)
        box.phase("trial-2")
        second = connect(world, FAR, 81, timeout=0.3)
        box.jump(11)
        box.phase("trial-3")
        third = connect(world, FAR, 81)
        hour = box.stats()["hour"]
        box.jump(4 * 3_600)
        box.phase("night")
        night = connect(world, FAR, 81, timeout=0.3)
        box.jump(8 * 3_600)
        return {
            "answers": [first, second, third, night, connect(world, FAR, 81)],
            "hour": hour,
            "acts": {name: box.acts(name) for name in ("trial-1", "trial-2", "trial-3", "night", "none")},
            "all": len(box.acts()),
            "stats": box.stats(),
        }

    seen = in_world(look, rules=rules, time_of_day=12.0)
    assert seen["answers"] == ["timeout", "timeout", "refused", "timeout", "refused"]
    assert 12.05 < seen["hour"] < 12.1
    acts = seen["acts"]
    assert {act["rule"] for act in acts["trial-1"] + acts["trial-2"]} == {"T"}
    assert {act["rule"] for act in acts["night"]} == {"NIGHT"}
    assert acts["trial-3"] == acts["none"] == []
    assert seen["all"] == sum(map(len, acts.values())) == sum(seen["stats"]["acts"].values())
    first = acts["trial-1"][0]
    assert list(first) == [
        *("time", "lab_time", "phase", "rule", "action", "why", "flow", "packet", "inside", "outside"),
    ]
    assert (first["action"], first["why"], first["inside"], first["outside"]) == ("drop", "180 s left", NEAR, FAR)
    assert 170 <= acts["trial-2"][0]["lab_time"] - first["lab_time"] < 180


def test_lines_delay_limit_and_lose() -> None:
    slow = {"link_out": LinkModel(delay_ms=60), "link_in": LinkModel(delay_ms=40)}
    times = in_world(echo_times, **slow)
    assert all(when is not None and 0.1 <= when < 1 for when in times)
    assert times == sorted(times)  # type: ignore[type-var]

    def rate(world: Raised) -> tuple[list[float | None], dict[str, Any]]:
        # 1,028 bytes with their headers at 411.2 kbit/s: one every 20 ms; five wait, so six of ten pass.
        return echo_times(world, 10, size=1_000, patience=0.6), world.censor.stats()

    times, stats = in_world(rate, link_out=LinkModel(rate_kbit=411.2, queue_packets=5))
    passed = [when for when in times if when is not None]
    assert stats["lost_on_links"] == 10 - len(passed) == 4
    assert all(when >= 0.0199 * (number + 1) for number, when in enumerate(passed))
    assert passed[-1] < 0.6


def test_a_one_way_line_brings_nothing_back(tmp_path: Path) -> None:
    def look(world: Raised) -> str:
        return connect(world, FAR, 81, timeout=0.3)

    assert in_world(look, link_in=LinkModel(up=False), captures=tmp_path) == "timeout"
    outside = [parse(raw, True) for _, raw in pcap.read(tmp_path / "internet-side.pcap")]
    flags = [packet.tcp.flags for packet in outside if packet and packet.tcp]
    assert flags == [0x02, 0x14]  # the SYN got there, and the answer as far as the line


CURIOUS = """
from rozaneh.lab.api import DONE, PASS, Drop, Probe


class Censor:
    protocols = "tcp"

    def __init__(self, params, rng):
        self.learnt = {}

    def packet(self, p, now):
        if not p.outbound:
            return PASS
        port = p.outside_port
        if port in self.learnt:
            return Drop(f"learnt: {self.learnt[port]}")
        self.learnt.setdefault(-port, now)
        return [Probe(p.outside, port, b"seen before", "R1", after=600, why=f"port {port}")]

    def probed(self, result, now):
        self.learnt[result.probe.port] = f"{result.reaction} {now - self.learnt[-result.probe.port]:.0f}"
"""


def test_probes_are_made_in_their_lab_time_from_other_addresses(tmp_path: Path) -> None:
    (tmp_path / "curious.py").write_text(CURIOUS)

    def look(world: Raised) -> dict[str, Any]:
        box = world.censor
        before = connect(world, FAR, 82)
        quiet = connect(world, FAR, 82)
        box.jump(600)
        limit = time.monotonic() + 10
        after = ""
        while time.monotonic() < limit and after != "timeout":
            after = connect(world, FAR, 82, timeout=0.4)
        return {"before": before, "quiet": quiet, "after": after, "acts": box.acts(), "stats": box.stats()}

    seen = in_world(look, rules=[RuleConfig(id="CN-07", file=str(tmp_path / "curious.py"))])
    assert (seen["before"], seen["quiet"], seen["after"]) == ("refused", "refused", "timeout")
    assert [act["why"] for act in seen["acts"] if act["action"] == "probe"][:2] == ["port 82", "port 82"]
    drops = [act["why"] for act in seen["acts"] if act["action"] == "drop"]
    _, reaction, seconds = drops[0].split()
    assert reaction in ("refused", "rst")
    assert 600 <= int(seconds) <= 610
    assert seen["stats"]["probes_unsent"] == 0


def test_a_failing_censor_is_an_error_that_everybody_sees(tmp_path: Path) -> None:
    text = "class Censor:\n def __init__(self, params, rng): pass\n def packet(self, p, now): return p.tcp.nothing\n"
    (tmp_path / "bad.py").write_text(text)

    def look(world: Raised) -> tuple[str, dict[str, Any], list[dict[str, Any]]]:
        answer = connect(world, FAR, 81, timeout=0.3)
        return answer, world.censor.stats(), world.censor.acts()

    answer, stats, acts = in_world(look, rules=[RuleConfig(id="mine", file=str(tmp_path / "bad.py"))])
    assert answer == "timeout"
    assert stats["errors"] >= 1
    assert {act["action"] for act in acts} == {"error"}
    assert "nothing" in acts[0]["why"]


def test_a_rule_that_cannot_be_keeps_the_world_down() -> None:
    with pytest.raises(ValueError, match="rule 'X'"):
        in_world(lambda world: None, rules=[RuleConfig(id="X", kind="ip_drop", params={"prefixes": ["x"]})])


def test_a_network_without_ipv6_has_none() -> None:
    links = tuple(
        msgspec.structs.replace(
            link,
            ends=tuple(
                msgspec.structs.replace(end, addresses=tuple(a for a in end.addresses if ":" not in a))
                for end in link.ends
            ),
        )
        for link in WORLD.links
    )

    def inside() -> list[str]:
        with Raised(msgspec.structs.replace(WORLD, links=links)) as world:
            return [connect(world, FAR, 81), connect(world, FAR6, 81)]

    four, six = isolate.run(inside)
    assert four == "refused"
    assert "unreachable" in six or "assign" in six


def test_an_interface_that_was_down_is_used_again_and_costs_nothing_meanwhile() -> None:
    def look(world: Raised) -> dict[str, Any]:
        provider = world.nodes["provider"]
        provider.run(["ip", "link", "set", "eth0", "down"])
        before = world.censor.stats()["cpu_s"]
        down = connect(world, FAR, 81, timeout=0.5)
        spent = world.censor.stats()["cpu_s"] - before
        provider.run(["ip", "link", "set", "eth0", "up"])
        return {"down": down, "spent": spent, "up": connect(world, FAR, 81, timeout=10)}

    seen = in_world(look)
    assert seen["down"] == "timeout"
    assert seen["spent"] < 0.2  # an error that is told again and again would cost the whole half second
    assert seen["up"] == "refused"


def test_fragments_meet_the_cap_of_the_path() -> None:
    """A datagram of 1,900 bytes is two fragments at an MTU of 1,500, and comes back as two."""

    def look(world: Raised) -> bool:
        return echo_times(world, 1, size=1_900, patience=0.5) != [None]

    assert in_world(look, fragments={"cap": 2, "timeout_s": 5.0})
    assert not in_world(look, fragments={"cap": 1, "timeout_s": 5.0})
