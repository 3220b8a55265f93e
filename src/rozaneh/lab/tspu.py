"""How Russia's middleboxes (TSPU) follow a TCP connection to its ClientHello, and in which ways they punish it.

Two parts that the rules RU-01..04, RU-09, RU-13, RU-14 and IR-07 share: `Follower` (state model and reassembly) and
`HelloRule` (a censor that judges each connection's ClientHello once and then acts). All parameters are tunable.

State model [M, catalogue RU-01..04; Xue et al., IMC 2022]: who sent the first SYN began the connection; a SYN from the
other side before the handshake is over turns the roles round (split handshake, simultaneous open), and connections
begun outside meet no name rule; SYN-SENT lasts about 60 s, SYN-RECV 105 s, ESTABLISHED 480 s without a packet; RST and
FIN change nothing. Reassembly: none in 2022; TCP and TLS records by 2024-25, not both at once for ECH [C FOCI'25 5].
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from enum import Enum
from random import Random
from typing import Any, ClassVar, Literal

from rozaneh.lab.api import DONE, PASS, Drop, Replace, Verdict
from rozaneh.lab.censors.base import Settings
from rozaneh.lab.codec.clienthello import ClientHello, More, parse
from rozaneh.lab.packet import ACK, RST, SYN, TCP, Packet, Tcp, checksum, transport_checksum
from rozaneh.lab.reassembly import Mode, Stream
from rozaneh.lab.residual import Key, Residual

_HEAD = 5  # of a TLS record


class FollowSettings(Settings, frozen=True, kw_only=True):
    """How a connection is followed to its ClientHello.

    Attributes:
        ports: Destination ports looked at; empty means all. 443 [M].
        initiator: Whose connections are looked at: begun inside, outside, or any. Inside [S].
        split_handshake: Whether a SYN of the other side turns the roles round [M].
        segments: What is put together of TCP segments: none in 2022 [S], `full` by 2024-25 [C FOCI'25 5].
        records: Whether a message spread over TLS records is read: `none`; `buffered`, those records that are there
            once the first one is whole (so that cutting segments and records together passes, and either alone does
            not [C FOCI'25 5]); `full`.
        give_up_bytes: A segment longer than this that cannot be read ends the search: 100 [M, IMC 2021].
        looks: How many of the client's segments with data may bring nothing: 15 [M, IMC 2021: 3 to 15].
        syn_sent_s: How long a lone SYN is remembered [M].
        syn_received_s: How long a handshake is remembered that has its SYN+ACK [M].
        established_s: How long an idle connection is remembered [M].
    """

    ports: tuple[int, ...] = (443,)
    initiator: Literal["inside", "outside", "any"] = "inside"
    split_handshake: bool = True
    segments: Mode = "none"
    records: Literal["none", "buffered", "full"] = "none"
    give_up_bytes: int = 100
    looks: int = 15
    syn_sent_s: float = 60.0
    syn_received_s: float = 105.0
    established_s: float = 480.0


class Look(Enum):
    """What a packet that brought no ClientHello means: there may still come one, or there will be none."""

    WAIT = "wait"
    NEVER = "never"


class _State(Enum):
    SYN_SENT = 0
    SYN_RECEIVED = 1
    ESTABLISHED = 2


class Connection:
    """One connection as the box believes it to be."""

    __slots__ = ("by_inside", "judged", "last", "looks", "state", "stream", "syn")

    def __init__(self, by_inside: bool, syn: int, now: float, mode: Mode) -> None:
        self.by_inside = by_inside
        self.syn = syn
        self.last = now
        self.state = _State.SYN_SENT
        self.stream = Stream(mode)
        self.looks = 0
        self.judged = False


class Follower:
    """Follows connections to their ClientHello; what it knows of one is in the flow's own dict."""

    def __init__(self, settings: FollowSettings) -> None:
        self._settings = settings
        self._ports = frozenset(settings.ports)
        self._idle = {
            _State.SYN_SENT: settings.syn_sent_s,
            _State.SYN_RECEIVED: settings.syn_received_s,
            _State.ESTABLISHED: settings.established_s,
        }

    def look(self, p: Packet, tcp: Tcp, flow: dict[str, Any], now: float) -> ClientHello | Look:
        """Takes one packet. A connection's hello is given once; the dict `flow` has to outlive the chain's flows."""
        if self._ports and p.outside_port not in self._ports:
            return Look.NEVER
        found: Connection | None = flow.get("connection")
        if found is not None and now - found.last > self._idle[found.state]:
            found = None
            del flow["connection"]
        flags = tcp.flags
        if flags & SYN:
            self._syn(found, p, tcp, flow, now)
            return Look.WAIT
        if found is None:
            return Look.NEVER  # in the middle of something whose beginning it has not seen, or has forgotten
        found.last = now
        if found.state is _State.SYN_RECEIVED and p.outbound == found.by_inside and flags & ACK:
            found.state = _State.ESTABLISHED
        wanted = self._settings.initiator
        if wanted != "any" and found.by_inside != (wanted == "inside"):
            return Look.WAIT  # remembered, so that a later SYN from inside meets the same memory
        if found.judged:
            return Look.NEVER
        if not p.outbound or not p.payload:
            return Look.WAIT
        return self._read(found, tcp.seq, p.payload)

    def _syn(self, found: Connection | None, p: Packet, tcp: Tcp, flow: dict[str, Any], now: float) -> None:
        if tcp.flags & ACK:
            if found is not None:
                found.last = now
                if p.outbound != found.by_inside and found.state is _State.SYN_SENT:
                    found.state = _State.SYN_RECEIVED
                if p.outbound:
                    found.stream.start(tcp.seq)
            return
        if found is None:
            found = flow["connection"] = Connection(p.outbound, tcp.seq, now, self._settings.segments)
        elif p.outbound != found.by_inside:
            if self._settings.split_handshake and found.state is _State.SYN_SENT:
                found.by_inside = p.outbound
        elif found.syn != tcp.seq:  # a new connection on the same ports; who began the old one stays known
            flow["connection"] = found = Connection(found.by_inside, tcp.seq, now, self._settings.segments)
        found.last = now
        if p.outbound:
            found.stream.start(tcp.seq)

    def _read(self, found: Connection, seq: int, payload: bytes) -> ClientHello | Look:
        """The hello in what can be read by now. Without reassembly a segment is read as far as it goes."""
        settings = self._settings
        data = found.stream.add(seq, payload)
        alone = settings.segments == "none"
        if not data:
            return Look.WAIT  # early: it waits for what is missing
        hello = read_hello(data, records=settings.records, cut=alone or found.stream.full)
        if isinstance(hello, ClientHello):
            found.judged = True
            return hello
        if isinstance(hello, More) and not alone:
            return Look.WAIT  # a hello on its way, in however many segments
        if hello is None:
            if len(payload) > settings.give_up_bytes or len(data) > settings.give_up_bytes:
                found.judged = True
                return Look.NEVER
            found.stream.move(found.stream.next_seq)  # short junk: the hello may come behind it
        return self._unless_over(found)

    def _unless_over(self, found: Connection) -> Look:
        """Counts a segment that brought nothing."""
        found.looks += 1
        if found.looks >= self._settings.looks:
            found.judged = True
            return Look.NEVER
        return Look.WAIT


def read_hello(data: bytes, *, records: str = "full", cut: bool = False) -> ClientHello | More | None:
    """The hello at the start of `data`; with `cut` no more will come, and what there is of it is read."""
    if records == "full":
        return parse(data, partial=cut)
    whole_record = len(data) >= _HEAD and len(data) >= _HEAD + int.from_bytes(data[3:5], "big")
    if records == "buffered":
        return parse(data, partial=cut or whole_record)
    return parse(data, join_records=False, partial=cut or whole_record)


class PunishSettings(FollowSettings, frozen=True, kw_only=True):
    """What happens to a connection whose ClientHello matched.

    Attributes:
        action: `rewrite` turns each packet of the server's into a RST+ACK (SNI-I); `delayed_drop` lets some packets
            pass, then none either way (SNI-II); `drop` lets none pass, the hello included (SNI-IV); `mute` drops what
            the server sends; `drop_out` what the client sends, the hello included.
        passes: Between how many and how many packets pass before `delayed_drop` drops: 5 to 8 [S].
        residual_s: How long this lasts for the five-tuple, counted from the match; 0 means for this connection.
        residual_key: What else it lasts for: the five-tuple [S, X-07].
        residual_restarts: Whether each packet that meets it begins the time again; not reported, so not by default.
    """

    action: Literal["rewrite", "delayed_drop", "drop", "mute", "drop_out"] = "drop"
    passes: tuple[int, int] = (5, 8)
    residual_s: float = 0.0
    residual_key: Key = "5-tuple"
    residual_restarts: bool = False


class HelloRule(ABC):
    """A censor that judges each connection's ClientHello once and then punishes the connection."""

    protocols: ClassVar[str] = "tcp"
    own_tcb: ClassVar[bool] = True

    def __init__(self, settings: PunishSettings, rng: Random) -> None:
        least, most = settings.passes
        if not 0 <= least <= most:
            raise ValueError(f"passes is {least} to {most}, it must be two numbers in order")
        if settings.residual_s < 0:
            raise ValueError("residual_s is below 0")
        self._punish = settings
        self._follower = Follower(settings)
        self._residual = Residual(settings.residual_s, settings.residual_key, restarts=settings.residual_restarts)
        self._shared = settings.residual_s > 0 and settings.residual_key not in ("4-tuple", "5-tuple")
        self._rng = rng

    @abstractmethod
    def why(self, hello: ClientHello, p: Packet, now: float) -> str:
        """In a few words why this hello is punished; empty when it is not."""

    def packet(self, p: Packet, now: float) -> Verdict:
        """Follows a connection, judges it, and punishes what is to be punished."""
        tcp = p.tcp
        if tcp is None:
            return PASS
        flow = p.flow
        if self._residual.hit(p, now):
            return self._act(p, tcp, flow, flow.get("why") or f"residual {self._punish.residual_key}")
        dead: str | None = flow.get("why")
        if dead is not None:
            known: Connection | None = flow.get("connection")
            anew = tcp.flags & (SYN | ACK) == SYN and (known is None or known.syn != tcp.seq)
            if not anew and self._punish.residual_s == 0:
                return self._act(p, tcp, flow, dead)
            del flow["why"]  # a new connection, or its time is over
        seen = self._follower.look(p, tcp, flow, now)
        if seen is Look.WAIT:
            return PASS
        # Where a residual is this connection's alone, nothing more can happen to one that did not match.
        over = PASS if self._shared else DONE
        if seen is Look.NEVER:
            return over
        why = self.why(seen, p, now)
        return self._match(p, flow, why, now) if why else over

    def _match(self, p: Packet, flow: dict[str, Any], why: str, now: float) -> Verdict:
        flow["why"] = why
        if self._punish.residual_s > 0:
            self._residual.add(p, now)
        if self._punish.action == "delayed_drop":
            flow["left"] = self._rng.randint(*self._punish.passes)
            return PASS
        return Drop(why) if self._punish.action in ("drop", "drop_out") else PASS

    def _act(self, p: Packet, tcp: Tcp, flow: dict[str, Any], why: str) -> Verdict:
        action = self._punish.action
        if action == "rewrite":
            return PASS if p.outbound or tcp.flags & RST else [Replace(into_reset(p, tcp), why)]
        if action == "delayed_drop":
            left = flow.get("left", 0)
            if left > 0:
                flow["left"] = left - 1
                return PASS
            return Drop(why)
        if action == "drop" or (action == "drop_out") == p.outbound:
            return Drop(why)
        return PASS


def into_reset(p: Packet, tcp: Tcp) -> bytes:
    """The packet itself as a RST+ACK: its addresses, TTL, numbers and options stay, its payload goes (SNI-I [S])."""
    ip = p.ip
    segment = bytearray(p.raw[ip.transport : tcp.data])
    segment[13] = RST | ACK
    segment[16:18] = b"\0\0"
    segment[16:18] = struct.pack("!H", transport_checksum(ip.src_bytes, ip.dst_bytes, TCP, bytes(segment)))
    head = bytearray(p.raw[: ip.transport])
    if ip.version == 4:
        head[2:4] = struct.pack("!H", len(head) + len(segment))
        head[10:12] = b"\0\0"
        head[10:12] = struct.pack("!H", checksum(bytes(head)))
    else:
        head[4:6] = struct.pack("!H", len(head) - 40 + len(segment))
    return bytes(head + segment)
