"""The catalogue says of every transport what it is, what it looks like, and how far it can be trusted."""

from __future__ import annotations

import pytest

from rozaneh.ways.catalogue import CATALOGUE, Maturity, decode_pin, encode_pin


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
            assert parameter.secret == (parameter.name in ("user", "password"))
            assert parameter.reveals_edge == (parameter.name in ("address", "name", "pin"))


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
