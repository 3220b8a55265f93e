"""As much of a DNS message as forgers, path filters and a small authoritative server need (RFC 1035 section 4)."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from random import Random

A = 1
CNAME = 5
TXT = 16
AAAA = 28
IN = 1
NOERROR = 0
SERVFAIL = 2
NXDOMAIN = 3
REFUSED = 5

_RESPONSE, _AUTHORITATIVE, _RECURSION_AVAILABLE = 0x8000, 0x0400, 0x0080
_KEPT_FLAGS = 0x7900  # the query's opcode and RD go back as they came
_MAX_NAME = 255  # RFC 1035 2.3.4
_MAX_RECORDS = 64  # read of one message
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

    @property
    def name_as_sent(self) -> str:
        """The name in the letter case it was sent in, without the last dot."""
        return ".".join(_labels(self.question))

    @property
    def wire_length(self) -> int:
        """How many bytes the name takes up in the message, the root's zero included."""
        return len(self.question) - 4


@dataclass(frozen=True, slots=True)
class Response:
    """A response to one question: its code, and the addresses among its answers, as text."""

    ident: int
    code: int
    name: str
    kind: int
    addresses: tuple[str, ...]
    question: bytes


def read_query(message: bytes) -> Query | None:
    """The query in `message`, or None when it is not one with exactly one whole question."""
    if len(message) < 17:
        return None
    ident, flags, questions = struct.unpack_from("!HHH", message)
    if flags & _RESPONSE or questions != 1:
        return None
    found = _question(message)
    if found is None:
        return None
    name, kind, class_, question = found
    return Query(ident, flags, name, kind, class_, question)


def read_response(message: bytes) -> Response | None:
    """The response in `message`, or None when it is not one with exactly one whole question; bad records are left."""
    if len(message) < 17:
        return None
    ident, flags, questions, answers = struct.unpack_from("!HHHH", message)
    if not flags & _RESPONSE or questions != 1:
        return None
    found = _question(message)
    if found is None:
        return None
    name, kind, _, question = found
    at = 12 + len(question)
    addresses: list[str] = []
    for _ in range(min(answers, _MAX_RECORDS)):
        start = _after_name(message, at)
        if start is None or start + 10 > len(message):
            break
        record, _, _, size = struct.unpack_from("!HHIH", message, start)
        data = message[start + 10 : start + 10 + size]
        at = start + 10 + size
        if record == A and len(data) == 4:
            addresses.append(socket.inet_ntop(socket.AF_INET, data))
        elif record == AAAA and len(data) == 16:
            addresses.append(socket.inet_ntop(socket.AF_INET6, data))
    return Response(ident, flags & 15, name, kind, tuple(addresses), question)


def _question(message: bytes) -> tuple[str, int, int, bytes] | None:
    """Name, type, class and bytes of the question of a message of at least 12 bytes."""
    at = 12
    labels: list[str] = []
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
    return ".".join(labels), kind, class_, message[12:end]


def _labels(question: bytes) -> list[str]:
    """The labels of a question's name, as sent."""
    found: list[str] = []
    at = 0
    while question[at]:
        found.append(question[at + 1 : at + 1 + question[at]].decode("ascii", errors="replace"))
        at += 1 + question[at]
    return found


def _after_name(message: bytes, at: int) -> int | None:
    """Where the name at `at` ends, compressed or not."""
    while at < len(message):
        size = message[at]
        if size == 0:
            return at + 1
        if size >= 0xC0:
            return at + 2
        if size > 63:
            return None
        at += 1 + size
    return None


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


def malformed_answer(query: Query, address: str, *, ttl: int = 418, flags: int = 0x81A0) -> bytes:
    """The answer Iran's box sends over TCP: one additional record that is not there, a question without its class.

    Bytes as quoted in net4people/bbs #226 and #451 for google.com [T]; without the length in front. Strict parsers fail
    on it, sloppy ones take `address` (catalogue IR-01). Always an A record, as only that was seen.
    """
    data = socket.inet_pton(socket.AF_INET, address)
    head = struct.pack("!HHHHHH", query.ident, flags, 1, 1, 0, 1)
    return head + query.question[:-2] + _POINTER_TO_QUESTION + struct.pack("!HHIH", A, IN, ttl, len(data)) + data


def scrambled(message: bytes, rng: Random) -> bytes:
    """`message` with a random letter case for each letter of its question's name (draft-vixie-dnsext-dns0x20)."""
    found = _question(message) if len(message) >= 17 else None
    if found is None:
        return message
    name = found[3][:-4]
    made = bytearray(name)
    at = 0
    while name[at]:
        for index in range(at + 1, at + 1 + name[at]):
            if 65 <= name[index] & 0xDF <= 90:
                made[index] = name[index] & 0xDF | (0x20 if rng.random() < 0.5 else 0)
        at += 1 + name[at]
    return message[:12] + bytes(made) + message[12 + len(made) :]


def with_question(message: bytes, question: bytes) -> bytes:
    """`message` with `question` in its question's place, if the two differ in letter case alone; else as it was."""
    found = _question(message) if len(message) >= 17 else None
    if found is None or found[3].lower() != question.lower():
        return message
    return message[:12] + question + message[12 + len(question) :]


def write_query(ident: int, name: str, kind: int = A) -> bytes:
    """A query for `name`, as a stub resolver sends it (RD set)."""
    labels = b"".join(bytes((len(label),)) + label.encode("ascii") for label in name.split("."))
    return struct.pack("!HHHHHH", ident, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", kind, IN)


def read_answers(message: bytes) -> tuple[int, list[str]]:
    """The response code and the addresses of a response; `ValueError` when it is none."""
    response = read_response(message)
    if response is None:
        raise ValueError("not a DNS response")
    return response.code, list(response.addresses)
