"""An edge's REALITY keys: made once, in one file of their own, never shared between edges.

The file is canonical JSON, 0600: the X25519 private key, the short ids, and the seed of the ML-DSA-65 key where the
operator wants one. Invites carry the public key and a short id; the ML-DSA public key is ten times too large for a link
and travels in the roster.
"""

from __future__ import annotations

import secrets
from pathlib import Path

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.files import read_private, write_private
from rozaneh.edge.layout import REALITY_KEYS
from rozaneh.ways.catalogue import REALITY_KEY_BYTES, SHORT_ID_BYTES, decode_key, encode_key

SCHEMA = "rozaneh.reality/1"
SEED_BYTES = 32  # FIPS 204 section 6.1
_FILE_LIMIT = 4096


class RealityKeys(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The content of the file."""

    schema: str = SCHEMA
    private_key: str
    short_ids: tuple[str, ...]
    mldsa65_seed: str | None = None

    def __repr__(self) -> str:
        return "RealityKeys([hidden])"

    def public_key(self) -> str:
        """What readers know the edge by."""
        raw = decode_key(self.private_key, REALITY_KEY_BYTES)
        return encode_key(X25519PrivateKey.from_private_bytes(raw).public_key().public_bytes_raw())

    def mldsa65_key(self) -> str | None:
        """The ML-DSA-65 public key, or None where the edge has none.

        Raises:
            Fault: UNSUPPORTED when this installation's library cannot make it.
        """
        return None if self.mldsa65_seed is None else _mldsa_public(decode_key(self.mldsa65_seed, SEED_BYTES))


def make_keys(directory: Path, *, post_quantum: bool) -> RealityKeys:
    """The keys of the edge in ``directory``, made and written where there are none yet.

    Raises:
        Fault: PERMISSION when they cannot be written; KEY when what is there is damaged; UNSUPPORTED without ML-DSA.
    """
    if (directory / REALITY_KEYS).exists():
        keys = load_keys(directory)
        if (keys.mldsa65_seed is not None) == post_quantum:
            return keys
        # A run that was killed, begun again with another choice. Nobody has seen these keys.
    keys = RealityKeys(
        private_key=encode_key(X25519PrivateKey.generate().private_bytes_raw()),
        short_ids=(secrets.token_hex(SHORT_ID_BYTES),),
        mldsa65_seed=encode_key(secrets.token_bytes(SEED_BYTES)) if post_quantum else None,
    )
    keys.mldsa65_key()  # refused here, before anything is written, where the library lacks it
    write_private(directory / REALITY_KEYS, msgspec.json.encode(keys))
    return keys


def load_keys(directory: Path) -> RealityKeys:
    """The keys in their file.

    Raises:
        Fault: KEY when it is missing or damaged; PERMISSION when others can read it.
    """
    path = directory / REALITY_KEYS
    try:
        keys = msgspec.json.decode(read_private(path, _FILE_LIMIT), type=RealityKeys)
        if keys.schema != SCHEMA or not keys.short_ids:
            raise ValueError("another schema, or no short id")
        decode_key(keys.private_key, REALITY_KEY_BYTES)
        if keys.mldsa65_seed is not None:
            decode_key(keys.mldsa65_seed, SEED_BYTES)
        if any(len(bytes.fromhex(text)) != SHORT_ID_BYTES or text != text.lower() for text in keys.short_ids):
            raise ValueError("a short id is wrong")
    except FileNotFoundError as error:
        raise Fault(FaultKind.KEY, f"There are no REALITY keys at `{path}`") from error
    except (msgspec.MsgspecError, ValueError) as error:
        # No text of the error: it could hold a piece of a key.
        raise Fault(FaultKind.KEY, f"`{path}` holds no usable REALITY keys") from error
    return keys


def _mldsa_public(seed: bytes) -> str:
    try:
        from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey

        return encode_key(MLDSA65PrivateKey.from_seed_bytes(seed).public_key().public_bytes_raw())
    except (ImportError, UnsupportedAlgorithm) as error:
        raise Fault(
            FaultKind.UNSUPPORTED,
            "This installation's cryptography library has no ML-DSA",
            hint="install a newer `cryptography`, or leave `--post-quantum` out",
        ) from error
