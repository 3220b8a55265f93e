"""Rules about DNS: who is answered with what, what a path lets through, what a resolver's answers permit."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from rozaneh.lab import craft, dnsmessage
from rozaneh.lab.packet import ACK, RST, UDP, parse, transport_checksum
from rozaneh.lab.verify.dns import CHINA, IRAN
from tests.lab.censors.bench import Bench, injected, mutilated

A, AAAA, TXT = dnsmessage.A, dnsmessage.AAAA, dnsmessage.TXT
ONE = {"names": ["blocked.example"], "injectors": [{"ipv4": ["10.10.34.36"], "ipv6": ["d0::11"]}]}


def query(name: str, kind: int = A, **how: Any) -> bytes:
    return craft.datagram(dnsmessage.write_query(7, name, kind), **how)


def addresses(answer: Any) -> tuple[str, ...]:
    response = dnsmessage.read_response(answer.payload)
    assert response is not None
    return response.addresses


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("dns_inject", {}),
        ("dns_inject", {"injectors": []}),
        ("dns_inject", {"injectors": [{"share": -1}]}),
        ("dns_inject", {"injectors": [{"ipv4": ["d0::11"]}]}),
        ("dns_inject", {"injectors": [{"ipv4": ["10.10.34"]}]}),
        ("dns_inject", {"injectors": [{"ip_ttl": 0}]}),
        ("dns_inject", {"injectors": [{"ip_ttl": "mirrored"}]}),
        ("dns_inject", {"injectors": [{"pool": 9, "pool_prefix": "10.0.0.0/30"}]}),
        ("dns_inject", {"injectors": [{"record_ttl": [9, 1]}]}),
        ("dns_inject", {**ONE, "static": {"a.example": ["nothing"]}}),
        ("dns_tcp", {"addresses": []}),
        ("dns_tcp", {"addresses": ["d0::11"]}),
        ("dns_tcp", {"shares": [1, 2]}),
        ("dns_path", {"scramble": 2}),
        ("dns_path", {"zone_burst": 0}),
        ("dns_path", {"resolvers": ["10.0.0.1/8"]}),
        ("dns_path", {"name_counted": "letters"}),
        ("dns_correlation", {"when": "later"}),
    ],
)
def test_wrong_parameters_are_refused(kind: str, params: dict[str, Any]) -> None:
    with pytest.raises((ValueError, OSError, msgspec.ValidationError)):
        Bench(kind, **params)


# --- dns_inject


@pytest.mark.parametrize("v6", [False, True])
@pytest.mark.parametrize(("kind", "expected"), [(A, ("10.10.34.36",)), (AAAA, ("d0::11",)), (TXT, ())])
def test_an_answer_in_the_resolvers_name(kind: int, expected: tuple[str, ...], v6: bool) -> None:
    raw = query("www.blocked.example", kind, v6=v6)
    outcome = Bench("dns_inject", **ONE).send(raw)
    assert outcome.forward is None
    (answer,) = injected(outcome)
    asked = parse(raw, True)
    assert asked
    assert answer.udp
    assert (answer.ip.src, answer.ip.dst) == (asked.ip.dst, asked.ip.src)
    assert (answer.udp.sport, answer.udp.dport) == (53, 50_000)
    assert addresses(answer) == expected
    assert {act.why for act in outcome.acts} == {"name www.blocked.example"}


def test_udp_checksums_of_answers_are_right() -> None:
    for v6 in (False, True):
        (answer,) = injected(Bench("dns_inject", **ONE).send(query("blocked.example", v6=v6)))
        body = answer.raw[answer.ip.transport : answer.ip.end]
        zeroed = body[:6] + b"\0\0" + body[8:]
        assert transport_checksum(answer.ip.src_bytes, answer.ip.dst_bytes, UDP, zeroed) == int.from_bytes(
            body[6:8], "big"
        )


def test_names_exactly_by_part_and_by_whole_countries() -> None:
    bench = Bench(
        "dns_inject", names=["il"], exact=["only.example"], substrings=["wpad"], injectors=[{"ipv4": ["1.2.3.4"]}]
    )
    hits = ["a.il", "il", "only.example", "my-wpad.test", "WPAD.example"]
    for name in [*hits, "www.only.example", "ail", "fine.example"]:
        assert bool(bench.send(query(name)).injected) is (name in hits), name


def test_static_answers_and_mixed_case() -> None:
    bench = Bench("dns_inject", **{**ONE, "static": {"www.google.com": ["216.239.38.120"]}, "case_sensitive": True})
    (answer,) = injected(bench.send(query("www.google.com")))
    assert addresses(answer) == ("216.239.38.120",)
    assert bench.passes(query("bLocked.example"))
    assert not bench.passes(query("blocked.example"))


def test_only_queries_that_leave_unless_told() -> None:
    inward = craft.datagram(
        dnsmessage.write_query(7, "blocked.example"),
        client=(craft.READER, 53),
        server=(craft.SITE, 999),
        outbound=False,
    )
    assert Bench("dns_inject", **ONE).passes(inward, False)
    (answer,) = injected(Bench("dns_inject", inbound=True, **ONE).send(inward, False), "out")
    assert answer.ip.dst == craft.SITE
    bench = Bench("dns_inject", **ONE)
    assert bench.passes(query("blocked.example", server=(craft.SITE, 5_353)))
    assert bench.passes(craft.datagram(b"\xff" * 40))
    assert bench.passes(
        craft.datagram(dnsmessage.answer(dnsmessage.Query(1, 0, "x", 1, 1, b"\1x\0\0\1\0\1"), []), outbound=False),
        False,
    )


def test_on_the_path_the_query_goes_on_and_both_lists_answer() -> None:
    bench = Bench("dns_inject", on_path=True, **{**CHINA, "names": ["blocked.example", "first.example"]})
    assert len(bench.send(query("first.example")).injected) == 3
    outcome = bench.send(query("blocked.example"))
    assert outcome.forward is not None
    assert len(outcome.injected) == 2


def test_most_answers_come_from_the_common_part_of_the_pool() -> None:
    injector = {"pool": 1_000, "pool_common": 10, "pool_prefix": "198.18.0.0/16"}
    bench = Bench("dns_inject", names=["a.example"], injectors=[injector])
    seen = [addresses(injected(bench.send(query("a.example")))[0])[0] for _ in range(2_000)]
    common = {address for address in seen if seen.count(address) > 50}
    assert len(common) == 10
    assert 0 < sum(address not in common for address in seen) < 60
    assert all(address.startswith("198.18.") for address in seen)


def test_the_same_seed_gives_the_same_answers() -> None:
    def answers(seed: int) -> list[bytes]:
        bench = Bench("dns_inject", seed=seed, on_path=True, **CHINA)
        return [each.raw for _ in range(20) for each in bench.send(query("blocked.example")).injected]

    assert answers(4) == answers(4) != answers(5)


def test_delays_lie_where_they_should() -> None:
    bench = Bench("dns_inject", names=["a.example"], injectors=[{"ipv4": ["1.1.1.1"], "delay_ms": [2, 4]}])
    delays = [bench.send(query("a.example")).injected[0].delay for _ in range(50)]
    assert 0.002 <= min(delays) < max(delays) <= 0.004


# --- dns_tcp


@pytest.mark.parametrize("v6", [False, True])
def test_dns_over_tcp_gets_the_malformed_answer_and_then_silence(v6: bool) -> None:
    bench = Bench("dns_tcp", names=["blocked.example"], addresses=["10.10.34.36"])
    connection = craft.Connection(server=(craft.SITE6 if v6 else craft.SITE, 53), v6=v6)
    assert bench.opens(connection)
    message = dnsmessage.write_query(7, "blocked.example")
    raw = connection.data(len(message).to_bytes(2, "big") + message)
    asked = parse(raw, True)
    outcome = bench.send(raw)
    assert outcome.forward is None
    (answer,) = injected(outcome)
    assert asked
    assert asked.tcp
    assert answer.tcp
    assert (answer.tcp.seq, answer.tcp.ack) == (asked.tcp.ack, asked.tcp.seq + len(asked.payload))
    assert answer.payload[2:4] == b"\0\x07"
    assert not bench.passes(raw)
    assert bench.passes(connection.data(b"x", outbound=False), False)


def test_dns_over_tcp_lets_other_names_ports_and_half_queries_pass() -> None:
    bench = Bench("dns_tcp", names=["blocked.example"])
    fine, listed = (dnsmessage.write_query(7, name) for name in ("fine.example", "blocked.example"))
    first = craft.Connection(server=(craft.SITE, 53))
    assert bench.opens(first)
    assert bench.passes(first.data(len(fine).to_bytes(2, "big") + fine))
    other = craft.Connection(server=(craft.SITE, 5_353))
    assert bench.opens(other)
    assert bench.passes(other.data(len(listed).to_bytes(2, "big") + listed))
    unseen = craft.Connection(("151.240.18.99", 4_000), (craft.SITE, 53))
    assert bench.passes(unseen.data(len(listed).to_bytes(2, "big") + listed))


def test_a_long_connection_is_read_at_its_beginning_only() -> None:
    bench = Bench("dns_tcp", names=["blocked.example"], segments_rate=1.0)
    connection = craft.Connection(server=(craft.SITE, 53))
    assert bench.opens(connection)
    fine, listed = (dnsmessage.write_query(7, name) for name in ("fine.example", "blocked.example"))
    for _ in range(150):
        assert bench.passes(connection.data(len(fine).to_bytes(2, "big") + fine))
    assert bench.passes(connection.data(len(listed).to_bytes(2, "big") + listed))


# --- dns_path


def test_only_permitted_resolvers_answer() -> None:
    bench = Bench("dns_path", resolvers=["185.146.21.20", "2a04:4e42:77::/64"])
    assert bench.passes(query("a.example"))
    assert bench.passes(query("a.example", v6=True))
    assert not bench.passes(query("a.example", server=("185.146.21.21", 53)))
    assert bench.passes(query("a.example", server=("185.146.21.21", 54)))


@pytest.mark.parametrize(("counted", "longest"), [("text", 20), ("wire", 18)])
def test_the_cap_counts_as_it_is_told(counted: str, longest: int) -> None:
    bench = Bench("dns_path", name_cap=20, name_counted=counted)
    assert bench.passes(query("a" * (longest - 8) + ".example"))
    assert not bench.passes(query("a" * (longest - 7) + ".example"))


def test_scrambled_letters_without_restoring() -> None:
    bench = Bench("dns_path", scramble=1.0, restore=False)
    outcome = bench.send(query("abcdefgh.t.garden-photos.example"))
    assert outcome.forward is not None
    sent = parse(outcome.forward, True)
    assert sent
    asked = dnsmessage.read_query(sent.payload)
    assert asked
    assert asked.name_as_sent != asked.name == "abcdefgh.t.garden-photos.example"
    back = craft.datagram(dnsmessage.answer(asked, []), outbound=False)
    assert bench.passes(back, False)


@pytest.mark.parametrize(("refuse", "code"), [("silence", None), ("servfail", 2), ("refused", 5)])
def test_a_zone_that_had_enough(refuse: str, code: int | None) -> None:
    bench = Bench("dns_path", zone_rate=1.0, zone_burst=1.0, zone_cooldown_s=10.0, refuse=refuse)
    assert bench.passes(query("a.t.garden-photos.example"))
    outcome = bench.send(query("b.t.garden-photos.example"))
    assert outcome.forward is None
    answers = injected(outcome)
    assert [dnsmessage.read_answers(answer.payload)[0] for answer in answers] == ([] if code is None else [code])
    assert bench.passes(query("a.u.garden-photos.example"))
    bench.jump(11)
    assert bench.passes(query("a.t.garden-photos.example"))


# --- dns_correlation


@pytest.mark.parametrize("v6", [False, True])
@pytest.mark.parametrize("when", ["syn", "data"])
def test_a_connection_needs_an_answer_first(when: str, v6: bool) -> None:
    bench = Bench("dns_correlation", when=when, window_s=60)
    site = craft.SITE6 if v6 else craft.SITE
    asked = dnsmessage.Query(
        1, 0x100, "a.example", AAAA if v6 else A, 1, b"\1a\7example\0" + bytes((0, AAAA if v6 else A, 0, 1))
    )

    def try_one(port: int) -> bool:
        one = craft.Connection((craft.READER6 if v6 else craft.READER, port), (site, 443))
        return bench.opens(one) and bench.passes(one.data(b"hello"))

    assert not try_one(4_000)
    assert bench.passes(craft.datagram(dnsmessage.answer(asked, [site]), v6=v6, outbound=False), False)
    assert try_one(4_001)
    bench.jump(59)
    assert try_one(4_002)
    bench.jump(2)
    assert not try_one(4_003)


def test_it_is_reset_at_both_ends_and_answers_to_others_do_not_help() -> None:
    bench = Bench("dns_correlation")
    asked = dnsmessage.Query(1, 0x100, "a.example", A, 1, b"\1a\7example\0\0\1\0\1")
    answer = dnsmessage.answer(asked, [craft.SITE])
    assert bench.passes(craft.datagram(answer, client=("151.240.18.99", 5_000), outbound=False), False)
    one = craft.Connection()
    assert bench.opens(one)
    outcome = bench.send(one.data(b"hello"))
    assert outcome.forward is None
    for to in ("in", "out"):
        (reset,) = injected(outcome, to)
        assert reset.tcp
        assert reset.tcp.has(RST | ACK)


# --- all of them


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("dns_inject", IRAN),
        ("dns_inject", {**CHINA, "substrings": ["e"], "inbound": True}),
        ("dns_path", {"scramble": 1.0, "name_cap": 40, "zone_rate": 1.0}),
        ("dns_correlation", {}),
    ],
)
def test_mutilated_messages_raise_nothing(kind: str, params: dict[str, Any]) -> None:
    bench = Bench(kind, **params)
    for raw in mutilated(query("www.blocked.example"), 600):
        bench.send(raw)
    asked = dnsmessage.Query(1, 0x100, "a.example", A, 1, b"\1a\7example\0\0\1\0\1")
    for raw in mutilated(craft.datagram(dnsmessage.answer(asked, [craft.SITE]), outbound=False), 600):
        bench.send(raw, False)


def test_mutilated_streams_raise_nothing() -> None:
    bench = Bench("dns_tcp", names=["example"], segments_rate=1.0)
    message = dnsmessage.write_query(7, "blocked.example")
    connection = craft.Connection(server=(craft.SITE, 53))
    bench.opens(connection)
    for raw in mutilated(connection.data(len(message).to_bytes(2, "big") + message), 600):
        bench.send(raw)
