"""Ed25519 keys: made once, kept in a 0600 file, shown to people as eight words.

The file is PKCS#8 PEM, which other tools read too. A key file that others can read is refused, not repaired: nobody
knows who has read it already.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib import resources
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.files import read_private, write_private

PUBLIC_KEY_BYTES = 32  # RFC 8032 section 5.1.5
SIGNATURE_BYTES = 64  # RFC 8032 section 5.1.6
FINGERPRINT_WORDS = 8  # 64 bits: a key with the same words costs 2^64 key generations to find
_KEY_FILE_LIMIT = 4096  # a PKCS#8 Ed25519 key in PEM takes 119 bytes


class SigningKey:
    """A private Ed25519 key; its text form shows nothing."""

    __slots__ = ("_key",)

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @classmethod
    def generate(cls) -> SigningKey:
        """A new key from the system's random source."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_seed(cls, seed: bytes) -> SigningKey:
        """The key of a 32-byte seed (golden vectors).

        Raises:
            ValueError: the seed does not have 32 bytes.
        """
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def load(cls, path: Path) -> SigningKey:
        """The key in a file.

        Raises:
            Fault: KEY when the file is missing or no Ed25519 key; PERMISSION when others can read it.
        """
        try:
            pem = read_private(path, _KEY_FILE_LIMIT)
        except FileNotFoundError as error:
            raise Fault(FaultKind.KEY, f"There is no key at `{path}`") from error
        try:
            key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise Fault(FaultKind.KEY, f"`{path}` holds no usable key") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise Fault(FaultKind.KEY, f"`{path}` holds a key of another kind than Ed25519")
        return cls(key)

    def save(self, path: Path) -> None:
        """Write the key to a new file, never over an old one.

        Raises:
            Fault: CONFIG when something is there already; PERMISSION when it cannot be written.
        """
        write_private(path, self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), replace=False)

    def public(self) -> bytes:
        """The public key, 32 bytes."""
        return self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """The signature over exactly these bytes."""
        return self._key.sign(message)

    def __repr__(self) -> str:
        return "SigningKey([hidden])"


def verify(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether ``signature`` over ``message`` was made with ``public``'s private half; False for anything malformed."""
    if len(public) != PUBLIC_KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


@lru_cache(maxsize=1)
def words() -> tuple[str, ...]:
    """The 256 words of fingerprints: any two differ by more than one letter, so a slip of the tongue shows."""
    text = resources.files("rozaneh.core").joinpath("words.txt").read_text(encoding="ascii")
    return tuple(text.split())


def fingerprint(public: bytes) -> str:
    """A public key as eight words to read aloud: the first eight bytes of its SHA-256, one word a byte."""
    table = words()
    return " ".join(table[byte] for byte in hashlib.sha256(public).digest()[:FINGERPRINT_WORDS])
