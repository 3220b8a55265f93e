"""What makes a box lose a connection: every habit of a TCB by itself, and Geneva's model censors by name."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from rozaneh.lab import tcb
from rozaneh.lab.craft import Connection
from rozaneh.lab.packet import ACK, FIN, RST, SYN, Packet, parse
from tests.lab.censors.bench import Bench

WORD = b"say keyword now"


class Box(Bench):
    """A rule that drops what has the keyword, with the TCB habits under test."""

    def __init__(self, seed: int = 0, **habits: Any) -> None:
        super().__init__("keyword", seed=seed, keywords=["keyword"], drop="trigger", **habits)

    def found(self, *packets: tuple[bytes, bool]) -> bool:
        """Whether the keyword was found in any of the packets."""
        found = [not self.passes(raw, outbound) for raw, outbound in packets]
        return any(found)


def out(raw: bytes) -> tuple[bytes, bool]:
    return raw, True


def far(connection: Connection, how_far: int = 1 << 24) -> int:
    return (connection.seq + how_far) % 2**32


@pytest.fixture(params=[False, True], ids=["v4", "v6"])
def one(request: pytest.FixtureRequest) -> Connection:
    return Connection(v6=request.param)


@pytest.mark.parametrize(("needs", "seen"), [("none", [1, 1, 1]), ("syn", [0, 1, 1]), ("syn+ack", [0, 0, 1])])
def test_what_must_have_been_seen(needs: str, seen: list[int], one: Connection) -> None:
    handshake = one.handshake()
    data = out(one.data(WORD))
    found = [Box(needs=needs).found(*handshake[:count], data) for count in (0, 1, 3)]
    assert found == [bool(each) for each in seen]


@pytest.mark.parametrize(("initiator", "inside", "outside"), [("inside", 1, 0), ("outside", 0, 1), ("any", 1, 1)])
def test_whose_connections_are_followed(initiator: str, inside: int, outside: int, one: Connection) -> None:
    other = Connection(outside_client=True)
    from_inside = Box(initiator=initiator).found(*one.handshake(), out(one.data(WORD)))
    from_outside = Box(initiator=initiator).found(*other.handshake(), (other.data(WORD, outbound=False), False))
    assert (from_inside, from_outside) == (bool(inside), bool(outside))
    assert not Box(initiator=initiator).found(*one.handshake(), (one.data(WORD, outbound=False), False))


@pytest.mark.parametrize("checked", [False, True])
def test_checksums(checked: bool, one: Connection) -> None:
    assert Box(checksum=checked).found(*one.handshake(), out(one.data(WORD, checksum="bad"))) is not checked
    assert Box(checksum=checked).found(*one.handshake(), out(one.data(WORD)))


def test_the_window(one: Connection) -> None:
    def data(away: int) -> tuple[bytes, bool]:
        return out(one.send(WORD, flags=ACK, seq=far(one, away)))

    handshake = one.handshake()
    for mode in ("none", "full"):
        assert not Box(window=1_000, reassembly=mode).found(*handshake, data(1_000))
        assert not Box(window=1_000, reassembly=mode).found(*handshake, data(-1_001))
    assert Box(window=1_000, reassembly="none").found(*handshake, data(999))
    assert Box(reassembly="none").found(*handshake, data(1 << 30))


@pytest.mark.parametrize(("effect", "found"), [("ignore", True), ("teardown", False), ("resync", True)])
@pytest.mark.parametrize("flags", [RST, RST | ACK, FIN, FIN | RST | ACK])
def test_rst_and_fin_after_the_handshake(effect: str, found: bool, flags: int, one: Connection) -> None:
    box = Box(rst=effect, fin=effect)
    assert box.found(*one.handshake(), out(one.rst(flags=flags, checksum="bad")), out(one.data(WORD, at=0))) is found


def test_resync_takes_the_next_place_it_is_shown(one: Connection) -> None:
    decoy, data = out(one.send(b"x", flags=ACK, seq=far(one))), out(one.data(WORD, at=0))
    handshake, rst = one.handshake(), out(one.rst(checksum="bad"))
    assert not Box(rst="resync").found(*handshake, rst, decoy, data)
    assert Box(rst="ignore", reassembly="full").found(*handshake, rst, decoy, data)
    assert not Box(rst="resync", resync_reads=False).found(*handshake, rst, data)
    ack = out(one.send(flags=ACK, seq=far(one)))
    assert not Box(rst="resync", resync_on=("ack",), window=1_000).found(*handshake, rst, ack, data)
    assert not Box(rst="resync", resync_on=()).found(*handshake, rst, data)


def test_a_rst_before_the_handshake_is_over_counts_by_its_own_rule(one: Connection) -> None:
    syn, syn_ack, ack = one.handshake()
    rst, data = out(one.rst(checksum="bad")), out(one.data(WORD))
    assert not Box(rst_early="teardown").found(syn, rst, syn_ack, ack, data)
    assert Box(rst_early="teardown").found(syn, syn_ack, ack, rst, data)
    assert Box(rst="teardown").found(syn, rst, syn_ack, ack, data)


def test_resync_is_a_matter_of_chance_where_it_is_one() -> None:
    lost = 0
    for seed in range(400):
        one = Connection()
        rst, data = out(one.rst(checksum="bad", at=0)), out(one.data(WORD, at=0))
        lost += not Box(seed, rst="resync", resync_p=0.5, resync_on=()).found(*one.handshake(), rst, data)
    assert 160 < lost < 240  # 200 expected; four standard deviations


@pytest.mark.parametrize(("whose", "found"), [("client", True), ("any", False)])
def test_whose_rst_counts(whose: str, found: bool, one: Connection) -> None:
    rst = (one.rst(outbound=False), False)
    assert Box(rst="teardown", rst_from=whose).found(*one.handshake(), rst, out(one.data(WORD))) is found


def test_teardown_by_addresses_takes_neighbours_along(one: Connection) -> None:
    neighbour = Connection(client=(one.client[0], 40_001), server=one.server)
    for what, found in (("flow", True), ("addresses", False)):
        box = Box(rst="teardown", teardown=what)
        before = [*one.handshake(), *neighbour.handshake(), out(neighbour.rst())]
        assert box.found(*before, out(one.data(WORD, at=0))) is found


@pytest.mark.parametrize(("habit", "found"), [("new", True), ("keep", False)])
def test_a_second_syn(habit: str, found: bool, one: Connection) -> None:
    first = out(one.send(flags=SYN, seq=far(one), ack=0))
    box = Box(on_syn=habit, window=1_000, reassembly="none")
    assert box.found(first, *one.handshake(), out(one.data(WORD))) is found


@pytest.mark.parametrize(("habit", "found"), [("ignore", True), ("server", False)])
def test_a_syn_ack_of_the_client_in_front(habit: str, found: bool, one: Connection) -> None:
    stray = out(one.send(flags=SYN | ACK, seq=one.isn))
    box = Box(syn_ack_first=habit, initiator="any")
    assert box.found(stray, *one.handshake(), out(one.data(WORD))) is found


@pytest.mark.parametrize("counts", [False, True])
def test_data_on_a_syn(counts: bool, one: Connection) -> None:
    assert Box(syn_data=counts).found(out(one.syn(WORD))) is counts


@pytest.mark.parametrize(("habit", "found"), [("trim", False), ("accept", True)])
def test_data_from_before_the_first_byte(habit: str, found: bool, one: Connection) -> None:
    handshake = one.handshake()
    old = out(one.send(WORD, flags=ACK, seq=(one.isn - 100) % 2**32))
    assert Box(old_data=habit).found(*handshake, old) is found


@pytest.mark.parametrize("moves", [False, True])
def test_a_bare_ack_may_move_the_stream(moves: bool, one: Connection) -> None:
    handshake = one.handshake()
    stray = out(one.send(flags=ACK, seq=far(one)))
    assert Box(ack_moves=moves).found(*handshake, stray, out(one.data(WORD))) is not moves


def test_blocks_are_forgotten_after_a_while(one: Connection) -> None:
    cases: list[tuple[dict[str, Any], int, bool]] = [
        ({}, 299, True),
        ({}, 301, False),
        ({"rst_expiry_s": 10.0}, 11, False),
    ]
    for habits, waits, found in cases:
        box = Box(expiry_s=300.0, **habits)
        rst = [out(one.rst(checksum="bad", at=0))] if habits else []
        assert not box.found(*one.handshake(), *rst)
        box.jump(waits)
        assert box.found(out(one.data(WORD, at=0))) is found


def test_the_table_is_bounded() -> None:
    table = tcb.Table(tcb.TcbSettings(), Random(0), limit=3)  # noqa: S311 - repeatability is the point
    for port in range(10):
        box = Connection(client=("151.240.18.77", 1_000 + port))
        packet = parsed(box.syn())
        assert packet.tcp is not None
        table.follow(packet, packet.tcp, 0.0)
    assert len(table) == 3
    packet = parsed(Connection(client=("151.240.18.77", 9)).syn())
    assert packet.tcp is not None
    table.follow(packet, packet.tcp, 10_000.0)
    assert len(table) == 1


def parsed(raw: bytes) -> Packet:
    found = parse(raw, True)
    assert found is not None
    return found


def test_every_fifth_packet_sets_the_place_anew(one: Connection) -> None:
    syn = out(one.send(flags=SYN, seq=far(one), ack=0))
    handshake = one.handshake()[2:]
    for before, found in ((2, False), (3, True), (4, True)):
        acks = [out(one.ack()) for _ in range(before)]  # with the handshake's own, the data is packet 4, 5, 6
        box = Box(resync_every=5, on_syn="keep", window=1_000, reassembly="none")
        assert box.found(syn, *handshake, *acks, out(one.data(WORD, at=0))) is found


# --- Geneva's model censors, each with the evasion its authors give and one that does not help


def _conversation(one: Connection, name: str) -> list[tuple[bytes, bool]]:
    """A connection with the keyword in it, with one trick in front of the data or of the handshake."""
    if name in ("corrupt syn", "corrupt syn and ack"):
        first = out(one.send(flags=SYN, seq=far(one), ack=0))
        syn, syn_ack, ack = one.handshake()
        stray = [out(one.send(flags=ACK, seq=far(one)))] if name.endswith("ack") else []
        return [first, syn, syn_ack, *([] if stray else [ack]), *stray, out(one.data(WORD, at=0))]
    handshake = one.handshake()
    tricks = {
        "nothing": [],
        "rst": [out(one.rst(ttl=3))],
        "rst, bad checksum": [out(one.rst(checksum="bad"))],
        "rst out of window": [out(one.send(flags=RST, seq=far(one)))],
        "rst and decoy": [out(one.rst(ttl=3)), out(one.send(b"x", flags=ACK, seq=far(one), ttl=3))],
        "rst and ack": [out(one.rst(ttl=3)), out(one.send(flags=ACK, seq=far(one), ttl=3))],
    }
    return [*handshake, *tricks[name], out(one.data(WORD, at=0))]


ZOO = [
    ("geneva-1", "corrupt syn", "rst"),
    ("geneva-2", "corrupt syn", "rst"),
    ("geneva-3", "corrupt syn", "rst"),
    ("geneva-4", "corrupt syn and ack", "corrupt syn"),
    ("geneva-5", "corrupt syn", "rst"),
    ("geneva-6", "rst out of window", "nothing"),
    ("geneva-7", "rst out of window", "corrupt syn"),
    ("geneva-8", "rst, bad checksum", "rst out of window"),
    ("geneva-8b", "rst, bad checksum", "rst out of window"),
    ("geneva-9", "rst and decoy", "rst, bad checksum"),
    ("geneva-10", "rst and decoy", "rst, bad checksum"),
    ("geneva-11", "rst and ack", "corrupt syn"),
]


@pytest.mark.parametrize(("preset", "helps", "does_not"), ZOO)
def test_the_model_censors_of_geneva(preset: str, helps: str, does_not: str, one: Connection) -> None:
    assert Box(tcb=preset).found(*_conversation(one, "nothing"))
    assert not Box(tcb=preset).found(*_conversation(one, helps))
    assert Box(tcb=preset).found(*_conversation(one, does_not))


def test_the_zoo_is_complete_and_unknown_names_are_refused() -> None:
    assert {name for name, _, _ in ZOO} == set(tcb.PRESETS)
    with pytest.raises(ValueError, match="no TCB preset 'geneva-12'"):
        Box(tcb="geneva-12")
    assert not Box(tcb="geneva-10", checksum=True, rst="teardown").found(*_conversation(Connection(), "rst"))
