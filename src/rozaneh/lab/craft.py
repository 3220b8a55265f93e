"""Packets made by hand as kernels make them: one TCP connection or one datagram, in either direction, v4 and v6.

What a strategy gets wrong on purpose (a checksum, a TTL, a sequence number, flags, options) is an argument; everything
else is what Linux would send. Each method returns the packet's bytes from the IP header on.
"""

from __future__ import annotations

import struct
from typing import Literal

from rozaneh.lab.packet import ACK, FIN, PSH, RST, SYN, ip_packet, packed_address, parse, tcp_packet, udp_packet

End = tuple[str, int]
Checksum = Literal["good", "bad"]

READER, SITE = "151.240.18.77", "185.146.21.20"
READER6, SITE6 = "2a0d:5600:41:7::12", "2a04:4e42:77::20"

_MSS = {4: 1_460, 6: 1_440}  # of an MTU of 1,500


class Connection:
    """A TCP connection. What is sent moves its sender's sequence number, unless it says where it stands (`at`).

    `outbound` is a packet's direction at the middlebox: the client's own, when the client is inside.
    """

    def __init__(
        self,
        client: End | None = None,
        server: End | None = None,
        *,
        v6: bool = False,
        isn: int = 1_000,
        server_isn: int = 5_000,
        timestamps: bool = False,
        outside_client: bool = False,
        client_ttl: int = 64,
        server_ttl: int = 57,
    ) -> None:
        """`server_ttl` is what is left of a server's 64 seven hops away."""
        self.client = client or (READER6 if v6 else READER, 40_000)
        self.server = server or (SITE6 if v6 else SITE, 443)
        self.isn, self.server_isn = isn, server_isn
        self.seq, self.server_seq = isn, server_isn  # the next ones
        self.timestamps = timestamps
        self.outside_client = outside_client
        self._ends = (packed_address(self.client[0]), packed_address(self.server[0]))
        self._ttl = (client_ttl, server_ttl)
        self._ident = [1, 30_001]
        self._ticks = 100_000

    def syn(
        self, payload: bytes = b"", *, options: bytes | None = None, flags: int = SYN, seq: int | None = None
    ) -> bytes:
        """The client's SYN; it begins the numbering anew."""
        self.isn = self.isn if seq is None else seq
        self.seq = self.isn
        return self.send(
            payload,
            outbound=not self.outside_client,
            flags=flags,
            ack=0,
            options=self._handshake(options),
            window=64_240,
        )

    def syn_ack(self, payload: bytes = b"", *, options: bytes | None = None, flags: int = SYN | ACK) -> bytes:
        """The server's SYN+ACK."""
        self.server_seq = self.server_isn
        return self.send(
            payload, outbound=self.outside_client, flags=flags, options=self._handshake(options), window=65_160
        )

    def handshake(self) -> list[tuple[bytes, bool]]:
        """The three packets a connection begins with, each with its direction."""
        out = not self.outside_client
        return [(self.syn(), out), (self.syn_ack(), not out), (self.ack(outbound=out), out)]

    def ack(self, *, outbound: bool = True, ttl: int | None = None, checksum: Checksum = "good") -> bytes:
        """A bare acknowledgement."""
        return self.send(b"", outbound=outbound, flags=ACK, ttl=ttl, checksum=checksum)

    def data(
        self,
        payload: bytes,
        *,
        outbound: bool = True,
        at: int | None = None,
        checksum: Checksum = "good",
        ttl: int | None = None,
        flags: int = PSH | ACK,
        options: bytes | None = None,
        ack: int | None = None,
        window: int = 501,
        data_offset: int | None = None,
        urgent: int = 0,
    ) -> bytes:
        """Bytes of the stream; `at` counts from its first one and leaves the numbering as it is."""
        return self.send(
            payload,
            outbound=outbound,
            at=at,
            checksum=checksum,
            ttl=ttl,
            flags=flags,
            options=options,
            ack=ack,
            window=window,
            data_offset=data_offset,
            urgent=urgent,
        )

    def fin(self, *, outbound: bool = True, flags: int = FIN | ACK, ttl: int | None = None) -> bytes:
        """The end of one direction."""
        return self.send(b"", outbound=outbound, flags=flags, ttl=ttl)

    def rst(
        self,
        *,
        outbound: bool = True,
        flags: int = RST,
        ttl: int | None = None,
        checksum: Checksum = "good",
        at: int | None = None,
    ) -> bytes:
        """A reset; `flags=RST | ACK` for one that acknowledges."""
        return self.send(b"", outbound=outbound, flags=flags, ttl=ttl, checksum=checksum, at=at, window=0)

    def send(
        self,
        payload: bytes = b"",
        *,
        outbound: bool = True,
        flags: int = ACK,
        at: int | None = None,
        seq: int | None = None,
        ack: int | None = None,
        checksum: Checksum = "good",
        ttl: int | None = None,
        options: bytes | None = None,
        window: int = 501,
        data_offset: int | None = None,
        urgent: int = 0,
    ) -> bytes:
        """Any packet of the connection; `seq` is a sequence number as it stands in the header."""
        side = int(outbound == self.outside_client)  # 0: from the client
        own, peer = (self.seq, self.server_seq) if side == 0 else (self.server_seq, self.seq)
        stays = at is not None or seq is not None
        if at is not None:
            own = (self.server_isn if side else self.isn) + 1 + at
        if seq is not None:
            own = seq
        ends = (self.client[1], self.server[1])
        if options is None:
            options = b"\x01\x01" + self._timestamps() if self.timestamps and not flags & RST else b""
        raw = tcp_packet(
            self._ends[side],
            self._ends[1 - side],
            ends[side],
            ends[1 - side],
            seq=own,
            ack=(peer if flags & ACK else 0) if ack is None else ack,
            flags=flags,
            window=window,
            payload=payload,
            ttl=self._ttl[side] if ttl is None else ttl,
            ident=self._ident[side],
            options=options,
            data_offset=data_offset,
            urgent=urgent,
            checksum_off_by=0 if checksum == "good" else 0x55,
        )
        self._ident[side] = (self._ident[side] + 1) & 0xFFFF
        if not stays and checksum == "good":
            moved = own + len(payload) + bool(flags & SYN) + bool(flags & FIN)
            if side:
                self.server_seq = moved
            else:
                self.seq = moved
        return raw

    def _handshake(self, options: bytes | None) -> bytes:
        """Linux's options of a SYN: MSS, SACK permitted, timestamps where they are on, window scale."""
        if options is not None:
            return options
        mss = struct.pack("!BBH", 2, 4, _MSS[4 if len(self._ends[0]) == 4 else 6])
        rest = b"\x04\x02" + self._timestamps() if self.timestamps else b"\x01\x01\x04\x02"
        return mss + rest + b"\x01\x03\x03\x07"

    def _timestamps(self) -> bytes:
        self._ticks += 1
        return struct.pack("!BBII", 8, 10, self._ticks, 0)


def datagram(
    payload: bytes,
    *,
    client: End | None = None,
    server: End | None = None,
    v6: bool = False,
    outbound: bool = True,
    ttl: int | None = None,
) -> bytes:
    """A UDP packet from the client, or with `outbound=False` from the server back to it."""
    near, far = client or (READER6 if v6 else READER, 50_000), server or (SITE6 if v6 else SITE, 53)
    (source, sport), (target, dport) = (near, far) if outbound else (far, near)
    hops = (64 if outbound else 57) if ttl is None else ttl
    return udp_packet(
        packed_address(source), packed_address(target), sport, dport, payload, ttl=hops, dont_fragment=False
    )


def fragments(raw: bytes, size: int, *, ident: int = 4_242) -> list[bytes]:
    """A whole packet as IP fragments of at most `size` bytes of its body each (a multiple of eight)."""
    whole = parse(raw, True)
    if whole is None or size < 8 or size % 8:
        raise ValueError("fragments are made of a whole packet, and carry a multiple of eight bytes")
    ip = whole.ip
    body = raw[ip.transport : ip.end]
    made = []
    for at in range(0, len(body), size):
        part, more = body[at : at + size], at + size < len(body)
        if ip.version == 4:
            head = bytearray(
                ip_packet(ip.src_bytes, ip.dst_bytes, ip.protocol, part, ttl=ip.ttl, ident=ident, dont_fragment=False)
            )
            struct.pack_into("!H", head, 6, (0x2000 if more else 0) | at // 8)
            made.append(_with_header_sum(head))
        else:
            head6 = struct.pack("!BBHI", ip.protocol, 0, at | more, ident)
            made.append(ip_packet(ip.src_bytes, ip.dst_bytes, 44, head6 + part, ttl=ip.ttl))
    return made


def _with_header_sum(head: bytearray) -> bytes:
    """An IPv4 packet with its header's checksum computed anew."""
    head[10:12] = b"\0\0"
    total = sum(struct.unpack_from("!10H", head))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    struct.pack_into("!H", head, 10, total ^ 0xFFFF)
    return bytes(head)
