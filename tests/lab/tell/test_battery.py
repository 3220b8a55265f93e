"""The probes themselves: as many as promised, of every family, each one of its kind and the same for the same seed."""

from __future__ import annotations

import itertools
from collections import Counter
from random import Random

import pytest

from rozaneh.lab.tell import battery, hellos, requests, stolen
from rozaneh.lab.tell.talk import Inside, Plain

HOST = "garden-photos.example"
HELLO = hellos.client_hello(HOST)


def test_there_are_more_than_twelve_hundred_of_every_family() -> None:
    found = battery.battery(HELLO, HOST)
    assert len(found) >= 1_200
    assert set(Counter(probe.family for probe in found)) == set(battery.FAMILIES)
    kinds = Counter(type(probe.talk()) for probe in found)
    assert kinds[Plain] > 600
    assert kinds[Inside] > 250


def test_a_part_of_them_has_every_family_too() -> None:
    found = battery.battery(HELLO, HOST, every=9)
    assert {probe.family for probe in found} == set(battery.FAMILIES)
    assert len(found) < 200


def test_the_same_seed_sends_the_same_bytes_and_another_sends_others() -> None:
    def sent(seed: int) -> dict[str, bytes]:
        said = {}
        for probe in battery.battery(HELLO, HOST, seed, every=5):
            talk = probe.talk()
            if type(talk) is Plain:
                talk.opened(0.0)
                said[probe.name] = talk.out()
        return said

    one, again, other = sent(1), sent(1), sent(2)
    assert one == again
    assert one["junk: 1"] != other["junk: 1"] or one["junk: 12"] != other.get("junk: 12")


def test_a_hello_comes_apart_into_fields_without_a_gap() -> None:
    found = hellos.fields(HELLO)
    assert found[0].start == 0
    assert found[-1].end == len(HELLO)
    assert all(one.end == two.start for one, two in itertools.pairwise(found))
    assert hellos.written(*hellos.parts(HELLO)) == HELLO


def test_every_bent_hello_differs_and_every_byte_of_the_session_id_is_bent() -> None:
    found = list(hellos.bent(HELLO, Random(3)))  # noqa: S311 - repeatability is the point
    assert all(changed != HELLO for _, changed in found)
    assert len({name for name, _ in found}) == len(found)
    assert sum(name.startswith("session id byte ") for name, _ in found) == 32
    assert all(0 < length < len(HELLO) for length in hellos.lengths(HELLO))


def test_what_is_no_hello_is_refused() -> None:
    with pytest.raises(ValueError, match="not one whole ClientHello"):
        hellos.fields(b"\x16\x03\x01\x00\x05hello")


def test_a_stolen_flight_is_used_once_a_server() -> None:
    pool = stolen.Stolen(2)
    probes = stolen.battery(pool)
    assert len(probes) > 100
    pool.fill([b"one"])
    for _ in range(2):
        talk = probes[0].talk()
        talk.opened(0.0)
        assert talk.out() == b"one"
    with pytest.raises(LookupError):
        probes[1].talk()


def test_header_blocks_are_what_hpack_says() -> None:
    # RFC 7541 C.2.2 has this field, there with an indexed name; here the name is written out.
    assert requests.block([("custom-key", "custom-header")]) == b"\x00\x0acustom-key\x0dcustom-header"
    long = requests.block([("x", "y" * 300)])
    assert long[:3] == b"\x00\x01x"
    assert long[3] == 127
    assert long[4:6] == bytes([(300 - 127) % 128 + 128, (300 - 127) // 128])
    assert len(long) == 6 + 300
