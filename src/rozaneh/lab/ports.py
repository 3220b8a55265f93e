"""The router's two ends: packet sockets that take whole frames off an interface and put them there.

Frames come in through a ring of memory shared with the kernel (TPACKET_V2), so that taking one costs no call and a
burst fits even where an ordinary user's socket buffer would not hold it.
"""

from __future__ import annotations

import fcntl
import mmap
import socket
import struct
from pathlib import Path

import msgspec

from rozaneh.lab.links import Link
from rozaneh.lab.pcap import Writer

# linux/if_packet.h, linux/if_ether.h, linux/sockios.h
_SOL_PACKET = 263
_PACKET_RX_RING = 5
_PACKET_STATISTICS = 6
_PACKET_VERSION = 10
_PACKET_QDISC_BYPASS = 20
_PACKET_IGNORE_OUTGOING = 23
_TPACKET_V2 = 1
_SIOCGIFMTU = 0x8921
_ETH_P_ALL = 3
_IPV4, _IPV6 = b"\x08\x00", b"\x86\xdd"

ETHER = 14
_FRAMES = 4_096
_BLOCK = 1 << 16
_HEADER = 96  # a frame's own head in the ring (tpacket2_hdr, sockaddr_ll, alignment), at most


class Side(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of the router's two interfaces: the address it answers for, and the kernel at the cable's other end."""

    interface: str
    gateway_mac: str
    peer_mac: str
    capture: str | None = None


class Ring:
    """Frames the kernel has put into shared memory; each is read, and may be changed, where it lies.

    `words` and `halves` are the ring as 32- and 16-bit numbers. A frame begins with its status (word 0; 0 means the
    kernel's), its captured length (word 2) and where its Ethernet header lies (half 6).
    """

    __slots__ = ("_map", "count", "data", "frame", "halves", "next", "words")

    def __init__(self, line: socket.socket, interface: str) -> None:
        mtu = struct.unpack_from("=i", fcntl.ioctl(line, _SIOCGIFMTU, struct.pack("16s16x", interface.encode())), 16)[0]
        self.frame = 1 << (mtu + ETHER + _HEADER - 1).bit_length()
        self.count = _FRAMES
        block = max(_BLOCK, self.frame)
        size = self.frame * self.count
        line.setsockopt(_SOL_PACKET, _PACKET_VERSION, struct.pack("=i", _TPACKET_V2))
        line.setsockopt(_SOL_PACKET, _PACKET_RX_RING, struct.pack("=4I", block, size // block, self.frame, self.count))
        self._map = mmap.mmap(line.fileno(), size)
        self.data = memoryview(self._map)
        self.words = self.data.cast("I")
        self.halves = self.data.cast("H")
        self.next = 0


class Port:
    """A packet socket on one interface, the heads its frames leave with, and the line behind it (None: perfect)."""

    def __init__(self, side: Side, link: Link | None = None) -> None:
        peer, own = (bytes.fromhex(mac.replace(":", "")) for mac in (side.peer_mac, side.gateway_mac))
        self.head4, self.head6 = peer + own + _IPV4, peer + own + _IPV6
        self.own = own
        self.link = link
        self.capture = Writer(Path(side.capture)) if side.capture else None
        self.lost = 0
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
        self.socket.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        self.socket.setsockopt(_SOL_PACKET, _PACKET_QDISC_BYPASS, 1)
        self.ring = Ring(self.socket, side.interface)
        self.socket.bind((side.interface, _ETH_P_ALL))

    def send(self, frame: memoryview | bytes, wall: float) -> None:
        """Puts a frame out; a full queue loses it, as a router's would."""
        try:
            self.socket.send(frame)
        except OSError:
            self.lost += 1
            return
        if self.capture:
            self.capture.write(bytes(frame[ETHER:]), wall)

    def send_packet(self, raw: bytes, wall: float) -> None:
        """Puts a packet out that starts at its IP header."""
        self.send((self.head6 if raw[0] >> 4 == 6 else self.head4) + raw, wall)

    def overrun(self) -> int:
        """How many frames found the ring full since this was last asked."""
        _, dropped = struct.unpack("=2I", self.socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
        self.lost += dropped
        return int(dropped)
