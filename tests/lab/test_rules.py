"""A rule's gates: which flows meet it, when it is in force, and what a rule on the path may not do."""

from __future__ import annotations

from random import Random
from typing import Any, ClassVar

import pytest

from rozaneh.lab.api import DONE, PASS, Delay, Done, Drop, Inject, Pass, Probe, Probed, Replace, Verdict
from rozaneh.lab.chain import MALFORMED
from rozaneh.lab.craft import READER, SITE, SITE6, Connection, datagram, fragments
from rozaneh.lab.offline import Offline
from rozaneh.lab.packet import Packet
from rozaneh.lab.rules import Gate, Rule, RuleConfig, build


class Blocks:
    """Drops everything it is shown."""

    def packet(self, p: Packet, now: float) -> Verdict:
        return Drop("shown")


def met(raw: bytes, outbound: bool = True, seed: int = 0, **gates: Any) -> bool:
    """Whether the packet meets a rule with those gates."""
    config = RuleConfig(id="G", kind="ip_drop", **gates)
    line = Offline([Rule("G", Blocks(), Gate(config, seed))])  # type: ignore[arg-type]
    return line.send(raw, outbound).forward is None


# --- addresses and versions


@pytest.mark.parametrize(
    ("gates", "hits"),
    [
        ({}, True),
        ({"outside": (f"{SITE}/32",)}, True),
        ({"outside": ("185.146.0.0/16", "2a04:4e42::/32")}, True),
        ({"outside": ("10.0.0.0/8",)}, False),
        ({"outside": ("2a04:4e42::/32",)}, False),
        ({"outside_not": ("185.146.21.0/24",)}, False),
        ({"outside_not": ("10.0.0.0/8",)}, True),
        ({"outside": ("185.146.0.0/16",), "outside_not": (f"{SITE}/32",)}, False),
        ({"inside": (READER,)}, True),
        ({"inside": ("151.240.19.0/24",)}, False),
        ({"inside_not": ("151.240.0.0/16",)}, False),
        ({"version": 4}, True),
        ({"version": 6}, False),
        ({"share": 0.0}, False),
    ],
)
def test_gates_by_address_hold_for_both_directions(gates: dict[str, Any], hits: bool) -> None:
    one = Connection()
    assert met(one.syn(), **gates) is hits
    assert met(one.data(b"x", outbound=False), outbound=False, **gates) is hits
    assert met(datagram(b"x"), **gates) is hits


def test_gates_know_ipv6() -> None:
    one = Connection(v6=True).syn()
    assert met(one, outside=("2a04:4e42::/32",))
    assert not met(one, outside=("185.146.0.0/16",))
    assert met(one, version=6)
    assert not met(one, version=4)
    assert not met(one, outside_not=(SITE6,))


@pytest.mark.parametrize(
    "wrong",
    [
        {"outside": ("10.0.0.1/8",)},
        {"inside": ("nowhere",)},
        {"share": 1.5},
        {"hours": ((22.0, 25.0),)},
        {"since": -1.0},
        {"kind": "no_such_kind"},
        {"kind": "", "file": ""},
        {"kind": "ip_drop", "file": "x.py"},
        {"params": {"prefxes": []}},
    ],
)
def test_a_rule_that_cannot_be_says_which_and_why(wrong: dict[str, Any]) -> None:
    config = {"id": "IR-99", "kind": "ip_drop", "params": {"prefixes": []}, **wrong}
    with pytest.raises(ValueError, match="IR-99"):
        build(RuleConfig(**config), 0)


# --- shares


def shares(share_by: str, seed: int = 0, *, repeat: int = 1) -> list[list[bool]]:
    """For 400 readers' connections to two sites, from two ports each: which met the rule; each `repeat` times."""
    config = RuleConfig(id="S", kind="ip_drop", share=0.25, share_by=share_by)  # type: ignore[arg-type]
    line = Offline([Rule("S", Blocks(), Gate(config, seed))])  # type: ignore[arg-type]
    results = []
    for reader in range(400):
        address = f"151.240.{reader // 250}.{reader % 250 + 1}"
        results.append(
            [
                line.send(Connection((address, port), (site, 443), isn=1_000 * attempt + 1).syn()).forward is None
                for attempt in range(repeat)
                for site in (SITE, "185.146.21.21")
                for port in (40_000, 40_001)
            ]
        )
    return results


@pytest.mark.parametrize("share_by", ["flow", "path", "connection"])
def test_a_share_is_met_about_as_often_as_it_says(share_by: str) -> None:
    flat = [hit for row in shares(share_by) for hit in row]
    assert 0.18 < sum(flat) / len(flat) < 0.32
    assert shares(share_by) == shares(share_by)
    assert shares(share_by) != shares(share_by, seed=1)


def test_what_a_share_is_drawn_by() -> None:
    by_path = shares("path")
    assert all(row[0] == row[1] and row[2] == row[3] for row in by_path)  # whatever the port
    assert any(row[0] != row[2] for row in by_path)  # another site is another path
    by_destination = shares("destination", seed=3)
    assert all(row == by_destination[0] for row in by_destination)
    by_flow = shares("flow", repeat=2)
    assert any(row[0] != row[1] for row in by_flow)
    assert all(row[:4] == row[4:] for row in by_flow)  # a second connection on the same ports meets the same fate
    assert any(row[:4] != row[4:] for row in shares("connection", repeat=2))


def test_a_share_holds_for_the_whole_flow() -> None:
    config = RuleConfig(id="S", kind="ip_drop", share=0.5, share_by="connection")
    line = Offline([Rule("S", Blocks(), Gate(config, 5))])  # type: ignore[arg-type]
    for n in range(50):
        one = Connection(("151.240.18.77", 40_000 + n))
        verdicts = {line.send(raw, out).forward is None for raw, out in one.handshake()}
        assert len(verdicts) == 1


# --- times


def test_hours_follow_the_labs_day_and_may_pass_midnight() -> None:
    config = RuleConfig(id="IR-11", kind="ip_drop", hours=((16.0, 24.0), (0.0, 1.5)))
    night = RuleConfig(id="IR-11", kind="ip_drop", hours=((16.0, 1.5),))
    for each in (config, night):
        line = Offline([Rule("IR-11", Blocks(), Gate(each, 0))], time_of_day=15.5)  # type: ignore[arg-type]
        one = Connection()
        seen = []
        for _ in range(25):
            seen.append(line.send(one.data(b"x")).forward is None)
            line.jump(1_800)
        # 15:30 not, 16:00 to 01:00 on the hour and half hour in force, 01:30 no more.
        assert seen == [False] + [True] * 19 + [False] * 5


def test_since_and_until_count_lab_seconds_from_the_start() -> None:
    config = RuleConfig(id="X", kind="ip_drop", since=100, until=200)
    line = Offline([Rule("X", Blocks(), Gate(config, 0))], start=5_000)  # type: ignore[arg-type]
    one = Connection()
    seen = []
    for step in (0, 99.9, 0.1, 99.9, 0.1):
        line.jump(step)
        seen.append(line.send(one.data(b"x")).forward is None)
    assert seen == [False, False, True, True, False]


# --- what rules ask for


class Answers:
    """Gives the next of the verdicts it was made with, and remembers what it was shown."""

    protocols: ClassVar[str] = "any"

    def __init__(self, *verdicts: Any) -> None:
        self.verdicts = list(verdicts)
        self.shown: list[Packet] = []
        self.memories: list[dict[str, Any]] = []
        self.results: list[Probed] = []

    def packet(self, p: Packet, now: float) -> Verdict:
        self.shown.append(p)
        self.memories.append(p.flow)
        return self.verdicts.pop(0) if self.verdicts else PASS

    def probed(self, result: Probed, now: float) -> None:
        self.results.append(result)


def rule(censor: object, **how: Any) -> Rule:
    return Rule("R", censor, **how)  # type: ignore[arg-type]


@pytest.mark.parametrize("done", [DONE, Done(), [Done()], [Pass(), Done()]])
def test_a_rule_that_is_done_is_not_shown_the_rest_of_the_flow(done: Any) -> None:
    first, second = Answers(PASS, done), Answers()
    line = Offline([rule(first), rule(second)])
    one = Connection()
    for raw, out in [*one.handshake(), (one.data(b"x"), True), (one.data(b"y", outbound=False), False)]:
        assert line.send(raw, out).forward == raw
    assert (len(first.shown), len(second.shown)) == (2, 5)
    # A new connection on the same ports is another flow.
    line.send(Connection(isn=77_000).syn())
    assert (len(first.shown), len(second.shown)) == (3, 6)


def test_a_drop_may_be_the_last_word() -> None:
    once = Answers([Drop("one"), DONE])
    line = Offline([rule(once)])
    one = Connection()
    assert [line.send(one.data(b"x")).forward is None for _ in range(3)] == [True, False, False]


def test_protocols_decide_what_a_rule_is_shown() -> None:
    kinds = {}
    for wanted in ("tcp", "udp", "any"):
        censor = Answers()
        censor.protocols = wanted  # type: ignore[misc]
        kinds[wanted] = censor
    line = Offline([rule(censor) for censor in kinds.values()])
    parts = fragments(datagram(bytes(600)), 512)
    for raw in (Connection().syn(), datagram(b"q"), parts[1]):
        line.send(raw)
    assert {wanted: len(censor.shown) for wanted, censor in kinds.items()} == {"tcp": 1, "udp": 1, "any": 3}
    bad = Answers()
    bad.protocols = "sctp"  # type: ignore[misc]
    with pytest.raises(ValueError, match="sctp"):
        rule(bad)


def test_a_syn_from_the_other_side_stays_in_the_flow() -> None:
    """A simultaneous open, as in Geneva's server-side strategies, must not wipe what a rule remembers."""
    censor = Answers()
    line = Offline([rule(censor)])
    one = Connection()
    line.send(one.syn())
    line.send(one.syn_ack(flags=0x02), False)  # a bare SYN from the server
    line.send(one.data(b"x"))
    assert censor.memories[0] is censor.memories[1] is censor.memories[2]
    line.send(Connection(isn=9).syn())
    assert censor.memories[3] is not censor.memories[0]


def test_a_censor_with_its_own_connection_model_keeps_its_memory_over_a_new_syn() -> None:
    class Own(Answers):
        own_tcb: ClassVar[bool] = True

    own, plain = Own(PASS, DONE), Answers()
    line = Offline([rule(own), rule(plain)])
    line.send(Connection().syn())
    line.send(Connection().data(b"x"))
    line.send(Connection(isn=9).syn())
    assert len(own.shown) == 3  # done with the flow, and asked again with its new SYN
    assert own.memories[0] is own.memories[2]
    assert plain.memories[0] is not plain.memories[2]


@pytest.mark.parametrize("action", [Drop("no"), Replace(datagram(b"z"), "no"), Delay(1, "no")])
def test_on_the_path_a_rule_may_only_inject(action: Any) -> None:
    forged = datagram(b"forged", outbound=False)
    racing = Answers([Inject(forged, why="race"), action])
    line = Offline([rule(racing, on_path=True)])
    raw = datagram(b"q")
    outcome = line.send(raw)
    assert (outcome.forward, [found.raw for found in outcome.injected]) == (raw, [forged])
    assert [act.action for act in outcome.acts] == ["inject", "error"]
    assert outcome.delay == 0
    assert line.errors == 1


def test_probes_go_to_whoever_asked() -> None:
    probe = Probe("185.146.21.20", 443, b"replay", "R1", after=2.5, why="length 661")
    asks, idle = Answers([probe, DONE]), Answers()
    line = Offline([rule(idle), rule(asks)])
    outcome = line.send(Connection().syn())
    assert outcome.forward is not None
    assert [(act.action, act.why, act.outside) for act in outcome.acts] == [("probe", "length 661", SITE)]
    assert line.probes == [probe]
    line.answer(Probed(probe, "rst", 0.1, 0))
    assert [found.reaction for found in asks.results] == ["rst"]
    assert (idle.results, line.probes) == ([], [])
    with pytest.raises(LookupError):
        line.answer(Probed(probe, "rst", 0.1, 0))


def test_an_act_carries_the_flows_addresses() -> None:
    line = Offline([rule(Answers(PASS, Drop("no")))])
    one = Connection()
    line.send(one.syn())
    (act,) = line.send(one.syn_ack(), False).acts
    assert (act.inside, act.outside, act.flow, act.why) == (READER, SITE, 1, "no")


@pytest.mark.parametrize("bad", [Inject(b"short"), Inject(b"\x45" + bytes(30)), Replace(b"")])
def test_what_is_no_packet_may_not_be_sent(bad: Any) -> None:
    line = Offline([rule(Answers([bad]))])
    outcome = line.send(Connection().syn())
    assert ([act.action for act in outcome.acts], outcome.injected, outcome.forward) == (["error"], [], None)


def test_what_is_no_packet_is_told_apart() -> None:
    line = Offline([rule(Answers())])
    syn = Connection().syn()
    for raw in (b"", b"\x45" * 19, bytes(40), syn[:-1], b"\x75" + syn[1:], b"\x60" + bytes(38)):
        assert line.send(raw) is MALFORMED
    rng = Random(7)  # noqa: S311 - repeatability is the point
    for _ in range(3_000):
        raw = bytearray(syn if rng.random() < 0.5 else Connection(v6=True).data(b"abc"))
        for _ in range(rng.randrange(1, 6)):
            raw[rng.randrange(min(60, len(raw)))] = rng.randrange(256)
        line.send(bytes(raw[: rng.randrange(len(raw) + 1)]))
    assert line.errors == 0


def test_raw_time_and_lab_time_part_at_a_jump() -> None:
    censor = Answers()
    line = Offline([rule(censor)], start=10.0)
    one = Connection()
    line.send(one.syn())
    line.jump(500)
    line.wait(0.5)
    line.send(one.data(b"x"))
    assert [p.raw_time for p in censor.shown] == [10.0, 10.5]
    assert (line.now, line.raw_now, line.hour) == (510.5, 10.5, pytest.approx(12 + 500.5 / 3_600))
    for wrong in (line.jump, line.wait):
        with pytest.raises(ValueError, match=r" s$"):
            wrong(-1)
