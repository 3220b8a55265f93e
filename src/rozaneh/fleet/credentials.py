"""What authenticates a reader to an edge, derived from the invite's secret.

HKDF-SHA256 (RFC 5869) with the issuer's key as salt and a label for each output: user and password tell nothing about
each other or about the secret, and the same secret under another issuer gives other ones. Both are base64url, hence
safe in every protocol that carries a user name and a password.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from rozaneh.core.redact import Sensitive

SECRET_BYTES = 16  # 128 bits: cannot be guessed through any edge (reliability E1)
_USER_LABEL = b"rozaneh user v1"
_PASSWORD_LABEL = b"rozaneh password v1"
_USER_BYTES = 15  # 20 characters without padding
_PASSWORD_BYTES = 24  # 32 characters without padding


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name and a password that show themselves to nobody."""

    user: Sensitive[str]
    password: Sensitive[str]

    def digests(self) -> tuple[str, str]:
        """SHA-256 of both, hexadecimal: all an edge ever stores.

        They are random, so a plain hash cannot be reversed.
        """
        return _digest(self.user.reveal()), _digest(self.password.reveal())


def derive(secret: bytes, issuer: bytes) -> Credentials:
    """The credentials of an invite's secret.

    Raises:
        ValueError: the secret does not have 16 bytes.
    """
    if len(secret) != SECRET_BYTES:
        raise ValueError("a secret has 16 bytes")
    return Credentials(
        user=Sensitive(_expand(secret, issuer, _USER_LABEL, _USER_BYTES)),
        password=Sensitive(_expand(secret, issuer, _PASSWORD_LABEL, _PASSWORD_BYTES)),
    )


def _expand(secret: bytes, issuer: bytes, label: bytes, length: int) -> str:
    key = HKDF(algorithm=SHA256(), length=length, salt=issuer, info=label).derive(secret)
    return base64.urlsafe_b64encode(key).rstrip(b"=").decode("ascii")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("ascii")).hexdigest()
