"""Allow lists on mobile networks: four regimes, five ways to fail; and the shape rule of 2023."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from rozaneh.lab import craft
from rozaneh.lab.codec import quicbuild
from rozaneh.lab.packet import ACK, FIN, ICMP, RST, ip_packet, packed_address
from tests.lab.censors.boxes import Box, connection, read
from tests.lab.codec import hellos

GOOD, BAD = "allowed-shop.example", "garden-photos.example"
LISTS: dict[str, Any] = {
    "names": [GOOD],
    "prefixes": ["185.146.21.20/32", "2a04:4e42:77::14/128"],
    "resolvers": ["8.8.8.8"],
}


def loads(box: Box, name: str | None, *, host: int = 0, v6: bool = False, number: int = 0) -> bool:
    """Whether hello and answer arrive; the handshake must."""
    one = connection(number, host=host, v6=v6)
    box.shake(one)
    return box.out(one.data(hellos.chrome(name))) and box.back(one.data(b"\x16\x03\x03", outbound=False))


@pytest.mark.parametrize("v6", [False, True])
@pytest.mark.parametrize(
    ("state", "both_good", "bad_name", "bad_address", "neither"),
    [
        ("off", True, True, True, True),
        ("names", True, False, True, False),
        ("addresses", True, True, False, False),
        ("both", True, False, False, False),
    ],
)
def test_four_regimes(state: str, both_good: bool, bad_name: bool, bad_address: bool, neither: bool, v6: bool) -> None:
    box = Box("whitelist", state=state, **LISTS)
    assert loads(box, GOOD, v6=v6) is both_good
    assert loads(box, BAD, number=1, v6=v6) is bad_name
    assert loads(box, GOOD, host=5, number=2, v6=v6) is bad_address
    assert loads(box, BAD, host=5, number=3, v6=v6) is neither
    assert loads(box, None, number=4, v6=v6) is bad_name


def test_a_bare_connection_stands_and_its_first_data_is_lost() -> None:
    box, one = Box("whitelist", state="addresses", **LISTS), connection(host=5)
    box.shake(one)
    outcome = box.send(one.data(hellos.chrome(GOOD)))
    assert (outcome.forward, outcome.injected) == (None, [])
    assert outcome.acts[0].why == "an address that is not listed"
    assert not box.back(one.data(b"x", outbound=False))


@pytest.mark.parametrize(("failure", "flags"), [("rst", RST | ACK), ("fin", FIN | ACK)])
def test_failures_that_speak(failure: str, flags: int) -> None:
    box, one = Box("whitelist", state="both", failure=failure, **LISTS), connection()
    box.shake(one)
    hello = one.data(hellos.chrome(BAD))
    sent = read(hello, outbound=True)
    outcome = box.send(hello)
    assert outcome.forward is None
    (answer,) = outcome.injected
    said = read(answer.raw, outbound=False)
    assert answer.to == "in"
    assert said.tcp
    assert sent.tcp
    assert (said.tcp.flags, said.tcp.seq) == (flags, sent.tcp.ack)
    assert said.tcp.ack == sent.tcp.seq + len(sent.payload)


@pytest.mark.parametrize(("failure", "injected"), [("refuse", 1), ("drop_syn", 0)])
def test_failures_of_the_syn(failure: str, injected: int) -> None:
    box, one = Box("whitelist", state="both", failure=failure, **LISTS), connection(host=5)
    outcome = box.send(one.syn())
    assert outcome.forward is None
    assert len(outcome.injected) == injected
    assert Box("whitelist", state="names", failure=failure, **LISTS).out(connection(host=5).syn())


def test_dns_goes_to_listed_resolvers_alone() -> None:
    box = Box("whitelist", state="both", **LISTS)
    for server, passes in (("8.8.8.8", True), ("1.1.1.1", False), ("185.146.21.20", False)):
        raw = craft.datagram(b"q" * 30, server=(server, 53))
        assert box.out(raw) is passes
    plain = connection(port=53)
    assert Box("whitelist", state="addresses", **{**LISTS, "resolvers": []}).out(
        craft.datagram(b"q" * 30, server=plain.server)
    )


def test_icmp_to_what_is_not_listed() -> None:
    for icmp, passes in ((True, False), (False, True)):
        box = Box("whitelist", state="addresses", icmp=icmp, **LISTS)
        for server, listed in (("185.146.21.20", True), ("185.146.21.25", False)):
            echo = ip_packet(packed_address(craft.READER), packed_address(server), ICMP, b"\x08" + bytes(7))
            assert box.out(echo) is (listed or passes)


def test_quic_by_name_or_not_at_all() -> None:
    rng = Random(2)  # noqa: S311 - repeatability is the point
    for mode, name, passes in (
        ("drop", GOOD, False),
        ("names", GOOD, True),
        ("names", BAD, False),
        ("names", None, False),
        ("pass", BAD, True),
    ):
        box = Box("whitelist", state="both", udp=mode, **LISTS)
        message = quicbuild.client_hello(name, rng)
        first = quicbuild.initial(quicbuild.crypto(message), dcid=rng.randbytes(8))
        assert box.out(craft.datagram(first, server=(craft.SITE, 443))) is passes
        assert box.back(craft.datagram(b"\x40" * 80, server=(craft.SITE, 443), outbound=False)) is passes


def test_what_is_neither_tls_nor_quic() -> None:
    for plain, passes in (("drop", False), ("pass", True)):
        box, one = Box("whitelist", state="both", plain=plain, udp="names", **LISTS), connection()
        box.shake(one)
        assert box.out(one.data(b"GET / HTTP/1.1\r\n\r\n")) is passes
        assert box.out(craft.datagram(b"\x01" * 60, server=(craft.SITE, 443))) is passes


def test_exact_names_and_names_in_pieces() -> None:
    box = Box("whitelist", state="names", exact=["www.search.example"])
    assert loads(box, "www.search.example")
    assert not loads(box, "search.example", number=1)
    one, hello = connection(2), hellos.chrome("www.search.example")
    box.shake(one)
    assert all(box.out(one.data(piece)) for piece in (hello[:40], hello[40:90], hello[90:]))


def test_a_bad_name_can_cost_the_destination_a_minute() -> None:
    box = Box("whitelist", state="names", residual_s=60, **LISTS)
    assert not loads(box, BAD)
    box.jump(59)
    assert not box.out(connection(1).syn())
    assert loads(box, GOOD, host=1, number=2)
    box.jump(2)
    assert loads(box, GOOD, number=3)
    one = connection(4)
    box.shake(one)
    assert all(box.out(one.data(piece)) for piece in (hellos.chrome(GOOD), b"\x17\x03\x03", b"x" * 900))


# --- shadowsocks_shape


def shaped(box: Box, sizes: list[int], *, first: bytes = b"", answers: bool = True, number: int = 0) -> bool:
    """Whether the client's packets of these sizes all arrive, with the server's between them."""
    one = connection(number, port=8_388, v6=number % 2 == 1)
    box.shake(one)
    fine = True
    for size in sizes:
        fine &= box.out(one.data((first + b"\xa7" * size)[:size]))
        if answers:
            fine &= box.back(one.data(b"\x5c" * 50, outbound=False))
    return fine


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize(
    ("sizes", "answers", "first", "passes"),
    [
        ([411, 411, 411], True, b"", False),
        ([410, 900, 410, 900, 410], True, b"", True),
        ([900, 60, 60, 900, 60, 1_200], True, b"", False),
        ([900, 900, 900, 900], False, b"", True),
        ([900, 900, 900], True, b"\x16\x03\x01", True),
        ([900, 900, 900], True, b"GET / HTTP/1.1", True),
    ],
)
def test_three_large_packets_with_answers_between(
    sizes: list[int], answers: bool, first: bytes, passes: bool, number: int
) -> None:
    assert shaped(Box("shadowsocks_shape"), sizes, answers=answers, first=first, number=number) is passes


def test_the_shapes_parameters() -> None:
    assert not shaped(Box("shadowsocks_shape", alternating=False), [900] * 3, answers=False)
    assert not shaped(Box("shadowsocks_shape", unrecognised=False), [900] * 3, first=b"\x16\x03\x01")
    assert shaped(Box("shadowsocks_shape", ports=[443]), [900] * 9)
    assert shaped(Box("shadowsocks_shape", within=2), [60, 60, 900, 900, 900])
    box = Box("shadowsocks_shape", residual_s=60)
    assert not shaped(box, [900] * 3)
    assert not box.out(connection(2, port=8_388).syn())
    box.jump(61)
    assert shaped(box, [60], number=4)


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("whitelist", {}),
        ("whitelist", {"state": "w3"}),
        ("whitelist", {"state": "both", "prefixes": ["10.0.0.1/8"]}),
        ("shadowsocks_shape", {"packets": 0}),
    ],
)
def test_wrong_parameters_are_refused(kind: str, params: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="rule 'X'"):
        Box(kind, **params)
