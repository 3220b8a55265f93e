"""What a prober may open a TLS connection with that is not, or not yet, a ClientHello one can answer."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from contextlib import suppress


def client_hello(protocols: Sequence[str]) -> bytes:
    """The first record of a real TLS client."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(list(protocols))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    connection = context.wrap_bio(incoming, outgoing, server_hostname="x.example")
    with suppress(ssl.SSLWantReadError):
        connection.do_handshake()
    return outgoing.read()


def record(body: bytes, *, kind: int = 22, version: bytes = b"\x03\x01", length: int | None = None) -> bytes:
    """One TLS record, whose length field may lie."""
    return bytes([kind]) + version + (len(body) if length is None else length).to_bytes(2, "big") + body


def _cases() -> dict[str, bytes]:
    hello = client_hello(["h2", "http/1.1"])
    body = hello[5:]
    cases: dict[str, bytes] = {}
    for version in (0x0000, 0x0200, 0x0401, 0x0909):
        cases[f"record version {version:04x}"] = record(body, version=version.to_bytes(2, "big"))
    for version in (0x0300, 0x0301, 0x0304, 0x03FF):
        cases[f"no handshake in record version {version:04x}"] = record(b"hello", version=version.to_bytes(2, "big"))
    for length in (0, 1, 2, 3, 4, 5, 8, 0x3FFF, 0x4000, 0x4001, 0x4140, 0x4141, 0x4800, 0x8000, 0xFFFF):
        cases[f"100 bytes in a record of {length:#x}"] = record(b"a" * 100, length=length)
        cases[f"a hello cut by a record of {length:#x}"] = record(body[:100], length=length)
    for length in (0x3FFF, 0x4000, 0x4001, 0x4100, 0x4140, 0x4141, 0x4800):
        cases[f"a whole record of {length:#x}"] = record((b"\x01\x00\xff\xff" + b"a" * length)[:length])
    for kind in (0, 1, 2, 4, 8, 11, 20, 0x63, 0xFF):
        cases[f"handshake message {kind}"] = record(bytes([kind, 0, 0, 1, 0]))
        cases[f"empty handshake message {kind}"] = record(bytes([kind, 0, 0, 0]))
    for length in (0x20000, 0x20144, 0x20145, 0xFFFFFF):
        cases[f"a hello said to be {length:#x} long"] = record(b"\x01" + length.to_bytes(3, "big") + body[4:])
    suites, challenge = b"\x00\x00\x2f" * 7, b"c" * 16
    for first in (0x80, 0x81, 0x8F, 0xA0, 0xC0, 0xFE, 0xFF):
        head = bytes([first]) + b"\x2e"
        cases[f"forty bytes {first:02x}"] = bytes([first]) * 40
        cases[f"one byte {first:02x}"] = bytes([first])
        for version in (b"\x00\x02", b"\x03\x01"):
            said = head + b"\x01" + version + b"\x00\x15\x00\x00\x00\x10" + suites + challenge
            cases[f"SSLv2 hello {first:02x}, version {version.hex()}"] = said
    old = b"\x80\x2e\x01\x03\x03"
    cases["SSLv2 hello with a long session"] = old + b"\x00\x15\x00\x21\x00\x10" + suites + challenge
    cases["SSLv2 hello that does not add up"] = old + b"\x00\x16\x00\x00\x00\x10" + suites + challenge
    cases["SSLv2 hello of TLS 1.2"] = old + b"\x00\x15\x00\x00\x00\x10" + suites + challenge
    cases["SSLv2 record of 8 bytes"] = b"\x80\x08\x01\x03\x03\x00\x00\x00\x00\x00"
    for count in (1, 2, 3, 4, 5, 6, 9, 50, len(hello) - 1):
        cases[f"{count} bytes of a hello"] = hello[:count]
    cases["33 empty records"] = record(b"") * 33 + hello
    cases["an alert in place of the rest"] = record(body[:50]) + record(b"\x02\x28", kind=21)
    cases["data in place of the rest"] = record(body[:50]) + record(b"GET / HTTP/1.1\r\n\r\n", kind=23)
    cases["change_cipher_spec in place of the rest"] = record(body[:50]) + record(b"\x02", kind=20)
    cases["another protocol in place of the rest"] = record(body[:50]) + b"GET / HTTP/1.1\r\n\r\n"
    for legacy in (0x0002, 0x0202, 0x0300):
        cases[f"a hello of version {legacy:04x}"] = record(body[:4] + legacy.to_bytes(2, "big") + body[6:])
    cases["an application protocol nobody knows"] = client_hello(["zzz"])
    return cases


OPENINGS = _cases()
