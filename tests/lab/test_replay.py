"""Replay: the same capture, clock and seed give the same decisions; another seed may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from rozaneh.lab import pcap
from rozaneh.lab.craft import Connection, datagram
from rozaneh.lab.replay import Decision, replay
from rozaneh.lab.rules import RuleConfig

COIN = """
from rozaneh.lab.api import PASS, Drop, Inject
from rozaneh.lab.craft import datagram


class Censor:
    def __init__(self, params, rng):
        self.rng, self.seen = rng, 0

    def packet(self, p, now):
        self.seen += 1
        return Drop(f"{p.outbound} at {now:.3f}") if self.rng.random() < 0.3 else PASS

    def timer(self, now):
        if self.seen:
            self.seen = 0
            yield Inject(datagram(self.rng.randbytes(4)), why="tick")
"""


@pytest.fixture
def rules(tmp_path: Path) -> list[RuleConfig]:
    (tmp_path / "coin.py").write_text(COIN)
    blocked = {"prefixes": ["203.0.113.0/24"]}
    return [
        RuleConfig(id="coin", file=str(tmp_path / "coin.py")),
        RuleConfig(id="share", kind="ip_drop", params={"prefixes": ["185.146.21.0/24"]}, share=0.5),
        RuleConfig(id="ip", kind="ip_drop", params=blocked),
    ]


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    writer = pcap.Writer(tmp_path / "line.pcap")
    when = 1_700_000_000.0
    for number in range(60):
        one = Connection(("151.240.18.77", 40_000 + number))
        for raw, _ in [*one.handshake(), (one.data(b"x"), True), (one.data(b"y", outbound=False), False)]:
            writer.write(raw, when)
            when += 0.011
        writer.write(datagram(bytes([number])), when)
    writer.close()
    return tmp_path / "line.pcap"


INSIDE = ["151.240.0.0/16", "2a0d:5600::/32"]


def test_the_same_seed_gives_the_same_decisions(capture: Path, rules: list[RuleConfig]) -> None:
    first, second = (replay(capture, rules, 5, INSIDE) for _ in range(2))
    assert first == second
    assert replay(capture, rules, 6, INSIDE) != first
    packets = [found for found in first if found.number >= 0]
    assert [found.number for found in packets] == list(range(360))
    dropped = sum(found.forward is None for found in packets)
    assert 120 < dropped < 300
    ticks = [found for found in first if found.number < 0]
    assert len(ticks) > 20
    assert all(found.injected and found.acts[0].why == "tick" for found in ticks)


def test_the_captures_own_times_are_the_clock(capture: Path, rules: list[RuleConfig]) -> None:
    found = replay(capture, rules, 5, INSIDE)
    times = [each.time for each in found if each.number >= 0]
    assert times[0] == 0
    assert times[100] == pytest.approx(100 * 0.011 - 16 * 0.011, abs=0.1)
    drops = [act.why for each in found for act in each.acts if act.action == "drop" and act.rule == "coin"]
    assert {why.split()[0] for why in drops} == {"True", "False"}  # directions are told by the addresses


def test_what_is_no_packet_and_times_that_run_back() -> None:
    syn = Connection().syn()
    found = replay([(10.0, syn), (9.0, syn), (11.0, b"\x45short"), (12.0, b"")], [])
    assert [(each.time, each.forward) for each in found] == [(0.0, syn), (0.0, syn), (1.0, None), (2.0, None)]
    assert all(isinstance(each, Decision) for each in found)


def test_a_wrong_prefix_is_refused() -> None:
    with pytest.raises(ValueError, match="host bits"):
        replay([], [], 0, ["10.0.0.1/8"])
