"""The prober of Shadowsocks: what makes it probe, with what and when, and what makes it block."""

from __future__ import annotations

import statistics
from random import Random
from typing import Any

import msgspec
import pytest

from rozaneh.lab import craft
from rozaneh.lab.api import Probe, Probed
from rozaneh.lab.censors import ss_prober
from tests.lab.censors.bench import Bench, mutilated

PAYLOAD = Random(9).randbytes(402)  # noqa: S311 - repeatability is the point; 402 mod 16 is 2


def connection(port: int = 40_000, *, v6: bool = False, server: int = 8_388) -> craft.Connection:
    near, far = (craft.READER6, craft.SITE6) if v6 else (craft.READER, craft.SITE)
    return craft.Connection((near, port), (far, server), isn=port)


def speak(bench: Bench, payload: bytes = PAYLOAD, **how: Any) -> list[Probe]:
    """Opens a connection, sends the payload; what was asked of the prober thereby."""
    before = len(bench.probes)
    one = connection(**how)
    assert bench.opens(one)
    assert bench.send(one.data(payload)).forward is not None
    return bench.probes[before:]


def answer(bench: Bench, probe: Probe, reaction: Any) -> None:
    bench.answer(Probed(probe, reaction, 1.0, 100 if reaction == "data" else 0))
    assert not bench.errors


@pytest.mark.parametrize(
    "params",
    [
        {"rate": 2},
        {"high_entropy": 1},
        {"delays": []},
        {"delays": [[0, 0.0]]},
        {"delays": [[0.5, 2], [0.1, 1]]},
        {"nr_per_hour": 1_000},
        {"by": "name"},
        {"ports": 0},
    ],
)
def test_wrong_parameters_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises((ValueError, msgspec.ValidationError)):
        Bench("ss_prober", **params)


# --- the trigger


@pytest.mark.parametrize(
    ("span", "rests", "share"),
    [
        (range(168, 264), (9,), 0.72),
        (range(384, 688), (2,), 0.96),
        (range(264, 384), (9,), 0.37),
        (range(264, 384), (2,), 0.32),
    ],
)
def test_replayed_lengths_have_the_published_rests(span: range, rests: tuple[int, ...], share: float) -> None:
    weights = {
        rest: statistics.fmean(ss_prober.length_weight(s, 0.01) for s in span if s % 16 == rest) for rest in range(16)
    }
    assert sum(weights[rest] for rest in rests) / sum(weights.values()) == pytest.approx(share, abs=0.005)


def test_other_lengths_are_hardly_replayed() -> None:
    assert ss_prober.length_weight(50, 0.01) == ss_prober.length_weight(800, 0.01) == 0.01
    assert ss_prober.length_weight(1_000, 0.01) == 0


def test_entropy_makes_four_times_the_difference() -> None:
    censor: Any = Bench("ss_prober").rules[0].censor
    low, high = bytes(range(8)) * 50 + b"\0\1", bytes(range(256)) + bytes(range(146))
    assert censor.weight(high) / censor.weight(low) == pytest.approx(4)
    assert censor.weight(b"\x16\x03\x01" + PAYLOAD[3:]) == 0


@pytest.mark.parametrize("v6", [False, True])
def test_a_likely_first_packet_is_probed_for_and_passes(v6: bool) -> None:
    bench = Bench("ss_prober", repeat=0.0, r5=1.0, nr_per_hour=10, nr_hours=10)
    probes = speak(bench, v6=v6)
    kinds = [probe.kind for probe in probes]
    assert kinds[:3] == ["R1", "R2", "R5"]
    assert {(probe.address, probe.port) for probe in probes} == {(craft.SITE6 if v6 else craft.SITE, 8_388)}
    replay, changed, twice = probes[:3]
    assert replay.payload == PAYLOAD
    assert differing(changed.payload) == [0]
    assert differing(twice.payload) == [6, 16]
    random = probes[3:]
    assert len(random) == 100
    assert 60 < sum(probe.kind == "NR2" for probe in random) < 90
    assert {len(probe.payload) for probe in random if probe.kind == "NR3"} <= set(ss_prober.RARE_LENGTHS)
    assert {len(probe.payload) for probe in random if probe.kind == "NR2"} == {221}
    assert {len(probe.payload) for probe in random if probe.kind == "NR1"} <= set(ss_prober.NR1_LENGTHS)
    assert max(probe.after for probe in random) <= 36_000
    # The second payload is replayed as well, but one round of random probes is enough.
    assert {probe.kind for probe in speak(bench, port=40_001, v6=v6)} == {"R1", "R2", "R5"}


def differing(payload: bytes) -> list[int]:
    return [at for at, (old, new) in enumerate(zip(PAYLOAD, payload, strict=True)) if old != new]


def test_only_the_first_payload_of_a_connection_from_inside_counts() -> None:
    bench = Bench("ss_prober")
    one = connection()
    assert bench.opens(one)
    bench.send(one.data(b"short"))
    bench.send(one.data(PAYLOAD))
    assert bench.passes(connection(41_000).data(PAYLOAD))  # no SYN seen
    inward = craft.Connection((craft.SITE, 9_000), (craft.READER, 8_388), outside_client=True)
    assert bench.opens(inward)
    bench.send(inward.data(PAYLOAD, outbound=False), False)
    assert bench.probes == []


def test_delays_follow_the_published_distribution() -> None:
    bench = Bench("ss_prober", nr_per_hour=0)
    delays = [probe.after for port in range(2_000, 3_000) for probe in speak(bench, port=port)]
    count = len(delays)
    assert min(delays) >= 0.28
    assert max(delays) <= 570 * 3_600
    for limit, share in ((1, 0.2), (60, 0.5), (900, 0.75)):
        assert abs(sum(delay < limit for delay in delays) / count - share) < 0.04, limit


# --- the decision


def test_a_replay_that_is_answered_where_random_bytes_are_not() -> None:
    bench = Bench("ss_prober", evidence="replay", repeat=0.0, r5=0.0, nr_per_hour=1, nr_hours=3)
    first, changed, *random = speak(bench)
    answer(bench, first, "data")
    assert bench.passes(connection().data(b"x", outbound=False), False)
    answer(bench, random[0], "timeout")
    assert not bench.passes(connection().data(b"x", outbound=False), False)
    # R3 and R4 follow from the answer.
    bench.timers()
    followed = [probe for probe in bench.probes if probe.kind in ("R3", "R4")]
    assert [differing(probe.payload) for probe in followed] == [[0, 1, 2, 3, 4, 5, 6, 7, 62, 63], [16]]
    bench.timers()
    assert len([probe for probe in bench.probes if probe.kind in ("R3", "R4")]) == 2
    # What leaves is not touched, nor are other ports.
    assert bench.passes(connection(41_000).syn())
    assert bench.passes(connection(41_001, server=443).data(b"x", outbound=False), False)
    answer(bench, changed, "timeout")


def test_a_server_that_answers_everything_is_left_alone() -> None:
    bench = Bench("ss_prober", repeat=0.0, nr_per_hour=2)
    for probe in speak(bench):
        answer(bench, probe, "data")
    assert bench.passes(connection().data(b"x", outbound=False), False)


@pytest.mark.parametrize("reaction", ["timeout", "fin", "rst"])
def test_a_server_that_treats_all_alike_is_left_alone(reaction: str) -> None:
    bench = Bench("ss_prober", repeat=0.0, nr_per_hour=20)
    for probe in speak(bench):
        answer(bench, probe, reaction)
    assert bench.passes(connection().data(b"x", outbound=False), False)


def test_a_threshold_among_the_probed_lengths_gives_a_server_away() -> None:
    bench = Bench("ss_prober", repeat=0.0, nr_per_hour=40, evidence="threshold")
    for probe in speak(bench):
        size = len(probe.payload)  # Outline 1.0.6: up to 49 bytes nothing, at 50 FIN, above RST
        answer(bench, probe, "timeout" if size < 50 else "fin" if size == 50 else "rst")
    assert not bench.passes(connection().data(b"x", outbound=False), False)


@pytest.mark.parametrize(
    ("reactions", "expected"),
    [
        ({}, None),
        ({8: "timeout", 221: "rst"}, None),  # somewhere between
        ({15: "timeout", 16: "timeout", 17: "rst", 221: "rst"}, 16),
        ({48: "timeout", 49: "timeout", 50: "fin", 221: "rst"}, 49),
        ({8: "fin", 9: "rst", 11: "fin", 12: "rst"}, None),  # noise
    ],
)
def test_steps(reactions: dict[int, str], expected: int | None) -> None:
    assert ss_prober.step(reactions) == expected


def found(bench: Bench, port: int, server: int) -> None:
    first, _, *random = speak(bench, port=port, server=server)
    answer(bench, first, "data")
    answer(bench, random[-1], "timeout")


def test_ports_first_and_then_the_address() -> None:
    bench = Bench("ss_prober", by="escalate", ports=2, block_s=1_000)
    found(bench, 40_000, 8_388)
    back = [connection(42_000, server=server).data(b"x", outbound=False) for server in (8_388, 443)]
    assert [bench.passes(raw, False) for raw in back] == [False, True]
    bench.jump(10)
    found(bench, 40_001, 8_389)
    assert [bench.passes(raw, False) for raw in back] == [False, False]
    assert not bench.datagram(b"x", outbound=False)
    bench.jump(999)
    assert not bench.passes(back[1], False)
    bench.jump(2)
    assert [bench.passes(raw, False) for raw in back] == [True, True]


def test_blocking_an_address_at_once_or_never() -> None:
    for rate, passes in ((1.0, False), (0.0, True)):
        bench = Bench("ss_prober", by="ip", block_rate=rate)
        found(bench, 40_000, 8_388)
        assert bench.passes(connection(42_000, server=443).data(b"x", outbound=False), False) is passes


def test_a_server_is_found_anew_once_its_block_has_ended() -> None:
    bench = Bench("ss_prober", block_s=1_000, nr_hours=0.2, nr_per_hour=30)
    back = connection(42_000).data(b"x", outbound=False)
    for port in (40_000, 40_001):
        found(bench, port, 8_388)
        assert not bench.passes(back, False)
        bench.jump(1_001)
        assert bench.passes(back, False)


def test_servers_inside_are_probed_only_when_told_and_never_for_the_probers_own_bytes() -> None:
    def inward(port: int) -> craft.Connection:
        return craft.Connection((craft.SITE, port), (craft.READER, 8_388), isn=port, outside_client=True)

    bench = Bench("ss_prober", inbound=True, repeat=0.0)
    one = inward(9_000)
    assert bench.opens(one)
    bench.send(one.data(PAYLOAD, outbound=False), False)
    first, _, *random = bench.probes
    assert (first.address, first.port, first.payload) == (craft.READER, 8_388, PAYLOAD)
    again = inward(9_001)
    assert bench.opens(again)
    assert bench.passes(again.data(first.payload, outbound=False), False)
    answer(bench, first, "data")
    answer(bench, random[-1], "timeout")
    assert not bench.passes(one.data(b"x"))
    assert bench.passes(one.data(b"x", outbound=False), False)


def test_rubbish_raises_nothing() -> None:
    bench = Bench("ss_prober")
    for raw in mutilated(connection().data(PAYLOAD), 600):
        bench.send(raw)
