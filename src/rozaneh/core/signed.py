r"""Signed objects: bytes, a domain label and one Ed25519 signature, checked before anything is parsed.

::

    "RZS1" | u8 length of label | label | 64 signature | u32 length of payload | payload

What is signed is ``"rozaneh signed object v1\\0" | u8 length of label | label | u64 length of payload | payload``:
the label keeps a roster from ever being taken for another kind of document, and the lengths keep one field from
running into the next. The envelope names no key: whoever reads it must already know whose signature to ask for, so a
key cannot be substituted.
"""

from __future__ import annotations

import struct

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.keys import SIGNATURE_BYTES, SigningKey, verify

MAGIC = b"RZS1"
_CONTEXT = b"rozaneh signed object v1\x00"
_MAX_LABEL = 64


def signed_bytes(label: str, payload: bytes) -> bytes:
    """The exact bytes a signature covers.

    Raises:
        ValueError: the label is empty, too long or not ASCII.
    """
    name = label.encode("ascii")
    if not 0 < len(name) <= _MAX_LABEL:
        raise ValueError("a label has 1 to 64 ASCII bytes")
    return _CONTEXT + struct.pack(">B", len(name)) + name + struct.pack(">Q", len(payload)) + payload


def seal(key: SigningKey, label: str, payload: bytes) -> bytes:
    """The signed object."""
    name = label.encode("ascii")
    signature = key.sign(signed_bytes(label, payload))
    return MAGIC + struct.pack(">B", len(name)) + name + signature + struct.pack(">I", len(payload)) + payload


def open_sealed(document: bytes, public: bytes, label: str, limit: int) -> bytes:
    """The payload of a signed object, once its signature under ``public`` and ``label`` has been checked.

    Raises:
        Fault: INTEGRITY for anything else than exactly such an object of at most ``limit`` bytes.
    """
    if len(document) > limit:
        raise Fault(FaultKind.INTEGRITY, f"The signed document is larger than {limit} bytes")
    name = label.encode("ascii")
    head = MAGIC + struct.pack(">B", len(name)) + name
    start = len(head) + SIGNATURE_BYTES + 4
    if not document.startswith(head):
        raise Fault(FaultKind.INTEGRITY, "This is not a signed document of the expected kind")
    if len(document) < start:
        raise Fault(FaultKind.INTEGRITY, "The signed document is cut short")
    signature = document[len(head) : len(head) + SIGNATURE_BYTES]
    (length,) = struct.unpack(">I", document[start - 4 : start])
    payload = document[start:]
    if len(payload) != length:
        raise Fault(FaultKind.INTEGRITY, "The signed document is cut short or has something appended")
    if not verify(public, signature, signed_bytes(label, payload)):
        raise Fault(FaultKind.INTEGRITY, "The signature is not the issuer's")
    return payload
