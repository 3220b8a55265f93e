"""Comparisons pass what is the same and fail what is not: by points with many hellos, by chi-square with few."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from rozaneh.data import browsers
from rozaneh.data.browsers import schema
from rozaneh.lab.browser import compare, features
from rozaneh.lab.browser.compare import MANY, Side, sides
from tests.lab.browser.generator import flights

CHROMIUM = browsers.load("chromium").hello
FEW = 300
REAL = flights(CHROMIUM, FEW, seed=1)


def with_extension(kind: schema.Number, **values: object) -> schema.Hello:
    made = tuple(replace(one, **values) if one.type == kind else one for one in CHROMIUM.extensions)
    return replace(CHROMIUM, extensions=made)


def failed(side: Side) -> set[str]:
    return {field.name for field in side.fields if not field.good}


def test_the_same_profile_passes_with_few_and_with_many() -> None:
    few = compare.compare(flights(CHROMIUM, FEW // 2, seed=2), REAL)
    assert (few.good, few.hellos) == (True, FEW // 2)
    assert "chi-square" in few.rule
    many = compare.compare(flights(CHROMIUM, MANY, seed=3), flights(CHROMIUM, 2 * MANY, seed=4))
    assert many.good
    assert "within 5%" in many.rule
    assert many.profile.worst.difference < 0.05
    assert many.profile.as_json()["failed"] == 0


def one_grease() -> schema.Hello:
    """Every GREASE value is the cipher's."""
    named = {variable.name for variable in CHROMIUM.grease}

    def one(values: tuple[schema.Number, ...]) -> tuple[schema.Number, ...]:
        return tuple("cipher1" if value in named else value for value in values)

    made: list[schema.Extension] = []
    for extension in CHROMIUM.extensions:
        extension = replace(extension, type=one((extension.type,))[0])
        if isinstance(extension, schema.Numbers):
            extension = replace(extension, values=one(extension.values))
        if isinstance(extension, schema.KeyShare):
            shares = tuple(replace(share, group=one((share.group,))[0]) for share in extension.shares)
            extension = replace(extension, shares=shares)
        made.append(extension)
    return replace(CHROMIUM, grease=CHROMIUM.grease[:1], extensions=tuple(made))


# One thing wrong at a time, as real imitations have had them, and a field that must show it.
WRONG: list[tuple[str, schema.Hello, str]] = [
    ("extensions in a fixed order", with_extension(23, shuffle=False), "23.position"),
    ("one GREASE value for all", one_grease(), "grease.cipher1^extension1"),
    ("ECH of one size", with_extension(65037, payloads=(schema.Length(length=144, weight=1),)), "65037.payload"),
    ("ECH for other hardware", with_extension(65037, suites=(schema.Suite(kdf=1, aead=3, weight=1),)), "65037.suite"),
    ("an ECH key that could be none of X25519", with_extension(65037, x25519=False), "65037.key.high"),
    ("an application protocol too few", with_extension(16, body="0003026832"), "16.body"),
    ("another size of session id", replace(CHROMIUM, session_id=0), "session_id.length"),
    ("cut into records", replace(CHROMIUM, records=(512,)), "record.lengths"),
    ("other signature algorithms", with_extension(13, values=(1027, 2052)), "13.values"),
    ("one key in two shares", with_extension(51, one_x25519=True), "51.one_x25519"),
    ("an extension in some hellos only", with_extension(18, share=0.7), "extensions"),
]


@pytest.mark.parametrize(("hello", "field"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_one_thing_wrong_is_seen_with_few_hellos(hello: schema.Hello, field: str) -> None:
    assert field in failed(sides(flights(hello, FEW, seed=5), REAL))


def test_a_value_that_is_drawn_again_instead_of_flipped_is_seen_with_many() -> None:
    grease = tuple(replace(variable, flip=0) for variable in CHROMIUM.grease)
    real = flights(CHROMIUM, MANY, seed=6)
    side = sides(flights(replace(CHROMIUM, grease=grease), MANY, seed=7), real)
    assert failed(side) == {"grease.extension1^extension2"}
    assert side.ja4_equal


def test_another_ja4_on_a_single_hello_fails() -> None:
    other = flights(replace(CHROMIUM, ciphers=CHROMIUM.ciphers[:-1]), FEW, seed=8)
    side = sides([other[0], *flights(CHROMIUM, FEW, seed=9)[1:]], REAL)
    assert (side.ja4_equal, side.good, len(side.ja4)) == (False, False, 2)
    assert not failed(side)


def test_a_browser_that_differs_from_itself_shows_nothing() -> None:
    real = flights(CHROMIUM, FEW, seed=1)
    mixed = flights(with_extension(23, shuffle=False), FEW, seed=1)
    both = [one for pair in zip(real, mixed, strict=True) for one in pair]
    found = compare.compare(flights(CHROMIUM, FEW, seed=2), both)
    assert found.profile.good
    assert not found.control.good
    assert not found.good


def test_sides_of_other_sizes_are_refused() -> None:
    for claimed, real in ((REAL, REAL), ([], [])):
        with pytest.raises(ValueError, match="twice"):
            compare.compare(claimed, real)


def test_fields_hold_every_part_of_a_hello() -> None:
    found = features.fields(REAL[0])
    assert found["13.values"].startswith("grease 0904")
    assert found["51.shares"] == "grease/1 11ec/1216 001d/32"
    assert found["0.head"] == "0020 00 001d".replace(" ", "")
    assert found["16.body"] == "000c02683208687474702f312e31"
    assert {found[f"{one.type}.position"] for one in CHROMIUM.extensions if isinstance(one.type, int)} == {
        str(position) for position in range(1, 18)
    }
