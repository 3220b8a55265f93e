"""The parts censors are made of: residuals, flows, DNS messages, captures."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rozaneh.lab import dnsmessage, pcap
from rozaneh.lab.flows import FlowTable
from rozaneh.lab.residual import Residual
from tests.lab.crafted import Connection, datagram


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
    table = FlowTable()
    one = Connection()
    flow = table.find(one.syn(), 0)
    assert flow is not None
    assert table.find(one.syn(), 1) is flow  # sent again
    assert table.find(one.answer(b"x"), 1) is flow
    again = Connection(isn=9_000)
    assert table.find(again.syn(), 2) is not flow
    assert len(table) == 1


def test_flows_are_bounded_in_number_and_age() -> None:
    table = FlowTable(limit=3, idle=100)
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
