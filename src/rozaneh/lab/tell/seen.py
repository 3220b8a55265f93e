"""What a stranger got from one conversation, reduced to what can be compared between two servers.

Only what says nothing about the moment or the address is kept: a page without its date, the lengths of records, frames
of HTTP/2 by kind and flags, alerts, how it ended and when.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Literal

End = Literal["fin", "rst", "open", "refused"]

# What differs between two answers of one and the same server: the moment.
_MOMENT = re.compile(rb"(?im)^(date|expires|age):[^\r\n]*")
_RECORDS = 24
_H2_HEADERS, _H2_CONTINUATION = 1, 9
# RFC 8446 section 5: the record kinds there are.
_KINDS = range(20, 25)


@dataclass(frozen=True, slots=True)
class Seen:
    """One answer.

    Attributes:
        end: How the connection ended (`open`: not within the time it was watched).
        end_s: When, in seconds from its beginning; the time it was watched where it did not end.
        first_s: When the first byte came; negative without one.
        size: Bytes that came.
        records: Kind and length of the first TLS records, headers not counted; empty where the answer is not TLS.
        alert: Level and description of the first plaintext alert, as one number; negative without one.
        said: A digest of what could be read, without what only says what time it was.
        tls: How the prober's own handshake ended.
    """

    end: End
    end_s: float
    first_s: float
    size: int
    records: tuple[tuple[int, int], ...]
    alert: int
    said: str
    tls: str

    def exact(self) -> str:
        """Everything but the times, in one line; two of these are equal or a difference that can be named."""
        lengths = " ".join(f"{kind}:{length}" for kind, length in self.records)
        alert = f" alert {self.alert >> 8}.{self.alert & 0xFF}" if self.alert >= 0 else ""
        said = f" said {self.said}" if self.said else ""
        tls = f" [{self.tls}]" if self.tls else ""
        return f"{self.end} {_when(self)} {self.size}B{alert}{said}{tls} {lengths}".strip()


def _when(seen: Seen) -> str:
    """When it ended, roughly: machines are slower and faster than that, servers' patience is not."""
    if seen.end == "open":
        return ""
    return "at once" if seen.end_s < 1.0 else f"after {round(seen.end_s / 2.5) * 2.5:g} s"


def reduce(
    raw: bytes, inner: bytes, tls: str, end: End, end_s: float, first_s: float, size: int
) -> Seen:  # one fact each, all wanted
    """Makes a `Seen` of what came."""
    records, alert = _walk(raw)
    readable = _readable(inner) if tls else b"" if records else _MOMENT.sub(b"", raw)
    said = hashlib.sha256(readable).hexdigest()[:8] if readable else ""
    return Seen(end, end_s, first_s, size, records, alert, said, tls)


def _walk(raw: bytes) -> tuple[tuple[tuple[int, int], ...], int]:
    """The records of an answer and its first alert; nothing when it is not TLS."""
    found: list[tuple[int, int]] = []
    alert, at = -1, 0
    while at + 5 <= len(raw) and len(found) < _RECORDS:
        kind, length = raw[at], int.from_bytes(raw[at + 3 : at + 5], "big")
        if kind not in _KINDS or raw[at + 1] != 3:
            break
        found.append((kind, length))
        if kind == 21 and length == 2 and alert < 0 and at + 7 <= len(raw):
            alert = int.from_bytes(raw[at + 5 : at + 7], "big")
        at += 5 + length
    return tuple(found), alert


def _readable(inner: bytes) -> bytes:
    """A page without its moment; of HTTP/2 the frames, header blocks by their flags only."""
    if inner[:5] == b"HTTP/" or not _is_h2(inner):
        return _MOMENT.sub(b"", inner)
    kept, at = bytearray(), 0
    while at + 9 <= len(inner):
        length, kind = int.from_bytes(inner[at : at + 3], "big"), inner[at + 3]
        kept += inner[at + 3 : at + 9]
        if kind not in (_H2_HEADERS, _H2_CONTINUATION):
            kept += inner[at + 9 : at + 9 + length]
        at += 9 + length
    return bytes(kept)


def _is_h2(inner: bytes) -> bool:
    """Whether it begins with a frame on stream 0, as every HTTP/2 server's answer does (SETTINGS or GOAWAY)."""
    return len(inner) >= 9 and inner[3] in (4, 7) and inner[5:9] == b"\0\0\0\0"
