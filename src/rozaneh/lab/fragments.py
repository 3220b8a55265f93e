"""What a middlebox does with IP fragments (primitive E5): forwards them blindly, drops them, or holds them in a queue.

A queue holds the fragments of one packet until all are there and lets them go on one by one, as they came. Networks
differ in how many it takes (45 at the Russian boxes, 64 in Linux's own [S via catalogue RU-04]), in what it does where
fragments overlap (the whole queue goes [S]), and in how long it waits (about 5 s [M]); all are parameters.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import msgspec

from rozaneh.lab.packet import Packet, ip_packet

_MAX_QUEUES = 1_024
_MAX_BYTES = 1 << 16


class FragmentPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a chain treats fragments.

    Attributes:
        mode: `ignore` shows each to the rules as it comes, `drop` drops all, `hold` queues them and shows each to the
            rules when all are there, `reassemble` queues them and shows the rules the whole packet.
        cap: How many fragments of one packet a queue takes; one more and the queue is dropped.
        timeout_s: Lab seconds after which a queue that is not whole is dropped.
        overlap: Whether overlapping or doubled fragments drop the queue, or the later one is left out.
    """

    mode: Literal["ignore", "drop", "hold", "reassemble"] = "hold"
    cap: int = 64
    timeout_s: float = 30.0
    overlap: Literal["drop", "first"] = "drop"


@dataclass(slots=True)
class Answer:
    """What became of one fragment: nothing yet, a reason it was dropped for, or all that may go on now."""

    why: str = ""
    released: list[bytes] = field(default_factory=list)
    whole: bytes = b""


@dataclass(slots=True)
class _Held:
    """The fragments of one packet so far. A dropped queue stays as a mark, so that its stragglers are dropped too."""

    since: float
    raws: list[bytes] = field(default_factory=list)
    parts: dict[int, bytes] = field(default_factory=dict)
    head: Packet | None = None
    end: int = -1
    size: int = 0
    dropped: str = ""


class Queue:
    """All packets of which fragments are held; bounded in number, size and age."""

    def __init__(self, policy: FragmentPolicy) -> None:
        if policy.cap < 1 or policy.timeout_s <= 0:
            raise ValueError("a fragment queue takes at least one fragment and waits for more than no time")
        self._policy = policy
        self._held: dict[bytes, _Held] = {}

    def __len__(self) -> int:
        return len(self._held)

    def add(self, packet: Packet, now: float) -> Answer:
        """Takes one fragment at lab time `now`."""
        policy = self._policy
        if policy.mode == "drop":
            return Answer("fragment")
        ip = packet.ip
        key = ip.src_bytes + ip.dst_bytes + ip.ident.to_bytes(4, "big") + bytes((ip.protocol,))
        held = self._held.get(key)
        if held is not None and now - held.since > policy.timeout_s:
            del self._held[key]
            held = None
        if held is None:
            self._make_room(now)
            held = self._held[key] = _Held(now)
        if held.dropped:
            return Answer(held.dropped)
        why = self._fit(held, packet)
        if why:
            held.dropped = why
            held.raws, held.parts, held.head = [], {}, None
            return Answer(why)
        if not _complete(held):
            return Answer()
        del self._held[key]
        return Answer(released=held.raws, whole=_join(held) if policy.mode == "reassemble" else b"")

    def _fit(self, held: _Held, packet: Packet) -> str:
        """Puts one fragment where it belongs; the reason when the queue must go."""
        ip = packet.ip
        body = packet.raw[ip.transport : ip.end]
        begin, end = ip.fragment_offset, ip.fragment_offset + len(body)
        if not body or end > _MAX_BYTES or (ip.more_fragments and len(body) % 8):
            return "malformed fragment"
        for at, part in held.parts.items():
            if begin < at + len(part) and at < end:
                return "overlapping fragments" if self._policy.overlap == "drop" else ""
        if len(held.raws) + 1 > self._policy.cap:
            return f"more than {self._policy.cap} fragments"
        if not ip.more_fragments:
            held.end = end
        if held.end >= 0 and (end > held.end or any(at + len(part) > held.end for at, part in held.parts.items())):
            return "fragments past the end"
        held.raws.append(packet.raw)
        held.parts[begin] = body
        held.size += len(body)
        if begin == 0:
            held.head = packet
        return ""

    def _make_room(self, now: float) -> None:
        if len(self._held) < _MAX_QUEUES:
            return
        for key in [key for key, held in self._held.items() if now - held.since > self._policy.timeout_s]:
            del self._held[key]
        while len(self._held) >= _MAX_QUEUES:
            del self._held[next(iter(self._held))]


def _complete(held: _Held) -> bool:
    return held.end >= 0 and held.head is not None and held.size == held.end


def _join(held: _Held) -> bytes:
    """The whole packet, with the first fragment's addresses, TTL and ident; empty when it would not fit in one."""
    body = b"".join(held.parts[at] for at in sorted(held.parts))
    if held.head is None or len(body) > 65_535 - 40:
        return b""
    ip = held.head.ip
    return ip_packet(
        ip.src_bytes, ip.dst_bytes, ip.protocol, body, ttl=ip.ttl, ident=ip.ident & 0xFFFF, dont_fragment=False
    )
