"""Reads a client's first message out of QUIC's CRYPTO frames, with the habits of the box that reads.

Boxes differ, and that is what evasion lives from (catalogue CN-06, RU-05, RU-07). `Habits` names the differences, each
on its own; `HelloReader` follows one connection with them. Frames: RFC 9000 section 19 and 12.4.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import msgspec

from rozaneh.lab.codec import clienthello, quic
from rozaneh.lab.codec.clienthello import MORE, ClientHello, More
from rozaneh.lab.codec.pieces import Pieces

__all__ = ["Habits", "HelloReader", "crypto_frames"]

PADDING, PING, ACK, ACK_ECN, CRYPTO, CLOSE = 0x00, 0x01, 0x02, 0x03, 0x06, 0x1C

MAX_FRAMES = 256  # per packet, a run of padding counting once


class Habits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a box reads Initial packets.

    `versions`: those it has keys for. `check_tag`: whether the AEAD's tag must be right. `truncated`: whether a packet
    that claims more than its datagram holds is read. `crypto`: `leading` reads one CRYPTO frame that must be the
    packet's first frame, `in_order` all CRYPTO frames as long as each goes on where the last one ended, `full` puts
    them together in any order; the latter two step over PING, PADDING and ACK. `trust_length`: whether a CRYPTO frame
    ends where it says; a box that does not takes everything behind its head. `datagrams`: how many of a connection
    are read. `min_dcid`: shorter destination ids are not a client's first (RFC 9000 7.2 says 8). `no_ciphers`: whether
    a hello that offers no cipher at all is read (the GFW does: the probe in its paper's artefact is one).
    """

    versions: tuple[int, ...] = (quic.V1,)
    check_tag: bool = True
    truncated: bool = False
    crypto: Literal["leading", "in_order", "full"] = "full"
    trust_length: bool = True
    datagrams: int = 1
    min_dcid: int = 0
    no_ciphers: bool = True


def crypto_frames(payload: bytes, *, leading: bool = False, trust_length: bool = True) -> list[tuple[int, bytes]]:
    """The CRYPTO frames of a packet as (offset, bytes), until its end or the first frame that may not be there.

    With `leading` only the packet's first frame is looked at. Without `trust_length` a CRYPTO frame has all that is
    behind its head.
    """
    found: list[tuple[int, bytes]] = []
    at = 0
    for _ in range(MAX_FRAMES):
        if at >= len(payload):
            break
        kind = payload[at]
        if kind == CRYPTO:
            offset = quic.varint(payload, at + 1)
            length = quic.varint(payload, offset[1]) if offset else None
            if offset is None or length is None:
                break
            end = length[1] + length[0] if trust_length else len(payload)
            found.append((offset[0], payload[length[1] : end]))
            if end > len(payload):  # cut short: what is there was taken, and nothing follows
                break
            at = end
        elif leading:
            break
        elif kind == PADDING:
            at = len(payload) - len(payload[at:].lstrip(b"\0"))
        elif kind == PING:
            at += 1
        elif kind in (ACK, ACK_ECN):
            after = _after_ack(payload, at)
            if after is None:
                break
            at = after
        else:
            break
        if leading:
            break
    return found


def _after_ack(payload: bytes, at: int) -> int | None:
    """Where the ACK frame at `at` ends (RFC 9000 19.3)."""
    where = at + 1
    ranges = 0
    for index in range(4):
        value = quic.varint(payload, where)
        if value is None:
            return None
        where = value[1]
        if index == 2:
            ranges = value[0]
    if ranges > MAX_FRAMES:
        return None
    for _ in range(2 * ranges + (3 if payload[at] == ACK_ECN else 0)):
        value = quic.varint(payload, where)
        if value is None:
            return None
        where = value[1]
    return where


class HelloReader:
    """Follows one connection's client datagrams until its first message is known, or will not be."""

    def __init__(self, habits: Habits) -> None:
        self._habits = habits
        self._pieces = Pieces(in_order=habits.crypto != "full")
        self._dcid: bytes | None = None
        self._left = habits.datagrams

    def add(self, datagram: bytes) -> ClientHello | More | None:
        """The hello once it is whole; `MORE` while further datagrams may bring it; None when this box gives up."""
        if self._left <= 0:
            return None
        self._left -= 1
        habits = self._habits
        packets = quic.initials(
            datagram,
            versions=habits.versions,
            check_tag=habits.check_tag,
            truncated=habits.truncated,
            dcid=self._dcid,
        )
        if not packets:
            return None
        if self._dcid is None:
            self._dcid = packets[0].dcid
        if len(self._dcid) < habits.min_dcid:
            return None
        leading = habits.crypto == "leading"
        for packet in packets:
            for offset, data in crypto_frames(packet.payload, leading=leading, trust_length=habits.trust_length):
                self._pieces.add(offset, data)
        message = self._pieces.data
        found = clienthello.parse_handshake(message)
        if found is None and habits.no_ciphers:
            found = _without_ciphers(message)
        if isinstance(found, More):
            return MORE if self._left > 0 else None
        return found


def _without_ciphers(message: bytes) -> ClientHello | None:
    """The hello in `message` if its list of ciphers is empty, which a strict reader refuses (RFC 8446 4.1.2)."""
    at = 4 + 2 + 32  # behind the message's head, the version and the random bytes
    if len(message) <= at or message[0] != clienthello.CLIENT_HELLO:
        return None
    at += 1 + message[at]
    size = int.from_bytes(message[1:4], "big")
    if message[at : at + 2] != b"\0\0" or len(message) < 4 + size:
        return None
    # Read with one cipher put in, and that cipher taken out again.
    longer = message[:1] + (size + 2).to_bytes(3, "big") + message[4:at] + b"\0\x02\0\0" + message[at + 2 :]
    found = clienthello.parse_handshake(longer)
    return replace(found, ciphers=()) if isinstance(found, ClientHello) else None
