"""Packets made by hand for the lab's tests: one connection, one query, in either direction."""

from __future__ import annotations

import contextlib
import ssl

from rozaneh.lab.packet import ACK, SYN, Packet, packed_address, parse, tcp_packet, udp_packet

READER, SITE = "151.240.18.77", "185.146.21.20"
READER6, SITE6 = "2a0d:5600:41:7::12", "2a04:4e42:77::20"


def packet(raw: bytes, *, outbound: bool = True) -> Packet:
    """`raw` as a censor gets it."""
    found = parse(raw, outbound)
    assert found is not None
    return found


class Connection:
    """A TCP connection from the inside; sequence numbers count as a kernel's would."""

    def __init__(self, *, port: int = 443, sport: int = 40_000, isn: int = 1_000, v6: bool = False) -> None:
        self.inside = packed_address(READER6 if v6 else READER)
        self.outside = packed_address(SITE6 if v6 else SITE)
        self.port, self.sport, self.isn = port, sport, isn
        self.seq = isn + 1
        self.peer_seq = 5_001

    def syn(self) -> Packet:
        """The first packet."""
        return packet(
            tcp_packet(self.inside, self.outside, self.sport, self.port, seq=self.isn, flags=SYN, window=64_000)
        )

    def data(self, payload: bytes, *, at: int | None = None) -> Packet:
        """Bytes from the inside; `at` counts from the first byte, the next ones by default."""
        start = self.seq if at is None else self.isn + 1 + at
        self.seq = max(self.seq, start + len(payload))
        return packet(
            tcp_packet(
                self.inside,
                self.outside,
                self.sport,
                self.port,
                seq=start,
                ack=self.peer_seq,
                flags=ACK,
                payload=payload,
            )
        )

    def answer(self, payload: bytes) -> Packet:
        """Bytes from the outside."""
        raw = tcp_packet(
            self.outside,
            self.inside,
            self.port,
            self.sport,
            seq=self.peer_seq,
            ack=self.seq,
            flags=ACK,
            payload=payload,
        )
        self.peer_seq += len(payload)
        return packet(raw, outbound=False)


def datagram(payload: bytes, *, port: int = 53, v6: bool = False) -> Packet:
    """A UDP packet from the inside."""
    inside, outside = packed_address(READER6 if v6 else READER), packed_address(SITE6 if v6 else SITE)
    return packet(udp_packet(inside, outside, 50_000, port, payload))


def client_hello(name: str | None) -> bytes:
    """The first message of a real TLS client for `name`."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    connection = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        connection.do_handshake()
    return outgoing.read()


def in_records(hello: bytes, size: int) -> bytes:
    """The same message cut into TLS records of `size` bytes."""
    body = hello[5:]
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"\x16\x03\x01" + len(part).to_bytes(2, "big") + part for part in parts)
