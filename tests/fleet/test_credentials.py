"""Credentials: RFC 5869 done by hand gives the same, labels separate, and only digests leave."""

from __future__ import annotations

import base64
import hashlib
import hmac
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rozaneh.fleet.credentials import derive
from tests.fleet.builders import KEY, OTHER_KEY, SECRET


def hkdf(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869, for outputs of at most one block."""
    key = hmac.digest(salt, secret, "sha256")
    return hmac.digest(key, info + b"\x01", "sha256")[:length]


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def test_it_is_hkdf_with_the_published_labels() -> None:
    made = derive(SECRET, KEY.public())
    assert made.user.reveal() == b64(hkdf(SECRET, KEY.public(), b"rozaneh user v1", 15))
    assert made.password.reveal() == b64(hkdf(SECRET, KEY.public(), b"rozaneh password v1", 24))
    raw = bytearray(hkdf(SECRET, KEY.public(), b"rozaneh vless id v1", 16))
    raw[6], raw[8] = raw[6] & 0x0F | 0x40, raw[8] & 0x3F | 0x80  # RFC 9562: version 4, variant 10
    assert made.vless_id.reveal() == str(uuid.UUID(bytes=bytes(raw)))
    raw[6:8] = bytes(2)
    assert made.vless_digest() == hashlib.sha256(raw).hexdigest()


def test_golden() -> None:
    made = derive(bytes(16), bytes(32))
    assert (made.user.reveal(), made.password.reveal()) == (GOLDEN_USER, GOLDEN_PASSWORD)


GOLDEN_USER = "YT6hNE02uVK4P-TX_KoS"
GOLDEN_PASSWORD = "hXNN0sTZ1cuwFB4VHDNMWY8T3f6DYtaB"


@given(st.binary(min_size=16, max_size=16))
def test_shape(secret: bytes) -> None:
    made = derive(secret, KEY.public())
    user, password = made.user.reveal(), made.password.reveal()
    assert len(user) == 20
    assert len(password) == 32
    assert set(user + password) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert user not in password
    assert made.digests() == (hashlib.sha256(user.encode()).hexdigest(), hashlib.sha256(password.encode()).hexdigest())


def test_another_issuer_or_secret_gives_other_credentials() -> None:
    mine = derive(SECRET, KEY.public())
    assert derive(SECRET, OTHER_KEY.public()).user != mine.user
    assert derive(bytes(16), KEY.public()).user != mine.user


def test_text_shows_nothing() -> None:
    made = derive(SECRET, KEY.public())
    assert made.user.reveal() not in repr(made)
    assert made.password.reveal() not in repr(made)


@pytest.mark.parametrize("length", [0, 15, 17, 32])
def test_a_secret_has_16_bytes(length: int) -> None:
    with pytest.raises(ValueError, match="16"):
        derive(bytes(length), KEY.public())
