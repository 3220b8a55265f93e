"""The packet freeze and the byte freeze: what counts, what is spared, where each stops."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from rozaneh.lab import craft
from rozaneh.lab.codec import quicbuild
from rozaneh.lab.packet import packed_address, udp_packet
from rozaneh.lab.records import cut
from tests.lab.censors.boxes import Box, connection
from tests.lab.codec import hellos

NAME = "ozon.example"


def until_frozen(box: Box, one: craft.Connection, *, limit: int = 400) -> int:
    """How many packets pass, data from the client and bare acknowledgements in turn, behind the handshake."""
    box.shake(one)
    for count in range(3, limit):
        passes = box.out(one.data(b"xx")) if count % 2 else box.back(one.ack(outbound=False))
        if not passes:
            return count
    return limit


@pytest.mark.parametrize("v6", [False, True])
@pytest.mark.parametrize("port", [22, 443, 5_555])
def test_packet_26_never_arrives(v6: bool, port: int) -> None:
    box, one = Box("packet_freeze"), connection(v6=v6, port=port)
    assert until_frozen(box, one) == 25
    for raw, outbound in (
        (one.data(b"x"), True),
        (one.ack(outbound=False), False),
        (one.rst(), True),
        (one.fin(), True),
    ):
        outcome = box.send(raw, outbound)
        assert outcome.forward is None
        assert not outcome.injected
        assert outcome.acts[0].why == "25 packets"
    assert until_frozen(box, connection(1, v6=v6, port=port)) == 25  # a new connection, a new budget


@pytest.mark.parametrize("v6", [False, True])
def test_udp_freezes_too_unless_told(v6: bool) -> None:
    ends = [
        packed_address(address)
        for address in (("2a0d:5600:41:7::12", "2a04:4e42:77::20") if v6 else ("151.240.18.77", "185.146.21.20"))
    ]
    out = udp_packet(ends[0], ends[1], 50_000, 4_500, b"x" * 50)
    back = udp_packet(ends[1], ends[0], 4_500, 50_000, b"y" * 500)
    for transports, passed in ((["tcp", "udp"], 25), (["udp"], 25), (["tcp"], 60)):
        box = Box("packet_freeze", transports=transports)
        assert sum(box.out(out) if turn % 3 else box.back(back) for turn in range(60)) == passed
    assert until_frozen(Box("packet_freeze", transports=["udp"]), connection(), limit=60) == 60


@pytest.mark.parametrize(
    ("params", "passed"),
    [
        ({"packets": 10}, 10),
        ({"syn": False}, 27),
        ({"bare_acks": False}, 3 + 46),  # neither the handshake's ACK nor the server's: SYN, SYN+ACK and 23 with data
        ({"syn": False, "bare_acks": False}, 3 + 50),
        ({"direction": "out"}, 3 + 46),
        ({"direction": "in"}, 3 + 49),
    ],
)
def test_what_counts_is_tunable(params: dict[str, Any], passed: int) -> None:
    assert until_frozen(Box("packet_freeze", **params), connection()) == passed


@pytest.mark.parametrize(("frozen", "out", "back"), [("both", False, False), ("out", False, True), ("in", True, False)])
def test_which_direction_stops(frozen: str, out: bool, back: bool) -> None:
    box, one = Box("packet_freeze", frozen=frozen, packets=3), connection()
    box.shake(one)
    assert box.out(one.data(b"x")) is out
    assert box.back(one.data(b"y", outbound=False)) is back


@pytest.mark.parametrize("name", [NAME, f"www.{NAME}"])
def test_listed_names_are_spared(name: str) -> None:
    hello = hellos.chrome(name)
    for pieces in ([hello], [hello[:40], hello[40:]], [cut(hello, 60)]):
        box, one = Box("packet_freeze", names=[NAME]), connection()
        box.shake(one)
        for piece in pieces:
            assert box.out(one.data(piece))
        assert all(box.back(one.data(b"y" * 1_400, outbound=False)) for _ in range(100))


def test_other_names_and_late_ones_are_not() -> None:
    for first in (hellos.chrome("other.example"), hellos.chrome(None), b"\x00" * 40):
        box, one = Box("packet_freeze", names=[NAME]), connection()
        box.shake(one)
        box.out(one.data(first))
        box.out(one.data(hellos.chrome(NAME)))
        assert sum(box.back(one.data(b"y", outbound=False)) for _ in range(100)) == 20


def test_names_in_quic_are_spared() -> None:
    ends = packed_address("151.240.18.77"), packed_address("185.146.21.20")
    for name, passed in ((NAME, 60), ("other.example", 25)):
        box = Box("packet_freeze", names=[NAME])
        hello = quicbuild.client_hello(name, Random(1))  # noqa: S311 - repeatability is the point
        first = quicbuild.initial(quicbuild.padded(quicbuild.crypto(hello), 1_162), dcid=bytes(range(8)))
        payloads = [first] + [b"\x40" + bytes(60)] * 59
        assert sum(box.out(udp_packet(*ends, 50_000, 443, payload)) for payload in payloads) == passed


@pytest.mark.parametrize(
    ("banner", "outbound", "spared", "passed"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", False, ["ssh"], True),
        (b"SSH-2.0-OpenSSH_9.2\r\n", True, ["ssh"], True),
        (b"SSH-2.0-OpenSSH_9.2\r\n", True, [], False),
        (bytes.fromhex("0300002b26e00000000000"), True, ["rdp"], True),
        (bytes.fromhex("0300002b26e00000000000"), True, ["ssh"], False),
        (b"GET / HTTP/1.1\r\n\r\n", True, ["ssh", "rdp"], False),
    ],
)
def test_protocols_are_spared_by_their_first_bytes(
    banner: bytes, outbound: bool, spared: list[str], passed: bool
) -> None:
    box, one = Box("packet_freeze", spared=spared), connection(port=22)
    box.shake(one)
    assert box.send(one.data(banner, outbound=outbound), outbound).forward is not None
    assert all([box.out(one.data(b"x")) for _ in range(60)]) is passed  # noqa: C419 - all are sent


def test_not_every_connection_is_restricted() -> None:
    box = Box("packet_freeze", gates={"share": 0.7, "share_by": "connection"}, seed=5)
    results = [until_frozen(box, connection(number), limit=40) for number in range(200)]
    assert set(results) == {25, 40}
    assert 115 <= results.count(25) <= 165


# --- bytes


def download(box: Box, one: craft.Connection, *, size: int = 1_448, total: int = 100_000) -> int:
    """How many bytes of the server's arrive."""
    box.shake(one)
    box.out(one.data(b"GET / HTTP/1.1\r\n\r\n"))
    arrived = 0
    while arrived < total and box.back(one.data(b"y" * size, outbound=False)):
        arrived += size
        box.out(one.ack())
    return arrived


def test_bytes_stop_somewhere_between_14_and_34_kilobytes() -> None:
    box = Box("byte_freeze")
    stops = [download(box, connection(number, v6=number % 2 == 0), size=100) for number in range(60)]
    assert 14 * 1_024 - 100 <= min(stops) < 17 * 1_024
    assert 31 * 1_024 < max(stops) <= 34 * 1_024
    one = connection()
    assert download(box, one) < 34 * 1_024
    assert not box.out(one.ack())
    assert not box.back(one.rst(outbound=False))


def test_small_packets_do_not_matter_to_the_byte_freeze_nor_uploads_unless_told() -> None:
    assert until_frozen(Box("byte_freeze"), connection()) == 400
    for direction, passed in (("in", 45), ("both", 14), ("out", 14)):  # 14 times 1,448 bytes
        box, one = Box("byte_freeze", direction=direction, kilobytes=[20, 20]), connection()
        box.shake(one)
        segments = [one.data(b"x" * 1_448) for _ in range(45)]
        assert sum(box.out(segment) for segment in segments) == passed


def test_the_byte_freeze_spares_too() -> None:
    box, one = Box("byte_freeze", names=[NAME]), connection()
    box.shake(one)
    box.out(one.data(hellos.chrome(NAME)))
    assert all(box.back(one.data(b"y" * 1_448, outbound=False)) for _ in range(60))
    assert download(Box("byte_freeze", transports=["udp"]), connection()) >= 100_000


def test_headers_count_when_told() -> None:
    plain = download(Box("byte_freeze", kilobytes=[20, 20]), connection(), size=100)
    whole = download(Box("byte_freeze", kilobytes=[20, 20], headers=True), connection(), size=100)
    assert plain == 20_400
    assert whole < plain * 0.7


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("packet_freeze", {"packets": -1}),
        ("packet_freeze", {"spared": ["ftp"]}),
        ("byte_freeze", {"kilobytes": [34, 14]}),
        ("byte_freeze", {"kilobytes": [34]}),
    ],
)
def test_wrong_parameters_are_refused(kind: str, params: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="rule 'X'"):
        Box(kind, **params)
