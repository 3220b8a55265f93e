"""The thirteen probes of NDSS'20: seven that speak a protocol, six of random bytes, the same for the same seed.

TLS, HTTP, STUN, Empty, S7, Modbus, DNS-AXFR and random bytes of 23 B up to 17 KB (section III-A and V [P]). The paper
names rand-23, rand-51, rand-7k and rand-17k; the sizes of the other two are not published, so they stand where its
table II has the other thresholds: 47 B, under the 50 B of Shadowsocks, and 255 B, under the 256 B of Lampshade. Every
probe but rand-7k and rand-17k stays below 257 B then, as the Lampshade tree wants.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

# All probes that speak a protocol, in the paper's order.
SPOKEN = ("tls", "http", "stun", "empty", "s7", "modbus", "dns-axfr")
# Two sizes are ours, see above; 7k and 17k are KB of 1,024 B ("over 17KB").
RANDOM = {
    "rand-23": 23,
    "rand-47": 47,
    "rand-51": 51,
    "rand-255": 255,
    "rand-7k": 7 * 1024,
    "rand-17k": 17 * 1024 + 100,
}
NAMES = (*SPOKEN, *RANDOM)

# What this file's table of extra probes adds for telling a server from its cover (reliability.md 3.2).
EXTRA = ("byte-1", "rand-221", "ssh")


@dataclass(frozen=True, slots=True)
class ProbeMessage:
    """One probe: its name and the bytes sent once the connection stands."""

    name: str
    payload: bytes


def standard(seed: int = 0, host: str = "") -> list[ProbeMessage]:
    """The thirteen probes; `host` is written into the HTTP probe's Host line."""
    return [make(name, seed, host) for name in NAMES]


def make(name: str, seed: int = 0, host: str = "") -> ProbeMessage:
    """The probe called `name`; `ValueError` when there is none."""
    rng = Random(f"{seed}/{name}")  # noqa: S311 - the same seed must give the same bytes
    if name in RANDOM:
        return ProbeMessage(name, rng.randbytes(RANDOM[name]))
    spoken: dict[str, Callable[[], bytes]] = {
        "tls": lambda: client_hello(rng),
        "http": lambda: _http(host),
        "stun": lambda: _stun(rng),
        "empty": lambda: b"",
        "s7": lambda: _S7,
        "modbus": lambda: _MODBUS,
        "dns-axfr": lambda: _axfr(rng),
        "byte-1": lambda: rng.randbytes(1),
        "rand-221": lambda: rng.randbytes(221),  # NR2 of IMC'20 [P]
        "ssh": lambda: b"SSH-2.0-OpenSSH_9.2p1\r\n",
    }
    if name not in spoken:
        raise ValueError(f"there is no probe {name!r}; there are: {', '.join((*NAMES, *EXTRA))}")
    return ProbeMessage(name, spoken[name]())


def _http(host: str) -> bytes:
    """A request of more than 51 and, with names of usual length, fewer than 256 bytes (the trees' thresholds)."""
    return f"GET / HTTP/1.1\r\nHost: {host or 'localhost'}\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\n\r\n".encode()


def _stun(rng: Random) -> bytes:
    """A STUN binding request (RFC 8489 section 5), 20 bytes."""
    return struct.pack("!HHI", 0x0001, 0, 0x2112A442) + rng.randbytes(12)


# ISO-on-TCP (RFC 1006) with a COTP connection request (ISO 8073 class 0): how an S7 controller is greeted; 22 bytes.
_S7 = bytes.fromhex("0300001611e00000000400c1020100c2020102c0010a")
# Modbus over TCP: header, then "read device identification", basic, from object 0 (function 43, MEI type 14); 11 bytes.
_MODBUS = struct.pack("!HHHB", 0x5A47, 0, 5, 0) + bytes((0x2B, 0x0E, 0x01, 0x00))


def _axfr(rng: Random) -> bytes:
    """A zone transfer query over TCP (RFC 5936), of more than 51 bytes as the Shadowsocks trees want."""
    name = b"".join(bytes((len(label),)) + label for label in (b"zone-transfer-of-records", b"example", b"com")) + b"\0"
    message = struct.pack("!HHHHHH", rng.randrange(65_536), 0, 1, 0, 0, 0) + name + struct.pack("!HH", 252, 1)
    return struct.pack("!H", len(message)) + message


def client_hello(rng: Random, name: str = "") -> bytes:
    """A TLS 1.2/1.3 ClientHello that offers what Chromium 71 offered, without a server name unless one is given.

    The paper sent Chromium 71's hello without SNI; this one is written anew from RFC 8446 with that offer and an empty
    session id, and stays under the 256 bytes that the Lampshade tree takes for granted of all but two probes.
    """
    tls13, ecdhe = (0x1301, 0x1302, 0x1303), (0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8, 0xC013, 0xC014)
    ciphers = (*tls13, *ecdhe, 0x9C, 0x9D, 0x2F, 0x35, 0x0A)
    groups = struct.pack("!HHHH", 6, 29, 23, 24)
    signatures = (0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601, 0x0201)
    share = struct.pack("!HHH", 36, 29, 32) + rng.randbytes(32)
    server = name.encode("ascii")
    extensions = [
        (0, struct.pack("!HBH", len(server) + 3, 0, len(server)) + server) if server else None,
        (23, b""),
        (0xFF01, b"\0"),
        (10, groups),
        (11, b"\x01\x00"),
        (35, b""),
        (16, b"\x00\x0c\x02h2\x08http/1.1"),
        (5, b"\x01\0\0\0\0"),
        (13, struct.pack("!H", 2 * len(signatures)) + b"".join(struct.pack("!H", one) for one in signatures)),
        (18, b""),
        (51, share),
        (45, b"\x01\x01"),
        (43, b"\x08\x03\x04\x03\x03\x03\x02\x03\x01"),
        (27, b"\x02\x00\x02"),
    ]
    written = b"".join(struct.pack("!HH", kind, len(body)) + body for kind, body in filter(None, extensions))
    offer = b"".join(struct.pack("!H", one) for one in ciphers)
    hello = b"\x03\x03" + rng.randbytes(32) + b"\x00"
    hello += struct.pack("!H", len(offer)) + offer + b"\x01\x00" + struct.pack("!H", len(written)) + written
    message = b"\x01" + len(hello).to_bytes(3, "big") + hello
    return b"\x16\x03\x01" + struct.pack("!H", len(message)) + message
