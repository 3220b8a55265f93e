"""Chunks: any that are enough make the bundle, forgeries never do, and what waits is bounded."""

from __future__ import annotations

import hashlib
import random
from dataclasses import replace
from io import BytesIO
from itertools import chain
from pathlib import Path

import pytest

from rozaneh.core import issuer
from rozaneh.core.errors import Fault
from rozaneh.core.issuer import of_key
from rozaneh.offline import chunks, split, tables
from rozaneh.offline.carriers import file as pieces
from rozaneh.offline.chunks import Group, Symbol
from rozaneh.offline.joiner import MAX_FILES, WAITING_BYTES, Joiner
from tests.offline.editions import KEYS

ISSUER = of_key(KEYS[0].public())


def content(length: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(length)


def stored(folder: Path, data: bytes, name: str = "b") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def sent(path: Path, kind: int, share: float, key: int = 0) -> list[bytes]:
    found = []
    for run in split.runs(path, kind, share, KEYS[key]):
        found += [run.group.encode(), *(symbol.encode() for symbol in run.symbols)]
    return found


def joined(folder: Path, parts: list[bytes], who: issuer.Issuer = ISSUER) -> bytes | None:
    with Joiner(who, folder) as joiner:
        joiner.add_all(parts)
        return joiner.whole[0].read_bytes() if joiner.whole else None


@pytest.mark.parametrize("kind", range(len(chunks.SIZES)))
@pytest.mark.parametrize("length", [1, 159, 5_000, 90_000])
def test_what_is_split_is_joined(kind: int, length: int, tmp_path: Path) -> None:
    data = content(length)
    parts = sent(stored(tmp_path, data), kind, 0.25)
    random.Random(kind).shuffle(parts)
    assert joined(tmp_path, parts) == data
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


@pytest.mark.parametrize("seed", range(20))
def test_a_tenth_may_be_lost_and_any_come_twice(seed: int, tmp_path: Path) -> None:
    data = content(250_000, seed)
    parts = sent(stored(tmp_path, data), 2, 0.18)
    pick = random.Random(seed)
    lost = set(pick.sample(range(len(parts)), len(parts) // 10))
    kept = [one for place, one in enumerate(parts) if place not in lost or one[:1] == b"g"]
    arrived = kept + pick.sample(kept, len(kept) // 5)
    pick.shuffle(arrived)
    assert joined(tmp_path, arrived) == data


def test_pieces_of_two_people_fit_together(tmp_path: Path) -> None:
    data = content(40_000)
    first, second = (sent(stored(tmp_path, data, name), 1, 0.5) for name in ("a", "c"))
    assert first == second
    assert joined(tmp_path, first[::2] + [one for one in second if one[:1] == b"g"] + second[1::2]) == data


def test_only_what_the_issuer_lists_gets_in(tmp_path: Path) -> None:
    data = content(30_000)
    path = stored(tmp_path, data)
    assert joined(tmp_path, sent(path, 2, 0.2, key=1)) is None
    parts = sent(path, 2, 0.0)
    pick = random.Random(5)
    forged = []
    for number in range(20_000):
        one = bytearray(parts[pick.randrange(len(parts))])
        for _ in range(pick.randrange(1, 4)):
            one[pick.randrange(len(one))] ^= 1 << pick.randrange(8)
        forged.append(bytes(one))
        if number % 4 == 0:
            forged.append(pick.randbytes(len(one)))
    forged = [one for one in forged if one not in parts]
    with Joiner(ISSUER, tmp_path) as joiner:
        joiner.add_all(forged)
        assert not list(joiner.whole)
        before = joiner.tally.accepted
        joiner.add_all(parts)
        # Of the forged none was let in, and none of what is real was spoilt.
        assert before == 0
        assert joiner.whole[0].read_bytes() == data


def test_what_waits_is_bounded(tmp_path: Path) -> None:
    path = stored(tmp_path, content(20_000_000))
    parts = [one for one in sent(path, 3, 0.0) if one[:1] == b"r"]
    with Joiner(ISSUER, tmp_path) as joiner:
        for number, one in enumerate(parts):
            joiner.add(one)
            assert joiner.tally.waiting <= min(number + 1, WAITING_BYTES // 20_000 + 1)
        assert joiner.tally.waiting == WAITING_BYTES // 20_000
        assert joiner.tally.refused == len(parts) - joiner.tally.waiting
        # Noise of other names is forgotten as well, and leaves no place behind.
        for number in range(1_000):
            joiner.add(b"r\x03" + number.to_bytes(8, "big") + bytes(5 + 20_000))
        assert len(joiner._wanted) <= joiner.tally.waiting + 1


def test_files_at_a_time_are_bounded(tmp_path: Path) -> None:
    with Joiner(ISSUER, tmp_path) as joiner:
        for seed in range(MAX_FILES + 3):
            parts = sent(stored(tmp_path, content(5_000, seed), f"f{seed}"), 2, 0.0)
            joiner.add_all(one for one in parts if one[:1] == b"g")
        assert len(joiner.gathering) == MAX_FILES
        assert joiner.tally.refused == 3


def test_a_group_of_another_length_is_refused(tmp_path: Path) -> None:
    data = content(5_000)
    file = BytesIO(data)
    what = chunks.cut(file, 2)
    good = next(chunks.groups(what.symbols(file, 0, 0, what.repair(0, 0.0)), what.length, KEYS[0]))
    bare = Group(good.key, 0, 64, 4_000, good.hint, good.hashes, bytes(64))
    other = replace(bare, signature=KEYS[0].sign(bare.message()))
    far = Group(good.key, 9, 0, 5_000, good.hint, good.hashes, bytes(64))
    far = replace(far, signature=KEYS[0].sign(far.message()))
    with Joiner(ISSUER, tmp_path) as joiner:
        joiner.add_all([good.encode(), other.encode(), far.encode()])
        assert (joiner.tally.accepted, joiner.tally.refused) == (1, 2)


def test_any_member_of_a_policy_lets_chunks_in(tmp_path: Path) -> None:
    lines = "\n".join(issuer.key_line(key.public()) for key in KEYS[:3])
    board = issuer.parse(f"rozaneh-policy:1:2\n{lines}\n")
    data = content(5_000)
    assert joined(tmp_path, sent(stored(tmp_path, data), 2, 0.0, key=2), board) == data
    assert joined(tmp_path, sent(stored(tmp_path, data), 2, 0.0, key=3), board) is None


def test_every_chunk_is_read_as_it_was_written(tmp_path: Path) -> None:
    for one in chain.from_iterable(sent(stored(tmp_path, content(20_000)), kind, 0.3) for kind in range(4)):
        chunk = chunks.parse(one)
        assert isinstance(chunk, (Symbol, Group))
        assert chunk.encode() == one
        assert chunks.size_at(one, 0) == len(one)
        assert chunks.parse(one[:-1]) is None
        assert chunks.parse(one + b"\0") is None
    for junk in (b"", b"r", b"x" * 100, b"r\x04" + bytes(500), b"g\x00" + bytes(13)):
        assert chunks.parse(junk) is None


def test_who_has_the_tables_splits_without_a_key(tmp_path: Path) -> None:
    data = content(60_000)
    path = stored(tmp_path, data)
    with path.open("rb") as file:
        tables.beside(path).write_bytes(b"".join(tables.make(file, KEYS[0])))
    for kind in range(len(chunks.SIZES)):
        with_key = [run.symbols for run in split.runs(path, kind, 1.0, KEYS[0])]
        without = list(split.runs(path, kind, 1.0, None))
        assert [run.symbols for run in without] == with_key
        assert all(run.group.signed_by(KEYS[0].public()) for run in without)
    other = stored(tmp_path, content(60_000, 2), "other")
    with pytest.raises(Fault):
        list(split.runs(other, 2, 0.1, None))
    tables.beside(other).write_bytes(tables.beside(path).read_bytes())
    with pytest.raises(Fault, match="another bundle"):
        list(split.runs(other, 2, 0.1, None))
    tables.beside(path).write_bytes(tables.beside(path).read_bytes()[:-5])
    with pytest.raises(Fault, match="damaged"):
        list(split.runs(path, 2, 0.1, None))


@pytest.mark.parametrize("size", [2_500, 20_000, 100_000])
def test_pieces_are_as_small_as_asked_and_any_that_are_enough_serve(size: int, tmp_path: Path) -> None:
    data = content(250_000)
    path = stored(tmp_path, data)
    kind = split.kind_for(size - 4, len(data))
    made = list(pieces.pieces(split.runs(path, kind, 0.4, KEYS[0]), size))
    assert max(map(len, made)) <= size
    pick = random.Random(size)
    kept = pick.sample(made, len(made) - max(1, len(made) // 6))
    assert joined(tmp_path, [one for piece in kept for one in pieces.scan(piece, 4)]) == data


def test_behind_a_hole_in_a_piece_the_search_goes_on(tmp_path: Path) -> None:
    data = content(20_000)
    made = next(pieces.pieces(split.runs(stored(tmp_path, data), 2, 0.3, KEYS[0]), 1 << 20))
    for at in (2_000, 9_999, 15_000):
        damaged = made[:at] + hashlib.sha256(b"x").digest() + made[at + 32 :]
        torn = made[:at] + made[at + 700 :]
        assert joined(tmp_path, [*pieces.scan(damaged, 4), *pieces.scan(torn, 4)]) == data


def test_a_size_that_is_too_small_is_said() -> None:
    with pytest.raises(Fault, match="too small"):
        split.kind_for(300, 1_000)
