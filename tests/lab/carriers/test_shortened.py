"""Only the server's packets between the two ends' ChangeCipherSpec are left out."""

from __future__ import annotations

from pathlib import Path

from rozaneh.lab import pcap
from rozaneh.lab.carriers.shortened import shorten
from rozaneh.lab.judges import flowsfrom
from tests.lab.crafted import client_hello
from tests.lab.judges.made import CHANGE, Tcp, capture, record, tls13


def sizes(path: Path) -> list[list[int]]:
    return [[packet.size if packet.up else -packet.size for packet in flow.packets] for flow in flowsfrom.read(path)]


def test_the_rest_of_the_servers_first_flight_goes(tmp_path: Path) -> None:
    hello = client_hello("garden-photos.example")
    flow = tls13(Tcp(), hello).data(False, record(23, bytes(300))).data(True, record(23, bytes(90)))
    before = capture(tmp_path / "before.pcap", flow.packets)
    after = shorten(before, tmp_path / "after.pcap")
    assert sizes(before) == [[len(hello), -1_448, -(127 + 6 + 2_405 - 1_448), 64, -305, 95]]
    # What is left out leaves a hole in the server's stream, so the packets are looked at, not the flow put together.
    left = [len(raw) for _, raw in pcap.read(after)]
    gone = [len(raw) for _, raw in pcap.read(before)]
    gone.remove(127 + 6 + 2_405 - 1_448 + 40)
    assert left == gone


def test_other_flows_stay_as_they_were(tmp_path: Path) -> None:
    plain = Tcp(sport=40_001, dport=80).data(True, b"GET / HTTP/1.1\r\n\r\n").data(False, bytes(4_000)).fin()
    without_start = Tcp(sport=40_002).data(False, CHANGE).data(False, bytes(3_000))
    del without_start.packets[:2]
    early = Tcp(sport=40_003).data(True, client_hello("garden-photos.example")).data(True, CHANGE)
    early.data(False, record(22, bytes(100)) + CHANGE).data(False, record(23, bytes(3_000)))
    before = capture(tmp_path / "before.pcap", plain.packets, without_start.packets, early.packets)
    after = shorten(before, tmp_path / "after.pcap")
    assert [raw for _, raw in pcap.read(after)] == [raw for _, raw in pcap.read(before)]
