"""The ClientHello reader: published hellos, every framing, cut and broken bytes."""

from __future__ import annotations

from random import Random

import pytest

from rozaneh.lab.codec.clienthello import MORE, ClientHello, is_grease, parse, parse_dtls, parse_handshake
from tests.lab.codec import hellos
from tests.lab.crafted import client_hello


def whole(found: object) -> ClientHello:
    assert isinstance(found, ClientHello)
    assert found.whole
    return found


def test_the_published_hello_of_rfc_8448() -> None:
    hello = whole(parse(hellos.RFC_8448))
    assert hello.server_name == "server"
    assert hello.version == 0x0303
    assert hello.ciphers == (0x1301, 0x1303, 0x1302)
    assert hello.groups == (0x1D, 0x17, 0x18, 0x19, 0x100, 0x101, 0x102, 0x103, 0x104)
    assert hello.versions == (0x0304,)
    assert hello.key_shares == (0x1D,)
    assert hello.sig_algs[:3] == (0x0403, 0x0503, 0x0603)
    assert [kind for kind, _ in hello.extensions] == [0, 0xFF01, 10, 35, 51, 43, 13, 45, 28]
    assert (hello.alpn, hello.padding, hello.has_ech, hello.has_psk) == ((), None, False, False)


def test_the_published_hello_of_rfc_9001_without_records() -> None:
    hello = whole(parse_handshake(hellos.RFC_9001))
    assert (hello.server_name, hello.alpn) == ("example.com", (b"alpn",))
    assert whole(parse_handshake(hellos.RFC_9001 + b"\0" * 20)) == hello
    assert parse(hellos.RFC_9001) is None


def test_a_real_clients_hello() -> None:
    hello = whole(parse(client_hello("News.Example")))
    assert (hello.server_name, hello.server_name_as_sent) == ("news.example", "News.Example")
    assert 0x0304 in hello.versions
    assert whole(parse(client_hello(None))).server_name is None


def test_records_are_joined_or_not() -> None:
    cut = hellos.record(hellos.RFC_8448[5:], 60)
    assert whole(parse(cut)) == whole(parse(hellos.RFC_8448))
    assert parse(cut, join_records=False) is None
    named = parse(cut, join_records=False, partial=True)  # 60 bytes do not reach the name
    assert named is MORE or (isinstance(named, ClientHello) and named.server_name is None)
    longer = parse(hellos.record(hellos.RFC_8448[5:], 90), join_records=False, partial=True)
    assert isinstance(longer, ClientHello)
    assert (longer.server_name, longer.whole) == ("server", False)


def test_every_beginning_asks_for_more_and_partly_reads_the_name() -> None:
    data = hellos.RFC_8448
    name_ends = data.index(b"server") + len(b"server")
    for size in range(len(data)):
        assert parse(data[:size]) is MORE
        part = parse(data[:size], partial=True)
        if size >= name_ends:
            assert isinstance(part, ClientHello)
            assert (part.server_name, part.whole) == ("server", False)
        else:
            assert part is MORE or (isinstance(part, ClientHello) and part.server_name is None)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x15\x03\x01\x00\x02\x02\x28",
        b"\x16\x02\x01\x00\x05\x01\x00\x00\x01\x00",
        b"\x16\x03\x01\x00\x00",
        b"\x16\x03\x01\xff\xff\x01",
        b"\x16\x03\x01\x00\x04\x02\x00\x00\x00",  # a ServerHello
        hellos.record(b"\x01\xff\xff\xff" + b"x" * 100),
        hellos.record(hellos.handshake(hellos.body((), [hellos.server_name("a")]))),
        hellos.record(hellos.handshake(hellos.body((0x1301,), [hellos.server_name("a")]) + b"\0")),
        hellos.record(hellos.handshake(hellos.body((0x1301,), [hellos.server_name("a")])[:-1])),
        hellos.record(hellos.handshake(b"\x02\x00" + hellos.body((0x1301,), [])[2:])),
    ],
)
def test_what_is_no_clienthello_is_refused(data: bytes) -> None:
    assert parse(data) is None


@pytest.mark.parametrize(
    "extension",
    [
        (0, b""),
        (0, b"\x00\x09\x00\x00\x06server!"),
        (0, b"\x00\x04\x00\x00\x06a"),
        (0, b"\x00\x03\x00\x00\x00"),
        (0, b"\x00\x05\x07\x00\x02ab"),
    ],
)
def test_a_broken_name_reads_as_none(extension: tuple[int, bytes]) -> None:
    assert whole(parse(hellos.record(hellos.handshake(hellos.body((0x1301,), [extension]))))).server_name is None


def test_broken_lists_read_as_empty_and_repeats_count_once() -> None:
    extensions = [(10, b"\x00\x03\x00\x1d\x00"), (16, b"\x00\x03\x09h2"), (43, b"\x05\x03"), (51, b"\x00\x02\x00\x1d")]
    hello = whole(
        parse_handshake(
            hellos.handshake(
                hellos.body((1,), [*extensions, hellos.server_name("first"), hellos.server_name("second")])
            )
        )
    )
    assert (hello.groups, hello.alpn, hello.versions, hello.key_shares) == ((), (), (), ())
    assert hello.server_name == "first"


def test_a_hello_of_old_without_extensions() -> None:
    hello = whole(parse(hellos.record(hellos.handshake(hellos.body((0x2F,), [], version=0x0301)))))
    assert (hello.version, hello.extensions, hello.server_name) == (0x0301, (), None)


def test_padding_ech_and_psk() -> None:
    hello = whole(parse(hellos.chrome("a.example", extra=[(0xFE0D, b"x"), (0xFFCE, b""), (41, b"y")])))
    assert (hello.padding, hello.has_ech, hello.has_esni, hello.has_psk) == (100, True, True, True)


@pytest.mark.parametrize("size", [65_000, 40, 1])
def test_dtls_in_fragments_of_any_size_and_order(size: int) -> None:
    content = hellos.body((0xC02B, 0xC02F), [groupless := (23, b"")], version=0xFEFD, cookie=b"abc")
    pieces = hellos.dtls(content, size)
    Random(3).shuffle(pieces)  # noqa: S311 - repeatability is the point
    hello = whole(parse_dtls(b"".join(pieces)))
    assert (hello.version, hello.cookie, hello.ciphers) == (0xFEFD, b"abc", (0xC02B, 0xC02F))
    assert hello.extensions == (groupless,)
    if len(pieces) > 1:
        assert parse_dtls(b"".join(pieces[:-1])) is MORE


@pytest.mark.parametrize(
    "data", [b"\x16", b"\x16\xfe\xff\0\0", b"\x17\xfe\xfd" + b"\0" * 30, b"\x16\xfe\xff\0\1" + b"\0" * 30, b"\0" * 40]
)
def test_what_is_no_dtls_hello_is_refused(data: bytes) -> None:
    assert parse_dtls(data) is None


def test_nothing_raises_whatever_the_bytes() -> None:
    rng = Random(11)  # noqa: S311 - repeatability is the point
    seeds = [hellos.RFC_8448, hellos.chrome("a.example"), b"".join(hellos.dtls(hellos.body((1,), [], cookie=b""), 20))]
    answers = set()
    for turn in range(6_000):
        data = bytearray(seeds[turn % 3])
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        del data[rng.randrange(1, len(data) + 1) :]
        for read in (parse, parse_handshake, parse_dtls):
            for partial in (False, True):
                found = read(bytes(data), partial=partial)
                answers.add(type(found).__name__)
                if isinstance(found, ClientHello):
                    _ = (found.server_name, found.groups, found.alpn, found.versions, found.key_shares, found.sig_algs)
    assert answers == {"ClientHello", "More", "NoneType"}


def test_grease_is_known() -> None:
    assert [value for value in range(65_536) if is_grease(value)] == [0x0A0A + 0x1010 * n for n in range(16)]
