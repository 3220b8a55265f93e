"""Whom a freeze spares: connections that ask for an allowed name, and protocols it knows by their first bytes.

RU-08's freeze spares names of an allow list and SSH, sometimes RDP [C net4people #490]; addresses are the rule's gates.
TLS over TCP and QUIC are read; an allowed name counts from the packet that shows it.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Literal

from rozaneh.lab.codec.clienthello import ClientHello, More
from rozaneh.lab.codec.quicframes import Habits, HelloReader
from rozaneh.lab.names import NameList
from rozaneh.lab.packet import ACK, SYN, Packet, Tcp
from rozaneh.lab.reassembly import Mode, Stream
from rozaneh.lab.tspu import read_hello

Protocol = Literal["ssh", "rdp"]


class Answer(Enum):
    """Whether a flow is spared; `OPEN` while its first bytes may still show it."""

    SPARED = "spared"
    NOT = "not"
    OPEN = "open"


class Exempt:
    """Looks at a flow's first bytes; what it knows of one is in the flow's own dict."""

    def __init__(
        self,
        names: tuple[str, ...],
        protocols: tuple[Protocol, ...],
        *,
        segments: Mode = "full",
        records: str = "full",
        habits: Habits | None = None,
    ) -> None:
        self._names = NameList(names)
        self._protocols = protocols
        self._segments = segments
        self._records = records
        self._habits = habits or Habits(check_tag=False, truncated=True, crypto="full", datagrams=2)
        self.nobody = not self._names and not protocols

    def look(self, p: Packet, flow: dict[str, Any]) -> Answer:
        """Whether the flow of `p` is spared, as far as its packets tell by now."""
        if self.nobody or flow.get("judged"):
            return Answer.NOT
        answer = self._tcp(p, p.tcp, flow) if p.tcp is not None else self._udp(p, flow)
        if answer is Answer.NOT:
            flow["judged"] = True
            flow.pop("stream", None)
            flow.pop("quic", None)
        return answer

    def _tcp(self, p: Packet, tcp: Tcp, flow: dict[str, Any]) -> Answer:
        stream: Stream | None = flow.get("stream")
        if tcp.flags & SYN:
            if p.outbound or not tcp.flags & ACK:
                flow["stream"] = stream = Stream(self._segments)
                stream.start(tcp.seq)
            return Answer.OPEN
        payload = p.payload
        if not payload:
            return Answer.OPEN
        if "ssh" in self._protocols and payload.startswith(b"SSH-"):  # either end may speak first
            return Answer.SPARED
        if not p.outbound:
            return Answer.OPEN
        if "rdp" in self._protocols and _is_rdp(payload):
            return Answer.SPARED
        if not self._names:
            return Answer.NOT
        if stream is None:
            flow["stream"] = stream = Stream(self._segments)
        data = stream.add(tcp.seq, payload)
        if not data:
            return Answer.OPEN
        return self._named(read_hello(data, records=self._records, cut=self._segments == "none" or stream.full))

    def _udp(self, p: Packet, flow: dict[str, Any]) -> Answer:
        if not self._names or p.udp is None:
            return Answer.NOT
        if not p.outbound:
            return Answer.OPEN
        reader: HelloReader = flow.setdefault("quic", HelloReader(self._habits))
        return self._named(reader.add(p.payload))

    def _named(self, hello: ClientHello | More | None) -> Answer:
        if isinstance(hello, More):
            return Answer.OPEN
        if hello is None or hello.server_name is None or self._names.find(hello.server_name) is None:
            return Answer.NOT
        return Answer.SPARED


def _is_rdp(payload: bytes) -> bool:
    """A TPKT head and an X.224 connection request in it (RFC 1006 section 6, [MS-RDPBCGR] 2.2.1.1)."""
    return len(payload) >= 11 and payload[:2] == b"\x03\x00" and payload[5] == 0xE0
