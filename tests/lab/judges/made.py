"""Captures made by hand for the judges' tests: TCP connections with a handshake, data and times of one's choosing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rozaneh.lab import pcap
from rozaneh.lab.packet import ACK, FIN, PSH, SYN, packed_address, tcp_packet, udp_packet

CLIENT, SERVER = "151.240.18.77", "185.146.21.20"
CLIENT6, SERVER6 = "2a0d:5600:41:7::12", "2a04:4e42:77::20"
START = 1_795_000_000.0
RTT = 0.03

Packets = list[tuple[float, bytes]]
# What one side sends: bytes, from the client or not, after so many seconds.
Message = tuple[bool, bytes, float]


class Tcp:
    """One connection; `packets` are what the censor saw."""

    def __init__(
        self, *, sport: int = 40_000, dport: int = 443, when: float = START, v6: bool = False, server: str = ""
    ) -> None:
        client, other = (CLIENT6, SERVER6) if v6 else (CLIENT, SERVER)
        self.ends = packed_address(client), packed_address(server or other)
        self.ports = sport, dport
        self.when = when
        self.seq = {True: 1_001, False: 4_294_967_290}  # the server's wraps
        self.packets: Packets = []
        self._packet(True, SYN, b"", self.seq[True] - 1)
        self.when += RTT / 2
        self._packet(False, SYN | ACK, b"", self.seq[False] - 1)
        self.when += RTT / 2
        self._packet(True, ACK, b"", self.seq[True])

    def data(self, up: bool, payload: bytes, after: float = 0.001, *, mss: int = 1_448) -> Tcp:
        """Sends `payload` in segments."""
        for at in range(0, len(payload), mss):
            self.when += after if at == 0 else 0.0001
            piece = payload[at : at + mss]
            self._packet(up, ACK | PSH, piece, self.seq[up])
            self.seq[up] += len(piece)
        return self

    def fin(self) -> Tcp:
        """Closes from the client's end."""
        self.when += 0.001
        self._packet(True, FIN | ACK, b"", self.seq[True])
        return self

    def _packet(self, up: bool, flags: int, payload: bytes, seq: int) -> None:
        source, target = self.ends if up else self.ends[::-1]
        sport, dport = self.ports if up else self.ports[::-1]
        raw = tcp_packet(source, target, sport, dport, seq=seq, ack=self.seq[not up], flags=flags, payload=payload)
        self.packets.append((self.when, raw))


def record(kind: int, body: bytes) -> bytes:
    """One TLS record."""
    return bytes((kind, 3, 3)) + len(body).to_bytes(2, "big") + body


CHANGE = record(20, b"\x01")


def tls13(flow: Tcp, hello: bytes) -> Tcp:
    """A TLS 1.3 handshake as it looks from outside, with `hello` in front."""
    flow.data(True, hello)
    flow.data(False, record(22, b"\x02" + bytes(121)) + CHANGE + record(23, bytes(2_400)))
    return flow.data(True, CHANGE + record(23, bytes(53)))


def datagram(payload: bytes, *, sport: int = 50_000, dport: int = 443, up: bool = True) -> bytes:
    """One UDP packet."""
    client, server = packed_address(CLIENT), packed_address(SERVER)
    if up:
        return udp_packet(client, server, sport, dport, payload)
    return udp_packet(server, client, dport, sport, payload)


def capture(path: Path, *flows: Sequence[tuple[float, bytes]]) -> Path:
    """A capture file with all packets in order of time."""
    writer = pcap.Writer(path)
    for when, raw in sorted((packet for flow in flows for packet in flow), key=lambda packet: packet[0]):
        writer.write(raw, when)
    writer.close()
    return path
