"""What the lab's own censors share: reading parameters strictly, matching names, and the packets they forge."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from rozaneh.lab.api import Inject, Params
from rozaneh.lab.packet import ACK, FIN, RST, SYN, Packet, Tcp, tcp_packet


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of one censor: a subclass names them, with defaults."""


S = TypeVar("S", bound=Settings)


def read_settings(kind: type[S], params: Params) -> S:
    """`params` as the struct `kind`; `ValueError` names the parameter that does not fit."""
    return msgspec.convert(dict(params), kind)


def listed(name: str, names: frozenset[str]) -> bool:
    """Whether `name` or a domain it lies in is in `names` (all lower-case, no last dot)."""
    name = name.rstrip(".").lower()
    while name:
        if name in names:
            return True
        _, _, name = name.partition(".")
    return False


def segment_length(packet: Packet, tcp: Tcp) -> int:
    """How far a segment moves its sender's sequence number (RFC 9293 3.4: SYN and FIN count one each)."""
    return packet.ip.end - tcp.data + bool(tcp.flags & SYN) + bool(tcp.flags & FIN)


def reply(
    packet: Packet,
    tcp: Tcp,
    flags: int,
    *,
    ack: int,
    payload: bytes = b"",
    window: int = 0,
    ttl: int = 64,
    ident: int = 0,
    why: str,
) -> Inject:
    """A segment to whoever sent `packet`, as if from the other end: exactly where that end's next byte would stand."""
    raw = tcp_packet(
        packet.ip.dst_bytes,
        packet.ip.src_bytes,
        tcp.dport,
        tcp.sport,
        seq=tcp.ack,
        ack=ack,
        flags=flags,
        window=window,
        payload=payload,
        ttl=ttl,
        ident=ident,
    )
    return Inject(raw, to="in" if packet.outbound else "out", why=why)


def reset_sender(packet: Packet, tcp: Tcp, *, why: str, with_ack: bool = True, ttl: int = 64) -> Inject:
    """A reset to whoever sent `packet`, as if from the other end."""
    flags = RST | ACK if with_ack else RST
    ack = tcp.seq + segment_length(packet, tcp) if with_ack else 0
    return reply(packet, tcp, flags, ack=ack, ttl=ttl, why=why)


def first_payload(packet: Packet) -> tuple[bytes, bool] | None:
    """The first bytes of a TCP connection, once, and whether its SYN was seen; None for every other packet.

    Shown the packets of one direction only; it keeps what it needs in the packet's flow.
    """
    flow, tcp = packet.flow, packet.tcp
    if tcp is None or "judged" in flow:
        return None
    if tcp.flags & (SYN | ACK) == SYN:
        flow["syn"] = True
    payload = packet.payload
    if not payload:
        return None
    flow["judged"] = True
    return payload, "syn" in flow


def reset_receiver(packet: Packet, tcp: Tcp, *, why: str, ttl: int = 64) -> Inject:
    """A reset to the end `packet` was meant for, in that packet's place."""
    raw = tcp_packet(
        packet.ip.src_bytes,
        packet.ip.dst_bytes,
        tcp.sport,
        tcp.dport,
        seq=tcp.seq,
        ack=tcp.ack,
        flags=RST | ACK,
        ttl=ttl,
    )
    return Inject(raw, to="out" if packet.outbound else "in", why=why)
