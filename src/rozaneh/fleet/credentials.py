"""What authenticates a reader to an edge, derived from the invite's secret.

HKDF-SHA256 (RFC 5869) with the issuer's key as salt and a label for each output: user, password and VLESS id tell
nothing about each other or about the secret, and the same secret under another issuer gives other ones. User and
password are base64url, hence safe in every protocol that carries them; the id is a random UUID (RFC 9562 section 5.4),
which is what VLESS takes.
"""

from __future__ import annotations

import base64
import hashlib
import uuid
from dataclasses import dataclass

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from rozaneh.core.redact import Sensitive

SECRET_BYTES = 16  # 128 bits: cannot be guessed through any edge (reliability E1)
_USER_LABEL = b"rozaneh user v1"
_PASSWORD_LABEL = b"rozaneh password v1"
_VLESS_LABEL = b"rozaneh vless id v1"
_USER_BYTES = 15  # 20 characters without padding
_PASSWORD_BYTES = 24  # 32 characters without padding


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a reader proves who they are with; it shows itself to nobody."""

    user: Sensitive[str]
    password: Sensitive[str]
    vless_id: Sensitive[str]

    def digests(self) -> tuple[str, str]:
        """SHA-256 of user and password, hexadecimal: all an edge ever stores of them.

        They are random, so a plain hash cannot be reversed.
        """
        return _digest(self.user.reveal()), _digest(self.password.reveal())

    def vless_digest(self) -> str:
        """SHA-256 of the id, hexadecimal; bytes 6 and 7 are zeroed because VLESS servers read a route from them."""
        raw = uuid.UUID(self.vless_id.reveal()).bytes
        return hashlib.sha256(raw[:6] + bytes(2) + raw[8:]).hexdigest()


def derive(secret: bytes, issuer: bytes) -> Credentials:
    """The credentials of an invite's secret.

    Raises:
        ValueError: the secret does not have 16 bytes.
    """
    if len(secret) != SECRET_BYTES:
        raise ValueError("a secret has 16 bytes")
    return Credentials(
        user=Sensitive(_text(secret, issuer, _USER_LABEL, _USER_BYTES)),
        password=Sensitive(_text(secret, issuer, _PASSWORD_LABEL, _PASSWORD_BYTES)),
        vless_id=Sensitive(str(uuid.UUID(bytes=_expand(secret, issuer, _VLESS_LABEL, 16), version=4))),
    )


def _text(secret: bytes, issuer: bytes, label: bytes, length: int) -> str:
    return base64.urlsafe_b64encode(_expand(secret, issuer, label, length)).rstrip(b"=").decode("ascii")


def _expand(secret: bytes, issuer: bytes, label: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=issuer, info=label).derive(secret)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("ascii")).hexdigest()
