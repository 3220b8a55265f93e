"""The TCP resets injectors send, as data: by name from the literature, or field by field; for either end, v4 and v6.

The fingerprints of the GFW's three injectors and of Henan's box are those of Wu et al., SP'25, table "fingerprint" [P].
Times to live are the observed ones: between a lab's router and its reader there are as few hops as the world has.
IPID and DF exist in IPv4 only; over IPv6 those two columns of the table say nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from random import Random
from types import MappingProxyType
from typing import Literal

from rozaneh.lab.api import Inject
from rozaneh.lab.censors.base import Settings, segment_length
from rozaneh.lab.packet import ACK, PSH, RST, Packet, Tcp, tcp_packet

Span = int | tuple[int, int]


class Reset(Settings, frozen=True, kw_only=True):
    """One kind of reset. A span of two numbers is drawn from, evenly, once for each match (and end).

    Attributes:
        to: Which ends get it.
        flags: What is set beside RST.
        count: How many are sent to each end.
        ttl: Hop limit; `packet` copies that of the packet that gave the cause (CN-10 [T #248]).
        ttl_step: What is added to `ttl` from one to the next.
        ipid: Identification, IPv4 only.
        df: Don't fragment, IPv4 only.
        window: As it stands in the header.
        window_step: What is added to `window` from one to the next.
        payload: What it carries, in hexadecimal.
        offsets: Where each one stands, counted from the next byte the end expects; the last one serves for the rest.
        delay_ms: How long after its cause it leaves (raw time): what an on-path box needs.
        weight: How often it is drawn where one of several injectors acts.
    """

    to: Literal["client", "server", "both"] = "both"
    flags: Literal["rst", "rst+ack", "rst+psh+ack"] = "rst+ack"
    count: int = 1
    ttl: Span | Literal["packet"] = 64
    ttl_step: int = 0
    ipid: Span = 0
    df: bool = True
    window: Span = 0
    window_step: int = 0
    payload: str = ""
    offsets: tuple[int, ...] = (0,)
    delay_ms: float = 0.0
    weight: float = 1.0


_FLAGS = {"rst": RST, "rst+ack": RST | ACK, "rst+psh+ack": RST | PSH | ACK}

# GFW weights: packets counted in comments under that table, 77,892 : 309,333 in threes : 4,366 [P; per match: ours].
NAMED: Mapping[str, Reset] = MappingProxyType(
    {
        "gfw-1": Reset(flags="rst", ttl=(55, 118), ipid=0, df=False, weight=77_892),
        "gfw-2": Reset(flags="rst+ack", count=3, ttl=(39, 238), ipid=(0x00A3, 0xFE5F), df=True, weight=103_111),
        "gfw-3": Reset(flags="rst+ack", ttl=248, ipid=(0x9916, 0x9933), df=False, weight=4_366),
        "henan": Reset(to="client", ttl=58, ipid=0x0001, df=False, payload="01020304050607080900"),
        # One RST+ACK right after the ClientHello [C IRBlock 3.2]; to whom, and its fields, are not documented: ours.
        "iran": Reset(flags="rst+ack", ipid=(1, 0xFFFF)),
        # The second packet of an Iranian HTTP block: 54 bytes of frame, so no payload [C Bock USENIX'21 table 4].
        "iran-http": Reset(to="client", flags="rst+psh+ack", ipid=(1, 0xFFFF)),
        # 2013: five to the server, three in sequence and two 30 further on [C Aryan FOCI'13].
        "iran-2013": Reset(to="server", flags="rst", count=5, offsets=(0, 0, 0, 30, 30), ipid=(1, 0xFFFF)),
        # CN-09: three, TTL and window rising [C]; from what, and by how much, is not documented: ours.
        "gfw-443": Reset(flags="rst+ack", count=3, ttl=(60, 200), ttl_step=1, window=(1_000, 20_000), window_step=1),
        # CN-10 [T #248].
        "gfw-edge": Reset(flags="rst", ttl="packet", window=0),
    }
)


def named(resets: Iterable[str | Reset]) -> tuple[Reset, ...]:
    """`resets` with names looked up; `ValueError` where a name or a field is wrong."""
    found: list[Reset] = []
    for reset in resets:
        if isinstance(reset, str):
            if reset not in NAMED:
                raise ValueError(f"there is no reset {reset!r}; there are: {', '.join(sorted(NAMED))}")
            reset = NAMED[reset]
        bytes.fromhex(reset.payload)
        if not reset.offsets or reset.count < 1:
            raise ValueError("a reset is sent at least once, and stands somewhere")
        found.append(reset)
    return tuple(found)


def draw(resets: tuple[Reset, ...], rng: Random) -> tuple[Reset, ...]:
    """One of several injectors, by weight."""
    if len(resets) < 2:
        return resets
    return (rng.choices(resets, [reset.weight for reset in resets])[0],)


def answer(
    p: Packet, tcp: Tcp, resets: Iterable[Reset], rng: Random, why: str, *, outbound: bool, stopped: bool = False
) -> list[Inject]:
    """The resets that answer `p`, for a connection whose client's packets go `outbound` (or not).

    To the end `p` is from they stand where the other end's next byte would; to the end it is for behind `p`, or in its
    own place where `p` was `stopped`: a kernel believes only the very next byte (RFC 5961 3.2).
    """
    made: list[Inject] = []
    for reset in resets:
        if reset.to in ("client", "both"):
            made += _to(p, tcp, reset, rng, why, to_sender=p.outbound == outbound, stopped=stopped)
        if reset.to in ("server", "both"):
            made += _to(p, tcp, reset, rng, why, to_sender=p.outbound != outbound, stopped=stopped)
    return made


def _to(p: Packet, tcp: Tcp, reset: Reset, rng: Random, why: str, *, to_sender: bool, stopped: bool) -> list[Inject]:
    flags = _FLAGS[reset.flags]
    ip = p.ip
    ttl = ip.ttl if reset.ttl == "packet" else _drawn(reset.ttl, rng)
    ipid, window = _drawn(reset.ipid, rng), _drawn(reset.window, rng)
    after = tcp.seq + segment_length(p, tcp)
    if to_sender:
        ends = (ip.dst_bytes, ip.src_bytes, tcp.dport, tcp.sport)
        seq, ack = tcp.ack, after
    else:
        ends = (ip.src_bytes, ip.dst_bytes, tcp.sport, tcp.dport)
        seq, ack = tcp.seq if stopped else after, tcp.ack
    to: Literal["in", "out"] = "in" if p.outbound == to_sender else "out"
    return [
        Inject(
            tcp_packet(
                *ends,
                seq=seq + reset.offsets[min(turn, len(reset.offsets) - 1)],
                ack=ack if flags & ACK else 0,
                flags=flags,
                window=(window + turn * reset.window_step) & 0xFFFF,
                payload=bytes.fromhex(reset.payload),
                ttl=max(1, min(255, ttl + turn * reset.ttl_step)),
                ident=ipid,
                dont_fragment=reset.df,
            ),
            to=to,
            delay=reset.delay_ms / 1_000,
            why=why,
        )
        for turn in range(reset.count)
    ]


def _drawn(span: Span, rng: Random) -> int:
    return span if isinstance(span, int) else rng.randint(*span)
