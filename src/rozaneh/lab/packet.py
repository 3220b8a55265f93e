"""IPv4, IPv6, TCP and UDP as a middlebox reads and writes them: lazily, without copying more than the raw bytes.

Nothing here trusts a length field: `parse` returns None for what is not a whole IP packet, and a transport header that
does not fit leaves `tcp` and `udp` None. Headers are read when they are first asked for, so that a packet nobody looks
into costs next to nothing.
Numbers: RFC 791 (IPv4), RFC 8200 (IPv6), RFC 9293 (TCP), RFC 768 (UDP).
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

TCP = 6
UDP = 17
ICMP = 1
ICMPV6 = 58

FIN, SYN, RST, PSH, ACK, URG = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20

# RFC 8200 section 4: extension headers a middlebox walks through to find the transport.
_HOP_BY_HOP, _ROUTING, _FRAGMENT, _DESTINATION = 0, 43, 44, 60

_read_ipv4 = struct.Struct("!HHHBB").unpack_from
_read_tcp = struct.Struct("!HHIIBBH").unpack_from


@dataclass(slots=True)
class Ip:
    """The parts of the IP header censors ask for; addresses are packed (4 or 16 bytes), as text by `src` and `dst`."""

    version: int
    src_bytes: bytes
    dst_bytes: bytes
    protocol: int
    ttl: int
    ident: int
    fragment_offset: int
    more_fragments: bool
    transport: int  # where the transport header starts in the packet
    end: int  # where the packet ends, by its own length field

    @property
    def src(self) -> str:
        """The source address as text."""
        return text_address(self.src_bytes)

    @property
    def dst(self) -> str:
        """The destination address as text."""
        return text_address(self.dst_bytes)

    @property
    def fragment(self) -> bool:
        """Whether this is one of several fragments."""
        return self.more_fragments or self.fragment_offset > 0


@dataclass(slots=True)
class Tcp:
    """A TCP header; `data` is where its payload starts in the packet."""

    sport: int
    dport: int
    seq: int
    ack: int
    flags: int
    window: int
    data: int

    def has(self, flags: int) -> bool:
        """Whether all of `flags` are set."""
        return self.flags & flags == flags


@dataclass(slots=True)
class Udp:
    """A UDP header; `data` is where its payload starts in the packet."""

    sport: int
    dport: int
    data: int


class Packet:
    """One packet as a censor sees it; made by `parse`.

    `flow` is the asking censor's own dict for the flow. `raw_time` is the raw monotonic clock, which policers read.
    `inside_first` tells who began the flow (the sender of its SYN, or else of its first packet). `tcp` and `udp` are
    None where the packet has no such header (another protocol, a later fragment, or cut short), `payload` is what they
    carry. Headers are read once, when they are first asked for.
    """

    __slots__ = (
        "_end",
        "_key",
        "_transport",
        "flow",
        "inside_first",
        "ip",
        "outbound",
        "payload",
        "protocol",
        "raw",
        "raw_time",
        "tcp",
        "udp",
    )

    ip: Ip
    tcp: Tcp | None
    udp: Udp | None
    payload: bytes

    def __init__(
        self,
        raw: bytes,
        outbound: bool,
        flow: dict[str, Any],
        protocol: int,
        transport: int,
        end: int,
        raw_time: float = 0.0,
        inside_first: bool = True,
        key: bytes | None = None,
    ) -> None:
        self.raw = raw
        self.outbound = outbound
        self.flow = flow
        self.protocol = protocol
        self.raw_time = raw_time
        self.inside_first = inside_first
        self._transport = transport  # -1 where there are no ports to read: a later fragment
        self._end = end
        self._key = key

    if not TYPE_CHECKING:  # so that a misspelt attribute is still found by a type checker

        def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whichever of the four it is
            """Reads a part when it is first asked for; from then on its slot is filled."""
            if name == "tcp":
                value: Any = self._read_tcp()
            elif name == "payload":
                header = self.tcp or self.udp
                value = self.raw[header.data : self._end] if header else b""
            elif name == "udp":
                value = self._read_udp()
            elif name == "ip":
                raw = self.raw
                value = _ipv4(raw) if raw[0] >> 4 == 4 else _ipv6(raw)
            else:
                raise AttributeError(f"a packet has no {name!r}")
            setattr(self, name, value)
            return value

    @property
    def inside_bytes(self) -> bytes:
        """The address on the readers' side, packed."""
        return self.ip.src_bytes if self.outbound else self.ip.dst_bytes

    @property
    def outside_bytes(self) -> bytes:
        """The address on the far side, packed."""
        return self.ip.dst_bytes if self.outbound else self.ip.src_bytes

    @property
    def inside(self) -> str:
        """The address on the readers' side, as text."""
        return text_address(self.inside_bytes)

    @property
    def outside(self) -> str:
        """The address on the far side, as text."""
        return text_address(self.outside_bytes)

    @property
    def inside_port(self) -> int:
        """The port on the readers' side, 0 for what has none."""
        header = self.tcp or self.udp
        return (header.sport if self.outbound else header.dport) if header else 0

    @property
    def outside_port(self) -> int:
        """The port on the far side, 0 for what has none."""
        header = self.tcp or self.udp
        return (header.dport if self.outbound else header.sport) if header else 0

    def flow_key(self) -> bytes | None:
        """The same bytes for both directions of one flow, None for what has no ports.

        They are the protocol, the inside address, the outside address, the inside port and the outside port.
        """
        key = self._key
        if key is None:
            at = self._transport
            if self.protocol not in (TCP, UDP) or at < 0 or at + 4 > self._end:
                return None
            ip = self.ip
            ports = self.raw[at : at + 4]
            if self.outbound:
                key = bytes((self.protocol,)) + ip.src_bytes + ip.dst_bytes + ports
            else:
                key = bytes((self.protocol,)) + ip.dst_bytes + ip.src_bytes + ports[2:] + ports[:2]
            self._key = key
        return key

    def describe(self) -> str:
        """The packet in a few words, for a timeline."""
        ip, tcp, udp = self.ip, self.tcp, self.udp
        if tcp:
            flags = "".join(letter for bit, letter in enumerate("FSRPA") if tcp.flags >> bit & 1) or "-"
            return f"tcp {ip.src}:{tcp.sport} > {ip.dst}:{tcp.dport} {flags} {self._end - tcp.data}"
        if udp:
            return f"udp {ip.src}:{udp.sport} > {ip.dst}:{udp.dport} {self._end - udp.data}"
        part = f" fragment at {ip.fragment_offset}" if ip.fragment else ""
        return f"ip proto {ip.protocol} {ip.src} > {ip.dst} {len(self.raw)}{part}"

    def _read_tcp(self) -> Tcp | None:
        at, end = self._transport, self._end
        if self.protocol != TCP or at < 0 or at + 20 > end:
            return None
        sport, dport, seq, ack, offset, flags, window = _read_tcp(self.raw, at)
        data = at + (offset >> 4) * 4
        if data < at + 20 or data > end:
            return None
        return Tcp(sport, dport, seq, ack, flags, window, data)

    def _read_udp(self) -> Udp | None:
        at = self._transport
        if self.protocol != UDP or at < 0 or at + 8 > self._end:
            return None
        raw = self.raw
        return Udp(raw[at] << 8 | raw[at + 1], raw[at + 2] << 8 | raw[at + 3], at + 8)


def parse(raw: bytes, outbound: bool) -> Packet | None:
    """Reads a packet that starts at its IP header; None when it is not a whole IPv4 or IPv6 packet."""
    if len(raw) < 20:
        return None
    version = raw[0] >> 4
    ip = _ipv4(raw) if version == 4 else _ipv6(raw) if version == 6 else None
    if ip is None:
        return None
    transport = -1 if ip.fragment_offset else ip.transport
    packet = Packet(raw, outbound, {}, ip.protocol, transport, ip.end)
    packet.ip = ip
    return packet


def _ipv4(raw: bytes) -> Ip | None:
    total, ident, fragment, ttl, protocol = _read_ipv4(raw, 2)
    header = (raw[0] & 15) * 4
    if header < 20 or total < header or total > len(raw):
        return None
    return Ip(
        4, raw[12:16], raw[16:20], protocol, ttl, ident, (fragment & 0x1FFF) * 8, bool(fragment & 0x2000), header, total
    )


def _ipv6(raw: bytes) -> Ip | None:
    if len(raw) < 40:
        return None
    length, protocol, hops = struct.unpack_from("!HBB", raw, 4)
    end, at = 40 + length, 40
    if end > len(raw):
        return None
    ident = offset = 0
    more = False
    while protocol in (_HOP_BY_HOP, _ROUTING, _DESTINATION, _FRAGMENT) and not offset:
        if at + 8 > end:
            return None
        following, size = raw[at], raw[at + 1]
        if protocol == _FRAGMENT:
            field, ident = struct.unpack_from("!HI", raw, at + 2)
            offset, more, size = field & 0xFFF8, bool(field & 1), 0
        at += 8 + size * 8
        protocol = following
    if at > end:
        return None
    return Ip(6, raw[8:24], raw[24:40], protocol, hops, ident, offset, more, at, end)


def text_address(packed: bytes) -> str:
    """A packed address as text."""
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def packed_address(text: str) -> bytes:
    """An address in text as 4 or 16 bytes."""
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071).

    The ones' complement sum of 16-bit words equals the whole taken modulo 65,535, which Python does in one step; only
    all zeroes sum to 0, every other multiple of 65,535 to 0xffff.
    """
    if len(data) % 2:
        data += b"\0"
    whole = int.from_bytes(data, "big")
    total = whole % 0xFFFF
    if total == 0 and whole:
        total = 0xFFFF
    return total ^ 0xFFFF


def ip_packet(
    src: bytes, dst: bytes, protocol: int, body: bytes, *, ttl: int = 64, ident: int = 0, dont_fragment: bool = True
) -> bytes:
    """`body` behind an IPv4 or IPv6 header, by the addresses' length."""
    if len(src) == 16:
        return struct.pack("!IHBB", 0x6000_0000, len(body), protocol, ttl) + src + dst + body
    fragment = 0x4000 if dont_fragment else 0
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), ident, fragment, ttl, protocol, 0) + src + dst
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body


def transport_checksum(src: bytes, dst: bytes, protocol: int, body: bytes) -> int:
    """The checksum of a TCP or UDP segment with its pseudo header (RFC 9293 3.1, RFC 8200 8.1)."""
    if len(src) == 16:
        pseudo = src + dst + struct.pack("!II", len(body), protocol)
    else:
        pseudo = src + dst + struct.pack("!HH", protocol, len(body))
    value = checksum(pseudo + body)
    return 0xFFFF if protocol == UDP and value == 0 else value  # RFC 768: zero means none


def tcp_packet(
    src: bytes,
    dst: bytes,
    sport: int,
    dport: int,
    *,
    seq: int,
    ack: int = 0,
    flags: int = ACK,
    window: int = 0,
    payload: bytes = b"",
    ttl: int = 64,
    ident: int = 0,
    options: bytes = b"",
    dont_fragment: bool = True,
    data_offset: int | None = None,
    urgent: int = 0,
    checksum_off_by: int = 0,
) -> bytes:
    """A whole TCP packet, checksums included.

    Args:
        src: Packed.
        dst: Packed.
        sport: Port.
        dport: Port.
        seq: Taken modulo 2**32, as `ack` is.
        ack: See there.
        flags: FIN to URG.
        window: As it stands in the header, without a scale.
        payload: What it carries.
        ttl: Or hop limit.
        ident: IPv4 only.
        options: Padded to a multiple of four with zeros (end of options).
        dont_fragment: IPv4 only.
        data_offset: In words, where it is to be a wrong one.
        urgent: The urgent pointer.
        checksum_off_by: What is added to the right checksum, where it is to be wrong.
    """
    options += b"\0" * (-len(options) % 4)
    words = 5 + len(options) // 4 if data_offset is None else data_offset
    body = (
        struct.pack("!HHIIBBHHH", sport, dport, seq % 2**32, ack % 2**32, words << 4, flags, window, 0, urgent)
        + options
        + payload
    )
    value = (transport_checksum(src, dst, TCP, body) + checksum_off_by) & 0xFFFF
    body = body[:16] + struct.pack("!H", value) + body[18:]
    return ip_packet(src, dst, TCP, body, ttl=ttl, ident=ident, dont_fragment=dont_fragment)


def udp_packet(
    src: bytes,
    dst: bytes,
    sport: int,
    dport: int,
    payload: bytes,
    *,
    ttl: int = 64,
    ident: int = 0,
    dont_fragment: bool = True,
) -> bytes:
    """A whole UDP packet, checksums included."""
    body = struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload
    value = transport_checksum(src, dst, UDP, body)
    body = body[:6] + struct.pack("!H", value) + body[8:]
    return ip_packet(src, dst, UDP, body, ttl=ttl, ident=ident, dont_fragment=dont_fragment)


def transport_checksum_good(packet: Packet) -> bool:
    """Whether the TCP or UDP checksum of a whole packet is right; an IPv4 datagram without one (RFC 768) counts so."""
    ip = packet.ip
    if packet.tcp is None and packet.udp is None:
        return False
    body = packet.raw[ip.transport : ip.end]
    if packet.udp is not None and body[6:8] == b"\0\0":
        return ip.version == 4
    # With the right checksum in its place the sum of everything is zero.
    return transport_checksum(ip.src_bytes, ip.dst_bytes, ip.protocol, body) in (0, 0xFFFF)


def one_hop_less(frame: bytearray | memoryview, at: int) -> bool:
    """Takes one from the TTL or hop limit of the packet at `at` in `frame`, in place; False when it has run out.

    The IPv4 header checksum is corrected rather than computed again (RFC 1624), so that a wrong one stays wrong.
    """
    if frame[at] >> 4 == 6:
        if frame[at + 7] <= 1:
            return False
        frame[at + 7] -= 1
        return True
    if frame[at + 8] <= 1:
        return False
    frame[at + 8] -= 1
    total = (frame[at + 10] << 8 | frame[at + 11]) + 0x0100
    total = (total & 0xFFFF) + (total >> 16)
    frame[at + 10] = total >> 8
    frame[at + 11] = total & 0xFF
    return True
