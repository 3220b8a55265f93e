"""JA3 and JA4 of a ClientHello, as their authors published them: what a censor's list of fingerprints is matched with.

JA3 (Althouse, Atkinson, Atkins 2017): MD5 over version, ciphers, extensions, groups and point formats in the order
sent, so a client that shuffles its extensions has a new one each time (Chrome since 110, catalogue ML-13). JA4
(FoxIO 2023, "JA4: TLS Client Fingerprinting"): a readable part, then two truncated SHA-256 sums over *sorted* lists.
Both leave GREASE values (RFC 8701) out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Literal

from rozaneh.lab.codec.clienthello import ALPN, SERVER_NAME, ClientHello, is_grease

Transport = Literal["t", "q", "d"]

_NONE = "000000000000"
_VERSIONS = {
    0x0304: "13",
    0x0303: "12",
    0x0302: "11",
    0x0301: "10",
    0x0300: "s3",
    0x0002: "s2",
    0xFEFF: "d1",
    0xFEFD: "d2",
    0xFEFC: "d3",
}


def ja3_text(hello: ClientHello) -> str:
    """The string JA3 is the MD5 of."""
    lists = (hello.ciphers, (kind for kind, _ in hello.extensions), hello.groups)
    parts = ["-".join(str(value) for value in one if not is_grease(value)) for one in lists]
    return ",".join([str(hello.version), *parts, "-".join(str(value) for value in hello.point_formats)])


def ja3(hello: ClientHello) -> str:
    """JA3 as 32 hexadecimal digits."""
    return hashlib.md5(ja3_text(hello).encode(), usedforsecurity=False).hexdigest()


def ja4(hello: ClientHello, transport: Transport = "t") -> str:
    """JA4; `transport` is t for TLS over TCP, q for QUIC, d for DTLS."""
    kinds = [kind for kind, _ in hello.extensions if not is_grease(kind)]
    ciphers = [cipher for cipher in hello.ciphers if not is_grease(cipher)]
    readable = (
        f"{transport}{_version(hello)}{'d' if SERVER_NAME in kinds else 'i'}"
        f"{min(len(ciphers), 99):02d}{min(len(kinds), 99):02d}{_protocol(hello)}"
    )
    return f"{readable}_{_sum(_listed(sorted(ciphers)))}_{_sum(ja4_extensions_text(hello))}"


def ja4_extensions_text(hello: ClientHello) -> str:
    """The string JA4's third part is the sum of: extensions sorted, signature algorithms as sent."""
    kinds = sorted(k for k, _ in hello.extensions if not is_grease(k) and k not in (SERVER_NAME, ALPN))
    algorithms = _listed(value for value in hello.sig_algs if not is_grease(value))
    return _listed(kinds) + (f"_{algorithms}" if algorithms else "")


def matches(hello: ClientHello, patterns: Iterable[str], transport: Transport = "t") -> str | None:
    """The fingerprint one of `patterns` fits, or None.

    A pattern of 32 characters without an underscore is a JA3, any other a JA4; `*` and `?` stand for what they stand
    for in a shell, so that `t13d15??h2_8daaf6152771_*` is a family of versions.
    """
    found = _search(hello, patterns, transport)
    return found[0] if found else None


def family(hello: ClientHello, patterns: Iterable[str], transport: Transport = "t") -> str | None:
    """The first of `patterns` (as in `matches`) that the hello's fingerprint fits, or None."""
    found = _search(hello, patterns, transport)
    return found[1] if found else None


def _search(hello: ClientHello, patterns: Iterable[str], transport: Transport) -> tuple[str, str] | None:
    made: dict[str, str] = {}
    for pattern in patterns:
        kind = "ja3" if len(pattern) == 32 and "_" not in pattern else "ja4"
        value = made.get(kind)
        if value is None:
            value = made[kind] = ja4(hello, transport) if kind == "ja4" else ja3(hello)
        if fnmatchcase(value, pattern):
            return value, pattern
    return None


def _version(hello: ClientHello) -> str:
    """The highest version offered; DTLS numbers fall as versions rise."""
    offered = [version for version in hello.versions if not is_grease(version)] or [hello.version]
    best = min(offered) if offered[0] >> 8 == 0xFE else max(offered)
    return _VERSIONS.get(best, "00")


def _protocol(hello: ClientHello) -> str:
    """First and last character of the first application protocol, or of its hexadecimal form when not alphanumeric."""
    first = hello.alpn[0] if hello.alpn else b""
    if not first:
        return "00"
    ends = first[:1] + first[-1:]
    if ends.isalnum():  # for bytes, this is ASCII only
        return ends.decode()
    digits = first.hex()
    return digits[0] + digits[-1]


def _listed(values: Iterable[int]) -> str:
    return ",".join(f"{value:04x}" for value in values)


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12] if text else _NONE
