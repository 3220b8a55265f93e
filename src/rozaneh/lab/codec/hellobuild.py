"""Makes ClientHellos field by field, and whole ones with Chrome's and Firefox's fingerprints, for checks and tests.

The two browsers are those of published examples: what matters here is that a rule on fingerprints tells them apart, not
that a server could answer them. Real browsers are used where a claim is about real browsers.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence


def vector(count: int, data: bytes) -> bytes:
    """`data` behind its length in `count` bytes."""
    return len(data).to_bytes(count, "big") + data


def numbers(values: Sequence[int]) -> bytes:
    """Sixteen-bit numbers one behind the other."""
    return struct.pack(f"!{len(values)}H", *values)


def server_name(name: str) -> tuple[int, bytes]:
    """The server_name extension."""
    return 0, vector(2, b"\0" + vector(2, name.encode()))


def alpn(*protocols: bytes) -> tuple[int, bytes]:
    """The ALPN extension."""
    return 16, vector(2, b"".join(vector(1, protocol) for protocol in protocols))


def groups(*values: int) -> tuple[int, bytes]:
    """The supported_groups extension."""
    return 10, vector(2, numbers(values))


def algorithms(*values: int) -> tuple[int, bytes]:
    """The signature_algorithms extension."""
    return 13, vector(2, numbers(values))


def versions(*values: int) -> tuple[int, bytes]:
    """The supported_versions extension."""
    return 43, vector(1, numbers(values))


def body(
    ciphers: Sequence[int],
    extensions: Sequence[tuple[int, bytes]],
    *,
    version: int = 0x0303,
    cookie: bytes | None = None,
) -> bytes:
    """A ClientHello's fields; `cookie` makes it DTLS's."""
    listed = b"".join(struct.pack("!H", kind) + vector(2, content) for kind, content in extensions)
    return (
        struct.pack("!H", version)
        + bytes(range(32))
        + vector(1, b"\x11" * 32)
        + (b"" if cookie is None else vector(1, cookie))
        + vector(2, numbers(ciphers))
        + b"\x01\x00"
        + (vector(2, listed) if extensions else b"")
    )


def handshake(content: bytes) -> bytes:
    """The message with its head."""
    return b"\x01" + vector(3, content)


def record(message: bytes, size: int = 16_384) -> bytes:
    """The message in TLS records of at most `size` bytes."""
    parts = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(b"\x16\x03\x01" + vector(2, part) for part in parts)


def dtls(content: bytes, size: int = 65_000) -> list[bytes]:
    """The message in DTLS records, one for each fragment of at most `size` bytes."""
    made = []
    for number, at in enumerate(range(0, len(content), size)):
        part = content[at : at + size]
        piece = b"\x01" + len(content).to_bytes(3, "big") + b"\0\0" + at.to_bytes(3, "big") + vector(3, part)
        made.append(b"\x16\xfe\xff\0\0" + number.to_bytes(6, "big") + vector(2, piece))
    return made


# The Chrome of JA4's published worked example (FoxIO, "JA4 technical details"): lists as printed there.
CHROME_CIPHERS = (
    *(0x1301, 0x1302, 0x1303, 0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8, 0xC013, 0xC014),
    *(0x009C, 0x009D, 0x002F, 0x0035),
)
CHROME_ALGORITHMS = (0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601)


def chrome(name: str | None, *, extra: Sequence[tuple[int, bytes]] = ()) -> bytes:
    """A hello with Chrome's JA4 (FoxIO's worked example, t13d1516h2_8daaf6152771_e5627efa2ab1), in one record."""
    extensions: list[tuple[int, bytes]] = [(0x1A1A, b"")]
    if name is not None:
        extensions.append(server_name(name))
    extensions += [
        *((0x001B, b"\x02\x00\x02"), (0x0023, b""), (0x0033, vector(2, numbers((0x1D,)) + vector(2, bytes(32))))),
        *((0xFF01, b"\0"), (0x4469, b"\x00\x03\x02h2"), (0x0005, b"\x01\0\0\0\0"), (0x0017, b""), (0x0012, b"")),
        algorithms(*CHROME_ALGORITHMS),
        versions(0x2A2A, 0x0304, 0x0303),
        groups(0x3A3A, 0x001D, 0x0017, 0x0018),
        alpn(b"h2", b"http/1.1"),
        *((0x002D, b"\x01\x01"), (0x000B, b"\x01\x00")),
        (0x4A4A, b"\0"),
        *extra,
        (0x0015, bytes(100)),
    ]
    return record(handshake(body((0x0A0A, *CHROME_CIPHERS), extensions)))


FIREFOX_CIPHERS = (
    *(0x1301, 0x1303, 0x1302, 0xC02B, 0xC02F, 0xCCA9, 0xCCA8, 0xC02C, 0xC030, 0xC00A, 0xC009, 0xC013, 0xC014),
    *(0x009C, 0x009D, 0x002F, 0x0035),
)


def firefox(name: str | None) -> bytes:
    """A hello with Firefox's cipher list (JA4's second part 5b57614c22b0), in one record."""
    extensions: list[tuple[int, bytes]] = [] if name is None else [server_name(name)]
    extensions += [
        *((0x0017, b""), (0xFF01, b"\0"), groups(0x001D, 0x0017, 0x0018, 0x0019), (0x000B, b"\x01\x00"), (0x0023, b"")),
        *(alpn(b"h2", b"http/1.1"), (0x0005, b"\x01\0\0\0\0"), algorithms(0x0403, 0x0503, 0x0603, 0x0804, 0x0805)),
        *(
            (0x0033, vector(2, numbers((0x1D,)) + vector(2, bytes(32)))),
            versions(0x0304, 0x0303),
            (0x001C, b"\x40\x01"),
        ),
    ]
    return record(handshake(body(FIREFOX_CIPHERS, extensions)))
