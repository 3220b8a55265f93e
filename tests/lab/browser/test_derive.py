"""What a profile's generators make is derived back into the same generators; what none can make is refused."""

from __future__ import annotations

import random

import pytest
from msgspec.structs import replace

from rozaneh.data import browsers
from rozaneh.data.browsers import schema
from rozaneh.lab.browser.derive import LEAST, DeriveError, derive, outer_hello, records, shares
from tests.lab.browser.generator import flight, flights, vector

RNG = random.Random(3)  # noqa: S311 - repeatability is the point
CHROMIUM = browsers.load("chromium").hello
OTHER = schema.Hello(
    record_version=0x0301,
    version=0x0303,
    session_id=0,
    compression="0100",
    grease=(schema.Grease(name="cipher1"), schema.Grease(name="cipher2", unlike="cipher1")),
    ciphers=(4865, "cipher1", "cipher2"),
    extensions=(
        schema.Fixed(type=18, shuffle=True),
        schema.Fixed(type=23, shuffle=True),
        schema.ServerName(type=0),
        schema.Numbers(type=10, prefix=2, values=(29, 23)),
        schema.Choice(
            type=16, bodies=(schema.Body(body="0003026832", weight=1), schema.Body(body="0003026833", weight=1))
        ),
        schema.Fixed(type=51764, body="ab" * 200),
        schema.Fixed(type=5, shuffle=True, body="0100000000"),
        schema.Fixed(type=35, shuffle=True),
        schema.Padding(type=21, above=255, to=517),
    ),
    records=(100, 50),
)


@pytest.mark.parametrize("hello", [CHROMIUM, OTHER], ids=["chromium", "other"])
def test_generators_come_back(hello: schema.Hello) -> None:
    assert derive(flights(hello, 1200, seed=1)) == hello


def test_a_share_of_the_hellos_and_unequal_weights_come_back_roughly() -> None:
    sometimes = schema.Fixed(type=18, share=0.25)
    uneven = schema.Choice(type=16, bodies=(schema.Body(body="00", weight=3), schema.Body(body="01", weight=1)))
    name = schema.ServerName(type=0)
    found = derive(
        flights(replace(OTHER, records=(), grease=(), ciphers=(4865,), extensions=(name, sometimes, uneven)), 1000)
    )
    assert [one.type for one in found.extensions] == [0, 18, 16]
    rare, choice = found.extensions[1:]
    assert rare.share is not None
    assert 0.2 < rare.share < 0.3
    assert isinstance(choice, schema.Choice)
    assert 2.4 < choice.bodies[0].weight / choice.bodies[1].weight < 3.8


def test_one_key_in_two_shares_is_seen() -> None:
    extensions = tuple(
        replace(one, one_x25519=True) if isinstance(one, schema.KeyShare) else one for one in CHROMIUM.extensions
    )
    hello = replace(CHROMIUM, extensions=extensions)
    assert derive(flights(hello, 1200)) == hello


def test_too_few_hellos_are_refused() -> None:
    with pytest.raises(DeriveError, match="too few"):
        derive(flights(CHROMIUM, LEAST - 1))


def test_what_no_generator_makes_is_refused() -> None:
    made = flights(CHROMIUM, LEAST)
    for strange, why in (
        ([*made[:-1], made[-1][:-1]], "no whole ClientHello"),
        ([*made[:-1], flight(replace(CHROMIUM, session_id=0), "x.example", RNG)], "session id's length varies"),
        ([*made[:-1], flight(replace(CHROMIUM, ciphers=(4865,)), "x.example", RNG)], "cipher"),
        ([_strange(index) for index in range(LEAST)], "extension 99 varies"),
    ):
        with pytest.raises(DeriveError, match=why):
            derive(strange)


def _strange(index: int) -> bytes:
    extensions = (schema.ServerName(type=0), schema.Fixed(type=99, body=f"{index:04x}"))
    return flight(replace(OTHER, extensions=extensions), "x.example", RNG)


def test_readers_refuse_what_is_malformed() -> None:
    share = b"\x00\x1d" + vector(2, b"abc")
    assert shares(vector(2, share)) == ((0x1D, b"abc"),)
    assert shares(vector(2, share)[:-1]) is None
    assert shares(vector(2, share[:-1])) is None
    assert shares(vector(2, b"\0")) is None
    outer = b"\0\0\1\0\2\7" + vector(2, b"key") + vector(2, b"payload")
    assert outer_hello(outer) == (1, 2, 7, 3, 7)
    assert outer_hello(outer[:-1]) is None
    assert outer_hello(b"\1" + outer[1:]) is None
    assert outer_hello(b"") is None
    assert records(b"\x16\3\1\0\2ab\x16\3\1\0\1c") == (2, 1)
