"""Flows out of a capture: who spoke with whom, each data packet's size, time and direction, and the bytes in order.

A capture is what the lab's router wrote at the censor (`pcap`: whole IP packets). The client is who sent the SYN, or
the first packet of a UDP flow. Retransmitted bytes count once; packets are put in order by time as seen there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from rozaneh.lab import pcap
from rozaneh.lab.packet import ACK, FIN, RST, SYN, Packet, Tcp, parse

_HALF = 1 << 31
# Bytes kept of each direction: the first flights and handshakes that judges read, not downloads.
KEPT = 65_536
# A UDP flow that is silent for this long has ended (RFC 4787 asks NATs for at least 120 s).
_UDP_IDLE_S = 120.0
_HELD = 256
_DATAGRAMS = 4


@dataclass(slots=True)
class Data:
    """One packet with payload: its time, its size, and whether the client sent it."""

    when: float
    size: int
    up: bool


@dataclass(slots=True)
class Flow:
    """One TCP connection or UDP conversation.

    Attributes:
        protocol: `tcp` or `udp`.
        client, server: Address and port of both ends.
        began, ended: Unix time of its first and last packet.
        packets: Data packets in order; of retransmissions the new bytes only.
        up, down: The first bytes of each direction (the concatenation, for UDP).
        rtt: Seconds from SYN to the client's first ACK, None without a handshake (ML-01's estimate).
        datagrams: The client's first datagrams, each for itself (UDP only).
        first_segment: What the client's first segment with data carried (TCP only).
        whole: Whether the capture has its beginning.
        reset: Whether either end reset it.
    """

    protocol: str
    client: tuple[str, int]
    server: tuple[str, int]
    began: float
    ended: float
    packets: list[Data] = field(default_factory=list)
    up: bytearray = field(default_factory=bytearray)
    down: bytearray = field(default_factory=bytearray)
    rtt: float | None = None
    whole: bool = False
    reset: bool = False
    datagrams: list[bytes] = field(default_factory=list)
    first_segment: bytes = b""

    @property
    def name(self) -> str:
        """The flow as text."""
        return f"{self.protocol} {_place(self.client)} > {_place(self.server)}"

    @property
    def host(self) -> str:
        """The server as text: what host-level judges count by."""
        return _place(self.server)

    def first_flight(self) -> bytes:
        """What the client sent before the server's first byte (of what is kept)."""
        size = 0
        for packet in self.packets:
            if not packet.up:
                break
            size += packet.size
        return bytes(self.up[:size])

    def sizes(self) -> list[int]:
        """Data packets as signed sizes: positive from the client, negative from the server."""
        return [packet.size if packet.up else -packet.size for packet in self.packets]


def read(capture: Path) -> list[Flow]:
    """The flows of a capture in the order they began."""
    return gather(pcap.read(capture))


def gather(packets: Iterable[tuple[float, bytes]]) -> list[Flow]:
    """The flows of packets that start at their IP header, each with its Unix time."""
    flows: list[Flow] = []
    building: dict[bytes, _Building] = {}
    for when, raw in packets:
        packet = parse(raw, True)
        if packet is None:
            continue
        tcp, udp = packet.tcp, packet.udp
        key = _key(packet)
        if key is None or not (tcp or udp):
            continue
        current = building.get(key)
        if current is None or current.over(packet, tcp, when):
            current = building[key] = _Building(packet, tcp, when)
            flows.append(current.flow)
        current.add(packet, tcp, when)
    return flows


class _Building:
    """A flow while its packets come in."""

    def __init__(self, packet: Packet, tcp: Tcp | None, when: float) -> None:
        ports = tcp or packet.udp
        assert ports is not None  # noqa: S101 - the caller looked
        here, there = (packet.ip.src, ports.sport), (packet.ip.dst, ports.dport)
        # Without the SYN the lower port is taken for the server's.
        turned = bool(tcp and tcp.has(SYN | ACK)) or (not (tcp and tcp.flags & SYN) and ports.sport < ports.dport)
        client, server = (there, here) if turned else (here, there)
        self.flow = Flow("tcp" if tcp else "udp", client, server, when, when)
        self._client = packet.ip.dst_bytes if turned else packet.ip.src_bytes
        self._client_port = client[1]
        self._syn: int | None = tcp.seq if tcp and tcp.flags & (SYN | ACK) == SYN else None
        self.flow.whole = self._syn is not None or tcp is None
        self._answered = False
        self._up, self._down = _Side(), _Side()

    def over(self, packet: Packet, tcp: Tcp | None, when: float) -> bool:
        """Whether this packet begins another flow between the same ports."""
        if tcp is None:
            return when - self.flow.ended > _UDP_IDLE_S
        return tcp.flags & (SYN | ACK) == SYN and tcp.seq != self._syn

    def add(self, packet: Packet, tcp: Tcp | None, when: float) -> None:
        flow = self.flow
        flow.ended = when
        ports = tcp or packet.udp
        up = packet.ip.src_bytes == self._client and ports is not None and ports.sport == self._client_port
        payload = packet.payload
        if tcp is None:
            if payload:
                flow.packets.append(Data(when, len(payload), up))
                if up and len(flow.datagrams) < _DATAGRAMS:
                    flow.datagrams.append(payload)
                _keep(flow.up if up else flow.down, payload)
            return
        side = self._up if up else self._down
        if tcp.flags & SYN:
            side.start(tcp.seq + 1)
        if tcp.flags & RST:
            flow.reset = True
            return
        if up and self._syn is not None and flow.rtt is None and tcp.flags & (SYN | ACK | FIN) == ACK:
            flow.rtt = max(0.0, when - flow.began)
        if payload:
            fresh, read_ = side.add(tcp.seq, payload)
            if fresh:
                flow.packets.append(Data(when, fresh, up))
                if up and not flow.first_segment:
                    flow.first_segment = payload
            _keep(flow.up if up else flow.down, read_)


class _Side:
    """One direction's bytes: which are new, and which can be read in order by now."""

    def __init__(self) -> None:
        self._next: int | None = None
        self._top = 0
        self._held: dict[int, bytes] = {}

    def start(self, seq: int) -> None:
        """The first byte's sequence number."""
        if self._next is None:
            self._next = self._top = seq % 2**32

    def add(self, seq: int, payload: bytes) -> tuple[int, bytes]:
        """How many of these bytes were not seen before, and what is in order now."""
        if self._next is None:
            self.start(seq)
        assert self._next is not None  # noqa: S101
        end = (seq + len(payload)) % 2**32
        beyond = (end - self._top) % 2**32
        fresh = min(len(payload), beyond) if beyond < _HALF else 0
        if fresh:
            self._top = end
        elif (seq - self._next) % 2**32 < _HALF and seq not in self._held:
            fresh = len(payload)  # fills a gap
        ready = bytearray(self._take(seq, payload))
        while self._held:
            starts = [start for start in self._held if (self._next - start) % 2**32 < _HALF]
            if not starts:
                break
            for start in starts:
                ready += self._take(start, self._held.pop(start))
        return fresh, bytes(ready)

    def _take(self, seq: int, payload: bytes) -> bytes:
        assert self._next is not None  # noqa: S101
        ahead = (seq - self._next) % 2**32
        if 0 < ahead < _HALF:
            if len(self._held) < _HELD:
                self._held.setdefault(seq % 2**32, payload)
            return b""
        new = payload[(2**32 - ahead) if ahead else 0 :]
        self._next = (self._next + len(new)) % 2**32
        return new


def _keep(stream: bytearray, piece: bytes) -> None:
    if len(stream) < KEPT:
        stream += piece[: KEPT - len(stream)]


def _key(packet: Packet) -> bytes | None:
    """The same for both directions; the capture does not say which side is inside."""
    key = packet.flow_key()
    if key is None:
        return None
    size = 4 if packet.ip.version == 4 else 16
    protocol, one, two, ports = key[:1], key[1 : 1 + size], key[1 + size : 1 + 2 * size], key[1 + 2 * size :]
    if (one, ports[:2]) <= (two, ports[2:]):
        return key
    return protocol + two + one + ports[2:] + ports[:2]


def _place(end: tuple[str, int]) -> str:
    address, port = end
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
