"""Russia's name rules: three reactions, their timers, the state model, and what gets by in 2022 and in 2025."""

from __future__ import annotations

from typing import Any

import pytest

from rozaneh.lab.packet import ACK, RST, SYN, TCP, transport_checksum
from rozaneh.lab.records import cut
from tests.lab.censors.boxes import Box, connection, read
from tests.lab.codec import hellos

NAME = "blocked-news.example"
HELLO = hellos.chrome(NAME)
SNI_1: dict[str, Any] = {"names": [NAME], "action": "rewrite", "residual_s": 75}
SNI_2: dict[str, Any] = {"names": [NAME], "action": "delayed_drop", "residual_s": 420}
SNI_4: dict[str, Any] = {"names": [NAME], "action": "drop", "residual_s": 40}


@pytest.mark.parametrize("v6", [False, True])
def test_sni_1_rewrites_the_next_server_packet_in_place(v6: bool) -> None:
    box, one = Box("tspu_sni", **SNI_1), connection(v6=v6)
    box.shake(one)
    assert box.out(one.data(HELLO))
    answer = one.data(b"x" * 900, outbound=False)
    before = read(answer, outbound=False)
    outcome = box.send(answer, False)
    assert not outcome.injected  # no extra packet
    after = read(outcome.forward, outbound=False)
    assert before.tcp
    assert after.tcp
    assert (after.tcp.flags, after.payload) == (RST | ACK, b"")
    assert (after.tcp.seq, after.tcp.ack, after.tcp.window) == (before.tcp.seq, before.tcp.ack, before.tcp.window)
    assert (after.ip.ttl, after.ip.ident, after.ip.src) == (before.ip.ttl, before.ip.ident, before.ip.src)
    assert transport_checksum(after.ip.src_bytes, after.ip.dst_bytes, TCP, after.raw[after.ip.transport :]) == 0
    assert outcome.acts[0].why == f"name {NAME}"
    assert box.out(one.ack())  # what the client sends goes on


def test_sni_1_lasts_75_seconds_on_the_same_ports_only() -> None:
    box, one = Box("tspu_sni", **SNI_1), connection()
    box.shake(one)
    box.out(one.data(HELLO))
    box.jump(74)
    again, other = connection(), connection(1)
    again.isn += 5_000_000
    assert box.out(again.syn())
    refused = read(box.send(again.syn_ack(), False).forward, outbound=False)
    assert refused.tcp
    assert refused.tcp.flags == RST | ACK
    box.shake(other)
    box.jump(2)
    again.isn += 5_000_000
    box.shake(again)
    assert box.back(again.data(b"fine", outbound=False))


@pytest.mark.parametrize("v6", [False, True])
def test_sni_2_lets_five_to_eight_packets_pass_then_none_for_420_seconds(v6: bool) -> None:
    passed = []
    for number in range(40):
        box, one = Box("tspu_sni", seed=number, **SNI_2), connection(number, v6=v6)
        box.shake(one)
        assert box.out(one.data(HELLO))
        count = 0
        while box.back(one.data(b"y", outbound=False)) if count % 2 else box.out(one.ack()):
            count += 1
        passed.append(count)
        assert not box.out(one.ack())
        assert not box.back(one.data(b"y", outbound=False))
    assert set(passed) == {5, 6, 7, 8}
    box.jump(419)
    assert not box.out(one.ack())
    again = connection(number, v6=v6)
    again.isn += 90_000
    assert not box.out(again.syn())  # a new connection on the same ports gets no new budget
    box.jump(2)
    assert box.out(one.ack())


def test_sni_4_drops_the_hello_itself_for_40_seconds() -> None:
    box, one = Box("tspu_sni", **SNI_4), connection()
    box.shake(one)
    hello = one.data(HELLO)
    assert not box.out(hello)
    assert not box.out(hello)  # the retransmission too
    assert not box.back(one.ack(outbound=False))
    box.jump(39)
    assert not box.out(hello)
    box.jump(2)
    assert box.out(hello)


def test_other_names_and_ports_pass() -> None:
    for name, port in (("fine.example", 443), (None, 443), (f"x{NAME}", 443), (NAME, 8_443)):
        box, one = Box("tspu_sni", **SNI_4), connection(port=port)
        box.shake(one)
        assert box.out(one.data(hellos.chrome(name)))
        assert box.back(one.data(b"x", outbound=False))
    anywhere = Box("tspu_sni", ports=[], **SNI_4)
    anywhere.shake(one)
    assert not anywhere.out(one.data(HELLO))


def test_spared_names_below_a_listed_one() -> None:
    box, one = Box("tspu_sni", spare=[f"api.{NAME}"], **SNI_4), connection()
    box.shake(one)
    assert box.out(one.data(hellos.chrome(f"api.{NAME}")))


@pytest.mark.parametrize(("initiator", "hit"), [("inside", False), ("any", True), ("outside", True)])
def test_connections_begun_outside_meet_no_name_rule(initiator: str, hit: bool) -> None:
    """A split handshake: the server answers the SYN with a SYN, and the roles are turned round."""
    box, one = Box("tspu_sni", initiator=initiator, **SNI_4), connection()
    assert box.out(one.syn())
    assert box.back(one.send(outbound=False, flags=SYN, seq=one.server_isn))
    assert box.out(one.send(flags=SYN | ACK, seq=one.isn))
    one.seq, one.server_seq = one.isn + 1, one.server_isn + 1
    assert box.back(one.ack(outbound=False))
    assert box.out(one.data(HELLO)) is not hit


def test_split_handshake_can_be_without_effect() -> None:
    box, one = Box("tspu_sni", split_handshake=False, **SNI_4), connection()
    assert box.out(one.syn())
    assert box.back(one.send(outbound=False, flags=SYN, seq=one.server_isn))
    one.seq = one.isn + 1
    assert not box.out(one.data(HELLO))


@pytest.mark.parametrize(("steps", "idle"), [(1, 60), (2, 105), (3, 480)])
def test_state_is_forgotten_after_its_own_time(steps: int, idle: float) -> None:
    for seconds, hit in ((idle - 1, True), (idle + 1, False)):
        box, one = Box("tspu_sni", **SNI_4), connection()
        packets = [(one.syn(), True), (one.syn_ack(), False), (one.ack(), True)]
        for raw, outbound in packets[:steps]:
            box.send(raw, outbound)
        box.jump(seconds)
        assert box.out(one.data(HELLO)) is not hit


def test_without_a_syn_nothing_is_read() -> None:
    box, one = Box("tspu_sni", **SNI_4), connection()
    one.syn()
    one.syn_ack()
    assert box.out(one.data(HELLO))


@pytest.mark.parametrize("ending", ["rst", "fin"])
def test_rst_and_fin_clear_nothing(ending: str) -> None:
    box, one = Box("tspu_sni", **SNI_2), connection()
    box.shake(one)
    box.out(one.rst() if ending == "rst" else one.fin())
    assert box.out(one.data(HELLO))
    assert [box.out(one.ack()) for _ in range(10)].count(False) >= 2


def sent(box: Box, segments: list[bytes]) -> bool:
    """Whether a hello in these segments gets through."""
    one = connection()
    box.shake(one)
    return all([box.out(one.data(segment)) for segment in segments])  # noqa: C419 - all are sent


MIDDLE = HELLO.index(NAME.encode()) + 5
FRAGMENTED = cut(HELLO, MIDDLE - 5)  # records: the first ends inside the name


@pytest.mark.parametrize(
    ("segments", "records", "split", "fragmented", "both"),
    [
        ("none", "none", True, True, True),  # 2022
        ("full", "none", False, True, True),
        ("full", "buffered", False, False, True),  # 2025: either alone is caught, both together pass [C FOCI'25 5]
        ("in_order", "full", False, False, False),
        ("full", "full", False, False, False),
    ],
)
def test_cutting_segments_and_records(segments: str, records: str, split: bool, fragmented: bool, both: bool) -> None:
    def box() -> Box:
        return Box("tspu_sni", segments=segments, records=records, **SNI_4)

    assert not sent(box(), [HELLO])
    assert sent(box(), [HELLO[:MIDDLE], HELLO[MIDDLE:]]) is split
    assert sent(box(), [FRAGMENTED]) is fragmented
    assert sent(box(), [FRAGMENTED[:MIDDLE], FRAGMENTED[MIDDLE:]]) is both


def test_a_name_in_the_first_segment_is_read_though_the_message_is_longer() -> None:
    long = hellos.chrome(NAME, extra=[(0xFE0D, bytes(1_500))])
    assert not sent(Box("tspu_sni", **SNI_4), [long[:1_400], long[1_400:]])


def test_early_segments_wait_in_full_reassembly_alone() -> None:
    for segments, hit in (("full", True), ("in_order", False)):
        box, one = Box("tspu_sni", segments=segments, **SNI_4), connection()
        box.shake(one)
        first, second = one.data(HELLO[:MIDDLE]), one.data(HELLO[MIDDLE:])
        assert box.out(second)
        assert box.out(first) is not hit


def test_short_junk_is_stepped_over_and_long_junk_ends_the_search() -> None:
    for segments in ("none", "full"):
        assert not sent(Box("tspu_sni", segments=segments, **SNI_4), [b"\xf0" * 100, HELLO])
        assert sent(Box("tspu_sni", segments=segments, **SNI_4), [b"\xf0" * 101, HELLO])
        assert sent(Box("tspu_sni", segments=segments, **SNI_4), [b"\xf0"] * 15 + [HELLO])


@pytest.mark.parametrize(
    "params", [{"passes": [8, 5]}, {"residual_s": -1}, {"action": "laugh"}, {"nmaes": []}, {"passes": [1]}]
)
def test_wrong_parameters_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="rule 'X'"):
        Box("tspu_sni", **params)
