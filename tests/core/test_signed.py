"""Signed objects: the golden bytes, and nothing but the golden bytes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.keys import SigningKey
from rozaneh.core.signed import open_sealed, seal, signed_bytes

KEY = SigningKey.from_seed(bytes(range(32)))
OTHER = SigningKey.from_seed(bytes(32))
LABEL = "rozaneh test v1"
LIMIT = 10_000


def refused(document: bytes, public: bytes = KEY.public(), label: str = LABEL, limit: int = LIMIT) -> None:
    with pytest.raises(Fault) as caught:
        open_sealed(document, public, label, limit)
    assert caught.value.kind is FaultKind.INTEGRITY


def test_golden() -> None:
    golden = json.loads((Path(__file__).parents[1] / "data" / "signed.json").read_text())
    for row in golden:
        key = SigningKey.from_seed(bytes.fromhex(row["seed"]))
        payload = bytes.fromhex(row["payload"])
        assert signed_bytes(row["label"], payload).hex() == row["signed_bytes"]
        assert seal(key, row["label"], payload).hex() == row["document"]
        assert open_sealed(bytes.fromhex(row["document"]), key.public(), row["label"], LIMIT) == payload


@given(st.binary(max_size=300))
def test_round_trip(payload: bytes) -> None:
    assert open_sealed(seal(KEY, LABEL, payload), KEY.public(), LABEL, LIMIT) == payload


def test_every_single_bit_flip_is_refused() -> None:
    document = seal(KEY, LABEL, b"what the issuer says")
    for bit in range(len(document) * 8):
        flipped = bytearray(document)
        flipped[bit // 8] ^= 1 << (bit % 8)
        refused(bytes(flipped))


def test_truncated_and_extended_are_refused() -> None:
    document = seal(KEY, LABEL, b"what the issuer says")
    for length in range(len(document)):
        refused(document[:length])
    refused(document + b"\x00")


def test_another_key_label_or_limit_is_refused() -> None:
    document = seal(KEY, LABEL, b"x")
    refused(document, public=OTHER.public())
    refused(document, label="rozaneh test v2")
    refused(document, label="rozaneh test v")
    refused(document, limit=len(document) - 1)
    refused(seal(KEY, "rozaneh other v1", b"x"))


def test_a_label_cannot_run_into_the_payload() -> None:
    assert signed_bytes("ab", b"c") != signed_bytes("a", b"bc")


@pytest.mark.parametrize("label", ["", "x" * 65, "é"])
def test_labels_are_short_ascii(label: str) -> None:
    with pytest.raises(ValueError, match=r"label|ascii"):
        signed_bytes(label, b"")
