"""DNS messages are read as they were written, and malformed ones give None."""

from __future__ import annotations

from random import Random

import dns.message
import dns.rdatatype
import dns.rrset
import pytest

from rozaneh.lab import dnsmessage
from rozaneh.lab.dnsmessage import AAAA, TXT, A, read_query, read_response


def wire(name: str, kind: str, *records: tuple[str, str, str]) -> bytes:
    """A response as a real library writes it, names compressed."""
    query = dns.message.make_query(name, kind)
    response = dns.message.make_response(query)
    for owner, record, value in records:
        response.answer.append(dns.rrset.from_text(f"{owner}.", 60, "IN", record, value))
    return response.to_wire()


@pytest.mark.parametrize("kind", [A, AAAA, TXT])
def test_queries(kind: int) -> None:
    query = read_query(dnsmessage.write_query(9, "WWW.Blocked.example", kind))
    assert query is not None
    assert (query.ident, query.kind, query.class_) == (9, kind, 1)
    assert (query.name, query.name_as_sent) == ("www.blocked.example", "WWW.Blocked.example")
    assert query.wire_length == 1 + 3 + 1 + 7 + 1 + 7 + 1


def test_responses_with_aliases_and_compression() -> None:
    message = wire(
        "www.a.example",
        "A",
        ("www.a.example", "CNAME", "cdn.a.example."),
        ("cdn.a.example", "A", "192.0.2.7"),
        ("cdn.a.example", "AAAA", "2001:db8::7"),
        ("cdn.a.example", "TXT", '"x"'),
    )
    response = read_response(message)
    assert response is not None
    assert (response.name, response.code) == ("www.a.example", 0)
    assert response.addresses == ("192.0.2.7", "2001:db8::7")
    assert read_query(message) is None
    assert read_response(dnsmessage.write_query(9, "a.example")) is None


def test_what_is_no_message() -> None:
    good = dnsmessage.write_query(9, "a.example")
    for broken in (
        b"",
        good[:16],
        good[:-1],
        good[:4] + b"\0\2" + good[6:],
        good[:12] + b"\xc0\x0c" + good[14:],
        good[:12] + b"\0\0\1\0\1",
    ):
        assert read_query(broken) is None
    with pytest.raises(ValueError, match="not a DNS response"):
        dnsmessage.read_answers(good)


def test_answers_are_what_a_real_library_reads() -> None:
    query = read_query(dnsmessage.write_query(9, "a.example", AAAA))
    assert query is not None
    made = dns.message.from_wire(dnsmessage.answer(query, ["192.0.2.7", "2001:db8::7"], ttl=77))
    (found,) = made.answer
    assert (found.rdtype, found.ttl, [item.to_text() for item in found]) == (dns.rdatatype.AAAA, 77, ["2001:db8::7"])


def test_scrambling_and_putting_back() -> None:
    message = dnsmessage.write_query(9, "abcdefgh-0123.example")
    scrambled = dnsmessage.scrambled(message, Random(1))  # noqa: S311 - repeatability is the point
    assert scrambled != message
    assert scrambled.lower() == message.lower()
    assert dnsmessage.with_question(scrambled, message[12:]) == message
    other = dnsmessage.write_query(9, "abcdefgh-0124.example")
    assert dnsmessage.with_question(other, message[12:]) == other
    assert dnsmessage.scrambled(b"short", Random(1)) == b"short"  # noqa: S311 - repeatability is the point


def test_mutilated_messages_raise_nothing() -> None:
    rng = Random(2)  # noqa: S311 - repeatability is the point
    good = wire("www.a.example", "A", ("www.a.example", "CNAME", "b.example."), ("b.example", "A", "192.0.2.7"))
    for _ in range(3_000):
        broken = bytearray(good)
        for _ in range(rng.randrange(1, 6)):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        message = bytes(broken[: rng.randrange(len(broken) + 1)])
        read_query(message)
        read_response(message)
        dnsmessage.scrambled(message, rng)
        dnsmessage.with_question(message, good[12:31])
