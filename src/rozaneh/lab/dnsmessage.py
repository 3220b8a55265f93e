"""As much of a DNS message as a forger and a small authoritative server need (RFC 1035 section 4)."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

A = 1
AAAA = 28
IN = 1
NOERROR = 0
NXDOMAIN = 3
REFUSED = 5

_RESPONSE, _AUTHORITATIVE, _RECURSION_AVAILABLE = 0x8000, 0x0400, 0x0080
_KEPT_FLAGS = 0x7900  # the query's opcode and RD go back as they came
_MAX_NAME = 255  # RFC 1035 2.3.4
_POINTER_TO_QUESTION = b"\xc0\x0c"


@dataclass(frozen=True, slots=True)
class Query:
    """A query with one question; `question` is its bytes as they stood, case included."""

    ident: int
    flags: int
    name: str  # lower-case, without the last dot
    kind: int
    class_: int
    question: bytes


def read_query(message: bytes) -> Query | None:
    """The query in `message`, or None when it is not one with exactly one whole question."""
    if len(message) < 17:
        return None
    ident, flags, questions = struct.unpack_from("!HHH", message)
    if flags & _RESPONSE or questions != 1:
        return None
    labels: list[str] = []
    at = 12
    while at < len(message):
        size = message[at]
        if size == 0:
            break
        if size > 63 or at + 1 + size > len(message) or at - 12 > _MAX_NAME:
            return None
        labels.append(message[at + 1 : at + 1 + size].decode("ascii", errors="replace").lower())
        at += 1 + size
    end = at + 5
    if end > len(message) or not labels:
        return None
    kind, class_ = struct.unpack_from("!HH", message, at + 1)
    return Query(ident, flags, ".".join(labels), kind, class_, message[12:end])


def answer(
    query: Query, addresses: list[str], *, ttl: int = 300, code: int = NOERROR, authoritative: bool = True
) -> bytes:
    """A response to `query` with those of `addresses` that fit its type."""
    wanted = {A: socket.AF_INET, AAAA: socket.AF_INET6}.get(query.kind)
    records = b""
    count = 0
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        if query.class_ == IN and family == wanted:
            data = socket.inet_pton(family, address)
            records += _POINTER_TO_QUESTION + struct.pack("!HHIH", query.kind, IN, ttl, len(data)) + data
            count += 1
    flags = _RESPONSE | _RECURSION_AVAILABLE | (query.flags & _KEPT_FLAGS) | code
    if authoritative:
        flags |= _AUTHORITATIVE
    return struct.pack("!HHHHHH", query.ident, flags, 1, count, 0, 0) + query.question + records


def write_query(ident: int, name: str, kind: int = A) -> bytes:
    """A query for `name`, as a stub resolver sends it (RD set)."""
    labels = b"".join(bytes((len(label),)) + label.encode("ascii") for label in name.split("."))
    return struct.pack("!HHHHHH", ident, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", kind, IN)


def read_answers(message: bytes) -> tuple[int, list[str]]:
    """The response code and the addresses of a response as `answer` writes it."""
    ident_flags_counts = struct.unpack_from("!HHHHHH", message)
    at = 12 + message[12:].index(b"\0") + 5
    found: list[str] = []
    for _ in range(ident_flags_counts[3]):
        kind, _, _, size = struct.unpack_from("!HHIH", message, at + 2)
        data = message[at + 12 : at + 12 + size]
        if kind in (A, AAAA):
            found.append(socket.inet_ntop(socket.AF_INET if kind == A else socket.AF_INET6, data))
        at += 12 + size
    return ident_flags_counts[1] & 15, found
