"""Follows TCP flows to the client's first message and asks one question of it: the eyes of every name filter.

A rule makes one `Watch` with its settings (`WatchSettings`: the TCB habits, reassembly, records) and a `read` function,
and shows it each TCP packet. `read(data, packet)` says of what can be read so far: `MORE` (the true beginning of a
message that has not ended), `NEXT` (a whole message, not one to act on: look at what follows), None (nothing this rule
reads), or its finding, which `look` hands on once. `look` itself returns `WAIT`, `GONE` (this flow will never give
anything: answer with `DONE` unless a residual of yours is wider than the flow), or the finding.

    watch = Watch(settings, rng, hello_reader(settings))
    found = watch.look(p, now)
    if isinstance(found, ClientHello) and listed(found.server_name or "", names): ...
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from random import Random
from typing import Final, Generic, TypeVar

from rozaneh.lab.codec.clienthello import ClientHello, More, parse
from rozaneh.lab.packet import ACK, FIN, RST, SYN, Packet, Tcp
from rozaneh.lab.tcb import Block, Table, TcbSettings, checksum_holds

T = TypeVar("T")


class Reading(Enum):
    """What a `read` function says of bytes that hold no finding."""

    MORE = "more"
    NEXT = "next"


class Looking(Enum):
    """What `Watch.look` says where there is no finding."""

    WAIT = "wait"
    GONE = "gone"


MORE: Final = Reading.MORE
NEXT: Final = Reading.NEXT
WAIT: Final = Looking.WAIT
GONE: Final = Looking.GONE

Read = Callable[[bytes, Packet], T | Reading | None]


class WatchSettings(TcbSettings, frozen=True, kw_only=True):
    """How a rule looks at flows, beside the TCB's own habits.

    A box that needs no handshake and puts nothing together keeps no state: it reads each packet of the side it watches
    as if it were the first, and never gives up.

    Attributes:
        ports: TCP ports of the server that are looked at; empty means every port.
        records: Whether a message cut into several TLS records is joined.
        cut: Whether a ClientHello that has not ended is read as far as it goes (a name in the first segment).
        gives_up: Whether a first message of another protocol ends the watch; else every later packet is read too.
        looks: After how many of the client's segments with data since the last message understood the watch ends; 0
            for never.
        min_first: A first segment with fewer bytes of data is not recognised, and ends the watch.
        header_length: The TCP header length in bytes segments must have to be read (CN-04: 20, so any option exempts a
            segment: it acts on hosts with `tcp_timestamps` 0 and spares those with 1); 0 for any.
    """

    ports: tuple[int, ...] = ()
    records: bool = False
    cut: bool = True
    gives_up: bool = True
    looks: int = 0
    min_first: int = 0
    header_length: int = 0


class Watch(Generic[T]):
    """The flows of one rule, each watched until its question is answered."""

    def __init__(self, settings: WatchSettings, rng: Random, read: Read[T]) -> None:
        self._settings = settings
        self._table = Table(settings, rng)
        self._read = read
        self._ports = frozenset(settings.ports)
        self._joins = settings.reassembly != "none"
        self._stateless = stateless(settings)
        self._clear = settings.syn_ack_first == "ignore" and settings.needs != "none"
        self._plain_acks = not settings.ack_moves and not settings.resync_every and "ack" not in settings.resync_on
        self._fresh = min(settings.expiry_s, settings.rst_expiry_s or settings.expiry_s) / 10

    def look(self, p: Packet, now: float) -> T | Looking:
        """Takes one packet, of either direction."""
        tcp = p.tcp
        if tcp is None:
            return WAIT
        if self._ports and tcp.dport not in self._ports and tcp.sport not in self._ports:
            return GONE
        if self._stateless:
            return self._glance(p, tcp)
        # Most packets are data and ACKs of the server's, and none of those changes what a box believes.
        if self._clear and p.outbound != p.inside_first and not tcp.flags & (SYN | RST | FIN):
            return WAIT
        if self._plain_acks and tcp.flags == ACK and not p.payload:
            acked = p.flow.get("acked")
            if acked is not None and now - acked < self._fresh:
                return WAIT  # the first one ends the handshake; later ones only show that the flow lives
            p.flow["acked"] = now
        seen = self._table.follow(p, tcp, now)
        if seen is None:
            return WAIT
        block, data = seen
        if block.done:
            return GONE
        settings = self._settings
        if settings.header_length and tcp.data - p.ip.transport != settings.header_length:
            return WAIT
        if block.first_length < settings.min_first:
            return self._end(block)
        found = self._read(data, p)
        if found is MORE:
            if self._joins and block.stream.full:
                return self._end(block)
        elif found is NEXT:
            block.looked = 0
            self._pass_over(block)
        elif found is None:
            if settings.gives_up:
                return self._end(block)
            self._pass_over(block)
        elif not isinstance(found, Reading):
            block.done = True
            return found
        return self._end(block) if settings.looks and block.looked >= settings.looks else WAIT

    def _glance(self, p: Packet, tcp: Tcp) -> T | Looking:
        """One packet as a box without any memory reads it: whatever came before, and whatever will come."""
        settings = self._settings
        payload = p.payload
        if not payload or (settings.initiator != "any" and (settings.initiator == "inside") != p.outbound):
            return WAIT
        if settings.header_length and tcp.data - p.ip.transport != settings.header_length:
            return WAIT
        if settings.checksum and not checksum_holds(p):
            return WAIT
        found = self._read(payload, p)
        return WAIT if found is None or isinstance(found, Reading) else found

    def _pass_over(self, block: Block) -> None:
        if self._joins:
            block.stream.move(block.stream.next_seq)

    @staticmethod
    def _end(block: Block) -> Looking:
        block.done = True
        block.stream.move(block.stream.next_seq)  # what was read is not kept
        return GONE


def stateless(settings: WatchSettings) -> bool:
    """Whether a box keeps nothing of a flow: it needs no handshake and puts nothing together (CN-04 [P SP'25])."""
    return settings.needs == "none" and settings.reassembly == "none"


def hello_reader(settings: WatchSettings) -> Read[ClientHello]:
    """A `read` function that finds ClientHellos, with this rule's knobs for records and cut messages."""
    records, cut = settings.records, settings.cut
    joins = settings.reassembly != "none"

    def read(data: bytes, p: Packet) -> ClientHello | Reading | None:
        found = parse(data, join_records=records)
        if isinstance(found, ClientHello):
            return found
        if not records and len(data) >= 9 and int.from_bytes(data[3:5], "big") < 4 + int.from_bytes(data[6:9], "big"):
            return None  # spread over records: whatever the first one holds, this box does not read it [C CCS'23]
        if cut and isinstance(found, More):
            # A cut hello with its name is as good as a whole one; without it, the name may still come.
            part = parse(data, join_records=records, partial=True)
            if isinstance(part, ClientHello) and (part.server_name is not None or not joins):
                return part
        return MORE if isinstance(found, More) else None

    return read
