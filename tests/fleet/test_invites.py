"""Invites: golden links, one text an invite, and nothing hostile gets through."""

from __future__ import annotations

import json
import random
import string
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rozaneh.core.addresses import Endpoint, is_global
from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.redact import Sensitive
from rozaneh.core.settings import MAX_EDGE_HOST
from rozaneh.fleet.invites import MAX_LINK, Invite, decode, encode, needs_local_mark
from rozaneh.ways.grammar import parse
from tests.fleet import hostile
from tests.fleet.builders import (
    KEY,
    MLDSA,
    SECRET,
    invite,
    link,
    raw_body,
    raw_reality,
    raw_source,
    raw_way,
    reality,
    way,
)

DATA = Path(__file__).parents[1] / "data"
REFUSALS = {FaultKind.INTEGRITY, FaultKind.UNSUPPORTED, FaultKind.POLICY_DENIED}

labels = st.from_regex(r"[a-z]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
hosts = st.lists(labels, min_size=1, max_size=2).map(".".join)
endpoints = st.builds(
    Endpoint,
    st.ip_addresses().filter(
        lambda a: (
            not (a.is_multicast or a.is_unspecified or getattr(a, "ipv4_mapped", None) or str(a) == "255.255.255.255")
        )
    ),
    st.integers(1, 65535),
)
pinned = st.builds(lambda e, h, p: way(str(e), h, p), endpoints, hosts, st.none() | st.binary(min_size=32, max_size=32))
ways = pinned | st.builds(lambda e, h: reality(str(e), h), endpoints, hosts)


@st.composite
def invites(draw: st.DrawFn) -> Invite:
    chosen = tuple(draw(st.lists(ways, min_size=1, max_size=2, unique=True)))
    compartments = tuple(
        draw(st.lists(st.from_regex(r"[a-z0-9][a-z0-9-]{0,7}", fullmatch=True), min_size=1, max_size=2, unique=True))
    )
    secret = draw(st.binary(min_size=16, max_size=16))
    return Invite(
        draw(st.binary(min_size=32, max_size=32)), Sensitive(secret), compartments, chosen, needs_local_mark(chosen)
    )


@given(invites())
def test_round_trip_and_one_text(one: Invite) -> None:
    text = encode(one)
    assert len(text) <= MAX_LINK
    assert decode(text) == one
    assert encode(decode(text)) == text
    assert decode(f" \t{text}\r\n") == one


def test_golden() -> None:
    for row in json.loads((DATA / "invites.json").read_text()):
        one = decode(row["link"])
        assert one.issuer.hex() == row["issuer"]
        assert one.secret.reveal().hex() == row["secret"]
        assert list(one.compartments) == row["compartments"]
        assert [str(each) for each in one.ways] == row["ways"]
        assert one.local is row["local"]
        assert one.words() == row["words"]
        assert encode(one) == row["link"]


def test_builders_agree_with_the_encoder() -> None:
    assert link(raw_body()) == encode(invite())
    two = invite(way(), way("[2606:4700::1]:8443", "b", None))
    raw = raw_way(
        family=6, address=bytes.fromhex("2606470000000000") + bytes(7) + b"\x01", port=8443, name=b"b", pinned=0
    )
    assert link(raw_body(ways=[raw_way(), raw])) == encode(two)
    assert link(raw_body(ways=[raw_reality(), raw_way()])) == encode(invite(reality(), way()))


def test_two_ipv6_ways_with_names_fit() -> None:
    name = "a" * 15 + ".com"
    assert len(encode(invite(reality("[2606:4700::1]:443", name), way("[2606:4700::2]:443", name)))) <= MAX_LINK
    name = "a" * 19 + ".com"
    assert len(encode(invite(way("[2606:4700::1]:443", name), way("[2606:4700::2]:443", name)))) <= MAX_LINK


def test_one_ipv6_way_with_the_longest_host_fits() -> None:
    name = "a" * 60 + "." + "b" * (MAX_EDGE_HOST - 61)
    assert len(name) == MAX_EDGE_HOST
    assert len(encode(invite(way("[2606:4700::1]:65535", name)))) <= MAX_LINK
    assert len(encode(invite(reality("[2606:4700::1]:65535", name)))) == MAX_LINK


def test_text_shows_no_secret_and_no_edge() -> None:
    shown = repr(invite())
    assert SECRET.hex() not in shown
    assert repr(SECRET) not in shown
    assert "93.184" not in shown
    assert "news.example" not in shown


HOSTILE = hostile.rows()


def test_the_hostile_table_is_large_and_written_down() -> None:
    assert len(HOSTILE) >= 300
    assert len({row.name for row in HOSTILE}) == len(HOSTILE)
    assert [hostile.Row(**row) for row in json.loads(hostile.FILE.read_text())] == HOSTILE


def test_every_hostile_invite_is_refused_quickly() -> None:
    accepted, slow = [], []
    for row in HOSTILE:
        text = row.full()
        begin = time.perf_counter()
        try:
            decode(text)
            accepted.append(row.name)
        except Fault as fault:
            assert fault.kind in REFUSALS, row.name  # noqa: PT017
            assert len(str(fault)) < 300, row.name  # noqa: PT017
        if time.perf_counter() - begin > 0.5:
            slow.append(row.name)
    assert (accepted, slow) == ([], [])


def test_a_refusal_names_the_reason_a_person_needs() -> None:
    def kind(text: str) -> FaultKind:
        with pytest.raises(Fault) as caught:
            decode(text)
        return caught.value.kind

    assert kind(link(raw_body(version=2))) is FaultKind.UNSUPPORTED
    assert kind(link(raw_body(ways=[raw_way(address=bytes([192, 168, 1, 1]))]))) is FaultKind.POLICY_DENIED
    assert kind(encode(invite())[:-1]) is FaultKind.INTEGRITY


def test_the_local_mark_lets_a_private_edge_in_and_nothing_more() -> None:
    private = raw_way(address=bytes([192, 168, 1, 1]))
    assert decode(link(raw_body(flags=1, ways=[private]))).local
    mixed = decode(link(raw_body(flags=1, ways=[private, raw_way()])))
    assert [is_global(Endpoint.parse(each.last.get("address") or "").address) for each in mixed.ways] == [False, True]


def test_what_cannot_be_encoded() -> None:
    def refused(one: Invite) -> None:
        with pytest.raises(Fault) as caught:
            encode(one)
        assert caught.value.kind is FaultKind.CONFIG

    refused(Invite(KEY.public()[:-1], Sensitive(SECRET), ("default",), (way(),)))
    refused(Invite(KEY.public(), Sensitive(SECRET[:-1]), ("default",), (way(),)))
    refused(Invite(KEY.public(), Sensitive(SECRET), (), (way(),)))
    refused(Invite(KEY.public(), Sensitive(SECRET), ("default",), ()))
    refused(invite(way(), local=True))
    refused(invite(way("127.0.0.1:443")))
    refused(invite(reality(mldsa=MLDSA)))
    refused(invite(parse(str(reality())[:-1] + ",carriers=2)")))
    refused(invite(parse(str(way())[:-1] + ",look=firefox)")))
    refused(invite(parse("vless" + str(reality())[2:])))
    refused(invite(*[way(name="a" * 60 + "." + "b" * 60 + f".c{i}") for i in range(2)]))


def test_a_mutated_corpus_is_refused_or_read_and_never_crashes() -> None:
    """20,000 deterministic mutations of valid links and of every corpus file."""
    rng = random.Random(20261122)  # noqa: S311
    seeds = [encode(invite()), encode(invite(reality())), encode(invite(way("[2606:4700::1]:1", "a", None)))]
    seeds += [path.read_text(encoding="utf-8") for path in sorted((DATA / "corpus" / "invite").iterdir())]
    alphabet = string.ascii_letters + string.digits + "-_=:+/ \r\n\x00é"
    read = 0
    for _ in range(20_000):
        text = list(rng.choice(seeds))
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(text) + 1)
            action = rng.randrange(4)
            if action == 0:
                text.insert(at, rng.choice(alphabet))
            elif action == 1 and text:
                del text[at - 1]
            elif action == 2 and text:
                text[at - 1] = rng.choice(alphabet)
            else:
                text = text[:at] + text[rng.randrange(len(text) + 1) :]
        try:
            one = decode("".join(text))
        except Fault as fault:
            assert fault.kind in REFUSALS  # noqa: PT017
        else:
            read += 1
            assert encode(one) == "".join(text).strip(" \t\r\n")
    assert read < 20_000


def test_a_mutated_body_with_a_right_checksum_never_crashes() -> None:
    rng = random.Random(7)  # noqa: S311
    for _ in range(20_000):
        body = bytearray(raw_body(sources=[raw_source()], ways=[raw_way(), raw_reality(port=1)]))
        for _ in range(rng.randint(1, 3)):
            body[rng.randrange(len(body))] = rng.randrange(256)
        if rng.random() < 0.3:
            del body[rng.randrange(len(body)) :]
        text = link(bytes(body))
        try:
            assert encode(decode(text)) == text
        except Fault as fault:
            assert fault.kind in REFUSALS  # noqa: PT017
