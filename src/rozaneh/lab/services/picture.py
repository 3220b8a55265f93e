"""Draws a small PNG of its own for each site, so that a screenshot shows at a glance which one it is."""

from __future__ import annotations

import struct
import zlib

WIDTH, HEIGHT = 480, 160


def draw(colour: str, seed: str) -> bytes:
    """A PNG with a skyline of bars in `colour` (`#rrggbb`); their heights come from `seed`."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    heights = [40 + (zlib.crc32(f"{seed}/{bar}".encode()) % (HEIGHT - 60)) for bar in range(12)]
    bar_width = WIDTH // len(heights)
    ink = bytes((red, green, blue))
    paper = bytes((255 - (255 - red) // 6, 255 - (255 - green) // 6, 255 - (255 - blue) // 6))
    rows = bytearray()
    for y in range(HEIGHT):
        rows.append(0)  # PNG 12.3: filter type none
        for height in heights:
            rows += (ink if HEIGHT - y <= height else paper) * (bar_width - 6) + paper * 6
    head = struct.pack("!IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", head)
        + _chunk(b"IDAT", zlib.compress(bytes(rows), 6))
        + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))
