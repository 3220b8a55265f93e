"""Flows, records and bursts read back from captures exactly as they were made."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rozaneh.lab.judges import flowsfrom, records
from rozaneh.lab.judges.flowsfrom import Data
from rozaneh.lab.packet import RST, tcp_packet
from rozaneh.lab.prober import replay
from rozaneh.lab.rules import seeded
from tests.lab.crafted import client_hello
from tests.lab.judges.made import CHANGE, RTT, START, Tcp, capture, datagram, record, tls13


@pytest.mark.parametrize("v6", [False, True])
def test_a_connection_is_read_with_its_ends_bytes_and_round_trip(tmp_path: Path, v6: bool) -> None:
    flow = Tcp(v6=v6).data(True, b"hello").data(False, b"x" * 3_000).data(True, b"bye").fin()
    (read,) = flowsfrom.read(capture(tmp_path / "c.pcap", flow.packets))
    assert (read.protocol, read.client[1], read.server[1], read.whole) == ("tcp", 40_000, 443, True)
    assert read.sizes() == [5, -1_448, -1_448, -104, 3]
    assert (bytes(read.up), bytes(read.down)) == (b"hellobye", b"x" * 3_000)
    assert read.rtt == pytest.approx(RTT, abs=1e-4)
    assert read.began == pytest.approx(START, abs=1e-4)
    assert read.first_flight() == b"hello"
    assert not read.reset
    assert read.host == ("[2a04:4e42:77::20]:443" if v6 else "185.146.21.20:443")


def test_what_is_sent_twice_counts_once_and_disorder_is_put_right(tmp_path: Path) -> None:
    flow = Tcp().data(False, b"abcdefgh", mss=2)
    head, data = flow.packets[:3], flow.packets[3:]
    times = [when for when, _ in data]
    raws = [raw for _, raw in data]
    shuffled = [raws[0], raws[2], raws[2], raws[1], raws[3], raws[0]]
    packets = [*head, *((times[0] + at * 1e-4, raw) for at, raw in enumerate(shuffled))]
    (read,) = flowsfrom.read(capture(tmp_path / "c.pcap", packets))
    assert bytes(read.down) == b"abcdefgh"
    assert read.sizes() == [-2, -2, -2, -2]


def test_a_port_used_again_is_another_flow_and_a_reset_is_seen(tmp_path: Path) -> None:
    one = Tcp().data(True, b"first")
    client, server = one.ends
    one.packets.append((one.when + 1, tcp_packet(server, client, 443, 40_000, seq=1, flags=RST)))
    other = Tcp(when=START + 120)
    other.seq[True] = 7_001
    other.packets.clear()
    other.packets.append((START + 120, tcp_packet(client, server, 40_000, 443, seq=7_000, flags=2)))
    other.data(True, b"second")
    read = flowsfrom.read(capture(tmp_path / "c.pcap", one.packets, other.packets))
    assert [bytes(flow.up) for flow in read] == [b"first", b"second"]
    assert [flow.reset for flow in read] == [True, False]


def test_datagrams_are_flows_until_they_pause(tmp_path: Path) -> None:
    packets = [
        (START, datagram(b"one")),
        (START + 1, datagram(b"answer", up=False)),
        (START + 2, datagram(b"two")),
        (START + 400, datagram(b"three")),
    ]
    first, second = flowsfrom.read(capture(tmp_path / "c.pcap", packets))
    assert first.sizes() == [3, -6, 3]
    assert first.datagrams == [b"one", b"two"]
    assert second.sizes() == [5]
    assert first.host == "185.146.21.20:443"


def test_a_capture_that_begins_in_the_middle_still_has_the_server_right(tmp_path: Path) -> None:
    flow = Tcp().data(False, b"late").data(True, b"later")
    (read,) = flowsfrom.read(capture(tmp_path / "c.pcap", flow.packets[3:]))
    assert (read.server[1], read.whole, read.rtt) == (443, False, None)
    assert read.sizes() == [-4, 5]


@given(st.lists(st.binary(max_size=80), max_size=20))
def test_junk_never_raises(pieces: list[bytes]) -> None:
    flowsfrom.gather((float(at), piece) for at, piece in enumerate(pieces))
    for piece in pieces:
        records.records(piece)


def test_the_outer_handshake_of_tls_13_is_taken_away(tmp_path: Path) -> None:
    flow = tls13(Tcp(), client_hello("garden-photos.example"))
    flow.data(True, record(23, bytes(300))).data(False, record(23, bytes(900)))
    (read,) = flowsfrom.read(capture(tmp_path / "c.pcap", flow.packets))
    assert records.is_tls(read)
    rest = records.without_handshake(read)
    assert [(packet.up, packet.size) for packet in rest] == [(True, 305), (False, 905)]


def test_data_in_the_same_packet_as_finished_counts_with_its_own_bytes(tmp_path: Path) -> None:
    flow = Tcp().data(True, client_hello("garden-photos.example"))
    flow.data(False, record(22, b"\x02" + bytes(121)) + CHANGE + record(23, bytes(900)))
    flow.data(True, CHANGE + record(23, bytes(53)) + record(23, bytes(95)))
    (read,) = flowsfrom.read(capture(tmp_path / "c.pcap", flow.packets))
    assert [packet.size for packet in records.without_handshake(read)] == [100]


def test_the_outer_handshake_of_tls_12_ends_with_the_servers_finished(tmp_path: Path) -> None:
    flow = Tcp().data(True, client_hello("garden-photos.example"))
    flow.data(False, record(22, b"\x02" + bytes(2_000)))
    flow.data(True, record(22, bytes(37)) + CHANGE + record(22, bytes(40)))
    flow.data(False, record(22, bytes(200)) + CHANGE + record(22, bytes(40)))
    flow.data(True, record(23, bytes(300))).data(False, record(23, bytes(500)))
    (read,) = flowsfrom.read(capture(tmp_path / "c.pcap", flow.packets))
    assert [(one.up, one.size) for one in records.without_handshake(read)] == [(True, 305), (False, 505)]
    # ML-02 skips only up to each direction's ChangeCipherSpec.
    assert [(one.up, one.size) for one in records.after_change_cipher(read)] == [(True, 305), (False, 505)]


def test_a_flow_that_is_no_tls_keeps_everything_and_an_unfinished_one_nothing(tmp_path: Path) -> None:
    noise = Tcp().data(True, seeded(1, "noise").randbytes(400)).data(False, bytes(10))
    cut = Tcp(sport=40_001).data(True, client_hello("a.example")).data(False, record(22, bytes(50)))
    one, two = flowsfrom.read(capture(tmp_path / "c.pcap", noise.packets, cut.packets))
    assert len(records.without_handshake(one)) == 2
    assert records.without_handshake(two) == []


def test_bursts_end_with_the_direction_or_a_pause() -> None:
    packets = [
        Data(0.0, 100, True),
        Data(0.01, 100, True),
        Data(0.02, 1_000, False),
        Data(0.2, 500, False),
        Data(0.21, 30, True),
    ]
    assert [(one.up, one.size, one.packets) for one in records.bursts(packets)] == [
        (True, 200, 2),
        (False, 1_500, 2),
        (True, 30, 1),
    ]
    assert [one.size for one in records.bursts(packets, gap=0.1, overhead=40)] == [120, 960, 460, 0]


def test_first_flights_are_what_a_replay_prober_keeps(tmp_path: Path) -> None:
    flow = Tcp(dport=8_388).data(True, b"a" * 200).data(True, b"b" * 20).data(False, b"c").data(True, b"d")
    silent = Tcp(sport=40_009)
    flights = replay.first_flights(capture(tmp_path / "c.pcap", flow.packets, silent.packets))
    assert [(read.server[1], flight) for read, flight in flights] == [(8_388, b"a" * 200 + b"b" * 20)]
