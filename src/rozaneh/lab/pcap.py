"""Classic capture files of whole IP packets: written by the router, read back by tests and judges.

Format: the 24-byte header and 16-byte record heads of libpcap's savefile, microseconds, LINKTYPE_RAW (101).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_MAGIC = 0xA1B2C3D4
_LINKTYPE_RAW = 101
_SNAP = 65_535


class Writer:
    """Appends packets to a capture file; `flush` makes them visible to others."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("wb", buffering=1 << 18)
        self._file.write(struct.pack("<IHHiIII", _MAGIC, 2, 4, 0, 0, _SNAP, _LINKTYPE_RAW))
        self._file.flush()

    def write(self, packet: bytes, wall_time: float) -> None:
        """Adds one packet that starts at its IP header; `wall_time` is Unix time."""
        seconds = int(wall_time)
        size = len(packet)
        self._file.write(struct.pack("<IIII", seconds, int((wall_time - seconds) * 1e6), size, size))
        self._file.write(packet)

    def flush(self) -> None:
        """Hands everything written so far to the kernel."""
        self._file.flush()

    def close(self) -> None:
        """Flushes and closes the file."""
        self._file.close()


def read(path: Path) -> Iterator[tuple[float, bytes]]:
    """Every packet of a capture this module wrote, with its Unix time; stops at a record cut short."""
    data = path.read_bytes()
    if len(data) < 24:
        raise ValueError(f"{path.name} is too short for a capture")
    magic, _, _, _, _, _, link = struct.unpack_from("<IHHiIII", data)
    if magic != _MAGIC or link != _LINKTYPE_RAW:
        raise ValueError(f"{path.name} is not a capture of raw IP packets")
    at = 24
    while at + 16 <= len(data):
        seconds, micros, size, _ = struct.unpack_from("<IIII", data, at)
        at += 16
        if at + size > len(data):
            return
        yield seconds + micros / 1e6, data[at : at + size]
        at += size
