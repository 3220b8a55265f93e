"""Trees, thresholds and replays: each on models of servers whose clock jumps with the prober's."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from rozaneh.lab.prober import probes, replay, thresholds, toys, trees
from rozaneh.lab.prober.attempt import Attempt, Reaction
from rozaneh.lab.prober.examine import Modelled, Report, compare, examine
from rozaneh.lab.prober.simulated import Clock, Session
from rozaneh.lab.rules import seeded
from rozaneh.lab.verify import probes as verified


def examined(model: str, seed: int = 0, *, limits: bool = False) -> Report:
    clock = Clock()
    return examine(Modelled(toys.Toy(model, seed, clock), clock, seeded(seed, "test")), model, limits=limits)


@pytest.mark.parametrize("model", list(toys.MODELS))
def test_each_model_is_named_by_its_own_tree_alone(model: str) -> None:
    wanted = toys.MODELS[model][1]
    assert examined(model).identified == ([wanted] if wanted else [])


def test_the_faithfulness_checks_hold_for_several_seeds() -> None:
    for seed in range(3):
        assert [check.name for check in verified.checks(seed) if not check.ok] == []


@pytest.mark.parametrize("model", [name for name, (_, tree) in toys.MODELS.items() if tree])
def test_one_probe_that_is_answered_or_ends_otherwise_clears_a_server(model: str) -> None:
    reactions = examined(model).reactions
    tree = toys.MODELS[model][1]
    for name in probes.NAMES:
        answered = reactions | {name: Reaction("data", 0.1, 7, "fin", 0.2)}
        assert tree not in trees.identify(answered)
        late = reactions | {name: Reaction("fin", 17.0, 0, "fin", 17.0)}
        assert tree not in trees.identify(late)
    assert trees.identify({}) == []


def test_the_probes_are_thirteen_and_of_the_lengths_the_trees_rest_on() -> None:
    standard = {probe.name: probe.payload for probe in probes.standard(3)}
    assert len(standard) == 13
    assert all(len(standard[name]) < 24 for name in ("empty", "s7", "stun", "modbus", "rand-23"))
    assert all(50 < len(standard[name]) < 256 for name in ("tls", "http", "dns-axfr", "rand-51"))
    assert len(standard["rand-7k"]) < 8_192
    assert len(standard["rand-17k"]) > 17_376  # the largest reset threshold of obfs4
    assert standard == {probe.name: probe.payload for probe in probes.standard(3)}
    assert standard["rand-51"] != probes.make("rand-51", 4).payload
    with pytest.raises(ValueError, match="no probe 'gopher'"):
        probes.make("gopher")


def test_times_count_from_the_connection_and_an_answer_comes_before_the_end() -> None:
    attempt = Attempt(b"hello", observe=300, connect=10)
    attempt.start(100.0)
    assert attempt.deadline == 110.0
    assert attempt.connected(103.0) == b"hello"
    attempt.data(104.0, b"ab")
    attempt.data(105.0, b"c")
    attempt.timer(200.0)
    assert attempt.reaction is None
    attempt.fin(163.0)
    assert attempt.reaction == Reaction("data", 1.0, 3, "fin", 60.0, b"abc")
    attempt.rst(170.0)  # what comes later changes nothing
    assert attempt.reaction.closed == "fin"
    assert attempt.reaction.short() == "data 3B FIN@60"


def test_no_connection_is_refused_and_never_a_server_that_waits() -> None:
    silent = Attempt(b"", connect=10)
    silent.start(5.0)
    silent.timer(14.9)
    assert silent.reaction is None
    silent.timer(15.0)
    assert silent.reaction == Reaction("refused", 10.0, 0, "refused", 10.0)
    refused = Attempt(b"")
    refused.start(5.0)
    refused.refused(5.5)
    assert refused.reaction is not None
    assert (refused.reaction.kind, refused.reaction.seconds) == ("refused", 0.5)
    nobody = dict.fromkeys(probes.NAMES, silent.reaction)
    assert trees.identify(nobody) == []


@pytest.mark.parametrize(("close", "reset"), [(1, None), (2, 3), (5, 6), (11, 4_096), (4_096, 4_097), (700_001, None)])
def test_thresholds_are_found_to_the_byte(close: int, reset: int | None) -> None:
    def send(count: int, seed: int) -> Reaction:
        if reset is not None and count >= reset:
            return Reaction("rst", 0.1, 0, "rst", 0.1)
        if count >= close:
            return Reaction("fin", 0.1, 0, "fin", 0.1)
        return Reaction("timeout", 3.0, 0, "timeout", 3.0)

    found = thresholds.find(send)
    assert (found.close, found.end, found.reset, found.stable) == (close, "fin", reset, True)
    assert found.sent < 60


def test_a_threshold_that_depends_on_the_bytes_is_unstable() -> None:
    def send(count: int, seed: int) -> Reaction:
        return Reaction("fin", 0.1, 0, "fin", 0.1) if count >= 100 + seed else Reaction("timeout", 3.0)

    assert thresholds.find(send).stable is False
    assert thresholds.find(lambda count, seed: Reaction("timeout", 3.0)).close is None


def test_comparison_shows_what_differs_and_nothing_else() -> None:
    one = examined("http", limits=True)
    assert compare(one, examined("http", limits=True)) == []
    other = replace(one, reactions=one.reactions | {"empty": Reaction("fin", 15.0, 0, "fin", 15.0)})
    assert [(each.what, each.here, each.there) for each in compare(other, one)] == [("empty", "FIN@15", "FIN@60")]
    known = {each.what for each in compare(examined("ss-outline", limits=True), examined("ss-python", limits=True))}
    assert {"tls", "rand-51", "resets after bytes"} <= known


def test_report_as_json_names_the_proxy_and_says_what_speaks_against_the_others() -> None:
    said = examined("ossh", limits=True).as_json()
    assert said["schema"] == "rozaneh.lab.probe/1"
    assert said["identified"] == ["ossh"]
    assert said["conclusive"] is True
    assert said["thresholds"] == {"close": 24, "end": "fin", "reset": 25, "stable": True}
    rows = {row["proxy"]: row for row in said["trees"]}
    assert rows["mtproto"]["against"].startswith("tls: RST")


def test_replays_change_exactly_the_bytes_of_their_kind() -> None:
    flight = seeded(1, "test").randbytes(200)
    for kind, places in replay.CHANGED.items():
        sent = replay.variant(kind, flight, seeded(2, "test")).payload
        assert [at for at in range(200) if sent[at] != flight[at]] == list(places)
    assert replay.variant("R3", flight[:5], seeded(2, "test")).payload[5:] == b""
    lengths = sorted(len(probe.payload) for probe in replay.random_probes(seeded(3, "test")))
    assert lengths == sorted([*(n + d for n in (8, 12, 16, 22, 33, 41, 49) for d in (-1, 0, 1)), 221])


@pytest.mark.parametrize(("model", "finding"), [("ss-outline", "reacts-to-length"), ("mtproto", None)])
def test_replay_findings_on_models(model: str, finding: str | None) -> None:
    clock = Clock()
    target = Modelled(toys.Toy(model, 0, clock), clock, seeded(0, "test"))
    done = replay.replay(target, seeded(5, "test").randbytes(300))
    assert [one.name for one in done.findings] == ([finding] if finding else [])
    assert not done.accepted
    assert "R3" not in done.reactions  # only after R1 or R2 was answered


def test_a_server_that_forgets_answers_a_late_replay_and_other_delays_are_not_simulated() -> None:
    flight = seeded(9, "test").randbytes(195)
    clock = Clock()

    class Forgetful:
        """Keeps what it has seen for 60 s."""

        def __call__(self, shared: Clock, rng: Random) -> Session:
            return toys.Replayable(flight, filtered=shared.now < 60)(shared, rng)

    def wait(seconds: float) -> bool:
        if seconds > 3_000:
            return False
        clock.advance(clock.now + seconds)
        return True

    target = Modelled(Forgetful(), clock, seeded(1, "test"))
    done = replay.replay(target, flight, observe=1, delays=(5, 70, 3_600), wait=wait)
    assert {seconds: seen.kind for seconds, seen in done.later.items()} == {5: "timeout", 70: "data"}
    assert done.not_simulated == (3_600,)
    assert done.accepted
    assert replay.replay(target, flight, observe=1, delays=(70,)).not_simulated == (70,)
