"""The bridge gives a transport its arguments as the specification has it, and passes everything on both ways."""

from __future__ import annotations

import asyncio

import pytest

from rozaneh.lab.subjects import ptbridge
from rozaneh.lab.subjects.ptbridge import Bridge, greeting, request


def test_arguments_as_user_name_and_password() -> None:
    assert greeting("cert=abc;iat-mode=0") == b"\x05\x01\x02\x01\x13cert=abc;iat-mode=0\x01\x00"
    long = "x" * 255 + "rest"
    assert greeting(long) == b"\x05\x01\x02\x01\xff" + b"x" * 255 + b"\x04rest"
    with pytest.raises(ValueError, match="longer than 510"):
        greeting("x" * 511)


def test_requests_for_both_families() -> None:
    assert request(("192.0.2.7", 443)) == b"\x05\x01\x00\x01\xc0\x00\x02\x07\x01\xbb"
    assert request(("2001:db8::1", 80)) == b"\x05\x01\x00\x04\x20\x01\x0d\xb8" + bytes(11) + b"\x01\x00\x50"
    assert ptbridge.endpoint("[2001:db8::1]:80") == ("2001:db8::1", 80)


class Transport:
    """A transport's SOCKS port that answers as told and echoes what comes through it."""

    def __init__(self, answers: list[bytes]) -> None:
        self._answers = answers
        self.heard: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        for size, answer in zip((3, 2 + 4 + 2, 10), self._answers, strict=False):
            self.heard.append(await reader.readexactly(size))
            writer.write(answer)
        if len(self._answers) == 3:
            while data := await reader.read(4096):
                writer.write(data.upper())
            writer.write(b" end")
        writer.close()


async def through(answers: list[bytes], sent: bytes) -> tuple[bytes, list[bytes]]:
    """What a program gets back through a bridge and such a transport."""
    transport = Transport(answers)
    behind = await asyncio.start_server(transport, "127.0.0.1", 0)
    bridge = Bridge(behind.sockets[0].getsockname(), ("192.0.2.7", 443), "cert")
    front = await asyncio.start_server(bridge.serve, "127.0.0.1", 0)
    async with behind, front:
        reader, writer = await asyncio.open_connection(*front.sockets[0].getsockname())
        writer.write(sent)
        writer.write_eof()
        got = await asyncio.wait_for(reader.read(), 20)
        writer.close()
    return got, transport.heard


def test_everything_is_passed_on_with_its_end() -> None:
    answers = [b"\x05\x02", b"\x01\x00", b"\x05\x00\x00\x01" + bytes(6)]
    got, heard = asyncio.run(through(answers, b"hello"))
    assert got == b"HELLO end"
    assert heard == [b"\x05\x01\x02", b"\x01\x04cert\x01\x00", b"\x05\x01\x00\x01\xc0\x00\x02\x07\x01\xbb"]


@pytest.mark.parametrize(
    "answers",
    [
        [b"\x05\xff"],
        [b"\x05\x02", b"\x01\x01"],
        [b"\x05\x02", b"\x01\x00", b"\x05\x05\x00\x01" + bytes(6)],
        [b"\x05"],
    ],
)
def test_a_refusal_ends_the_connection_with_nothing(answers: list[bytes], capsys: pytest.CaptureFixture[str]) -> None:
    got, _ = asyncio.run(through(answers, b"hello"))
    assert got == b""
    assert capsys.readouterr().err
