"""The file: nothing that was changed is accepted, what is whole in a torn one is given, nothing is believed early."""

from __future__ import annotations

import io
import random
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace as with_
from io import BytesIO

import msgspec
import pytest
from msgspec.structs import replace

from rozaneh.core import issuer
from rozaneh.core.errors import Fault, FaultKind
from rozaneh.offline import container
from rozaneh.offline.manifest import Manifest
from tests.offline.editions import KEYS, blob_of, file_of, manifest, small

ISSUER = issuer.of_key(KEYS[0].public())
TEXTS = ("first text", "second text", "third text")


def read(data: bytes, who: issuer.Issuer | None = ISSUER) -> tuple[container.Head, dict[str, bytes], bool]:
    file = BytesIO(data)
    head = container.read_head(file, who)
    found = {blob.hash: content for blob, content in container.read_blobs(file, head) if content is not None}
    return head, found, container.at_end(file)


def whole(data: bytes) -> bool:
    head, found, end = read(data)
    return len(found) == len(head.order) and end


def refused(data: bytes, who: issuer.Issuer | None = ISSUER) -> Fault:
    with pytest.raises(Fault) as caught:
        read(data, who)
    assert caught.value.kind is FaultKind.INTEGRITY
    return caught.value


def test_what_is_written_is_read() -> None:
    data = small(*TEXTS)
    assert data == small(*TEXTS)
    head, found, end = read(data)
    assert (end, len(found)) == (True, 3)
    edition = head.editions[0]
    assert edition.manifest == manifest(*TEXTS)
    assert edition.signers == (KEYS[0].public(),)
    for words, blob in zip(TEXTS, edition.manifest.blobs, strict=True):
        assert container.inflate(blob, found[blob.hash]) == msgspec.json.encode([("p", words)])


def test_no_single_bit_can_be_flipped() -> None:
    data = bytearray(small(*(f"{number} {random.Random(number).randbytes(120).hex()}" for number in range(12))))
    assert 32_768 <= 8 * len(data) < 40_000
    accepted = []
    for bit in range(8 * len(data)):
        data[bit >> 3] ^= 1 << (bit & 7)
        try:
            if whole(bytes(data)):
                accepted.append(bit)
        except Fault:
            pass
        data[bit >> 3] ^= 1 << (bit & 7)
    assert accepted == []
    assert whole(bytes(data))


def test_what_is_whole_in_a_torn_file_is_given() -> None:
    data = small(*TEXTS)
    head = read(data)[0]
    sizes = [blob.size for blob in head.order]
    start = len(data) - sum(sizes)
    for end in range(len(data)):
        if end < start:
            refused(data[:end])
            continue
        found = read(data[:end])[1]
        assert len(found) == sum(end >= start + sum(sizes[: place + 1]) for place in range(len(sizes)))
        assert not whole(data[:end])


def test_a_damaged_part_costs_that_part_alone() -> None:
    data = bytearray(small(*TEXTS))
    sizes = [blob.size for blob in read(bytes(data))[0].order]
    data[len(data) - sizes[2] - 1] ^= 1
    assert len(read(bytes(data))[1]) == 2


def test_something_behind_the_end_is_seen() -> None:
    assert not whole(small(*TEXTS) + b"\0")


def test_other_signers_and_too_few() -> None:
    both = small(*TEXTS, keys=(KEYS[0], KEYS[1]))
    assert read(both)[0].editions[0].signers == tuple(sorted(key.public() for key in KEYS[:2]))
    assert read(both, issuer.of_key(KEYS[1].public()))
    assert "too few" in refused(both, issuer.of_key(KEYS[2].public())).why
    lines = "\n".join(issuer.key_line(key.public()) for key in KEYS[:3])
    two_of_three = issuer.parse(f"rozaneh-policy:1:2\n{lines}\n")
    assert read(both, two_of_three)
    refused(small(*TEXTS, keys=(KEYS[0],)), two_of_three)
    refused(small(*TEXTS, keys=(KEYS[0], KEYS[3])), two_of_three)
    chain = issuer.parse(
        f"{issuer.key_line(KEYS[0].public())}\n{issuer.rotation_line(KEYS[0], KEYS[1])}\n",
    )
    assert "newer" in refused(small(*TEXTS), chain).why
    assert read(small(*TEXTS, keys=(KEYS[1],)), chain)


def test_a_key_in_the_file_is_no_reason_to_believe_it() -> None:
    forged = small(*TEXTS, keys=(KEYS[3],))
    assert read(forged, None)
    refused(forged)
    # Its signature under the name of the issuer's key.
    refused(forged.replace(KEYS[3].public(), KEYS[0].public(), 1))


def raw(encoded: bytes, *, signed: bytes | None = None, block: bytes | None = None) -> bytes:
    """A file around bytes that need not be a manifest, signed nevertheless."""
    from rozaneh.core.signed import signed_bytes

    mark = KEYS[0].sign(signed_bytes(container.LABEL, encoded if signed is None else signed))
    inner = struct.pack(">B", 1) + KEYS[0].public() + mark if block is None else block
    head = container.MAGIC + b"\x01" + struct.pack(">H", len(inner)) + inner
    return head + struct.pack(">I", len(encoded)) + encoded


def test_signature_tricks() -> None:
    encoded = manifest(*TEXTS).encode()
    blobs = b"".join(blob_of(words)[1] for words in TEXTS)
    assert whole(raw(encoded) + blobs)
    other = replace(manifest(*TEXTS), title="Evening").encode()
    good = raw(encoded)[len(container.MAGIC) + 3 :][: 1 + 96]
    entry = good[1:]
    for block in (
        b"",
        b"\x00",
        good[:-1],
        good + b"\x00",
        b"\x02" + entry,
        b"\x02" + entry + entry,
        b"\x02" + b"".join(sorted([entry, KEYS[1].public() + b"\0" * 64])),
        b"\x01" + KEYS[0].public() + b"\0" * 64,
        b"\x11" + entry * 17,
    ):
        refused(raw(encoded, block=block) + blobs)
    refused(raw(encoded, signed=other) + blobs)
    # A roster's or another kind's signature over the same bytes is none.
    from rozaneh.core.signed import seal

    sealed = seal(KEYS[0], "rozaneh roster v1", encoded)
    mark = sealed[5 + len("rozaneh roster v1") :][:64]
    refused(raw(encoded, block=b"\x01" + KEYS[0].public() + mark) + blobs)


MUTATIONS: dict[str, Callable[[Manifest], Manifest]] = {
    "schema": lambda m: replace(m, schema="rozaneh.bundle/2"),
    "title empty": lambda m: replace(m, title=""),
    "title long": lambda m: replace(m, title="x" * 513),
    "title hidden": lambda m: replace(m, title="a\u202eb"),
    "title lines": lambda m: replace(m, title="a\nb"),
    "issued": lambda m: replace(m, issued=0),
    "issued late": lambda m: replace(m, issued=1 << 60),
    "base": lambda m: replace(m, base="../../etc/passwd"),
    "no sources": lambda m: replace(m, sources=()),
    "no articles": lambda m: replace(m, articles=()),
    "script address": lambda m: replace(
        m, articles=(replace(m.articles[0], url="javascript:alert(1)"),), blobs=m.blobs[:1]
    ),
    "file address": lambda m: replace(m, sources=(replace(m.sources[0], url="file:///etc/passwd"),)),
    "quoted address": lambda m: replace(m, sources=(replace(m.sources[0], url='https://x.example/"onload='),)),
    "credentials": lambda m: replace(m, sources=(replace(m.sources[0], url="https://u:p@x.example/"),)),
    "twice": lambda m: replace(m, articles=(m.articles[0], m.articles[0], m.articles[2])),
    "name": lambda m: replace(m, articles=(replace(m.articles[0], id="../x"), *m.articles[1:])),
    "language": lambda m: replace(m, articles=(replace(m.articles[0], language='en" onload="'), *m.articles[1:])),
    "source": lambda m: replace(m, articles=(replace(m.articles[0], source=1), *m.articles[1:])),
    "negative": lambda m: replace(m, articles=(replace(m.articles[0], source=-1), *m.articles[1:])),
    "text": lambda m: replace(m, articles=(replace(m.articles[0], text=3), *m.articles[1:])),
    "unused": lambda m: replace(m, articles=m.articles[:2]),
    "hash": lambda m: replace(m, blobs=(replace(m.blobs[0], hash="x" * 64), *m.blobs[1:])),
    "empty blob": lambda m: replace(m, blobs=(replace(m.blobs[0], size=0), *m.blobs[1:])),
    "huge blob": lambda m: replace(m, blobs=(replace(m.blobs[0], size=1 << 40), *m.blobs[1:])),
    "huge text": lambda m: replace(m, blobs=(replace(m.blobs[0], plain=1 << 40), *m.blobs[1:])),
    "base of nothing": lambda m: replace(m, blobs=(replace(m.blobs[0], base=True), *m.blobs[1:])),
    "same blob": lambda m: replace(m, blobs=(m.blobs[0], m.blobs[0], m.blobs[2])),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_signed_manifest_is_still_judged(name: str) -> None:
    changed = MUTATIONS[name](manifest(*TEXTS))
    with pytest.raises(ValueError, match=r"."):
        changed.encode()
    fault = refused(raw(zlib.compress(msgspec.json.encode(changed))))
    assert "not well formed" in fault.what


PLAIN = zlib.decompress(manifest(*TEXTS).encode())


@pytest.mark.parametrize(
    "plain",
    [
        b"{}",
        b"[]",
        b"",
        b"null",
        b"[" * 100_000,
        PLAIN + b" ",
        b" " + PLAIN,
        PLAIN.replace(b'"title"', b'"title":"x","title"', 1),
        PLAIN[:-1] + b',"extra":1}',
        PLAIN.replace(b"Morning", b"Mor\\u006eing"),
        b" " * (5 << 20),
    ],
)
def test_other_forms_of_a_signed_manifest_are_refused(plain: bytes) -> None:
    assert plain != PLAIN
    refused(raw(zlib.compress(plain)))


@pytest.mark.parametrize("stored", [b"x", PLAIN, zlib.compress(PLAIN) + b"x", zlib.compress(PLAIN)[:-1]])
def test_a_signed_manifest_is_one_whole_stream(stored: bytes) -> None:
    refused(raw(stored))


def test_other_containers_are_none() -> None:
    archive, tar = BytesIO(), BytesIO()
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr("../../x", "y")
    with tarfile.open(fileobj=tar, mode="w") as out_tar:
        out_tar.addfile(tarfile.TarInfo("/etc/passwd"), io.BytesIO())
    data = small(*TEXTS)
    for other in (
        archive.getvalue(),
        tar.getvalue(),
        b"",
        data[1:],
        data.replace(b"\r\n", b"\n", 1),
        data.replace(b"RZB1", b"RZB2", 1),
        container.MAGIC + b"\x00",
        container.MAGIC + b"\x21" + data[9:],
        archive.getvalue() + data,
    ):
        refused(other)


def test_lengths_are_bounded_before_anything_is_read() -> None:
    data = small(*TEXTS)
    at = len(container.MAGIC) + 1 + 2 + 97
    for size in (0, (4 << 20) + 1, 0xFFFFFFFF):
        refused(data[:at] + struct.pack(">I", size) + data[at + 4 :])


def test_a_text_is_as_long_as_it_says() -> None:
    blob, stored = blob_of("x" * 1000)
    assert container.inflate(blob, stored)
    bomb = zlib.compress(b"\0" * (64 << 20), 9)
    for size, content in ((999, stored), (1100, stored), (blob.plain, stored + b"x"), (blob.plain, stored[:-1])):
        with pytest.raises(Fault):
            container.inflate(replace(blob, plain=size), content)
    with pytest.raises(Fault):
        container.inflate(replace(blob, plain=8 << 20), bomb)
    with pytest.raises(Fault):
        container.inflate(blob, b"no stream")


def test_several_editions_in_one_file() -> None:
    first = manifest("a", "b")
    second = manifest("b", "c", issued=1_800_000_100)
    data = file_of(second, first, texts=("a", "b", "c"))
    head, found, end = read(data)
    assert (len(head.editions), len(found), end) == (2, 3, True)
    refused(file_of(first, first, texts=("a", "b")))
    forged = with_(head.editions[0], signatures=container.sign(second, [KEYS[1]]).signatures)
    file = BytesIO()
    container.write(file, [forged, head.editions[1]], found)
    refused(file.getvalue())
