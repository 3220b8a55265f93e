"""TLS records in a flow as a passive observer sees them, and where the handshake of an outer (cover) TLS ends."""

from __future__ import annotations

from dataclasses import dataclass

from rozaneh.lab.judges.flowsfrom import Data, Flow

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION = 20, 21, 22, 23
_CLIENT_HELLO = 1
_LONGEST = 16_384 + 256  # RFC 8446 5.2


@dataclass(frozen=True, slots=True)
class Record:
    """One record: its type, and where it starts and ends in its direction's stream."""

    kind: int
    start: int
    end: int


def records(stream: bytes | bytearray) -> list[Record]:
    """The records a stream begins with, until something else comes or what was kept ends (the last may go on)."""
    found = []
    at = 0
    while at + 5 <= len(stream):
        kind, major = stream[at], stream[at + 1]
        size = int.from_bytes(stream[at + 3 : at + 5], "big")
        if not 20 <= kind <= 24 or major != 3 or size > _LONGEST:
            break
        found.append(Record(kind, at, at + 5 + size))
        at += 5 + size
    return found


def is_tls(flow: Flow) -> bool:
    """Whether the flow begins as TLS: a ClientHello in a handshake record."""
    up = flow.up
    return len(up) >= 6 and up[0] == HANDSHAKE and up[1] == 3 and up[5] == _CLIENT_HELLO


def after_change_cipher(flow: Flow) -> list[Data]:
    """Data packets after the one with each direction's ChangeCipherSpec, as ML-02 skips what comes before.

    A direction that never sends one has no packets left.
    """
    ends = {up: _first_end(flow.up if up else flow.down, CHANGE_CIPHER_SPEC) for up in (True, False)}
    gone = {True: 0, False: 0}
    left = []
    for packet in flow.packets:
        start = gone[packet.up]
        gone[packet.up] += packet.size
        end = ends[packet.up]
        if end is not None and start >= end:
            left.append(packet)
    return left


def without_handshake(flow: Flow) -> list[Data]:
    """Data packets behind the outer handshake (ML-01), for any flow; one that is not TLS is returned whole.

    The handshake ends for the client with the record after its ChangeCipherSpec (its Finished). For the server it ends
    with the record after its own in TLS 1.2; in 1.3, where its encrypted records all look alike, with everything sent
    before the client's Finished was. A packet that carries the end of the handshake and the first data counts with the
    bytes of data.
    """
    if not is_tls(flow):
        return list(flow.packets)
    up_end = _finished_end(flow.up)
    if up_end is None:
        return []
    down_records = records(flow.down)
    position = next((index for index, one in enumerate(down_records) if one.kind == CHANGE_CIPHER_SPEC), None)
    down_end = None
    if position is not None and position + 1 < len(down_records) and down_records[position + 1].kind == HANDSHAKE:
        down_end = down_records[position + 1].end
    gone = {True: 0, False: 0}
    finished = False
    left = []
    for packet in flow.packets:
        start = gone[packet.up]
        end = gone[packet.up] = start + packet.size
        if packet.up:
            finished = finished or end >= up_end
            limit = up_end
        elif down_end is not None:
            limit = down_end
        else:
            limit = start if finished else end
        rest = min(packet.size, end - limit)
        if rest > 0:
            left.append(Data(packet.when, rest, packet.up))
    return left


def _first_end(stream: bytearray, kind: int) -> int | None:
    return next((one.end for one in records(stream) if one.kind == kind), None)


def _finished_end(stream: bytearray) -> int | None:
    found = records(stream)
    for index, one in enumerate(found):
        if one.kind == CHANGE_CIPHER_SPEC and index + 1 < len(found):
            return found[index + 1].end
    return None


@dataclass(frozen=True, slots=True)
class Burst:
    """Consecutive packets of one direction: bytes together, and how many."""

    up: bool
    size: int
    packets: int


def bursts(packets: list[Data], *, gap: float | None = None, overhead: int = 0) -> list[Burst]:
    """Packets joined to bursts; a pause of `gap` seconds or more ends one. `overhead` is taken from each packet."""
    found: list[Burst] = []
    last: float | None = None
    for packet in packets:
        size = max(0, packet.size - overhead)
        paused = gap is not None and last is not None and packet.when - last >= gap
        if found and found[-1].up == packet.up and not paused:
            found[-1] = Burst(packet.up, found[-1].size + size, found[-1].packets + 1)
        else:
            found.append(Burst(packet.up, size, 1))
        last = packet.when
    return found
