"""How a middlebox follows TCP connections, and what makes it lose them: the catalogue's E1, each habit a parameter.

A table of control blocks (TCBs) of one rule. It decides who is the client, which packets it believes (checksum, window,
direction), what RST, FIN, SYN, SYN+ACK and bare ACKs do to its state, and hands the client's data to a `Stream`. It
keeps its own table beside the chain's flows, since some habits outlive what a kernel calls a connection: a SYN+ACK from
the client before its SYN, or a box that keeps its old block when a new SYN comes.

`PRESETS` are the model censors 1 to 11 and 8b of Geneva (CCS'19; taxonomy as in the catalogue's section 9), by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from types import MappingProxyType
from typing import Any, Literal

from rozaneh.lab.censors.base import Settings
from rozaneh.lab.packet import ACK, FIN, RST, SYN, TCP, Packet, Tcp, transport_checksum
from rozaneh.lab.reassembly import LIMIT, Mode, Overlap, Stream

MAX_BLOCKS = 65_536
_HALF = 1 << 31
_MASK = (1 << 32) - 1

Effect = Literal["ignore", "teardown", "resync"]
Event = Literal["syn", "syn+ack", "ack", "data"]


class TcbSettings(Settings, frozen=True, kw_only=True):
    """What a box needs, believes and does to its state. The defaults are the GFW's where it is known.

    Attributes:
        needs: What must have been seen before data counts: nothing, the SYN, or the SYN and its SYN+ACK.
        initiator: Whose connections are followed at all: those begun inside, outside, or any.
        checksum: Whether segments with a wrong TCP checksum are ignored.
        window: How far from the next byte a segment may begin and still be believed, in bytes; 0 does not look.
        old_data: Data from before the stream's first byte: `trim` cuts it off, `accept` reads it as the first bytes.
        rst: What a RST does to a connection whose handshake is over.
        rst_early: What a RST does before the handshake is over (the server's SYN+ACK answered by an ACK, or data).
        rst_from: Whose RSTs and FINs count.
        fin: What a FIN does.
        teardown: What a teardown forgets: that `flow`, or every connection between the two `addresses`.
        resync_p: How likely `resync` is each time; otherwise nothing happens.
        resync_on: Which of the client's packets (`syn+ack`: the server's) a box that lost its place takes it from.
        resync_reads: Whether the packet with data it takes its place from is read itself, or only what follows it.
        resync_every: Each packet of the client with this number sets the place anew; 0 for none.
        ack_moves: Whether a bare ACK of the client before its first data sets the place of the first byte.
        on_syn: A SYN of a connection that is followed already: a `new` one, or `keep` the old block.
        syn_ack_first: A SYN+ACK before any SYN: `ignore` it, or take its sender for the `server`.
        syn_data: Whether what a SYN carries counts as data.
        expiry_s: After how many seconds without a packet a block is forgotten.
        rst_expiry_s: The same after a RST that was otherwise ignored; 0 for no such rule.
        reassembly: What is put together of the client's segments.
        max_bytes: How many of its first bytes are read.
        max_segments: How many of its segments are put together; 0 for any number.
        overlap: Which byte counts where segments overlap.
    """

    needs: Literal["none", "syn", "syn+ack"] = "syn"
    initiator: Literal["inside", "outside", "any"] = "inside"
    checksum: bool = False
    window: int = 0
    old_data: Literal["trim", "accept"] = "trim"
    rst: Effect = "ignore"
    rst_early: Effect = "ignore"
    rst_from: Literal["client", "any"] = "any"
    fin: Effect = "ignore"
    teardown: Literal["flow", "addresses"] = "flow"
    resync_p: float = 1.0
    resync_on: tuple[Event, ...] = ("syn", "syn+ack", "data")
    resync_reads: bool = True
    resync_every: int = 0
    ack_moves: bool = False
    on_syn: Literal["new", "keep"] = "new"
    syn_ack_first: Literal["ignore", "server"] = "ignore"
    syn_data: bool = False
    expiry_s: float = 300.0
    rst_expiry_s: float = 0.0
    reassembly: Mode = "full"
    max_bytes: int = LIMIT
    max_segments: int = 0
    overlap: Overlap = "first"


class Block:
    """One connection as the box believes it to be.

    Attributes:
        outbound: Which way the client's packets go.
        stream: What it read of the client's data.
        syn_ack: Whether the server's SYN+ACK was seen.
        opened: Whether the handshake is over.
        lost: Whether the box lost its place and waits for a packet to take it from.
        done: Whether the rule that asked has all it wants.
        first_length: How long the client's first segment with data was; -1 before there is one.
        looked: How many of the client's segments with data were looked at.
        seen: How many packets of the client came after its SYN.
    """

    __slots__ = (
        "done",
        "expiry",
        "first_length",
        "last",
        "looked",
        "lost",
        "opened",
        "outbound",
        "seen",
        "stream",
        "syn",
        "syn_ack",
    )

    def __init__(self, outbound: bool, stream: Stream, now: float, expiry: float) -> None:
        self.outbound = outbound
        self.stream = stream
        self.last = now
        self.expiry = expiry
        self.syn = -1
        self.syn_ack = self.opened = self.lost = self.done = False
        self.first_length = -1
        self.looked = self.seen = 0


class Table:
    """All connections one rule follows; bounded in number and in age."""

    def __init__(self, settings: TcbSettings, rng: Random, limit: int = MAX_BLOCKS) -> None:
        self._settings = settings
        self._rng = rng
        self._limit = limit
        self._blocks: dict[bytes, Block] = {}
        self._next_sweep = 0.0

    def __len__(self) -> int:
        return len(self._blocks)

    def follow(self, p: Packet, tcp: Tcp, now: float) -> tuple[Block, bytes] | None:
        """Takes one packet; where it brought data of the client's: its connection and what can be read of it by now."""
        settings = self._settings
        if settings.checksum and not checksum_holds(p):
            return None
        key = p.flow_key()
        if key is None:
            return None
        block = self._blocks.get(key)
        if block is not None and now - block.last > block.expiry:
            del self._blocks[key]
            block = None
        flags = tcp.flags
        if block is not None:
            block.last = now
            if p.outbound == block.outbound and not flags & SYN:
                block.seen += 1
            if settings.window and not self._in_window(block, p, tcp):
                return None
            if flags & (RST | FIN) and (p.outbound == block.outbound or settings.rst_from == "any"):
                block = self._ending(key, block, flags)
                if block is None or flags & RST:
                    return None
        elif flags & RST:
            return None
        if flags & SYN:
            return self._syn(key, block, p, tcp, now)
        return self._data(key, block, p, tcp, now)

    def _syn(self, key: bytes, block: Block | None, p: Packet, tcp: Tcp, now: float) -> tuple[Block, bytes] | None:
        settings = self._settings
        if tcp.flags & ACK:
            if block is None:
                if settings.syn_ack_first == "server" and self._admits(not p.outbound):
                    block = self._make(key, not p.outbound, now)
                    block.stream.start((tcp.ack - 1) & _MASK)
                    block.syn_ack = True
            elif p.outbound != block.outbound:
                block.syn_ack = True
                if block.lost and "syn+ack" in settings.resync_on:
                    block.stream.move(tcp.ack)
                    block.lost = False
            return None
        if block is not None:
            if p.outbound != block.outbound:
                return None  # a simultaneous open: the first SYN's sender stays the client
            again = block.syn == tcp.seq
            if not again and settings.on_syn == "keep" and not block.lost:
                return None
            if block.lost and "syn" not in settings.resync_on:
                return None
            if not again or block.lost:
                block = None
        if block is None:
            if not self._admits(p.outbound):
                return None
            block = self._make(key, p.outbound, now)
            block.syn = tcp.seq
            block.stream.start(tcp.seq)
        if settings.syn_data:
            return self._read(block, (tcp.seq + 1) & _MASK, p.payload)
        return None

    def _data(self, key: bytes, block: Block | None, p: Packet, tcp: Tcp, now: float) -> tuple[Block, bytes] | None:
        settings = self._settings
        payload = p.payload
        if block is None:
            if settings.needs != "none" or not payload or not self._admits(p.outbound):
                return None
            block = self._make(key, p.outbound, now)
            block.stream.move(tcp.seq)
        if p.outbound != block.outbound:
            return None
        if settings.resync_every and block.seen % settings.resync_every == 0:
            block.stream.move(tcp.seq)
        if not payload:
            if settings.ack_moves and block.looked == 0 and tcp.flags & ACK:
                block.stream.move(tcp.seq)
            if block.lost and "ack" in settings.resync_on:
                block.stream.move(tcp.seq)
                block.lost = False
            if block.syn_ack:
                block.opened = True
            return None
        if settings.needs == "syn+ack" and not block.syn_ack:
            return None
        block.opened = True
        if block.lost:
            if "data" not in settings.resync_on:
                return None
            block.lost = False
            block.stream.move(tcp.seq)
            if not settings.resync_reads:
                block.stream.move(tcp.seq + len(payload))
                block.looked += 1
                return None
        return self._read(block, tcp.seq, payload)

    def _read(self, block: Block, seq: int, payload: bytes) -> tuple[Block, bytes] | None:
        if not payload:
            return None
        stream = block.stream
        if self._settings.old_data == "accept" and block.looked == 0 and (seq - stream.next_seq) & _MASK > _HALF:
            stream.move(seq)
        if block.first_length < 0:
            block.first_length = len(payload)
        block.looked += 1
        return block, stream.add(seq, payload)

    def _ending(self, key: bytes, block: Block, flags: int) -> Block | None:
        """What a RST or FIN leaves of a block."""
        settings = self._settings
        effect = settings.fin if not flags & RST else settings.rst if block.opened else settings.rst_early
        if effect == "teardown":
            if settings.teardown == "addresses":
                for other in [k for k in self._blocks if k[1:-4] == key[1:-4]]:
                    del self._blocks[other]
            else:
                del self._blocks[key]
            return None
        if effect == "resync" and (settings.resync_p >= 1 or self._rng.random() < settings.resync_p):
            block.lost = True
        if flags & RST and settings.rst_expiry_s:
            block.expiry = settings.rst_expiry_s
        return block

    def _in_window(self, block: Block, p: Packet, tcp: Tcp) -> bool:
        settings = self._settings
        if p.outbound != block.outbound or block.lost or not block.stream.started or tcp.flags & SYN:
            return True
        if settings.resync_every and block.seen % settings.resync_every == 0:
            return True
        if settings.ack_moves and block.looked == 0 and tcp.flags == ACK and not p.payload:
            return True
        distance = (tcp.seq - block.stream.next_seq) & _MASK
        return distance < settings.window or _MASK + 1 - distance <= settings.window

    def _admits(self, outbound: bool) -> bool:
        initiator = self._settings.initiator
        return initiator == "any" or (initiator == "inside") == outbound

    def _make(self, key: bytes, outbound: bool, now: float) -> Block:
        settings = self._settings
        if now >= self._next_sweep:
            self._next_sweep = now + settings.expiry_s / 4
            for old in [k for k, block in self._blocks.items() if now - block.last > block.expiry]:
                del self._blocks[old]
        self._blocks.pop(key, None)
        if len(self._blocks) >= self._limit:
            del self._blocks[next(iter(self._blocks))]
        stream = Stream(
            settings.reassembly, settings.max_bytes, max_segments=settings.max_segments, overlap=settings.overlap
        )
        block = self._blocks[key] = Block(outbound, stream, now, settings.expiry_s)
        return block


def checksum_holds(p: Packet) -> bool:
    """Whether a TCP packet's checksum is right; True for what has none to check."""
    tcp = p.tcp
    if tcp is None or p.ip.protocol != TCP:
        return True
    ip = p.ip
    return transport_checksum(ip.src_bytes, ip.dst_bytes, TCP, p.raw[ip.transport : ip.end]) == 0


# Geneva's model censors (CCS'19; the repository's censors/censors.txt and the catalogue's section 9 [P]). All look for
# a keyword packet by packet, and all but 1 to 5 tear down or lose their block at a FIN or RST. What each does on a
# match (five RSTs to whom, or a drop) is the rule's own part. 1, 2 and 3 differ in that only.
_ZOO: dict[str, Any] = {"reassembly": "none", "needs": "syn", "initiator": "any"}
_IN_WINDOW = 65_535  # the largest window without scaling (RFC 9293 3.1)
_SYNCED: dict[str, Any] = _ZOO | {"on_syn": "keep", "window": _IN_WINDOW}
_TORN: dict[str, Any] = _ZOO | {"rst": "teardown", "rst_early": "teardown", "fin": "teardown"}
_LOST: dict[str, Any] = _ZOO | {"window": _IN_WINDOW, "rst": "resync", "rst_early": "resync", "fin": "resync"}
PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "geneva-1": _SYNCED,
        "geneva-2": _SYNCED,
        "geneva-3": _SYNCED,
        "geneva-4": _SYNCED | {"ack_moves": True},  # synchronises on the SYN and on the ACK
        "geneva-5": _SYNCED | {"resync_every": 5},  # and on every fifth packet
        "geneva-6": _TORN | {"teardown": "addresses"},
        "geneva-7": _TORN,
        "geneva-8": _TORN | {"window": _IN_WINDOW},
        "geneva-8b": _TORN | {"window": _IN_WINDOW, "on_syn": "keep"},  # several blocks, and no way back to its place
        "geneva-9": _LOST,
        "geneva-10": _LOST | {"checksum": True},
        "geneva-11": _LOST | {"checksum": True, "resync_on": ("syn", "ack")},
    }
)


def expand(params: Mapping[str, Any]) -> dict[str, Any]:
    """`params` with the preset that `tcb` names underneath them; `ValueError` where there is no such preset."""
    plain = dict(params)
    name = plain.pop("tcb", None)
    if name is None:
        return plain
    if name not in PRESETS:
        raise ValueError(f"there is no TCB preset {name!r}; there are: {', '.join(sorted(PRESETS))}")
    return {**PRESETS[name], **plain}
