"""An answer as numbers, for whoever tries to tell two servers apart by them."""

from __future__ import annotations

from rozaneh.lab.tell.seen import Seen

_ENDS = {"fin": 0.0, "rst": 1.0, "open": 2.0, "refused": 3.0}
_LENGTHS = 10

Row = tuple[float, ...]

NAMES = (
    "probe",
    "family",
    "end",
    "end_s",
    "first_s",
    "size",
    "records",
    "data records",
    "alert",
    "said",
    "tls",
    *(f"length {n}" for n in range(_LENGTHS)),
)


def row(seen: Seen, probe: int, family: int) -> Row:
    """The numbers of one answer; the probe's number is among them, since a censor knows what was asked."""
    lengths = [float(length) for _, length in seen.records[:_LENGTHS]]
    return (
        float(probe),
        float(family),
        _ENDS[seen.end],
        seen.end_s if seen.end != "open" else 0.0,
        seen.first_s,
        float(seen.size),
        float(len(seen.records)),
        float(sum(kind == 23 for kind, _ in seen.records)),
        float(seen.alert),
        float(int(seen.said or "0", 16)),
        float(hash_of(seen.tls)),
        *lengths,
        *[-1.0] * (_LENGTHS - len(lengths)),
    )


def hash_of(text: str) -> int:
    """A number for a text, the same in every process."""
    value = 0
    for byte in text.encode():
        value = (value * 257 + byte) % 1_000_003
    return value
