"""The chain's short way for common packets sees what the long way sees; flows end and are bounded; timers are told."""

from __future__ import annotations

from random import Random
from typing import Any, ClassVar

import pytest

from rozaneh.lab.api import DONE, PASS, Drop, Inject, Probe, Verdict
from rozaneh.lab.chain import Chain, Rule
from rozaneh.lab.craft import Connection, datagram, fragments
from rozaneh.lab.flows import IDLE_S, FlowTable
from rozaneh.lab.offline import Offline
from rozaneh.lab.packet import Packet, parse


class Notes:
    """Writes down all that a censor can read of each packet."""

    def __init__(self) -> None:
        self.notes: list[tuple[Any, ...]] = []

    def packet(self, p: Packet, now: float) -> Verdict:
        p.flow["n"] = p.flow.get("n", 0) + 1
        self.notes.append(facts(p))
        return PASS


def facts(p: Packet) -> tuple[Any, ...]:
    ends = (p.inside, p.outside, p.inside_port, p.outside_port)
    return (p.raw, p.outbound, p.protocol, p.ip, p.tcp, p.udp, p.payload, p.flow_key(), ends, p.describe())


def conversation(v6: bool) -> list[tuple[bytes, bool]]:
    one = Connection(v6=v6, timestamps=True)
    packets = one.handshake()
    packets += [(one.data(b"hello"), True), (one.data(b"world" * 200, outbound=False), False), (one.ack(), True)]
    packets += [(datagram(b"q", v6=v6), True), (datagram(b"answer", v6=v6, outbound=False), False)]
    return [*packets, (one.fin(), True), (one.rst(outbound=False), False)]


@pytest.mark.parametrize("v6", [False, True])
def test_the_short_way_reads_what_the_long_way_reads(v6: bool) -> None:
    notes = Notes()
    line = Offline([Rule("N", notes)])
    packets = conversation(v6)
    for raw, outbound in packets:
        line.send(raw, outbound)
    expected = []
    for raw, outbound in packets:
        packet = parse(raw, outbound)
        assert packet is not None
        expected.append(facts(packet))
    assert notes.notes == expected


@pytest.mark.parametrize("v6", [False, True])
def test_damaged_packets_are_read_alike_on_both_ways(v6: bool) -> None:
    """A packet with wrong lengths must not be read past its end by either way."""
    notes = Notes()
    line = Offline([Rule("N", notes)])
    packets = conversation(v6)
    for raw, outbound in packets:
        line.send(raw, outbound)  # their flows are known from now on, so the short way is open
    rng = Random(11)  # noqa: S311 - repeatability is the point
    for _ in range(4_000):
        raw, outbound = rng.choice(packets)
        damaged = bytearray(raw)
        place = rng.randrange(64)
        # Addresses and ports stay, so that the flow is found.
        if place < len(damaged) and not (8 <= place < 44 if v6 else 12 <= place < 24):
            damaged[place] = rng.randrange(256)
        cut = bytes(damaged[: len(damaged) - rng.choice((0, 0, 1, 7))])
        before = len(notes.notes)
        line.send(cut, outbound)
        packet = parse(cut, outbound) if len(cut) >= 20 else None
        assert notes.notes[before:] == ([facts(packet)] if packet else [])
    assert line.errors == 0


def test_padding_behind_a_packet_is_not_its_payload() -> None:
    notes = Notes()
    line = Offline([Rule("N", notes)])
    one = Connection()
    for raw, outbound in one.handshake():
        line.send(raw, outbound)
    line.send(one.data(b"real") + b"pad")
    assert notes.notes[-1][6] == b"real"


def test_extension_headers_and_options_belong_to_the_same_flow() -> None:
    notes = Notes()
    line = Offline([Rule("N", notes)])
    raw = datagram(b"plain", v6=True)
    hop_by_hop = bytes((17, 0, 1, 4, 0, 0, 0, 0))
    extended = raw[:4] + (len(raw) - 40 + 8).to_bytes(2, "big") + b"\0" + raw[7:40] + hop_by_hop + raw[40:]
    first, second = line.send(raw), line.send(extended)
    assert first.forward == raw
    assert second.forward == extended
    assert notes.notes[0][6] == notes.notes[1][6] == b"plain"
    assert notes.notes[0][7] == notes.notes[1][7]
    assert len(line.chain._flows) == 1


def test_an_idle_flow_is_a_new_one_later() -> None:
    counts: list[int] = []

    class Counts:
        def packet(self, p: Packet, now: float) -> Verdict:
            p.flow["n"] = p.flow.get("n", 0) + 1
            counts.append(p.flow["n"])
            return PASS

    line = Offline([Rule("C", Counts())])
    one = Connection()
    for idle in (0, IDLE_S - 1, IDLE_S + 1):
        line.jump(idle)
        line.send(one.data(b"x"))
    assert counts == [1, 2, 1]


def test_flows_are_bounded_and_both_of_their_keys_go() -> None:
    table = FlowTable(limit=100)
    for port in range(1_000, 3_000):
        packet = parse(Connection(("151.240.18.77", port)).syn(), True)
        assert packet is not None
        table.find(packet, 0.0)
    assert len(table) == len(table.inward) == 100
    old = parse(Connection(("151.240.18.77", 1_000)).syn_ack(), False)
    assert old is not None
    _, _, new = table.visit(old, 0.0)
    assert new


def test_a_flow_no_rule_wants_costs_no_packet_object() -> None:
    class Done:
        protocols: ClassVar[str] = "tcp"
        asked = 0

        def packet(self, p: Packet, now: float) -> Verdict:
            Done.asked += 1
            return DONE

    chain = Chain([Rule("D", Done())])
    one = Connection()
    assert [chain.judge(raw, out, 0, 0) for raw, out in one.handshake()] == [None] * 3
    assert chain.judge(datagram(b"q"), True, 0, 0) is None
    assert Done.asked == 1


def test_what_has_no_ports_reaches_rules_for_anything() -> None:
    seen: list[str] = []

    class Any_:
        def packet(self, p: Packet, now: float) -> Verdict:
            seen.append(p.describe())
            return Drop("icmp") if p.protocol == 1 else PASS

    line = Offline([Rule("A", Any_())])
    ping = bytearray(datagram(b"x" * 20))
    ping[9] = 1
    outcome = line.send(bytes(ping))
    assert (outcome.forward, outcome.acts[0].flow) == (None, 0)
    line.send(fragments(datagram(bytes(900)), 512)[1])
    assert seen[0].startswith("ip proto 1 ")
    assert seen[1].endswith("fragment at 512")


def test_timers_may_probe_and_what_they_may_not_is_an_error() -> None:
    probe = Probe("185.146.21.20", 443, b"x", "NR1")

    class Ticks:
        def __init__(self, *given: object) -> None:
            self.given = given

        def packet(self, p: Packet, now: float) -> Verdict:
            return PASS

        def timer(self, now: float) -> Any:
            return self.given or None

    line = Offline([Rule("T", Ticks(Inject(datagram(b"t"), why="tick"), probe)), Rule("E", Ticks(Drop()))])
    outcome = line.timers()
    assert [(act.rule, act.action) for act in outcome.acts] == [("T", "inject"), ("T", "probe"), ("E", "error")]
    assert line.probes == [probe]
    assert line.errors == 1
    assert Offline([Rule("N", Ticks())]).timers().acts == []
