"""Reads how a browser opens HTTP/2: its frames before any answer, by TLS records, and how it writes its first request.

Frames are RFC 9113 section 4.1, settings 6.5.1, the priority in HEADERS 6.2 (weights one less than meant, as RFC 7540
section 6.3 had them); header blocks are RFC 7541, decoded by `hpack`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from rozaneh.data.browsers import schema
from rozaneh.lab.isolate import LabUnavailable

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 2, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITISED = 0x1, 0x1, 0x4, 0x8, 0x20
_NAMES = {
    DATA: "DATA",
    HEADERS: "HEADERS",
    PRIORITY: "PRIORITY",
    SETTINGS: "SETTINGS",
    PING: "PING",
    GOAWAY: "GOAWAY",
    WINDOW_UPDATE: "WINDOW_UPDATE",
}
_HEAD = 9


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame, and where it ends in the stream."""

    kind: int
    flags: int
    stream: int
    payload: bytes
    end: int


def frames(data: bytes, start: int = 0) -> Iterator[Frame]:
    """The whole frames in a stream from `start` on."""
    at = start
    while at + _HEAD <= len(data):
        size = int.from_bytes(data[at : at + 3], "big")
        end = at + _HEAD + size
        if end > len(data):
            return
        stream = int.from_bytes(data[at + 5 : at + 9], "big") & 0x7FFFFFFF
        yield Frame(data[at + 3], data[at + 4], stream, data[at + _HEAD : end], end)
        at = end


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """One frame in bytes."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def read(records: Sequence[bytes]) -> schema.Http2 | None:
    """The opening in the browser's application records; None when there is no whole one up to the first request."""
    stream = b"".join(records)
    if not stream.startswith(PREFACE):
        return None
    settings: tuple[tuple[int, int], ...] | None = None
    update = 0
    opened: schema.Http2 | None = None
    seen = [("PREFACE", len(PREFACE))]
    for one in frames(stream, len(PREFACE)):
        if opened is not None:
            if one.kind == WINDOW_UPDATE and one.stream == opened.first_stream and len(one.payload) == 4:
                opened = msgspec.structs.replace(opened, stream_update=int.from_bytes(one.payload, "big"))
            return opened
        seen.append((_NAMES.get(one.kind, f"0x{one.kind:02x}"), one.end))
        if one.kind == SETTINGS and not one.flags & ACK and settings is None:
            settings = tuple(struct.iter_unpack(">HI", one.payload[: len(one.payload) // 6 * 6]))
        elif one.kind == WINDOW_UPDATE and one.stream == 0 and len(one.payload) == 4:
            update += int.from_bytes(one.payload, "big")
        elif one.kind == HEADERS and one.flags & END_HEADERS and settings is not None:
            priority, fields = _request(one)
            names = [name for name, _ in fields]
            opened = schema.Http2(
                settings=settings,
                window_update=update,
                first_stream=one.stream,
                priority=priority,
                pseudo=tuple(name for name in names if name.startswith(":")),
                headers=tuple(name for name in names if not name.startswith(":")),
                values=tuple(value for name, value in fields if not name.startswith(":")),
                opening=_by_record(seen, records),
            )
    return opened


def _request(one: Frame) -> tuple[schema.Priority | None, list[tuple[str, str]]]:
    try:
        import hpack
    except ImportError as error:
        raise LabUnavailable("Python's `hpack` is missing: `pip install h2`") from error
    payload = one.payload
    if one.flags & PADDED:
        payload = payload[1 : len(payload) - payload[0]]
    priority = None
    if one.flags & PRIORITISED:
        depends, weight = struct.unpack(">IB", payload[:5])
        priority = schema.Priority(exclusive=bool(depends >> 31), depends_on=depends & 0x7FFFFFFF, weight=weight + 1)
        payload = payload[5:]
    decoded = hpack.Decoder().decode(payload, raw=True)
    # A browser without a window says so in its name (`HeadlessChrome`); a person's does not.
    fields = [(_text(name), _text(value).replace("Headless", "")) for name, value in decoded]
    return priority, fields


def _text(raw: bytes) -> str:
    return bytes(raw).decode("ascii", errors="replace")


def _by_record(seen: Sequence[tuple[str, int]], records: Sequence[bytes]) -> tuple[tuple[str, ...], ...]:
    """The names of `seen`, each with the record its last byte came in."""
    found: list[tuple[str, ...]] = []
    end = 0
    left = list(seen)
    for record in records:
        end += len(record)
        inside = [name for name, at in left if at <= end]
        left = left[len(inside) :]
        if inside:
            found.append(tuple(inside))
        if not left:
            break
    return tuple(found)
