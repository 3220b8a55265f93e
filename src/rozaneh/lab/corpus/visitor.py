"""The clients' end of the corpus: plays a list of flows against the service, some at once.

Run as `python -m rozaneh.lab.corpus.visitor PLAN.json` in the reader's node; writes one JSON line for each flow that
was played to its end: its number and the port it came from, by which the capture knows it.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from rozaneh.lab.corpus.channels import Channel, Exact, Noise, Prefixed, Tcp, Tls
from rozaneh.lab.corpus.patterns import script
from rozaneh.lab.corpus.service import COVER, LINE, NOISE_HEADER, PORTS, TROJAN_HEADER, follow

_SECONDS = 60.0


class Visit(msgspec.Struct, frozen=True):
    """One flow: its way (see `service.PORTS`), its pattern and seed, and the innermost TLS's version and name."""

    number: int
    way: str
    pattern: str
    seed: int
    version: str = "1.3"
    name: str = COVER


class Plan(msgspec.Struct, frozen=True):
    """Where the service is, whom to trust, and what to play."""

    address: str
    authority: str
    visits: list[Visit]
    at_once: int = 4


async def play(plan: Plan, visit: Visit) -> int:
    """Plays one flow; the port it came from."""
    reader, writer = await asyncio.open_connection(plan.address, PORTS[visit.way])
    port = int(writer.get_extra_info("sockname")[1])
    try:
        channel: Channel = Tcp(reader, writer)
        tunnel, _, content = visit.way.rpartition(">")
        if tunnel == "tls":
            outer = await Tls(channel, _context(plan, "1.3"), name=COVER).handshake()
            channel = Prefixed(outer, send=bytes(TROJAN_HEADER))
        elif tunnel == "noise":
            channel = Prefixed(Noise(channel), send=bytes(NOISE_HEADER))
        if content == "tls":
            channel = await Tls(channel, _context(plan, visit.version), name=visit.name).handshake()
        begin = f"{visit.pattern} {visit.seed}".ljust(LINE).encode("ascii")
        await follow(Exact(channel), script(visit.pattern, visit.seed), client=True, begin=begin)
    finally:
        writer.close()
    return port


def _context(plan: Plan, version: str) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=plan.authority)
    made.set_alpn_protocols(["h2", "http/1.1"])
    if version == "1.2":
        made.maximum_version = ssl.TLSVersion.TLSv1_2
    else:
        made.minimum_version = ssl.TLSVersion.TLSv1_3
    return made


def main(arguments: Sequence[str]) -> int:
    """Plays the plan; flows that fail are said on standard error and left out."""
    plan = msgspec.json.decode(Path(arguments[0]).read_bytes(), type=Plan)

    async def work() -> None:
        room = asyncio.Semaphore(plan.at_once)

        async def one(visit: Visit) -> None:
            async with room:
                try:
                    port = await asyncio.wait_for(play(plan, visit), _SECONDS)
                except (OSError, ssl.SSLError, TimeoutError) as error:
                    sys.stderr.write(f"{visit.number} {visit.way}: {error!r}\n")
                    return
                sys.stdout.write(json.dumps({"number": visit.number, "port": port}) + "\n")
                sys.stdout.flush()

        await asyncio.gather(*(one(visit) for visit in plan.visits))

    asyncio.run(work())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
