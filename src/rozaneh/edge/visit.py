"""One visit to a web server, to judge whether it can be an edge's cover.

REALITY borrows the server's first flight record by record, so the visit looks at records: it speaks TLS through memory
and counts what comes in. Nothing is sent that a monitoring program would not send: a handshake with the site's name
and one HEAD request.
"""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cryptography import x509

from rozaneh.core.addresses import Endpoint
from rozaneh.edge.certs import covers

SECONDS = 3.0  # for a server beside us, or a site some hundred milliseconds away
# What a record must hold that carries an ML-DSA-65 signature (3,309 bytes, FIPS 204 table 2): the certificate around
# it and, behind servers that write their flight as one record, CertificateVerify and Finished.
ML_DSA_RECORD = 3_700
_APPLICATION_DATA = 23  # RFC 8446 section 5.1: everything behind ServerHello and ChangeCipherSpec
_HEAD = 5
_KEY_SHARE = 51  # RFC 8446 section 4.2
_X25519 = 0x001D  # RFC 8446 section 4.2.7
# The random of a HelloRetryRequest (RFC 8446 section 4.1.3).
_RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
_MOST_READS = 64  # of up to 16 KiB; a flight with ten certificates has 20 KiB


@dataclass(frozen=True, slots=True)
class Visit:
    """What a server showed.

    Attributes:
        for_name: its certificate is for the name that was asked for.
        borrowable: it speaks TLS 1.3 with X25519, which REALITY needs.
        self_signed: its certificate signed itself, so browsers warn of it.
        expires: when the certificate ends, in seconds since 1970.
        largest_record: the longest encrypted record of its first flight.
        software: ``nginx``, ``caddy`` or ``other``, by what it says of itself.
    """

    for_name: bool
    borrowable: bool
    self_signed: bool
    expires: int
    largest_record: int
    software: str


def visit(at: Endpoint, name: str, seconds: float = SECONDS) -> Visit | None:
    """Visit the server at ``at`` as ``name``; None when nothing there speaks TLS in time."""
    for strict in (True, False):
        try:
            return _visit(at, name, seconds, strict)
        except TimeoutError:
            return None  # whoever says nothing once says nothing twice
        except (OSError, ValueError):  # ssl.SSLError is an OSError: perhaps it speaks, but not this
            continue
    return None


def _visit(at: Endpoint, name: str, seconds: float, strict: bool) -> Visit:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # what is looked for is what it is, not whether to trust it
    context.set_alpn_protocols(["http/1.1"])
    if strict:
        # With a share of X25519, as OpenSSL sends one by itself; asking for that group alone is refused by the `ssl` of
        # some Pythons.
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=name)
    received: list[bytes] = []
    with socket.create_connection((str(at.address), at.port), timeout=seconds) as peer:

        def turn() -> None:
            """Send what is waiting, then wait for more."""
            peer.sendall(outgoing.read())
            chunk = peer.recv(16_384)
            if not chunk or len(received) == _MOST_READS:
                raise ConnectionError("the server stopped")
            received.append(chunk)
            incoming.write(chunk)

        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                turn()
        flight = b"".join(received)
        leaf = x509.load_der_x509_certificate(tls.getpeercert(True) or b"")
        software = "other"
        with contextlib.suppress(OSError):
            tls.write(f"HEAD / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode("ascii"))
            software = _software(tls, turn)
        with contextlib.suppress(OSError):
            peer.sendall(outgoing.read())
    return Visit(
        for_name=covers(leaf, name),
        borrowable=strict and _agreed(flight) == _X25519,
        self_signed=leaf.issuer == leaf.subject,
        expires=int(leaf.not_valid_after_utc.timestamp()),
        largest_record=max((size for kind, size in _records(flight) if kind == _APPLICATION_DATA), default=0),
        software=software,
    )


def _software(tls: ssl.SSLObject, turn: Callable[[], None]) -> str:
    head = b""
    while b"\r\n\r\n" not in head and len(head) < 16_384:
        try:
            piece = tls.read(4_096)
        except ssl.SSLWantReadError:
            turn()
            continue
        if not piece:
            break
        head += piece
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"server:"):
            told = line[7:].strip()
            return next((known for known in ("nginx", "caddy") if told.startswith(known.encode("ascii"))), "other")
    return "other"


def _agreed(flight: bytes) -> int | None:
    """The group of the ServerHello that a flight begins with; None where a second hello was asked for first."""
    hello = flight[_HEAD:]
    if flight[:1] != b"\x16" or hello[:1] != b"\x02" or hello[6:38] == _RETRY:
        return None
    at = 39 + hello[38] + 3 + 2 if len(hello) > 38 else len(hello)  # behind session id, suite, compression, length
    while at + 4 <= len(hello):
        kind, size = struct.unpack_from(">HH", hello, at)
        if kind == _KEY_SHARE and size >= 2:
            return int.from_bytes(hello[at + 4 : at + 6], "big")
        at += 4 + size
    return None


def _records(flight: bytes) -> Iterator[tuple[int, int]]:
    """Type and whole length of each complete record."""
    at = 0
    while at + _HEAD <= len(flight):
        kind, length = flight[at], struct.unpack_from(">H", flight, at + 3)[0]
        if at + _HEAD + length > len(flight):
            return
        yield kind, _HEAD + length
        at += _HEAD + length


def days_left(found: Visit, now: int) -> int:
    """Whole days until the certificate ends; negative when it has."""
    return int(datetime.timedelta(seconds=found.expires - now).days)
