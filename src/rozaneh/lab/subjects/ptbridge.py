"""Passes connections on through a pluggable transport's SOCKS port, giving each the arguments the transport needs.

Programs that speak SOCKS cannot give per-connection arguments; the transport takes them as user name and password of
its SOCKS5 port (pluggable transports specification 1.0, 3.5: first 255 bytes in the name, the rest in the password).

Run as `python -m rozaneh.lab.subjects.ptbridge LISTEN TRANSPORT SERVER ARGUMENTS`, each but the last ADDRESS:PORT.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import sys

_CHUNK = 1 << 16


class Refused(Exception):
    """The transport did not connect; the text says what it answered."""


def endpoint(text: str) -> tuple[str, int]:
    """The address and port in `ADDRESS:PORT`, IPv6 in brackets."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def greeting(arguments: str) -> bytes:
    """Method negotiation and user name with password (RFC 1928, 1929) that carry `arguments`."""
    data = arguments.encode()
    name, rest = data[:255], data[255:]
    if len(rest) > 255:
        raise ValueError("the transport's arguments are longer than 510 bytes")
    word = rest or b"\0"  # an empty password is not allowed: a single zero byte stands for it
    return b"\x05\x01\x02\x01" + bytes((len(name),)) + name + bytes((len(word),)) + word


def request(server: tuple[str, int]) -> bytes:
    """CONNECT to the server (RFC 1928 section 4)."""
    address = ipaddress.ip_address(server[0])
    kind = b"\x01" if address.version == 4 else b"\x04"
    return b"\x05\x01\x00" + kind + address.packed + server[1].to_bytes(2, "big")


class Bridge:
    """What the process does with each connection."""

    def __init__(self, transport: tuple[str, int], server: tuple[str, int], arguments: str) -> None:
        self._transport = transport
        self._greeting = greeting(arguments)
        self._request = request(server)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection from its begin to its end."""
        onward: asyncio.StreamWriter | None = None
        try:
            back, onward = await asyncio.open_connection(*self._transport)
            await self._shake(back, onward)
            await asyncio.gather(_pump(reader, onward), _pump(back, writer))
        except (OSError, EOFError, Refused) as error:
            sys.stderr.write(f"{error}\n")
        finally:
            for end in (writer, onward):
                if end:
                    end.close()
                    with contextlib.suppress(OSError):
                        await end.wait_closed()

    async def _shake(self, back: asyncio.StreamReader, onward: asyncio.StreamWriter) -> None:
        onward.write(self._greeting[:3])
        if await back.readexactly(2) != b"\x05\x02":
            raise Refused("the transport does not take a user name")
        onward.write(self._greeting[3:])
        if (await back.readexactly(2))[1] != 0:
            raise Refused("the transport does not take these arguments")
        onward.write(self._request)
        head = await back.readexactly(4)
        if head[1] != 0:
            raise Refused(f"the transport did not connect (SOCKS reply {head[1]})")
        rest = {1: 4, 4: 16}.get(head[3])
        size = (await back.readexactly(1))[0] if rest is None else rest
        await back.readexactly(size + 2)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Everything from one to the other, with the end of it."""
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()


async def _run(argv: list[str]) -> None:
    listen, transport, server = (endpoint(text) for text in argv[:3])
    bridge = Bridge(transport, server, argv[3])
    listener = await asyncio.start_server(bridge.serve, *listen)
    async with listener:
        await listener.serve_forever()


def main(argv: list[str]) -> int:
    """The process."""
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_run(argv[1:]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
