"""TLS records over a byte stream: taking a handshake message out of them, joined or not, and cutting one up.

Whether a box joins records is a knob of its own beside TCP reassembly (catalogue E5): the GFW and Henan do not
[P SP'25 table parsing-logic], nor does the box behind RU-13 once segments are cut as well [C FOCI'25 ECH section 5].
"""

from __future__ import annotations

HANDSHAKE = 22
MAX_RECORD = 16_384  # RFC 8446 5.1
_HEAD = 5


def join(data: bytes, joined: bool) -> bytes:
    """The handshake bytes at the start of `data`: of all handshake records there, or of the first one only.

    A record that has not ended gives what there is of it. Anything that is not a handshake record ends the walk.
    """
    message = bytearray()
    at = 0
    while True:
        head = data[at : at + _HEAD]
        if len(head) < _HEAD or head[0] != HANDSHAKE or head[1] != 3:
            break
        size = int.from_bytes(head[3:5], "big")
        if not 0 < size <= MAX_RECORD:
            break
        message += data[at + _HEAD : at + _HEAD + size]
        at += _HEAD + size
        if not joined or at > len(data):
            break
    return bytes(message)


def cut(hello: bytes, *sizes: int) -> bytes:
    """The message of one handshake record as several: `sizes` bytes each, the last size again until all is out."""
    if not sizes or min(sizes) < 1:
        raise ValueError("records hold at least one byte")
    head, body = hello[:3], hello[_HEAD:]
    parts: list[bytes] = []
    at = turn = 0
    while at < len(body):
        size = sizes[min(turn, len(sizes) - 1)]
        part = body[at : at + size]
        parts.append(head + len(part).to_bytes(2, "big") + part)
        at += size
        turn += 1
    return b"".join(parts)
