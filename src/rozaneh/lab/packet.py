"""IPv4, IPv6, TCP and UDP as a middlebox reads and writes them: lazily, without copying more than the raw bytes.

Nothing here trusts a length field: `parse` returns None for what is not a whole IP packet, and a transport header that
does not fit leaves `tcp` and `udp` None. Headers are plain (not frozen) dataclasses: one is made for every packet.
Numbers: RFC 791 (IPv4), RFC 8200 (IPv6), RFC 9293 (TCP), RFC 768 (UDP).
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import Any

TCP = 6
UDP = 17
ICMP = 1
ICMPV6 = 58

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10

# RFC 8200 section 4: extension headers a middlebox walks through to find the transport.
_HOP_BY_HOP, _ROUTING, _FRAGMENT, _DESTINATION = 0, 43, 44, 60


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
    """One packet as a censor sees it. Transport headers are read when they are first asked for."""

    __slots__ = ("_tcp", "_udp", "flow", "ip", "outbound", "raw")

    def __init__(self, raw: bytes, outbound: bool, ip: Ip) -> None:
        self.raw = raw
        self.outbound = outbound
        self.ip = ip
        self.flow: dict[str, Any] = {}
        self._tcp: Tcp | bool | None = False
        self._udp: Udp | bool | None = False

    @property
    def tcp(self) -> Tcp | None:
        """The TCP header, or None (another protocol, a later fragment, or cut short)."""
        if self._tcp is False:
            self._tcp = _tcp(self.raw, self.ip)
        return self._tcp  # type: ignore[return-value]  # never a bool after the line above

    @property
    def udp(self) -> Udp | None:
        """The UDP header, or None (another protocol, a later fragment, or cut short)."""
        if self._udp is False:
            self._udp = _udp(self.raw, self.ip)
        return self._udp  # type: ignore[return-value]  # never a bool after the line above

    @property
    def payload(self) -> bytes:
        """What TCP or UDP carries; empty without a transport header."""
        header = self.tcp or self.udp
        return self.raw[header.data : self.ip.end] if header else b""

    def flow_key(self) -> bytes | None:
        """The same bytes for both directions of one flow, None for what has no ports."""
        ip = self.ip
        if ip.protocol not in (TCP, UDP) or ip.fragment_offset or ip.transport + 4 > ip.end:
            return None
        ports = self.raw[ip.transport : ip.transport + 4]
        if self.outbound:
            return bytes((ip.protocol,)) + ip.src_bytes + ip.dst_bytes + ports
        return bytes((ip.protocol,)) + ip.dst_bytes + ip.src_bytes + ports[2:] + ports[:2]

    def describe(self) -> str:
        """The packet in a few words, for a timeline."""
        ip, tcp, udp = self.ip, self.tcp, self.udp
        if tcp:
            flags = "".join(letter for bit, letter in enumerate("FSRPA") if tcp.flags >> bit & 1) or "-"
            return f"tcp {ip.src}:{tcp.sport} > {ip.dst}:{tcp.dport} {flags} {len(self.payload)}"
        if udp:
            return f"udp {ip.src}:{udp.sport} > {ip.dst}:{udp.dport} {len(self.payload)}"
        return f"ip proto {ip.protocol} {ip.src} > {ip.dst} {len(self.raw)}"


def parse(raw: bytes, outbound: bool) -> Packet | None:
    """Reads a packet that starts at its IP header; None when it is not a whole IPv4 or IPv6 packet."""
    if len(raw) < 20:
        return None
    version = raw[0] >> 4
    ip = _ipv4(raw) if version == 4 else _ipv6(raw) if version == 6 else None
    return Packet(raw, outbound, ip) if ip else None


def _ipv4(raw: bytes) -> Ip | None:
    total, ident, fragment, ttl, protocol = struct.unpack_from("!HHHBB", raw, 2)
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


def _tcp(raw: bytes, ip: Ip) -> Tcp | None:
    at = ip.transport
    if ip.protocol != TCP or ip.fragment_offset or at + 20 > ip.end:
        return None
    sport, dport, seq, ack, offset, flags, window = struct.unpack_from("!HHIIBBH", raw, at)
    data = at + (offset >> 4) * 4
    if data < at + 20 or data > ip.end:
        return None
    return Tcp(sport, dport, seq, ack, flags, window, data)


def _udp(raw: bytes, ip: Ip) -> Udp | None:
    at = ip.transport
    if ip.protocol != UDP or ip.fragment_offset or at + 8 > ip.end:
        return None
    sport, dport = struct.unpack_from("!HH", raw, at)
    return Udp(sport, dport, at + 8)


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
) -> bytes:
    """A whole TCP packet without options, checksums included."""
    body = struct.pack("!HHIIBBHHH", sport, dport, seq % 2**32, ack % 2**32, 5 << 4, flags, window, 0, 0) + payload
    value = transport_checksum(src, dst, TCP, body)
    body = body[:16] + struct.pack("!H", value) + body[18:]
    return ip_packet(src, dst, TCP, body, ttl=ttl, ident=ident)


def udp_packet(
    src: bytes, dst: bytes, sport: int, dport: int, payload: bytes, *, ttl: int = 64, ident: int = 0
) -> bytes:
    """A whole UDP packet, checksums included."""
    body = struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload
    value = transport_checksum(src, dst, UDP, body)
    body = body[:6] + struct.pack("!H", value) + body[8:]
    return ip_packet(src, dst, UDP, body, ttl=ttl, ident=ident)


def one_hop_less(frame: bytearray, at: int) -> bool:
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
