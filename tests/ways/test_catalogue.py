"""The catalogue says of every transport what it is, what it looks like, and how far it can be trusted."""

from __future__ import annotations

import pytest

from rozaneh.data import browsers
from rozaneh.ways.catalogue import CATALOGUE, DEFAULT_LOOK, Maturity, decode_key, decode_pin, encode_key, encode_pin


def test_every_entry_is_whole() -> None:
    for name, transport in CATALOGUE.items():
        assert transport.name == name
        assert transport.sentence
        assert transport.cover_story
        assert transport.needs
        names = [p.name for p in transport.parameters]
        assert len(names) == len(set(names))


def test_secrets_and_edges_are_marked() -> None:
    for transport in CATALOGUE.values():
        for parameter in transport.parameters:
            assert parameter.secret == (parameter.name in ("user", "password", "id"))
            assert parameter.reveals_edge == (parameter.name in ("address", "name", "pin", "key", "short", "mldsa"))


def test_nothing_is_proven_without_a_lab_result() -> None:
    assert not [t.name for t in CATALOGUE.values() if t.maturity is Maturity.PROVEN]


def test_a_bare_transport_is_never_shared() -> None:
    assert not [t.name for t in CATALOGUE.values() if t.maturity is Maturity.BARE and t.shareable]


def test_pins() -> None:
    digest = bytes(range(32))
    assert decode_pin(encode_pin(digest)) == digest
    text = encode_pin(digest)
    for wrong in ("", text[:-1], text + "A", text + "=", text[:-1] + "9", "+" + text[1:], "é" + text[1:]):
        with pytest.raises(ValueError, match="pin"):
            decode_pin(wrong)


def test_names_say_the_layers_and_every_hidden_way_has_a_look() -> None:
    for name, transport in CATALOGUE.items():
        assert ("+" in name) == (transport.maturity is not Maturity.BARE)
        look = transport.parameter("look")
        assert (look is not None) == ("+" in name)
        assert look is None or look.default == "chromium"


def test_the_look_that_is_used_unless_told_otherwise_comes_with_the_program() -> None:
    assert DEFAULT_LOOK in browsers.names()


def test_keys_have_one_text() -> None:
    raw = bytes(range(32))
    assert decode_key(encode_key(raw), 32) == raw
    for wrong, size in ((encode_key(raw), 31), (encode_key(raw) + "=", 32), (encode_key(raw)[:-1] + "9", 32), ("é", 1)):
        with pytest.raises(ValueError, match="a key is base64url"):
            decode_key(wrong, size)
