"""Rosters: golden bytes, and a table of everything that must not be believed."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.keys import SigningKey
from rozaneh.core.signed import seal
from rozaneh.fleet import roster as r
from rozaneh.ways.grammar import Way
from tests.fleet.builders import KEY, NOW, OTHER_KEY, way

DATA = Path(__file__).parents[1] / "data"
WAYS = (way(), way("[2606:4700::1]:8443", "b.example", None))
DAY = 86_400
REFUSALS = {FaultKind.INTEGRITY, FaultKind.UNSUPPORTED, FaultKind.POLICY_DENIED, FaultKind.CLOCK_WRONG}


def issue(sequence: int = 7, now: int = NOW, ways: tuple[Way, ...] = WAYS, compartment: str = "default") -> bytes:
    return r.issue(KEY, compartment, sequence, now, ways)


def check(document: bytes, now: int = NOW, highest: r.Highest | None = None, **more: Any) -> r.Verified:
    return r.verify(document, KEY.public(), more.pop("compartment", "default"), now, highest, **more)


def refused(kind: FaultKind, *args: Any, **more: Any) -> None:
    with pytest.raises(Fault) as caught:
        check(*args, **more)
    assert caught.value.kind is kind


def signed(payload: bytes | dict[str, Any]) -> bytes:
    """Whatever payload under the issuer's real signature."""
    if isinstance(payload, dict):
        payload = msgspec.json.encode(payload)
    return seal(KEY, r.LABEL, payload)


def fields(**changes: Any) -> dict[str, Any]:
    """A roster's fields in canonical order."""
    plain = {
        "schema": r.SCHEMA,
        "compartment": "default",
        "sequence": 7,
        "not_before": NOW,
        "expires": NOW + r.LIFETIME,
        "ways": [str(each) for each in WAYS],
    }
    return plain | changes


def test_golden() -> None:
    for row in json.loads((DATA / "rosters.json").read_text()):
        key = SigningKey.from_seed(bytes.fromhex(row["seed"]))
        document = bytes.fromhex(row["document"])
        one = r.read(document, key.public())
        assert (one.compartment, one.sequence) == (row["compartment"], row["sequence"])
        assert (one.not_before, one.expires) == (row["not_before"], row["expires"])
        assert list(one.ways) == row["ways"]
        assert r.issue(key, one.compartment, one.sequence, one.not_before, one.parsed_ways()) == document


@given(
    st.integers(1, 2**53 - 1),
    st.integers(0, 2**40),
    st.from_regex(r"[a-z0-9][a-z0-9-]{0,31}", fullmatch=True),
    st.lists(st.integers(1, 65535), min_size=1, max_size=64, unique=True),
)
def test_round_trip(sequence: int, now: int, compartment: str, ports: list[int]) -> None:
    ways = tuple(way(f"93.184.215.14:{port}") for port in ports)
    document = issue(sequence, now, ways, compartment)
    verified = check(document, now, compartment=compartment)
    assert verified.ways == ways
    assert verified.standing is r.Standing.CURRENT
    assert verified.highest.sequence == sequence
    assert verified.document == document


def test_the_handmade_payload_is_what_issue_makes() -> None:
    assert signed(fields()) == issue()


@pytest.mark.parametrize(
    ("now", "standing"),
    [
        (NOW, r.Standing.CURRENT),
        (NOW - DAY, r.Standing.CURRENT),
        (NOW + 8 * DAY, r.Standing.CURRENT),
        (NOW + 8 * DAY + 1, r.Standing.EXPIRED),
        (NOW + 4000 * DAY, r.Standing.EXPIRED),
    ],
)
def test_time(now: int, standing: r.Standing) -> None:
    assert check(issue(), now).standing is standing


def test_not_yet_valid_is_refused() -> None:
    refused(FaultKind.CLOCK_WRONG, issue(), NOW - DAY - 1)


def test_never_back() -> None:
    seven = check(issue(7)).highest
    assert check(issue(7), highest=seven).highest == seven
    assert check(issue(8), highest=seven).highest.sequence == 8
    refused(FaultKind.INTEGRITY, issue(6), highest=seven)
    refused(FaultKind.INTEGRITY, issue(7, now=NOW + 1), highest=seven)
    refused(FaultKind.INTEGRITY, issue(7, ways=WAYS[:1]), highest=seven)


def test_rollback_is_refused_before_time_is_judged() -> None:
    refused(FaultKind.INTEGRITY, issue(6), NOW + 4000 * DAY, check(issue(7)).highest)


def test_another_issuer_compartment_or_label() -> None:
    refused(FaultKind.INTEGRITY, r.issue(OTHER_KEY, "default", 7, NOW, WAYS))
    refused(FaultKind.INTEGRITY, issue(compartment="other"))
    payload = msgspec.json.encode(fields())
    refused(FaultKind.INTEGRITY, seal(KEY, "rozaneh roster v2", payload))
    refused(FaultKind.INTEGRITY, payload)


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": "rozaneh.roster/2"},
        {"schema": ""},
        {"compartment": "../x"},
        {"compartment": ""},
        {"sequence": 0},
        {"sequence": -1},
        {"sequence": 2**53},
        {"sequence": 7.0},
        {"sequence": "7"},
        {"sequence": True},
        {"sequence": None},
        {"not_before": -1},
        {"not_before": NOW + r.LIFETIME},
        {"expires": NOW},
        {"expires": 2**53},
        {"ways": []},
        {"ways": [str(WAYS[0])] * 2},
        {"ways": [str(way(f"1.1.1.1:{i}")) for i in range(1, 66)]},
        {"ways": "h2+tls()"},
        {"ways": ["h2+tls(name=news.example,address=93.184.215.14:443)"]},
        {"ways": [" " + str(WAYS[0])]},
        {"ways": ["h2+tls(address=93.184.215.14:443,name=a,user=u,password=p)"]},
        {"ways": ["socks5(address=93.184.215.14:443)"]},
        {"ways": ["h2+tls(address=news.example:443,name=a)"]},
        {"ways": [""]},
        {"exec": "/bin/sh"},
    ],
)
def test_signed_nonsense_is_refused(changes: dict[str, Any]) -> None:
    refused(FaultKind.INTEGRITY, signed(fields(**changes)))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"{",
        b"\xff",
        b"[" * 100_000,
        msgspec.json.encode(fields()) + b" ",
        b" " + msgspec.json.encode(fields()),
        msgspec.json.encode(fields()).replace(b'"sequence":7', b'"sequence":7,"sequence":7'),
        msgspec.json.encode(fields()).replace(b'"sequence":7', b'"sequence": 7'),
        msgspec.json.encode(fields()).replace(b'"sequence":7', b'"sequence":7e0'),
        msgspec.json.encode(fields()).replace(b"default", b"d\\u0065fault"),
        msgspec.json.encode(dict(reversed(fields().items()))),
    ],
)
def test_what_is_not_canonical_is_refused(payload: bytes) -> None:
    refused(FaultKind.INTEGRITY, signed(payload))


def test_unknown_transports_are_left_out_and_alone_are_unsupported() -> None:
    assert check(signed(fields(ways=["quic(address=1.1.1.1:443)", str(WAYS[0])]))).ways == WAYS[:1]
    refused(FaultKind.UNSUPPORTED, signed(fields(ways=["quic(address=1.1.1.1:443)"])))


def test_no_way_into_a_private_network_without_the_mark() -> None:
    private = issue(ways=(way(), way("192.168.1.1:443")))
    refused(FaultKind.POLICY_DENIED, private)
    assert len(check(private, local=True).ways) == 2


def test_text_shows_no_edge() -> None:
    verified = check(issue())
    for shown in (repr(verified), repr(verified.roster)):
        assert "93.184" not in shown
        assert "news.example" not in shown


def test_every_single_bit_flip_is_refused() -> None:
    document = issue(ways=WAYS[:1])
    for bit in range(len(document) * 8):
        flipped = bytearray(document)
        flipped[bit // 8] ^= 1 << (bit % 8)
        with pytest.raises(Fault) as caught:
            check(bytes(flipped))
        assert caught.value.kind is FaultKind.INTEGRITY


def test_truncated_extended_and_huge_are_refused() -> None:
    document = issue()
    for length in range(len(document)):
        refused(FaultKind.INTEGRITY, document[:length])
    refused(FaultKind.INTEGRITY, document + b"\x00")
    refused(FaultKind.INTEGRITY, document + bytes(r.MAX_BYTES))


def test_issue_refuses_what_cannot_be_shared() -> None:
    for ways in ((), tuple(way(f"1.1.1.1:{i}") for i in range(1, 66))):
        with pytest.raises(Fault) as caught:
            issue(ways=ways)
        assert caught.value.kind is FaultKind.CONFIG


def test_a_mutated_corpus_under_the_issuers_own_signature_never_crashes() -> None:
    """20,000 deterministic mutations: a mistake of the issuer must not become a crash of the reader."""
    rng = random.Random(20261122)  # noqa: S311
    seeds = [msgspec.json.encode(fields())] + [p.read_bytes() for p in sorted((DATA / "corpus" / "roster").iterdir())]
    for _ in range(20_000):
        payload = bytearray(rng.choice(seeds))
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(payload) + 1)
            action = rng.randrange(3)
            if action == 0:
                payload[at:at] = bytes([rng.randrange(256)])
            elif action == 1:
                del payload[at : at + rng.randint(1, 8)]
            else:
                payload[at : at + 1] = bytes([rng.choice(b'{}[]",:0129.eE-\\u\x00\xff')])
        try:
            verified = check(signed(bytes(payload)), local=True)
        except Fault as fault:
            assert fault.kind in REFUSALS  # noqa: PT017
        else:
            assert msgspec.json.encode(verified.roster) == bytes(payload)
