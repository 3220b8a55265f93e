"""Initial packets open as RFC 9001's own example does, and nothing malformed raises or is taken for one."""

from __future__ import annotations

from random import Random

import pytest

from rozaneh.lab.codec import quic
from rozaneh.lab.codec import quicbuild as build
from rozaneh.lab.codec.clienthello import MORE, ClientHello
from rozaneh.lab.codec.quicframes import Habits, HelloReader, crypto_frames

# RFC 9001 appendix A.1 and A.2.
DCID = bytes.fromhex("8394c8f03e515708")
CRYPTO = bytes.fromhex(
    "060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e86804fe3a47f06a2b69484c00000413011302010000c0000000"
    "10000e00000b6578616d706c652e636f6dff01000100000a00080006001d0017001800100007000504616c706e0005000501000000000033"
    "00260024001d00209370b2c9caa47fbabaf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b0003020304000d0010000e040305"
    "0306030203080408050806002d00020101001c00024001003900320408ffffffffffffffff05048000ffff07048000ffff08011001048000"
    "75300901100f088394c8f03e51570806048000ffff"
)
SEALED_HEAD = bytes.fromhex(
    "c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11d242b123dc9bd8bab936b47d92ec356c"
)
SEALED_TAIL = bytes.fromhex("e221af44860018ab0856972e194cd934")


def rng() -> Random:
    return Random(5)  # noqa: S311 - repeatability is the point


def test_keys_are_the_rfcs() -> None:
    client, server = quic.keys(DCID), quic.keys(DCID, client=False)
    assert client.key.hex() == "1f369613dd76d5467730efcbe3b1a22d"
    assert client.iv.hex() == "fa044b2f42a3fd3b46fb255c"
    assert client.hp.hex() == "9f50449e04a0e810283a1e9933adedd2"
    assert server.key.hex() == "cf3a5331653c364c88f0f379b6067e37"
    assert server.iv.hex() == "0ac1493ca1905853b0bba03e"
    assert server.hp.hex() == "c206b8d9b9f0f37644430b490eeaa314"
    assert client.mask(bytes.fromhex("d1b1c98dd7689fb8ec11d242b123dc9b")).hex() == "437b9aec36"


def test_version_2_keys_are_the_rfcs() -> None:
    # RFC 9369 appendix A.1.
    client = quic.keys(DCID, quic.V2)
    assert client.key.hex() == "8b1a0bc121284290a29e0971b5cd045d"
    assert client.iv.hex() == "91f73e2351d8fa91660e909f"
    assert client.hp.hex() == "45b95e15235d6f45a6b19cbcb0294ba9"


def test_the_rfcs_client_initial_is_built_and_opened() -> None:
    sealed = build.initial(CRYPTO, dcid=DCID, number=2)
    assert len(sealed) == 1_200
    assert sealed[: len(SEALED_HEAD)] == SEALED_HEAD
    assert sealed[-16:] == SEALED_TAIL  # the tag: every byte before it is the RFC's
    (opened,) = quic.initials(sealed)
    assert (opened.number, opened.number_length, opened.dcid, opened.scid) == (2, 4, DCID, b"")
    assert opened.payload == build.padded(CRYPTO, 1_162)
    hello = HelloReader(Habits()).add(sealed)
    assert isinstance(hello, ClientHello)
    assert hello.server_name == "example.com"


def test_a_servers_packets_open_with_the_clients_first_id() -> None:
    # RFC 9001 appendix A.3, whole.
    sealed = bytes.fromhex(
        "cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a5816b6394100f37a1c69797554780bb38cc5a99f5ede4c"
        "f73c3ec2493a1839b3dbcba3f6ea46c5b7684df3548e7ddeb9c3bf9c73cc3f3bded74b562bfb19fb84022f8ef4cdd93795d77d06edbb7a"
        "af2f58891850abbdca3d20398c276456cbc42158407dd074ee"
    )
    (opened,) = quic.initials(sealed, dcid=DCID, client=False)
    assert (opened.number, opened.number_length) == (1, 2)
    assert opened.payload.startswith(bytes.fromhex("02000000000600405a020000560303"))
    assert quic.initials(sealed, dcid=DCID) == []


@pytest.mark.parametrize("length", [1, 2, 3, 4])
@pytest.mark.parametrize("version", [quic.V1, quic.V2, quic.DRAFT_29])
def test_packet_numbers_of_any_length_and_every_version(length: int, version: int) -> None:
    hello = build.client_hello("blocked.example", rng())
    sealed = build.initial(
        build.crypto(hello), dcid=DCID, scid=b"12345", number=7, number_length=length, version=version
    )
    found = HelloReader(Habits(versions=(version,))).add(sealed)
    assert isinstance(found, ClientHello)
    assert found.server_name == "blocked.example"
    assert quic.initials(sealed, versions=(0xFF00_0020,)) == []
    assert quic.initials(sealed, versions=(version,))[0].number == 7


def test_a_missing_byte_matters_only_where_the_tag_does() -> None:
    sealed = build.initial(build.crypto(build.client_hello("blocked.example", rng())), dcid=DCID)
    lenient = Habits(check_tag=False, truncated=True)
    assert HelloReader(Habits()).add(sealed[:-1]) is None
    assert HelloReader(Habits(truncated=True)).add(sealed[:-1]) is None
    assert HelloReader(Habits(check_tag=False)).add(sealed[:-1]) is None
    assert isinstance(HelloReader(lenient).add(sealed[:-1]), ClientHello)
    broken = sealed[:-1] + bytes((sealed[-1] ^ 1,))
    assert HelloReader(Habits()).add(broken) is None
    assert isinstance(HelloReader(Habits(check_tag=False)).add(broken), ClientHello)


def test_coalesced_packets_are_all_read() -> None:
    hello = build.client_hello("blocked.example", rng())
    first = build.initial(build.crypto(hello[:40]), dcid=DCID, datagram=0)
    second = build.initial(build.crypto(hello[40:], 40), dcid=DCID, number=1)
    assert len(quic.initials(first + second)) == 2
    found = HelloReader(Habits()).add(first + second)
    assert isinstance(found, ClientHello)
    assert found.server_name == "blocked.example"
    assert len(quic.initials((first * 40)[:60_000])) == quic.MAX_PACKETS


@pytest.mark.parametrize(("datagrams", "found"), [(1, False), (2, True)])
def test_a_hello_over_two_datagrams(datagrams: int, found: bool) -> None:
    hello = build.client_hello("blocked.example", rng(), extra=1_216)
    # Behind the first answer a client's packets carry another id, and keep the first one's keys.
    parts = [
        build.initial(build.crypto(hello[:900]), dcid=DCID),
        build.initial(build.crypto(hello[900:], 900), dcid=DCID),
    ]
    reader = HelloReader(Habits(datagrams=datagrams))
    seen = [reader.add(part) for part in parts]
    assert seen[0] is (MORE if found else None)
    assert isinstance(seen[1], ClientHello) is found


@pytest.mark.parametrize(
    ("crypto", "reads"),
    [("leading", {"plain"}), ("in_order", {"plain", "mixed"}), ("full", {"plain", "mixed", "back"})],
)
def test_frames_are_read_by_habit(crypto: str, reads: set[str]) -> None:
    hello = build.client_hello("blocked.example", rng())
    ack = b"\x02" + build.integer(90) + b"\0\x01\x03\0\x02"  # one further range
    frames = {
        "plain": build.crypto(hello),
        "mixed": b"\x01\0\0" + ack + build.crypto(hello[:50]) + b"\x01" + build.crypto(hello[50:], 50),
        "back": build.crypto(hello[50:], 50) + build.crypto(hello[:50]),
    }
    for name, payload in frames.items():
        found = HelloReader(Habits(crypto=crypto)).add(build.initial(payload, dcid=DCID))  # type: ignore[arg-type]
        assert isinstance(found, ClientHello) is (name in reads), name


def test_habits_about_lengths_ids_and_ciphers() -> None:
    hello = build.client_hello("blocked.example", rng())
    empty = build.initial(build.crypto(hello, says=0), dcid=DCID)
    assert HelloReader(Habits(crypto="leading")).add(empty) is None
    assert isinstance(HelloReader(Habits(crypto="leading", trust_length=False)).add(empty), ClientHello)
    short = build.initial(build.crypto(hello), dcid=b"1234567")
    assert HelloReader(Habits(min_dcid=8)).add(short) is None
    assert isinstance(HelloReader(Habits(min_dcid=7)).add(short), ClientHello)
    at = hello.index(b"\0\x06\x13\x01\x13\x02\x13\x03")
    bare = hello[:at] + b"\0\0" + hello[at + 8 :]
    bare = bare[:1] + (len(bare) - 4).to_bytes(3, "big") + bare[4:]
    sealed = build.initial(build.crypto(bare), dcid=DCID)
    found = HelloReader(Habits()).add(sealed)
    assert isinstance(found, ClientHello)
    assert (found.server_name, found.ciphers) == ("blocked.example", ())
    assert HelloReader(Habits(no_ciphers=False)).add(sealed) is None


def test_crypto_frames_stop_at_what_may_not_be_there() -> None:
    good = build.crypto(b"abc")
    assert crypto_frames(good + b"\x10" + good) == [(0, b"abc")]
    assert crypto_frames(b"\x06") == []
    assert crypto_frames(b"\x06\0\x40") == []
    assert crypto_frames(build.crypto(b"ab", says=50)) == [(0, b"ab")]
    assert crypto_frames(b"\x02\xff\xff\xff\xff\xff\xff\xff\xff\0" + good) == []
    assert len(crypto_frames(good * 2_000)) == 256


@pytest.mark.parametrize(("value", "text"), [(37, "25"), (15_293, "7bbd"), (494_878_333, "9d7f3e7d")])
def test_integers_are_the_rfcs(value: int, text: str) -> None:
    # RFC 9000 appendix A.1.
    assert build.integer(value).hex() == text
    assert quic.varint(bytes.fromhex(text), 0) == (value, len(text) // 2)


def test_mutilated_datagrams_never_raise() -> None:
    random = rng()
    sealed = build.initial(build.crypto(build.client_hello("blocked.example", random)), dcid=DCID, token=b"tok")
    for size in range(0, 200):
        HelloReader(Habits(check_tag=False, truncated=True)).add(sealed[:size])
    for _ in range(2_000):
        broken = bytearray(sealed)
        for _ in range(random.randrange(1, 6)):
            broken[random.randrange(60)] = random.randrange(256)
        for habits in (Habits(), Habits(check_tag=False, truncated=True, trust_length=False, crypto="leading")):
            HelloReader(habits).add(bytes(broken))
    for _ in range(500):
        crypto_frames(random.randbytes(random.randrange(300)))
        HelloReader(Habits(check_tag=False, truncated=True)).add(
            b"\xc0\0\0\0\x01" + random.randbytes(random.randrange(80))
        )
