"""The parts censors are made of: first bytes, residuals, flows, DNS messages, server names, captures."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rozaneh.lab import dnsmessage, pcap
from rozaneh.lab.flows import FlowTable
from rozaneh.lab.residual import Residual
from rozaneh.lab.streams import FirstBytes
from rozaneh.lab.tlshello import Hello, server_name
from tests.lab.crafted import Connection, client_hello, datagram, in_records


@given(
    data=st.binary(min_size=1, max_size=200),
    cuts=st.lists(st.integers(0, 199)),
    start=st.integers(0, 2**32 - 1),
    rnd=st.randoms(),
)
def test_segments_in_any_order_give_the_same_bytes(data: bytes, cuts: list[int], start: int, rnd: Random) -> None:
    edges = [*sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})[:30], len(data)]
    pieces = [(start + a, data[a:b]) for a, b in pairwise(edges) if a < b]
    rnd.shuffle(pieces)
    first = FirstBytes(start)
    for seq, piece in [*pieces, *pieces]:  # everything comes twice
        first.add(seq % 2**32, piece)
    assert bytes(first.data) == data


def test_what_came_first_stays_where_segments_overlap() -> None:
    first = FirstBytes(100)
    assert first.add(100, b"abcdef")
    assert not first.add(98, b"XXYY")
    assert first.add(104, b"EFgh")
    assert bytes(first.data) == b"abcdefgh"


def test_first_bytes_are_bounded() -> None:
    first = FirstBytes(0, limit=10)
    for index in range(1_000):
        first.add(5 + index * 2, b"zz")  # held back: bytes 0 to 4 are missing
    first.add(0, b"hello")
    assert len(first.data) == 10
    assert first.full
    assert not first.add(10**6, b"far away")


def test_residual_ends_and_restarts() -> None:
    plain, restarting = Residual(180), Residual(180, restarts=True)
    for residual in (plain, restarting):
        assert not residual.hit("a", 0)
        residual.add("a", 0)
        assert residual.hit("a", 179.9)
        assert not residual.hit("b", 1)
    assert not plain.hit("a", 180.0)
    assert restarting.hit("a", 359.8)
    assert not restarting.hit("a", 540.0)


def test_residual_of_no_length_and_bounded_size() -> None:
    none = Residual(0)
    none.add("a", 0)
    assert not none.hit("a", 0)
    small = Residual(10, limit=2)
    for key in "abc":
        small.add(key, 0)
    assert [small.hit(key, 1) for key in "abc"] == [False, True, True]


def test_flows_are_shared_by_both_directions_and_end_with_a_new_syn() -> None:
    table = FlowTable(1)
    one = Connection()
    flow = table.find(one.syn(), 0)
    assert flow is not None
    assert table.find(one.syn(), 1) is flow  # sent again
    assert table.find(one.answer(b"x"), 1) is flow
    again = Connection(isn=9_000)
    assert table.find(again.syn(), 2) is not flow
    assert len(table) == 1


def test_flows_are_bounded_in_number_and_age() -> None:
    table = FlowTable(1, limit=3, idle=100)
    for sport in range(10):
        table.find(Connection(sport=sport + 1).syn(), 0)
    assert len(table) == 3
    table.find(Connection(sport=99).syn(), 1_000)
    assert len(table) == 1


def test_dns_answer_fits_its_query() -> None:
    message = dnsmessage.write_query(77, "News.Example", dnsmessage.AAAA)
    query = dnsmessage.read_query(message)
    assert query is not None
    assert (query.ident, query.name, query.kind) == (77, "news.example", dnsmessage.AAAA)
    answer = dnsmessage.answer(query, ["192.0.2.1", "2001:db8::1"])
    assert answer[:2] == message[:2]
    assert b"\x04News\x07Example" in answer  # the case of the question comes back (RFC 4343 4.1)
    assert dnsmessage.read_answers(answer) == (0, ["2001:db8::1"])
    refused = dnsmessage.answer(query, [], code=dnsmessage.NXDOMAIN)
    assert dnsmessage.read_answers(refused) == (dnsmessage.NXDOMAIN, [])


def test_dns_messages_cut_short_or_strange_are_no_queries() -> None:
    message = dnsmessage.write_query(1, "news.example")
    for size in range(len(message)):
        assert dnsmessage.read_query(message[:size]) is None
    assert dnsmessage.read_query(dnsmessage.answer(dnsmessage.read_query(message), [])) is None  # type: ignore[arg-type]
    assert dnsmessage.read_query(message[:5] + b"\2" + message[6:]) is None  # two questions
    assert dnsmessage.read_query(message[:12] + b"\xc0\x0c" + message[14:]) is None  # a pointer in a question


@given(st.binary(max_size=300))
def test_no_bytes_make_the_dns_reader_raise(data: bytes) -> None:
    dnsmessage.read_query(data)
    dnsmessage.read_query(b"\0\1\1\0\0\1" + data)


def test_server_name_of_a_real_client() -> None:
    hello = client_hello("News.Example")
    assert server_name(hello) == "news.example"
    assert server_name(client_hello(None)) is Hello.NAMELESS
    for size in range(len(hello)):
        assert server_name(hello[:size]) is Hello.MORE, size


def test_server_name_over_several_records() -> None:
    cut = in_records(client_hello("news.example"), 50)
    assert server_name(cut) == "news.example"
    assert server_name(cut, join_records=False) is Hello.NAMELESS


@pytest.mark.parametrize(
    "data",
    [b"GET / HTTP/1.1\r\n\r\n", b"\x17\x03\x03\x00\x05hello", b"\x16\x03\x01\x00\x00", b"\x16\x03\x01\x00\x05\x02abcd"],
)
def test_what_is_no_client_hello(data: bytes) -> None:
    assert server_name(data) is Hello.NOT_TLS


@given(st.binary(max_size=300))
def test_no_bytes_make_the_tls_reader_raise(data: bytes) -> None:
    server_name(data)
    server_name(b"\x16\x03\x01" + len(data).to_bytes(2, "big") + data)
    body = b"\x03\x03" + bytes(32) + data
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    server_name(b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message)


def test_captures_read_back(tmp_path: Path) -> None:
    packets = [(1_700_000_000.25, datagram(b"a").raw), (1_700_000_001.5, Connection().syn().raw)]
    writer = pcap.Writer(tmp_path / "x.pcap")
    for when, raw in packets:
        writer.write(raw, when)
    writer.close()
    assert list(pcap.read(tmp_path / "x.pcap")) == packets
    data = (tmp_path / "x.pcap").read_bytes()
    (tmp_path / "cut.pcap").write_bytes(data[:-1])
    assert list(pcap.read(tmp_path / "cut.pcap")) == packets[:1]
    (tmp_path / "no.pcap").write_bytes(b"\0" * 40)
    with pytest.raises(ValueError, match="not a capture"):
        list(pcap.read(tmp_path / "no.pcap"))
