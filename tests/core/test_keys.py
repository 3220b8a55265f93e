"""Keys: RFC 8032's vector, private files, words that cannot be confused."""

from __future__ import annotations

import json
import stat
from itertools import combinations
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from rozaneh.core import keys
from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.files import write_private

# RFC 8032 section 7.1, test 2
SEED = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
PUBLIC = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
SIGNATURE = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)


def test_rfc_8032_vector() -> None:
    key = keys.SigningKey.from_seed(SEED)
    assert key.public() == PUBLIC
    assert key.sign(b"\x72") == SIGNATURE
    assert keys.verify(PUBLIC, SIGNATURE, b"\x72")


def test_verify_says_no_to_anything_else() -> None:
    assert not keys.verify(PUBLIC, SIGNATURE, b"\x73")
    assert not keys.verify(PUBLIC, SIGNATURE[:-1], b"\x72")
    assert not keys.verify(PUBLIC[:-1], SIGNATURE, b"\x72")
    assert not keys.verify(bytes(32), SIGNATURE, b"\x72")


def test_save_and_load(tmp_path: Path) -> None:
    key = keys.SigningKey.generate()
    path = tmp_path / "k"
    key.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert keys.SigningKey.load(path).public() == key.public()
    with pytest.raises(Fault) as caught:
        keys.SigningKey.generate().save(path)
    assert caught.value.kind is FaultKind.CONFIG


def test_the_text_of_a_key_shows_nothing() -> None:
    assert "hidden" in repr(keys.SigningKey.from_seed(SEED))


@pytest.mark.parametrize(
    "content", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", b"\x00" * 50]
)
def test_load_refuses_what_is_no_key(tmp_path: Path, content: bytes) -> None:
    write_private(tmp_path / "k", content)
    with pytest.raises(Fault) as caught:
        keys.SigningKey.load(tmp_path / "k")
    assert caught.value.kind is FaultKind.KEY


def test_load_refuses_other_kinds_open_files_and_nothing(tmp_path: Path) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    write_private(tmp_path / "ec", other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    keys.SigningKey.from_seed(SEED).save(tmp_path / "open")
    (tmp_path / "open").chmod(0o644)
    for name, kind in (("ec", FaultKind.KEY), ("open", FaultKind.PERMISSION), ("missing", FaultKind.KEY)):
        with pytest.raises(Fault) as caught:
            keys.SigningKey.load(tmp_path / name)
        assert caught.value.kind is kind


def test_the_word_list_never_changes() -> None:
    golden = json.loads((Path(__file__).parents[1] / "data" / "fingerprints.json").read_text())
    assert len(golden) >= 5
    for row in golden:
        assert keys.fingerprint(bytes.fromhex(row["public"])) == row["words"]


def test_words_are_short_distinct_and_far_apart() -> None:
    table = keys.words()
    assert len(table) == len(set(table)) == 256
    assert all(word.isascii() and word.isalpha() and word.islower() and 3 <= len(word) <= 9 for word in table)
    assert not [(a, b) for a, b in combinations(table, 2) if _one_slip(a, b)]


def _one_slip(a: str, b: str) -> bool:
    """Whether one letter changed, added or dropped turns ``a`` into ``b``."""
    if abs(len(a) - len(b)) > 1:
        return False
    if len(a) == len(b):
        return sum(x != y for x, y in zip(a, b, strict=True)) <= 1
    longer, shorter = (a, b) if len(a) > len(b) else (b, a)
    return any(longer[:i] + longer[i + 1 :] == shorter for i in range(len(longer)))
