"""Builds QUIC Initial packets and the ClientHello in them, valid ones and each published way of being slightly wrong.

The lab tests its censors with these (verify/quic.py); the packets are real ones, sealed with the keys of RFC 9001.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from rozaneh.lab.codec import quic

__all__ = ["client_hello", "crypto", "initial", "integer", "padded"]

PING = b"\x01"
MIN_DATAGRAM = 1_200  # RFC 9000 14.1: what a client's first datagram has at least


def integer(value: int) -> bytes:
    """A variable-length integer, as short as it can be (RFC 9000 16)."""
    for bits, size in ((6, 1), (14, 2), (30, 4), (62, 8)):
        if value < 1 << bits:
            return (value | (size.bit_length() - 1) << (8 * size - 2)).to_bytes(size, "big")
    raise ValueError(f"{value} does not fit a QUIC integer")


def crypto(data: bytes, offset: int = 0, *, says: int | None = None) -> bytes:
    """A CRYPTO frame (RFC 9000 19.6); `says` is the length it claims, if not the true one."""
    return b"\x06" + integer(offset) + integer(len(data) if says is None else says) + data


def padded(frames: bytes, size: int) -> bytes:
    """`frames` with PADDING behind them, `size` bytes in all."""
    return frames + bytes(max(0, size - len(frames)))


def initial(
    payload: bytes,
    *,
    dcid: bytes,
    scid: bytes = b"",
    token: bytes = b"",
    number: int = 0,
    number_length: int = 4,
    version: int = quic.V1,
    shown_version: int | None = None,
    says: int | None = None,
    datagram: int = MIN_DATAGRAM,
) -> bytes:
    """A client's Initial packet with `payload` as its frames, padded so that it is `datagram` bytes at least.

    `shown_version` stands in the header instead of `version`, whose keys seal the packet; `says` is the source id's
    length field where it is to be wrong.
    """
    kind = 1 if version == quic.V2 else 0
    shown = version if shown_version is None else shown_version
    first = 0xC0 | kind << 4 | (number_length - 1)
    ids = bytes((len(dcid),)) + dcid + bytes((len(scid) if says is None else says,)) + scid
    head = bytes((first,)) + shown.to_bytes(4, "big") + ids + integer(len(token)) + token
    # Header protection samples 16 bytes from 4 behind the packet number's start (RFC 9001 5.4.2).
    payload = padded(payload, 4 - number_length)
    room = datagram - len(head) - 2 - number_length - quic.TAG
    payload = padded(payload, room)
    length = number_length + len(payload) + quic.TAG
    head += integer(length) if length >= 64 else (length | 0x4000).to_bytes(2, "big")
    sent = (number & ((1 << 8 * number_length) - 1)).to_bytes(number_length, "big")
    protection = quic.keys(dcid, version)
    sealed = AESGCM(protection.key).encrypt(protection.nonce(number), payload, head + sent)
    behind = sent + sealed
    mask = protection.mask(behind[4:20])
    hidden = bytes(a ^ b for a, b in zip(sent, mask[1:], strict=False))
    return bytes((first ^ (mask[0] & 0x0F),)) + head[1:] + hidden + sealed


def _extension(kind: int, body: bytes) -> bytes:
    return kind.to_bytes(2, "big") + len(body).to_bytes(2, "big") + body


def _vector(body: bytes, size: int) -> bytes:
    return len(body).to_bytes(size, "big") + body


def client_hello(
    name: str | None,
    rng: Random,
    *,
    alpn: Iterable[str] = ("h3",),
    ech: bytes | None = None,
    extra: int = 0,
) -> bytes:
    """A TLS 1.3 ClientHello as a handshake message (RFC 8446 4.1.2); `extra`: the size of a second key share."""
    extensions = b""
    if name is not None:
        host = name.encode("ascii")
        extensions += _extension(0, _vector(b"\0" + _vector(host, 2), 2))
    extensions += _extension(10, _vector(b"\x00\x1d\x00\x17", 2))  # x25519, secp256r1
    extensions += _extension(13, _vector(b"\x04\x03\x08\x04", 2))  # ecdsa_secp256r1_sha256, rsa_pss_rsae_sha256
    extensions += _extension(16, _vector(b"".join(_vector(each.encode("ascii"), 1) for each in alpn), 2))
    extensions += _extension(43, _vector(b"\x03\x04", 1))
    share = b"\x00\x1d" + _vector(rng.randbytes(32), 2)
    if extra:
        share += b"\x11\xec" + _vector(rng.randbytes(extra), 2)  # X25519MLKEM768's number
    extensions += _extension(51, _vector(share, 2))
    extensions += _extension(57, b"\x01\x04\x80\x00\xea\x60")  # one transport parameter: max_idle_timeout 60 s
    if ech is not None:
        extensions += _extension(0xFE0D, ech)
    body = b"\x03\x03" + rng.randbytes(32) + b"\0" + _vector(b"\x13\x01\x13\x02\x13\x03", 2) + b"\x01\x00"
    return b"\x01" + _vector(body + _vector(extensions, 2), 3)
