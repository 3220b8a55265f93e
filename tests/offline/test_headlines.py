"""Headlines: as many as fit in a thousand bytes, in one form, by their issuer."""

from __future__ import annotations

import random
import zlib

import pytest

from rozaneh.core import issuer
from rozaneh.core.errors import Fault
from rozaneh.core.signed import signed_bytes
from rozaneh.offline import headlines
from tests.offline.editions import KEYS

ISSUER = issuer.of_key(KEYS[0].public())
WORDS = ["خبر", "امروز", "تهران", "اینترنت", "قطع", "مردم", "جهان", "گزارش", "اقتصاد", "آب", "برق", "سفر", "دریا"]
LINES = [" ".join(random.Random(number).choices(WORDS, k=9)) + f" {number}" for number in range(60)]


def made(limit: int = 1_000, keys: int = 1) -> bytes:
    return headlines.make("روزنامه", 1_800_000_000, "fa", LINES, KEYS[:keys], limit)[0]


def refused(data: bytes, who: issuer.Issuer = ISSUER) -> None:
    with pytest.raises(Fault):
        headlines.read(data, who)


def test_as_many_as_fit() -> None:
    data, day = headlines.make("روزنامه", 1_800_000_000, "fa", LINES, KEYS[:1])
    assert len(data) <= 1_000
    assert 5 <= len(day.lines) <= len(LINES)
    assert list(day.lines) == LINES[: len(day.lines)]
    assert headlines.read(data, ISSUER) == day
    fewer = headlines.make("روزنامه", 1_800_000_000, "fa", LINES, KEYS[:1], 400)[1]
    assert 0 < len(fewer.lines) < len(day.lines)
    with pytest.raises(Fault, match="Not one"):
        headlines.make("x", 1, "", LINES, KEYS[:1], 80)


def test_what_hides_or_comes_twice_is_left_out() -> None:
    day = headlines.make("x", 5, "", ["a\nb\u202e", "a b", "", "  "], KEYS[:1])[1]
    assert day.lines == ("a b",)


def test_no_bit_can_be_flipped_and_no_byte_taken_or_added() -> None:
    data = bytearray(made(300))
    for bit in range(8 * len(data)):
        data[bit >> 3] ^= 1 << (bit & 7)
        refused(bytes(data))
        data[bit >> 3] ^= 1 << (bit & 7)
    for end in range(len(data)):
        refused(bytes(data[:end]))
    refused(bytes(data) + b"\0")


def test_policies() -> None:
    lines = "\n".join(issuer.key_line(key.public()) for key in KEYS[:3])
    board = issuer.parse(f"rozaneh-policy:1:2\n{lines}\n")
    assert headlines.read(made(keys=2), board).lines
    refused(made(), board)
    refused(made(keys=2))
    refused(made(), issuer.of_key(KEYS[1].public()))
    chain = issuer.parse(f"{issuer.key_line(KEYS[0].public())}\n{issuer.rotation_line(KEYS[0], KEYS[1])}\n")
    refused(made(), chain)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"1\nx\nfa",
        b"0\nx\nfa\nline",
        b"-1\nx\nfa\nline",
        b"1\n\nfa\nline",
        b"1\nx\n<fa>\nline",
        b"1\nx\nfa\n",
        b"1\nx\nfa\n two  blanks",
        b"1\nx\nfa\n\xff",
        "1\nx\nfa\nturned\u202e".encode(),
        b"1\nx\nfa\n" + b"x" * 20_000,
        b"999999999999\nx\nfa\nline",
    ],
)
def test_signed_and_not_well_formed(text: bytes) -> None:
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = stream.compress(text) + stream.flush()
    mark = KEYS[0].sign(signed_bytes(headlines.LABEL, packed))
    refused(headlines.MAGIC + b"\x01" + issuer.hint(KEYS[0].public()) + mark + packed)
