"""The servers' end of the corpus: one program that speaks every kind of flow, each on a port of its own.

Run as `python -m rozaneh.lab.corpus.service CONFIG.json` in a node; writes one line with "ready". It ends with its
node. A flow begins with a short line from the client that names its pattern and seed; both ends then follow the script.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec

from rozaneh.lab.corpus.channels import Channel, Exact, Noise, Prefixed, Tcp, Tls
from rozaneh.lab.corpus.patterns import Step, script

# What runs on which port; the part before ">" is the tunnel, the part behind it what goes through.
PORTS: dict[str, int] = {
    "plain": 8_080,
    "tls": 443,
    "tls>tls": 8_443,
    "noise>tls": 8_388,
    "noise>plain": 8_389,
}
COVER = "cover.example"
# Trojan: 56 hexadecimal digits, two line ends, a command and an address; Shadowsocks: an address with a name.
TROJAN_HEADER = 56 + 2 + 22 + 2
NOISE_HEADER = 20
LINE = 32


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Certificate(msgspec.Struct, frozen=True):
    """A server name with its chain and key."""

    name: str
    chain: str
    key: str


class Config(msgspec.Struct, frozen=True):
    """Where to listen, and as whom."""

    address: str
    certificates: list[Certificate]


async def follow(channel: Exact, steps: Sequence[Step], *, client: bool, begin: bytes = b"") -> None:
    """Plays one end of a script; `begin` goes in front of the client's first message, which always comes first."""
    if begin and not steps[0].up:
        await channel.channel.write(begin)
        begin = b""
    for step in steps:
        if step.up == client:
            if step.pause:
                await asyncio.sleep(step.pause)
            await channel.channel.write(begin + bytes(step.size))
            begin = b""
        else:
            await channel.take(step.size)


def context(certificates: Sequence[Certificate]) -> ssl.SSLContext:
    """A server's TLS that shows the certificate of the name asked for."""
    by_name: dict[str, ssl.SSLContext] = {}
    for one in certificates:
        by_name[one.name] = made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(one.chain, one.key)
    outer = by_name[certificates[0].name]

    def choose(tls: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
        if name in by_name:
            tls.context = by_name[name]

    outer.sni_callback = choose
    return outer


class Service:
    """Answers all ports."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._context = context(config.certificates)

    async def listen(self) -> None:
        """Opens every port."""
        for kind, port in PORTS.items():
            await asyncio.start_server(self._handler(kind), self._config.address, port)

    def _handler(self, kind: str) -> Handler:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError, ssl.SSLError, ConnectionError, ValueError):
                await self._serve(kind, Tcp(reader, writer))
            writer.close()
            with contextlib.suppress(OSError, ssl.SSLError):
                await writer.wait_closed()

        return handle

    async def _serve(self, kind: str, channel: Channel) -> None:
        tunnel, _, content = kind.rpartition(">")
        if tunnel == "tls":
            channel = Prefixed(await Tls(channel, self._context, server=True).handshake(), drop=TROJAN_HEADER)
        elif tunnel == "noise":
            channel = Prefixed(Noise(channel), drop=NOISE_HEADER)
        if content == "tls":
            channel = await Tls(channel, self._context, server=True).handshake()
        exact = Exact(channel)
        pattern, seed = (await exact.take(LINE)).decode("ascii").split()
        await follow(exact, script(pattern, int(seed)), client=False)


def main(arguments: Sequence[str]) -> int:
    """Serves until it is ended."""
    config = msgspec.json.decode(Path(arguments[0]).read_bytes(), type=Config)

    async def work() -> None:
        await Service(config).listen()
        sys.stdout.write(json.dumps({"ready": True}) + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()

    asyncio.run(work())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
