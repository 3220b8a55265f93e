"""JA3 and JA4 against published values, and against the Chromium that is installed here."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rozaneh.lab.browser import chromium
from rozaneh.lab.codec import fingerprint
from rozaneh.lab.codec.clienthello import MORE, ClientHello, is_grease, parse, parse_dtls, parse_handshake
from rozaneh.lab.codec.quicframes import Habits, HelloReader
from tests.lab.codec import hellos

NAME = "steady.example"


def read(data: bytes) -> ClientHello:
    hello = parse(data)
    assert isinstance(hello, ClientHello)
    return hello


def made(ciphers: list[int], extensions: list[tuple[int, bytes]], version: int = 0x0303) -> ClientHello:
    hello = parse_handshake(hellos.handshake(hellos.body(ciphers, extensions, version=version)))
    assert isinstance(hello, ClientHello)
    return hello


def test_ja4_of_the_published_worked_example() -> None:
    # FoxIO's technical details: Chrome, t13d1516h2_8daaf6152771_e5627efa2ab1.
    hello = read(hellos.chrome("a.example"))
    assert fingerprint.ja4_extensions_text(hello) == (
        "0005,000a,000b,000d,0012,0015,0017,001b,0023,002b,002d,0033,4469,ff01_0403,0804,0401,0503,0805,0501,0806,0601"
    )
    assert fingerprint.ja4(hello) == "t13d1516h2_8daaf6152771_e5627efa2ab1"


@pytest.mark.parametrize(
    ("ciphers", "extensions", "text", "value"),
    [
        # The two examples in the README of JA3 (salesforce/ja3).
        (
            [47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4],
            [hellos.server_name("a"), hellos.groups(23, 24, 25), (11, b"\x01\x00")],
            "769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0",
            "ada70206e40642a3e4461f35503241d5",
        ),
        (
            [4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99],
            [],
            "769,4-5-10-9-100-98-3-6-19-18-99,,,",
            "de350869b8c85de67a350c8d186f11e6",
        ),
    ],
)
def test_ja3_of_the_published_examples(
    ciphers: list[int], extensions: list[tuple[int, bytes]], text: str, value: str
) -> None:
    hello = made(ciphers, extensions, version=0x0301)
    assert fingerprint.ja3_text(hello) == text
    assert fingerprint.ja3(hello) == value


def test_ja3_leaves_grease_out_and_sees_order() -> None:
    plain = made([0x1301, 0x1302], [hellos.groups(29), (23, b"")])
    greased = made([0x8A8A, 0x1301, 0x1302], [(0x1A1A, b""), hellos.groups(0x2A2A, 29), (23, b"")])
    shuffled = made([0x1301, 0x1302], [(23, b""), hellos.groups(29)])
    assert fingerprint.ja3(plain) == fingerprint.ja3(greased) != fingerprint.ja3(shuffled)
    assert fingerprint.ja4(plain) == fingerprint.ja4(greased) == fingerprint.ja4(shuffled)


@pytest.mark.parametrize(
    ("protocols", "two"),
    [
        ((), "00"),
        ((b"h2",), "h2"),
        ((b"http/1.1", b"h2"), "h1"),
        ((b"\xab",), "ab"),
        ((b"\x30\xab",), "3b"),
        ((b"x",), "xx"),
    ],
)
def test_ja4_shows_the_first_protocol(protocols: tuple[bytes, ...], two: str) -> None:
    hello = made([0x1301], [hellos.alpn(*protocols)] if protocols else [])
    assert fingerprint.ja4(hello).partition("_")[0][-2:] == two


@pytest.mark.parametrize(
    ("version", "offered", "shown"),
    [
        (0x0303, (0x0A0A, 0x0304, 0x0303), "13"),
        (0x0303, (), "12"),
        (0x0302, (), "11"),
        (0x0301, (), "10"),
        (0x0300, (), "s3"),
        (0x03FF, (), "00"),
    ],
)
def test_ja4_shows_the_highest_version(version: int, offered: tuple[int, ...], shown: str) -> None:
    hello = made([0x1301], [hellos.versions(*offered)] if offered else [], version=version)
    assert fingerprint.ja4(hello)[1:3] == shown


def test_ja4_of_a_bare_hello_counts_nothing_and_sums_nothing() -> None:
    assert fingerprint.ja4(made([0x0A0A], [])) == "t12i000000_000000000000_000000000000"


def test_ja4_by_transport() -> None:
    quic = parse_handshake(hellos.RFC_9001)
    assert isinstance(quic, ClientHello)
    assert fingerprint.ja4(quic, "q").startswith("q13d0211an_62ed6f6ca7ad_")
    datagram = parse_dtls(b"".join(hellos.dtls(hellos.body((0xC02B,), [(23, b"")], version=0xFEFD, cookie=b""))))
    assert isinstance(datagram, ClientHello)
    assert fingerprint.ja4(datagram, "d").startswith("dd2i0101")


def test_patterns_are_families_of_fingerprints() -> None:
    chrome, firefox = read(hellos.chrome("a.example")), read(hellos.firefox("a.example"))
    family = ("t13d15??h2_8daaf6152771_*",)
    assert fingerprint.matches(chrome, family) == "t13d1516h2_8daaf6152771_e5627efa2ab1"
    assert fingerprint.matches(firefox, family) is None
    assert fingerprint.ja4(firefox).split("_")[1] == "5b57614c22b0"  # Firefox's, as FoxIO's database has it
    assert fingerprint.matches(chrome, (fingerprint.ja3(chrome),)) == fingerprint.ja3(chrome)
    assert fingerprint.matches(chrome, ("0" * 32,)) is None


@contextlib.contextmanager
def browser(folder: Path, port: int, *flags: str) -> Iterator[None]:
    """The installed Chromium on its way to one loopback port, whatever the name; gone afterwards."""
    ours = [flag for flag in chromium._FLAGS if "pipe" not in flag and not (flags and "quic" in flag)]
    process = subprocess.Popen(
        [
            chromium.find(),
            *ours,
            *flags,
            f"--user-data-dir={folder}",
            "--host-resolver-rules=MAP * 127.0.0.1",
            f"https://{NAME}:{port}/",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def test_the_installed_chromium_keeps_its_ja4_and_changes_its_ja3(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        with browser(tmp_path, listener.getsockname()[1]):
            seen: list[ClientHello] = []
            while len(seen) < 2:  # a browser that is cut off tries again at once
                hello = _hello(listener)
                seen += [hello] if hello.server_name == NAME else []
    assert len({fingerprint.ja4(hello) for hello in seen}) == 1
    assert len({fingerprint.ja3(hello) for hello in seen}) > 1  # extensions are shuffled (ML-13)
    # Fifteen ciphers of Chrome's since 2020, and ML-KEM first (GREASE aside): what rules on "Chrome" hold on to.
    assert fingerprint.matches(seen[0], ("t13d15??h2_8daaf6152771_*",))
    assert next(group for group in seen[0].groups if not is_grease(group)) == 0x11EC


def test_the_installed_chromium_over_quic(tmp_path: Path) -> None:
    seen: list[ClientHello] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(30)
        port = listener.getsockname()[1]
        readers: dict[object, HelloReader] = {}
        with browser(tmp_path, port, "--enable-quic", f"--origin-to-force-quic-on={NAME}:{port}"):
            while not seen:
                datagram, sender = listener.recvfrom(65_536)
                hello = readers.setdefault(sender, HelloReader(Habits(datagrams=4))).add(datagram)
                seen += [hello] if isinstance(hello, ClientHello) else []
    assert seen[0].server_name == NAME
    assert fingerprint.matches(seen[0], ("q13d03??h3_55b375c5d22e_*",), "q")  # TLS 1.3's three ciphers


def _hello(listener: socket.socket) -> ClientHello:
    """The next connection's hello; the connection is then cut, so that the browser tries again."""
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(30)
            data, part = b"", b"x"
            while (hello := parse(data)) is MORE and part:
                part = connection.recv(65_536)
                data += part
        if isinstance(hello, ClientHello):  # not one that was opened in advance and closed unused
            return hello
