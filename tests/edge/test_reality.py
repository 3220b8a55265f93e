"""REALITY keys: made once, whole, private, and never where they do not belong."""

from __future__ import annotations

import hashlib
import json
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.files import write_private
from rozaneh.edge.accounts import edge_way
from rozaneh.edge.reality import RealityKeys, load_keys, make_keys
from rozaneh.ways.catalogue import MLDSA_KEY_BYTES, decode_key, encode_key
from tests.edge.conftest import MadeEdge

PRIVATE = encode_key(bytes(range(32)))
# SHA-256 of the public key of 32 zero bytes; `crates/tls/src/reality/certificate.rs` tests the engine against the same.
SEED_ZERO = "085ba380ff386dd52e42349c6eb88489d6058ea541a4e3fb0dce9a3fd1f7a911"
SHORT = "0123456789abcdef"


def test_made_once_and_private(tmp_path: Path) -> None:
    keys = make_keys(tmp_path, post_quantum=False)
    assert make_keys(tmp_path, post_quantum=False) == keys == load_keys(tmp_path)
    assert stat.S_IMODE((tmp_path / "reality.key").stat().st_mode) == 0o600
    assert keys.mldsa65_key() is None
    private = X25519PrivateKey.from_private_bytes(decode_key(keys.private_key, 32))
    assert keys.public_key() == encode_key(private.public_key().public_bytes_raw())
    assert keys.private_key not in repr(keys)


def test_another_choice_after_a_killed_run_makes_other_keys(tmp_path: Path) -> None:
    plain = make_keys(tmp_path, post_quantum=False)
    signed = make_keys(tmp_path, post_quantum=True)
    assert signed.private_key != plain.private_key
    assert load_keys(tmp_path) == signed


def test_the_ml_dsa_key_is_its_seeds() -> None:
    keys = RealityKeys(private_key=PRIVATE, short_ids=(SHORT,), mldsa65_seed=encode_key(bytes(32)))
    text = keys.mldsa65_key()
    assert text is not None
    raw = decode_key(text, MLDSA_KEY_BYTES)
    assert hashlib.sha256(raw).hexdigest() == SEED_ZERO
    assert text == keys.mldsa65_key()


def test_the_roster_carries_it_and_an_invite_never(fronted: MadeEdge) -> None:
    (fronted.directory / "reality.key").unlink()
    keys = make_keys(fronted.directory, post_quantum=True)
    whole = edge_way(fronted.directory, fronted.settings).last
    small = edge_way(fronted.directory, fronted.settings, invite=True).last
    assert whole.transport.name == small.transport.name == "h2+reality"
    assert (whole.get("mldsa"), small.get("mldsa")) == (keys.mldsa65_key(), None)
    assert whole.get("key") == small.get("key") == keys.public_key()
    assert small.get("short") == keys.short_ids[0]


GOOD = {"schema": "rozaneh.reality/1", "private_key": PRIVATE, "short_ids": [SHORT], "mldsa65_seed": None}


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "rozaneh.reality/2"},
        {"private_key": PRIVATE[:-1]},
        {"private_key": PRIVATE + "A"},
        {"private_key": 5},
        {"short_ids": []},
        {"short_ids": [SHORT[:-2]]},
        {"short_ids": [SHORT.upper()]},
        {"short_ids": ["x" * 16]},
        {"mldsa65_seed": "AAAA"},
        {"unknown": 1},
    ],
)
def test_damage_is_told_and_shows_no_key(tmp_path: Path, change: dict[str, object]) -> None:
    write_private(tmp_path / "reality.key", json.dumps(GOOD).encode())
    assert load_keys(tmp_path).private_key == PRIVATE
    write_private(tmp_path / "reality.key", json.dumps(GOOD | change).encode())
    with pytest.raises(Fault) as caught:
        load_keys(tmp_path)
    assert caught.value.kind is FaultKind.KEY
    assert PRIVATE[:8] not in str(caught.value)


def test_missing_or_open_to_others(tmp_path: Path) -> None:
    with pytest.raises(Fault) as caught:
        load_keys(tmp_path)
    assert caught.value.kind is FaultKind.KEY
    make_keys(tmp_path, post_quantum=False)
    (tmp_path / "reality.key").chmod(0o644)
    with pytest.raises(Fault) as caught:
        load_keys(tmp_path)
    assert caught.value.kind is FaultKind.PERMISSION
