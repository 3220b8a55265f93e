"""What can be read of a stream, in each mode, however its segments come; and TLS records joined and cut."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rozaneh.lab import records
from rozaneh.lab.reassembly import Mode, Stream
from rozaneh.lab.verify._boxes import hello


@given(
    data=st.binary(min_size=1, max_size=200),
    cuts=st.lists(st.integers(0, 199)),
    start=st.integers(0, 2**32 - 1),
    rnd=st.randoms(),
)
def test_segments_in_any_order_give_the_same_bytes(data: bytes, cuts: list[int], start: int, rnd: Random) -> None:
    edges = [*sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})[:30], len(data)]
    pieces = [(start + a, data[a:b]) for a, b in pairwise(edges) if a < b]
    rnd.shuffle(pieces)
    stream = Stream("full")
    stream.move(start)
    read = b""
    for seq, piece in [*pieces, *pieces]:  # everything comes twice
        read = stream.add(seq % 2**32, piece)
    assert read == data
    assert stream.next_seq == (start + len(data)) % 2**32


@pytest.mark.parametrize(
    ("mode", "read"),
    [("none", [b"cd", b"ab", b"ef"]), ("in_order", [b"", b"ab", b"ab"]), ("full", [b"", b"abcd", b"abcdef"])],
)
def test_modes(mode: Mode, read: list[bytes]) -> None:
    stream = Stream(mode)
    stream.start(99)
    assert [stream.add(102, b"cd"), stream.add(100, b"ab"), stream.add(104, b"ef")] == read


@pytest.mark.parametrize(("overlap", "read"), [("first", b"abcdefgh"), ("last", b"abcdEFgh")])
def test_which_byte_stays_where_segments_overlap(overlap: str, read: bytes) -> None:
    stream = Stream("full", overlap=overlap)  # type: ignore[arg-type]
    stream.move(100)
    assert stream.add(100, b"abcdef") == b"abcdef"
    assert stream.add(104, b"EFgh") == read


def test_old_bytes_from_before_the_first_are_cut_off() -> None:
    for overlap in ("first", "last"):
        stream = Stream("full", overlap=overlap)
        stream.move(100)
        assert stream.add(96, b"wxyzab") == b"ab"


def test_a_stream_is_bounded_in_bytes_and_in_early_segments() -> None:
    stream = Stream("full", 10)
    stream.move(0)
    for index in range(1_000):
        stream.add(5 + index * 2, b"zz")  # held back: bytes 0 to 4 are missing
    assert stream.add(0, b"hello") == b"hellozzzzz"
    assert stream.full
    assert len(stream.add(10**6, b"far away")) == 10


def test_only_so_many_early_segments_wait() -> None:
    stream = Stream("full")
    stream.move(0)
    for at in range(1, 60):
        assert stream.add(at, b"x") == b""
    assert stream.add(0, b"x") == b"x" * 33  # itself and the 32 that were kept


def test_only_so_many_segments_are_put_together() -> None:
    stream = Stream("full", max_segments=2)
    stream.move(0)
    assert (stream.add(0, b"a"), stream.full) == (b"a", False)
    assert (stream.add(1, b"b"), stream.full) == (b"ab", True)
    assert stream.add(2, b"c") == b"ab"


def test_a_stream_without_a_start_takes_it_from_its_first_segment() -> None:
    stream = Stream("full")
    assert not stream.started
    assert stream.add(2**32 - 1, b"ab") == b"ab"
    assert stream.next_seq == 1


@given(size=st.integers(1, 300))
def test_records_cut_and_joined_hold_the_same_message(size: int) -> None:
    whole = hello("news.example")
    assert records.join(records.cut(whole, size), True) == whole[5:]
    assert records.join(records.cut(whole, size), False) == whole[5 : 5 + size]


@given(st.binary(max_size=60))
def test_no_bytes_make_the_record_reader_raise(data: bytes) -> None:
    for joined in (True, False):
        assert len(records.join(data, joined)) <= len(data)
        records.join(b"\x16\x03\x01" + len(data).to_bytes(2, "big") + data, joined)


def test_records_stop_at_what_is_no_handshake() -> None:
    assert records.join(b"\x16\x03\x01\x00\x02ab\x17\x03\x03\x00\x01c", True) == b"ab"
    assert records.join(b"\x16\x03\x01\x00\x05ab", True) == b"ab"
    with pytest.raises(ValueError, match="at least one byte"):
        records.cut(hello(None), 0)
