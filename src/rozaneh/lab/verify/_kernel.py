"""A client and a server as kernels are, behind a chain of censors: what decides whether an evasion really works.

A strategy that a censor does not understand is worth nothing where the server does not understand it either. So the
server here checks what Linux checks: lengths, checksums, acknowledgements, windows, timestamps, unasked-for MD5
signatures, the exact place of a RST. RFC 9293, RFC 5961 and RFC 7323 give the rules.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

from rozaneh.lab.offline import Offline
from rozaneh.lab.packet import (
    ACK,
    FIN,
    PSH,
    RST,
    SYN,
    TCP,
    Packet,
    Tcp,
    packed_address,
    parse,
    tcp_packet,
    transport_checksum,
)
from rozaneh.lab.rules import RuleConfig
from rozaneh.lab.tcb import checksum_holds

_HALF = 1 << 31
_MASK = (1 << 32) - 1
_WINDOW = 64_240
_MD5 = 19  # RFC 2385
_TIMESTAMPS = 8

# Hops from client to censor and from censor to server: decoys with a TTL of 8 or 10 pass the one and not the other.
HOPS_TO_CENSOR, HOPS_TO_SERVER = 6, 8
CLIENT, SERVER = "151.240.18.77", "185.146.21.20"
CLIENT6, SERVER6 = "2a0d:5600:41:7::12", "2a04:4e42:77::20"
_MAX_PACKETS = 400
NS = 0x100  # the ninth flag, beside the byte of the other eight (RFC 3540, historic)

RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nhello reader"


@dataclass(frozen=True, slots=True)
class Segment:
    """A TCP packet from the client, field by field; `cut` is how much of its payload its IP length admits to."""

    v6: bool
    sport: int
    dport: int
    seq: int
    ack: int
    flags: int
    payload: bytes = b""
    options: bytes = b""
    ttl: int = 64
    data_offset: int | None = None
    bad_checksum: bool = False
    cut: int | None = None

    def raw(self) -> bytes:
        """The packet's bytes from its IP header on."""
        ends = (CLIENT6, SERVER6) if self.v6 else (CLIENT, SERVER)
        kept = self.payload if self.cut is None else self.payload[: self.cut]
        raw = bytearray(
            tcp_packet(
                packed_address(ends[0]),
                packed_address(ends[1]),
                self.sport,
                self.dport,
                seq=self.seq,
                ack=self.ack,
                flags=self.flags & 0xFF,
                window=_WINDOW,
                payload=kept,
                ttl=self.ttl,
                ident=1,
                options=self.options,
                data_offset=self.data_offset,
            )
        )
        at = 40 if self.v6 else 20
        if self.flags & NS:
            raw[at + 12] |= 1
            raw[at + 16 : at + 18] = b"\0\0"
            address = slice(8, 40) if self.v6 else slice(12, 20)
            both = bytes(raw[address])
            value = transport_checksum(both[: len(both) // 2], both[len(both) // 2 :], TCP, bytes(raw[at:]))
            raw[at + 16 : at + 18] = value.to_bytes(2, "big")
        if self.bad_checksum:
            raw[at + 17] ^= 0x55
        return bytes(raw) + self.payload[len(kept) :]


# What becomes of a segment on its way out of the client.
Strategy = Callable[[Segment, Random], list[Segment]]


class Server:
    """A listening kernel with a web server that answers one request."""

    def __init__(self, v6: bool, port: int, isn: int) -> None:
        self._ends = (packed_address(SERVER6 if v6 else SERVER), packed_address(CLIENT6 if v6 else CLIENT))
        self._port = port
        self._next_out = self._isn = isn
        self.state = "listen"
        self._next_in = 0
        self._peer = 0
        self._held: dict[int, bytes] = {}
        self._timestamps = False
        self.read = b""
        self._answered = False

    def take(self, raw: bytes) -> list[bytes]:
        """One packet as it arrives; returns what the kernel answers."""
        p = parse(raw, True)
        tcp = p.tcp if p else None
        if p is None or tcp is None or tcp.dport != self._port or not checksum_holds(p):
            return []
        options = _options(p, tcp)
        if options is None or _MD5 in options:  # no key was agreed on (RFC 2385 section 3): Linux drops
            return []
        if self.state == "listen":
            return self._listening(tcp, options)
        if self.state == "closed":
            return []
        if tcp.flags & RST:
            if tcp.seq == self._next_in:  # RFC 5961 3.2: only the exact place counts
                self.state = "closed"
            return []
        if tcp.flags & SYN:
            return [self._reply(SYN | ACK, seq=self._isn)] if self.state == "syn" else [self._reply(ACK)]
        if not tcp.flags & ACK:
            return []
        if self._timestamps and _TIMESTAMPS not in options:  # RFC 7323 3.2
            return []
        if tcp.ack != self._next_out and (self.state == "syn" or _after(tcp.ack, self._next_out)):
            return [self._reply(RST, seq=tcp.ack)] if self.state == "syn" else [self._reply(ACK)]
        if _after(self._isn, tcp.ack):  # older than anything sent
            return []
        length = len(p.payload)
        distance = (tcp.seq - self._next_in) & _MASK
        if distance >= _WINDOW and not (distance > _HALF and _after(tcp.seq + length, self._next_in)):
            return [self._reply(ACK)]
        self.state = "open"
        return self._data(tcp.seq, p.payload) if length else []

    def _listening(self, tcp: Tcp, options: dict[int, bytes]) -> list[bytes]:
        if tcp.flags & RST:
            return []
        self._peer = tcp.sport
        if tcp.flags & ACK:
            return [self._reply(RST, seq=tcp.ack)]
        if not tcp.flags & SYN:
            return []
        self.state = "syn"
        self._next_in = (tcp.seq + 1) & _MASK
        self._timestamps = _TIMESTAMPS in options
        self._next_out = (self._isn + 1) & _MASK
        return [self._reply(SYN | ACK, seq=self._isn)]

    def _data(self, seq: int, payload: bytes) -> list[bytes]:
        self._held.setdefault(seq, payload)
        progress = True
        while progress:
            progress = False
            for start in sorted(self._held):
                behind = (self._next_in - start) & _MASK
                if behind > _HALF:
                    continue
                fresh = self._held.pop(start)[behind:]
                self.read += fresh
                self._next_in = (self._next_in + len(fresh)) & _MASK
                progress = True
        answers = [self._reply(ACK)]
        if b"\r\n\r\n" in self.read and not self._answered and self.read.startswith(b"GET "):
            self._answered = True
            answers.append(self._reply(PSH | ACK, payload=RESPONSE))
            self._next_out = (self._next_out + len(RESPONSE)) & _MASK
        return answers

    def _reply(self, flags: int, *, seq: int | None = None, payload: bytes = b"") -> bytes:
        options = b"\x01\x01\x08\x0a" + (7).to_bytes(4, "big") + bytes(4) if self._timestamps else b""
        return tcp_packet(
            *self._ends,
            self._port,
            self._peer,
            seq=self._next_out if seq is None else seq,
            ack=self._next_in if flags & ACK else 0,
            flags=flags,
            window=_WINDOW,
            payload=payload,
            ttl=64 - HOPS_TO_SERVER,
            options=b"" if flags & RST else options,
        )


class Client:
    """A kernel that connects and sends one request; what it sends goes through a strategy on the way out."""

    def __init__(self, v6: bool, request: bytes, port: int, *, sport: int, isn: int) -> None:
        self._base = Segment(v6, sport, port, isn, 0, SYN, options=_syn_options(v6))
        self._request = request
        self._isn = isn
        self._next_in = 0
        self.state = "syn sent"
        self.read = b""

    def start(self) -> Segment:
        """The SYN."""
        return self._base

    def take(self, raw: bytes) -> list[Segment]:
        """One packet as it arrives; returns what the kernel sends next."""
        p = parse(raw, False)
        tcp = p.tcp if p else None
        if p is None or tcp is None or not checksum_holds(p) or self.state == "reset":
            return []
        if self.state == "syn sent":
            return self._connecting(tcp)
        if tcp.flags & RST:
            if tcp.seq == self._next_in:
                self.state = "reset"
            return []
        payload = p.payload
        if payload and tcp.seq == self._next_in:
            self.read += payload
            self._next_in = (self._next_in + len(payload) + bool(tcp.flags & FIN)) & _MASK
            return [self._segment(ACK, after=len(self._request))]
        return []

    def again(self) -> list[Segment]:
        """What a retransmission timer sends."""
        if self.state == "syn sent":
            return [self._base]
        return [self._segment(PSH | ACK, self._request)] if self.state == "open" and not self.read else []

    def _connecting(self, tcp: Tcp) -> list[Segment]:
        if tcp.ack != (self._isn + 1) & _MASK or not tcp.flags & ACK:
            return []
        if tcp.flags & RST:
            self.state = "reset"
            return []
        if not tcp.flags & SYN:
            return []
        self.state = "open"
        self._next_in = (tcp.seq + 1) & _MASK
        return [self._segment(ACK), self._segment(PSH | ACK, self._request)]

    def _segment(self, flags: int, payload: bytes = b"", *, after: int = 0) -> Segment:
        seq = (self._isn + 1 + after) & _MASK
        options = b"\x01\x01\x08\x0a" + (5).to_bytes(4, "big") + (7).to_bytes(4, "big")
        return replace(self._base, seq=seq, ack=self._next_in, flags=flags, payload=payload, options=options)


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came of one request: whether the answer came whole to an unharmed client, and which rule did what."""

    ok: bool
    acted: tuple[str, ...]
    server_read: bytes


def fetch(
    rules: Sequence[RuleConfig], request: bytes, strategy: Strategy, rng: Random, *, v6: bool, seed: int
) -> Fetched:
    """One connection through the censors, with the client's segments rewritten by `strategy`."""
    lab = Offline(rules, seed=seed)
    port, isn = 80, (seed * 2_654_435_761 + 12_345) & _MASK
    client = Client(v6, request, port, sport=40_000 + seed % 10_000, isn=isn)
    server = Server(v6, port, (isn * 7 + 99) & _MASK)
    acted: list[str] = []
    queue: deque[tuple[bytes, bool]] = deque()

    def send(segments: Sequence[Segment]) -> None:
        for segment in segments:
            queue.extend((changed.raw(), True) for changed in strategy(segment, rng))

    send([client.start()])
    retries = 2
    for _ in range(_MAX_PACKETS):
        if not queue:
            if client.read or client.state == "reset" or not retries:
                break
            retries -= 1
            lab.wait(1.0)
            send(client.again())
            continue
        raw, outbound = queue.popleft()
        hop = raw[7] if v6 else raw[8]
        if outbound and hop <= HOPS_TO_CENSOR:
            continue
        outcome = lab.send(raw, outbound)
        acted += [f"{act.rule} {act.action}" for act in outcome.acts]
        for injected in outcome.injected:
            if injected.to == "in":
                send(client.take(injected.raw))
            else:
                queue.extend((answer, False) for answer in server.take(injected.raw))
        if outcome.forward is None:
            continue
        if not outbound:
            send(client.take(outcome.forward))
        elif hop > HOPS_TO_CENSOR + HOPS_TO_SERVER:
            queue.extend((answer, False) for answer in server.take(outcome.forward))
    if lab.errors:
        raise RuntimeError(f"a rule failed: {acted}")
    ok = client.state == "open" and client.read == RESPONSE and server.read == request
    return Fetched(ok, tuple(dict.fromkeys(acted)), server.read)


def _after(a: int, b: int) -> bool:
    """Whether sequence number `a` comes behind `b`."""
    return 0 < (a - b) & _MASK < _HALF


def _options(p: Packet, tcp: Tcp) -> dict[int, bytes] | None:
    """The header's options; one that does not fit is left out, as Linux does, and ends the list."""
    data = p.raw[p.ip.transport + 20 : tcp.data]
    found: dict[int, bytes] = {}
    at = 0
    while at < len(data) and data[at]:
        if data[at] == 1:
            at += 1
            continue
        size = data[at + 1] if at + 1 < len(data) else 0
        if size < 2 or at + size > len(data):
            break
        found.setdefault(data[at], data[at + 2 : at + size])
        at += size
    return found


def _syn_options(v6: bool) -> bytes:
    """Linux's: MSS, SACK permitted, timestamps, window scale."""
    mss = 1_440 if v6 else 1_460
    stamps = b"\x08\x0a" + (3).to_bytes(4, "big") + bytes(4)
    return b"\x02\x04" + mss.to_bytes(2, "big") + b"\x04\x02" + stamps + b"\x01\x03\x03\x07"
