"""IP fragments: held until all are there, dropped beyond a cap, on overlap and after a while; and what rules see."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from rozaneh.lab.api import PASS, Drop, Replace, Verdict
from rozaneh.lab.chain import Rule
from rozaneh.lab.craft import Connection, datagram, fragments
from rozaneh.lab.fragments import FragmentPolicy, Queue
from rozaneh.lab.offline import Offline
from rozaneh.lab.packet import Packet, parse

BODY = bytes(range(256)) * 6


class Watches:
    """Remembers the payloads it is shown; drops those that hold `word`."""

    def __init__(self, word: bytes = b"\0never\0") -> None:
        self.word = word
        self.seen: list[bytes] = []

    def packet(self, p: Packet, now: float) -> Verdict:
        self.seen.append(p.payload)
        return Drop("word") if self.word in p.payload else PASS


def line(censor: Any, **policy: Any) -> Offline:
    return Offline([Rule("R", censor)], fragments=FragmentPolicy(**policy) if policy else None)


def whole(v6: bool = False, payload: bytes = BODY) -> bytes:
    return datagram(payload, v6=v6)


@pytest.mark.parametrize("v6", [False, True])
def test_crafted_fragments_are_what_a_kernel_makes(v6: bool) -> None:
    parts = [parse(raw, True) for raw in fragments(whole(v6), 512)]
    assert all(part is not None and part.ip.fragment for part in parts)
    assert [(part.ip.fragment_offset, part.ip.more_fragments) for part in parts if part] == [
        (0, True),
        (512, True),
        (1_024, True),
        (1_536, False),
    ]


def test_without_a_policy_fragments_pass_as_they_come() -> None:
    censor = Watches()
    judge = line(censor)
    for raw in fragments(whole(), 512):
        assert judge.send(raw).forward == raw
    assert censor.seen[0] == BODY[:504]  # the first one has the ports, and is the flow's
    assert censor.seen[1:] == [b"", b"", b""]


@pytest.mark.parametrize("v6", [False, True])
@pytest.mark.parametrize("mode", ["hold", "reassemble"])
def test_held_fragments_go_on_one_by_one_when_all_are_there(mode: str, v6: bool) -> None:
    censor = Watches()
    judge = line(censor, mode=mode)
    parts = fragments(whole(v6), 512)
    Random(3).shuffle(parts)  # noqa: S311 - repeatability is the point
    early = [judge.send(raw) for raw in parts[:-1]]
    assert [(outcome.forward, outcome.more, outcome.acts) for outcome in early] == [(None, [], [])] * 3
    assert censor.seen == []
    last = judge.send(parts[-1])
    assert [last.forward, *last.more] == parts
    assert censor.seen == ([BODY] if mode == "reassemble" else [parse(raw, True).payload for raw in parts])  # type: ignore[union-attr]


@pytest.mark.parametrize("v6", [False, True])
def test_a_rule_that_sees_the_whole_drops_all_of_it(v6: bool) -> None:
    word = b"across the cut"
    payload = bytes(500) + word + bytes(500)  # the word lies in two fragments
    seen = {}
    for mode in ("hold", "reassemble"):
        judge = line(Watches(word), mode=mode)
        outcomes = [judge.send(raw) for raw in fragments(whole(v6, payload), 512)]
        seen[mode] = [outcome.forward is not None for outcome in outcomes]
        if mode == "reassemble":
            assert [act.why for act in outcomes[-1].acts] == ["word"]
    assert seen == {"hold": [False, True], "reassemble": [False, False]}


def test_a_replacement_of_the_whole_goes_alone() -> None:
    other = datagram(b"other")

    class Replaces:
        def packet(self, p: Packet, now: float) -> Verdict:
            return [Replace(other)]

    judge = line(Replaces(), mode="reassemble")
    *_, last = [judge.send(raw) for raw in fragments(whole(), 512)]
    assert (last.forward, last.more) == (other, [])


def test_beyond_the_cap_the_whole_queue_is_dropped() -> None:
    """45 fragments at the Russian boxes, 64 in Linux [S, catalogue RU-04]: 46 pass one and not the other."""
    for cap, pieces, passes in ((45, 45, True), (45, 46, False), (64, 46, True), (64, 64, True), (64, 65, False)):
        payload = bytes(pieces * 16 - 8)  # the UDP header makes up the rest
        parts = fragments(whole(payload=payload), 16)
        assert len(parts) == pieces
        judge = line(Watches(), cap=cap)
        outcomes = [judge.send(raw) for raw in parts]
        assert (outcomes[-1].forward is not None) is passes
        if not passes:
            assert [act.why for act in outcomes[cap].acts] == [f"more than {cap} fragments"]
            assert all(outcome.forward is None for outcome in outcomes)


def test_an_overlap_drops_the_queue_or_is_left_out() -> None:
    parts = fragments(whole(), 512)
    for policy, passes in (("drop", False), ("first", True)):
        judge = line(Watches(), overlap=policy)
        outcomes = [judge.send(raw) for raw in (parts[0], parts[0], *parts[1:])]
        assert any(outcome.forward is not None for outcome in outcomes) is passes
        if not passes:
            assert {act.why for outcome in outcomes for act in outcome.acts} == {"overlapping fragments"}


def test_a_queue_that_is_not_whole_in_time_begins_anew() -> None:
    judge = line(Watches(), timeout_s=5.0)
    parts = fragments(whole(), 512)
    for raw in parts[:-1]:
        judge.send(raw)
    judge.jump(5.1)
    assert judge.send(parts[-1]).forward is None
    outcomes = [judge.send(raw) for raw in parts[:-1]]
    assert outcomes[-1].forward is not None


def test_a_network_may_drop_all_fragments() -> None:
    judge = line(Watches(), mode="drop")
    assert [judge.send(raw).acts[0].why for raw in fragments(whole(), 512)] == ["fragment"] * 4
    assert judge.send(whole()).forward is not None


def test_flows_of_whole_packets_are_not_touched() -> None:
    judge = line(Watches(), cap=45)
    for raw, outbound in Connection().handshake():
        assert judge.send(raw, outbound).forward == raw


def test_memory_is_bounded_and_junk_does_no_harm() -> None:
    queue = Queue(FragmentPolicy())
    rng = Random(5)  # noqa: S311 - repeatability is the point
    for number in range(5_000):
        part = fragments(whole(), 512, ident=number)[rng.randrange(4)]
        packet = parse(part, True)
        assert packet is not None
        queue.add(packet, number / 1_000)
    assert len(queue) <= 1_024
    judge = line(Watches(), mode="reassemble")
    for _ in range(3_000):
        raw = bytearray(rng.choice(fragments(whole(rng.random() < 0.5), 512)))
        for _ in range(rng.randrange(4)):
            raw[rng.randrange(2, min(48, len(raw)))] = rng.randrange(256)
        judge.send(bytes(raw))
    assert judge.errors == 0


@pytest.mark.parametrize("wrong", [{"cap": 0}, {"timeout_s": 0}])
def test_a_queue_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="fragment"):
        Queue(FragmentPolicy(**wrong))  # type: ignore[arg-type]
