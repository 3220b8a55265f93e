"""Each censor with packets made by hand: what it lets pass, what it does, how long it remembers."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest

from rozaneh.lab import censors, dnsmessage
from rozaneh.lab.api import Delay, Drop, Inject, Pass, Replace, Verdict
from rozaneh.lab.chain import Chain, Outcome, Rule
from rozaneh.lab.packet import ACK, FIN, RST, Packet
from tests.lab.crafted import SITE, SITE6, Connection, client_hello, datagram, in_records, packet

NAMES = {"names": ["blocked.example"]}


class Bench:
    """One censor behind a chain, so that it has its flows; remembers nothing else."""

    def __init__(self, kind: str, **params: Any) -> None:
        self.chain = Chain([Rule("X", censors.make(kind, params, Random(1)))])  # noqa: S311 - repeatability is the point

    def __call__(self, p: Packet, now: float = 0.0) -> Outcome:
        outcome = self.chain.decide(p, now)
        assert self.chain.errors == 0, outcome.acts
        return outcome


def passed(outcome: Outcome) -> bool:
    return outcome.forward is not None and not outcome.acts


def injected(outcome: Outcome, to: str) -> Packet:
    """The one packet sent that way."""
    (action,) = [action for action in outcome.injected if action.to == to]
    return packet(action.raw, outbound=to == "out")


# --- parameters


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("dns_forge", {}),
        ("dns_forge", {"names": [], "ipv4": "10.10.34"}),
        ("dns_forge", {"names": [], "nmaes": []}),
        ("ip_drop", {"prefixes": ["10.0.0.1/8"]}),
        ("ip_drop", {"prefixes": [], "direction": "sideways"}),
        ("sni_reset", {"names": ["a"], "residual_s": "long"}),
        ("http_block", {"names": "a"}),
        ("nothing_like_it", {}),
    ],
)
def test_wrong_parameters_are_refused(kind: str, params: dict[str, Any]) -> None:
    with pytest.raises((ValueError, OSError, msgspec.ValidationError)):
        censors.make(kind, params, Random(0))  # noqa: S311 - repeatability is the point


# --- dns_forge


@pytest.mark.parametrize(
    ("name", "hit"),
    [
        ("blocked.example", True),
        ("www.blocked.example", True),
        ("BLOCKED.example", True),
        ("notblocked.example", False),
        ("blocked.example.org", False),
        ("example", False),
    ],
)
def test_dns_forge_by_name(name: str, hit: bool) -> None:
    outcome = Bench("dns_forge", **NAMES)(datagram(dnsmessage.write_query(5, name)))
    assert passed(outcome) is not hit


@pytest.mark.parametrize("v6", [False, True])
@pytest.mark.parametrize(
    ("kind", "answers"), [(dnsmessage.A, ["10.10.34.36"]), (dnsmessage.AAAA, ["d0::11"]), (65, [])]
)
def test_dns_forge_answers_as_the_resolver(kind: int, answers: list[str], v6: bool) -> None:
    query = datagram(dnsmessage.write_query(5, "blocked.example", kind), v6=v6)
    outcome = Bench("dns_forge", **NAMES)(query)
    assert outcome.forward is None  # in the path: the honest answer never comes
    forged = injected(outcome, "in")
    assert forged.udp is not None
    assert query.udp is not None
    assert (forged.ip.src, forged.ip.dst) == (query.ip.dst, query.ip.src)
    assert (forged.udp.sport, forged.udp.dport) == (53, query.udp.sport)
    assert forged.payload[:2] == query.payload[:2]
    assert dnsmessage.read_answers(forged.payload) == (0, answers)


def test_dns_forge_lets_answers_other_ports_and_garbage_pass() -> None:
    bench = Bench("dns_forge", **NAMES)
    query = dnsmessage.write_query(5, "blocked.example")
    inbound = packet(datagram(query).raw, outbound=False)
    for harmless in (inbound, datagram(query, port=5_353), datagram(b"\xff" * 30), Connection(port=53).data(query)):
        assert passed(bench(harmless))


# --- ip_drop


@pytest.mark.parametrize(
    ("direction", "out", "back"), [("both", True, True), ("out", True, False), ("in", False, True)]
)
@pytest.mark.parametrize("v6", [False, True])
def test_ip_drop_by_direction(direction: str, out: bool, back: bool, v6: bool) -> None:
    bench = Bench("ip_drop", prefixes=[f"{SITE}/32", "2a04:4e42::/32"], direction=direction)
    one = Connection(v6=v6)
    assert passed(bench(one.syn())) is not out
    outcome = bench(one.answer(b"x"))
    assert passed(outcome) is not back
    assert not outcome.injected
    if back:
        assert outcome.acts[0].why == f"address {SITE6 if v6 else SITE}"


def test_ip_drop_spares_neighbours() -> None:
    assert passed(Bench("ip_drop", prefixes=["185.146.21.21", "185.146.21.16/30"])(Connection().syn()))


# --- sni_reset


@pytest.mark.parametrize("v6", [False, True])
def test_sni_reset_resets_both_ends_in_window(v6: bool) -> None:
    bench, one = Bench("sni_reset", **NAMES), Connection(v6=v6)
    hello = client_hello("blocked.example")
    assert passed(bench(one.syn()))
    first = one.data(hello)
    outcome = bench(first)
    assert outcome.forward is None
    inward, outward = injected(outcome, "in").tcp, injected(outcome, "out").tcp
    assert first.tcp
    assert inward
    assert outward
    assert (inward.seq, inward.ack, inward.flags) == (first.tcp.ack, first.tcp.seq + len(hello), RST | ACK)
    assert (outward.seq, outward.flags) == (first.tcp.seq, RST | ACK)
    assert (inward.sport, inward.dport, outward.sport, outward.dport) == (443, 40_000, 40_000, 443)


@pytest.mark.parametrize("name", ["fine.example", None, "xblocked.example"])
def test_sni_reset_lets_other_names_pass(name: str | None) -> None:
    bench, one = Bench("sni_reset", **NAMES), Connection()
    assert all(passed(bench(p)) for p in (one.syn(), one.data(client_hello(name)), one.answer(b"hello")))


def test_sni_reset_works_on_any_port_unless_told() -> None:
    for ports, hit in (([], True), ([443], False), ([8_443], True)):
        bench, one = Bench("sni_reset", ports=ports, **NAMES), Connection(port=8_443)
        bench(one.syn())
        assert passed(bench(one.data(client_hello("blocked.example")))) is not hit


@pytest.mark.parametrize("segments", [True, False])
def test_sni_reset_puts_segments_together_or_not(segments: bool) -> None:
    bench, one = Bench("sni_reset", segments=segments, **NAMES), Connection()
    hello = client_hello("blocked.example")
    bench(one.syn())
    assert passed(bench(one.data(hello[20:], at=20)))  # out of order, too
    assert passed(bench(one.data(hello[:20], at=0))) is not segments


@pytest.mark.parametrize("records", [True, False])
def test_sni_reset_puts_records_together_or_not(records: bool) -> None:
    bench, one = Bench("sni_reset", records=records, **NAMES), Connection()
    bench(one.syn())
    assert passed(bench(one.data(in_records(client_hello("blocked.example"), 40)))) is not records


@pytest.mark.parametrize("needs_syn", [True, False])
def test_sni_reset_needs_to_have_seen_the_syn(needs_syn: bool) -> None:
    bench, one = Bench("sni_reset", needs_syn=needs_syn, **NAMES), Connection()
    assert passed(bench(one.data(client_hello("blocked.example")))) is needs_syn


def test_sni_reset_residual_holds_the_four_tuple_and_restarts() -> None:
    bench, one = Bench("sni_reset", **NAMES), Connection()
    bench(one.syn(), 0)
    bench(one.data(client_hello("blocked.example")), 0)
    again, neighbour = Connection(isn=70_000), Connection(sport=40_001)
    assert bench(again.syn(), 179).acts[0].why == "residual 4-tuple"  # and the time begins anew
    assert bench(again.answer(b"x"), 350).acts[0].why == "residual 4-tuple"
    assert passed(bench(neighbour.syn(), 351))
    assert passed(bench(again.syn(), 350 + 181))


def test_sni_reset_residual_without_restart() -> None:
    bench, one = Bench("sni_reset", residual_restarts=False, **NAMES), Connection()
    bench(one.syn(), 0)
    bench(one.data(client_hello("blocked.example")), 0)
    assert not passed(bench(Connection(isn=7).syn(), 179))
    assert passed(bench(Connection(isn=8).syn(), 181))


# --- http_block


def request(host: str, *, method: str = "GET", version: str = "HTTP/1.1") -> bytes:
    return f"{method} / {version}\r\nUser-Agent: x\r\nHost: {host}\r\nAccept: */*\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("head", "hit"),
    [
        (request("blocked.example"), True),
        (request("www.blocked.example:8080"), True),
        (request("BLOCKED.example"), True),
        (request("blocked.example", method="POST"), True),
        (request("blocked.example", method="gET"), False),
        (request("blocked.example", version="HTML/1.1"), False),
        (request("fine.example"), False),
        (b"POST / HTTP/1.1\r\nHost: fine.example\r\n\r\n\r\nHost: blocked.example\r\n", False),
        (b"\x16\x03\x01 Host: blocked.example\r\n", False),
    ],
)
@pytest.mark.parametrize("segments", [True, False])
def test_http_block_by_host(head: bytes, hit: bool, segments: bool) -> None:
    bench, one = Bench("http_block", segments=segments, **NAMES), Connection(port=8_080)
    bench(one.syn())
    assert passed(bench(one.data(head))) is not hit


def test_http_block_page_ends_the_connection_in_the_servers_name() -> None:
    bench, one = Bench("http_block", text="Nothing <here>", **NAMES), Connection(port=80)
    bench(one.syn())
    ask = one.data(request("blocked.example"))
    outcome = bench(ask)
    assert outcome.forward is None
    page = injected(outcome, "in")
    assert page.tcp
    assert ask.tcp
    assert page.tcp.has(FIN | ACK)
    assert page.tcp.seq == ask.tcp.ack
    assert page.tcp.ack == ask.tcp.seq + len(ask.payload)
    head, _, body = page.payload.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert b'src="http://10.10.34.36/"' in body
    assert b"Nothing &lt;here&gt;" in body
    server = injected(outcome, "out").tcp
    assert server
    assert server.has(RST)
    assert bench(one.answer(b"late")).acts[0].why == "residual 4-tuple"


def test_http_block_reads_every_request_of_a_connection_packet_by_packet() -> None:
    bench, one = Bench("http_block", **NAMES), Connection(port=80)
    bench(one.syn())
    assert passed(bench(one.data(request("fine.example"))))
    assert not passed(bench(one.data(request("blocked.example"))))


@pytest.mark.parametrize("segments", [True, False])
def test_http_block_puts_segments_together_or_not(segments: bool) -> None:
    bench, one = Bench("http_block", segments=segments, **NAMES), Connection(port=80)
    head = request("blocked.example")
    middle = head.index(b"blocked") + 3
    bench(one.syn())
    assert passed(bench(one.data(head[:middle])))
    assert passed(bench(one.data(head[middle:]))) is not segments


# --- the chain


class Fixed:
    """Answers always the same; counts how often it was asked."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        self.asked: list[Packet] = []

    def packet(self, p: Packet, now: float) -> Verdict:
        self.asked.append(p)
        if isinstance(self.verdict, Exception):
            raise self.verdict
        return self.verdict


def chain(*verdicts: Any) -> tuple[Chain, list[Fixed]]:
    fixed = [Fixed(verdict) for verdict in verdicts]
    return Chain([Rule(f"R{index}", censor) for index, censor in enumerate(fixed)]), fixed  # type: ignore[arg-type]


def test_chain_stops_at_a_drop() -> None:
    judge, (first, second) = chain(Drop("enough"), Pass())
    outcome = judge.decide(datagram(b"x"), 0)
    assert outcome.forward is None
    assert [(act.rule, act.action, act.why) for act in outcome.acts] == [("R0", "drop", "enough")]
    assert (len(first.asked), len(second.asked)) == (1, 0)


def test_chain_keeps_what_was_injected_beside_a_drop() -> None:
    raw = datagram(b"forged").raw
    judge, _ = chain([Drop(), Inject(raw)])
    outcome = judge.decide(datagram(b"x"), 0)
    assert (outcome.forward, [action.raw for action in outcome.injected]) == (None, [raw])


def test_chain_hands_a_replacement_on() -> None:
    other = datagram(b"other").raw
    judge, (_, second) = chain([Replace(other), Delay(0.5)], [Delay(0.25)])
    outcome = judge.decide(datagram(b"x"), 0)
    assert (outcome.forward, outcome.delay) == (other, 0.75)
    assert second.asked[0].payload == b"other"


@pytest.mark.parametrize("bad", [ValueError("no"), "pass", [3], None])
def test_a_censor_that_fails_is_an_error_and_never_a_pass(bad: Any) -> None:
    judge, _ = chain(bad)
    outcome = judge.decide(datagram(b"x"), 0)
    assert (outcome.forward, outcome.acts[0].action, judge.errors) == (None, "error", 1)


class Counting:
    """Counts a flow's packets in the flow's own dict."""

    def __init__(self) -> None:
        self.counts: list[int] = []

    def packet(self, p: Packet, now: float) -> Verdict:
        p.flow["n"] = p.flow.get("n", 0) + 1
        self.counts.append(p.flow["n"])
        return Pass()


def test_each_censor_has_its_own_memory_of_each_flow() -> None:
    first, second = Counting(), Counting()
    judge = Chain([Rule("A", first), Rule("B", second)])  # type: ignore[list-item]
    one, other = Connection(), Connection(sport=40_001)
    for p in (one.syn(), one.data(b"x"), other.syn(), one.answer(b"y")):
        judge.decide(p, 0)
    assert first.counts == second.counts == [1, 2, 1, 3]


def test_timers_inject_and_are_wanted_only_where_there_are_some() -> None:
    class Clockwork(Fixed):
        def timer(self, now: float) -> list[Inject]:
            return [Inject(datagram(b"tick").raw, why=f"at {now}")]

    plain, _ = chain(Pass())
    assert not plain.has_timers
    ticking = Chain([Rule("T", Clockwork(Pass()))])  # type: ignore[arg-type]
    assert ticking.has_timers
    outcome = ticking.timers(3.0)
    assert (outcome.acts[0].why, len(outcome.injected)) == ("at 3.0", 1)
