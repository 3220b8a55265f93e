"""Writes reality.json: vectors of REALITY from an encoder that shares nothing with the engine.

It is built on the `cryptography` package alone, from the wire notes (data plane, section 3.1), and gives the same
bytes on every run but for the ML-DSA signature, which FIPS 204 randomises. Run it where a vector is to be added::

    python crates/tls/tests/vectors/reality.py > crates/tls/tests/vectors/reality.json
"""

import datetime
import hashlib
import hmac
import json
import struct
import sys
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding

NAME = b"cover.example"
X25519, HYBRID = 0x001D, 0x11EC


def pseudo(label: str, length: int) -> bytes:
    """Bytes that look random and are the same on every run.

    Args:
        label: What they are for.
        length: How many.

    Returns:
        The bytes.
    """
    return hashlib.shake_256(label.encode()).digest(length)


def vector(size: int, body: bytes) -> bytes:
    """A vector with its length in front.

    Args:
        size: Bytes of the length.
        body: The content.

    Returns:
        Both.
    """
    return len(body).to_bytes(size, "big") + body


def extension(kind: int, body: bytes) -> bytes:
    """One extension of a hello.

    Args:
        kind: Its type.
        body: Its data.

    Returns:
        The extension.
    """
    return struct.pack(">H", kind) + vector(2, body)


def client_hello(random: bytes, session_id: bytes, shares: list[tuple[int, bytes]]) -> bytes:
    """A ClientHello message (RFC 8446 section 4.1.2).

    Args:
        random: 32 bytes.
        session_id: 32 bytes.
        shares: Group and key, in order.

    Returns:
        The message with its header.
    """
    keys = b"".join(struct.pack(">H", group) + vector(2, key) for group, key in shares)
    groups = b"".join(struct.pack(">H", group) for group, _ in shares)
    extensions = b"".join(
        (
            extension(0, vector(2, b"\x00" + vector(2, NAME))),
            extension(43, vector(1, struct.pack(">H", 0x0304))),
            extension(10, vector(2, groups)),
            extension(13, vector(2, struct.pack(">HH", 0x0403, 0x0804))),
            extension(16, vector(2, vector(1, b"h2"))),
            extension(51, vector(2, keys)),
        )
    )
    suites = vector(2, struct.pack(">HH", 0x1301, 0x1302))
    body = struct.pack(">H", 0x0303) + random + vector(1, session_id) + suites + b"\x01\x00" + vector(2, extensions)
    return b"\x01" + vector(3, body)


def certificate(auth_key: bytes, leaf: Ed25519PrivateKey, signature: bytes | None) -> bytes:
    """A leaf whose signature is an HMAC.

    Args:
        auth_key: The hello's key.
        leaf: The leaf's key.
        signature: An ML-DSA-65 signature for the extension 0.0, if there is one.

    Returns:
        The certificate, DER.
    """
    builder = (
        x509.CertificateBuilder(subject_name=x509.Name([]), issuer_name=x509.Name([]), public_key=leaf.public_key())
        .serial_number(1)
        .not_valid_before(datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC))
        .not_valid_after(datetime.datetime(2049, 12, 31, tzinfo=datetime.UTC))
    )
    if signature is not None:
        builder = builder.add_extension(
            x509.UnrecognizedExtension(x509.ObjectIdentifier("0.0"), signature), critical=False
        )
    der = builder.sign(leaf, None).public_bytes(Encoding.DER)
    return der[:-64] + hmac.digest(auth_key, leaf.public_key().public_bytes_raw(), "sha512")


def case(label: str, groups: list[int]) -> dict[str, Any]:
    """One hello, sealed, and the leaf that answers it.

    Args:
        label: Its name.
        groups: Groups of its shares, in order.

    Returns:
        The vector.
    """
    server = X25519PrivateKey.from_private_bytes(pseudo(f"{label} server", 32))
    privates = {group: X25519PrivateKey.from_private_bytes(pseudo(f"{label} {group}", 32)) for group in groups}
    shares = []
    for group in groups:
        public = privates[group].public_key().public_bytes_raw()
        # An ML-KEM key is 1,152 bytes of 12-bit numbers below 3,329 and a seed; zeros are such numbers.
        kem = bytes(1_152) + pseudo(f"{label} kem", 32)
        shares.append((group, public if group == X25519 else kem + public))
    private = privates[X25519 if X25519 in groups else HYBRID]
    random = pseudo(f"{label} random", 32)
    version, when, short_id = bytes([26, 7, 28]), 1_795_305_600, pseudo(f"{label} short", 8)
    secret = private.exchange(X25519PublicKey.from_public_bytes(server.public_key().public_bytes_raw()))
    auth_key = HKDF(hashes.SHA256(), 32, random[:20], b"REALITY").derive(secret)
    plain = version + b"\x00" + struct.pack(">I", when) + short_id
    blank = client_hello(random, bytes(32), shares)
    sealed = AESGCM(auth_key).encrypt(random[20:], plain, blank)
    hello = client_hello(random, sealed, shares)
    leaf = Ed25519PrivateKey.from_private_bytes(pseudo(f"{label} leaf", 32))
    ml_dsa = MLDSA65PrivateKey.from_seed_bytes(pseudo(f"{label} ml-dsa", 32))
    server_hello = b"\x02" + vector(3, pseudo(f"{label} server hello", 90))
    bound = hmac.digest(auth_key, leaf.public_key().public_bytes_raw() + hello + server_hello, "sha512")
    values = {
        "server_private": server.private_bytes_raw(),
        "client_private": private.private_bytes_raw(),
        "secret": secret,
        "auth_key": auth_key,
        "short_id": short_id,
        "blank": blank,
        "hello": hello,
        "leaf": certificate(auth_key, leaf, None),
        "server_hello": server_hello,
        "ml_dsa_seed": ml_dsa.private_bytes_raw(),
        "ml_dsa_public": ml_dsa.public_key().public_bytes_raw(),
        "bound": bound,
        "bound_leaf": certificate(auth_key, leaf, ml_dsa.sign(bound)),
    }
    return {"name": label, "time": when, **{key: value.hex() for key, value in values.items()}}


def main() -> None:
    """Writes all vectors to standard output."""
    cases = [
        case("x25519 alone", [X25519]),
        case("x25519 first", [X25519, HYBRID]),
        case("hybrid first", [HYBRID, X25519]),
        case("hybrid alone", [HYBRID]),
    ]
    sys.stdout.write(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    main()
